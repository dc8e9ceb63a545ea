"""Separated text as a stream: parsed once, held in memory or in a temporary Parquet file.

The kind of a column is told from its first block. Where a later block does not fit it (whole
numbers that go on with 1.5, an empty column that fills), an entry may be a code such as 00033, is a
``nan`` that was not said to be missing, or a column is of numbers that are spelled as ``$1,234.50``
is, all columns are read once more as text to find the narrowest kind that holds every entry
(:mod:`isthmus.data.text.settling`). So a file is parsed once, or up to three times, and what it is
read as does not depend on where blocks end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from isthmus.data.files.packed import begins
from isthmus.data.files.shards import Memory, ParquetFile, Shard
from isthmus.data.files.spool import Spool
from isthmus.data.matrix import is_numeric, is_text
from isthmus.data.source import BLOCK_BYTES
from isthmus.data.tables import kept
from isthmus.data.telling import told_once
from isthmus.data.text.agreeing import Known, Place, check_unit, differs
from isthmus.data.text.decimals import Decimals
from isthmus.data.text.parsing import RowNumbers, TextFile, refuse_blanks
from isthmus.data.text.settling import Kinds, Parsed, UnsettledError, Watch, kinds_of, respelled
from isthmus.data.text.spelled import Reading
from isthmus.data.text.swallowed import Swallowed
from isthmus.data.words import Words

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


def text_shard(
    file: TextFile, sink: Sink, drop: Sequence[str], words: Words, of: str = "the fit"
) -> Parsed:
    """The rows of a text file.

    Args:
        file: to read.
        sink: takes the rows.
        drop: columns that are not even parsed.
        words: which columns are text, and how others were written before.
        of: where they were written so.

    Raises:
        DataError: ragged, not UTF-8, with words among numbers, or written otherwise than before.
    """
    keep, text = kept(file.labels, drop, file.name), words.every_text
    found = Kinds({str(j): pa.string() for j in keep if file.labels[j] in text})
    exact = file.codes
    while True:
        try:
            if exact:
                found = kinds_of(file, keep, words, of)
            reader = file.parsed(keep, found.types)
            given = pa.schema([(file.labels[int(f.name)], f.type) for f in reader.schema])
            if any(pa.types.is_binary(f.type) for f in given):
                raise file.not_utf8()
            watch = None if exact else Watch(given, file, words)
            checks: list[Callable[[], None]] = []
            tables = _checked(reader, given, file, watch, checks)
            spelled = {file.labels[int(at)]: how for at, how in found.readings.items()}
            schema, tables = respelled(given, tables, spelled)
            decimals = Decimals()
            shard = sink.take(file.name, schema, decimals.passing(tables))
            for check in checks:
                check()
        except UnsettledError:
            exact = True
            continue
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error):
                raise file.not_utf8() from error
            if exact or "conversion error" not in str(error):
                raise file.unparsed(keep, error) from error
            exact = True
            continue
        beyond = found.beyond if watch is None else watch.beyond
        parsed = Parsed(shard, found.coded, file.layout, spelled, beyond, decimals.found)
        _check_units(parsed, file.name, words.numbers, of)
        return parsed


def _check_units(parsed: Parsed, name: str, numbers: Known, of: str) -> None:
    """Refuse columns of numbers that have no unit where they had one; :func:`kinds_of` has looked
    at those that are spelled."""
    for field in parsed.shard.schema:
        was = None if field.name in parsed.spelled else numbers.get(field.name)
        if was is not None and is_numeric(field.type) and not pa.types.is_null(field.type):
            check_unit(parsed.spelling.of(field.name), was, Place(field.name, name, of=of))


def text_shards(
    files: Sequence[TextFile], origin: str, drop: Sequence[str], words: Words
) -> list[Parsed]:
    """The rows of files of one table.

    What is text for its codes in one of them is so in all, and what can be read in several ways in
    one is read as in the first that shows how.

    Raises:
        DataError: as :func:`text_shard`.
    """
    with told_once():
        return _text_shards(files, origin, drop, words)


def _text_shards(
    files: Sequence[TextFile], origin: str, drop: Sequence[str], words: Words
) -> list[Parsed]:
    sink = Sink(origin)
    found = [text_shard(file, sink, drop, words) for file in files]
    coded = {name for each in found for name in each.coded}
    shows: dict[str, Reading] = {}
    for each in found:
        shows = {**each.shown, **shows}
    parsed = []
    for file, read in zip(files, found, strict=True):
        each = read
        plain = [f.name for f in each.shard.schema if _is_plain(f, coded)]
        other = {
            f.name: shows[f.name]
            for f in each.shard.schema
            if f.name in shows
            and f.name not in words.known
            and differs(f.type, each.spelling.of(f.name), shows[f.name])
        }
        if plain or other:
            known = {**other, **words.known}
            again = replace(words, text=(*words.text, *plain), known=known)
            each = text_shard(file, sink, drop, again, "another file")
        parsed.append(each)
    return parsed


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


def table_of_text(file: TextFile, drop: Sequence[str], words: Words) -> tuple[pa.Table, Parsed]:
    """All rows in memory, and how they are written.

    Raises:
        DataError: as :func:`text_shard`.
    """
    found = text_shard(file, Sink(file.name, sys.maxsize), drop, words)
    assert isinstance(found.shard, Memory)  # noqa: S101  (there was room)
    return found.shard.table, found


def _checked(
    reader: Any,
    schema: pa.Schema,
    file: TextFile,
    watch: Watch | None,
    checks: list[Callable[[], None]],
) -> Iterator[pa.Table]:
    """The blocks as they are parsed; ``checks`` are for the end.

    ``watch`` looks for what may have to be read otherwise; None where all were looked at before.
    """
    texts = [j for j, field in enumerate(schema) if pa.types.is_string(field.type)]
    swallowed = Swallowed(file.path, file.name, file.layout.separator, file.layout.n_columns)
    checks.append(swallowed.refuse_end)
    index = RowNumbers(schema.names[0])
    if file.layout.names and reader.schema.names[0] == "0" and not file.layout.names[0]:
        checks.append(partial(index.refuse, file.name))
    if watch is not None:
        checks.append(watch.settle)
    first = True
    for batch in reader:
        if first and file.layout.n_columns == 1 and texts and batch.num_rows > batch[0].null_count:
            refuse_blanks(batch.column(0), file.name, (file.layout.names or ("",))[0])
            first = False
        index.add(batch.column(0))
        if watch is not None:
            watch.add(batch)
        for j in texts:
            swallowed.look(batch.column(j), last=schema.names[j] == file.labels[-1])
        yield pa.Table.from_batches([batch]).rename_columns(schema.names)


def is_blank(path: Path) -> bool:
    """Whether the file holds nothing, or only ends of lines."""
    first = begins(path, 4096)
    return len(first) < 4096 and not first.strip()
