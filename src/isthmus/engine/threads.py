"""How many threads a piece of work is worth.

Threads that wait for each other between short products cost more than they save: two threads on
a machine with one busy core took 18 times as long as one for a step of 64 rows and 160,000
parameters (docs/LOG.md). Work below :data:`WORTH` products runs on one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiply-adds between two synchronisations: 256 rows through 512 × 512 weights.
WORTH = 256 * 512 * 512


@contextmanager
def suitable_threads(rows: int, largest_layer: int) -> Iterator[None]:
    """Run the block on one thread if ``rows`` × the ``largest_layer``'s weights is small work.

    The number of threads of the process is put back at the end.

    >>> before = torch.get_num_threads()
    >>> with suitable_threads(64, 256 * 256):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    if before > 1 and rows * largest_layer < WORTH:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
