"""One pass over rows that need not fit into memory: all that a fit must know before it begins.

Means, variances, extremes, and the covariance that PCA starts from, of the training rows, in
float64; the held-out rows themselves; a random sample of training rows; a fingerprint of all.

Sums are taken of rows less a shift c, each feature's mean in the first block in which it is there,
so that nothing cancels. With
y = x − c where an entry is there and 0 where it is missing, m the indicator of being there, and
d = mean − c, the covariance of rows whose missing entries stand at the mean is, from YᵀY, YᵀM, MᵀM,

    N Cov = YᵀY − (YᵀM) ∘ d_colᵀ − ((YᵀM) ∘ d_colᵀ)ᵀ + (MᵀM) ∘ ddᵀ ,

which for M = 1 is the usual Σ y yᵀ − N ddᵀ. It is computed for up to :data:`MOST_FEATURES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.numbers import refuse_beyond
from isthmus.data.source import Source, n_rows
from isthmus.data.tables import new_fingerprint, update_fingerprint
from isthmus.errors import DataError

Array = NDArray[Any]
MOST_FEATURES = 1024
SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 1 << 26
_SMALLEST = 100


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass found; D is the number of features, rows are flat.

    Attributes:
        n_rows: N of all rows, held-out ones included.
        n_train: training rows.
        there: (D,) training rows in which the feature is there.
        mean, variance: (D,) over those.
        low, high: (D,) extremes over those.
        covariance: (D, D) of the training rows, a missing entry at its mean; None beyond
            :data:`MOST_FEATURES` features.
        sample, sample_rows: (n, D) random training rows in their order, and their positions.
        held_out, held_out_rows: the held-out rows and their positions.
        rounding: spacing of the values' floating type, 0 for whole numbers.
        fingerprint: of all rows in their order (:func:`isthmus.data.tables.fingerprint`).
    """

    n_rows: int
    n_train: int
    there: Array
    mean: Array
    variance: Array
    low: Array
    high: Array
    covariance: Array | None
    sample: Array
    sample_rows: Array
    held_out: Array
    held_out_rows: Array
    rounding: float
    fingerprint: str

    @property
    def complete(self) -> bool:
        """Whether no training entry is missing."""
        return bool((self.there == self.n_train).all())


def positions(n: int, n_held_out: int, n_sampled: int, seed: int) -> tuple[Array, Array]:
    """Random positions below n, both rising and disjoint: held-out rows, sampled training rows.

    >>> held_out, sampled = positions(10**12, 3, 5, seed=0)
    >>> len(held_out), len(sampled), bool((np.diff(held_out) > 0).all())
    (3, 5, True)
    """
    generator = np.random.default_rng(seed)
    both = min(n, n_held_out + n_sampled)
    drawn = generator.choice(n, both, replace=False, shuffle=True)
    return np.sort(drawn[:n_held_out]), np.sort(drawn[n_held_out:])


@np.errstate(over="ignore", invalid="ignore")
def survey(
    source: Source,
    n_held_out: int = 0,
    seed: int = 0,
    check: Callable[[Array], None] | None = None,
) -> Survey:
    """Read every row once.

    Args:
        source: at least two rows; pieces are read in their order.
        n_held_out: rows to hold out, drawn at random.
        seed: of the draw.
        check: called with every block (n, D), to refuse values outside a likelihood's support.

    Raises:
        DataError: an entry beyond range, a feature without any value in the training rows, or a
            source that gives other rows than it promised.

    >>> from isthmus.data.arrays.source import Arrays, InMemory
    >>> s = survey(Arrays([InMemory(np.array([[1.0, 2.0], [3.0, np.nan]]), "x")], "x"))
    >>> s.mean, s.there
    (array([2., 2.]), array([2, 1]))
    """
    n = n_rows(source)
    n_features = math.prod(source.feature_shape)
    n_sampled = min(SAMPLE_ROWS, max(_SMALLEST, SAMPLE_BYTES // (4 * n_features)))
    held_rows, sample_rows = positions(n, n_held_out, n_sampled, seed)
    held = np.empty((len(held_rows), n_features), source.dtype)
    sample = np.empty((len(sample_rows), n_features), source.dtype)
    digest = new_fingerprint(n, n_features)
    sums: _Sums | None = None
    start = 0
    for piece, length in enumerate(source.lengths):
        stop = start + length
        for block in source.read(piece):
            rows = block.reshape(len(block), -1)
            end = start + len(rows)
            if end > stop:
                raise _other_length(source, piece)
            refuse_beyond(rows, source.origin, source.names, start)
            if check is not None:
                check(rows)
            update_fingerprint(digest, rows)
            inside = np.arange(*held_rows.searchsorted([start, end]))
            held[inside] = rows[held_rows[inside] - start]
            chosen = np.arange(*sample_rows.searchsorted([start, end]))
            sample[chosen] = rows[sample_rows[chosen] - start]
            train = np.delete(rows, held_rows[inside] - start, axis=0) if len(inside) else rows
            if len(train):
                sums = sums or _Sums(n_features, n_features <= MOST_FEATURES)
                sums.add(train)
            start = end
        if start != stop:
            raise _other_length(source, piece)
    if sums is None:
        raise DataError(source.origin, "holds no row to train on")
    empty = np.flatnonzero(sums.there == 0)
    if len(empty):
        name = source.names[empty[0]] if source.names else f"x{empty[0]}"
        raise DataError(
            f"column {name!r} of {source.origin}",
            "has no value in any training row",
            "Drop it, or fill it.",
        )
    kind = np.dtype(source.dtype)
    return Survey(
        n_rows=n,
        n_train=n - n_held_out,
        there=sums.there,
        mean=sums.mean,
        variance=sums.variance,
        low=sums.low,
        high=sums.high,
        covariance=sums.covariance(n - n_held_out),
        sample=sample,
        sample_rows=sample_rows,
        held_out=held,
        held_out_rows=held_rows,
        rounding=float(np.finfo(kind).eps) if kind.kind == "f" else 0.0,
        fingerprint=digest.hexdigest(),
    )


def principal_axes(
    source: Source, found: Survey, scale: Array, n_components: int, passes: int = 3
) -> tuple[Array, Array]:
    """The first principal axes of the scaled training rows, where a covariance would be too large.

    Subspace iteration from a random start with ten axes more than asked for (Halko, Martinsson &
    Tropp 2011, *Finding Structure with Randomness*, algorithm 4.4): each pass multiplies the axes
    so far by the covariance, and the last one solves for them in their span. Approximate: the more
    passes, and the steeper the spectrum, the closer.

    Args:
        source: that was surveyed.
        found: by the survey.
        scale: (D,) that rows, less their mean, are divided by; a missing entry is at the mean.
        n_components: K.
        passes: over the source.

    Returns:
        Axes (K + 10, D) with orthonormal rows, as many as there can be, and their eigenvalues.

    >>> from isthmus.data.arrays.source import Arrays, InMemory
    >>> x = np.random.default_rng(0).normal(size=(200, 6)) * [9, 5, 1, 1, 1, 1]
    >>> rows = Arrays([InMemory(x, "x")], "x")
    >>> axes, values = principal_axes(rows, survey(rows), np.ones(6), 1)
    >>> bool(np.allclose(values, np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]))
    True
    """
    d = len(scale)
    k = max(1, min(n_components + 10, d, found.n_train - 1))  # one row has no axis: any will do
    held = found.held_out_rows
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((d, k)))[0]
    product = np.zeros((d, k))
    for i in range(passes):
        product[:] = 0.0
        start = 0
        for piece in range(len(source.lengths)):
            for block in source.read(piece):
                rows = block.reshape(len(block), -1)
                out = held[slice(*held.searchsorted([start, start + len(rows)]))] - start
                start += len(rows)
                if len(out):
                    rows = np.delete(rows, out, axis=0)
                y = np.nan_to_num((rows - found.mean) / scale, copy=False, nan=0.0)
                product += y.T @ (y @ q)
        product /= found.n_train
        if i + 1 < passes:
            q = np.linalg.qr(product)[0]
    values, inside = np.linalg.eigh(q.T @ product)
    axes: Array = (q @ inside[:, ::-1]).T
    return np.ascontiguousarray(axes), np.maximum(values[::-1], 0.0)


class _Sums:
    """Sums over training rows; see the module's formula."""

    def __init__(self, d: int, products: bool) -> None:
        self.shift = np.zeros(d)
        self.there = np.zeros(d, np.int64)
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)
        self._y, self._yy = np.zeros(d), np.zeros(d)
        self._products = np.zeros((d, d)) if products else None
        # with the indicators of what is there, from the first block with a hole on
        self._full = 0
        self._ym: Array | None = None
        self._mm: Array | None = None
        self._y_full = np.zeros(d)

    def add(self, rows: Array) -> None:
        n = len(rows)
        if not self.there.all():
            self._shift(rows)
        y = rows - self.shift
        missing = np.isnan(y)
        holes = bool(missing.any())
        if holes:
            y[missing] = 0.0
            self.there += n - missing.sum(0)
            self.low = np.fmin(self.low, np.fmin.reduce(rows, axis=0))
            self.high = np.fmax(self.high, np.fmax.reduce(rows, axis=0))
        else:
            self.there += n
            self.low = np.minimum(self.low, rows.min(0))
            self.high = np.maximum(self.high, rows.max(0))
        total = y.sum(0)
        self._y += total
        self._yy += np.einsum("nd,nd->d", y, y)
        if self._products is None:
            return
        self._products += y.T @ y
        if not holes:
            self._full += n
            self._y_full += total
            return
        m = (~missing).astype(np.float64)
        if self._ym is None or self._mm is None:
            self._ym, self._mm = np.zeros_like(self._products), np.zeros_like(self._products)
        self._ym += y.T @ m
        self._mm += m.T @ m

    def _shift(self, rows: Array) -> None:
        """Of the features that are there for the first time; their sums are all 0 so far."""
        here = (~np.isnan(rows)).sum(0) if rows.dtype.kind == "f" else np.full(rows.shape[1:], 1)
        new = (self.there == 0) & (here > 0)
        if new.any():
            self.shift[new] = np.nanmean(rows[:, new], axis=0, dtype=np.float64)

    @property
    def mean(self) -> Array:
        result: Array = self.shift + self._y / np.maximum(self.there, 1)
        return result

    @property
    def variance(self) -> Array:
        d = self._y / np.maximum(self.there, 1)
        result: Array = np.maximum(self._yy / np.maximum(self.there, 1) - d * d, 0.0)
        return result

    def covariance(self, n: int) -> Array | None:
        if self._products is None:
            return None
        d = self._y / np.maximum(self.there, 1)
        ym = np.repeat(self._y_full[:, None], len(d), axis=1)
        mm = np.full_like(self._products, self._full)
        if self._ym is not None and self._mm is not None:
            ym, mm = ym + self._ym, mm + self._mm
        cross = ym * d
        result: Array = (self._products - cross - cross.T + mm * np.outer(d, d)) / n
        return result


def _other_length(source: Source, piece: int) -> DataError:
    return DataError(
        source.origin,
        f"gives other rows than it promised ({source.lengths[piece]} in piece {piece})",
        "It changed since it was opened: open it again.",
    )
