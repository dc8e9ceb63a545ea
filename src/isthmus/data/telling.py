"""What is to be told of new rows, once, however many blocks they come in.

Two things are counted: entries of categories that the fit did not see, which count as missing, and
columns that are empty in all rows and had entries in the fit. A third is said of a column as such:
that its entries are of another type or unit than in the fit, and what they are taken for. Within
:func:`told_once` nothing is said before its end; a column with more than :data:`HANDFUL` entries,
none of which the fit saw, is an error then: it is another column, or written otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from isthmus.data.tables import quoted, shown
from isthmus.errors import DataError

HANDFUL = 5
"""Entries of a column that may all be of categories that the fit did not see, and rows in which it
may be empty."""


@dataclass
class Seen:
    """Entries of a column, those of them that the fit did not see, and one of these.

    Args:
        categories: that the fit saw.
    """

    categories: Sequence[Any]
    entries: int = 0
    unknown: int = 0
    example: Any = None

    def hint(self) -> str:
        """Where the fit had the example with other blanks around it, or with other zeros before it:
        where some were lost."""
        if isinstance(self.example, str):
            words = (word for word in self.categories if isinstance(word, str))
            near = next((word for word in words if word.strip() == self.example.strip()), None)
            if near is not None:
                return (
                    f" The fit had {shown(near)} where {shown(self.example)} is here: they differ "
                    "by blanks around them."
                )
        bare = str(self.example).lstrip("0")
        was = next((word for word in map(str, self.categories) if word.lstrip("0") == bare), None)
        if was is None or was == str(self.example):
            return ""
        said = (
            f" The fit had {was!r} where {str(self.example)!r} is here: zeros before numbers get "
        )
        where = "" if len(was) > len(str(self.example)) else ", here in the rows of the fit"
        return f"{said}lost in spreadsheets{where}."


class _Tally:
    """What was noted since it was last told."""

    def __init__(self) -> None:
        self.unknown: dict[tuple[str, str], Seen] = {}
        self.empty: set[str] | None = None
        self.rows = 0
        self.origin = "X"
        self.taken: dict[str, None] = {}
        self.alike: dict[tuple[str, str], tuple[str, set[str]]] = {}

    def tell(self) -> None:
        """Warn of it.

        Raises:
            DataError: a column holds unknown categories alone, in more than a handful of rows.
        """
        self._tell_empty()
        for sentence in self.taken:
            warnings.warn(sentence, stacklevel=4)
        for sentence, origins in self.alike.values():
            n = len(origins) - 1
            more = f" It is so in {n} more file{'s' * (n > 1)}." if n else ""
            warnings.warn(f"{sentence}{more}", stacklevel=4)
        seen = {place: one for place, one in self.unknown.items() if one.unknown}
        for (origin, name), one in seen.items():
            if one.unknown == one.entries > HANDFUL:
                known = quoted(one.categories)
                raise DataError(
                    f"column {name!r} of {origin}",
                    f"must hold categories that the fit saw, {known}; all {one.entries} entries "
                    f"are others, such as {shown(one.example)}",
                    f"{one.hint()} It may be another column, or be written otherwise: mend it, "
                    "leave it empty where nothing is known of it, or fit again to rows that have "
                    "these.".strip(),
                )
        if not seen:
            return
        count = sum(one.unknown for one in seen.values())
        entries = "1 entry is" if count == 1 else f"{count} entries are"
        told = []
        for (_, name), one in seen.items():
            several = f"{one.unknown}, such as " if len(seen) > 1 and one.unknown > 1 else ""
            told.append(f"{name!r} ({several}{shown(one.example)})")
        hint = next((hint for one in seen.values() if (hint := one.hint())), "")
        warnings.warn(
            f"{entries} of a category that the fit did not see and count as missing: "
            f"column{'s' * (len(told) > 1)} {', '.join(told[:5])}.{hint}",
            stacklevel=4,
        )

    def _tell_empty(self) -> None:
        if not self.empty or self.rows <= HANDFUL:
            return
        several = len(self.empty) > 1
        warnings.warn(
            f"Column{'s' * several} {quoted(sorted(self.empty))} of {self.origin} "
            f"{'have' if several else 'has'} no entry in all {self.rows} rows, and had some in the "
            "fit: what is computed of these rows rests on the other columns alone.",
            stacklevel=5,
        )


_TOLD: ContextVar[_Tally | None] = ContextVar("what is to be told", default=None)


def note_unknown(origin: str, name: str, seen: Seen) -> None:
    """Further entries of a column, within :func:`told_once`."""
    tally = _TOLD.get()
    assert tally is not None  # noqa: S101  (within told_once)
    before = tally.unknown.setdefault((origin, name), Seen(seen.categories))
    before.entries += seen.entries
    before.unknown += seen.unknown
    before.example = seen.example if before.example is None else before.example


def note_empty(origin: str, rows: int, columns: Iterable[str]) -> None:
    """Further rows, and the columns that are empty in all of these, within :func:`told_once`."""
    tally = _TOLD.get()
    assert tally is not None  # noqa: S101  (within told_once)
    tally.empty = {*columns} if tally.empty is None else tally.empty & {*columns}
    tally.rows += rows
    tally.origin = origin


def note_taken(origin: str, name: str, what: str) -> None:
    """What the entries of a column are and are taken for, within :func:`told_once`."""
    tally = _TOLD.get()
    assert tally is not None  # noqa: S101  (within told_once)
    tally.taken[f"Column {name!r} of {origin} holds {what}."] = None


def note_alike(column: str, what: str, origin: str, sentence: str) -> None:
    """What is so of a column of a file, and may be of the same one of others, within
    :func:`told_once`: the sentence is that of the first file."""
    tally = _TOLD.get()
    assert tally is not None  # noqa: S101  (within told_once)
    tally.alike.setdefault((column, what), (sentence, set()))[1].add(origin)


@contextmanager
def told_once() -> Iterator[None]:
    """Within it, what is noted is counted; at its end one warning tells of each.

    Raises:
        DataError: at its end, a column holds nothing but unknown categories.
    """
    if _TOLD.get() is not None:
        yield
        return
    tally = _Tally()
    token = _TOLD.set(tally)
    try:
        yield
    finally:
        _TOLD.reset(token)
    tally.tell()


@contextmanager
def untold() -> Iterator[None]:
    """Within it, nothing is said or counted: it was, or will be."""
    token = _TOLD.set(_Tally())
    try:
        yield
    finally:
        _TOLD.reset(token)
