"""Rows of numbers as arrays: in memory, in files, sparse, or made one by one.

What the axes after the first mean is told from the shape alone, by :func:`told`:

===================  ============================================================================
(N, D)               a table without names
(N, H, W)            images of one channel, if H and W are at least 8
(N, C, T)            series of C channels, if C is below 8 and T at least 8
(N, C, H, W)         images of C channels, channels first, if C is at most 4
(N, H, W, C)         images, channels last, if C is at most 4 and H is not
===================  ============================================================================

Anything else is refused, unless ``layout`` says what it is.

Bytes stay bytes; other numbers become float32 where that holds every value, else float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from isthmus.data.arrays.npz import float_type, refuse_type, reshape
from isthmus.data.files.paths import changed
from isthmus.data.files.shards import stretches
from isthmus.data.source import BLOCK_BYTES
from isthmus.data.tables import quoted
from isthmus.errors import DataError, InvalidParameterError

LAYOUTS: dict[str, tuple[int, ...]] = {
    "ND": (0, 1),
    "NHW": (0, 1, 2),
    "NCT": (0, 1, 2),
    "NTC": (0, 2, 1),
    "NCHW": (0, 1, 2, 3),
    "NHWC": (0, 3, 1, 2),
}
"""For every layout, the axes in the order (N, C, H, W) or (N, C, T); NHW gets one channel."""
SMALLEST_SIDE, MOST_CHANNELS = 8, 4


class Rows(Protocol):
    """What is sliced along its first axis.

    Attributes:
        name: by which errors speak of it.
        shape: (N, ...).
        dtype: as it is kept.
        chunk: rows that are stored together, and had better be read together.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: int

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows from ``start`` to before ``stop``."""


class InMemory:
    """An array."""

    chunk = 1

    def __init__(self, values: np.ndarray, name: str) -> None:
        self.name = name
        self.shape: tuple[int, ...] = values.shape
        self.dtype = values.dtype
        self._values = values

    def part(self, start: int, stop: int) -> np.ndarray:
        """A view."""
        return self._values[start:stop]


class Sparse:
    """A sparse matrix or array of SciPy; blocks are made dense one at a time."""

    chunk = 1

    def __init__(self, values: Any, name: str) -> None:
        self.name = name
        self._values = values.tocsr()
        self.shape: tuple[int, ...] = tuple(self._values.shape)
        self.dtype = np.dtype(self._values.dtype)

    def part(self, start: int, stop: int) -> np.ndarray:
        """Dense rows."""
        return np.asarray(self._values[start:stop].toarray())


class Arrays:
    """A :class:`isthmus.data.source.Source` over one or more :class:`Rows` of equal shape.

    Args:
        parts: in the order of their rows.
        origin: what was opened.
        layout: of :data:`LAYOUTS`; None to tell it from the shape.
        labels: (N,), of every row.
        label_names: all labels that occur, if they are names.
        names: of the D columns of a table.
        skipped: names of what was left out.
        notes: sentences on what was done to the rows, where nobody might expect it.
        files: the name of the file of every row, where each row is one.
    """

    def __init__(
        self,
        parts: Sequence[Rows],
        origin: str,
        *,
        layout: str | None = None,
        labels: np.ndarray | None = None,
        label_names: tuple[str, ...] = (),
        names: tuple[str, ...] | None = None,
        skipped: Sequence[str] = (),
        notes: Sequence[str] = (),
        files: Sequence[str] | None = None,
    ) -> None:
        self.origin = origin
        self.notes = tuple(notes)
        self.files = None if files is None else tuple(files)
        self.names = names
        for part in parts:
            _check(part)
        self.skipped = (*skipped, *(part.name for part in parts if not part.shape[0]))
        self._parts = [part for part in parts if part.shape[0]]
        if not self._parts or not math.prod(self._parts[0].shape):
            shape = self._parts[0].shape if self._parts else parts[0].shape
            raise DataError(
                origin,
                f"must have at least one row and one column; its shape is {shape}",
                "Check how the file was made.",
            )
        first = self._parts[0]
        for part in self._parts:
            if part.shape[1:] != first.shape[1:]:
                raise DataError(
                    part.name,
                    f"must have rows of shape {first.shape[1:]}, as {first.name} has; its shape"
                    f" is {part.shape}",
                )
        self.layout = layout_of(first.shape, layout, first.name)
        self.feature_shape = sample_of(first.shape, self.layout)
        every = {part.dtype for part in self._parts}
        self.dtype = np.result_type(*(d if d == np.uint8 else float_type(d) for d in every))
        if self.dtype != np.uint8:
            self.dtype = float_type(self.dtype)
        row = math.prod(self.feature_shape) * self.dtype.itemsize
        self._block = max(1, BLOCK_BYTES // row)
        self._pieces = [
            (part, *stretch)
            for part in self._parts
            for stretch in stretches(part.shape[0], max(1, self._block // part.chunk) * part.chunk)
        ]
        self.lengths = tuple(stop - start for _, start, stop in self._pieces)
        self.label_names = label_names
        self.labels = labels
        if labels is not None and labels.shape != (sum(self.lengths),):
            raise DataError(
                f"{len(labels)} labels", f"must be one a row of {origin}: {sum(self.lengths)}"
            )

    @property
    def resident(self) -> np.ndarray | None:
        """All rows (N, *F) as they are in memory already, without a copy; None if they are not."""
        only = self._parts[0]
        if len(self._parts) > 1 or not isinstance(only, InMemory) or only.dtype != self.dtype:
            return None
        values = only.part(0, only.shape[0]).transpose(LAYOUTS[self.layout])
        return values.reshape(-1, *self.feature_shape) if values.flags.c_contiguous else None

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """Blocks (n, *F).

        Raises:
            DataError: what is there is not what was opened.
        """
        part, start, stop = self._pieces[piece]
        values = part.part(start, stop)
        if values.shape != (stop - start, *part.shape[1:]):
            raise changed(part.name)
        values = values.transpose(LAYOUTS[self.layout]).reshape(-1, *self.feature_shape)
        for first, last in stretches(len(values), self._block):
            yield np.ascontiguousarray(values[first:last], dtype=self.dtype)


def told(shape: tuple[int, ...]) -> str | None:
    """The layout that the shape (N, ...) of an array tells; None where it could be two things.

    >>> [told(s) for s in ((9, 5), (9, 28, 28), (9, 2, 140), (9, 3, 32, 32), (9, 32, 32, 3))]
    ['ND', 'NHW', 'NCT', 'NCHW', 'NHWC']
    >>> [told(s) for s in ((9, 140, 2), (9, 7, 9, 12))]
    [None, None]
    """
    if len(shape) == 2:
        return "ND"
    if len(shape) == 3:
        if shape[2] < SMALLEST_SIDE:
            return None
        return "NHW" if shape[1] >= SMALLEST_SIDE else "NCT"
    if len(shape) != 4:
        return None
    if shape[1] <= MOST_CHANNELS:
        return "NCHW"
    return "NHWC" if shape[3] <= MOST_CHANNELS else None


def sample_of(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """(D,), (C, H, W) or (C, T) of an array (N, ...) with this layout.

    >>> sample_of((100, 32, 48, 3), "NHWC"), sample_of((100, 28, 28), "NHW")
    ((3, 32, 48), (1, 28, 28))
    """
    sizes = tuple(shape[axis] for axis in LAYOUTS[layout][1:])
    return (1, *sizes) if layout == "NHW" else sizes


def layout_of(shape: tuple[int, ...], layout: str | None, name: str) -> str:
    """The layout that was asked for, if it fits, or the one that the shape tells.

    Raises:
        DataError: the shape could mean two things.
        InvalidParameterError: the layout is none, or does not fit the shape.
    """
    if layout is None:
        found = told(shape)
        if found is not None:
            return found
        fitting = [key for key in LAYOUTS if len(key) == len(shape)]
        raise DataError(
            f"{name} of shape {shape}",
            "could be images or series",
            f"Say what its axes are: layout={' or '.join(map(repr, fitting))} (on the command "
            f"line --layout {' or '.join(fitting)}); or give flat rows (N, D), and the fit their "
            "sample_shape.",
        )
    if layout not in LAYOUTS:
        raise InvalidParameterError(f"layout={layout!r}", f"must be one of {quoted(LAYOUTS, 9)}")
    if len(layout) != len(shape):
        raise InvalidParameterError(
            f"layout={layout!r}", f"must name every axis of {name}; its shape is {shape}"
        )
    return layout


def _check(part: Rows) -> None:
    refuse_type(part.dtype, part.name)
    if not 2 <= len(part.shape) <= 4:
        raise DataError(
            part.name,
            f"must have 2, 3 or 4 axes, the rows first; its shape is {part.shape}",
            reshape(part.shape),
        )
