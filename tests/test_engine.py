"""The engine trains any module of named terms: rates, gradients, averages, rounds."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from isthmus.data.batches import TensorBatches
from isthmus.engine.ensemble import Ensemble, EnsembleBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.errors import InvalidParameterError
from isthmus.random import fork


class Regression(nn.Module):
    """Half a squared error, and a ridge penalty as a term of its own; knows no autoencoder."""

    def __init__(self, d: int = 3, ridge: float = 0.0) -> None:
        super().__init__()
        self.linear = nn.Linear(d, 1)
        self.ridge = ridge
        self.told: list[float] = []

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        left = self.linear(x[:, :-1]).squeeze(1) - x[:, -1]
        penalty = self.ridge * self.linear.weight.square().sum()
        return {"fit": 0.5 * left.square(), "ridge": penalty.expand(len(x))}

    def set_progress(self, share: float) -> None:
        self.told.append(share)


def data(n: int = 64, d: int = 3) -> Tensor:
    with fork(0):
        x = torch.randn(n, d)
        y = x @ torch.arange(1.0, d + 1) - 2 + 0.1 * torch.randn(n)
    return torch.cat([x, y[:, None]], 1)


def new(seed: int = 0, ridge: float = 0.0) -> Regression:
    with fork(seed):
        return Regression(ridge=ridge)


PLAIN = Plan(
    steps=40, batch_size=16, evaluate_every=7, learning_rate=0.05, weight_decay=0.0, averaging=0
)


def run(module: nn.Module, plan: Plan, seed: int = 0) -> list:
    return list(Training(module, plan).rounds(TensorBatches(data()), seed))


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 1.0])
def test_the_rate_rises_to_its_peak_and_falls_to_zero(steps: int, warmup: float) -> None:
    plan = Plan(steps=steps, batch_size=1, learning_rate=2.0, warmup=warmup)
    rates = [plan.rate(t) for t in range(steps)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(2.0)
    assert min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if round(warmup * steps) < steps and steps > 1:
        assert plan.rate(steps) == pytest.approx(0.0, abs=1e-12)


def test_the_rate_falls_as_half_a_cosine() -> None:
    plan = Plan(steps=101, batch_size=1, learning_rate=1.0, warmup=0.0)
    for t in range(1, 101):
        assert plan.rate(t) == pytest.approx((1 + math.cos(math.pi * (t - 1) / 100)) / 2)


def test_a_constant_rate_is_constant() -> None:
    plan = Plan(steps=0, batch_size=1, learning_rate=0.3, constant=True)
    assert {plan.rate(t) for t in (0, 1, 10**6)} == {0.3}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": -1}, "steps=-1 must be at least 0"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every=0 must be at least 1"),
        ({"learning_rate": -0.1}, "learning_rate=-0.1 must be a finite number"),
        ({"learning_rate": math.nan}, "learning_rate=nan must be a finite number"),
        ({"weight_decay": math.inf}, "weight_decay=inf must be a finite number"),
        ({"averaging": 1.0}, "averaging=1.0 must be at least 0 and below 1"),
        ({"averaging": math.nan}, "averaging=nan must be at least 0"),
        ({"betas": (0.9, 1.0)}, r"betas=\(0.9, 1.0\) must be at least 0 and below 1"),
        ({"betas": (-0.1, 0.9)}, "betas="),
        ({"warmup": -0.1}, "warmup=-0.1 must be a share"),
        ({"warmup": 1.5}, "warmup=1.5 must be a share"),
    ],
)
def test_a_plan_refuses_what_cannot_be(change: dict, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        replace(PLAIN, **change)


def test_a_linear_regression_converges_to_least_squares() -> None:
    x = data()
    module = new()
    plan = replace(PLAIN, steps=600, batch_size=64, evaluate_every=600)
    list(Training(module, plan).rounds(TensorBatches(x), 0))
    design = torch.cat([x[:, :-1], torch.ones(len(x), 1)], 1)
    best = torch.linalg.lstsq(design, x[:, -1:]).solution.squeeze()
    found = torch.cat([module.linear.weight.squeeze(), module.linear.bias]).detach()
    torch.testing.assert_close(found, best, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_steps_are_those_of_a_loop_by_hand(ridge: float, clip: float | None) -> None:
    plan = replace(PLAIN, weight_decay=0.1, clip_norm=clip)
    ours, theirs = new(ridge=ridge), new(ridge=ridge)
    rounds = run(ours, plan)
    optimizer = torch.optim.AdamW(
        [
            {"params": [theirs.linear.weight], "weight_decay": 0.1},
            {"params": [theirs.linear.bias], "weight_decay": 0.0},
        ],
        betas=plan.betas,
    )
    losses = []
    for t, (x,) in zip(
        range(plan.steps), TensorBatches(data()).shuffled(plan.batch_size, 0), strict=False
    ):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(t)
        loss = sum(value.mean() for value in theirs(x).values())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    # a round tells the mean of the losses of its steps
    for last, now in pairwise(rounds):
        mean = math.fsum(losses[last.step : now.step]) / (now.step - last.step)
        assert now.loss == pytest.approx(mean, rel=1e-5)
        assert set(now.terms) == {"fit", "ridge"}


@pytest.mark.parametrize(
    ("steps", "every", "at"),
    [(0, 5, [0]), (1, 5, [0, 1]), (10, 5, [0, 5, 10]), (12, 5, [0, 5, 10, 12]), (3, 9, [0, 3])],
)
def test_rounds_come_at_the_start_in_between_and_at_the_end(
    steps: int, every: int, at: list[int]
) -> None:
    calls = []

    def validate(module: nn.Module) -> dict[str, Tensor]:
        assert not module.training
        assert not torch.is_grad_enabled()
        calls.append(module)
        return {"loss": torch.zeros(3)}

    module = new()
    training = Training(module, replace(PLAIN, steps=steps, evaluate_every=every))
    rounds = list(training.rounds(TensorBatches(data()), 0, validate))
    assert [r.step for r in rounds] == at
    assert [r.epoch for r in rounds] == pytest.approx([s * 16 / 64 for s in at])
    assert len(calls) == len(at)
    assert set(calls) == {training.kept}
    assert rounds[0].terms == {}
    assert module.training
    seconds = [r.seconds for r in rounds]
    assert seconds == sorted(seconds)


def test_progress_is_told_before_every_step() -> None:
    module = new()
    run(module, PLAIN)
    assert module.told == pytest.approx([t / PLAIN.steps for t in range(PLAIN.steps)])


def test_training_without_a_known_end_is_past_every_warm_up() -> None:
    module = new()
    training = Training(module, Plan(steps=0, batch_size=8, constant=True))
    batches = TensorBatches(data()).shuffled(8, 0)
    for _ in range(2):
        training.step(next(batches))
    assert module.told == [1.0, 1.0]


def test_validation_is_not_part_of_training() -> None:
    with_it, without = new(), new()
    source = TensorBatches(data())
    for module, validate in ((with_it, lambda m: m(data())), (without, None)):
        list(Training(module, PLAIN).rounds(source, 0, validate))
    for a, b in zip(with_it.parameters(), without.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    results = []
    for seed in (0, 0, 1):
        module = new()
        run(module, PLAIN, seed)
        results.append(module.linear.weight.detach().clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_averages_are_the_recursion_by_hand() -> None:
    plan = replace(PLAIN, averaging=0.8)
    training = Training(new(), plan)
    average = training.module.linear.weight.detach().clone()
    stream = TensorBatches(data()).shuffled(plan.batch_size, 0)
    for t in range(1, 30):
        training.step(next(stream))
        decay = min(0.8, t / (t + 9))
        average = decay * average + (1 - decay) * training.module.linear.weight.detach()
        torch.testing.assert_close(training.kept.linear.weight.detach(), average)
    assert training.kept is not training.module
    assert Training(new(), PLAIN).kept is not None


def test_without_averaging_the_module_itself_is_kept() -> None:
    module = new()
    assert Training(module, PLAIN).kept is module


def test_slow_parameters_take_their_share_of_the_first_step_and_do_not_decay() -> None:
    """Adam's first step has the size of the rate, whatever the gradient."""
    module = nn.ModuleDict({"a": new(), "b": new()})
    module.forward = lambda x: {  # type: ignore[method-assign]
        k: v
        for name in ("a", "b")
        for k, v in zip((name, name + "r"), module[name](x).values(), strict=True)
    }
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    plan = replace(PLAIN, warmup=0.0, weight_decay=10.0, slow=("b.",), slow_factor=0.1)
    Training(module, plan).step((data(),))
    moved = {name: p.detach() - before[name] for name, p in module.named_parameters()}
    rate = plan.rate(0)
    slow = moved["b.linear.weight"]
    torch.testing.assert_close(slow.abs(), torch.full_like(slow, 0.1 * rate), rtol=1e-3, atol=0)
    fast = moved["a.linear.weight"] + rate * 10.0 * before["a.linear.weight"]
    torch.testing.assert_close(fast.abs(), torch.full_like(fast, rate), rtol=1e-3, atol=1e-6)
    bias = moved["a.linear.bias"]  # vectors do not decay
    torch.testing.assert_close(bias.abs(), torch.full_like(bias, rate), rtol=1e-3, atol=0)


