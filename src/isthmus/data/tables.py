"""A table: N rows of D numbers, the names of the columns if they have any, and where it is from.

A missing entry is NaN. What a table promises, because :func:`checked` made it: at least one row and
one column, float32 or float64 in row-major order, no infinite entry, no name twice; and, unless it
is of new rows for a model that is there, no column without any value. It does not promise that
columns vary, nor that every row holds a value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.errors import DataError

_WHOLE = re.compile(r"-?[0-9]+")
_HASHED = 4096
"""Rows that a fingerprint takes at a time, so that it needs no second copy of the table."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers.

    Args:
        values: (N, D), float32 or float64, NaN where missing.
        names: the D column names, or None where the source has none.
        origin: what the table was read from, as the user named it.
        frame: the same rows as an Arrow table with columns of any kind, or None where they were
            read as numbers alone. A column of ``values`` that is not of numbers then holds 0 for
            an entry that is there: it counts entries and says no more.
        notes: sentences on how it is written, where nobody might expect it.
        spelling: how its numbers are written, where they are text:
            :class:`isthmus.data.text.agreeing.Spelling`.
        na_values: words that were said to be missing; None where nothing was said.
        first: how many rows there are before these where they are a block of more.

    Attributes:
        again: of rows of a source, gives them as they are read where it is known how the columns
            of a fit were written. What is made of a table by ``dataclasses.replace`` has none.
    """

    values: np.ndarray
    names: tuple[str, ...] | None
    origin: str
    frame: Any = None
    notes: tuple[str, ...] = ()
    spelling: Any = None
    na_values: tuple[str, ...] | None = None
    first: int = 0
    again: Callable[[Any], Table] | None = field(default=None, init=False, repr=False)

    def as_known(self, fit: Any) -> Table:
        """The same rows, read as the columns of a fit were written
        (:class:`isthmus.data.text.agreeing.Written`).

        Raises:
            DataError: they are written otherwise, and cannot be read so.
        """
        return self if self.again is None else self.again(fit)


def stand_in(column: int) -> str:
    """The name by which a nameless column is spoken of and dropped: x0 is the first.

    >>> stand_in(3)
    'x3'
    """
    return f"x{column}"


def entry_name(entry: int, shape: tuple[int, ...]) -> str:
    """What an entry of a row is called whose features have no names, of samples with this shape.

    Args:
        entry: its position in the flat row.
        shape: (D,), (C, H, W) of images, (C, T) of series; rows, columns, points, channels from 0.

    >>> entry_name(3, (9,)), entry_name(30, (1, 12, 10)), entry_name(147, (2, 140))
    ('x3', 'row 3, column 0', 'point 7, channel 1')
    """
    if len(shape) == 1:
        return stand_in(entry)
    channel, *place = (int(i) for i in np.unravel_index(entry, shape))
    words = ("point",) if len(place) == 1 else ("row", "column")
    told = [f"{word} {i}" for word, i in zip(words, place, strict=True)]
    return ", ".join([*told, *([f"channel {channel}"] if shape[0] > 1 else [])])


def quoted(names: Iterable[Any], limit: int = 5) -> str:
    """Names for a sentence.

    >>> quoted(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    every = [repr(name) for name in names]
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown


def shown(value: Any, limit: int = 60) -> str:
    """A value for a sentence, cut where it is long.

    >>> shown("ab"), shown("a" * 100, limit=10)
    ("'ab'", "'aaaaaa...")
    """
    told = repr(value)
    return told if len(told) <= limit else f"{told[: limit - 3]}..."


def kept(names: Sequence[str], drop: Sequence[str], origin: str) -> list[int]:
    """Positions of the columns that stay when ``drop`` goes.

    Raises:
        DataError: a name to drop is not there, or nothing would stay.
    """
    unknown = [name for name in drop if name not in names]
    if unknown:
        raise DataError(
            f"drop={quoted(unknown)}",
            f"must name columns of {origin}",
            f"It has {quoted(names, limit=20)}.",
        )
    positions = [j for j, name in enumerate(names) if name not in drop]
    if not positions:
        raise DataError(f"{origin}", "has no column left", "Drop fewer columns.")
    return positions


def refuse_duplicates(names: Sequence[str], origin: str) -> None:
    """Two columns of one name cannot be told apart in results.

    Raises:
        DataError: a name occurs twice.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        at = [str(j + 1) for j, name in enumerate(names) if name == twice[0]]
        where = f" (columns {', '.join(at[:-1])} and {at[-1]})" if len(twice) == 1 else ""
        raise DataError(
            f"{origin}",
            f"has more than one column named {quoted(twice)}{where}",
            "Rename them.",
        )


def checked(
    values: np.ndarray,
    names: Sequence[str] | None,
    origin: str,
    *,
    allow_missing: bool = True,
    allow_empty: bool = False,
) -> Table:
    """The table of ``values`` (N, D), or an error that names the first entry at fault.

    Args:
        values: (N, D), NaN where missing.
        names: of the columns, or None.
        origin: what it was read from.
        allow_missing: whether entries may be missing.
        allow_empty: whether all entries of a column may be: nothing can be learned from it, but
            a model that is there can do without it.

    Raises:
        DataError: no row, no column, a name twice, an infinite entry, a column without any value
            or a missing entry where that is not allowed.

    >>> checked(np.array([[1.0, np.inf]]), ["a", "b"], "x.csv")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: x.csv must hold finite numbers; 1 entry is infinite, the first in
    row 1, column 'b'. Replace it, or leave it empty to mark it as missing.
    """
    n, d = values.shape
    if not n or not d:
        raise DataError(
            f"{origin}",
            f"must have at least one row and one column; its shape is ({n}, {d})",
            "Check how the file was made.",
        )
    labels = list(names) if names is not None else [stand_in(j) for j in range(d)]
    refuse_duplicates(labels, origin)
    finite = np.isfinite(values)
    if not finite.all():
        _refuse_infinite(values, labels, origin)
        empty = [labels[j] for j in np.flatnonzero(~finite.any(axis=0))]
        if empty and not allow_empty:
            raise DataError(
                f"column{'s' * (len(empty) > 1)} {quoted(empty)} of {origin}",
                "must hold at least one value; every entry is missing",
                drop_advice(empty),
            )
        if not allow_missing:
            count, place = _first(~finite, labels)
            raise DataError(
                f"{origin}",
                f"must have no missing entries here; {count} missing, the first in {place}",
                "Fill them in, or use a model that accepts missing entries.",
            )
    return Table(values, tuple(names) if names is not None else None, origin)


def fingerprint(values: np.ndarray) -> str:
    """A name for these rows in this order: SHA-256 over their shape and their values in float64.

    float32 and float64 of the same numbers have the same, and so have -0 and 0, and all NaN.

    Args:
        values: (N, D), real numbers, NaN where missing.

    Returns:
        64 hexadecimal digits.

    >>> fingerprint(np.eye(2))[:8]
    '91c03f2a'
    """
    digest = new_fingerprint(*values.shape)
    update_fingerprint(digest, values)
    return digest.hexdigest()


def new_fingerprint(n_rows: int, n_features: int) -> hashlib._Hash:
    """The fingerprint of so many rows, before any of them was taken in."""
    return hashlib.sha256(repr((n_rows, n_features)).encode())


def update_fingerprint(digest: hashlib._Hash, values: np.ndarray) -> None:
    """Take further rows (n, D) into a fingerprint that is being made."""
    for start in range(0, len(values), _HASHED):
        part = np.array(values[start : start + _HASHED], dtype=np.float64, order="C")
        part += 0.0  # -0.0 becomes 0.0
        part[np.isnan(part)] = np.nan
        digest.update(part.tobytes())


def spellings(words: Sequence[str]) -> list[str]:
    """How words are written: whole numbers with a zero after them as well, as fractions are.

    >>> spellings(["NA", "-9", ""])
    ['NA', '-9', '-9.0', '-9,0']
    """
    every = []
    for word in filter(None, words):
        every += [word, f"{word}.0", f"{word},0"] if _WHOLE.fullmatch(word) else [word]
    return every


def drop_advice(names: Sequence[str]) -> str:
    r"""The remedy for columns that cannot be used, to be copied as it is.

    >>> drop_advice(["name", "city"])
    "Leave out with drop=['name', 'city'] (on the command line --drop name,city)."
    >>> drop_advice(["a,b"])
    'Leave out with drop=[\'a,b\'] (on the command line --drop \'"a,b"\').'
    """
    if len(names) > 30:
        return f"Leave all {len(names)} out with drop (on the command line --drop)."
    option = shlex.quote(as_list(names))
    return f"Leave out with drop={list(names)!r} (on the command line --drop {option})."


def flagged(argument: str, name: str) -> str:
    """An argument that is a list of names, and the flag that stands for it.

    >>> flagged("text", "zip")
    "text=['zip'] (on the command line --text zip)"
    """
    flag = f"--{argument.replace('_', '-')}"
    return f"{argument}={[name]!r} (on the command line {flag} {shlex.quote(as_list([name]))})"


def as_list(names: Sequence[str]) -> str:
    """Names in one line, separated by commas; in quotes where a name holds a comma or a quote.

    >>> as_list(["a", "b,c"])
    'a,"b,c"'
    """
    if not any(mark in name for name in names for mark in ',"\n\r'):
        return ",".join(names)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def _refuse_infinite(values: np.ndarray, labels: Sequence[str], origin: str) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        count, place = _first(infinite, labels)
        entries = "1 entry is" if count == 1 else f"{count} entries are"
        raise DataError(
            f"{origin}",
            f"must hold finite numbers; {entries} infinite, the first in {place}",
            "Replace it, or leave it empty to mark it as missing.",
        )


def _first(where: np.ndarray, labels: Sequence[str]) -> tuple[int, str]:
    """How many entries are true, and the place of the first in words; rows count from 1."""
    row, column = divmod(int(where.argmax()), len(labels))
    return int(where.sum()), f"row {row + 1}, column {labels[column]!r}"
