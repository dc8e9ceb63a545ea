"""Likelihoods: every head against SciPy, and laws over one table; a new head adds a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import softmax
from torch import Tensor
from torch.distributions import Distribution, Normal

from core_examples import N_CATEGORIES, mnist, small, supported
from isthmus.core.likelihoods import (
    GAIN,
    LIKELIHOODS,
    MIN_SCALE,
    Bernoulli,
    Categorical,
    Gaussian,
    Laplace,
    Likelihood,
    NegativeBinomial,
    Poisson,
    likelihood,
)
from isthmus.errors import DataError, InvalidParameterError
from isthmus.random import fork

Array = np.ndarray
D = 3
# theta of the heads that learn one: the scale is exp(GAIN · theta)
THETA = torch.tensor([0.05, -0.04, 0.02], dtype=torch.float64)


def continuous_bernoulli(x: Array, raw: Array) -> tuple[Array, Array]:
    """Loaiza-Ganem & Cunningham 2019, equations 4 to 8."""
    p = 1 / (1 + np.exp(-raw))
    half = np.abs(p - 0.5) < 1e-6
    q = np.where(half, 0.3, p)
    c = np.where(half, 2.0, 2 * np.arctanh(1 - 2 * q) / (1 - 2 * q))
    mean = np.where(half, 0.5, q / (2 * q - 1) + 1 / (2 * np.arctanh(1 - 2 * q)))
    return np.log(c) + x * np.log(p) + (1 - x) * np.log1p(-p), mean


def categorical(x: Array, raw: Array) -> tuple[Array, Array]:
    p = softmax(raw, -1)
    picked = np.take_along_axis(p, x.astype(int)[..., None], -1)[..., 0]
    return np.log(picked), p.argmax(-1).astype(float)


def of(frozen: object, x: Array, log: str = "logpdf") -> tuple[Array, Array]:
    """log p(x) and the mean of a frozen SciPy distribution."""
    return getattr(frozen, log)(x), np.broadcast_to(frozen.mean(), x.shape)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Case:
    """One head: SciPy's (log p, mean) of x and raw, the whole of its support, refused values."""

    name: str
    reference: Callable[[Array, Array], tuple[Array, Array]]
    grid: Array
    bad: tuple[float, ...]


SHARED = math.exp(GAIN * 0.05)
PER_FEATURE = np.exp(GAIN * THETA.numpy())
LINE = np.linspace(-60, 60, 120_001)
UNIT = np.linspace(0, 1, 4001)
COUNT = np.arange(0.0, 4000.0)
NOT_UNIT = (-0.01, 1.01, math.inf, -math.inf)
NOT_COUNT = (-1.0, 0.5, math.inf, -math.inf)

TABLE = [
    Case("gaussian", lambda x, r: of(stats.norm(r[..., 0], SHARED), x), LINE, ()),
    Case("gaussian_fixed", lambda x, r: of(stats.norm(r[..., 0], 1.0), x), LINE, ()),
    Case("gaussian_feature", lambda x, r: of(stats.norm(r[..., 0], PER_FEATURE), x), LINE, ()),
    Case("gaussian_sample", lambda x, r: of(stats.norm(r[..., 0], np.exp(r[..., 1])), x), LINE, ()),
    Case("laplace", lambda x, r: of(stats.laplace(r[..., 0], SHARED), x), LINE, ()),
    Case(
        "bernoulli",
        lambda x, r: of(stats.bernoulli(1 / (1 + np.exp(-r[..., 0]))), x, "logpmf"),
        np.array([0.0, 1.0]),
        NOT_UNIT,
    ),
    Case("continuous_bernoulli", lambda x, r: continuous_bernoulli(x, r[..., 0]), UNIT, NOT_UNIT),
    Case("categorical", categorical, np.arange(float(N_CATEGORIES)), (-1.0, 3.0, 0.5, math.inf)),
    Case(
        "poisson", lambda x, r: of(stats.poisson(np.exp(r[..., 0])), x, "logpmf"), COUNT, NOT_COUNT
    ),
    Case(
        "negative_binomial",
        lambda x, r: of(
            stats.nbinom(PER_FEATURE, PER_FEATURE / (PER_FEATURE + np.exp(r[..., 0]))), x, "logpmf"
        ),
        COUNT,
        NOT_COUNT,
    ),
]
NAMES = [case.name for case in TABLE]
EVERY = pytest.mark.parametrize("case", TABLE, ids=NAMES)
SHAPES = [(D,), (1, 4, 4)]


