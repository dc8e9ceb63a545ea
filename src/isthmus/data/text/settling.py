"""What columns of separated text are to be read as, where that is not told by their first block.

A file is parsed as Arrow takes it, under a :class:`Watch`. What that finds unsettled (codes,
amounts, ``1.218`` where a fit had decimal commas) is told from all entries as text, by
:func:`kinds_of`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.files.shards import Shard
from isthmus.data.tables import flagged
from isthmus.data.text.agreeing import (
    Known,
    Place,
    Spelling,
    agreed,
    may_be_thousands,
    other_sign,
)
from isthmus.data.text.entries import LARGEST_WHOLE, Entries, Stray
from isthmus.data.text.parsing import TextFile
from isthmus.data.text.sniff import Layout
from isthmus.data.text.spelled import Reading, Spelled
from isthmus.data.words import Words

# A number in quotes after a comma, or at the beginning of a line, that needs them for its own comma
# or has points between groups of digits: "2,5", "1.218", "1.218,50 €"; "2024" and "x" are none.
_QUOTED_NUMBER = re.compile(
    rb'[,\r\n][ \t]*"[^0-9",.\r\n]{0,8}'
    rb'(?:[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?|[0-9]+,[0-9]+)[^0-9",.\r\n]{0,8}"'
)
_SCANNED = 1 << 22
_LOOKED_BACK = 128


@dataclass(frozen=True)
class Parsed:
    """A text file that was read.

    Attributes:
        shard: the rows.
        coded: columns that are text for a code in them.
        layout: how the file is written.
        spelled: columns of numbers that are spelled otherwise than Arrow reads them.
        beyond: columns of numbers with whole ones that are rounded, and one of these.
        decimals: how many the columns of numbers show.
    """

    shard: Shard
    coded: list[str]
    layout: Layout
    spelled: dict[str, Reading]
    beyond: dict[str, str]
    decimals: dict[str, int] = field(default_factory=dict)

    @property
    def spelling(self) -> Spelling:
        """How its numbers are written."""
        return Spelling(self.layout.decimal, self.spelled, self.decimals)

    @property
    def shown(self) -> dict[str, Reading]:
        """How columns are written that show other signs than a decimal point."""
        if self.layout.decimal == ".":
            return self.spelled
        comma = Reading(self.layout.decimal, example=self.layout.fraction[1])
        floats = [f.name for f in self.shard.schema if pa.types.is_floating(f.type)]
        return {**dict.fromkeys(floats, comma), **self.spelled}


def common(parts: Sequence[Parsed]) -> Spelling:
    """How the files of one table are written: each column as the first that shows more than a
    decimal sign, else with the comma that it showed in any of them, whatever their order."""
    first = parts[0].layout.decimal
    columns: dict[str, Reading] = {}
    decimals: dict[str, int] = {}
    for part in parts:
        columns = {**part.spelled, **columns}
        more = {name: max(n, decimals.get(name, 0)) for name, n in part.decimals.items()}
        decimals = {**decimals, **more}
    several = _several(parts)
    if all(part.layout.decimal == first for part in parts):
        return Spelling(first, columns, decimals, several)
    for part in parts:
        columns = {**part.shown, **columns}
    return Spelling(".", columns, decimals, several)


def _several(parts: Sequence[Parsed]) -> tuple[str, ...]:
    """Columns of numbers that show other signs in one file than in another."""
    found: dict[str, set[Reading]] = {}
    for part in parts:
        for name, n in part.decimals.items():
            how = part.spelled.get(name, Reading(part.layout.decimal if n else ""))
            found.setdefault(name, set()).add(replace(how, example=""))
    whole = Reading("")
    return tuple(
        name
        for name, ways in found.items()
        if len(ways - {whole}) > 1
        or (len(ways) > 1 and any(how.group or how.unit or how.behind for how in ways))
    )


def told(parsed: Iterable[Parsed], origin: str) -> list[str]:
    """Sentences on how files of one table are written, where nobody might expect it."""
    spelled: dict[str, Reading] = {}
    beyond: dict[str, str] = {}
    notes: dict[str, None] = {}
    for each in parsed:
        spelled = {**each.spelled, **spelled}
        beyond = {**each.beyond, **beyond}
        notes |= dict.fromkeys(f"{origin}: {note}." for note in each.layout.notes)
    if spelled:
        names = ", ".join(_spoken(name, how) for name, how in spelled.items())
        notes[f"Read as numbers in {origin}: {names}."] = None
    for name, value in beyond.items():
        notes[
            f"Whole numbers in column {name!r} of {origin}, such as {value}, have more digits than "
            "numbers of 64 bits hold, so that different ones may become equal. If they are codes, "
            f"read them as text: {flagged('text', name)}."
        ] = None
    return list(notes)


def _spoken(name: str, how: Reading) -> str:
    value = how.numbers(pa.array([how.example]))[0].as_py()
    return f"{name!r} ({how.example.strip()} is {value:.15g})"


@dataclass
class Kinds:
    """By the position of a column, as text; ``readings`` of those that Arrow cannot read."""

    types: dict[str, Any]
    coded: list[str] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)
    beyond: dict[str, str] = field(default_factory=dict)


class UnsettledError(Exception):
    """An entry was taken for what it may not be: the file is to be read as text first."""


class Watch:
    """Looks at blocks that Arrow parsed for what may have to be read otherwise.

    Args:
        schema: of the blocks, with the names of the columns.
        file: which they are of.
        words: which columns are text, and how others were written before.
    """

    def __init__(self, schema: pa.Schema, file: TextFile, words: Words) -> None:
        self.beyond: dict[str, str] = {}
        self._names, self._file, self._decimal = schema.names, file, file.layout.decimal
        self._known, text = words.numbers, words.every_text
        kinds = list(enumerate(schema.types))
        strings = [j for j, kind in kinds if pa.types.is_string(kind)]
        self._strays = {j: Stray(self._decimal) for j in strings if schema.names[j] not in text}
        self._floats = [j for j, kind in kinds if pa.types.is_floating(kind)]
        self._whole = [j for j, kind in kinds if pa.types.is_integer(kind)]
        self._doubts = {j: 0 for j in self._floats if schema.names[j] in self._known}

    def add(self, batch: pa.RecordBatch) -> None:
        """The next rows.

        Raises:
            UnsettledError: a number may be rounded, or a ``nan`` is not among what is missing.
        """
        for j in self._floats:
            _refuse_odd(batch.column(j))
        for j, rows in list(self._doubts.items()):
            column = batch.column(j)
            self._doubts[j] = rows + len(column) - column.null_count
            if not may_be_thousands(column, self._known[self._names[j]], self._decimal):
                del self._doubts[j]
        for j in self._whole:
            name, column = self._names[j], batch.column(j)
            for end in pc.min_max(column).values() if name not in self.beyond else ():
                if end.is_valid and abs(end.as_py()) > LARGEST_WHOLE:
                    self.beyond[name] = str(end)
        for j, stray in self._strays.items():
            stray.add(batch.column(j))

    def settle(self) -> None:
        """Say at the end that a column is to be read otherwise, or is at fault.

        Raises:
            UnsettledError: it may be of spelled numbers.
            DataError: words stand among its numbers.
        """
        for j, stray in self._strays.items():
            known = self._names[j] in self._known and stray.spelled.possible
            if known or stray.spelled.sure():
                raise UnsettledError
        if any(self._doubts.values()):
            raise UnsettledError
        for j, stray in self._strays.items():
            self._file.refuse_stray(self._names[j], stray)


def _refuse_odd(column: Any) -> None:
    odd = pc.or_(pc.is_nan(column), pc.greater_equal(pc.abs(column), float(LARGEST_WHOLE)))
    if pc.any(odd).as_py():
        raise UnsettledError


def kinds_of(file: TextFile, keep: list[int], words: Words, of: str) -> Kinds:
    """The kind of every column that holds all of its entries, and which of them hold codes.

    Args:
        file: to read.
        keep: positions of the columns.
        words: which columns are text, and how others were written before.
        of: where they were written so.

    Raises:
        DataError: words among numbers, or numbers that can be read in several ways.
    """
    text, decimal = words.every_text, file.layout.decimal
    found = {str(j): Entries(decimal, file.labels[j] in text) for j in keep}
    for batch in file.strings(keep):
        for at, entries in found.items():
            entries.add(batch.column(batch.schema.get_field_index(at)))
    types = {at: entries.kind for at, entries in found.items()}
    numbers = words.numbers
    shows = {file.labels[int(at)]: entries.stray.spelled for at, entries in found.items()}
    sign, told = other_sign(shows, numbers)
    # where commas separate, an entry has a decimal comma in quotes or not at all
    split = not sign and file.layout.separator == "," and _is_doubtful(shows, numbers)
    split = split and not (file.quotes and _has_quoted_number(file.path))
    readings: dict[str, Reading] = {}
    for at, entries in found.items():
        name = file.labels[int(at)]
        was = numbers.get(name)
        how = entries.reading()
        if was is not None and not entries.coded and not entries.text:
            place = Place(name, file.name, sign, of, told)
            if split and was.decimal == ",":
                place = replace(place, decimal=".", told="the file is separated by commas")
            how = agreed(entries.stray.spelled, was, place) or how
            how = None if how is not None and _is_plain(how, entries, decimal) else how
        if how is not None:
            readings[at], types[at] = how, pa.string()
        elif entries.astray:
            file.refuse_stray(name, entries.stray)
    unknown = {at: each for at, each in found.items() if file.labels[int(at)] not in numbers}
    _refuse_contradicted(file, unknown, types, readings)
    coded = [file.labels[int(at)] for at, entries in found.items() if entries.coded]
    beyond = {
        file.labels[int(at)]: entries.beyond
        for at, entries in found.items()
        if entries.beyond and not pa.types.is_string(types[at])
    }
    return Kinds(types, coded, readings, beyond)


def _refuse_contradicted(
    file: TextFile,
    found: Mapping[str, Entries],
    types: Mapping[str, Any],
    readings: Mapping[str, Reading],
) -> None:
    """Refuse numbers that may be thousands, where another column has the other decimal sign.

    Raises:
        DataError: there are such.
    """
    shown = {at: found[at].stray.spelled.shown(how) for at, how in readings.items() if at in found}
    others = [at for at, how in shown.items() if how.decimal not in ("", file.layout.decimal)]
    for at, entries in found.items():
        doubtful = at not in readings and pa.types.is_floating(types[at])
        if others and doubtful and len(entries.stray.spelled.readings()) > 1:
            name, other = file.labels[int(at)], file.labels[int(others[0])]
            text = flagged("text", name)
            raise Place(name, file.name).refused(
                entries.stray.spelled.example,
                f"may be thousands or have a fraction; numbers in column {other!r} are written "
                f"{shown[others[0]].example!r}",
                f"Write all numbers with one decimal sign, best as 1234.5. Or read it as text: "
                f"{text}.",
            )


def _is_doubtful(shows: Mapping[str, Spelled], known: Known) -> bool:
    """Whether a column of decimal commas in the fit can be read in several ways here."""
    fits = ((known.get(name), found) for name, found in shows.items())
    return any(was is not None and was.decimal == "," and len(f.readings()) > 1 for was, f in fits)


def _has_quoted_number(path: Path) -> bool:
    tail = b"\n"
    with path.open("rb") as file:
        while block := file.read(_SCANNED):
            if _QUOTED_NUMBER.search(tail + block):
                return True
            tail = (tail + block)[-_LOOKED_BACK:]
    return False


def _is_plain(how: Reading, entries: Entries, decimal: str) -> bool:
    """Whether Arrow reads the column so."""
    signs = entries.stray.spelled.shown(how)
    plain = not signs.unit and not signs.group and not signs.behind
    return plain and signs.decimal in ("", decimal) and not pa.types.is_string(entries.kind)


def respelled(
    schema: pa.Schema, tables: Iterator[pa.Table], readings: Mapping[str, Reading]
) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """The same with numbers in place of text that spells them."""
    made = schema
    for name in readings:
        made = made.set(schema.get_field_index(name), pa.field(name, pa.float64()))

    def every() -> Iterator[pa.Table]:
        for table in tables:
            columns = [
                readings[name].numbers(column) if name in readings else column
                for name, column in zip(schema.names, table.columns, strict=True)
            ]
            yield pa.table(columns, schema=made)

    return made, every() if readings else tables
