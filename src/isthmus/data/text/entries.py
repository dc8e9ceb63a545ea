"""What a column of separated text is a column of, told from all of its entries.

A column is the narrowest of these that holds every entry: nothing, truth, day, moment, whole
number, number, time of day; else it is text. Three rules stand before that:

- *Codes.* ``00033`` is no number: a zero with another digit after it (``00``, ``007``, ``01.10``,
  also ``0x1F``) names something, and the zero would be lost. One such entry, wherever it stands,
  makes the column text. ``0``, ``0.5``, ``-0.5`` and what has a sign (``-05``) are numbers;
  ``08:15`` and ``05/06/2024`` are no codes, for they are no numbers either way.
- *Spelled numbers*, such as ``$1,234.50`` or ``12 %``, are numbers where they can be nothing else:
  :mod:`isthmus.data.text.spelled` has the rule.
- *Strays.* Numbers with words among them are a mistake in the file, or categories. They are text
  where words are at least half of the entries and the first of them stands among the first
  :data:`BEGINNING`; else the first word is refused, by line and column.

Neither depends on where blocks end, so a file is read in one way whatever its size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.text.sniff import Layout
from isthmus.data.text.spelled import Reading, Spelled

NUMBER = r"^\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity))\s*$"
"""As :func:`isthmus.data.text.sniff.is_number`, for Arrow; the point is the decimal sign."""
_LONG = r"^\s*[+-]?[1-9][0-9]{18,}\s*$"
CODE = r"^\s*0([0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|[xX][0-9a-fA-F]+)\s*$"
BEGINNING = 1000
"""Entries within which a column of numbers and words must show its first word."""
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
_KINDS = (
    pa.null(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.time32("s"),
    pa.int64(),
    pa.float64(),
)
_AFTER = {
    pa.null(): _KINDS,
    pa.int64(): (pa.int64(), pa.float64()),
    pa.date32(): (pa.date32(), pa.timestamp("s"), pa.timestamp("ns")),
    pa.timestamp("s"): (pa.timestamp("s"), pa.timestamp("ns")),
    pa.timestamp("s", "UTC"): (pa.timestamp("s", "UTC"), pa.timestamp("ns", "UTC")),
}
_SCANNED = 1 << 22


@dataclass(frozen=True)
class Signs:
    """What a glance at the bytes of a file tells.

    Args:
        codes: whether a field may begin with a zero and another digit; False is certain.
        quotes: whether there is a quote, and so perhaps an end of line within an entry.
    """

    codes: bool
    quotes: bool


def signs_of(path: Path, layout: Layout) -> Signs:
    """One pass over the bytes, at about the rate at which they are read."""
    before = np.zeros(256, bool)
    before[[ord(layout.separator), *b'\n\r"']] = True
    after = np.zeros(256, bool)
    after[[*b"0123456789xX"]] = True
    blanks = np.zeros(256, bool)
    blanks[[*b" \t"]] = True  # which numbers may have before them
    bare = before | blanks
    codes, quotes, tail = False, False, b"\n\n"
    with path.open("rb") as file:
        while block := file.read(_SCANNED):
            quotes = quotes or b'"' in block
            block = tail + block
            if not codes:
                b = np.frombuffer(block, np.uint8)
                at = np.flatnonzero(b[2:-1] == ord("0")) + 2
                at = at[after[b[at + 1]]]
                blank = blanks[b[at - 1]] & bare[b[at - 2]]  # not that of "2024-01-05 08:00"
                codes = bool((before[b[at - 1]] | blank).any())
            if codes and quotes:
                break
            tail = block[-3:]
    return Signs(codes, quotes)


class Stray:
    """A column of text, block by block: is it a column of numbers with words in it?"""

    def __init__(self, decimal: str) -> None:
        self.decimal = decimal
        self.spelled = Spelled()
        self.rows = self.present = self.words = self.before = 0
        self.first: tuple[int, str] | None = None

    def add(self, column: Any) -> None:
        """The next rows."""
        self.spelled.add(column)
        word = pc.fill_null(pc.invert(numbers(column, self.decimal)), False)
        if self.first is None and (i := pc.index(word, True).as_py()) >= 0:
            self.first = (self.rows + i, column[i].as_py())
            self.before = self.present + i - column[:i].null_count
        self.present += len(column) - column.null_count
        self.words += pc.sum(word).as_py() or 0
        self.rows += len(column)

    @property
    def astray(self) -> bool:
        """Whether the words do not belong there."""
        few = self.words < self.present / 2
        return self.first is not None and (few or self.before >= BEGINNING)


class Entries:
    """A column that was read as text, block by block, and the kind that holds all of it.

    Args:
        decimal: the decimal sign.
        text: whether it is text whatever it holds.

    ``coded`` is whether it is text for a code in it.

    >>> found = Entries(".")
    >>> for block in (["1", "2"], ["1.5", None]):
    ...     found.add(pa.array(block))
    >>> str(found.kind)
    'double'
    >>> found.add(pa.array(["007"]))
    >>> str(found.kind)
    'string'
    """

    def __init__(self, decimal: str, text: bool = False) -> None:
        self.stray = Stray(decimal)
        self.decimal, self.text, self._coded = decimal, text, False
        self._long: bool | None = None
        self._narrow: Any = pa.null()

    def add(self, column: Any) -> None:
        """The next rows."""
        if self.text:
            return
        self.stray.add(column)
        self.text = self._coded = has_codes(column, self.decimal)
        there = column.drop_null()
        if self._long is not False and len(there):
            self._long = bool(pc.all(pc.match_substring_regex(there, _LONG)).as_py())
        if not pa.types.is_string(self._narrow):
            self._narrow = _wider(column, self._narrow, self.decimal)

    @property
    def kind(self) -> Any:
        """Arrow's type."""
        return pa.string() if self.text or self.coded else self._narrow

    @property
    def coded(self) -> bool:
        """Whether there is a code, or all are whole numbers so long that they would lose digits."""
        return self._coded or (bool(self._long) and pa.types.is_floating(self._narrow))

    def reading(self) -> Reading | None:
        """How numbers are spelled that could not be told otherwise; None where they are not."""
        if self.text or not pa.types.is_string(self._narrow):
            return None
        found = self.stray.spelled
        return found.reading() if found.sure() else None

    @property
    def astray(self) -> bool:
        """Whether words stand among numbers that do not belong there."""
        return not self.text and pa.types.is_string(self._narrow) and self.stray.astray


