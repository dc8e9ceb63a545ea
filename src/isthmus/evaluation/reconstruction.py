"""How far rows are from what they should be, and whether one model is better than another.

Errors are sums over the features of a row, as everywhere in this package, so that the mean over
rows is what PCA leaves over: the sum of the discarded eigenvalues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
LIVELY = 0.01
"""Share of the mean variance from which a feature has something to lose."""


def squared_error(x: Array, y: Array) -> Floats:
    """Σ_d (x_d − y_d)² of each row.

    Args:
        x: (N, D), NaN where an entry is missing.
        y: (N, D).

    Returns:
        (N,), squared units of the data, at least 0, lower is better. A missing entry of x
        adds nothing; a y that is NaN where x is not makes its row NaN.

    >>> squared_error(np.array([[1.0, np.nan]]), np.array([[3.0, 7.0]]))
    array([4.])
    """
    error: Floats = np.square(np.where(np.isnan(x), 0.0, x.astype(np.float64) - y)).sum(axis=1)
    return error


def feature_error(x: Array, y: Array) -> Floats:
    """Mean of (x_nd − y_nd)² over the rows n that have feature d.

    Args:
        x: (N, D), NaN where an entry is missing.
        y: (N, D).

    Returns:
        (D,), squared units of the data, at least 0, lower is better; NaN for a feature that no
        row has.

    >>> feature_error(np.array([[1.0, 2.0], [np.nan, 4.0]]), np.array([[3.0, 2.0], [0.0, 2.0]]))
    array([4., 2.])
    """
    error, n = feature_sums(x, y)
    mean: Floats = np.divide(error, n, out=np.full(len(n), np.nan), where=n > 0)
    return mean


def feature_sums(x: Array, y: Array) -> tuple[Floats, Array]:
    """What :func:`feature_error` divides, to be added up over parts of the rows.

    Returns:
        (D,) sum of the squared errors, and (D,) number of the rows that have each feature.
    """
    there = ~np.isnan(x)
    error: Floats = np.square(np.where(there, x.astype(np.float64) - y, 0.0)).sum(axis=0)
    return error, there.sum(axis=0)


def feature_variance(x: Array) -> Floats:
    """Variance of each feature over the rows that have it (divided by their number), (D,).

    It is the feature error of the mean: what a model that knows nothing of a row leaves over.

    >>> feature_variance(np.array([[1.0, 5.0], [3.0, np.nan]]))
    array([1., 0.])
    """
    there = ~np.isnan(x)
    n = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, x, 0.0).sum(axis=0, dtype=np.float64) / n
    return feature_error(x, np.broadcast_to(mean, x.shape))


def r2(error: Array, variance: Array) -> Floats:
    """R²_d = 1 − error_d / variance_d, the share of each feature's variance that is explained.

    Args:
        error: (D,) of :func:`feature_error`.
        variance: (D,) of :func:`feature_variance` on the same rows.

    Returns:
        (D,), at most 1, higher is better, negative where the mean would have done better; NaN for
        a feature that does not vary. As scikit-learn's ``r2_score`` with raw values.

    >>> r2(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    array([0.75,  nan])
    """
    share: Floats = np.full(len(error), np.nan)
    varies = variance > 0
    share[varies] = 1.0 - error[varies] / variance[varies]
    return share


def bits_per_dimension(nats: Array, n_entries: Array) -> float:
    """−Σ_n nats_n / (ln 2 · Σ_n D_n): what one entry costs to write down.

    Args:
        nats: (N,) log-likelihood, or a bound on it, of each row.
        n_entries: (N,) entries that each row has.

    Returns:
        Bits per entry, lower is better. At least 0 for discrete likelihoods; relative to the
        unit of the data, and so of either sign, for densities (van den Oord et al. 2016, *Pixel
        Recurrent Neural Networks*, whose pixels are discrete).

    >>> round(bits_per_dimension(np.log([0.5, 0.25]), np.array([1, 2])), 6)
    1.0
    """
    total = float(np.sum(nats, dtype=np.float64)) / math.log(2.0)
    return -total / max(1, int(np.sum(n_entries)))


def nearest_squared_distance(x: Array, reference: Array) -> Floats:
    """min_j Σ_d (x_d − r_jd)²: how far each row is from the nearest of some real ones.

    Args:
        x: (N, D) rows, made up ones say.
        reference: (M, D) real rows, M ≥ 1.

    Returns:
        (N,), squared units of the data, at least 0, lower is more like a real row.

    >>> nearest_squared_distance(np.array([[0.0], [5.0]]), np.array([[1.0], [3.0]]))
    array([1., 4.])
    """
    from sklearn.neighbors import NearestNeighbors

    distance, _ = NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(x)
    squared: Floats = np.square(distance[:, 0]).astype(np.float64)
    return squared


@dataclass(frozen=True)
class Difference:
    """Mean over rows of a − b, and its standard error, in the unit of a and b."""

    mean: float
    standard_error: float

    @property
    def sign(self) -> int:
        """−1 or 1 where the mean is more than two standard errors from 0, else 0.

        >>> Difference(-1.0, 0.1).sign, Difference(1.0, 0.6).sign
        (-1, 0)
        """
        clear = abs(self.mean) > 2.0 * self.standard_error
        return int(math.copysign(1, self.mean)) if clear else 0


def difference(a: Array, b: Array) -> Difference:
    """Paired over rows: what all rows share does not blur it.

    Args:
        a: (N,) figure of each row for one model, N ≥ 2.
        b: (N,) the same rows' for the other.

    >>> difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    Difference(mean=-1.0, standard_error=0.0)
    """
    d = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return Difference(float(d.mean()), float(d.std(ddof=1) / math.sqrt(len(d))))
