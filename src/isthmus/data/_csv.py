"""Separated text to numbers, and what stands in the way, by line and column.

Parsing is pyarrow's, with several threads; a second pass with one thread finds the number of a line
at fault. Every column of a kind that is not a number is refused, not converted.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from isthmus.data._columns import matrix, refuse_others
from isthmus.data._sniff import Layout, is_number, layout_of
from isthmus.data.tables import (
    MISSING_TOKENS,
    drop_advice,
    kept,
    quoted,
    refuse_duplicates,
    stand_in,
)
from isthmus.errors import DataError

NUMBER = r"^\s*([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity))\s*$"
"""As :func:`isthmus.data._sniff.is_number`, for Arrow; the point stands for the decimal sign."""
SPOKEN = {"\t": "tabs", ";": "semicolons", ",": "commas"}


def read_csv(
    path: Path, origin: str, drop: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Values (N, D) in float64, and the names of the columns if the file has them.

    Raises:
        DataError: empty, only a header, ragged, not UTF-8, or with a column that is not numbers.
    """
    names, columns, named = columns_of_csv(path, origin, drop)
    refuse_others(names, columns, origin)
    values = matrix(columns).astype(np.float64, copy=False)
    return values, tuple(names) if named else None


def columns_of_csv(
    path: Path, origin: str, drop: tuple[str, ...]
) -> tuple[list[str], list[Any], bool]:
    """Names and Arrow columns of any kind, and whether the file has the names.

    Raises:
        DataError: empty, only a header, ragged, not UTF-8, or a column of numbers with a few words.
    """
    layout = layout_of(path, origin)
    given = layout.names or ("",) * layout.n_columns
    labels = [name or stand_in(j) for j, name in enumerate(given)]
    refuse_duplicates(labels, origin)
    keep = kept(labels, drop, origin)
    table = _parse(path, layout, keep, origin)
    names, columns = [labels[j] for j in keep], table.columns
    if not table.num_rows:
        raise DataError(f"{origin}", "has a header but no rows", "Check how it was made.")
    _refuse_stray(names, columns, path, layout, origin)
    if layout.names and not layout.names[keep[0]]:
        index = RowNumbers(names[0])
        index.add(columns[0].combine_chunks())
        index.refuse(origin)
    return names, columns, bool(layout.names)


def _parse(path: Path, layout: Layout, keep: list[int], origin: str) -> Any:
    """The kept columns as an Arrow table, columns named by their positions."""
    try:
        return pacsv.read_csv(path, **options(layout, keep))
    except pa.ArrowInvalid as error:
        raise unparsed(path, layout, keep, origin, error) from error


def unparsed(
    path: Path, layout: Layout, keep: list[int], origin: str, error: Exception
) -> DataError:
    """Why pyarrow could not parse it: a line of another length, which is looked for, or its word.

    The search is a pass with one thread, which numbers rows; what it reads it lets go.
    """
    ragged: list[Any] = []

    def stop(row: Any) -> str:
        ragged.append(row)
        return "error"

    with suppress(pa.ArrowInvalid):
        text = {str(j): pa.binary() for j in range(layout.n_columns)}
        for _ in pacsv.open_csv(path, **options(layout, keep, text, stop)):
            pass
    if ragged:
        return _ragged(path, layout, ragged[0], origin)
    return DataError(
        f"{origin}",
        f"cannot be read as text separated by {SPOKEN[layout.separator]} ({error})",
        "Check that each line is one row.",
    )


def options(layout: Layout, keep: list[int], types: Any = None, stop: Any = None) -> dict[str, Any]:
    """Arguments for pyarrow: several threads, or one where ``stop`` sees rows of another length.

    Threads get nothing of Python's: one that lets go of ``stop`` while the interpreter ends would
    abort the program. And rows are numbered only where one thread reads them.
    """
    return {
        "read_options": pacsv.ReadOptions(
            use_threads=stop is None,
            block_size=layout.block,
            skip_rows=layout.skip,
            column_names=[str(j) for j in range(layout.n_columns)],
        ),
        "parse_options": pacsv.ParseOptions(delimiter=layout.separator, invalid_row_handler=stop),
        "convert_options": pacsv.ConvertOptions(
            null_values=[blank + token for token in MISSING_TOKENS for blank in ("", " ")],
            strings_can_be_null=True,
            decimal_point=layout.decimal,
            include_columns=[str(j) for j in keep],
            column_types=types,
        ),
    }


