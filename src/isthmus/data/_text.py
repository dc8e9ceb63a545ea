"""Separated text as a stream: parsed once, held in memory or in a temporary Parquet file.

The kind of a column is told from its first block. Where a later block does not fit it (whole
numbers that go on with 1.5, an empty column that fills), all columns are read once more as text to
find the narrowest kind that holds every entry; numbers that go on as words are refused by line and
column. So a file is parsed once, or three times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv
from pyarrow import parquet

from isthmus.data._columns import is_text
from isthmus.data._csv import (
    RowNumbers,
    Stray,
    not_a_number,
    numbers,
    options,
    refuse_blanks,
    unparsed,
)
from isthmus.data._shards import Memory, ParquetFile, Shard
from isthmus.data._sniff import Layout, layout_of
from isthmus.data._spool import Spool
from isthmus.data.source import BLOCK_BYTES
from isthmus.data.tables import kept, refuse_duplicates, stand_in
from isthmus.errors import DataError

HELD = 1 << 26
"""Bytes of parsed tables that one opening holds in memory; the rest goes to temporary files."""
_WIDER = (pa.null(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.timestamp("ns"), pa.int64())


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
        return ParquetFile(path, name, keep=self.spool)


def text_shard(
    path: Path, name: str, sink: Sink, drop: Sequence[str] = (), text: Sequence[str] = ()
) -> tuple[Shard, bool]:
    """The rows of a text file, and whether it names its columns.

    Args:
        path: of the file.
        name: by which errors speak of it.
        sink: takes the rows.
        drop: columns that are not even parsed.
        text: columns that are text whatever they hold, such as postal codes.

    Raises:
        DataError: ragged, not UTF-8, or with numbers that go on as words.
    """
    layout = layout_of(path, name)
    given = layout.names or ("",) * layout.n_columns
    labels = [label or stand_in(j) for j, label in enumerate(given)]
    refuse_duplicates(labels, name)
    keep = kept(labels, drop, name)
    types: dict[str, Any] = {str(j): pa.string() for j in keep if labels[j] in text}
    for again in (True, False):
        try:
            reader = pacsv.open_csv(path, **options(layout, keep, types))
            schema = pa.schema([(labels[int(f.name)], f.type) for f in reader.schema])
            _refuse_bytes(schema, path, name)
            checks: list[Callable[[], None]] = []
            tables = _checked(reader, schema, layout, path, name, text, checks)
            shard = sink.take(name, schema, tables)
        except pa.ArrowInvalid as error:
            if "UTF8" in str(error):
                raise _not_utf8(path, name) from error
            if not again or "conversion error" not in str(error):
                raise unparsed(path, layout, keep, name, error) from error
            types = _kinds(path, layout, keep, labels, text, name)
            continue
        for check in checks:
            check()
        return shard, layout.names is not None
    raise AssertionError("one of two passes returns or raises")


def _checked(
    reader: Any,
    schema: pa.Schema,
    layout: Layout,
    path: Path,
    name: str,
    text: Sequence[str],
    checks: list[Callable[[], None]],
) -> Iterator[pa.Table]:
    """The blocks as they are parsed; ``checks`` are for the end."""
    strays = {
        j: Stray(field.name, layout)
        for j, field in enumerate(schema)
        if pa.types.is_string(field.type) and field.name not in text
    }
    index = RowNumbers(schema.names[0])
    if layout.names and reader.schema.names[0] == "0" and not layout.names[0]:
        checks.append(partial(index.refuse, name))
    checks.extend(partial(stray.refuse, path, name) for stray in strays.values())
    first = True
    for batch in reader:
        if first and layout.n_columns == 1 and strays and batch.num_rows > batch[0].null_count:
            refuse_blanks(batch.column(0), name)
            first = False
        index.add(batch.column(0))
        for j, stray in strays.items():
            stray.add(batch.column(j))
        yield pa.Table.from_batches([batch]).rename_columns(schema.names)


def _kinds(
    path: Path, layout: Layout, keep: list[int], labels: list[str], text: Sequence[str], name: str
) -> dict[str, Any]:
    """The narrowest kind of every column that holds all of its entries."""
    strings = {str(j): pa.string() for j in keep}
    kinds = {str(j): pa.string() if labels[j] in text else pa.null() for j in keep}
    row = 0
    for batch in pacsv.open_csv(path, **options(layout, keep, strings)):
        for at, kind in kinds.items():
            if not pa.types.is_string(kind):
                column = batch.column(batch.schema.get_field_index(at))
                kinds[at] = _wider(column, kind, layout.decimal)
                if pa.types.is_string(kinds[at]) and kind in (pa.int64(), pa.float64()):
                    i = pc.index(numbers(column, layout.decimal), False).as_py()
                    word = column[max(i, 0)].as_py()
                    label = labels[int(at)]
                    error = not_a_number(path, layout, row + max(i, 0), label, word, name)
                    remedy = f"{error.remedy} Or read the column as words: text=[{label!r}]."
                    raise DataError(error.given, error.rule, remedy)
        row += batch.num_rows
    return kinds


def _wider(column: Any, kind: Any, decimal: str) -> Any:
    """The first kind from ``kind`` on that holds the column of text."""
    column = pc.utf8_trim_whitespace(column)
    if decimal != ".":
        column = pc.replace_substring(column, decimal, ".")
    after = {
        pa.null(): (*_WIDER, pa.float64()),
        pa.int64(): (pa.int64(), pa.float64()),
        pa.date32(): (pa.date32(), pa.timestamp("s"), pa.timestamp("ns")),
        pa.timestamp("s"): (pa.timestamp("s"), pa.timestamp("ns")),
    }.get(kind, (kind,))
    for wider in after:
        if pa.types.is_null(wider):
            if column.null_count == len(column):
                return wider
            continue
        if pa.types.is_boolean(wider) and pc.any(numbers(column, ".")).as_py():
            continue  # 0 and 1 are numbers
        try:
            pc.cast(column, wider)
        except pa.ArrowInvalid:
            continue
        return wider
    return pa.string()


def _refuse_bytes(schema: pa.Schema, path: Path, name: str) -> None:
    if any(pa.types.is_binary(field.type) for field in schema):
        raise _not_utf8(path, name)


def _not_utf8(path: Path, name: str) -> DataError:
    with path.open("rb") as file:
        for i, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                given, byte = f"line {i} of {name}", f" the byte {line[error.start]:#x}"
                break
        else:
            given, byte = name, " other bytes"
    return DataError(given, f"must be text in UTF-8; it holds{byte}", "Save it as CSV in UTF-8.")


def is_blank(path: Path) -> bool:
    """Whether the file holds nothing, or only ends of lines."""
    return path.stat().st_size < 4096 and not path.read_bytes().strip()