def numbers(column: Any, decimal: str) -> Any:
    """Which entries of a column of text are written as numbers; null where there is none."""
    return pc.match_substring_regex(column, NUMBER.replace(r"\.", re.escape(decimal)))


def has_codes(column: Any, decimal: str) -> bool:
    """Whether an entry of a column of text is a code, such as 00033.

    >>> [has_codes(pa.array([word]), ".") for word in ("00", "01.10", "0", "0.5", "-0.5", "08:15")]
    [True, True, False, False, False, False]
    """
    found = pc.match_substring_regex(column, CODE.replace(r"\.", re.escape(decimal)))
    return bool(pc.any(found).as_py())


def typed(column: Any, decimal: str) -> Any:
    """A whole column of text in the kind that holds all of it; times of day, which Arrow does not
    cast to, stay text.
    """
    found = Entries(decimal)
    found.add(column)
    if pa.types.is_string(found.kind) or pa.types.is_time(found.kind):
        return column
    return pc.cast(_plain(column, decimal), found.kind)


def _plain(column: Any, decimal: str) -> Any:
    column = pc.utf8_trim_whitespace(column)
    return column if decimal == "." else pc.replace_substring(column, decimal, ".")


def _wider(column: Any, kind: Any, decimal: str) -> Any:
    """The first kind from ``kind`` on that holds the column of text."""
    written = numbers(column, decimal)
    column = _plain(column, decimal)
    for wider in _AFTER.get(kind, (kind,)):
        if pa.types.is_null(wider):
            if column.null_count == len(column):
                return wider
        elif pa.types.is_time(wider):  # for which Arrow has no cast
            if pc.all(pc.match_substring_regex(column, _TIME)).as_py():
                return wider
        elif _may_be(wider, written):
            try:
                pc.cast(column, wider)
            except pa.ArrowInvalid:
                continue
            return wider
    return pa.string()


def _may_be(kind: Any, written: Any) -> bool:
    """Whether text may be cast to a kind, where Arrow takes more than is meant: ``nan``, the other
    decimal sign, 1 for true.

    Args:
        kind: to cast to.
        written: which entries are written as numbers are.
    """
    if pa.types.is_boolean(kind):
        return not pc.any(written).as_py()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return pc.all(written).as_py() is not False
    return True
