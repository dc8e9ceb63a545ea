"""Penalties: limits, schedules, additivity, and invariance to order and batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from core_examples import rows, small, supported, total
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.core.penalties import KL, Contraction, Penalty, Sparsity, kl_per_latent
from isthmus.errors import InvalidParameterError
from isthmus.random import fork

X = rows(12, 4)


def refilled(model: Autoencoder, penalties: list[Penalty]) -> Autoencoder:
    """The same parts with other penalties."""
    return Autoencoder(
        model.encoder, model.decoder, prior=model.prior, penalties=penalties
    ).double()


def loss(model: Autoencoder, x: Tensor = X) -> Tensor:
    with fork(0):
        return total(model(x))


# a penalty of weight 0, and whether it needs a density
LIMITS: list[tuple[Callable[[], Penalty], bool]] = [
    (lambda: KL(0.0), True),
    (lambda: KL(0.0, warmup=0.5, free_bits=2.0), True),
    (lambda: Contraction(0.0), False),
    (lambda: Contraction(0.0, "hutchinson"), False),
    (lambda: Sparsity(0.0), False),
]


@pytest.mark.parametrize(("make", "needs_density"), LIMITS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("variational", [False, True])
def test_a_penalty_of_weight_zero_is_the_plain_autoencoder(
    make: Callable[[], Penalty], needs_density: bool, training: bool, variational: bool
) -> None:
    if needs_density and not variational:
        with pytest.raises(InvalidParameterError):
            refilled(small(), [make()])
        return
    parts = small(beta=1.0 if variational else None)
    plain, model = refilled(parts, []), refilled(parts, [make()])
    torch.testing.assert_close(
        loss(model.train(training)), loss(plain.train(training)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_every_penalty_grows_in_proportion_to_its_weight(weight: float) -> None:
    model = small(beta=1.0)
    makers: list[Callable[[float], Penalty]] = [KL, Contraction, Sparsity]
    for make in makers:
        one, more = (refilled(model, [make(w)])(X) for w in (1.0, weight))
        name = make(1.0).name
        torch.testing.assert_close(more[name], weight * one[name], rtol=1e-12, atol=0)


def test_the_loss_is_the_sum_of_its_terms_and_each_stands_alone() -> None:
    parts = small(beta=1.0)
    penalties: list[Penalty] = [KL(0.7), Contraction(0.2), Sparsity(0.1)]
    with fork(0):
        together = refilled(parts, penalties)(X)
    assert list(together) == ["reconstruction", "kl", "contraction", "sparsity"]
    for penalty in penalties:
        with fork(0):
            alone = refilled(parts, [penalty])(X)
        for name in ("reconstruction", penalty.name):
            torch.testing.assert_close(alone[name], together[name], rtol=1e-12, atol=1e-12)


def test_sparsity_is_the_sum_of_sizes_of_the_code() -> None:
    model = small(sparsity=0.3)
    expected = 0.3 * model.encode(X).mean.abs().sum(1)
    torch.testing.assert_close(model(X)["sparsity"], expected)


def test_contraction_is_taken_at_the_clean_input() -> None:
    model = small(contraction=0.3, noise="masking", noise_level=0.5)
    torch.testing.assert_close(model.train()(X)["contraction"], model.eval()(X)["contraction"])


@pytest.mark.parametrize(
    ("warmup", "progress", "share"),
    [
        (0.0, 0.0, 1.0),
        (0.5, 0.0, 0.0),
        (0.5, 0.25, 0.5),
        (0.5, 0.5, 1.0),
        (0.5, 1.0, 1.0),
        (1.0, 0.3, 0.3),
    ],
)
def test_the_weight_of_the_divergence_warms_up_in_training_only(
    warmup: float, progress: float, share: float
) -> None:
    model = small(beta=4.0, kl_warmup=warmup)
    kl = kl_per_latent(model.trace(X)).sum(1)
    model.set_progress(progress)
    torch.testing.assert_close(model.train()(X)["kl"], 4.0 * share * kl, rtol=1e-6, atol=0)
    torch.testing.assert_close(model.eval()(X)["kl"], 4.0 * kl, rtol=1e-12, atol=0)


def test_free_bits_are_a_floor_for_each_latent_in_training_only() -> None:
    free = 0.4
    model = small(k=3, beta=2.0, free_bits=free)
    kl = kl_per_latent(model.trace(X))
    assert (kl < free).any()
    assert (kl > free).any()
    torch.testing.assert_close(model.train()(X)["kl"], 2.0 * kl.clamp(min=free).sum(1))
    torch.testing.assert_close(model.eval()(X)["kl"], 2.0 * kl.sum(1))


def test_a_latent_below_its_free_bits_has_no_gradient() -> None:
    model = small(beta=1.0, free_bits=1e6).train()
    model(X)["kl"].sum().backward()
    assert all(p.grad is None or (p.grad == 0).all() for p in model.parameters())


def test_the_schedule_leaves_the_file_of_the_model_alone() -> None:
    model = small(beta=1.0, kl_warmup=0.5)
    assert not any("penalties" in key for key in model.state_dict())


@pytest.fixture
def no_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes are the mean plus one deviation: what differs between batches is not the draw."""
    monkeypatch.setattr(
        Normal, "rsample", lambda q, shape: (q.loc + q.scale).expand(*shape, *q.loc.shape)
    )


