"""How a row is best drawn: as an image, as a curve, or as a table.

Told from the order of the columns alone, so that shuffled columns are a table. With c(ℓ) the mean
correlation of columns ℓ apart and c the mean correlation of any two,

- *image*: the names end in _row_column of a full grid; or D = H² ≥ 36 and both neighbours in the
  square, beside and below, are alike, while what is half a line away is less so;
- *series*: D ≥ 20, columns of like spread, c(1) well above c, and c(1) high or the mean row smooth;
- *table*: anything else.

A guess for drawing, nothing that a model goes by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SMALLEST_IMAGE, SMALLEST_SERIES = 36, 20
_PIXEL = re.compile(r".*?(\d+)\D+(\d+)")
_MOST_ROWS, _MOST_PAIRS = 2000, 2000
_ALIKE = 0.15
"""How far the correlation of neighbours must lie above that of any two columns."""
_SMOOTH = 0.6
_SPREAD = 30.0


@dataclass(frozen=True)
class Picture:
    """How a row is drawn.

    ``kind``: "image", "series" or "table"; ``shape``: (H, W) of an image, else None; ``channels``:
    planes of an image, one after another.
    """

    kind: str
    shape: tuple[int, int] | None = None
    channels: int = 1


def known(sample_shape: tuple[int, ...]) -> Picture:
    """How samples of a known shape are drawn: (C, H, W) as images, (C, T) as lines.

    >>> known((3, 28, 20))
    Picture(kind='image', shape=(28, 20), channels=3)
    """
    if len(sample_shape) == 2:
        return Picture("series")
    channels, height, width = sample_shape
    return Picture("image", (height, width), channels)


def picture(x: Array, names: Sequence[str] | None = None) -> Picture:
    """How rows like these are best drawn.

    Args:
        x: (N, D), NaN where an entry is missing.
        names: of the D columns, or None.

    >>> rng = np.random.default_rng(0)
    >>> picture(np.cumsum(rng.normal(size=(50, 40)), axis=1)).kind
    'series'
    >>> picture(rng.normal(size=(50, 40))).kind
    'table'
    >>> picture(rng.normal(size=(5, 4)), ["p_0_0", "p_0_1", "p_1_0", "p_1_1"]).shape
    (2, 2)
    """
    grid = grid_of(names) if names is not None else None
    if grid is not None:
        return Picture("image", grid)
    n_features = x.shape[1]
    if n_features < SMALLEST_SERIES:
        return Picture("table")
    z, mean, deviation = _standardised(x[:_MOST_ROWS])
    varies = deviation > 0
    anyhow = _any_two(z, varies)
    side = math.isqrt(n_features)
    if n_features >= SMALLEST_IMAGE and side * side == n_features and _is_image(z, varies, anyhow):
        return Picture("image", (side, side))
    near = _apart(z, varies, np.arange(n_features - 1), 1)
    smooth = near > _SMOOTH or _smoothness(mean) > _SMOOTH
    if near > anyhow + _ALIKE and smooth and _one_unit(deviation):
        return Picture("series")
    return Picture("table")


def grid_of(names: Sequence[str]) -> tuple[int, int] | None:
    """(H, W) of names that count a grid's rows and columns in reading order, else None.

    >>> grid_of(["pixel_0_0", "pixel_0_1"]), grid_of(["a", "b"])
    ((1, 2), None)
    """
    found = [_PIXEL.fullmatch(str(name)) for name in names]
    if len(names) < 2 or not all(found):
        return None
    places = [(int(match[1]), int(match[2])) for match in found if match]
    (top, left), (bottom, right) = places[0], places[-1]
    height, width = bottom - top + 1, right - left + 1
    if height < 1 or width < 1 or height * width != len(names):
        return None
    wanted = [(top + i, left + j) for i in range(height) for j in range(width)]
    return (height, width) if places == wanted else None


def _is_image(z: Array, varies: Array, anyhow: float) -> bool:
    side = math.isqrt(z.shape[1])
    place = np.arange(side * side)
    beside = _apart(z, varies, place[place % side < side - 1], 1)
    below = _apart(z, varies, place[place < side * (side - 1)], side)
    # within a line, so that a long curve, whose correlation only falls, is no image
    half = _apart(z, varies, place[place % side < side - side // 2], side // 2)
    return min(beside, below) > anyhow + _ALIKE and below > half + _ALIKE / 2


def _standardised(x: Array) -> tuple[Array, Array, Array]:
    """(N, D) columns of mean 0 and deviation 1, missing entries at the mean; both of them, (D,).

    A deviation that is rounding is 0, and so is its column.
    """
    there = ~np.isnan(x)
    n = np.maximum(there.sum(0), 1)
    mean = np.where(there, x, 0.0).sum(0, dtype=np.float64) / n
    z = np.where(there, x - mean, 0.0)
    deviation = np.sqrt(np.square(z).sum(0) / n)
    varies = deviation > 1e-9 * (np.abs(mean) + deviation.max(initial=0.0))
    scale = np.where(varies, deviation, 1.0)
    return np.where(varies, z / scale, 0.0), mean, np.where(varies, deviation, 0.0)


def _apart(z: Array, varies: Array, first: Array, lag: int) -> float:
    """Mean correlation of columns ``first`` and ``first + lag``, of those that vary."""
    a = first[varies[first] & varies[first + lag]]
    return float((z[:, a] * z[:, a + lag]).mean()) if len(a) else 0.0


def _any_two(z: Array, varies: Array) -> float:
    """Mean size of the correlation of two columns drawn at random, less that of unrelated ones."""
    columns = np.flatnonzero(varies)
    if len(columns) < 2:
        return 0.0
    rng = np.random.default_rng(0)
    a, b = rng.choice(columns, (2, _MOST_PAIRS))
    a, b = a[a != b], b[a != b]
    size = float(np.abs((z[:, a] * z[:, b]).mean(0)).mean())
    return max(0.0, size - math.sqrt(2.0 / (math.pi * len(z))))


def _smoothness(curve: Array) -> float:
    """1 − Σ (c_t+1 − c_t)² / 2 Σ (c_t − c̄)²: lag-1 autocorrelation of one curve (T,)."""
    spread = float(np.square(curve - curve.mean()).sum())
    return 1.0 - float(np.square(np.diff(curve)).sum()) / (2.0 * spread) if spread > 0 else 0.0


def _one_unit(deviation: Array) -> bool:
    """Whether no column's deviation drowns the others."""
    some = deviation[deviation > 0]
    return bool(len(some)) and bool(some.max() < _SPREAD * np.median(some))
