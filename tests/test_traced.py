"""The compiled step, its trace and its rules do what the plain step does."""

from __future__ import annotations

import copy
import math
import os
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from isthmus import Autoencoder, presets
from isthmus.data.batches import TensorBatches
from isthmus.engine import traced
from isthmus.engine.ensemble import Ensemble, EnsembleBatches
from isthmus.engine.loop import Training
from isthmus.engine.optimizer import Optimizer, orthogonal
from isthmus.engine.plan import Plan

X = torch.rand(256, 64, generator=torch.Generator().manual_seed(0))
PLAN = Plan(
    steps=200, batch_size=32, weight_decay=0.3, slow=(".linear.",), slow_factor=0.3, compile=True
)


class Normalised(nn.Module):
    """A network with buffers that a forward pass changes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 64)
        )

    def forward(self, x):
        return {"loss": (self.net(x) - x).square().sum(1)}


class Strided(nn.Module):
    """Strided and transposed convolutions, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        once = self.net(x)
        return {"loss": (once - x).square().sum(1), "twice": (self.net(once) - x).square().sum(1)}


def small(**slots):
    return lambda: presets.build((64,), 4, (16, 16), **slots)


CASES = {
    "undercomplete": (small(), 0, {}),
    "variational": (small(beta=1.0, kl_warmup=0.5), 0, {}),
    "several draws": (small(beta=1.0, n_draws=3, likelihood="bernoulli"), 0, {}),
    "denoising": (small(noise="gaussian", noise_level=0.3), 0, {}),
    "masking": (small(noise="masking", noise_level=0.3, emphasis=2.0), 0, {}),
    "contractive": (small(contraction=0.1), 0, {}),
    "hutchinson": (small(contraction=0.1, contraction_method="hutchinson"), 0, {}),
    "sparse": (small(sparsity=0.1), 0, {}),
    "convolutions": (
        lambda: presets.build((64,), 4, (4, 16), network="conv", sample_shape=(1, 8, 8)),
        0,
        {},
    ),
    "strided convolutions": (Strided, 0, {}),
    "strided convolutions, bfloat16": (Strided, 0, {"precision": "bfloat16"}),
    "batch normalisation": (Normalised, 0, {}),
    "ensemble": (small(), 3, {}),
    "muon": (small(), 0, {"optimizer": "muon"}),
    "ensemble, muon": (small(), 3, {"optimizer": "muon"}),
    "bfloat16": (small(), 0, {"precision": "bfloat16"}),
    "clipped": (small(), 0, {"clip_norm": 0.5}),
    "no average": (small(), 0, {"averaging": 0.0}),
}
# products of bfloat16 round differently when they are laid out differently
LOOSE = {
    "muon": 2e-2,
    "ensemble, muon": 2e-2,
    "bfloat16": 1e-2,
    "strided convolutions, bfloat16": 1e-2,
}


def train(build, members, plan, steps=20):
    torch.manual_seed(0)
    module = Ensemble([build() for _ in range(members)]) if members else build()
    training = Training(module, plan)
    module.train()
    torch.manual_seed(1)
    terms = []
    for _ in range(steps):
        rows = torch.randint(0, len(X), (members, 32) if members else (32,))
        terms.append(torch.stack(list(training.step((X[rows],)).values())).clone())
    return torch.stack(terms), training


@pytest.fixture
def uncompiled(monkeypatch):
    """The graph itself in place of its machine code: seconds less a case."""
    monkeypatch.setattr(traced, "_compiled", traced._graph)


def same(plain, fast, tolerance):
    torch.testing.assert_close(plain[0], fast[0], rtol=tolerance, atol=tolerance)
    one, other = plain[1].state(), fast[1].state()
    assert one.facts["step_count"] == other.facts["step_count"]
    for name, value in one.tensors.items():
        if "muon" in name or "momentum" in name:
            continue
        torch.testing.assert_close(
            value, other.tensors[name], rtol=20 * tolerance, atol=20 * tolerance, msg=name
        )


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", CASES)
def test_the_trace_is_the_plain_step(name):
    build, members, changes = CASES[name]
    plan = replace(PLAN, **changes)
    plain = train(build, members, replace(plan, compile=False))
    fast = train(build, members, plan)
    assert plain[1]._traced is None
    assert fast[1]._traced is not None
    same(plain, fast, LOOSE.get(name, 1e-4))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["variational", "bfloat16", "strided convolutions, bfloat16"])