def _ragged(path: Path, layout: Layout, row: Any, origin: str) -> DataError:
    n = row.actual_columns
    number = row.number - layout.skip - 1 if row.number is not None else 0
    return DataError(
        f"line {line_of(path, layout, number)} of {origin}",
        f"must have {layout.n_columns} fields separated by {SPOKEN[layout.separator]}, as the first"
        f" line has; it has {n}",
        "Mend that line; text that holds the separator must be in quotes.",
    )


def line_of(path: Path, layout: Layout, row: int) -> int:
    """The line, counted from 1 and with blank ones, that holds row ``row``, counted from 0."""
    with path.open(encoding="latin-1") as file:  # any byte is a letter; ends of lines are known
        filled = (i for i, line in enumerate(file) if i >= layout.skip and line != "\n")
        return next(islice(filled, row, None), layout.skip + row) + 1


class Stray:
    """A column of text, block by block: is it a column of numbers with a few words in it?"""

    def __init__(self, name: str, layout: Layout) -> None:
        self.name = name
        self.layout = layout
        self.rows = self.present = self.words = 0
        self.first: tuple[int, str] | None = None

    def add(self, column: Any) -> None:
        """The next rows."""
        word = pc.fill_null(pc.invert(numbers(column, self.layout.decimal)), False)
        self.present += len(column) - column.null_count
        self.words += pc.sum(word).as_py() or 0
        if self.first is None and (i := pc.index(word, True).as_py()) >= 0:
            self.first = (self.rows + i, column[i].as_py())
        self.rows += len(column)

    def refuse(self, path: Path, origin: str) -> None:
        """Say where the first word stands, if most entries are numbers.

        Raises:
            DataError: they are.
        """
        if self.first is not None and self.words < self.present / 2:
            row, value = self.first
            more = f" (and {self.words - 1} more like it)" if self.words > 1 else ""
            raise not_a_number(path, self.layout, row, self.name, value, origin, more)


def numbers(column: Any, decimal: str) -> Any:
    """Which entries of a column of text are written as numbers; null where there is none."""
    return pc.match_substring_regex(column, NUMBER.replace(r"\.", re.escape(decimal)))


def not_a_number(
    path: Path, layout: Layout, row: int, name: str, value: str, origin: str, more: str = ""
) -> DataError:
    """A word among numbers, by line and column."""
    return DataError(
        f"line {line_of(path, layout, row)} of {origin}",
        f"must hold a number in column {name!r}; it holds {value!r}{more}",
        f"Mend it; missing entries are written {quoted(MISSING_TOKENS, limit=9)}.",
    )


def refuse_blanks(column: Any, origin: str) -> None:
    """The only column of a file, if its first entry is numbers with blanks or bars between."""
    words = re.split(r"[\s|:]+", str(column.drop_null()[0]).strip())
    if len(words) > 1 and all(is_number(word, ".") for word in words):
        raise DataError(
            f"{origin}",
            f"must be separated by commas, semicolons or tabs; a row is {' '.join(words)!r}",
            "Save it with one of them.",
        )


def _refuse_stray(
    names: list[str], columns: list[Any], path: Path, layout: Layout, origin: str
) -> None:
    """A column of numbers with a few words in it: say where the first of them stands."""
    if layout.n_columns == 1 and pa.types.is_string(columns[0].type):
        refuse_blanks(columns[0], origin)
    for name, column in zip(names, columns, strict=True):
        if pa.types.is_string(column.type):
            stray = Stray(name, layout)
            stray.add(column)
            stray.refuse(path, origin)


class RowNumbers:
    """Whether a first column that has no name counts the rows: an index, saved by mistake."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.start: int | None = None
        self.rows = 0
        self.counts = True

    def add(self, column: Any) -> None:
        """The next rows."""
        if not self.counts or not len(column):
            return
        values = column.to_numpy(zero_copy_only=False) if not column.null_count else None
        if values is None or values.dtype.kind not in "if":
            self.counts = False
            return
        if self.start is None:
            self.start = int(values[0]) if values[0] in (0, 1) else None
        expected = np.arange(len(values)) + self.rows
        self.counts = self.start is not None and np.array_equal(values, expected + self.start)
        self.rows += len(values)

    def refuse(self, origin: str) -> None:
        """Say so.

        Raises:
            DataError: it does count the rows.
        """
        if self.counts and self.start is not None:
            raise DataError(
                f"the first column of {origin}",
                f"must be a feature; it has no name, and counts the rows from {self.start}",
                f"{drop_advice([self.name])} Or give it a name, if it is meant.",
            )
