"""Numbers and dates as people spell them: ``$1,234.50``, ``1.234,50 €``, ``12 %``, ``05.06.2024``.

A *reading* is a decimal sign, a sign between groups of three digits or none, and a currency or
percent sign before or after the number or none. Text is numbers in a reading where every entry is
written in it: every number from 1,000 on with its groups, the same currency or percent sign in
every entry, no zero before other digits (a code).

Columns of separated text are read so where that cannot turn a code into a number:

- only one reading fits its entries. ``1,234`` throughout may be 1234 or 1.234, and stays text,
  whatever other columns have: another file of the same columns might tell otherwise;
- and it shows that they are amounts: a currency or percent sign, or both groups and a fraction.
  Groups alone do not (``12.345.678`` may be the number of a person, ``101,205`` a list of two
  codes), nor does the other decimal sign alone (``1,5`` among points may be a list, ``24.12`` among
  commas a day).

A percent sign is a unit, as a currency is: ``12%`` is 12. Where text is not read so,
:class:`Looks` says what it looks like. Dates in other forms than ISO 8601 are only told of:
05/06/2024 may be two days.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.tables import shown

_BLANKS = " \t\u00a0\u202f"
_GROUPS = (",", ".", "'", "\u2019", "\u00a0", "\u202f")
_MINUS = "\u2212"
_GLANCE = 50
_DATE = (
    r"^\s*([0-9]{1,2}[./][0-9]{1,2}[./]([0-9]{4}|[0-9]{2})|[0-9]{4}[./][0-9]{1,2}[./][0-9]{1,2}"
    r"|[0-9]{1,2}[-. ]+[A-Za-z]{3,9}[-., ]+([0-9]{4}|[0-9]{2})|[A-Za-z]{3,9} [0-9]{1,2}, [0-9]{4}"
    r"|[0-9]{1,2}-[0-9]{1,2}-[0-9]{4})(,? [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?( ?[AaPp][Mm])?)?\s*$"
)
"""Days, perhaps with a time, in other forms than ISO 8601."""


@dataclass(frozen=True)
class Reading:
    """One way to write numbers.

    Args:
        decimal: the decimal sign.
        group: between groups of three digits; empty for none.
        before: currency or percent sign before the number; empty for none.
        after: the same after it.
        example: an entry that is written so.

    >>> Reading(",", ".", after="€").numbers(pa.array(["1.234,50 €", "-3 €", None])).to_pylist()
    [1234.5, -3.0, None]
    """

    decimal: str = "."
    group: str = ""
    before: str = ""
    after: str = ""
    example: str = ""

    @property
    def pattern(self) -> str:
        """A regular expression for all of an entry, for Arrow and for Python."""
        d, g, b = re.escape(self.decimal), re.escape(self.group), f"[{_BLANKS}]*"
        before, after = re.escape(self.before), re.escape(self.after)
        power = "" if before or after or g else "([eE][+-]?[0-9]+)?"
        whole = f"(0|[1-9][0-9]{{0,2}}({g}[0-9]{{3}})*)" if g else "(0|[1-9][0-9]*)"
        sign = f"[+{_MINUS}-]?"
        signs = f"({sign}{b}{before}|{before}{b}{sign})" if before else sign
        return f"^{b}{signs}{b}({whole}({d}[0-9]+)?|{d}[0-9]+){power}{b}{after}{b}$"

    def numbers(self, column: Any) -> Any:
        """Text that is written so, as float64."""
        for sign in (*_BLANKS, self.group, self.before, self.after):
            column = pc.replace_substring(column, sign, "") if sign else column
        column = pc.replace_substring(column, _MINUS, "-")
        if self.decimal != ".":
            column = pc.replace_substring(column, self.decimal, ".")
        return pc.cast(column, pa.float64())

    def spell(self, values: np.ndarray, like: Sequence[str]) -> list[str]:
        """Numbers (n,) as text, with the decimals and the blanks that entries have.

        >>> Reading(",", ".", after="€").spell(np.array([-1234.567]), ["3,50 €"])
        ['-1.234,57 €']
        """
        parts = re.compile(rf"{re.escape(self.decimal)}([0-9]+)")
        digits = max((len(m[1]) for text in like if (m := parts.search(text))), default=0)
        example = like[0].strip() if like else self.before + self.after
        gap = re.search(rf"[{_BLANKS}]+", example.replace(self.group or "\0", ""))
        blank = gap[0] if gap else ""
        told = []
        for value in values:
            number = f"{abs(value):,.{digits}f}".replace(".", "\0").replace(",", self.group)
            number = number.replace("\0", self.decimal)
            whole = f"{self.before}{blank * bool(self.before)}{number}"
            minus = "-" if value < 0 else ""
            told.append(f"{minus}{whole}{blank * bool(self.after)}{self.after}")
        return told


def _readings_of(entry: str) -> list[Reading]:
    """Every reading that one entry may be written in."""
    bare = entry.strip().strip("+-" + _MINUS).strip()
    before, after = bare[:1], bare[-1:]
    before = before if _is_unit(before) else ""
    after = after if not before and _is_unit(after) else ""
    every = [
        Reading(decimal, group, before, after)
        for decimal in ".,"
        for group in ("", *_GROUPS)
        if group != decimal
    ]
    return [reading for reading in every if re.match(reading.pattern, entry)]


def _is_unit(sign: str) -> bool:
    return sign == "%" or (bool(sign) and unicodedata.category(sign) == "Sc")


class Spelled:
    """A column of text, block by block: the readings that all of its entries are written in.

    >>> found = Spelled()
    >>> found.add(pa.array(["$1,234", None, "$12.50"]))
    >>> found.reading()
    Reading(decimal='.', group=',', before='$', after='', example='$1,234')
    >>> found.sure()  # they are amounts
    True
    """

    def __init__(self) -> None:
        self._left: list[Reading] | None = None
        self._seen: set[str] = set()
        self.example = ""

    def add(self, column: Any) -> None:
        """The next rows."""
        if self._left == []:
            return
        column = column.drop_null()
        if not len(column):
            return
        if self._left is None:
            self.example = column[0].as_py()
            self._left = _readings_of(self.example)
        for part in (column.slice(0, _GLANCE), column):  # most text is told by a glance
            self._left = [r for r in self._left if _all(part, r.pattern)]
        if not self._left:
            return
        for sign in _GROUPS:
            if sign not in self._seen and (i := _first(column, sign)) is not None:
                self._seen.add(sign)
                self.example = max(self.example, column[i].as_py(), key=len)

    @property
    def possible(self) -> bool:
        """Whether there is a reading, or more than one."""
        return bool(self._left)

    @property
    def plain(self) -> bool:
        """Whether they are digits alone, such as those of a postal code."""
        return Reading() in (self._left or ()) and not self._seen

    def reading(self) -> Reading | None:
        """The only reading that fits, None where there are none or several."""
        found: dict[tuple[str, str], Reading] = {}
        for r in self._left or ():
            signs = (r.group if r.group in self._seen else "", self._decimal(r))
            found.setdefault(signs, r)
        only = next(iter(found.values())) if len(found) == 1 else None
        return only and replace(only, example=self.example)

    def sure(self) -> bool:
        """Whether the column can be nothing but numbers: no code, and no list of codes."""
        reading = self.reading()
        if reading is None:
            return False
        amounts = reading.group in self._seen and bool(self._decimal(reading))
        return bool(reading.before or reading.after) or amounts

    def _decimal(self, reading: Reading) -> str:
        return reading.decimal if reading.decimal in self._seen else ""


class Looks:
    """A column of text, block by block: what it looks like that it is not read as."""

    def __init__(self) -> None:
        self._numbers = Spelled()
        self._date: str | None = None
        self._dates = True

    def add(self, column: Any) -> None:
        """The next rows."""
        self._numbers.add(column)
        column = column.drop_null()
        if self._dates and len(column):
            self._date = self._date or column[0].as_py()
            self._dates = all(_all(part, _DATE) for part in (column.slice(0, _GLANCE), column))

    def told(self) -> str:
        """In words: what, and an example; empty where it looks like nothing else."""
        if self._dates and self._date is not None:
            return f"dates, written {shown(self._date)}"
        if self._numbers.possible and not self._numbers.plain:
            either = "" if self._numbers.reading() else ", of thousands or with a fraction"
            return f"numbers, written {shown(self._numbers.example)}{either}"
        return ""

    def remedy(self) -> str:
        """What to do to have it read so."""
        if self._dates and self._date is not None:
            return "To have them taken for dates, write them as 2024-12-31."
        return (
            "To have them taken for numbers, write them without a unit and without signs between "
            "thousands, with the decimal sign of the others."
        )


def _all(column: Any, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _first(column: Any, sign: str) -> int | None:
    at: int = pc.index(pc.match_substring(column, sign), True).as_py()
    return at if at >= 0 else None