def test_frozen_parameters_stay() -> None:
    module = new()
    module.linear.bias.requires_grad_(False)
    before = module.linear.bias.clone()
    run(module, replace(PLAIN, averaging=0.9, weight_decay=0.5))
    assert torch.equal(module.linear.bias, before)


def test_bfloat16_runs_near_float32_and_keeps_float32_weights() -> None:
    a, b = new(), new()
    run(a, PLAIN)
    run(b, replace(PLAIN, precision="bfloat16"))
    assert b.linear.weight.dtype == torch.float32
    torch.testing.assert_close(a.linear.weight, b.linear.weight, rtol=0.1, atol=0.1)


class Normalised(Regression):
    """A forward that cannot be mapped over members: BatchNorm changes its buffers in place."""

    def __init__(self) -> None:
        super().__init__()
        # no bias before BatchNorm: its gradient is rounding error, which Adam blows up
        layers = (nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.linear = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"fit": 0.5 * (self.linear(x[:, :-1]).squeeze(1) - x[:, -1]).square()}


class Noisy(Regression):
    """A forward that draws: members draw their own."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"noise": torch.randn_like(x[:, 0]) + 0 * super().forward(x)["fit"]}


@pytest.mark.parametrize("cls", [Regression, Normalised])
def test_an_ensemble_trains_each_member_as_if_alone(cls: type[Regression]) -> None:
    def member(seed: int) -> Regression:
        with fork(seed):
            return cls()

    x = data()
    parts = [torch.arange(0, 48), torch.arange(16, 64), torch.arange(64)]
    plan = replace(PLAIN, weight_decay=0.1, averaging=0.9)
    source = EnsembleBatches(TensorBatches(x), parts)
    training = Training(Ensemble([member(s) for s in range(3)]), plan)
    list(training.rounds(source, 0))
    for i in range(3):
        alone = Training(member(i), plan)
        for _, (batch,) in zip(
            range(plan.steps), source.shuffled(plan.batch_size, 0), strict=False
        ):
            alone.step((batch[i],))
        for whole, ours in ((training.module, alone.module), (training.kept, alone.kept)):
            for a, b in zip(whole.members[i].parameters(), ours.parameters(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
            for a, b in zip(whole.members[i].buffers(), ours.buffers(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_members_of_an_ensemble_draw_their_own_noise() -> None:
    ensemble = Ensemble([Noisy() for _ in range(2)])
    with fork(0):
        drawn = ensemble(torch.zeros(2, 5, 4))["noise"]
    assert not torch.equal(drawn[0], drawn[1])


def test_an_ensemble_tells_the_terms_of_its_last_member() -> None:
    x = data()
    members = [new(seed) for seed in range(3)]
    expected = members[-1](x)["fit"].mean().item()
    source = EnsembleBatches(TensorBatches(x), [torch.arange(64)] * 3)
    plan = replace(PLAIN, steps=1, batch_size=64)
    rounds = list(Training(Ensemble(members), plan).rounds(source, 0))
    assert rounds[1].terms["fit"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_part_in_evaluation_mode_stays_so_and_the_others_are_trained(averaging: float) -> None:
    module = new()
    module.frozen, module.noisy = nn.Dropout().eval(), nn.Dropout()

    def validate(judged: nn.Module) -> dict[str, Tensor]:
        assert not any(part.training for part in judged.modules())
        return {"loss": torch.zeros(1)}

    training = Training(module, replace(PLAIN, averaging=averaging))
    rounds = training.rounds(TensorBatches(data()), order_seed=0, validate=validate)
    modes = [[part.training for part in module.children()] for _ in rounds]
    assert {tuple(each) for each in modes} == {(True, False, True)}


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_members_of_an_ensemble_are_trained_after_they_were_judged(averaging: float) -> None:
    members = [new(seed) for seed in range(2)]
    members[1].frozen = nn.Dropout().eval()
    source = EnsembleBatches(TensorBatches(data()), [torch.arange(64)] * 2)

    def validate(judged: nn.Module) -> dict[str, Tensor]:
        assert not any(member.training for member in judged.members)
        return {"loss": torch.zeros(1)}

    training = Training(Ensemble(members), replace(PLAIN, averaging=averaging))
    for _ in training.rounds(source, 0, validate):
        assert all(member.training for member in members)
        assert not members[1].frozen.training
