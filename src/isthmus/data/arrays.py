"""Rows of one array in memory as a source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus.data.source import BLOCK_BYTES


class ArraySource:
    """The rows of an array (N, *F) of uint8, float32 or float64, which is not copied.

    >>> source = ArraySource(np.zeros((5, 3)))
    >>> source.lengths, source.feature_shape
    ((5,), (3,))
    """

    def __init__(
        self,
        values: np.ndarray,
        names: tuple[str, ...] | None = None,
        origin: str = "X",
        labels: np.ndarray | None = None,
    ) -> None:
        self.values = values
        self.names = names
        self.origin = origin
        self.labels = labels
        self.feature_shape: tuple[int, ...] = tuple(values.shape[1:])
        self.dtype: np.dtype[Any] = values.dtype
        row_bytes = max(1, math.prod(self.feature_shape) * self.dtype.itemsize)
        self._rows = max(1, BLOCK_BYTES // row_bytes)
        n = len(values)
        self.lengths = tuple(min(self._rows, n - s) for s in range(0, n, self._rows))

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """One block, a view."""
        yield self.values[piece * self._rows : (piece + 1) * self._rows]
