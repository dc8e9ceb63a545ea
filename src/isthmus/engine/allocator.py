"""Memory that a step frees is kept for the next one, while compiled steps are taken.

A step allocates and frees the same blocks again and again. glibc gives the top of its heap back to
the system once more than twice the largest block is free there (``M_TRIM_THRESHOLD``), and the next
step has it zeroed page by page: of 69 ms of a step with the exact contraction of two hidden layers,
whose tensors have 16,384 × 512 entries, 26 ms went there (docs/LOG.md).

The threshold belongs to the process. It is raised when the first :class:`Kept` is made. When the
last one is gone it is put at what glibc's own adjustment comes to after large blocks, where it then
stays; what was kept is given back. Elsewhere than on glibc, and where the environment sets the
allocator, nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import weakref
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Larger blocks are always the system's: glibc's limit of the threshold.
LARGEST = 32 << 20
KEPT = 1 << 30
# What glibc itself comes to after a block of that size.
DEFAULT = 2 * LARGEST

# With these the user has chosen.
CHOSEN = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")

_count = 0
_lock = threading.RLock()  # a finaliser may run inside


class Kept:
    """While one lives, up to 1 GiB of freed memory stays with the process."""

    def __init__(self) -> None:
        _change(1)
        weakref.finalize(self, _change, -1)


def _change(by: int) -> None:
    global _count
    with _lock:
        _count += by
        libc = _glibc()
        if libc is None or _count != max(0, by):
            return
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT if _count else DEFAULT)
        if not _count:
            libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in CHOSEN):
        return None
    return ctypes.CDLL(None)
