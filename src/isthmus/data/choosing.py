"""Columns by name: those of a fit, in its order, out of rows that have them otherwise.

A file has its columns in whatever order it was written, and often more of them; which is which the
names say. Rows without names are taken as they are. What is missing is never made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data._columns import matrix, refuse_others
from isthmus.data.source import Source, TableSource
from isthmus.data.tables import Table, drop_advice, quoted, stand_in
from isthmus.errors import DataError


def places(
    here: Sequence[str], fitted: Sequence[str], origin: str, *, more: bool = False
) -> list[int]:
    """Where each column of the fit stands among those that are here.

    Args:
        here: names of the columns of the rows.
        fitted: those of the fit, in its order.
        origin: where the rows are from.
        more: whether there may be others, which are left out.

    Raises:
        DataError: one is not here, or another is that the fit did not have.

    >>> places(["b", "id", "a"], ["a", "b"], "new.csv", more=True)
    [2, 0]
    """
    known, there = set(fitted), {name: j for j, name in enumerate(here)}
    missing = [name for name in fitted if name not in there]
    extra = [name for name in here if name not in known]
    if missing:
        also = f", and has {quoted(extra)}, which the fit did not see" if extra else ""
        raise DataError(
            origin,
            f"must have the columns of the fit; it lacks {quoted(missing)}{also}",
            "Give the columns that the fit had, under the same names.",
        )
    if extra and not more:
        raise DataError(
            origin,
            f"must have the columns of the fit and no other; the fit did not see {quoted(extra)}",
            drop_advice(extra),
        )
    return [there[name] for name in fitted]


def of_table(table: Table, at: Sequence[int]) -> Table:
    """The table of the columns at these positions, in their order."""
    if list(at) == list(range(table.values.shape[1])):
        return table
    names = None if table.names is None else tuple(table.names[j] for j in at)
    frame = None if table.frame is None else table.frame.select(list(at))
    return replace(
        table, values=np.ascontiguousarray(table.values[:, list(at)]), names=names, frame=frame
    )


def of_source(source: Source, at: Sequence[int]) -> Source:
    """The source of the columns at these positions, in their order."""
    if list(at) == list(range(source.feature_shape[0])):
        return source
    return Chosen(source, at)


class Chosen:
    """Some columns of a source of rows (D,); of a table of columns of any kind, such a table.

    Args:
        source: the rows.
        at: positions of the columns. Those without names are called x0, x1, ...
    """

    def __init__(self, source: Source, at: Sequence[int]) -> None:
        self._source, self._at = source, list(at)
        names = source.names or [stand_in(j) for j in range(source.feature_shape[0])]
        self.names: tuple[str, ...] | None = tuple(names[j] for j in at)
        self.feature_shape: tuple[int, ...] = (len(self._at),)
        self.origin, self.dtype = source.origin, source.dtype
        self.lengths, self.labels = source.lengths, source.labels
        self.label_names = getattr(source, "label_names", ())
        self.skipped = getattr(source, "skipped", ())
        if isinstance(source, TableSource):
            self.schema = pa.schema([source.schema.field(j) for j in at])

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """Blocks of numbers (n, D).

        Raises:
            DataError: a column is not of numbers.
        """
        if isinstance(self._source, TableSource):
            for table in self.tables(piece):
                refuse_others(table.schema.names, table.columns, self.origin)
                yield matrix(table.columns).astype(self.dtype, copy=False)
            return
        for block in self._source.read(piece):
            yield block[:, self._at]

    def tables(self, piece: int) -> Iterator[Any]:
        """Blocks with the columns of ``schema``, where the source has one."""
        if isinstance(self._source, TableSource):
            for table in self._source.tables(piece):
                yield table.select(self._at)
