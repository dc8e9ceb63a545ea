"""Numbers and dates as people spell them: ``$1,234.50``, ``1.234,50 €``, ``12 %``, ``05.06.2024``.

A *reading* is a decimal sign, a sign between groups of three digits or none, and a currency or
percent sign before or after the number or none; a currency may be of three letters (``EUR 5``),
and the minus of a fraction may stand behind it (``7.00-``). Text is numbers in a reading where
every entry is written in it: every number from 1,000 on with its groups, the same currency or
percent sign in every entry, no zero before other digits (a code).

Columns of separated text are read so where that cannot turn a code into a number:

- only one reading fits its entries. ``1,234`` throughout may be 1234 or 1.234, and stays text,
  whatever other columns have: another file of the same columns might tell otherwise;
- and it shows that they are amounts: a currency or percent sign, three letters of a currency beside
  groups or a fraction, a minus behind in some entries and not in others, or both groups and a
  fraction.
  Groups alone do not (``12.345.678`` may be the number of a person, ``101,205`` a list of two
  codes), nor does the other decimal sign alone (``1,5`` among points may be a list, ``24.12`` among
  commas a day).

Where the numbers of a fit are known, new ones are read by how those were written:
:mod:`isthmus.data.text.agreeing`.

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
GROUPS = (",", ".", "'", "\u2019", "\u00a0", "\u202f")
"""Signs between groups of digits."""
_MINUS = "\u2212"
_BEHIND = "^([^-]*[0-9][.,][0-9]+)[-\u2212]([^0-9]*)$"
"""An entry with the minus behind; only of a fraction, for ``2-`` may be a grade."""
# ISO 4217: what is legal tender, without funds and metals.
_ISO_4217 = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP
    BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
    GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR
    KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
    MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
    UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
"""
_CURRENCIES = frozenset(_ISO_4217.split())
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
        behind: whether the minus may stand behind the number.

    >>> Reading(",", ".", after="€").numbers(pa.array(["1.234,50 €", "-3 €", None])).to_pylist()
    [1234.5, -3.0, None]
    """

    decimal: str = "."
    group: str = ""
    before: str = ""
    after: str = ""
    example: str = ""
    behind: bool = False

    @property
    def unit(self) -> str:
        """The currency or percent sign; empty for none."""
        return self.before or self.after

    @property
    def pattern(self) -> str:
        """A regular expression for all of an entry, for Arrow and for Python, its minus before."""
        d, g, b = re.escape(self.decimal), re.escape(self.group), f"[{_BLANKS}]*"
        blank = f"[{_BLANKS}]+" if self.unit.isalpha() else ""  # EUR5 may be a code
        before = f"{re.escape(self.before)}{blank}" if self.before else ""
        after = f"{blank}{re.escape(self.after)}" if self.after else ""
        power = "" if before or after or g else "([eE][+-]?[0-9]+)?"
        whole = f"(0|[1-9][0-9]{{0,2}}({g}[0-9]{{3}})*)" if g else "(0|[1-9][0-9]*)"
        sign = f"[+{_MINUS}-]?"
        signs = f"({sign}{b}{before}|{before}{b}{sign})" if before else sign
        return f"^{b}{signs}{b}({whole}({d}[0-9]+)?|{d}[0-9]+){power}{b}{after}{b}$"

    def numbers(self, column: Any) -> Any:
        """Text that is written so, as float64."""
        if self.behind:
            column = _turned(column)
        for sign in (*_BLANKS, self.group, self.before, self.after):
            column = pc.replace_substring(column, sign, "") if sign else column
        column = pc.replace_substring(column, _MINUS, "-")
        if self.decimal == ",":
            column = pc.replace_substring(column, self.decimal, ".")
        return pc.cast(column, pa.float64())

    def spell(self, values: np.ndarray, like: Sequence[str], least: int = 0) -> list[str]:
        """Numbers (n,) as text, with the decimals, ``least`` or more, and the blanks of entries.

        >>> Reading(",", ".", after="€").spell(np.array([-1234.567]), ["3,50 €"])
        ['-1.234,57 €']
        """
        parts = re.compile(rf"{re.escape(self.decimal)}([0-9]+)")
        shown = (len(m[1]) for text in like if (m := parts.search(text)))
        digits = max(least, *shown, 0)
        example = like[0].strip() if like else self.before + self.after
        gap = re.search(rf"[{_BLANKS}]+", example.replace(self.group or "\0", ""))
        blank = gap[0] if gap else ""
        told = []
        for value in values:
            plain = f"{abs(value):,.{digits}f}"
            number = plain.replace(".", "\0").replace(",", self.group)
            number = number.replace("\0", self.decimal)
            whole = f"{self.before}{blank * bool(self.before)}{number}"
            sign = "-" if value < 0 and plain.strip("0.") else ""
            whole = f"{whole}{sign}" if self.behind else f"{sign}{whole}"
            told.append(f"{whole}{blank * bool(self.after)}{self.after}")
        return told


def _readings_of(entry: str) -> list[Reading]:
    """Every reading that one entry may be written in."""
    bare = entry.strip().strip("+-" + _MINUS).strip()
    before = _unit_of(bare[:1], bare[:3])
    after = "" if before else _unit_of(bare[-1:], bare[-3:])
    every = [
        Reading(decimal, group, before, after)
        for decimal in ".,"
        for group in ("", *GROUPS)
        if group != decimal
    ]
    return [reading for reading in every if re.match(reading.pattern, entry)]


def is_amount(entry: str) -> bool:
    """Whether one entry by itself is an amount, such as ``1.218,50 €``.

    >>> [is_amount(entry) for entry in ("1.218,50 €", "12 %", "TOP 10", "12.50")]
    [True, True, False, False]
    """
    if not any(sign.isdigit() for sign in entry):
        return False
    found = Spelled()
    found.add(pa.array([entry]))
    return found.sure()


def is_unit(sign: str) -> bool:
    """Whether it is a percent sign, the sign of a currency, or its three letters."""
    known = sign == "%" or sign in _CURRENCIES
    return known or (len(sign) == 1 and unicodedata.category(sign) == "Sc")


def _unit_of(*parts: str) -> str:
    return next((part for part in parts if is_unit(part)), "")


def _turned(column: Any) -> Any:
    """Text with a minus that stands behind a number before it."""
    return pc.replace_substring_regex(column, _BEHIND, r"-\1\2")


class Spelled:
    """A column of text, block by block: the readings that all of its entries are written in.

    >>> found = Spelled()
    >>> found.add(pa.array(["$1,234", None, "$12.50"]))
    >>> found.reading()
    Reading(decimal='.', group=',', before='$', after='', example='$1,234',
            behind=False)
    >>> found.sure()  # they are amounts
    True
    """

    def __init__(self) -> None:
        self._left: list[Reading] | None = None
        self._seen: set[str] = set()
        self._behind = self._ahead = False
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
            self._left = _readings_of(_turned(pa.scalar(self.example)).as_py())
        for part in (column.slice(0, _GLANCE), column):  # most text is told by a glance
            turned = _turned(part) if self._left else part
            self._left = [r for r in self._left if _all(turned, r.pattern)]
        if not self._left:
            return
        if not (self._behind and self._ahead):
            behind = pc.match_substring_regex(column, _BEHIND)
            self._ahead |= not pc.all(behind).as_py()
            if not self._behind and (i := pc.index(behind, True).as_py()) >= 0:
                self._behind = True
                self.example = column[i].as_py()
        for sign in GROUPS:
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
        return Reading() in (self._left or ()) and not self._seen and not self._behind

    def readings(self) -> list[Reading]:
        """One for each way in which the entries may be read to other numbers."""
        found: dict[tuple[str, str], Reading] = {}
        for r in self._left or ():
            signs = (r.group if r.group in self._seen else "", self._decimal(r))
            found.setdefault(signs, r)
        return [replace(r, example=self.example, behind=self._behind) for r in found.values()]

    def reading(self) -> Reading | None:
        """The only reading that fits, None where there are none or several."""
        found = self.readings()
        return found[0] if len(found) == 1 else None

    def sure(self) -> bool:
        """Whether the column can be nothing but numbers: no code, and no list of codes."""
        reading = self.reading()
        if reading is None:
            return False
        group, decimal = self.shown(reading).group, self._decimal(reading)
        if reading.unit.isalpha():  # TOP 10 is no sum in the currency of Tonga
            return bool(group or decimal)
        behind = reading.behind and self._ahead  # 1.5- and 2.0- alone may be grades
        return bool(reading.unit or behind or (group and decimal))

    def shown(self, reading: Reading) -> Reading:
        """A reading of them with those signs alone that an entry shows, or that others tell."""
        group = reading.group if reading.group in self._seen else ""
        decimal = self._decimal(reading)
        if not decimal and group in (",", "."):
            decimal = "." if group == "," else ","
        return replace(reading, decimal=decimal, group=group)

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
