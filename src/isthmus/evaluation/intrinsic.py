"""How many coordinates it takes locally: the two-nearest-neighbours estimate.

For rows spread evenly over a d-dimensional sheet the ratio μ = r₂/r₁ of the distances to the second
and the first neighbour has density d μ^{−d−1}, whatever the density of the rows (Facco et al. 2017,
*Estimating the intrinsic dimension of datasets by a minimal neighborhood information*, eq. 3). The
maximum of its likelihood, made unbiased, is closed:

    d̂ = (n − 1) / Σ_i ln μ_i          standard error d̂ / √n

Noise fills all D dimensions below its own size, and neighbours of many rows are nearer than that.
So the rows are dealt into subsets of about :data:`SUBSET` (their decimation), in which neighbours
are further apart, and the ratios of all subsets are pooled.

*Not promised*: an estimate without bias. Where the density changes between neighbours, at borders
above all, it is too low, the more so the higher d: 4.5 for a cube of 5 dimensions, 8.5 for 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SUBSET = 125
# More rows than this measure no better than the estimate is biased.
MOST_ROWS = 2000
MOST = 2.0


@dataclass(frozen=True)
class IntrinsicDimension:
    """d̂, its standard error, and the number of rows that have two different neighbours."""

    value: float
    standard_error: float
    n: int


def two_nn(x: Array, *, subset: int = SUBSET, seed: int = 0) -> IntrinsicDimension:
    """d̂ of rows.

    Args:
        x: (N, D) finite rows; duplicates count once, rows above :data:`MOST_ROWS` are drawn.
        subset: rows of a subset, at least 3; N or more for one subset of all rows.
        seed: of the deal.

    Returns:
        The estimate; NaN with fewer than 3 different rows, and where it is above twice D: values
        on a grid have most neighbours at equal distances, which is no dimension.

    >>> rng = np.random.default_rng(0)
    >>> sheet = rng.uniform(size=(2000, 2)) @ rng.normal(size=(2, 7))
    >>> round(two_nn(sheet).value)
    2
    """
    from sklearn.neighbors import NearestNeighbors

    rows = np.unique(np.asarray(x, dtype=np.float64), axis=0)
    order = np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS]
    logs = []
    for part in np.array_split(order, max(1, len(order) // max(3, subset))):
        if len(part) < 3:
            continue
        distance = NearestNeighbors(n_neighbors=3).fit(rows[part]).kneighbors(rows[part])[0]
        first, second = distance[:, 1], distance[:, 2]
        logs.append(np.log(second[first > 0] / first[first > 0]))
    pooled = np.concatenate(logs) if logs else np.empty(0)
    n, total = len(pooled), float(pooled.sum())
    if n < 2 or total <= 0:
        return IntrinsicDimension(math.nan, math.nan, n)
    value = (n - 1) / total
    if value > MOST * rows.shape[1]:
        return IntrinsicDimension(math.nan, math.nan, n)
    return IntrinsicDimension(value, value / math.sqrt(n), n)
