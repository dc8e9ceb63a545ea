"""Separated text as a stream: parsed once, held in memory or in a temporary Parquet file.

The kind of a column is told from its first block. Where a later block does not fit it (whole
numbers that go on with 1.5, an empty column that fills), an entry may be a code such as 00033, is a
``nan`` that was not said to be missing, or a column is of numbers that are spelled as ``$1,234.50``
is, all columns are read once more as text to find the narrowest kind that holds every entry
(:mod:`isthmus.data.text.entries`). So a file is parsed once, or up to three times, and what it is
read as does not depend on where blocks end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from isthmus.data.files.packed import begins
from isthmus.data.files.shards import Memory, ParquetFile, Shard
from isthmus.data.files.spool import Spool
from isthmus.data.matrix import is_numeric, is_text
from isthmus.data.source import BLOCK_BYTES
from isthmus.data.tables import kept
from isthmus.data.text.entries import Entries, Stray
from isthmus.data.text.parsing import RowNumbers, TextFile, refuse_blanks
from isthmus.data.text.sniff import Layout
from isthmus.data.text.spelled import Reading
from isthmus.data.text.swallowed import Swallowed
from isthmus.errors import DataError

HELD = 1 << 26
"""Bytes of parsed tables that one opening holds in memory; the rest goes to temporary files."""


class Sink:
    """Takes blocks of tables and gives shards: in memory while there is room, else on disk."""

    def __init__(self, origin: str, room: int | None = None) -> None:
        self.origin = origin
        self.room = HELD if room is None else room
        self.spool: Spool | None = None
        self.files = 0

    def take(self, name: str, schema: pa.Schema, tables: Iterator[pa.Table]) -> Shard:
        """All blocks as one shard.

        Raises:
            DataError: they do not fit on the disk.
        """
        held, size = [], 0
        for table in tables:
            held.append(table)
            size += table.nbytes
            if size > self.room:
                return self._spooled(name, schema, held, tables)
        self.room -= size
        return Memory(pa.concat_tables([schema.empty_table(), *held]), name)

    def _spooled(
        self, name: str, schema: pa.Schema, held: list[pa.Table], tables: Iterator[pa.Table]
    ) -> Shard:
        if self.spool is None:
            self.spool = Spool(self.origin)
        self.files += 1
        words = [f.name for f in schema if is_text(f.type)]
        with (
            self.spool.writing(f"{self.files}.parquet") as path,
            parquet.ParquetWriter(path, schema, use_dictionary=words, compression="lz4") as writer,
        ):
            while held:
                writer.write_table(pa.concat_tables(held))
                held, size = [], 0
                for table in tables:
                    held.append(table)
                    size += table.nbytes
                    if size > BLOCK_BYTES:
                        break
        shard = ParquetFile(path, name, keep=self.spool)
        shard.schema = schema  # Parquet has no seconds: they come back as milliseconds
        return shard


# Whole numbers from here on have no type of their own.
_LARGE = float(1 << 63)


@dataclass(frozen=True)
class Parsed:
    """A text file that was read.

    Attributes:
        shard: the rows.
        coded: columns that are text for a code in them.
        layout: how the file is written.
        spelled: columns of numbers that are spelled otherwise than Arrow reads them.
    """

    shard: Shard
    coded: list[str]
    layout: Layout
    spelled: dict[str, Reading]


def told(parsed: Iterable[Parsed], origin: str) -> list[str]:
    """Sentences on how files of one table are written, where nobody might expect it."""
    spelled: dict[str, Reading] = {}
    notes: dict[str, None] = {}
    for each in parsed:
        spelled = {**each.spelled, **spelled}
        notes |= dict.fromkeys(f"{origin}: {note}." for note in each.layout.notes)
    if spelled:
        names = ", ".join(_spoken(name, how) for name, how in spelled.items())
        notes[f"Read as numbers in {origin}: {names}."] = None
    return list(notes)


@dataclass
class _Kinds:
    """By the position of a column, as text; ``readings`` of those that Arrow cannot read."""

    types: dict[str, Any]
    coded: list[str] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)


class _UnsettledError(Exception):
    """An entry was taken for what it may not be: the file is to be read as text first."""


def text_shard(
    file: TextFile, sink: Sink, drop: Sequence[str] = (), text: Sequence[str] = ()
) -> Parsed:
    """The rows of a text file.

    Args:
        file: to read.
        sink: takes the rows.
        drop: columns that are not even parsed.
        text: columns that are text whatever they hold, such as postal codes.

    Raises:
        DataError: ragged, not UTF-8, or with words among numbers.
    """
    keep = kept(file.labels, drop, file.name)
    found = _Kinds({str(j): pa.string() for j in keep if file.labels[j] in text})
    exact = file.codes
    while True:
        try:
            if exact:
                found = _kinds(file, keep, text)
            reader = file.parsed(keep, found.types)
            given = pa.schema([(file.labels[int(f.name)], f.type) for f in reader.schema])
            if any(pa.types.is_binary(f.type) for f in given):
                raise file.not_utf8()
            checks: list[Callable[[], None]] = []
            tables = _checked(reader, given, file, None if exact else text, checks)
            spelled = {file.labels[int(at)]: how for at, how in found.readings.items()}
            schema, tables = _respelled(given, tables, spelled)
            shard = sink.take(file.name, schema, tables)
            for check in checks:
                check()
        except _UnsettledError:
            exact = True
            continue
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error):
                raise file.not_utf8() from error
            if exact or "conversion error" not in str(error):
                raise file.unparsed(keep, error) from error
            exact = True
            continue
        return Parsed(shard, found.coded, file.layout, spelled)


def _spoken(name: str, how: Reading) -> str:
    value = how.numbers(pa.array([how.example]))[0].as_py()
    return f"{name!r} ({how.example.strip()} is {value:.15g})"


def text_shards(
    files: Sequence[TextFile], origin: str, drop: Sequence[str] = (), text: Sequence[str] = ()
) -> list[Parsed]:
    """The rows of files of one table: what is text for its codes in one of them is so in all.

    Raises:
        DataError: as :func:`text_shard`.
    """
    sink = Sink(origin)
    found = [text_shard(file, sink, drop, text) for file in files]
    _refuse_two_signs(files, found)
    coded = {name for each in found for name in each.coded}
    parsed = []
    for file, each in zip(files, found, strict=True):
        plain = [f.name for f in each.shard.schema if _is_plain(f, coded)]
        parsed.append(text_shard(file, sink, drop, [*text, *plain]) if plain else each)
    return parsed


def _refuse_two_signs(files: Sequence[TextFile], found: Sequence[Parsed]) -> None:
    """Refuse files of one table with decimal points beside such with decimal commas.

    ``1.234`` may be thousands in a file of the second sort, and is a fraction in one of the first.
    """
    comma = next((file for file in files if file.layout.decimal == ","), None)
    if comma is None:
        return
    line, value = comma.layout.fraction
    points = [(f, each) for f, each in zip(files, found, strict=True) if f.layout.decimal == "."]
    for file, each in points:
        for column in each.shard.schema:
            if pa.types.is_floating(column.type) and column.name not in each.spelled:
                raise DataError(
                    f"column {column.name!r} of {file.name} with decimal points, and {comma.name} "
                    f"with decimal commas, such as {value!r} in line {line}",
                    "do not go together in one table",
                    "Write all files with one decimal sign.",
                )


def _is_plain(field: pa.Field, coded: Collection[str]) -> bool:
    return field.name in coded and is_numeric(field.type) and not pa.types.is_null(field.type)


def shards_as_written(files: Sequence[TextFile], origin: str) -> list[Shard]:
    """All columns as text, entry by entry as it is written; none is missing.

    Raises:
        DataError: ragged, or not UTF-8.
    """
    sink, shards = Sink(origin), []
    for file in files:
        keep = range(len(file.labels))
        schema = pa.schema([(label, pa.string()) for label in file.labels])
        try:
            reader = file.strings(keep, raw=True)
            tables = _checked(reader, schema, file, None, [])
            shards.append(sink.take(file.name, schema, tables))
        except pa.ArrowInvalid as error:
            raise file.unparsed(keep, error) from error
    return shards


def table_of_text(
    file: TextFile, drop: Sequence[str] = (), text: Sequence[str] = ()
) -> tuple[pa.Table, list[str]]:
    """All rows in memory, and what :func:`told` says of the file.

    Raises:
        DataError: as :func:`text_shard`.
    """
    found = text_shard(file, Sink(file.name, sys.maxsize), drop, text)
    assert isinstance(found.shard, Memory)  # noqa: S101  (there was room)
    return found.shard.table, told([found], file.name)


def _checked(
    reader: Any,
    schema: pa.Schema,
    file: TextFile,
    text: Sequence[str] | None,
    checks: list[Callable[[], None]],
) -> Iterator[pa.Table]:
    """The blocks as they are parsed; ``checks`` are for the end.

    ``text`` are columns that may hold what they will; None where all were looked at before.
    """
    words = [j for j, field in enumerate(schema) if pa.types.is_string(field.type)]
    strays = {
        j: Stray(file.layout.decimal)
        for j in words
        if text is not None and schema.names[j] not in text
    }
    swallowed = Swallowed(file.path, file.name, file.layout.separator, file.layout.n_columns)
    checks.append(swallowed.refuse_end)
    index = RowNumbers(schema.names[0])
    if file.layout.names and reader.schema.names[0] == "0" and not file.layout.names[0]:
        checks.append(partial(index.refuse, file.name))
    checks.append(partial(_settle, list(strays.values())))
    checks.extend(partial(file.refuse_stray, schema.names[j], s) for j, s in strays.items())
    fractions = [j for j, f in enumerate(schema) if pa.types.is_floating(f.type)]
    first = True
    for batch in reader:
        if first and file.layout.n_columns == 1 and words and batch.num_rows > batch[0].null_count:
            refuse_blanks(batch.column(0), file.name)
            first = False
        index.add(batch.column(0))
        if text is not None and any(_is_unsettled(batch.column(j)) for j in fractions):
            raise _UnsettledError
        for j in words:
            swallowed.look(batch.column(j), last=schema.names[j] == file.labels[-1])
        for j, stray in strays.items():
            stray.add(batch.column(j))
        yield pa.Table.from_batches([batch]).rename_columns(schema.names)


def _settle(strays: Sequence[Stray]) -> None:
    """Have the file read otherwise where a column of text is of spelled numbers.

    Raises:
        _UnsettledError: one is.
    """
    if any(stray.spelled.sure() for stray in strays):
        raise _UnsettledError


def _is_unsettled(column: Any) -> bool:
    """Whether an entry is a ``nan`` that is not among what stands for a missing one, or so large
    that as a whole number it would lose digits.
    """
    odd = pc.or_(pc.is_nan(column), pc.greater_equal(pc.abs(column), _LARGE))
    return bool(pc.any(odd).as_py())


def _respelled(
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


def _kinds(file: TextFile, keep: list[int], text: Sequence[str]) -> _Kinds:
    """The kind of every column that holds all of its entries, and which of them hold codes.

    Raises:
        DataError: words among numbers.
    """
    found = {str(j): Entries(file.layout.decimal, file.labels[j] in text) for j in keep}
    for batch in file.strings(keep):
        for at, entries in found.items():
            entries.add(batch.column(batch.schema.get_field_index(at)))
    types = {at: entries.kind for at, entries in found.items()}
    readings = {at: how for at, each in found.items() if (how := each.reading())}
    for at, entries in found.items():
        if entries.astray and at not in readings:
            file.refuse_stray(file.labels[int(at)], entries.stray)
    coded = [file.labels[int(at)] for at, entries in found.items() if entries.coded]
    return _Kinds(types, coded, readings)


def is_blank(path: Path) -> bool:
    """Whether the file holds nothing, or only ends of lines."""
    first = begins(path, 4096)
    return len(first) < 4096 and not first.strip()
