"""Laws of the metrics of rows: errors by feature, bits, likelihoods, how a row is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kurtosis, laplace, norm, poisson
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from isthmus.data.bundled import load
from isthmus.evaluation import exhibits, likelihood_fit
from isthmus.evaluation.picture import grid_of, picture
from isthmus.evaluation.reconstruction import (
    bits_per_dimension,
    feature_error,
    feature_variance,
    r2,
    squared_error,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 6)) @ RNG.normal(size=(6, 6))
Y = PCA(3).fit_transform(X) @ PCA(3).fit(X).components_ + X.mean(0)


def test_r2_is_scikit_learns() -> None:
    found = r2(feature_error(X, Y), feature_variance(X))
    np.testing.assert_allclose(found, r2_score(X, Y, multioutput="raw_values"))
    left = feature_error(X, Y).sum() / feature_variance(X).sum()
    assert left == pytest.approx(1 - r2_score(X, Y, multioutput="variance_weighted"))


def test_errors_by_feature_add_up_to_those_by_row() -> None:
    assert feature_error(X, Y).sum() == pytest.approx(squared_error(X, Y).mean())


def test_by_feature_only_the_rows_that_have_it_count() -> None:
    x = X.copy()
    x[::3, 2] = np.nan
    there = ~np.isnan(x[:, 2])
    expected = np.square(X[there, 2] - Y[there, 2]).mean()
    assert feature_error(x, Y)[2] == pytest.approx(expected)
    assert feature_variance(x)[2] == pytest.approx(X[there, 2].var())
    x[:, 4] = np.nan
    assert np.isnan(feature_error(x, Y)[4])


def test_bits_are_those_of_a_fair_coin() -> None:
    nats = np.full(7, 10 * math.log(0.5))
    assert bits_per_dimension(nats, np.full(7, 10)) == pytest.approx(1.0)
    # differential bits of a standard normal
    x = RNG.normal(size=(4000, 5))
    bits = bits_per_dimension(norm.logpdf(x).sum(1), np.full(4000, 5))
    assert bits == pytest.approx(0.5 * math.log2(2 * math.pi * math.e), abs=0.02)


# ------------------------------------------------------------------ likelihoods


def test_costs_are_the_maximum_likelihood_of_scipy() -> None:
    r = RNG.normal(size=(3000, 4)) * np.array([1.0, 2.0, 0.5, 1.0])
    cost = likelihood_fit.location_scale(r)
    shared = norm(0, math.sqrt(np.square(r).mean()))
    each = norm(0, np.sqrt(np.square(r).mean(0)))
    two_sided = laplace(0, np.abs(r).mean())
    assert cost.gaussian == pytest.approx(-shared.logpdf(r).sum(1).mean())
    assert cost.gaussian_feature == pytest.approx(-each.logpdf(r).sum(1).mean())
    assert cost.laplace == pytest.approx(-two_sided.logpdf(r).sum(1).mean())
    assert cost.gain("gaussian_feature") > 0.4


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_likelihood_of_the_residuals_wins(missing: float) -> None:
    def gain(r: np.ndarray) -> float:
        r[RNG.uniform(size=r.shape) < missing] = np.nan
        return likelihood_fit.location_scale(r).gain("laplace") / 5

    assert gain(RNG.laplace(size=(5000, 5))) > 0.05 * (1 - missing)
    assert gain(RNG.normal(size=(5000, 5))) < -0.03 * (1 - missing)


def test_counts_have_scipys_poisson_and_its_dispersion() -> None:
    mean = RNG.uniform(1, 9, (4000, 3))
    x = RNG.poisson(mean).astype(float)
    expected = -poisson(mean).logpmf(x).sum(1).mean()
    assert likelihood_fit.poisson(x, mean) == pytest.approx(expected)
    assert likelihood_fit.dispersion(x, mean) == pytest.approx(1.0, abs=0.05)
    wide = RNG.negative_binomial(3, 3 / (3 + mean)).astype(float)  # variance μ + μ²/3
    assert likelihood_fit.dispersion(wide, mean) == pytest.approx((1 + mean / 3).mean(), rel=0.1)


def test_kurtosis_is_scipys() -> None:
    r = RNG.standard_t(6, size=(5000, 1)) * 3
    r -= r.mean()
    assert likelihood_fit.excess_kurtosis(r) == pytest.approx(kurtosis(r[:, 0]))


def test_grey_pixels_cannot_cost_less_than_their_entropy() -> None:
    x = RNG.uniform(size=(50, 8))
    floor = likelihood_fit.grey_floor(x)
    for made in (x, np.clip(x + 0.05, 0.01, 0.99)):
        cost = -(x * np.log(made) + (1 - x) * np.log(1 - made)).sum(1).mean()
        assert cost >= floor - 1e-9
    assert likelihood_fit.grey_floor(np.round(x)) == 0.0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1], "binary"),
        ([0, 0.5], "grey"),
        ([0, 3], "counts"),
        ([-1, 3], "real"),
        ([0.1, 3], "real"),
    ],
)
def test_kinds_of_values(values: list[float], kind: str) -> None:
    assert likelihood_fit.values_kind(np.array([[*values, np.nan]])) == kind


# ------------------------------------------------------------------ pictures


def waves(n: int, d: int) -> np.ndarray:
    """(n, d) heart beats of a kind: three bumps of varying height and place."""
    t, rng = np.linspace(0, 1, d), np.random.default_rng(0)
    bumps = [(0.3, 0.2, 0.05), (1.0, 0.45, 0.03), (0.4, 0.7, 0.08)]
    rows = [
        sum(
            (height + 0.1 * rng.normal())
            * np.exp(-(((t - place - 0.02 * rng.normal()) / width) ** 2))
            for height, place, width in bumps
        )
        for _ in range(n)
    ]
    return np.array(rows) + 0.02 * rng.normal(size=(n, d))


DIGITS = load_digits().data
SHUFFLED = DIGITS[:, np.random.default_rng(1).permutation(64)]


@pytest.mark.parametrize(
    ("x", "kind", "shape"),
    [
        (DIGITS, "image", (8, 8)),
        (DIGITS[:40], "image", (8, 8)),
        (SHUFFLED, "table", None),
        (waves(200, 140), "series", None),
        (waves(200, 144), "series", None),
        (np.cumsum(RNG.normal(size=(300, 100)), axis=1), "series", None),
        (RNG.normal(size=(300, 64)), "table", None),
        (load_wine().data, "table", None),
        (load_breast_cancer().data, "table", None),
        (load_diabetes().data, "table", None),
        (np.ones((10, 64)), "table", None),
    ],
)
def test_how_rows_are_drawn(x: np.ndarray, kind: str, shape: tuple[int, int] | None) -> None:
    found = picture(x)
    assert (found.kind, found.shape) == (kind, shape)
    holes = np.where(RNG.uniform(size=x.shape) < 0.02, np.nan, x)
    assert picture(holes).kind == kind


def test_names_tell_the_grid_where_they_count_one() -> None:
    assert picture(SHUFFLED, load("digits").names).shape == (8, 8)
    assert picture(DIGITS[:, :6], [f"r{i}c{j}" for i in range(3) for j in range(2)]).shape == (3, 2)
    assert grid_of([f"p_{i}_{j}" for j in range(2) for i in range(3)]) is None
    assert grid_of(["q1_2020", "q1_2021", "q2_2021"]) is None
    assert grid_of(load("wine").names or ()) is None


# ------------------------------------------------------------------ exhibits


def test_the_map_is_the_principal_plane_of_the_code() -> None:
    codes = RNG.normal(size=(100, 5)) * np.array([1, 5, 2, 0.1, 3])
    found, words = exhibits.plane(codes)
    expected = PCA(2, svd_solver="full").fit_transform(codes)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    assert "first principal axis" in words["x"]
    np.testing.assert_array_equal(exhibits.plane(codes[:, :2])[0], codes[:, :2])
    line, _ = exhibits.plane(codes[:, :1])
    np.testing.assert_array_equal(np.argsort(line[:, 0]), np.argsort(line[:, 1]))


def test_a_traversal_moves_one_latent_only() -> None:
    codes = RNG.normal(size=(200, 3))
    found = exhibits.traversal(lambda z: z, codes, np.array([2, 0, 1]))
    assert found["traversal_latent"].tolist() == [2, 0, 1]
    for path, latent, values in zip(*(found[n] for n in found), strict=True):
        np.testing.assert_allclose(path[:, latent], values)
        others = [k for k in range(3) if k != latent]
        np.testing.assert_allclose(path[:, others], np.tile(codes.mean(0)[others], (9, 1)))


def test_pairs_are_of_different_rows_and_labels() -> None:
    labels = np.repeat([0, 1], 10)
    found = exhibits.pairs(20, labels, 6, seed=0)
    assert found.shape == (6, 2)
    assert (labels[found[:, 0]] != labels[found[:, 1]]).all()
    same = exhibits.pairs(20, np.zeros(20), 6, seed=0)
    assert (same[:, 0] != same[:, 1]).all()


def test_the_worst_rows_come_first_with_what_made_them_so() -> None:
    squares = RNG.uniform(size=(50, 4))
    squares[7, 2] = 30.0
    found = exhibits.outliers(squares.sum(1), lambda rows: squares[rows], squares.mean(0), 3)
    assert found["row"][0] == 7
    assert found["p"][0] == pytest.approx(1 / 50)
    assert found["contribution"][0].argmax() == 2
    assert found["contribution"].shape == (3, 4)
