"""Scaling: inverse, kinds, missing entries, and the log-Jacobian against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.preprocessing import StandardScaler

from isthmus.data.rows.scaling import DROWNING, KINDS, Scaling
from isthmus.errors import InvalidParameterError


def table(n: int = 50, d: int = 4, size: float = 1.0, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.linspace(1, 3, d) + rng.normal(size=d)
    return torch.tensor(x * size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [-30, -8, 0, 8, 30])
def test_invert_undoes_apply_at_every_magnitude(kind: str, exponent: int) -> None:
    x = table(size=10.0**exponent)
    scaling = Scaling.fit(x, kind)
    back = scaling.invert(scaling.apply(x, torch.float64))
    size = float(x.abs().max())
    torch.testing.assert_close(back / size, x / size, rtol=1e-12, atol=1e-12)
    if kind != "none":
        assert 0.1 < float(scaling.apply(x, torch.float64).std()) < 10


@pytest.mark.parametrize("kind", KINDS)
def test_apply_undoes_invert_and_float32_costs_rounding_only(kind: str) -> None:
    x = table()
    scaling = Scaling.fit(x, kind)
    z = scaling.apply(x, torch.float64)
    torch.testing.assert_close(
        scaling.apply(scaling.invert(z), torch.float64),
        z,
        rtol=0,
        atol=0.0 if kind == "none" else 1e-13,
    )
    rounded = scaling.apply(x)
    assert rounded.dtype == torch.float32
    assert scaling.invert(rounded).dtype == torch.float64
    torch.testing.assert_close(rounded, z.float(), rtol=0, atol=0)
    eps = torch.finfo(torch.float32).eps
    bound = eps * (z.abs().max() * scaling.scale.max())
    assert float((scaling.invert(rounded) - x).abs().max()) <= bound


def test_standard_is_that_of_scikit_learn() -> None:
    x = table()
    ours, theirs = Scaling.fit(x, "standard"), StandardScaler().fit(x.numpy())
    np.testing.assert_allclose(ours.shift, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-12)


def test_common_is_one_number_and_keeps_proportions() -> None:
    x = table()
    scaling = Scaling.fit(x, "common")
    assert len(scaling.scale.unique()) == 1
    assert float(scaling.scale[0]) == pytest.approx(math.sqrt(x.numpy().var(0).mean()))
    z = scaling.apply(x, torch.float64)
    torch.testing.assert_close(z.std(0) / z.std(0)[0], x.std(0) / x.std(0)[0])


def test_none_changes_nothing() -> None:
    x = table()
    scaling = Scaling.fit(x, "none")
    torch.testing.assert_close(scaling.apply(x, torch.float64), x, rtol=0, atol=0)
    assert float(scaling.log_jacobian.abs().sum()) == 0


@pytest.mark.parametrize(
    ("deviations", "chosen"),
    [
        ((1.0, 1.0, 1.0), "common"),
        ((1.0, 1.0, 0.99 * DROWNING), "common"),
        ((1.0, 1.0, 1.01 * DROWNING), "standard"),
        ((1e-9, 1.0, 1.0), "common"),  # a small one drowns nothing
        ((0.0, 1.0, 1.01 * DROWNING), "standard"),  # constants have no say
        ((0.0, 0.0, 1.0), "common"),
        ((0.0, 0.0, 0.0), "common"),
    ],
)
def test_the_rule_of_auto(deviations: tuple[float, ...], chosen: str) -> None:
    column = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(10)[:, None]
    scaling = Scaling.fit(column * torch.tensor(deviations, dtype=torch.float64))
    assert scaling.kind == chosen
    assert bool((scaling.scale > 0).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e8, 1e-12])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_constants_become_zeros_and_come_back(kind: str, value: float, dtype: torch.dtype) -> None:
    x = table().to(dtype)
    x[:, 1] = value
    scaling = Scaling.fit(x, kind)
    z = scaling.apply(x, torch.float64)
    assert bool(z.isfinite().all())
    if kind != "none":
        assert float(z[:, 1].abs().max()) <= 1e-6 * max(1.0, abs(value))
    torch.testing.assert_close(scaling.invert(z), x.double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["common", "standard"])
def test_what_may_be_rounding_stays_small(kind: str) -> None:
    x = table().float()
    x[:, 1] = 1e8 + 50 * x[:, 1]  # float32 steps by 8 there
    assert float(Scaling.fit(x, kind).apply(x)[:, 1].abs().max()) < 5
    x = table()
    x[:, 1] = 1e20 / 3  # a mean of float64 is off by thousands there
    assert float(Scaling.fit(x, kind).apply(x)[:, 1].abs().max()) < 1


@pytest.mark.parametrize("kind", KINDS)
def test_missing_entries_are_left_out(kind: str) -> None:
    x = table()
    holes = x.clone()
    holes[torch.arange(50), torch.arange(50) % 4] = torch.nan
    scaling = Scaling.fit(holes, kind)
    assert bool(scaling.shift.isfinite().all() and scaling.scale.isfinite().all())
    if kind != "none":
        np.testing.assert_allclose(scaling.shift, np.nanmean(holes.numpy(), 0), rtol=1e-12)
    if kind == "standard":
        np.testing.assert_allclose(scaling.scale, np.nanstd(holes.numpy(), 0), rtol=1e-12)
    there = ~holes.isnan()
    z = scaling.apply(holes, torch.float64)
    assert bool((z.isnan() == ~there).all())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_in_another_order_or_beyond_one_chunk_change_nothing(kind: str) -> None:
    x = table(n=20000)
    a, b = Scaling.fit(x, kind), Scaling.fit(x.flip(0), kind)
    torch.testing.assert_close(a.shift, b.shift, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(a.scale, b.scale, rtol=1e-12, atol=1e-12)
    if kind == "standard":
        np.testing.assert_allclose(a.scale, x.numpy().std(0), rtol=1e-12)
    torch.testing.assert_close(a.apply(x)[9000:9003], a.apply(x[9000:9003]), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_log_jacobian_is_that_of_the_density(kind: str) -> None:
    """The density of x as the derivative of the distribution function of the scaled x."""
    x = table(d=3) * torch.tensor([1.0, 20.0, 0.01])
    scaling = Scaling.fit(x, kind)
    row, step = x[7], 1e-5 * scaling.scale
    upper = stats.norm.cdf((row + step - scaling.shift) / scaling.scale)
    lower = stats.norm.cdf((row - step - scaling.shift) / scaling.scale)
    by_differences = np.log((upper - lower) / (2 * step.numpy()))
    scaled = scaling.apply(x[7:8], torch.float64)[0].numpy()
    by_jacobian = stats.norm.logpdf(scaled) + scaling.log_jacobian.numpy()
    np.testing.assert_allclose(by_jacobian, by_differences, rtol=1e-5, atol=1e-5)


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameterError, match="scaling='minmax' must be one of auto"):
        Scaling.fit(table(), "minmax")  # type: ignore[arg-type]
