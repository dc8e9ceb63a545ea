"""Whether a likelihood suits the data: what other ones would give for the same reconstruction.

With residuals r_nd = x_nd − x̂_nd of scaled data and their means over rows, the best a shared
Gaussian, a Gaussian per feature and a shared Laplace can do, in nats per row:

    Σ_d ½ ln(2πe σ²), σ² = mean_nd r²
    Σ_d ½ ln(2πe σ_d²), σ_d² = mean_n r²
    Σ_d ln(2eb), b = mean_nd |r|

(each at its closed-form scale; Rybkin et al. 2021). The second is never worse than the first. For
counts, Σ_d E[x̂ − x ln x̂ + ln x!], a Poisson of mean x̂, stands beside the Gaussian's density, whose
cells have width 1. Only differences at one reconstruction are told: a model that is trained with
the other likelihood reconstructs otherwise, usually better by that likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

Array = NDArray[Any]
MIN_SCALE = 1e-3
"""Smallest scale of the package's location-scale likelihoods, in units of scaled data."""


@dataclass(frozen=True)
class Cost:
    """Nats per row of each likelihood at its best scale, lower is better."""

    gaussian: float
    gaussian_feature: float
    laplace: float

    def gain(self, name: str) -> float:
        """By how many nats per row ``name`` beats the shared Gaussian."""
        return self.gaussian - float(getattr(self, name))


def location_scale(residual: Array) -> Cost:
    """The three costs of given residuals.

    Args:
        residual: (N, D) of scaled data, NaN where an entry is missing.

    >>> cost = location_scale(np.array([[1.0, 10.0], [-1.0, -10.0]]))
    >>> round(cost.gain("gaussian_feature"), 3)  # ½ ln(50.5²) − ½ ln 1 − ½ ln 100
    1.619
    """
    r = residual.astype(np.float64)
    there = ~np.isnan(r)
    present = there.sum(0) > 0
    square = np.nanmean(np.square(r[:, present]), axis=0)
    share = there[:, present].mean(0)
    shared = max(float(np.average(square, weights=share)), MIN_SCALE**2)
    size = max(
        float(np.average(np.nanmean(np.abs(r[:, present]), axis=0), weights=share)), MIN_SCALE
    )
    each = np.maximum(square, MIN_SCALE**2)
    n, constant = float(share.sum()), 0.5 * math.log(2 * math.pi * math.e)
    return Cost(
        gaussian=n * (constant + 0.5 * math.log(shared)),
        gaussian_feature=float((share * (constant + 0.5 * np.log(each))).sum()),
        laplace=n * (math.log(2 * size) + 1.0),
    )


def poisson(x: Array, mean: Array) -> float:
    """−log Poisson(x | mean) of counts, nats per row; means below 0.01 count as 0.01.

    >>> round(poisson(np.array([[2.0]]), np.array([[2.0]])), 4)  # −ln(2 e⁻²)
    1.3069
    """
    mu = np.maximum(mean.astype(np.float64), 1e-2)
    cost = mu - xlogy(x, mu) + gammaln(x + 1.0)
    return float(np.nansum(cost, axis=1).mean())


def dispersion(x: Array, mean: Array) -> float:
    """mean (x − μ)² / μ: 1 for a Poisson of these means, more for counts that scatter more.

    Pearson's statistic over the number of entries (McCullagh & Nelder 1989, section 6.2.4).

    >>> dispersion(np.array([[1.0, 3.0]]), np.array([[2.0, 2.0]]))
    0.5
    """
    mu = np.maximum(mean.astype(np.float64), 1e-2)
    return float(np.nanmean(np.square(x - mu) / mu))


def excess_kurtosis(residual: Array) -> float:
    """E r⁴ / (E r²)² − 3 of residuals over their feature's deviation: 0 Gaussian, 3 Laplace.

    Args:
        residual: (N, D), NaN where an entry is missing. Features that are told exactly are left
            out.

    >>> r = np.random.default_rng(0).normal(size=(100_000, 1))
    >>> abs(round(excess_kurtosis(r), 1))
    0.0
    """
    r = residual[:, ~np.isnan(residual).all(0)].astype(np.float64)
    deviation = np.sqrt(np.nanmean(np.square(r), axis=0))
    some = deviation > MIN_SCALE
    if not some.any():
        return 0.0
    return float(np.nanmean((r[:, some] / deviation[some]) ** 4) - 3.0)


def values_kind(x: Array) -> str:
    """What values look like: "binary", "counts", "grey" (in [0, 1], not only 0 and 1) or "real".

    >>> values_kind(np.array([[0.0, 1.0]])), values_kind(np.array([[0.0, 7.0]]))
    ('binary', 'counts')
    """
    values = x[~np.isnan(x)]
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.rint(values)).all())
    if low >= 0 and high <= 1:
        return "binary" if whole else "grey"
    return "counts" if whole and low >= 0 else "real"


def grey_floor(x: Array) -> float:
    """Least Bernoulli loss of values in [0, 1], nats per row: Σ_d −x ln x − (1−x) ln(1−x).

    No model can go below; 0 for binary values.

    >>> round(grey_floor(np.array([[0.5, 1.0]])), 4)
    0.6931
    """
    x = x.astype(np.float64)
    return float(np.nansum(-xlogy(x, x) - xlogy(1 - x, 1 - x), axis=1).mean())
