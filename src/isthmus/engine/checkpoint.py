"""Checkpoints: all that a training needs to go on as if it had never stopped.

A state is facts (JSON) and tensors. It is written whole into one of two files in turn, with a
checksum at its end, so that a write cut short, or bits that flip later, leave the state before it:

    FOLDER/0.checkpoint, FOLDER/1.checkpoint     safetensors, then its SHA-256 (32 bytes)
    FOLDER/lock                                  held by the process that trains

Writing must not slow training down: :meth:`Store.due` waits until a write costs less than
:data:`SHARE` of the time since the one before.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from isthmus.errors import RunError

try:
    import fcntl
except ImportError:  # no such locks on this system: two writers are not told apart there
    fcntl = None  # type: ignore[assignment]

FORMAT = "isthmus-checkpoint"
SCHEMA = 1
SHARE = 0.02
_NAMES = ("0.checkpoint", "1.checkpoint")
_LOCK = "lock"
_DIGEST = 32
# A header of safetensors is JSON of some hundred bytes a tensor, and holds the facts here.
_MOST_HEADER = 100_000_000


@dataclass(frozen=True)
class State:
    """Facts that JSON can hold, NaN included, and tensors by name."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]


class Store:
    """The checkpoints of one training, in one folder that one process writes at a time.

    :meth:`read` comes before the first :meth:`write`: it finds which of the two is the older.

    Args:
        folder: made where it is missing; it may hold nothing else.

    Use it in a ``with`` block, which holds the lock.

    Raises:
        RunError: another process trains there, the folder holds something else, or it cannot be
            written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._lock: int | None = None
        self._made = False
        self._turn = self._number = 0
        self._cost = 0.0
        self._last = -float("inf")

    def __enter__(self) -> Self:
        try:
            self._made = not self.folder.is_dir()
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = sorted(
                {entry.name for entry in self.folder.iterdir()} - {*_NAMES, _LOCK, ".new"}
            )
            if foreign:
                raise RunError(
                    f"{self.folder}",
                    f"holds {foreign[0]!r}, which is no part of a checkpoint",
                    "Choose another folder.",
                )
            self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._made = False  # another process may have made it at the same moment
            self._let_go()
            if isinstance(error, RunError):
                raise
            if error.errno in (errno.EAGAIN, errno.EACCES) and self.folder.is_dir():
                raise RunError(
                    f"{self.folder}",
                    "is being written by another process that trains",
                    "Wait for it, or choose another folder.",
                ) from error
            raise RunError(f"{self.folder}", f"cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is None:
            return
        if self._made and not any((self.folder / name).exists() for name in _NAMES):
            self.clear()  # nothing was trained: nothing is left
        os.close(self._lock)
        self._lock = None

    def read(self) -> State | None:
        """The newest state that is whole; None where there is none.

        Raises:
            RunError: a newer version wrote it.
        """
        found = [(state, turn) for turn, name in enumerate(_NAMES) if (state := self._open(name))]
        if not found:
            return None
        state, turn = max(found, key=lambda one: one[0].facts["number"])
        self._turn, self._number = 1 - turn, state.facts["number"]
        return state

    def due(self) -> bool:
        """Whether a write now costs less than its share of the time since the last."""
        return time.monotonic() - self._last >= self._cost / SHARE

    def write(self, state: State) -> None:
        """Put the state in the place of the older one.

        Raises:
            RunError: it cannot be written; the older ones are as they were.
        """
        began = time.monotonic()
        # counted, because a clock may jump
        facts = {**state.facts, "format": FORMAT, "schema": SCHEMA, "number": self._number + 1}
        tensors = {key: t.detach().cpu().contiguous() for key, t in state.tensors.items()}
        data = save(_apart(tensors), metadata={"facts": json.dumps(facts)})
        new = self.folder / ".new"
        try:
            with new.open("wb") as file:
                file.write(data)
                file.write(hashlib.sha256(data).digest())
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.folder / _NAMES[self._turn])
            sync_folder(self.folder)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise RunError(
                f"{self.folder}",
                f"cannot be written: {error.strerror}",
                "Make room, or train without checkpoints.",
            ) from error
        self._turn, self._number = 1 - self._turn, self._number + 1
        self._last = time.monotonic()
        self._cost = self._last - began

    def clear(self) -> None:
        """Remove the folder: the training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, name: str) -> State | None:
        try:
            data = (self.folder / name).read_bytes()
        except OSError:
            return None
        body, digest = data[:-_DIGEST], data[-_DIGEST:]
        if len(data) <= _DIGEST + 8 or hashlib.sha256(body).digest() != digest:
            return None
        (size,) = struct.unpack("<Q", body[:8])
        if size > min(len(body) - 8, _MOST_HEADER):
            return None
        try:
            facts = json.loads(json.loads(body[8 : 8 + size])["__metadata__"]["facts"])
            tensors = load(body)
        except (ValueError, LookupError, TypeError, RecursionError, SafetensorError):
            return None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            return None
        if not isinstance(facts.get("number"), int):
            return None
        if facts.get("schema") != SCHEMA:
            raise RunError(
                f"{self.folder / name}",
                f"has schema {facts.get('schema')!r}; this version reads {SCHEMA}",
                "Go on with the version that wrote it, or start anew.",
            )
        return State(facts, tensors)


def sync_folder(folder: Path) -> None:
    """Bring a rename within the folder to the disk, where the system can."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder cannot be opened on this system
        return
    try:
        os.fsync(opened)
    except OSError:
        pass
    finally:
        os.close(opened)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Clones of those that share memory (tied weights), which safetensors refuses."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with a name in front of theirs.

    >>> import torch
    >>> sorted(under("a", {"x": torch.ones(1)}))
    ['a.x']
    """
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that :func:`under` put that name in front of.

    >>> import torch
    >>> sorted(part("a", {"a.x": torch.ones(1), "b.x": torch.ones(1)}))
    ['x']
    """
    start = name + "."
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
