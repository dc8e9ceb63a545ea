"""Laws of `isthmus.evaluation`: each figure against a closed form, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from isthmus.evaluation import sensitivity, smoothness
from isthmus.evaluation.reconstruction import (
    Difference,
    difference,
    nearest_squared_distance,
    squared_error,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 6)) @ RNG.normal(size=(6, 6))


def test_the_squared_error_of_pca_is_what_it_discards() -> None:
    pca = PCA(3).fit(X)
    error = squared_error(X, pca.inverse_transform(pca.transform(X)))
    discarded = PCA().fit(X).explained_variance_[3:].sum() * (len(X) - 1) / len(X)
    np.testing.assert_allclose(error.mean(), discarded)


def test_missing_entries_add_nothing() -> None:
    x, y = X.copy(), X + 1.0
    x[:, 0] = np.nan
    np.testing.assert_allclose(squared_error(x, y), squared_error(X[:, 1:], y[:, 1:]))
    y[0, 1] = np.nan  # a reconstruction that is no number is not a perfect one
    np.testing.assert_array_equal(np.isnan(squared_error(x, y)), np.arange(len(x)) == 0)


def test_the_nearest_is_scipys() -> None:
    x, reference = X[:300], X[300:]
    expected = cdist(x, reference, "sqeuclidean").min(1)
    np.testing.assert_allclose(nearest_squared_distance(x, reference), expected)
    assert nearest_squared_distance(reference, reference).max() == 0.0


def test_a_difference_is_that_of_a_paired_t_test() -> None:
    from scipy.stats import ttest_rel

    a, b = X[:, 0], X[:, 1] + 0.3
    found = difference(a, b)
    np.testing.assert_allclose(found.mean / found.standard_error, ttest_rel(a, b).statistic)
    assert difference(b, a).mean == -found.mean


@pytest.mark.parametrize(("mean", "sign"), [(-2.1, -1), (-1.9, 0), (0.0, 0), (1.9, 0), (2.1, 1)])
def test_a_difference_is_clear_beyond_two_standard_errors(mean: float, sign: int) -> None:
    assert Difference(mean, 1.0).sign == sign


def encoder(scale: NDArray[np.float64]) -> torch.nn.Module:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    net.append(torch.nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        net[-1].weight.copy_(torch.diag(torch.from_numpy(scale)))
    return net.double()


SCALES = [np.ones(3), np.array([0.01, 0.01, 0.01]), np.array([10.0, 0.3, -2.0])]


def test_the_jacobian_is_that_of_finite_differences() -> None:
    net, x = encoder(np.ones(3)), torch.from_numpy(X[:300])
    found = sensitivity.jacobian(net, x)
    h = 1e-6
    for d in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[d] = h
        with torch.no_grad():
            slope = (net(x + step) - net(x - step)) / (2 * h)
        np.testing.assert_allclose(found[:, :, d], slope.numpy(), atol=1e-7)
    assert not torch.from_numpy(found).requires_grad


@pytest.mark.parametrize("scale", SCALES)
def test_the_scaled_norm_does_not_know_the_scale_of_the_code(scale: NDArray[np.float64]) -> None:
    x = torch.from_numpy(X)

    def scaled(by: NDArray[np.float64]) -> NDArray[np.float64]:
        net = encoder(by)
        codes = net(x).detach().numpy()
        return sensitivity.norm(sensitivity.jacobian(net, x), codes.std(0))

    np.testing.assert_allclose(scaled(scale), scaled(np.ones(3)))


def test_whitening_has_the_sensitivity_of_its_eigenvalues() -> None:
    pca = PCA(3, whiten=True).fit(X)
    slope = pca.components_ / np.sqrt(pca.explained_variance_)[:, None]
    expected = np.sqrt((1 / pca.explained_variance_).sum())
    np.testing.assert_allclose(sensitivity.norm(slope[None]), expected)
    codes = pca.transform(X)
    scaled = sensitivity.norm(slope[None], codes.std(0, ddof=1))
    np.testing.assert_allclose(scaled, expected)


@pytest.mark.parametrize("step", [0.01, 0.25, 1.0])
@pytest.mark.parametrize("scale", SCALES)
def test_pca_is_the_unit_of_neighbour_change(step: float, scale: NDArray[np.float64]) -> None:
    pca = PCA(3).fit(X)
    codes = pca.transform(X) * scale

    def decode(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(pca.inverse_transform(z / scale))

    change = smoothness.neighbour_change(decode, codes, step=step, n_draws=64)
    assert change.shape == (len(X),)
    np.testing.assert_allclose(change.mean(), 1.0, rtol=0.02)


def test_a_rougher_decoder_changes_more_and_a_constant_one_not_at_all() -> None:
    z = RNG.normal(size=(500, 1))

    def change(frequency: float) -> float:
        return float(smoothness.neighbour_change(lambda z: np.sin(frequency * z), z).mean())

    assert change(0.1) < change(2.0) < change(8.0)
    assert smoothness.neighbour_change(lambda z: np.ones((len(z), 2)), z).max() == 0.0


def test_neighbours_are_the_same_at_every_call() -> None:
    z = RNG.normal(size=(50, 2))
    first, second = (smoothness.neighbour_change(np.tanh, z, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_walk_is_even_and_straight() -> None:
    a, b = X[0], X[1]
    points = smoothness.walk(a, b, 5)
    np.testing.assert_allclose(points[0], a)
    np.testing.assert_allclose(points[-1], b)
    np.testing.assert_allclose(np.diff(points, axis=0), np.tile((b - a) / 4, (4, 1)))