def head_of(name: str, shape: tuple[int, ...] = (D,)) -> Likelihood:
    """The head in float64 with a theta that is not 0."""
    head = likelihood(name, shape, N_CATEGORIES).double()
    assert isinstance(head, Likelihood)
    with torch.no_grad():
        for theta in head.parameters():
            theta.copy_(THETA[0] if theta.ndim == 0 or shape != (D,) else THETA)
    return head


def raw_of(head: Likelihood, n: int, shape: tuple[int, ...] = (D,)) -> Tensor:
    with fork(2):
        return torch.randn(n, *shape, head.n_raw, dtype=torch.float64)


def test_the_table_is_complete() -> None:
    assert tuple(NAMES) == LIKELIHOODS


@EVERY
def test_log_density_and_expectation_are_scipys(case: Case) -> None:
    head = head_of(case.name)
    raw, x = raw_of(head, 200), supported(case.name, 200, (D,))
    p = head(raw)
    log_p, mean = case.reference(x.numpy(), raw.numpy())
    np.testing.assert_allclose(p.log_prob(x).detach().numpy(), log_p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(head.expectation(p).detach().numpy(), mean, rtol=1e-6, atol=1e-9)


@EVERY
def test_the_density_sums_to_one_and_its_mean_is_the_expectation(case: Case) -> None:
    head = head_of(case.name)
    raw = raw_of(head, 2)
    p = head(raw)
    grid = torch.tensor(case.grid)
    density = p.log_prob(grid[:, None, None]).exp().detach()
    continuous = case.grid[1] - case.grid[0] < 0.5
    add = (lambda y: torch.trapezoid(y, grid, dim=0)) if continuous else (lambda y: y.sum(0))
    torch.testing.assert_close(add(density), torch.ones_like(density[0]), rtol=0, atol=1e-6)
    if head.support != "category":
        mean = add(density * grid[:, None, None])
        torch.testing.assert_close(mean, head.expectation(p).detach(), rtol=1e-5, atol=1e-6)


@EVERY
def test_a_rescaled_distribution_is_the_one_of_the_same_raw_outputs(case: Case) -> None:
    head = head_of(case.name)
    raw, x = raw_of(head, 20), supported(case.name, 20, (D,))
    p = head(raw)
    if head.free_scale:
        head.calibrate(torch.tensor([0.3, 2.0, 5.0], dtype=torch.float64))
    now = head.rescaled(p).log_prob(x)
    torch.testing.assert_close(now, head(raw).log_prob(x))
    assert torch.equal(now, p.log_prob(x)) != head.free_scale


@pytest.mark.parametrize("raw", [-1e-3, 0.0, 1e-5, 1e-3])
def test_the_continuous_bernoulli_is_smooth_where_its_formula_is_0_over_0(raw: float) -> None:
    head = likelihood("continuous_bernoulli", (1,))
    r = torch.full((1, 1, 1), raw, dtype=torch.float64, requires_grad=True)
    log_p = head(r).log_prob(torch.full((1, 1), 0.3, dtype=torch.float64)).sum()
    (slope,) = torch.autograd.grad(log_p, r)
    assert abs(log_p.item()) < 1e-3  # uniform
    assert abs(slope.item() - (0.3 - 0.5)) < 1e-3


@EVERY
@pytest.mark.parametrize("shape", SHAPES)
def test_the_support_is_checked_and_missing_entries_are_not(
    case: Case, shape: tuple[int, ...]
) -> None:
    head = head_of(case.name, shape)
    x = supported(case.name, 20, shape)
    head.check(x)
    x[3].flatten()[0] = math.nan
    head.check(x)
    for value in case.bad:
        wrong = x.clone()
        wrong[5].flatten()[1] = value
        with pytest.raises(DataError) as caught:
            head.check(wrong)
        assert case.name in str(caught.value)
        assert caught.value.remedy


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_log_density_is_never_below_float32(case: Case, dtype: torch.dtype) -> None:
    head = likelihood(case.name, (D,), N_CATEGORIES)
    flat = raw_of(head, 10).movedim(-1, 1).flatten(1).to(dtype)
    p = head.distribution(flat, (D,))
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    x = supported(case.name, 10, (D,), dtype=wide)
    assert p.log_prob(x).dtype == wide
    assert p.log_prob(x).isfinite().all()


@EVERY
@pytest.mark.parametrize("shape", SHAPES)
def test_raw_outputs_come_feature_by_feature_for_each_in_turn(
    case: Case, shape: tuple[int, ...]
) -> None:
    head = head_of(case.name, shape)
    raw = raw_of(head, 6, shape)
    flat = torch.cat([raw[..., r].flatten(1) for r in range(head.n_raw)], 1)
    assert flat.shape == (6, head.n_raw * math.prod(shape))
    x = supported(case.name, 6, shape)
    p, expected = head.distribution(flat, shape), head(raw)
    assert p.batch_shape == (6, *shape)
    torch.testing.assert_close(p.log_prob(x), expected.log_prob(x))
    # any number of leading dimensions
    assert head.distribution(flat.expand(4, -1, -1), shape).batch_shape == (4, 6, *shape)


@EVERY
@pytest.mark.parametrize("variational", [False, True])
def test_images_pass_through_an_autoencoder(case: Case, variational: bool) -> None:
    shape = (1, 4, 4)
    model = small(shape, likelihood=case.name, beta=1.0 if variational else None)
    x = supported(case.name, 5, shape)
    trace = model.trace(x, n_draws=3)
    assert trace.p.batch_shape == (3, 5, *shape)
    assert trace.log_likelihood().shape == (3, 5)
    assert model.likelihood.expectation(model.decode(trace.z[0])).shape == x.shape


@EVERY
def test_extreme_outputs_leave_loss_and_gradient_finite(case: Case) -> None:
    head = likelihood(case.name, (1,), N_CATEGORIES)
    x = supported(case.name, 8, (1,), dtype=torch.float32)
    for size in (-1e4, -50.0, 50.0, 1e4):
        raw = torch.full((8, 1, head.n_raw), size, requires_grad=True)
        loss = -head(raw).log_prob(x).sum()
        (slope,) = torch.autograd.grad(loss, raw)
        assert loss.isfinite()
        assert slope.isfinite().all()


# name, nll at the optimum as a function of the scale of each feature, power of the residual
FREE_SCALE = [
    ("gaussian", lambda s: 0.5 * (1 + np.log(2 * math.pi * s**2)), 2),
    ("gaussian_feature", lambda s: 0.5 * (1 + np.log(2 * math.pi * s**2)), 2),
    ("gaussian_sample", lambda s: 0.5 * (1 + np.log(2 * math.pi * s**2)), 2),
    ("laplace", lambda s: 1 + np.log(2 * s), 1),
]


@pytest.mark.parametrize(("name", "nll_at", "power"), FREE_SCALE)
def test_calibration_is_the_closed_form_optimum(
    name: str, nll_at: Callable[[Array], Array], power: int
) -> None:
    head = head_of(name)
    x = supported(name, 400, (D,)) * torch.tensor([0.2, 1.0, 3.0])
    raw = raw_of(head, 400)
    raw[..., 1:] = 0.0
    residual = (x - raw[..., 0]).abs().pow(power).mean(0)
    assert head.power == power
    head.calibrate(residual)

    def nll(shift: float = 0.0) -> float:
        moved = raw.clone()
        with torch.no_grad():
            head.log_value.add_(shift)
            value = -head(moved).log_prob(x).sum(1).mean()
            head.log_value.sub_(shift)
        return float(value)

    # identity 9: D/2 (1 + ln 2πσ²) with σ² the mean squared error per entry
    mean = residual if name == "gaussian_feature" else residual.mean().expand(D)
    assert nll() == pytest.approx(float(nll_at(mean.numpy() ** (1 / power)).sum()), rel=1e-12)
    assert nll() < min(nll(-0.01), nll(0.01))
    for theta in head.parameters():
        loss = -head(raw).log_prob(x).sum(1).mean()
        (slope,) = torch.autograd.grad(loss, theta)
        assert slope.abs().max() < 1e-9


def test_a_fixed_scale_stays() -> None:
    head = Gaussian("fixed", value=0.7)
    head.calibrate(torch.tensor([4.0]))
    assert float(head.scale(torch.zeros(1, 1))) == pytest.approx(0.7)


@pytest.mark.parametrize("head", [Gaussian(), Laplace()], ids=["gaussian", "laplace"])
def test_a_scale_of_noiseless_data_stops_at_its_floor(head: Likelihood) -> None:
    head.calibrate(torch.zeros(3))
    x = torch.zeros(2, 3)
    torch.testing.assert_close(head(x.unsqueeze(-1)).scale, torch.full_like(x, MIN_SCALE))
    assert head(torch.zeros(2, 3, 1)).log_prob(x).isfinite().all()


@pytest.mark.parametrize(
    "name", ["gaussian", "gaussian_fixed", "gaussian_feature", "gaussian_sample", "laplace"]
)
def test_the_raw_target_of_a_location_is_the_data(name: str) -> None:
    x = supported(name, 20, (D,))
    head = likelihood(name, (D,)).double()
    assert torch.equal(head.expectation(head(head.raw_target(x))), x)


# what the expectation at the raw target of x is: x, but for the smoothing
LINKS: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("bernoulli", lambda x: x.clamp(0.05, 0.95)),
    ("categorical", lambda x: x),
    ("poisson", lambda x: x + 0.5),
    ("negative_binomial", lambda x: x + 0.5),
]


