"""Freed memory is kept while compiled steps are taken, and given back afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isthmus.engine import allocator

# the pages that a block of 16 MB takes from the system, block after block
SCRIPT = """
import resource, torch
from isthmus.engine.allocator import Kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [torch.zeros(1 << 22) for _ in range(6)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
kept = Kept()
faults()
during = faults()
del kept
resident = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
print(during, faults(), resident)
"""


@pytest.mark.skipif(allocator._glibc() is None, reason="glibc alone")
def test_blocks_are_not_fetched_anew() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    during, after, resident = map(int, done.stdout.split())
    assert during < 1000 < after
    assert resident < 600 << 20


def test_the_last_one_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []

    class Libc:
        def mallopt(self, what: int, value: int) -> None:
            said.append((what, value))

        def malloc_trim(self, pad: int) -> None:
            said.append((0, pad))

    monkeypatch.setattr(allocator, "_glibc", Libc)
    monkeypatch.setattr(allocator, "_count", 0)
    a, b = allocator.Kept(), allocator.Kept()
    raised = (allocator.M_TRIM_THRESHOLD, allocator.KEPT)
    assert said.count(raised) == 1
    del a
    assert said.count((0, 0)) == 0
    del b
    assert said[-2:] == [(allocator.M_TRIM_THRESHOLD, allocator.DEFAULT), (0, 0)]
