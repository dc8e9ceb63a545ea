"""Sources: rows as they are kept, in pieces, wherever they are. A source knows nothing of a model.

A piece is what is read in one go: a row group of Parquet, a stretch of an array, some hundred
images. Pieces can be read in any order and again and again, each with the same rows in the same
order; what a training does with them (held-out rows, shuffling, reading ahead) is written once,
over this protocol. Whether the rows fit into memory does not matter to a source, only that a block
of them does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from isthmus.errors import DataError

BLOCK_BYTES = 1 << 23
"""About the largest block that ``read`` yields: some thousand rows, for no piece is read whole."""


@runtime_checkable
class Source(Protocol):
    """Rows in pieces.

    Attributes:
        origin: what was opened, as the user named it.
        names: the D column names of a table; None where there are none.
        feature_shape: *F, shape of one row: (D,), (C, H, W) of images, (C, T) of series.
        dtype: of the blocks: uint8, float32 or float64.
        lengths: number of rows of every piece, all known once the source is open.
        labels: (N,) label of every row where the source has them, such as sub-folders of images.
    """

    origin: str
    names: tuple[str, ...] | None
    feature_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    lengths: tuple[int, ...]
    labels: np.ndarray | None

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """The rows of one piece in order, in blocks (n, *F); NaN where an entry is missing.

        Raises:
            DataError: what is there cannot be read, or is not what it was when opened.
        """


@runtime_checkable
class TableSource(Source, Protocol):
    """Rows with columns of any kind; ``read`` is for tables of numbers alone.

    Attributes:
        schema: Arrow's schema of the columns, the same in all files.
    """

    schema: pa.Schema

    def tables(self, piece: int) -> Iterator[pa.Table]:
        """The rows of one piece in order, in blocks with the columns of ``schema``."""


def n_rows(source: Source) -> int:
    """N."""
    return sum(source.lengths)


def n_bytes(source: Source) -> int:
    """Bytes that all rows would take in memory."""
    return n_rows(source) * math.prod(source.feature_shape) * source.dtype.itemsize


def blocks(source: Source) -> Iterator[np.ndarray]:
    """All rows in order."""
    for piece in range(len(source.lengths)):
        yield from source.read(piece)


def in_memory(source: Source) -> np.ndarray:
    """All rows as one array (N, *F).

    Raises:
        DataError: they do not fit, or a source yields other rows than it promised.
    """
    try:
        values = np.empty((n_rows(source), *source.feature_shape), source.dtype)
    except MemoryError as error:
        raise DataError(
            source.origin,
            f"does not fit into memory ({n_bytes(source) / 1e9:.3g} GB)",
            "Give the opened source to fit, which reads it piece by piece.",
        ) from error
    start = 0
    for block in blocks(source):
        values[start : start + len(block)] = block
        start += len(block)
    if start != len(values):
        raise DataError(source.origin, f"promised {len(values)} rows and gave {start}")
    return values
