"""How many dimensions: two-NN, factors, PCA's likelihood, and the rule that recommends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_swiss_roll
from sklearn.decomposition import PCA, FactorAnalysis

from isthmus.evaluation.dimensions import (
    Evidence,
    Factors,
    Local,
    plateau,
    ppca_log_likelihood,
    recommend,
)
from isthmus.evaluation.intrinsic import IntrinsicDimension, two_nn
from isthmus.evaluation.mixed_sizes import recommend_mixed


def subspace(n: int, d: int, n_features: int, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n_features, d)))[0]
    signal = rng.normal(size=(n, d)) @ axes.T * math.sqrt(n_features / d)
    return signal + noise * rng.normal(size=(n, n_features))


# ------------------------------------------------------------------ two-NN


@pytest.mark.parametrize(
    ("made", "d", "within"),
    [
        (lambda rng: rng.uniform(size=(2000, 1)), 1, 0.1),
        (lambda rng: rng.uniform(size=(2000, 2)), 2, 0.15),
        (lambda rng: rng.uniform(size=(2000, 5)), 5, 0.7),
        (lambda rng: rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 10)), 3, 0.3),
        (lambda rng: make_swiss_roll(2000, random_state=0)[0], 2, 0.15),
    ],
    ids=["line", "square", "cube of 5", "subspace", "roll"],
)
def test_two_nn_finds_known_dimensions(made, d, within):
    rows = made(np.random.default_rng(0))
    assert two_nn(rows).value == pytest.approx(d, abs=within)


def test_two_nn_is_the_maximum_of_the_likelihood():
    # Facco et al. 2017: the density of μ is d μ^(−d−1), whose log-likelihood is highest at n/Σ ln μ
    rows = np.random.default_rng(1).normal(size=(300, 3))
    found = two_nn(rows, subset=300)
    distance = np.sort(np.linalg.norm(rows[:, None] - rows[None], axis=2), axis=1)
    mu = distance[:, 2] / distance[:, 1]
    fit = stats.pareto.fit(mu, floc=0, fscale=1)[0]  # a Pareto density of that exponent
    assert found.value * len(mu) / (len(mu) - 1) == pytest.approx(fit, rel=1e-6)
    assert found.standard_error == pytest.approx(found.value / math.sqrt(len(mu)))


def test_two_nn_has_no_unit_and_no_place_and_counts_duplicates_once():
    rows = np.random.default_rng(2).normal(size=(300, 3))
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    once = two_nn(rows, subset=300).value
    assert two_nn(7.0 + 100.0 * rows @ turned, subset=300).value == pytest.approx(once, rel=1e-6)
    assert two_nn(np.repeat(rows, 3, axis=0), subset=300).value == pytest.approx(once)


def test_two_nn_says_when_it_cannot_tell():
    assert math.isnan(two_nn(np.ones((50, 3))).value)
    assert math.isnan(two_nn(np.arange(6.0).reshape(2, 3)).value)


def test_decimation_looks_over_noise():
    rng = np.random.default_rng(4)
    sheet = np.zeros((2000, 6))
    sheet[:, :2] = rng.uniform(0, 10, size=(2000, 2))
    noisy = sheet + 0.05 * rng.normal(size=sheet.shape)
    assert two_nn(noisy, subset=2000).value > 3.0
    assert two_nn(noisy).value < 2.5


@pytest.mark.parametrize("n_features", [4, 12])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_independent_features_fill_as_much_as_shuffled_ones_and_a_curve_does_not(n_features, seed):
    rng = np.random.default_rng(seed)
    assert Local.of(rng.exponential(size=(600, n_features)), None).fills
    t = rng.uniform(0, 2 * math.pi, 600)
    wound = np.stack([np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t)], axis=1)
    noisy = wound + 0.05 * rng.normal(size=wound.shape)
    assert abs(np.corrcoef(noisy.T) - np.eye(4)).max() < 0.15, "no factor sees it"
    assert not Local.of(noisy, None).fills


def test_values_on_a_grid_have_no_dimension():
    x = np.random.default_rng(0).integers(0, 3, size=(300, 5)).astype(float)
    assert math.isnan(two_nn(x).value)
    assert Local.of(x, None).fills


# ------------------------------------------------------------------ likelihoods


@pytest.mark.parametrize(("n", "n_features"), [(200, 6), (60, 3)])
def test_the_likelihood_of_pca_is_that_of_scikit_learn(n, n_features):
    x = subspace(n + 40, 2, n_features, 0.3, 0)
    train, held_out = x[:n], x[n:]
    values, vectors = np.linalg.eigh(np.cov(train.T, bias=True))
    found = ppca_log_likelihood(train.mean(0), vectors[:, ::-1].T, values[::-1], held_out)
    assert found.shape == (n_features, 40)
    unbiased = np.cov(train.T) * (n - 1) / n  # scikit-learn divides by N − 1
    np.testing.assert_allclose(unbiased, np.cov(train.T, bias=True))
    scale = math.sqrt((n - 1) / n)  # so that its eigenvalues are ours
    for k in range(1, n_features):
        theirs = PCA(k, svd_solver="full").fit(train.mean(0) + scale * (train - train.mean(0)))
        np.testing.assert_allclose(found[k], theirs.score_samples(held_out), rtol=1e-8)
    equal = stats.multivariate_normal(train.mean(0), values.mean() * np.eye(n_features))
    np.testing.assert_allclose(found[0], equal.logpdf(held_out))


def test_rows_of_a_covariance_give_the_factors_of_all_rows():
    x = subspace(400, 2, 6, 0.5, 1)
    factors = Factors([(x[:300], x[300:])])
    rng = np.random.default_rng(0)
    train, held_out = (part + 0.1 * rng.standard_normal(part.shape) for part in (x[:300], x[300:]))
    for k in (0, 2):
        theirs = FactorAnalysis(k, tol=1e-8, max_iter=5000).fit(train).score_samples(held_out)
        assert factors.log_likelihood(k).mean() == pytest.approx(theirs.mean(), abs=5e-3)


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_factors_find_a_linear_subspace(noise, seed):
    x = subspace(800, 5, 20, noise, seed)
    assert Factors([(x[:600], x[600:])]).dimension() == 5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_independent_features_have_no_factors_whatever_their_scales(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 8)) * rng.uniform(0.3, 1.5, 8)
    assert Factors([(x[:450], x[450:])]).dimension() == 0


def test_constant_and_duplicate_features_do_no_harm():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 1))
    x = np.hstack([z, z, np.zeros((300, 1)), rng.normal(size=(300, 1))])
    assert Factors([(x[:200], x[200:])]).dimension() == 1


def test_the_plateau_is_paired():
    common = 10.0 * np.random.default_rng(0).normal(size=200)
    wobble = np.tile([0.1, -0.1], 100)
    rows = np.stack([common, common + 1 + wobble, common + 1.001])
    assert plateau(rows) == 1, "the spread that all share does not hide a difference of 1"
    assert plateau(rows[:1]) == 0


# ------------------------------------------------------------------ the rule


def dimension(value: float) -> IntrinsicDimension:
    return IntrinsicDimension(value, 0.1, 500)


def where(linear: float, rows: float) -> Local:
    """Two-NN in the linear dimensions and of the rows; 9 with the columns shuffled."""
    return Local(dimension(linear), [(dimension(rows), dimension(9.0))])


def evidence(**changed) -> Evidence:
    """Five linear dimensions of ten, sizes 1 … 6."""
    local = where(4.9, 7.0)
    values = np.array([9.0, 7.0, 5.0, 3.0, 1.0, 0.9])
    known = {
        "n_features": 10,
        "linear": 5,
        "local": local,
        "sizes": [1, 2, 3, 4, 5, 6],
        "error": values,
        "pca_error": values,
        "total": 11.0,
        "bound": -values[:, None] + np.random.default_rng(0).normal(size=100),
    }
    return Evidence(**{**known, **changed})


ROLL = where(2.1, 3.0)
BENT = np.array([9.0, 1.1, 1.0, 1.0, 1.0, 0.9])


@pytest.mark.parametrize(
    ("changed", "k", "said"),
    [
        ({}, 5, "linear factors"),
        (
            {"linear": 0, "local": where(8.8, 8.8)},
            10,
            "Nothing compresses",
        ),
        # uncorrelated, but not independent: a circle
        ({"linear": 0, "local": where(7.0, 7.0)}, 6, "10 features"),
        ({"local": ROLL, "error": BENT}, 2, "curved sheet"),
        # PCA does it too, so nothing is curved; and too much is lost, so nothing is kept
        ({"local": ROLL, "error": BENT, "pca_error": BENT}, 5, "linear factors"),
        ({"local": ROLL}, 5, "linear factors"),
        # two-NN does not suggest fewer, so the autoencoder's fit is no sheet
        ({"error": BENT}, 5, "linear factors"),
        ({"local": where(math.nan, math.nan)}, 5, "linear factors"),
        ({"bound": np.minimum(np.arange(6), 2)[:, None] * np.ones(100)}, 3, "no longer rises"),
        ({"linear": 9}, 6, "nearest size"),
        (
            {
                "sizes": [2, 8],
                "error": BENT[:2],
                "pca_error": BENT[:2],
                "bound": np.arange(2.0)[:, None] + np.zeros(100),
            },
            8,
            "nearest size",
        ),
    ],
)
def test_the_rule(changed, k, said):
    recommended, reason = recommend(evidence(**changed))
    assert recommended == k, reason
    assert said in reason
    assert reason.count("..") == 0


# ------------------------------------------------------------------ mixed tables


@pytest.mark.parametrize(
    ("gains", "right", "said"),
    [
        ([0.0, -0.1], 5, "Nothing compresses"),
        (
            [30.0, 30.5, 30.5],
            2,
            "highest at 2: 2 components gain 30.5 nats a row over independent "
            "columns; the size before gains 30.0 nats",
        ),  # 1.6% of the gain, and clear
        ([30.0, 30.05], 1, "0.050 nats more: within the 0.10 nats"),
        ([1.0, 1.01], 1, "0.010 nats more: within the 0.020 nats"),
        ([30.0, 30.0998], 1, "0.0998 nats more: within the 0.1000 nats"),
        ([1.0, 1.1, 0.2, 1.1], 2, "highest at 2"),  # falls and rises again
        ([1.0, 2.0], 2, "highest at 2, the largest size compared"),
        ([1.0, 2.0, 3.0, 4.0], 4, "No smaller number will do"),
    ],
)
def test_the_rule_of_mixed_tables(gains, right, said):
    # all rows gain alike, so that a standard error is of rounding
    rows = np.random.default_rng(0).normal(size=300)
    bound = rows + np.array([0.0, *gains])[:, None]
    k, reason = recommend_mixed(5, range(1, len(gains) + 1), bound)
    assert (k, said in reason) == (right, True), reason


def test_a_difference_within_a_standard_error_is_said_to_be_one():
    rng = np.random.default_rng(0)
    rows, noise = rng.normal(size=(2, 300))
    loss = 0.3 + 20 * (noise - noise.mean())
    best = rows + 2.0 + loss
    k, reason = recommend_mixed(5, [1, 2], np.stack([rows, rows + 2.0, best]))
    assert k == 1
    assert reason.endswith(
        f"0.30 nats more: less than one standard error, {stats.sem(loss):.2g} nats."
    )
