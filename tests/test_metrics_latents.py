"""Laws of `isthmus.evaluation.latents`: Gaussian codes, whose information is a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.decomposition import PCA
from torch.distributions import Normal, kl_divergence

from isthmus.evaluation import latents

RNG = np.random.default_rng(0)
N = 1500


def gaussian_channel(gain: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes with means gain·N(0, 1) and a fixed variance: q(z) = N(0, gain² + variance)."""
    means = RNG.normal(size=(N, len(gain))) * gain
    return means, np.broadcast_to(variance, means.shape)


def test_the_kl_is_torchs() -> None:
    m, v = RNG.normal(size=(50, 3)), RNG.uniform(0.01, 3, (50, 3))
    theirs = kl_divergence(
        Normal(torch.from_numpy(m), torch.from_numpy(v).sqrt()), Normal(0.0, 1.0)
    )
    np.testing.assert_allclose(latents.kl_normal(m, v), theirs.numpy(), rtol=1e-6, atol=1e-12)


CHANNELS = [
    (np.array([0.0]), np.array([1.0])),
    (np.array([0.9]), np.array([0.19])),
    (np.array([0.8, 0.3]), np.array([0.36, 0.91])),
    (np.array([2.0]), np.array([0.5])),
]


@pytest.mark.parametrize(("gain", "variance"), CHANNELS)
def test_mutual_information_is_that_of_a_gaussian_channel(
    gain: np.ndarray, variance: np.ndarray
) -> None:
    means, variances = gaussian_channel(gain, variance)
    found = latents.mutual_information(means, variances, n_draws=8)
    # the capacity formula ½ ln(1 + signal / noise), far below the ceiling ln N
    assert found == pytest.approx(0.5 * np.log1p(gain**2 / variance).sum(), abs=0.04)


@pytest.mark.parametrize(("gain", "variance"), CHANNELS)
def test_the_rate_is_information_plus_distance_from_the_prior(
    gain: np.ndarray, variance: np.ndarray
) -> None:
    means, variances = gaussian_channel(gain, variance)
    rate = latents.kl_normal(means, variances).sum(1).mean()
    apart = rate - latents.mutual_information(means, variances, n_draws=8)
    total = gain**2 + variance
    assert apart == pytest.approx(0.5 * (total - 1 - np.log(total)).sum(), abs=0.06)
    marginal = latents.marginal_divergence(means, variances, n_draws=8)
    np.testing.assert_allclose(marginal, 0.5 * (total - 1 - np.log(total)), atol=0.06)


def test_information_is_at_most_the_number_of_rows() -> None:
    means = np.linspace(-1000, 1000, 64)[:, None]
    found = latents.mutual_information(means, np.full_like(means, 1e-4))
    assert found == pytest.approx(math.log(64))


def test_dependence_between_latents_is_what_the_marginals_do_not_see() -> None:
    t = RNG.normal(size=(N, 1))
    means = np.hstack([t, t]) * math.sqrt(0.9)
    variances = np.full_like(means, 0.1)
    marginal = latents.marginal_divergence(means, variances, n_draws=8).sum()
    assert marginal == pytest.approx(0.0, abs=0.05)
    rate = latents.kl_normal(means, variances).sum(1).mean()
    apart = rate - latents.mutual_information(means, variances, n_draws=8)
    # q(z) = N(0, [[1, 0.9], [0.9, 1]]), whose divergence from N(0, I) is −½ ln(1 − 0.81)
    assert apart == pytest.approx(-0.5 * math.log(1 - 0.81), abs=0.08)


def test_the_aggregate_is_a_mixture() -> None:
    m, v = RNG.normal(size=(20, 1)), RNG.uniform(0.1, 2, (20, 1))
    z = np.linspace(-4, 4, 9)[:, None]
    expected = np.log(norm(m[:, 0], np.sqrt(v[:, 0])).pdf(z).mean(1))
    np.testing.assert_allclose(latents.log_aggregate(z, m, v), expected, rtol=1e-10)


def test_active_units_are_those_whose_mean_moves() -> None:
    scale = np.array([1.0, 0.2, 0.09, 0.0])
    means = RNG.normal(size=(5000, 4)) * scale + 7.0
    np.testing.assert_allclose(latents.activity(means), scale**2, rtol=0.1)
    assert latents.n_active(latents.activity(means)) == 2  # 1 and 0.04 are above 0.01, 0.0081 not


def test_the_effect_of_a_principal_component_is_its_eigenvalue() -> None:
    x = RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5))
    pca = PCA(3).fit(x)
    codes = pca.transform(x) * np.array([1.0, 10.0, 0.01])

    def decode(z: np.ndarray) -> np.ndarray:
        return np.asarray(pca.inverse_transform(z / np.array([1.0, 10.0, 0.01])))

    found = latents.effect(decode, codes, np.ones(5))
    np.testing.assert_allclose(found, pca.explained_variance_ * 299 / 300)
    doubled = latents.effect(decode, codes, np.full(5, 2.0))
    np.testing.assert_allclose(doubled, 4 * found)
