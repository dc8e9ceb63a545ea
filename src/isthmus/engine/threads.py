"""How many threads a piece of work is worth.

Threads that wait for each other between short products cost more than they save: two threads on
a machine with one busy core took 18 times as long as one for a step of 64 rows and 160,000
parameters (docs/LOG.md). Work below :data:`WORTH` products runs on one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Multiply-adds between two synchronisations: 128 rows through 512 × 512 weights.
WORTH = 128 * 512 * 512
# A kernel is used at every position of its image: at least 8 × 8 of them.
POSITIONS = 64


def largest_layer(parameters: Iterable[Tensor]) -> int:
    """Multiply-adds of a row in the layer that has most of them.

    >>> largest_layer(torch.nn.Linear(20, 10).parameters())
    200
    >>> largest_layer(torch.nn.Conv2d(1, 2, 3).parameters())
    1152
    """
    return max((p.numel() * (POSITIONS if p.ndim >= 4 else 1) for p in parameters), default=0)


@contextmanager
def suitable_threads(rows: int, products: int) -> Iterator[None]:
    """Run the block on one thread if ``rows`` × ``products`` (:func:`largest_layer`) is small work.

    The number of threads of the process is put back at the end.

    >>> before = torch.get_num_threads()
    >>> with suitable_threads(64, 256 * 256):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if before > 1 and rows * products < WORTH:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
