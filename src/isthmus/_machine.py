"""What this machine has: asked before anything is allocated by what a file says of itself."""

from __future__ import annotations

import math
import os


def memory() -> float:
    """Bytes of this machine's memory; infinite where the system does not tell.

    >>> memory() > 0
    True
    """
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf
