"""A fit that can be stopped at any moment and goes on as if it had not been.

What a checkpoint adds to the state of the training: the best state so far, what held-out rows said
of it, the history, and a key, what the fit was asked for and the fingerprint of its rows. A
checkpoint with another key is of another fit and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from isthmus.engine.checkpoint import State, Store, part, under
from isthmus.engine.loop import Training
from isthmus.errors import InvalidParameterError, RunError
from isthmus.estimators._search import Search
from isthmus.random import Seeds

PathLike = str | Path


# What a state that is whole, but was not written here, may raise when it is put in place.
_NOT_OURS = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)
_ROWS = "fingerprint"


def _foreign(folder: Path, error: Exception) -> RunError:
    said = " ".join(str(error).split())[:200]
    lacks = isinstance(error, KeyError)
    return RunError(
        f"{folder}",
        f"does not hold what this version keeps ({f'it lacks {said}' if lacks else said})",
        "Other source code wrote it, or it was altered. Delete the folder, and start anew with "
        "checkpoint=.",
    )


class Keeper:
    """Writes the checkpoints of one fit, and holds the one it goes on from.

    Args:
        store: opened.
        key: what the fit was asked for, flat and as JSON holds it, its rows apart.
        found: the state to go on from, or None.

    Raises:
        RunError: ``found`` is of another fit.
    """

    def __init__(self, store: Store, key: dict[str, Any], found: State | None) -> None:
        self.store = store
        self.key = key
        self.found = found
        self._last: State | None = None
        if found is None:
            return
        other = found.facts.get("key")
        other = other if isinstance(other, dict) else {}
        self._rows = other.get(_ROWS)
        for name in [*key, *other]:
            if name != _ROWS and key.get(name) != other.get(name):
                raise RunError(
                    f"{store.folder}",
                    f"is the checkpoint of another fit; its {name} differs: {other.get(name)!r}",
                    "Give what it was started with, or start anew with the "
                    f"{name}={key.get(name)!r} of now.",
                )

    def confirm(self, fingerprint: str) -> None:
        """Say which rows the fit is of, before the first note.

        Raises:
            RunError: the state to go on from is of other rows.
        """
        if self.found is not None and self._rows != fingerprint:
            raise RunError(
                f"{self.store.folder}",
                "is the checkpoint of another fit; its fingerprint differs",
                "Give what it was started with, or start anew with the rows of now.",
            )
        self.key = {**self.key, _ROWS: fingerprint}

    @property
    def seeds(self) -> Seeds | None:
        """Those of the fit that is continued."""
        if self.found is None:
            return None
        try:
            return Seeds(**{name: int(seed) for name, seed in self.found.facts["seeds"].items()})
        except _NOT_OURS as error:
            raise _foreign(self.store.folder, error) from error

    def note(
        self,
        training: State,
        search: Search,
        history: list[dict[str, float]],
        seeds: Seeds,
        ended: bool,
    ) -> None:
        """Remember the state after a round; write it if it is time, or the end."""
        found = search.state()
        facts = {
            **training.facts,
            **found.facts,
            "history": list(history),
            "seeds": asdict(seeds),
            "key": self.key,
            "ended": ended,
        }
        tensors = {**under("training", training.tensors), **under("search", found.tensors)}
        self._last = State(facts, tensors)
        if ended or self.store.due():
            self.write()

    def restore(self, training: Training, search: Search) -> tuple[list[dict[str, float]], bool]:
        """Put both where they were; the history until then, and whether that was the end.

        Raises:
            RunError: the state does not fit, though it is whole: it was made by something else.
        """
        state = self.of("training")
        try:
            training.restore(state)
            search.restore(self.of("search"))
            return list(state.facts["history"]), bool(state.facts["ended"])
        except _NOT_OURS as error:
            raise _foreign(self.store.folder, error) from error

    def write(self) -> None:
        """Write the state of the last round, if it is not written."""
        if self._last is not None:
            self.store.write(self._last)
            self._last = None

    def of(self, name: str) -> State:
        """The part of the found state that belongs to "training" or "search"."""
        assert self.found is not None  # noqa: S101  (asked for only where there is one)
        return State(self.found.facts, part(name, self.found.tensors))


@contextmanager
def keeper(
    checkpoint: PathLike | None, resume_from: PathLike | None, key: dict[str, Any]
) -> Iterator[Keeper | None]:
    """The keeper of a fit; None where neither folder is given.

    Raises:
        InvalidParameterError: both are given.
        RunError: there is nothing to go on from, or something that would be lost.
    """
    if checkpoint is not None and resume_from is not None:
        raise InvalidParameterError(
            f"checkpoint={str(checkpoint)!r} beside resume_from={str(resume_from)!r}",
            "asks for two folders, and a fit writes where it goes on from",
            "Give one of them.",
        )
    if checkpoint is None and resume_from is None:
        yield None
        return
    folder = Path(checkpoint if checkpoint is not None else str(resume_from))
    if resume_from is not None and not folder.is_dir():
        raise RunError(f"resume_from={str(folder)!r}", "does not exist", "Start with checkpoint=.")
    with Store(folder) as store:
        found = store.read()
        if resume_from is not None and found is None:
            raise RunError(f"{folder}", "holds no whole checkpoint", "Start anew with checkpoint=.")
        if resume_from is None and found is not None and not found.facts.get("ended"):
            raise RunError(
                f"{folder}",
                f"holds a training that stopped at step {found.facts.get('step_count')}",
                "Go on with resume_from=, or delete the folder to start anew.",
            )
        yield Keeper(store, key, found if resume_from is not None else None)
