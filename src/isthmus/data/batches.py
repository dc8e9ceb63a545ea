"""Batches: what the engine takes; they know their rows and nothing of any model.

Data that fit in memory are one tensor that is indexed by whole batches: no worker processes,
no copying row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Batch = tuple[Tensor, ...]


class Batches(Protocol):
    """Rows in batches; a batch is (x,) or (x, mask), each (n, *F)."""

    @property
    def n_rows(self) -> int:
        """N."""

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order; the last batch may be short."""

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Batches without end, epoch after epoch, each in a new random order.

        Every batch has min(batch_size, N) rows; the rest of an epoch that does not fill a
        batch is left to the next epochs. ``skip`` leaves out that many batches at the beginning.
        """


# Rows that are moved together.
_MOVED = 65_536


class TensorBatches:
    """Rows of one tensor (N, *F), with a mask of the entries that are there or without.

    >>> source = TensorBatches(torch.arange(5.0)[:, None])
    >>> [len(x) for (x,) in source.batches(2)]
    [2, 2, 1]
    """

    def __init__(self, x: Tensor, mask: Tensor | None = None) -> None:
        self.x = x
        self.mask = mask

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.x)

    def subset(self, rows: Tensor) -> TensorBatches:
        """The source of those rows (an index tensor)."""
        return TensorBatches(self.x[rows], None if self.mask is None else self.mask[rows])

    def divide(self, first: Tensor) -> tuple[TensorBatches, TensorBatches]:
        """Those rows and the others, as views: they are moved to the front, in place.

        Args:
            first: rising positions.

        >>> source = TensorBatches(torch.arange(5.0)[:, None])
        >>> [[float(i) for i in each.x] for each in source.divide(torch.tensor([0, 2, 3]))]
        [[0.0, 2.0, 3.0], [1.0, 4.0]]
        """
        n = len(first)
        others = torch.ones(self.n_rows, dtype=torch.bool)
        others[first] = False
        tensors = [self.x] if self.mask is None else [self.x, self.mask]
        for t in tensors:
            behind = t[others]
            # no row is written over before it is read: its new place is not behind its old one
            for start in range(0, n, _MOVED):
                stop = min(start + _MOVED, n)
                t[start:stop] = t[first[start:stop]]
            t[n:] = behind
        front, back = ([t[part] for t in tensors] for part in (slice(n), slice(n, None)))
        return TensorBatches(*front), TensorBatches(*back)

    def to(self, device: torch.device) -> TensorBatches:
        """The same source with its rows on that device."""
        return TensorBatches(self.x.to(device), None if self.mask is None else self.mask.to(device))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order."""
        for start in range(0, self.n_rows, batch_size):
            yield self.rows(slice(start, start + batch_size))

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Batches without end, each epoch in a new random order, the first ``skip`` left out."""
        for order in orders(self.n_rows, batch_size, seed, skip):
            yield self.rows(order.to(self.x.device))

    def rows(self, rows: Tensor | slice) -> Batch:
        """The batch of those rows; an index of any shape gives that shape in front."""
        own = (self.x,) if self.mask is None else (self.x, self.mask)
        if isinstance(rows, slice):
            return tuple(t[rows] for t in own)
        flat = rows.reshape(-1)  # a third of the time of an index
        return tuple(t.index_select(0, flat).view(*rows.shape, *t.shape[1:]) for t in own)


class RawBatches:
    """Rows of an array as it is, scaled batch by batch: their scaled copy would take more memory.

    Args:
        x: (N, D) raw rows; shared, not copied, so that they may be mapped from a file.
        ready: makes a batch of raw rows: scaled tensors (x,) or (x, mask).
        left_out: rising positions of the rows that are not used, few of them; None for none.

    >>> rows = np.arange(4, dtype=np.uint8)[:, None]
    >>> raw = RawBatches(rows, lambda x: (torch.from_numpy(x) / 2,), np.array([1, 2]))
    >>> sorted(float(i) for i in next(raw.shuffled(2, seed=0))[0])
    [0.0, 1.5]
    """

    def __init__(
        self,
        x: NDArray[Any],
        ready: Callable[[NDArray[Any]], Batch],
        left_out: NDArray[Any] | None = None,
    ) -> None:
        self.x = x
        self.ready = ready
        none = np.zeros(0, dtype=np.int64)
        self._left_out = none if left_out is None else np.asarray(left_out, dtype=np.int64)
        # as many rows that are used come before each of them
        self._before = self._left_out - np.arange(len(self._left_out))

    @property
    def n_rows(self) -> int:
        """Rows that are used."""
        return len(self.x) - len(self._left_out)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order."""
        for start in range(0, self.n_rows, batch_size):
            yield self._rows(np.arange(start, min(start + batch_size, self.n_rows)))

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of a :class:`TensorBatches` of the same rows, in the same order."""
        for order in orders(self.n_rows, batch_size, seed, skip):
            yield self._rows(order.numpy())

    def _rows(self, rows: NDArray[Any]) -> Batch:
        rows = rows + np.searchsorted(self._before, rows, "right")
        return self.ready(np.take(self.x, rows, axis=0))  # half the time of an index


def orders(n_rows: int, batch_size: int, seed: int, skip: int = 0) -> Iterator[Tensor]:
    """Row numbers of batches without end, each epoch in a new random order."""
    generator = torch.Generator().manual_seed(seed)
    size = min(batch_size, n_rows)
    for first in starts(n_rows // size, skip):
        order = torch.randperm(n_rows, generator=generator)
        if first is None:
            continue
        for start in range(first * size, n_rows - size + 1, size):
            yield order[start : start + size]


def starts(n_batches: int, skip: int) -> Iterator[int | None]:
    """With which batch each epoch begins, without end, if the first ``skip`` batches are left out.

    None for an epoch that is left out as a whole.

    >>> from itertools import islice
    >>> list(islice(starts(3, 7), 4))
    [None, None, 1, 0]
    """
    whole, rest = divmod(skip, n_batches)
    yield from (None for _ in range(whole))
    yield rest
    while True:
        yield 0
