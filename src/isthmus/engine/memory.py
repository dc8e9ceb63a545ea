"""Memory that a training gives back and takes again at every step stays with the process.

glibc's malloc maps a large piece of memory afresh, page by page, and returns it to the system when
it is freed; a page costs as much as copying it. Which pieces are large it learns from the largest
one freed so far, up to 32 MB; and it keeps twice that at the end of the heap (mallopt(3),
M_MMAP_THRESHOLD, "dynamic"). A convolutional step of 128 images made 1,600 to 6,400 pages anew,
a sixth to a third of its time (docs/LOG.md). Other allocators do not care.
"""

from __future__ import annotations

import torch

# The largest piece that malloc learns from, less its own notes and torch's alignment.
LARGEST = (32 << 20) - (64 << 10)


def keep_pages() -> None:
    """Have malloc keep up to 64 MB of freed memory; nothing is written, so nothing is taken.

    >>> keep_pages()
    """
    torch.empty(LARGEST, dtype=torch.uint8)