def test_machine_code_is_the_plain_step(name, tmp_path, monkeypatch):
    if not traced.can_compile(torch.device("cpu")):
        pytest.skip("no C++ compiler: neither g++ nor clang++ nor $CXX is there")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    build, members, changes = CASES[name]
    plan = replace(PLAN, **changes)
    plain = train(build, members, replace(plan, compile=False))
    fast = train(build, members, plan)
    assert fast[1]._traced is not None
    same(plain, fast, LOOSE.get(name, 1e-4))


@pytest.mark.usefixtures("uncompiled")
def test_a_restored_training_goes_on_bit_for_bit():
    rows = [torch.randint(0, len(X), (32,)) for _ in range(12)]
    _, whole = train(small(beta=1.0), 0, PLAN, steps=1)
    _, other = train(small(beta=1.0), 0, PLAN, steps=2)
    for each in rows[:6]:
        whole.step((X[each],))
    kept = whole.state()
    torch.manual_seed(3)
    for each in rows[6:]:
        whole.step((X[each],))
    expected = whole.state()
    other.restore(kept)
    torch.manual_seed(3)
    for each in rows[6:]:
        other.step((X[each],))
    found = other.state()
    for name, value in expected.tensors.items():
        assert torch.equal(value, found.tensors[name]), name


@pytest.mark.usefixtures("uncompiled")
def test_another_shape_takes_the_plain_step_and_counts_on():
    _, mixed = train(small(), 0, PLAN, steps=3)
    mixed.step((X[:7],))
    mixed.step((X[:32],))
    counts = [v for k, v in mixed.state().tensors.items() if k.endswith(".step")]
    assert counts
    assert all(float(count) == 5 for count in counts)


def test_no_compiler_is_said_once_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(traced, "can_compile", lambda device: False)
    monkeypatch.setattr(traced, "_said", set())
    with pytest.warns(UserWarning, match=r"not compiled: there is no C\+\+ compiler"):
        first = train(small(), 0, PLAN, steps=3)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = train(small(), 0, PLAN, steps=3)[0]
    plain = train(small(), 0, replace(PLAN, compile=False), steps=3)[0]
    assert torch.equal(first, plain)
    assert torch.equal(second, plain)


def test_what_cannot_be_traced_runs_plainly(monkeypatch):
    class Undecided(Normalised):
        def forward(self, x):
            return super().forward(x if float(x.sum()) > 0 else -x)

    monkeypatch.setattr(traced, "_said", set())
    with pytest.warns(UserWarning, match="The training step is not compiled"):
        _, training = train(Undecided, 0, PLAN, steps=2)
    assert training.step_count == 2


@pytest.mark.parametrize(
    ("build", "steps", "worth"),
    [
        (lambda: presets.build((784,), 30, (512, 512)), 4000, True),
        (lambda: presets.build((784,), 30, (512, 512)), 500, False),
        (lambda: presets.build((64,), 8, (32,)), 1500, False),
        (lambda: presets.build((64,), 8, (32,)), 100_000, True),
        (Normalised, 10**9, False),  # not of this package
        (lambda: presets.build((64,), 8, (8, 16), network="conv", sample_shape=(1, 8, 8)), 10**9,
         False),
    ],
)  # fmt: skip
def test_long_trainings_of_known_networks_are_worth_it(build, steps, worth):
    assert traced.is_worth(build(), Plan(steps=steps, batch_size=256), 256) is worth


