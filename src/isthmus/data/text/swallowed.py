"""Rows that a quote swallows which is opened and never closed, or closed by the next one far below.

A field in quotes may hold ends of lines, and a parser believes every quote. Two things betray one
that was not meant: the file ends within it, or lines inside it are rows, each with as many
separators as rows have. Prose has not, line after line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from isthmus.data.tables import shown
from isthmus.errors import DataError

# Lines inside a field that must all look like rows: more where rows have one separator only.
_LINES, _LINES_OF_TWO = 2, 6
_REMEDY = "A quote is opened there and not closed: close it, or double it where it is meant."


class Swallowed:
    """What the columns of text of one file hold, block by block.

    Args:
        path: of the plain text.
        name: by which errors speak of it.
        separator: between fields.
        n_columns: of the file.
    """

    def __init__(self, path: Path, name: str, separator: str, n_columns: int) -> None:
        self._path, self._name = path, name
        self._separator, self._n = separator, n_columns
        self._least = _LINES if n_columns > 2 else _LINES_OF_TWO
        self._end = ""

    def look(self, column: Any, last: bool) -> None:
        """The next entries of a column; ``last`` is that at the ends of the lines.

        Raises:
            DataError: an entry holds rows.
        """
        if last and len(column):
            self._end = column[-1].as_py() or ""
        if self._n < 2:
            return
        for text in column.filter(pc.match_substring(column, "\n")).to_pylist():
            inside = text.splitlines()[1:-1]
            rows = [line.count(self._separator) == self._n - 1 for line in inside]
            if len(rows) >= self._least and all(rows):
                raise self._error(text)

    def refuse_end(self) -> None:
        """Refuse a file that ends within a field.

        Raises:
            DataError: it does.
        """
        if "\n" in self._end:
            with self._path.open("rb") as file:
                file.seek(max(0, self._path.stat().st_size - 4096))
                closed = file.read().rstrip().endswith(b'"')
            if not closed:
                raise self._error(self._end)

    def _error(self, text: str) -> DataError:
        first = text.splitlines()[0]
        return DataError(
            f"the entry of {self._name} that begins with {shown(first)}",
            f"holds {len(text.splitlines())} lines that look like rows of their own",
            _REMEDY,
        )
