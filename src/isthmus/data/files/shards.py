"""Shards: what one file, or one table in memory, gives to a table of many.

A shard has its own schema and reads its own pieces; that all shards of a source agree is not its
business. Nothing but footers is read on opening. Files are opened anew for every piece, so that a
shard holds none open and may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import ipc, parquet

from isthmus.data.files.footer import as_categories, with_categories
from isthmus.data.files.paths import Stamp, damaged, named
from isthmus.data.source import BLOCK_BYTES
from isthmus.data.tables import quoted
from isthmus.errors import DataError

_MAPPED = 1 << 26
"""Bytes of a record batch from which it is mapped instead of read: it may not fit into memory."""


def index_of(schema: pa.Schema) -> list[str]:
    """The columns that pandas marked as its index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in index if name in schema.names]


def index_notes(index: Sequence[str], origin: str) -> list[str]:
    """A sentence on an index that has a name: somebody may have meant a column."""
    named = [name for name in index if not name.startswith("__index_level_")]
    if not named:
        return []
    return [f"{origin}: pandas marked {quoted(named)} as its index, which is no column."]


class Shard(Protocol):
    """Pieces of rows of one schema.

    Attributes:
        name: by which errors speak of it.
        schema: of its columns.
        lengths: rows of every piece.
        notes: sentences on what nobody might expect of it.
    """

    name: str
    schema: pa.Schema
    lengths: tuple[int, ...]
    notes: Sequence[str]

    def tables(self, piece: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of one piece in order, in blocks with these columns."""


def row_bytes(schema: pa.Schema) -> int:
    """About the bytes of a row in memory; 32 for what has no fixed width."""
    return max(1, sum(_width(field.type) for field in schema))


def _width(kind: Any) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 32


def block_rows(schema: pa.Schema) -> int:
    """Rows of a block."""
    return max(1, BLOCK_BYTES // row_bytes(schema))


def stretches(n: int, step: int) -> list[tuple[int, int]]:
    """0 to n in steps.

    >>> stretches(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(n, start + step)) for start in range(0, n, step)]


def grouped(lengths: Sequence[int], most: int) -> list[range]:
    """Neighbours together while they have at most ``most`` rows.

    >>> grouped([3, 3, 9, 1], 6)
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    groups, start, rows = [], 0, 0
    for i, length in enumerate(lengths):
        if i > start and rows + length > most:
            groups.append(range(start, i))
            start, rows = i, 0
        rows += length
    return [*groups, range(start, len(lengths))] if lengths else []


class Memory:
    """A table that is in memory."""

    notes: Sequence[str] = ()

    def __init__(self, table: pa.Table, name: str) -> None:
        self.name = name
        self.table = table
        self.schema = table.schema
        self._parts = stretches(table.num_rows, block_rows(table.schema))
        self.lengths = tuple(stop - start for start, stop in self._parts)

    def tables(self, piece: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """One slice."""
        start, stop = self._parts[piece]
        yield self.table.select(list(columns)).slice(start, stop - start)


class ParquetFile:
    """A Parquet file; a piece is a row group, or some neighbouring small ones.

    Args:
        path: of the file.
        name: by which errors speak of it.
        keep: held for as long as the file is needed, such as its temporary folder.
        index: whether what pandas marked as its index is a column like any other.
    """

    notes: Sequence[str]

    def __init__(self, path: Path, name: str, keep: object = None, *, index: bool = False) -> None:
        self.name = name
        self._stamp = Stamp.of(path)
        self._keep = keep
        with _reading(self._stamp, name, "Parquet"), parquet.ParquetFile(path) as file:
            self._metadata = meta = file.metadata
            schema = with_categories(file.schema_arrow)
        away = [] if index else index_of(schema)
        self.notes = index_notes(away, name)
        fields = [field for field in schema if field.name not in away]
        self.schema = pa.schema(fields, schema.metadata)
        groups = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        self._groups = [
            group
            for group in grouped(groups, block_rows(self.schema))
            if sum(groups[i] for i in group)
        ]
        self.lengths = tuple(sum(groups[i] for i in group) for group in self._groups)

    def tables(self, piece: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Block by block; no column of a row group is read whole."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        with (
            _reading(self._stamp, self.name, "Parquet"),
            parquet.ParquetFile(
                self._stamp.path,
                metadata=self._metadata,
                pre_buffer=False,  # which would read the row group whole
                buffer_size=max(1 << 14, BLOCK_BYTES // max(1, len(columns))),
            ) as file,
        ):
            for batch in file.iter_batches(
                block_rows(schema), row_groups=list(self._groups[piece]), columns=list(columns)
            ):
                yield as_categories(pa.Table.from_batches([batch]).select(list(columns)), schema)


class ArrowFile:
    """An Arrow or Feather file; a piece is some record batches, or all of a stream."""

    notes: Sequence[str] = ()

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._stamp = Stamp.of(path)
        self._mapped = False
        with _reading(self._stamp, name, "Arrow"):
            with path.open("rb") as start:
                self._stream = start.read(6) != b"ARROW1"
            with self._batches() as (schema, _):
                self.schema = schema
            with self._batches([0] if len(schema) else None) as (_, batches):
                lengths = [batch.num_rows for batch in batches]
        most = sum(lengths) if self._stream else block_rows(self.schema)
        self._groups = [g for g in grouped(lengths, most) if sum(lengths[i] for i in g)]
        self.lengths = tuple(sum(lengths[i] for i in group) for group in self._groups)
        self._mapped = self._stamp.size > _MAPPED * max(1, len(lengths))

    @contextmanager
    def _batches(
        self, fields: list[int] | None = None, group: range | None = None
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The schema, and the batches of a group with some of the fields; all by default."""
        path, choice = str(self._stamp.path), ipc.IpcReadOptions(included_fields=fields)
        with pa.memory_map(path) if self._mapped else pa.OSFile(path) as source:
            if self._stream:
                reader = ipc.open_stream(source, options=choice)
                yield reader.schema, iter(reader)
            else:
                reader = ipc.open_file(source, options=choice)
                which = range(reader.num_record_batches) if group is None else group
                yield reader.schema, map(reader.get_batch, which)

    def tables(self, piece: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Record batches, cut where they are larger than a block."""
        step = block_rows(pa.schema([self.schema.field(name) for name in columns]))
        # A choice of fields copies, which a mapping is there to avoid.
        fields = None if self._mapped else [self.schema.names.index(name) for name in columns]
        with (
            _reading(self._stamp, self.name, "Arrow"),
            self._batches(fields, self._groups[piece]) as (_, batches),
        ):
            for batch in batches:
                table = pa.Table.from_batches([batch]).select(list(columns))
                for start, stop in stretches(table.num_rows, step):
                    yield table.slice(start, stop - start)


@contextmanager
def _reading(stamp: Stamp, name: str, kind: str) -> Iterator[None]:
    """Errors on the way are a changed file, or a damaged one.

    Raises:
        DataError: either.
    """
    stamp.check()
    if not stamp.size:
        raise DataError(name, "is empty", "Check how it was made.")
    with named(name):
        try:
            yield
            stamp.check()
        except (DataError, PermissionError, MemoryError):
            raise
        except (pa.ArrowException, OSError, ValueError, LookupError) as error:
            stamp.check()
            raise damaged(name, kind, error) from error