@pytest.mark.parametrize(("name", "smoothed"), LINKS)
def test_the_raw_target_is_the_link_of_smoothed_data(
    name: str, smoothed: Callable[[Tensor], Tensor]
) -> None:
    x = supported(name, 20, (D,))
    head = head_of(name)
    mean = head.expectation(head(head.raw_target(x))).double()
    torch.testing.assert_close(mean, smoothed(x), rtol=1e-9, atol=1e-9)


@EVERY
def test_raw_targets_are_finite_and_have_the_shape_of_raw_outputs(case: Case) -> None:
    for shape in SHAPES:
        head = head_of(case.name, shape)
        target = head.raw_target(supported(case.name, 5, shape))
        assert target.shape == (5, *shape, head.n_raw)
        assert target.isfinite().all()


def test_a_negative_binomial_without_dispersion_is_a_poisson() -> None:
    head = NegativeBinomial((D,)).double()
    with torch.no_grad():
        head.theta.fill_(1.0)  # r = e¹⁰
    raw, x = raw_of(head, 50), supported("poisson", 50, (D,))
    near, limit = head(raw).log_prob(x), Poisson()(raw).log_prob(x)
    assert (near - limit).abs().max() < 200 * math.exp(-10)


def test_its_variance_is_mean_plus_mean_squared_over_r() -> None:
    head = head_of("negative_binomial")
    p = head(raw_of(head, 10))
    r = torch.tensor(PER_FEATURE)
    torch.testing.assert_close(p.variance, p.mean + p.mean.square() / r, rtol=1e-9, atol=1e-9)


@pytest.mark.data
def test_bernoulli_on_grey_pixels_has_their_entropy_as_its_floor() -> None:
    x = mnist(10_000)
    p = Bernoulli()(x.logit(eps=1e-12).unsqueeze(-1))
    # identity 11
    assert float(-p.log_prob(x).sum(1).mean()) == pytest.approx(45.534, abs=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: likelihood("gauss", (D,)),
        lambda: Gaussian("free"),  # type: ignore[arg-type]
        lambda: Gaussian(value=0.0),
        lambda: Laplace(value=math.inf),
        lambda: Categorical(1),
    ],
)
def test_a_wrong_parameter_is_refused(make: Callable[[], Likelihood]) -> None:
    with pytest.raises(InvalidParameterError, match="must be"):
        make()


def test_a_scale_is_not_put_through_an_output_of_ones_own() -> None:
    class Doubled(Gaussian):
        def forward(self, raw: Tensor) -> Distribution:
            return Normal(2 * raw[..., 0], self.scale(raw))

    head = Doubled()
    assert head.rescaled(head(torch.ones(2, 3, 1))) is None  # asked for again
    ours = Gaussian()
    p = ours(torch.ones(2, 3, 1))
    assert torch.equal(ours.rescaled(p).mean, p.mean)
