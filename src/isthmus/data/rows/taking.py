"""Rows of a source in memory: all of them, those at some positions, or a random sample.

They come as a :class:`isthmus.data.tables.Table`, of columns of any kind with its ``frame``. It
keeps how its numbers were written, and can be read again as those of a fit were: a model takes it
as it takes the source. Blocks of a table that is read in turn say where they are from, by
:func:`isthmus.data.columns.frames.marked`: an error can then name the file and the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isthmus.data.columns import frames
from isthmus.data.matrix import counted
from isthmus.data.rows.survey import positions
from isthmus.data.source import Source, TableSource, blocks, in_memory, n_rows
from isthmus.data.tables import Table


def whole(source: Source) -> Table:
    """All rows in memory.

    Raises:
        DataError: they do not fit.
    """

    def all_of(there: Source) -> Table:
        found = held(there)
        return found if isinstance(found, Table) else _mixed(found, there)

    return _of(source, all_of)


def held(source: Source, mixed: bool = False) -> Table | pa.Table:
    """All rows in memory for an estimator that knows how they were written: columns of any kind
    as an Arrow table, which takes half the memory, and cannot be read again.

    Args:
        source: to read.
        mixed: whether columns of numbers keep their types as well.

    Raises:
        DataError: they do not fit.
    """
    if isinstance(source, TableSource) and (mixed or is_mixed(source)):
        parts = [t for piece in range(len(source.lengths)) for t in source.tables(piece)]
        found = pa.concat_tables(parts, promote_options="permissive")
        return frames.marked(found, source.origin)
    return _table(in_memory(source), source)


def sample(source: Source, n: int, seed: int = 0) -> Table:
    """At most n rows at random, in their order, as :func:`whole` gives all of them."""
    total = n_rows(source)
    if total <= n:
        return whole(source)
    return take(source, positions(total, n, 0, seed)[0])


def take(source: Source, rows: NDArray[Any]) -> Table:
    """The rows at these positions (rising), as :func:`whole` gives all of them; one pass."""
    return _of(source, lambda there: _taken(there, rows))


def _taken(source: Source, rows: NDArray[Any]) -> Table:
    mixed = is_mixed(source)
    parts: list[Any] = []
    start = 0
    for block in tables(source, True) if mixed else blocks(source):
        count = len(block)
        here = rows[slice(*rows.searchsorted([start, start + count]))] - start
        if len(here) or not parts:
            parts.append(block.take(here) if mixed else block.reshape(count, -1)[here])
        start += count
    if mixed:
        found = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
        return _mixed(found, source)
    return _table(np.concatenate(parts), source)


def tables(source: Source, mixed: bool = False) -> Iterator[Any]:
    """The rows of a source in order, block by block: of images and series arrays (n, *F)."""
    first = 0
    if mixed and isinstance(source, TableSource):
        for piece in range(len(source.lengths)):
            for table in source.tables(piece):
                yield frames.marked(table, source.origin, first)
                first += table.num_rows
        return
    for block in blocks(source):
        yield block if block.ndim > 2 else replace(_table(block, source), first=first)
        first += len(block)


def is_mixed(source: Source) -> bool:
    """Whether it has a column that is not of numbers."""
    return isinstance(source, TableSource) and frames.is_mixed(source.schema.empty_table())


def _table(values: NDArray[Any], source: Source) -> Table:
    """Flat rows; bytes become float32, as tables have it."""
    flat = values.reshape(len(values), -1)
    floats = flat if flat.dtype.kind == "f" else flat.astype(np.float32)
    return Table(floats, source.names, source.origin, None, *_told(source))


def table_of(frame: pa.Table, origin: str) -> Table:
    """A table of columns of any kind, as :func:`isthmus.data.readers.read` gives one."""
    return Table(counted(frame.columns), tuple(frame.schema.names), origin, frame)


def _mixed(frame: pa.Table, source: Source) -> Table:
    return Table(counted(frame.columns), source.names, source.origin, frame, *_told(source))


def _told(source: Source) -> tuple[tuple[str, ...], Any, Any]:
    spelling, na_values = getattr(source, "spelling", None), getattr(source, "na_values", None)
    return tuple(getattr(source, "notes", ())), spelling, na_values


def _of(source: Source, made: Callable[[Source], Table]) -> Table:
    """What is made of a source, and again of the same source as it is read for a fit."""
    table = made(source)
    if not hasattr(source, "as_known"):
        return table

    def again(fit: Any) -> Table:
        there = source.as_known(fit)
        return table if there is source else _of(there, made)

    object.__setattr__(table, "again", again)  # of this table alone: it is no field to replace
    return table
