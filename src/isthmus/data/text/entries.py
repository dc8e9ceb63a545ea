"""What a column of separated text is a column of, told from all of its entries.

A column is the narrowest of these that holds every entry: nothing, truth, day, moment, whole
number, number, time of day; else it is text. Three rules stand before that:

- *Codes.* ``00033`` is no number: a zero with another digit after it (``00``, ``007``, ``01.10``,
  also ``0x1F``) names something, and the zero would be lost. One such entry, wherever it stands,
  makes the column text. ``0``, ``0.5``, ``-0.5`` and what has a sign (``-05``) are numbers;
  ``08:15`` and ``05/06/2024`` are no codes, for they are no numbers either way. Nor is ``12e0544``,
  where all entries are digits, of one width, and some have such an e between; nor are digits with
  a plus before seven and more of them, the numbers of telephones, where none has a minus.
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
# What all entries of such codes are, and what one of them is: 12e0544 or 12e05 beside 12345.
_WITH_E = (r"^\s*[0-9]+([eE][0-9]+)?\s*$", r"^\s*[0-9]{2,}[eE][0-9]+\s*$")
_ZERO_AFTER_E = r"^\s*[0-9]{2,}[eE]0[0-9]+\s*$"
_DIALLED = (r"^\s*\+?[0-9]{7,15}\s*$", r"^\s*\+[1-9][0-9]{6,14}\s*$")
_BEYOND = r"^\s*[+-]?[1-9][0-9]{15,}\s*$"
LARGEST_WHOLE = 1 << 53
"""Whole numbers up to here are numbers of 64 bits without loss."""
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
_LOOKED_BACK = 32


@dataclass(frozen=True)
class Signs:
    """What a glance at the bytes of a file tells.

    Args:
        codes: whether a field may be a code; False is certain.
        quotes: whether there is a quote, and so perhaps an end of line within an entry.
    """

    codes: bool
    quotes: bool


def signs_of(path: Path, layout: Layout) -> Signs:
    """One pass over the bytes, at about the rate at which they are read."""
    marks = _bytes(layout.separator.encode() + b'\n\r"')
    bare = marks | _bytes(b" \t")  # blanks, which numbers may have before them
    digits, hexadecimal = _bytes(b"0123456789"), _bytes(b"0123456789xX")
    exponent = _bytes(b"eE")
    codes, quotes, tail = False, False, b"\n" * _LOOKED_BACK
    with path.open("rb") as file:
        while block := file.read(_SCANNED):
            quotes = quotes or b'"' in block
            block = tail + block
            if not codes:
                b = np.frombuffer(block, np.uint8)
                at = np.flatnonzero(b[2:-1] == ord("0")) + 2
                codes = _begin(b, at[hexadecimal[b[at + 1]]], marks, bare)
                at = np.flatnonzero(b[2:-1] == ord("+")) + 2
                codes = codes or _begin(b, at[digits[b[at + 1]]], marks, bare)
                at = np.flatnonzero(exponent[b[_LOOKED_BACK - 1 : -1]]) + _LOOKED_BACK - 1
                codes = codes or _between(b, at, digits, bare)
            if codes and quotes:
                break
            tail = block[-_LOOKED_BACK:]
    return Signs(codes, quotes)


def _bytes(these: bytes) -> np.ndarray:
    found = np.zeros(256, bool)
    found[[*these]] = True
    return found


def _begin(b: np.ndarray, at: np.ndarray, marks: np.ndarray, bare: np.ndarray) -> bool:
    """Whether a field begins at one of these positions, but for a blank."""
    blank = bare[b[at - 1]] & bare[b[at - 2]]  # not that of "2024-01-05 08:00"
    return bool((marks[b[at - 1]] | blank).any())


def _between(b: np.ndarray, at: np.ndarray, digits: np.ndarray, bare: np.ndarray) -> bool:
    """Whether an e at one of these positions is between digits, from where a field begins."""
    at = at[digits[b[at + 1]] & digits[b[at - 1]] & digits[b[at - 2]]]
    for step in range(2, _LOOKED_BACK):
        if not len(at):
            return False
        if bare[b[at - step]].any():
            return True
        at = at[digits[b[at - step]]]
    return bool(len(at))


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

    ``coded`` is whether it is text for a code in it, ``beyond`` the first whole number that may be
    beyond :data:`LARGEST_WHOLE`.

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
        self.beyond = ""
        self._long: bool | None = None
        self._narrow: Any = pa.null()
        self._digits = _Digits()

    def add(self, column: Any) -> None:
        """The next rows."""
        if self.text:
            return
        self.stray.add(column)
        self.text = self._coded = has_codes(column, self.decimal)
        there = column.drop_null()
        if self._long is not False and len(there):
            self._long = bool(pc.all(pc.match_substring_regex(there, _LONG)).as_py())
        self._digits.add(there)
        if not self.beyond:
            self.beyond = first_beyond(there)
        if not pa.types.is_string(self._narrow):
            self._narrow = _wider(column, self._narrow, self.decimal)

    @property
    def kind(self) -> Any:
        """Arrow's type."""
        return pa.string() if self.text or self.coded else self._narrow

    @property
    def coded(self) -> bool:
        """Whether there is a code, or all are whole numbers so long that they would lose digits."""
        numbers = pa.types.is_floating(self._narrow)
        return self._coded or (numbers and (bool(self._long) or self._digits.are_codes))

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


class _Digits:
    """Entries of digits with an e between some, or a plus before them, block by block.

    >>> def told(*words):
    ...     found = _Digits()
    ...     found.add(pa.array(words))
    ...     return found.are_codes
    >>> told("12e0544", "3410922"), told("12e05", "12345"), told("+4930123456", "4930123457")
    (True, True, True)
    >>> told("1e5", "123"), told("12e5", "9e12"), told("10e3", "20e3"), told("+5", "+1234567")
    (False, False, False, False)
    """

    def __init__(self) -> None:
        self._with_e = self._dialled = True
        self._widths: set[int] = set()
        self._e = self._zero = self._bare = self._plus = False

    def add(self, there: Any) -> None:
        """The next entries, none of them missing."""
        if self._with_e and len(there):
            lengths = pc.unique(pc.utf8_length(pc.utf8_trim_whitespace(there)))
            self._widths |= set(lengths.to_pylist())
            self._with_e = len(self._widths) == 1 and _every(there, _WITH_E[0])
            if self._with_e:
                self._e |= _any(there, _WITH_E[1])
                self._zero |= _any(there, _ZERO_AFTER_E)
                self._bare |= not _every(there, "[eE]")
        if self._dialled and len(there):
            self._dialled = _every(there, _DIALLED[0])
            self._plus |= self._dialled and _any(there, _DIALLED[1])

    @property
    def are_codes(self) -> bool:
        """Whether they are."""
        hidden = self._zero or (self._e and self._bare)
        return (self._with_e and hidden) or (self._dialled and self._plus)


def _every(there: Any, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(there, pattern)).as_py())


def _any(there: Any, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(there, pattern)).as_py())


def first_beyond(there: Any) -> str:
    """The first entry that is a whole number beyond :data:`LARGEST_WHOLE`, as much of it as a
    sentence holds; empty where none is.
    """
    long = there.filter(pc.match_substring_regex(there, _BEYOND))
    words = (word.as_py().strip() for word in long)
    most = len(str(LARGEST_WHOLE))  # int() takes no more than some thousands of digits
    beyond = (w for w in words if len(w.lstrip("+-0")) > most or abs(int(w)) > LARGEST_WHOLE)
    found = next(beyond, "")
    return found if len(found) <= 40 else f"{found[:37]}..."


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
