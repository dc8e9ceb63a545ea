"""Batches of a source that does not fit into memory: shuffled through a pool, read ahead.

An epoch takes the pieces in a new random order, :data:`OPEN` of them at a time in turns, block by
block, into a pool of some million values. A full pool is dealt out in a random order; meanwhile a
thread fills the next, so that the step and not the disk sets the pace where reading is faster.
Rows therefore meet rows from all over the source, but not with equal probability: where the source
is one sorted piece that is larger than the pool, a batch sees a part of the order.

The order is a function of the seed alone, whatever the thread does. Memory: at most five pools
(dealt out with what the one before left over, waiting, being put together), and :data:`OPEN` + 1
blocks.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.batches import Batch, starts
from isthmus.data.source import Source

Array = NDArray[Any]
OPEN = 4
POOL_BYTES = 1 << 25
_END = None


class StreamBatches:
    """Batches of the rows of a source without the held-out ones.

    Args:
        source: where the rows are.
        ready: makes a batch of raw rows (n, D): scaled tensors (x,) or (x, mask).
        held_out: positions of rows to leave out, rising.
        pool_bytes: size of the pool; at least one batch is held.

    >>> import torch
    >>> from isthmus.data.arrays.source import Arrays, InMemory
    >>> rows = Arrays([InMemory(np.arange(10.0)[:, None], "x")], "x")
    >>> stream = StreamBatches(rows, lambda x: (torch.from_numpy(x),), np.array([3]))
    >>> seen = stream.shuffled(3, seed=0)
    >>> sorted(int(i) for _ in range(3) for i in next(seen)[0])
    [0, 1, 2, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        source: Source,
        ready: Callable[[Array], Batch],
        held_out: Array | None = None,
        pool_bytes: int = POOL_BYTES,
    ) -> None:
        self.source = source
        self.ready = ready
        self.held_out = np.empty(0, np.int64) if held_out is None else held_out
        row_bytes = math.prod(source.feature_shape) * source.dtype.itemsize
        self.pool_rows = max(1, pool_bytes // max(1, row_bytes))
        self._first = np.cumsum([0, *source.lengths])

    @property
    def n_rows(self) -> int:
        """N without the held-out rows."""
        return int(self._first[-1]) - len(self.held_out)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """All rows once, in their order."""
        left = None
        for piece in range(len(self.source.lengths)):
            for block in self._blocks(piece):
                rows = block if left is None else np.concatenate([left, block])
                whole = len(rows) // batch_size * batch_size
                for start in range(0, whole, batch_size):
                    yield self.ready(rows[start : start + batch_size])
                left = rows[whole:] if whole < len(rows) else None
        if left is not None:
            yield self.ready(left)

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Batches without end, each epoch in a new random order, the first ``skip`` left out.

        Raises:
            DataError: the source cannot be read, or is not what it was.
        """
        size = min(batch_size, self.n_rows)
        for epoch, first in enumerate(starts(self.n_rows // size, skip)):
            if first is None:
                continue
            n_batches = self.n_rows // size
            generator = np.random.default_rng([seed, epoch])
            left: Array | None = None
            done = 0
            with _Ahead(partial(self._pools, generator, size)) as pools:
                for pool in pools:
                    rows = pool if left is None else np.concatenate([left, pool])
                    order = generator_of(seed, epoch, done).permutation(len(rows))
                    whole = len(rows) // size * size
                    for start in range(0, whole, size):
                        if first <= done < n_batches:
                            yield self.ready(rows[order[start : start + size]])
                        done += 1
                    left = rows[order[whole:]] if whole < len(rows) else None

    def _pools(
        self, generator: np.random.Generator, batch_size: int, stop: threading.Event
    ) -> Iterator[Array]:
        """Rows of the pieces in a random order, several pieces in turns, a pool at a time."""
        most = max(self.pool_rows, batch_size)
        waiting = deque(int(p) for p in generator.permutation(len(self.source.lengths)))
        turn: deque[Iterator[Array]] = deque()
        pool: list[Array] = []
        held = 0
        while (waiting or turn) and not stop.is_set():
            while waiting and len(turn) < OPEN:
                turn.append(self._blocks(waiting.popleft()))
            blocks = turn.popleft()
            block = next(blocks, None)
            if block is None:
                continue
            turn.append(blocks)
            while len(block):
                taken = block[: most - held]
                pool.append(taken)
                held += len(taken)
                block = block[len(taken) :]
                if held == most:
                    yield np.concatenate(pool)
                    pool, held = [], 0
        if pool:
            yield np.concatenate(pool)

    def _blocks(self, piece: int) -> Iterator[Array]:
        """Blocks (n, D) of a piece without its held-out rows."""
        start = int(self._first[piece])
        for block in self.source.read(piece):
            rows = block.reshape(len(block), -1)
            out = self.held_out[slice(*self.held_out.searchsorted([start, start + len(rows)]))]
            yield np.delete(rows, out - start, axis=0) if len(out) else rows
            start += len(rows)


def generator_of(seed: int, epoch: int, done: int) -> np.random.Generator:
    """Of the order within the pool that begins after ``done`` batches of an epoch."""
    return np.random.default_rng([seed, epoch, 1 + done])


class _Ahead:
    """An iterator run by a thread of its own, one item ahead; its errors are raised here."""

    def __init__(self, items: Callable[[threading.Event], Iterator[Array]]) -> None:
        self._queue: queue.Queue[Array | BaseException | None] = queue.Queue(maxsize=1)
        self._stop = threading.Event()
        self._items = items(self._stop)
        self._thread = threading.Thread(target=self._run, name="isthmus-reader", daemon=True)

    def __enter__(self) -> Iterator[Array]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get(timeout=0.01)
        self._thread.join()

    def _taken(self) -> Iterator[Array]:
        while True:
            item = self._queue.get()
            if item is _END:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._queue.put(item)
        except BaseException as error:
            self._queue.put(error)
        else:
            self._queue.put(_END)
