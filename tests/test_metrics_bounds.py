"""Laws of `isthmus.evaluation.bounds`: probabilistic PCA, whose likelihood is a closed form."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from core_examples import rows
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.linear_start import linear_start
from isthmus.errors import DataError
from isthmus.evaluation import bounds
from isthmus.presets import variational

K, D = 2, 6
X = rows(200, D)


def linear_vae(widen: float = 0.0) -> Autoencoder:
    """The closed-form linear VAE of X; ``widen`` is added to the log-variance of q(z|x)."""
    model = variational((D,), K, (8,)).double()
    linear_start(model, X)
    with torch.no_grad():
        model.encoder.net.linear.bias[K:] += widen
    return model.eval()


def exact() -> np.ndarray:
    """log p(x) of each row: N(mean, WWᵀ + σ²I), from the eigenvalues of the covariance."""
    x = X.numpy()
    mean, covariance = x.mean(0), np.cov(x.T, ddof=0)
    values, axes = np.linalg.eigh(covariance)
    values, axes = values[::-1], axes[:, ::-1]
    noise = values[K:].mean()
    w = axes[:, :K] * np.sqrt(values[:K] - noise)
    return multivariate_normal(mean, w @ w.T + noise * np.eye(D)).logpdf(x)


def test_the_exact_likelihood_is_the_sum_of_its_eigenvalues() -> None:
    values = np.linalg.eigvalsh(np.cov(X.numpy().T, ddof=0))[::-1]
    noise = values[K:].mean()
    mean = -0.5 * (
        D * math.log(2 * math.pi) + np.log(values[:K]).sum() + (D - K) * math.log(noise) + D
    )
    assert exact().mean() == pytest.approx(mean)


@pytest.mark.parametrize("n_draws", [1, 7, 500])
def test_with_the_exact_posterior_every_bound_is_the_likelihood(n_draws: int) -> None:
    found = bounds.importance(linear_vae(), X, n_draws=n_draws)
    np.testing.assert_allclose(found.log_mean.numpy(), exact(), rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.effective.numpy(), n_draws, rtol=1e-8)


@pytest.mark.parametrize("widen", [1.0, -1.0])
def test_bounds_rise_with_the_draws_up_to_the_likelihood(widen: float) -> None:
    model, exactly = linear_vae(widen), exact().mean()
    found = [
        float(bounds.importance(model, X, n_draws=k).log_mean.mean()) for k in (1, 10, 100, 5000)
    ]
    assert all(a < b for a, b in pairwise(found))
    assert found[-1] <= exactly + 0.01
    assert found[-1] == pytest.approx(exactly, abs=0.05)


def test_the_evidence_bound_falls_short_by_the_divergence_of_the_posteriors() -> None:
    widen = 0.8
    # q has e^widen times the variance of the exact posterior, latent by latent
    divergence = K * 0.5 * (math.exp(widen) - 1 - widen)
    found = bounds.evidence(linear_vae(widen), X, n_draws=2000)
    assert float(found.mean()) == pytest.approx(exact().mean() - divergence, abs=0.02)


def test_missing_entries_are_integrated_out() -> None:
    mask = torch.ones_like(X, dtype=torch.bool)
    mask[:, 0] = False
    x = torch.where(mask, X, X.mean(0))
    found = bounds.importance(linear_vae(), x, mask, n_draws=3000).log_mean.mean()
    values, axes = np.linalg.eigh(np.cov(X.numpy().T, ddof=0))
    values, axes = values[::-1], axes[:, ::-1]
    noise = values[K:].mean()
    w = axes[:, :K] * np.sqrt(values[:K] - noise)
    covariance = (w @ w.T + noise * np.eye(D))[1:, 1:]
    rest = multivariate_normal(X.numpy()[:, 1:].mean(0), covariance).logpdf(X.numpy()[:, 1:])
    assert float(found) == pytest.approx(rest.mean(), abs=0.05)
    assert float(found) < rest.mean() + 0.01


@pytest.mark.parametrize("cut", [1, 3, 10, 40])
def test_blocks_do_not_change_the_mean(cut: int) -> None:
    lw = 400 * torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = bounds.log_mean_exp(torch.split(lw, cut))
    expected = logsumexp(lw.numpy(), axis=0) - math.log(40)
    np.testing.assert_allclose(found.log_mean.numpy(), expected, rtol=1e-12)
    w = np.exp(lw.numpy() - lw.numpy().max(0))
    np.testing.assert_allclose(found.effective.numpy(), w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-9)


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no log-weight"):
        bounds.log_mean_exp([])


def test_draws_are_the_seeds_and_leave_the_callers_state() -> None:
    model, state = linear_vae(1.0), torch.random.get_rng_state()

    def once(seed: int) -> Tensor:
        return bounds.importance(model, X[:20], n_draws=3, seed=seed).log_mean

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_many_draws_and_rows_fit_into_small_blocks() -> None:
    whole = bounds.importance(linear_vae(), X, n_draws=50)
    parts = bounds.importance(linear_vae(), X, n_draws=50, block=100)
    torch.testing.assert_close(whole.log_mean, parts.log_mean)
