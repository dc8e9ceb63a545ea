"""Principal axes and the closed-form linear autoencoders that training starts from.

With S = UΛUᵀ the covariance (divided by N) of the data and U_k its first k eigenvectors:

- the best linear autoencoder has error Σ_{i>k} λ_i and projects on U_k (Baldi & Hornik 1989);
- the best linear VAE with decoder N(Wz + μ, σ²) is probabilistic PCA (Tipping & Bishop 1999;
  Lucas et al. 2019, *Don't Blame the ELBO!*): W = U_k(Λ−σ²)^½, mean m(x) = Λ⁻¹(Λ−σ²)^½Uᵀ(x−μ),
  variance σ²Λ⁻¹, with σ² the mean of the discarded eigenvalues. Its ELBO is the exact
  log-likelihood. With a KL of weight β the same holds with s² = βσ² in the place of σ² and
  σ² = Σ_{i>k} λ_i / (D − kβ); only latents with λ_i > βσ² stay active.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.random import fork

# Up to this many features (or rows) the exact eigenvectors of the covariance (or Gram) matrix
# cost under a second or two; beyond, a randomised decomposition of the first k.
EXACT_SIZE = 2048
_CHUNK = 8192
# Of wide rows.
_PART = 1024
# A component with less than a millionth of the first one's standard deviation is rounding: that
# of float32 data is 3e-8 of their size, that of eigh in float64 the root of 1e-16.
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Spectrum:
    """Mean (D,), axes (R, D) with orthonormal rows, eigenvalues (R,) falling, and the total.

    ``total_variance`` is the trace of the covariance, the squared error per sample of the mean.
    """

    mean: Tensor
    axes: Tensor
    eigenvalues: Tensor
    total_variance: float

    def first(self, n_components: int) -> Spectrum:
        """The same with at most that many axes."""
        k = n_components
        return Spectrum(self.mean, self.axes[:k], self.eigenvalues[:k], self.total_variance)

    def squared_error(self, n_components: int) -> float:
        """Training squared error per sample of PCA with that many components."""
        return max(0.0, self.total_variance - float(self.eigenvalues[:n_components].sum()))


def spectrum(x: Tensor, n_components: int) -> Spectrum:
    """The first min(n_components, N−1, D) principal axes of the rows of x (N, D), in float64.

    The sign of each axis is fixed by making its entry of largest size positive.
    """
    x = x.flatten(1)
    n, n_features = x.shape
    rank = max(1, min(n_components, n - 1, n_features))
    mean = torch.stack([c.double().sum(0) for c in torch.split(x, _CHUNK)]).sum(0) / n
    if n_features <= EXACT_SIZE and n_features <= 4 * n:
        covariance = torch.zeros(n_features, n_features, dtype=torch.float64, device=x.device)
        for chunk in torch.split(x, _CHUNK):
            centred = chunk.double() - mean
            covariance.addmm_(centred.T, centred)
        covariance /= n
        return spectrum_of(mean, covariance, rank)
    else:
        centred = x.to(torch.float64, copy=True).sub_(mean)
        total = sum(float(part.square().sum()) for part in torch.split(centred, _PART)) / n
        if min(n, n_features) <= EXACT_SIZE:
            _, singular, vt = torch.linalg.svd(centred, full_matrices=False)
            axes = vt[:rank]
        else:
            extra = min(rank + 10, n, n_features)
            with fork(0):  # it draws from the global generator
                _, singular, v = torch.svd_lowrank(centred, q=extra, niter=4)
            axes = v.T[:rank]
        eigenvalues = singular[:rank].square() / n
    return _signed(mean, axes, eigenvalues, total)


def spectrum_of(mean: Tensor, covariance: Tensor, n_components: int) -> Spectrum:
    """The first axes of a mean (D,) and a covariance (D, D), float64.

    >>> s = spectrum_of(torch.zeros(2), torch.tensor([[1.0, 0.0], [0.0, 4.0]]), 1)
    >>> s.axes, s.eigenvalues, s.total_variance
    (tensor([[0., 1.]]), tensor([4.]), 5.0)
    """
    total = float(covariance.diagonal().sum())
    values, vectors = torch.linalg.eigh(covariance)
    k = n_components
    return _signed(mean, vectors.flip(1)[:, :k].T, values.flip(0)[:k], total)


def _signed(mean: Tensor, axes: Tensor, eigenvalues: Tensor, total: float) -> Spectrum:
    largest = axes.abs().argmax(1, keepdim=True)
    axes = axes * axes.gather(1, largest).sign()
    return Spectrum(mean, axes.contiguous(), eigenvalues.clamp(min=0.0).contiguous(), total)


def errors_by_size(
    s: Spectrum,
    given: Tensor,
    target: Tensor,
    unit: Tensor,
    there: Tensor | None = None,
    sizes: int | None = None,
) -> Tensor:
    """Squared error of each row under PCA with 1, 2, … components.

    Args:
        s: spectrum of R axes.
        given: (N, D) rows that are projected, target itself or a corrupted copy.
        target: (N, D) rows they are judged by.
        unit: (D,) unit of each feature of the error.
        there: (N, D) bool, the entries that count; None for all.
        sizes: up to how many components, R by default.

    Returns:
        (N, sizes), float64, squared units.
    """
    axes = s.axes[:sizes]
    t = target.flatten(1).double() - s.mean
    code = (given.flatten(1).double() - s.mean) @ axes.T
    if there is None and bool((unit == unit.flatten()[0]).all()):
        # orthonormal axes: each adds a_j² − 2 a_j b_j, with b the code of the target
        change = (code.square() - 2 * code * (t @ axes.T)).cumsum(1)
        errors = t.square().sum(1, keepdim=True) + change
        return errors.clamp(min=0.0) * unit.flatten()[0].double().square()
    weight = unit.flatten().double().square().expand_as(t)
    if there is not None:
        weight = weight * there.flatten(1)
    left, errors_of = t.clone(), []
    for j in range(len(axes)):
        left -= code[:, j, None] * axes[j]
        errors_of.append((weight * left.square()).sum(1))
    return torch.stack(errors_of, 1)


@dataclass(frozen=True)
class LinearPosterior:
    """z | x ~ N(weight (x − mean), diag(variance)): weight (K, D), variance (K,)."""

    weight: Tensor
    variance: Tensor


def linear_delta(s: Spectrum, n_components: int) -> LinearPosterior:
    """Whitened principal components: unit variance on the training rows, no noise.

    Components beyond the rank of the data are 0.
    """
    weight = s.axes.new_zeros(n_components, s.axes.shape[1])
    scale = s.eigenvalues.sqrt()
    used = scale > _RANK_TOLERANCE * max(float(scale[0]), 1e-30)
    r = len(scale)
    inverse = torch.where(used, 1 / scale, 0.0)
    weight[:r] = inverse[:, None] * s.axes
    return LinearPosterior(weight, weight.new_zeros(n_components))


def linear_noise(
    s: Spectrum, n_components: int, beta: float = 1.0, fixed: float | None = None
) -> tuple[float, int]:
    """σ² and the number of active latents of the best linear VAE.

    Args:
        s: spectrum with at least min(n_components, rank) eigenvalues.
        n_components: K.
        beta: β ≥ 0, weight of the KL.
        fixed: σ² if it is not free.
    """
    n_features = s.axes.shape[1]
    # a free σ² needs a discarded eigenvalue, a fixed one does not
    most = min(n_components, len(s.eigenvalues), n_features - (fixed is None))
    least = _RANK_TOLERANCE**2 * float(s.eigenvalues[0])
    for k in range(most, 0, -1):
        noise = fixed
        if noise is None:
            if n_features <= k * beta:
                continue
            noise = s.squared_error(k) / (n_features - k * beta)
        if float(s.eigenvalues[k - 1]) > max(beta * noise, least):
            return noise, k
    return (s.total_variance / n_features if fixed is None else fixed), 0


def linear_gaussian(
    s: Spectrum, n_components: int, beta: float = 1.0, fixed: float | None = None
) -> LinearPosterior:
    """Encoder of the best linear VAE; inactive latents equal the prior."""
    noise, k = linear_noise(s, n_components, beta, fixed)
    weight = s.axes.new_zeros(n_components, s.axes.shape[1])
    variance = weight.new_ones(n_components)
    values = s.eigenvalues[:k]
    weight[:k] = ((values - beta * noise).sqrt() / values)[:, None] * s.axes[:k]
    variance[:k] = beta * noise / values
    return LinearPosterior(weight, variance)