# options of the model: every penalty and objective; terms must not depend on other samples
INVARIANT: list[dict[str, object]] = [
    {},
    {"beta": 0.5, "kl_warmup": 0.3, "free_bits": 0.2, "n_draws": 3},
    {"beta": 1.0, "objective": "importance", "n_draws": 4},
    {"contraction": 0.5},
    {"contraction": 0.5, "contraction_method": "exact", "sparsity": 0.1},
    {"beta": 2.0, "contraction": 0.5, "sparsity": 0.1},
    {"noise": "swap", "noise_level": 0.5, "emphasis": 3.0},
]


@pytest.mark.usefixtures("no_draws")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in LIKELIHOODS
        for options in INVARIANT
        if not (name == "categorical" and "contraction" in options)  # refused
    ],
)
def test_terms_do_not_depend_on_the_order_and_the_batch(
    name: str, options: dict[str, object]
) -> None:
    model = small(likelihood=name, **options).eval()
    x = supported(name, 12, (4,))
    mask = torch.arange(48).view(12, 4) % 5 > 0
    x = torch.where(mask, x, 0.0)
    whole = model(x, mask)
    order = torch.randperm(12)
    shuffled = model(x[order], mask[order])
    parts = [model(a, m) for a, m in zip(x.split([1, 4, 7]), mask.split([1, 4, 7]), strict=True)]
    for term, values in whole.items():
        assert values.shape == (12,)
        torch.testing.assert_close(shuffled[term], values[order], rtol=1e-10, atol=1e-10)
        concatenated = torch.cat([part[term] for part in parts])
        torch.testing.assert_close(concatenated, values, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize(
    ("make", "given"),
    [
        (KL, "beta="),
        (lambda v: KL(free_bits=v), "free_bits="),
        (lambda v: KL(warmup=v), "kl_warmup="),
        (Contraction, "contraction="),
        (Sparsity, "sparsity="),
    ],
)
def test_a_weight_outside_its_range_is_refused(
    make: Callable[[float], Penalty], given: str, value: float
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        make(value)
    assert caught.value.given == f"{given}{value!r}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Contraction(1.0, "autograd"),  # type: ignore[arg-type]
        lambda: Contraction(1.0, n_probes=0),
        lambda: KL(warmup=1.1),
    ],
)
def test_a_wrong_parameter_is_refused(make: Callable[[], Penalty]) -> None:
    with pytest.raises(InvalidParameterError, match="must"):
        make()