def test_the_folder_of_the_cache_is_no_lasting_change(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with traced._cache():
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "isthmus" / "compiled")
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_the_pure_rule_is_torchs_adamw():
    module = nn.Linear(5, 3)
    theirs = torch.optim.AdamW(
        [
            {"params": [module.weight], "weight_decay": 0.3},
            {"params": [module.bias], "weight_decay": 0.0},
        ],
        lr=0.01,
        betas=PLAN.betas,
    )
    plan = replace(PLAN, slow=())
    ours = Optimizer(module, plan)
    parameters = [p.detach().clone() for p in module.parameters()]
    slots = [tuple(t.clone() for t in each) for each in ours.slots()]
    for count in range(5):
        gradients = [torch.randn_like(p) for p in parameters]
        for p, g in zip(module.parameters(), gradients, strict=True):
            p.grad = g
        theirs.step()
        after = ours.update(parameters, gradients, slots, ours.now(0.01, count))
        parameters, slots = [p for p, _ in after], [memory for _, memory in after]
    for p, own in zip(module.parameters(), parameters, strict=True):
        torch.testing.assert_close(own, p.detach())


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6)])
def test_the_pure_rule_is_torchs_muon(shape):
    muon = pytest.importorskip("torch.optim._muon", reason="torch has no Muon before 2.9")
    w = nn.Parameter(torch.randn(shape))
    theirs = muon.Muon(
        [w], lr=0.02, weight_decay=0.3, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(w.detach().clone())

    module = One()
    ours = Optimizer(module, replace(PLAN, optimizer="muon"))
    for count in range(4):
        g = torch.randn(shape)
        w.grad, module.w.grad = g, g.clone()
        theirs.step()
        ours.step(0.02, count)
    torch.testing.assert_close(module.w, w, rtol=1e-2, atol=2e-3)


def test_orthogonal_matrices_are_near_those_of_the_decomposition():
    g = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    values = torch.linalg.svdvals(orthogonal(g).float())
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    cosine = (orthogonal(g).float() * (u @ vt)).sum((1, 2)) / (
        orthogonal(g).float().norm(dim=(1, 2)) * (u @ vt).norm(dim=(1, 2))
    )
    assert float(cosine.min()) > 0.97


def test_estimators_take_the_optimiser_by_name():
    x = X.numpy()
    common = {"max_epochs": 2, "linear_start": False, "early_stopping": False, "random_state": 0}
    one = Autoencoder(4, optimizer="muon", **common).fit(x)
    two = Autoencoder(4, **common).fit(x)
    assert not (one.transform(x) == two.transform(x)).any()
    with pytest.raises(ValueError, match=r"optimizer='sgd' must be one of"):
        Autoencoder(4, optimizer="sgd").fit(x)


def test_workers_of_joblib_have_one_thread_each():
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=2)(delayed(torch.get_num_threads)() for _ in range(2))
    assert all(n <= max(1, (os.cpu_count() or 1) // 2) for n in found)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["undercomplete", "denoising", "ensemble", "no average"])
def test_several_steps_a_call_are_the_steps_one_by_one(name, monkeypatch):
    build, members, changes = CASES[name]
    plan = replace(PLAN, **changes, steps=24, evaluate_every=8)

    def rounds(cost):
        monkeypatch.setattr(traced, "COST_OF_SEVERAL", cost)
        torch.manual_seed(0)
        module = Ensemble([build() for _ in range(members)]) if members else build()
        training = Training(module, plan)
        parts = [torch.arange(200)] * members
        batches = EnsembleBatches(TensorBatches(X), parts) if members else TensorBatches(X)
        torch.manual_seed(1)
        terms = [list(now.terms.values()) for now in training.rounds(batches, order_seed=0)]
        return torch.tensor(terms[1:]), training

    single, several = rounds(math.inf), rounds(0.0)
    assert single[1]._traced._numbers.shape == (1, 4)
    assert several[1]._traced._numbers.shape == (4, 4)
    assert several[1].state().facts["drawn"] == 24
    same(single, several, 1e-4)


def test_a_schedule_takes_one_step_a_call(monkeypatch):
    monkeypatch.setattr(traced, "COST_OF_SEVERAL", 0.0)
    for name, most in (("undercomplete", 5), ("variational", 1)):
        module = CASES[name][0]()
        assert traced.steps_a_call(module, PLAN, 32) == most
        assert traced.steps_a_call(Ensemble([module]), PLAN, 32) == most
    assert traced.steps_a_call(Normalised(), replace(PLAN, evaluate_every=7), 32) == 1


@pytest.mark.usefixtures("uncompiled")
def test_a_group_that_was_not_compiled_is_trained_step_by_step(monkeypatch):
    group = [(X[:32],), (X[32:64],), (X[64:96],)]
    plain = Training(CASES["undercomplete"][0](), replace(PLAN, compile=False))
    other = Training(copy.deepcopy(plain.module), PLAN)
    other.step(group[0])
    plain.step(group[0])
    sums = other.steps(group)
    torch.testing.assert_close(sums, plain.steps(group))
    assert other.step_count == plain.step_count == 4


@pytest.mark.usefixtures("uncompiled")
def test_steps_of_a_call_that_runs_out_of_memory_are_not_taken_twice():
    group = [(X[:32],), (X[32:64],), (X[64:96],)]
    training = Training(CASES["undercomplete"][0](), PLAN)
    training.steps(group)
    taken = training._traced._call

    def short(*tensors):
        taken(*tensors)
        raise MemoryError

    training._traced._call = short
    with pytest.raises(MemoryError):
        training.steps(group)
    assert training.step_count == 3
