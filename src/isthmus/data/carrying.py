"""All columns of what a name stands for, those that are no features too, row by row.

What is made of rows is often wanted beside them: a table with its holes filled in, an identifier
beside a score. Columns are carried untouched: of Parquet and Arrow with their types and pandas'
notes on them, of separated text entry by entry as it is written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.columns.choosing import places
from isthmus.data.files.packed import plain, turned
from isthmus.data.files.paths import changed
from isthmus.data.opening import entire
from isthmus.data.tabular import Tabular
from isthmus.data.text.entries import Stray
from isthmus.data.text.sniff import Layout, layout_of
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError


class Carried:
    """The columns of a table, with a pointer to the row that comes next.

    Args:
        source: of all columns.
        layout: how the file is written, where the columns are text as it is written.
        blanks: its blank lines, see :func:`blank_lines`.
        encoding: of a file, where it is not UTF-8.
    """

    def __init__(
        self,
        source: Tabular,
        layout: Layout | None,
        blanks: Mapping[int, int] | None = None,
        encoding: str | None = None,
    ) -> None:
        self.source, self.layout, self.blanks = source, layout, blanks or {}
        self.encoding = encoding
        self.names: list[str] = list(source.schema.names)
        self._blocks = self._every()
        self._held = source.schema.empty_table()

    def _every(self) -> Iterator[pa.Table]:
        for piece in range(len(self.source.lengths)):
            yield from self.source.tables(piece)

    def take(self, n: int) -> pa.Table:
        """The next n rows.

        Raises:
            DataError: there are fewer, so the file has changed.
        """
        parts = [self._held.slice(0, n)]
        left = n - len(parts[0])
        self._held = self._held.slice(n)
        while left:
            block = next(self._blocks, None)
            if block is None:
                raise changed(self.source.origin)
            parts.append(block.slice(0, left))
            self._held = block.slice(left)
            left -= len(parts[-1])
        return pa.concat_tables(parts)

    def features(self, names: Sequence[str] | None, left: Sequence[str], n: int) -> list[str]:
        """The names here of the columns that a model takes, in its order.

        By name where both the columns here and those that it takes have names; else by position,
        as the model takes them.

        Args:
            names: what they are called, None where columns have no names.
            left: columns that it does not take, unless they were left out before.
            n: how many it takes.

        Raises:
            DataError: they are not here.
        """
        if names is not None and self.source.names is not None:
            return [self.names[j] for j in places(self.names, names, self.source.origin, more=True)]
        here = [name for name in self.names if name not in left]
        for found in (here, self.names):
            if len(found) == n:
                return found
        raise DataError(
            f"{self.source.origin} with {len(here)} columns",
            f"must have {n}, as the data of the fit; they are taken by position",
        )

    def refuse_mixture(self, columns: Sequence[str], missing: Sequence[str]) -> None:
        """Refuse files of which a column is written otherwise in one than in another, so that no
        file could hold both.

        Args:
            columns: of numbers, all of them text as it is written.
            missing: what stands for a missing entry.

        Raises:
            DataError: there is one.
        """
        if not columns:
            return
        tokens = pa.array(missing)
        found = {name: [Stray(sign) for sign in ".,"] for name in columns}
        for block in self._every():
            for name, ways in found.items():
                column = block.column(name)
                gone = pc.is_in(pc.utf8_trim_whitespace(column), tokens)
                for way in ways:
                    way.add(pc.if_else(gone, None, column))
        for name, ways in found.items():
            if all(way.words for way in ways) and not ways[0].spelled.possible:
                raise DataError(
                    f"{self.source.origin}, whose files write the numbers of column {name!r} in "
                    "different ways,",
                    "would become one file that nothing can read",
                    "Fill each file by itself, or write all to a .parquet file.",
                )

    def beside(self, features: Sequence[str], rows: np.ndarray | None = None) -> pa.Table:
        """The columns that are none of these, of all rows or of those at some positions, rising."""
        others = [name for name in self.names if name not in features]
        if not others:
            return pa.table({})
        parts, start = [], 0
        for block in self._every():
            part, stop = block.select(others), start + len(block)
            if rows is not None:
                part = part.take(rows[slice(*rows.searchsorted([start, stop]))] - start)
            parts.append(part)
            start = stop
        return pa.concat_tables(parts)


def carried(
    data: str | os.PathLike[str], *, written: bool, words: Words = AS_USUAL
) -> Carried | None:
    """All columns of a table in files; None of what is no table, or has only features.

    Args:
        data: a file, a folder, a glob or a bundled name.
        written: whether entries of separated text are wanted as they are written.
        words: which may state the encoding of separated text.

    Raises:
        DataError: it cannot be read.
    """
    source = entire(data, written=written, words=words)
    if not isinstance(source, Tabular):
        return None
    if not (written and source.parsed):
        return Carried(source, None)
    first = Path(source.first)
    layout = layout_of(first, source.first, words)
    single = source.first == os.fspath(data)
    blanks = blank_lines(first, layout.skip, words) if single else None
    encodings = (turned(Path(name), name, words) for name in source.shard_names)
    return Carried(source, layout, blanks, next(filter(None, encodings), None))


def blank_lines(path: Path, skip: int, words: Words = AS_USUAL) -> dict[int, int]:
    """How many blank lines stand before a row of a file of text, by its number from 0.

    Those at the end stand before row N.

    Args:
        path: of the file.
        skip: lines before the first row.
        words: which may state the encoding.
    """
    text, _held, _note = plain(path, str(path), words)
    with text.open("rb") as file:
        if not any(line in (b"\n", b"\r\n") for line in file):
            return {}
    found: Counter[int] = Counter()
    row, within = 0, False
    with text.open(encoding="latin-1") as lines:  # any byte is a letter; lines' ends count
        for line in islice(lines, skip, None):
            if line == "\n" and not within:
                found[row] += 1
                continue
            row += not within
            within ^= bool(line.count('"') % 2)
    return found
