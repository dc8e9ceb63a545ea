"""How the numbers of a table are written, kept, so that later tables are read in the same way.

``1.218`` alone is 1218 among numbers such as ``1.218,50`` and 1.218 among points. A fit knows
which, and a file of later rows may hold nothing else. So what was written in the fit is kept by
column, a :class:`isthmus.data.text.spelled.Reading` of those signs that it showed. Entries of new
rows that can be read in one way only are read so; those that can be read in several ways as in the
fit: with its decimal sign, and with its sign between groups of digits or none. Where the fit does
not tell, or other columns have the other decimal sign than in the fit, the column is refused.

A unit is never converted: ``€ 5`` where the fit had ``$ 5``, and ``0.35`` where it had ``35%``, are
refused. Numbers without a currency are taken for the currency of the fit, and those with one for
the numbers of a fit without, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.tables import shown
from isthmus.data.telling import note_alike, told_once
from isthmus.data.text.spelled import Reading, Spelled
from isthmus.errors import DataError

Known = Mapping[str, Reading | None]
"""By the names of columns: how their numbers were written before; None of text."""
_SAME = {"€": "EUR", "£": "GBP"}
_SPOKEN = {",": "decimal commas", ".": "decimal points", "": "no fraction"}
_ROUNDING = 1e-6
_LONGEST = 100
"""Letters of an example that are kept: a column may be padded with blanks."""


@dataclass(frozen=True)
class Spelling:
    """How the numbers of a table are written.

    Args:
        decimal: the decimal sign of columns that are not among the others.
        columns: how those are written that have other signs.
        decimals: how many columns of numbers show (:mod:`isthmus.data.text.decimals`).
        several: columns that its files may write in several ways; not recorded.

    >>> kept = Spelling(".", {"cost": Reading(",", ".", after="€", example="1.234,50 €")})
    >>> Spelling.of_record(kept.recorded()) == kept, kept.of("size").decimal
    (True, '.')
    """

    decimal: str
    columns: Mapping[str, Reading] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    several: tuple[str, ...] = field(default=(), compare=False)

    def of(self, name: str) -> Reading:
        """How a column is written."""
        return self.columns.get(name, Reading(self.decimal))

    def recorded(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        every = [f.name for f in fields(Reading)]
        cut = {
            name: replace(how, example=how.example.strip()[:_LONGEST])
            for name, how in self.columns.items()
        }
        signs = {
            name: {f: v for f in every if (v := getattr(how, f)) or f == "decimal"}
            for name, how in cut.items()
        }
        shows = {"decimals": dict(self.decimals)} if self.decimals else {}
        return {"decimal": self.decimal, "columns": signs, **shows}

    def called(self, names: Mapping[str, str]) -> Spelling:
        """The same of columns under other names, by those that they had; others are left out."""
        columns = {names[name]: how for name, how in self.columns.items() if name in names}
        decimals = {names[name]: n for name, n in self.decimals.items() if name in names}
        return Spelling(self.decimal, columns, decimals)

    @classmethod
    def of_record(cls, recorded: Mapping[str, Any]) -> Spelling:
        """What :meth:`recorded` gave."""
        columns = {name: Reading(**signs) for name, signs in recorded["columns"].items()}
        # runs written before decimals were recorded lack them
        return cls(recorded["decimal"], columns, recorded.get("decimals") or {})


def differs(kind: pa.DataType, here: Reading, how: Reading | None) -> bool:
    """Whether a column would be read otherwise, if it were known how it was written.

    Args:
        kind: Arrow's type that it has.
        here: how it is written, where it is of numbers.
        how: how it was written before; None of text.
    """
    if pa.types.is_string(kind):
        return how is not None
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return numbers and (how is None or replace(here, example="") != replace(how, example=""))


@dataclass(frozen=True)
class Written:
    """How the columns of a fit were written.

    Args:
        columns: by name; None of text.
        order: the names of all columns of the fit, in its order; without names x0, x1, ...
        named: whether they had names.
        text: names of columns that were said to be text.
        na_values: words that were said to be missing; None where nothing was said.
        decimals: how many columns showed, by name.
        numbers: names of the columns that were numbers, in whatever they were.

    >>> fit = Written({"cost": Reading(",", ".")}, ("cost", "size"))
    >>> fit.of(["x0", "x1"], named=False) == {"x0": Reading(",", ".")}
    True
    """

    columns: Known = field(default_factory=dict)
    order: tuple[str, ...] = ()
    named: bool = True
    text: tuple[str, ...] = ()
    na_values: tuple[str, ...] | None = None
    decimals: Mapping[str, int] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()

    def of(self, labels: Sequence[str], named: bool) -> dict[str, Reading | None]:
        """The same for a table with these columns: by name, or by position where either side has
        no names, as rows are taken then."""
        said = {name: None for name in self.text if named == self.named and name in labels}
        if named and self.named:
            return {**self.columns, **said}
        if len(labels) != len(self.order):
            return dict(said)
        pairs = zip(labels, self.order, strict=True)
        by_position = {label: self.columns[name] for label, name in pairs if name in self.columns}
        return {**by_position, **said}

    def shown(self, labels: Sequence[str], named: bool) -> Mapping[str, int]:
        """How many decimals these columns showed in the fit, told apart as in :meth:`of`."""
        if named and self.named:
            return self.decimals
        if len(labels) != len(self.order):
            return {}
        pairs = zip(labels, self.order, strict=True)
        return {label: self.decimals[name] for label, name in pairs if name in self.decimals}


@dataclass(frozen=True)
class Place:
    """Where new entries stand.

    Args:
        column: its name.
        origin: the file.
        decimal: that of the file, where it is not that of the fit; else empty.
        told: what tells so.
        of: what the numbers were written in that are known.
    """

    column: str
    origin: str
    decimal: str = ""
    of: str = "the fit"
    told: str = ""

    def note(self, what: str) -> None:
        """Have a currency told of that came or went, once for all files that are read together."""
        numbers = f"Numbers in column {self.column!r} of {self.origin}"
        with told_once():
            sentence = f"{numbers} have {what}: they are taken for the same."
            note_alike(self.column, what.split()[0], self.origin, sentence)

    def refused(self, example: str, rule: str, remedy: str) -> DataError:
        """The error on a column of entries such as the example; without one they are bare."""
        how = f"written {shown(example)}" if example else "without a unit"
        return DataError(f"column {self.column!r} of {self.origin}, {how},", rule, remedy)


def agreed(found: Spelled, was: Reading, place: Place) -> Reading | None:
    """How entries are read, where it is known how those of the fit were written.

    Args:
        found: the entries.
        was: how they were written in the fit.
        place: where they stand.

    Returns:
        The reading; None where they are no numbers.

    Raises:
        DataError: they contradict the fit, or can be read in several ways.

    >>> found = Spelled()
    >>> found.add(pa.array(["1.218"]))
    >>> agreed(found, Reading(",", ".", example="1.218,50"), Place("cost", "x.csv")).decimal
    ','
    """
    ways = found.readings()
    if not ways:
        return None
    check_unit(ways[0], was, place)
    if len(ways) == 1:
        return ways[0]
    told = [(way, found.shown(way)) for way in ways]
    fits = [way for way, signs in told if _fits(signs, was)]
    here = [way for way, signs in told if place.decimal == signs.decimal]
    if len(fits) == 1 and (not place.decimal or fits == here):
        return fits[0]
    if not fits and len(here) == 1:
        return here[0]
    example = f", such as {shown(was.example)}" if was.example else ""
    other = f", and {place.told}" if place.decimal else ""
    plain = 1234.5
    raise place.refused(
        found.example,
        f"may be thousands or have a fraction; {place.of} has {_SPOKEN[was.decimal]}{example}"
        f"{other}",
        f"Write it so that it can be read in one way, best as {plain}.",
    )


def _fits(signs: Reading, was: Reading) -> bool:
    decimal = not signs.decimal or signs.decimal == (was.decimal or ".")
    return decimal and signs.group in ("", was.group)


def other_sign(shows: Mapping[str, Spelled], known: Known) -> tuple[str, str]:
    """The decimal sign of a file where it is not that of the fit, and what tells so; else empty.

    Args:
        shows: the entries of its columns.
        known: how they were written in the fit.
    """
    for name, found in shows.items():
        was, only = known.get(name), found.reading()
        if was is None or only is None:
            continue
        here = found.shown(only).decimal
        if here and was.decimal and here != was.decimal:
            return here, f"other columns of the file have {_SPOKEN[here]}"
    return "", ""


def check_unit(here: Reading, was: Reading, place: Place) -> None:
    """Refuse numbers in another unit; warn where they have lost the currency of the fit, or have
    one that it did not have.

    Raises:
        DataError: a percent sign or a currency is there and was not, or another one.
    """
    now, before = (_SAME.get(each.unit, each.unit) for each in (here, was))
    if now == before:
        return
    if not before and now != "%":
        place.note(f"a currency, such as {shown(here.example)}, and those of {place.of} had none")
        return
    if not now and before != "%":
        place.note(f"no currency, and those of {place.of} had one, such as {shown(was.example)}")
        return
    had = f"written {shown(was.example)}" if was.unit else "without a percent sign"
    what = "currency" if now != "%" and before != "%" else "unit"
    remedy = f"Convert the numbers to the {what} of {place.of}, and write them as there"
    if place.of == "the fit":
        remedy += "; or fit again to rows that are written so"
    raise place.refused(here.example, f"must be in the {what} of {place.of}, {had}", f"{remedy}.")


def may_be_thousands(column: Any, was: Reading, decimal: str) -> bool:
    """Whether numbers that were read with a decimal sign may be thousands in the spelling of a fit.

    Such as ``1.218``: none has other than three decimals, or none, and all are below 1000.

    Args:
        column: (n,), of Arrow.
        was: how they were written in the fit.
        decimal: the sign.

    >>> was = Reading(",", ".")
    >>> [may_be_thousands(pa.array([x]), was, ".") for x in (1.218, 1.5, 0.218, 1218.0)]
    [True, True, False, False]
    """
    if was.group != decimal and (decimal == "," or was.decimal != ","):
        return False
    values = np.abs(np.asarray(column.drop_null().cast(pa.float64()), np.float64))
    thousands = values * 1000
    whole = np.abs(thousands - np.round(thousands)) < _ROUNDING
    return bool((whole & ((values == 0) | (values >= 1)) & (values < 1000)).all())
