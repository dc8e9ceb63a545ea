"""Seeds: one number decides initialisation, order and noise; the global state is left as it was.

Three independent streams are derived from one seed with NumPy's ``SeedSequence`` (M. O'Neill's
seed_seq construction), so that changing the batch size does not change the initial weights.
Torch's distributions draw from the global generator: :func:`fork` seeds it for the length of a
``with`` block and puts the caller's state back at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Seeds:
    """The three streams of a fit, each a non-negative integer below 2**63."""

    initialisation: int
    order: int
    noise: int

    @classmethod
    def derive(cls, seed: int, rank: int = 0) -> Seeds:
        """Three seeds from one; ``rank`` separates the noise of processes, nothing else.

        >>> Seeds.derive(0).order == Seeds.derive(0, rank=1).order
        True
        >>> Seeds.derive(0).noise == Seeds.derive(0, rank=1).noise
        False
        """
        initialisation, order = (int(s) for s in _words(np.random.SeedSequence(seed), 2))
        (noise,) = (int(s) for s in _words(np.random.SeedSequence([seed, 1 + rank]), 1))
        return cls(initialisation, order, noise)


def _words(sequence: np.random.SeedSequence, n: int) -> np.ndarray:
    return sequence.generate_state(n, np.uint64) >> np.uint64(1)


@contextmanager
def fork(seed: int) -> Iterator[None]:
    """Seed torch's global generators inside the block, restore them at its end, errors included.

    >>> state = torch.random.get_rng_state()
    >>> with fork(0):
    ...     first = torch.rand(1)
    >>> with fork(0):
    ...     bool(torch.rand(1) == first)
    True
    >>> bool((torch.random.get_rng_state() == state).all())
    True
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed also visits every absent kind of device, with a stack trace each time
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield


def generators() -> dict[str, Tensor]:
    """State of torch's global generators: "cpu", and "cuda:0", … where there are any."""
    states = {"cpu": torch.default_generator.get_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_generators(states: Mapping[str, Tensor]) -> None:
    """Put back what :func:`generators` gave; devices that are not here are left out.

    >>> before = generators()
    >>> first = torch.rand(1)
    >>> set_generators(before)
    >>> bool(torch.rand(1) == first)
    True
    """
    torch.default_generator.set_state(states["cpu"])
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for i in range(here):
        if f"cuda:{i}" in states:
            torch.cuda.set_rng_state(states[f"cuda:{i}"], i)
