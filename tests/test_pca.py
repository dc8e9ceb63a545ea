"""The spectrum against NumPy and scikit-learn, the closed-form linear models against optima."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import Tensor

from core_examples import rows
from isthmus.core import pca
from isthmus.core.pca import (
    LinearPosterior,
    Spectrum,
    linear_delta,
    linear_gaussian,
    linear_noise,
    spectrum,
)
from isthmus.random import fork

# rows, columns: tall, square, wide, very wide (the singular values of the rows), one column
SIZES = [(200, 6), (30, 30), (20, 50), (10, 90), (50, 1)]


def reference(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """All eigenvalues, falling, and axes as rows, of the covariance divided by N."""
    values, vectors = np.linalg.eigh(
        np.cov(x.numpy(), rowvar=False, bias=True).reshape(2 * x[0].shape)
    )
    return values[::-1], vectors[:, ::-1].T


def assert_same_axes(ours: Tensor, theirs: np.ndarray, atol: float) -> None:
    """Equal up to the sign of each axis."""
    cosines = np.abs((ours.numpy() * theirs).sum(1))
    np.testing.assert_allclose(cosines, 1.0, rtol=0, atol=atol)


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("k", [1, 5, 1000])
def test_the_spectrum_is_numpys_and_scikit_learns(n: int, d: int, k: int) -> None:
    x = rows(n, d)
    s = spectrum(x, k)
    rank = min(k, n - 1, d)
    assert s.axes.shape == (rank, d)
    assert s.eigenvalues.shape == (rank,)
    values, axes = reference(x)
    np.testing.assert_allclose(s.eigenvalues.numpy(), values[:rank], rtol=1e-8, atol=1e-10)
    assert_same_axes(s.axes, axes[:rank], 1e-8)
    assert s.total_variance == pytest.approx(values.sum(), rel=1e-12)
    theirs = PCA(rank, svd_solver="full").fit(x.numpy())
    np.testing.assert_allclose(s.mean.numpy(), theirs.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        s.eigenvalues.numpy(), theirs.explained_variance_ * (n - 1) / n, rtol=1e-8, atol=1e-10
    )
    error = np.square(x.numpy() - theirs.inverse_transform(theirs.transform(x.numpy())))
    assert s.squared_error(rank) == pytest.approx(error.sum(1).mean(), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(("n", "d"), SIZES)
def test_axes_are_orthonormal_and_their_signs_are_fixed(n: int, d: int) -> None:
    x = rows(n, d)
    s = spectrum(x, 4)
    torch.testing.assert_close(s.axes @ s.axes.T, torch.eye(len(s.axes)).double())
    largest = s.axes.gather(1, s.axes.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    torch.testing.assert_close(spectrum(2 * s.mean - x, 4).axes, s.axes)


@pytest.mark.parametrize(("n", "d"), [(300, 40), (60, 200)])
def test_the_randomised_spectrum_is_near(n: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(n, d, last=1e-3)
    exact = spectrum(x, 5)
    monkeypatch.setattr(pca, "EXACT_SIZE", 8)
    state = torch.get_rng_state()
    near = spectrum(x, 5)
    assert torch.equal(spectrum(x, 5).axes, near.axes)  # drawn, but always the same
    assert torch.equal(torch.get_rng_state(), state)
    assert near.axes.shape == exact.axes.shape
    assert not torch.equal(near.eigenvalues, exact.eigenvalues)
    torch.testing.assert_close(near.eigenvalues, exact.eigenvalues, rtol=1e-4, atol=0)
    torch.testing.assert_close(near.axes @ near.axes.T, torch.eye(5).double())
    assert near.total_variance == pytest.approx(exact.total_variance, rel=1e-12)
    assert_same_axes(near.axes, exact.axes.numpy(), 1e-2)


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(100, 6)
    whole = spectrum(x, 3)
    monkeypatch.setattr(pca, "_CHUNK", 7)
    chunked = spectrum(x, 3)
    torch.testing.assert_close(chunked.axes, whole.axes)
    torch.testing.assert_close(chunked.eigenvalues, whole.eigenvalues)


def test_float32_rows_with_a_large_mean_keep_their_spectrum() -> None:
    x = (rows(500, 4) + 1000.0).float()
    values, _ = reference(x.double())
    np.testing.assert_allclose(spectrum(x, 4).eigenvalues.numpy(), values, rtol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(1, 4), (5, 3), (2, 40)])
def test_rows_without_variance_have_a_spectrum_of_zeros(n: int, d: int) -> None:
    s = spectrum(torch.full((n, d), 2.5, dtype=torch.float64), 3)
    assert (s.eigenvalues == 0).all()
    assert s.squared_error(1) == 0.0
    assert s.axes.isfinite().all()
    for posterior in (linear_delta(s, 3), linear_gaussian(s, 3)):
        assert posterior.weight.shape == (3, d)
        assert posterior.weight.isfinite().all()
        assert posterior.variance.isfinite().all()


def test_constant_columns_add_nothing() -> None:
    x = rows(100, 4)
    padded = torch.cat([x, torch.full((100, 2), 3.0).double()], 1)
    s, plain = spectrum(padded, 6), spectrum(x, 4)
    torch.testing.assert_close(s.eigenvalues[:4], plain.eigenvalues)
    torch.testing.assert_close(s.axes[:4, :4], plain.axes)
    assert (linear_delta(s, 6).weight[4:] == 0).all()


@pytest.mark.parametrize(("n", "d", "k"), [(200, 6, 3), (200, 6, 6), (200, 6, 9), (5, 30, 8)])
def test_the_code_of_a_delta_is_white(n: int, d: int, k: int) -> None:
    x = rows(n, d)
    s = spectrum(x, k)
    posterior = linear_delta(s, k)
    assert posterior.weight.shape == (k, d)
    assert (posterior.variance == 0).all()
    z = (x - s.mean) @ posterior.weight.T
    white = torch.diag((torch.arange(k) < min(n - 1, d, k)).double())
    torch.testing.assert_close(z.T @ z / n, white, rtol=1e-9, atol=1e-9)


def decoder(s: Spectrum, noise: float, beta: float, active: int, k: int) -> Tensor:
    """W = U(Λ−βσ²)^½ of the active latents, (D, K)."""
    w = s.axes.new_zeros(s.axes.shape[1], k)
    w[:, :active] = (s.eigenvalues[:active] - beta * noise).sqrt() * s.axes[:active].T
    return w


def bound(
    covariance: Tensor, w: Tensor, noise: Tensor, v: Tensor, variance: Tensor, beta: float
) -> Tensor:
    """E_x[E_q log p(x|z)] − β E_x KL of a linear VAE, with everything written out, nats."""
    d = len(covariance)
    rest = torch.eye(d, dtype=torch.float64) - w @ v
    error = torch.trace(rest @ covariance @ rest.T) + (w.square() @ variance).sum()
    log_p = -0.5 * (d * math.log(2 * math.pi) + d * noise.log() + error / noise)
    kl = 0.5 * ((v @ covariance @ v.T).diagonal() + variance - 1 - variance.log()).sum()
    return log_p - beta * kl


X = rows(300, 6, seed=4)
D = 6
EYE = torch.eye(D, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_the_linear_vae_is_probabilistic_pca(k: int) -> None:
    # identities 1 and 2
    s = spectrum(X, k)
    values, _ = reference(X)
    noise, active = linear_noise(s, k)
    assert active == k
    assert noise == pytest.approx(values[k:].mean(), rel=1e-9)
    posterior = linear_gaussian(s, k)
    w = decoder(s, noise, 1.0, k, k)
    mean, cov = s.mean.numpy(), (w @ w.T + noise * EYE).numpy()
    exact = stats.multivariate_normal(mean, cov).logpdf(X.numpy()).mean()
    by_formula = -0.5 * (
        D * math.log(2 * math.pi) + np.log(values[:k]).sum() + (D - k) * math.log(noise) + D
    )
    assert exact == pytest.approx(by_formula, rel=1e-10)
    covariance = torch.tensor(np.cov(X.numpy(), rowvar=False, bias=True))
    elbo = bound(
        covariance,
        w,
        torch.tensor(noise, dtype=torch.float64),
        posterior.weight,
        posterior.variance,
        beta=1.0,
    )
    assert elbo.item() == pytest.approx(exact, rel=1e-10)


def test_the_same_likelihood_is_scikit_learns() -> None:
    # scikit-learn divides by N − 1: ask both about the covariance of N − 1
    k, n = 3, len(X)
    s = spectrum(X, k)
    scaled = Spectrum(s.mean, s.axes, s.eigenvalues * n / (n - 1), s.total_variance * n / (n - 1))
    noise, _ = linear_noise(scaled, k)
    theirs = PCA(k, svd_solver="full").fit(X.numpy())
    assert noise == pytest.approx(theirs.noise_variance_, rel=1e-9)
    w = decoder(scaled, noise, 1.0, k, k)
    cov = (w @ w.T + noise * EYE).numpy()
    log_p = stats.multivariate_normal(s.mean.numpy(), cov).logpdf(X.numpy())
    np.testing.assert_allclose(log_p, theirs.score_samples(X.numpy()), rtol=1e-9)


@pytest.mark.parametrize("beta", [0.25, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("fixed", [None, 0.05, 1.0])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_closed_form_is_a_maximum_of_the_bound(
    beta: float, fixed: float | None, k: int
) -> None:
    s = spectrum(X, k)
    noise, active = linear_noise(s, k, beta, fixed)
    posterior = linear_gaussian(s, k, beta, fixed)
    assert int((posterior.weight.abs().sum(1) > 0).sum()) == active
    covariance = torch.tensor(np.cov(X.numpy(), rowvar=False, bias=True))
    free = [
        decoder(s, noise, beta, active, k),
        torch.tensor(noise, dtype=torch.float64),
        posterior.weight,
        posterior.variance,
    ]

    def at(parts: list[Tensor]) -> Tensor:
        return bound(covariance, parts[0], parts[1], parts[2], parts[3], beta)

    for part in free:
        part.requires_grad_()
    slopes = torch.autograd.grad(at(free), free)
    for i, slope in enumerate(slopes):
        if i != 1 or fixed is None:
            assert slope.abs().max() < 1e-8
    best = at(free).item()
    with fork(0), torch.no_grad():
        for _ in range(50):
            moved = [part * (1 + 0.1 * torch.randn_like(part)) for part in free]
            moved[0] += 0.05 * torch.randn_like(moved[0])
            if fixed is not None:
                moved[1] = free[1]
            moved[1:] = [moved[1].abs(), moved[2], moved[3].abs()]
            assert at(moved).item() < best


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("fixed", [1e-3, 0.05, 0.2, 1.0, 1e3])
@pytest.mark.parametrize("k", [1, 3, D, D + 3])
def test_as_many_latents_are_active_as_eigenvalues_exceed_the_noise(
    k: int, fixed: float, beta: float
) -> None:
    # identity 3
    s = spectrum(X, k)
    expected = min(k, int((reference(X)[0] > beta * fixed).sum()))
    assert linear_noise(s, k, beta, fixed) == (fixed, expected)
    posterior = linear_gaussian(s, k, beta, fixed)
    active = torch.arange(k) < expected
    assert torch.equal(posterior.weight.abs().sum(1) > 0, active)
    assert (posterior.variance[~active] == 1).all()
    assert (posterior.variance[active] < 1).all()


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("k", [1, 3, D, D + 3])
def test_a_free_noise_leaves_one_feature_for_itself(k: int, beta: float) -> None:
    s = spectrum(X, k)
    noise, active = linear_noise(s, k, beta)
    assert active <= min(k, D - 1)
    assert noise == pytest.approx(s.squared_error(active) / (D - active * beta))
    assert active == 0 or float(s.eigenvalues[active - 1]) > beta * noise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_of_low_rank_leave_the_other_latents_at_the_prior(dtype: torch.dtype) -> None:
    x = (rows(100, 3) @ rows(3, 8, seed=1)).to(dtype)
    s = spectrum(x, 6)
    for posterior in (linear_delta(s, 6), linear_gaussian(s, 6)):
        assert isinstance(posterior, LinearPosterior)
        # rounding errors must not become latents
        assert (posterior.weight[3:] == 0).all()
        assert posterior.weight[:3].abs().sum(1).min() > 0
