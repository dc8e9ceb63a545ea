"""Sources made of arrays, as the tests need them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus.data.tables import quoted
from isthmus.errors import DataError


class Pieces:
    """Rows of an array in pieces of given lengths, read in blocks of a few rows."""

    def __init__(
        self,
        values: np.ndarray,
        lengths: tuple[int, ...],
        block: int = 7,
        names: tuple[str, ...] | None = None,
        fails_after: int | None = None,
    ) -> None:
        assert sum(lengths) == len(values)
        self.values, self.lengths, self.block = values, lengths, block
        self.names, self.labels, self.origin = names, None, "rows"
        self.feature_shape = values.shape[1:]
        self.dtype: np.dtype[Any] = values.dtype
        self.n_blocks = 0
        self.fails_after = fails_after

    def read(self, piece: int) -> Iterator[np.ndarray]:
        first = sum(self.lengths[:piece])
        for start in range(first, first + self.lengths[piece], self.block):
            self.n_blocks += 1
            if self.fails_after is not None and self.n_blocks > self.fails_after:
                raise DataError(quoted([f"piece {piece}"]), "cannot be read any more")
            yield self.values[start : min(start + self.block, first + self.lengths[piece])]


def random_lengths(n: int, n_pieces: int, seed: int = 0) -> tuple[int, ...]:
    """Lengths of pieces, some of them empty."""
    cuts = np.sort(np.random.default_rng(seed).integers(0, n + 1, n_pieces - 1))
    return tuple(int(k) for k in np.diff([0, *cuts, n]))
