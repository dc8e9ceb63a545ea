"""Rows of a source in memory: all of them, those at some positions, or a random sample.

Columns of any kind come as one Arrow table, numbers as a :class:`isthmus.data.tables.Table` of flat
rows. Blocks of a table that is read in turn say where they are from, by
:func:`isthmus.data.columns.frames.marked`: an error can then name the file and the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isthmus.data.columns import frames
from isthmus.data.rows.survey import positions
from isthmus.data.source import Source, TableSource, blocks, in_memory, n_rows
from isthmus.data.tables import Table


def whole(source: Source, mixed: bool = False) -> Table | pa.Table:
    """All rows in memory: a table of numbers with flat rows, or columns of any kind.

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


def sample(source: Source, n: int, seed: int = 0) -> Table | pa.Table:
    """At most n rows at random, in their order, as :func:`whole` gives all of them."""
    total = n_rows(source)
    if total <= n:
        return whole(source)
    return take(source, positions(total, n, 0, seed)[0])


def take(source: Source, rows: NDArray[Any]) -> Table | pa.Table:
    """The rows at these positions (rising), as :func:`whole` gives all of them; one pass."""
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
        return pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
    return _table(np.concatenate(parts), source)


def tables(source: Source, mixed: bool = False) -> Iterator[Any]:
    """The rows of a source in order, block by block: of images and series arrays (n, *F)."""
    if mixed and isinstance(source, TableSource):
        first = 0
        for piece in range(len(source.lengths)):
            for table in source.tables(piece):
                yield frames.marked(table, source.origin, first)
                first += table.num_rows
        return
    for block in blocks(source):
        yield block if block.ndim > 2 else _table(block, source)


def is_mixed(source: Source) -> bool:
    """Whether it has a column that is not of numbers."""
    return isinstance(source, TableSource) and frames.is_mixed(source.schema.empty_table())


def _table(values: NDArray[Any], source: Source) -> Table:
    """Flat rows; bytes become float32, as tables have it."""
    flat = values.reshape(len(values), -1)
    floats = flat if flat.dtype.kind == "f" else flat.astype(np.float32)
    return Table(floats, source.names, source.origin)
