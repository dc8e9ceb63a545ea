"""Separated text to numbers, and what stands in the way, by line and column.

Parsing is pyarrow's, with several threads; a second pass with one thread finds the number of a line
at fault. Every column of a kind that is not a number is refused, not converted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from isthmus.data._columns import is_numeric, matrix, refuse_others
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
        _refuse_row_numbers(names[0], columns[0], origin)
    return names, columns, bool(layout.names)


def _parse(path: Path, layout: Layout, keep: list[int], origin: str) -> Any:
    """The kept columns as an Arrow table, columns named by their positions."""
    ragged: list[Any] = []

    def stop(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        return _read(path, layout, keep)
    except pa.ArrowInvalid as error:
        try:
            _read(path, layout, keep, stop)
        except pa.ArrowInvalid:
            if ragged:
                raise _ragged(path, layout, ragged[0], origin) from error
        raise DataError(
            f"{origin}",
            f"cannot be read as text separated by {SPOKEN[layout.separator]} ({error})",
            "Check that each line is one row.",
        ) from error


def _read(path: Path, layout: Layout, keep: list[int], stop: Any = None) -> Any:
    """With several threads, or with one where ``stop`` is called for a row of another length.

    Threads get nothing of Python's: one that lets go of ``stop`` while the interpreter ends would
    abort the program. And rows are numbered only where one thread reads them.
    """
    return pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(
            use_threads=stop is None,
            block_size=layout.block,
            skip_rows=layout.skip,
            column_names=[str(j) for j in range(layout.n_columns)],
        ),
        parse_options=pacsv.ParseOptions(delimiter=layout.separator, invalid_row_handler=stop),
        convert_options=pacsv.ConvertOptions(
            null_values=[blank + token for token in MISSING_TOKENS for blank in ("", " ")],
            strings_can_be_null=True,
            decimal_point=layout.decimal,
            include_columns=[str(j) for j in keep],
        ),
    )


def _ragged(path: Path, layout: Layout, row: Any, origin: str) -> DataError:
    n = row.actual_columns
    number = row.number - layout.skip - 1 if row.number is not None else 0
    return DataError(
        f"line {_line(path, layout, number)} of {origin}",
        f"must have {layout.n_columns} fields separated by {SPOKEN[layout.separator]}, as the first"
        f" line has; it has {n}",
        "Mend that line; text that holds the separator must be in quotes.",
    )


def _line(path: Path, layout: Layout, row: int) -> int:
    """The line, counted from 1 and with blank ones, that holds row ``row``, counted from 0."""
    with path.open("rb") as file:
        lines = file.read().splitlines()
    filled = (i for i, line in enumerate(lines) if i >= layout.skip and line)
    return next((i + 1 for k, i in enumerate(filled) if k == row), layout.skip + row + 1)


def _refuse_stray(
    names: list[str], columns: list[Any], path: Path, layout: Layout, origin: str
) -> None:
    """A column of numbers with a few words in it: say where the first of them stands."""
    if layout.n_columns == 1 and pa.types.is_string(columns[0].type):
        words = re.split(r"[\s|:]+", str(columns[0].drop_null()[0]).strip())
        if len(words) > 1 and all(is_number(word, ".") for word in words):
            raise DataError(
                f"{origin}",
                f"must be separated by commas, semicolons or tabs; a row is {' '.join(words)!r}",
                "Save it with one of them.",
            )
    for name, column in zip(names, columns, strict=True):
        if is_numeric(column.type) or not pa.types.is_string(column.type):
            continue
        values = column.to_pylist()
        stray = [
            i
            for i, value in enumerate(values)
            if value is not None and not is_number(value.strip(), layout.decimal)
        ]
        present = sum(value is not None for value in values)
        if stray and len(stray) < present / 2:
            more = f" (and {len(stray) - 1} more like it)" if len(stray) > 1 else ""
            raise DataError(
                f"line {_line(path, layout, stray[0])} of {origin}",
                f"must hold a number in column {name!r}; it holds {values[stray[0]]!r}{more}",
                f"Mend it; missing entries are written {quoted(MISSING_TOKENS, limit=9)}.",
            )


def _refuse_row_numbers(name: str, column: Any, origin: str) -> None:
    """A first column that has no name and counts the rows is an index, saved by mistake."""
    if column.null_count or not is_numeric(column.type):
        return
    values = column.to_numpy()
    if values[0] in (0, 1) and np.array_equal(values, np.arange(len(values)) + values[0]):
        raise DataError(
            f"the first column of {origin}",
            f"must be a feature; it has no name, and counts the rows from {values[0]}",
            f"{drop_advice([name])} Or give it a name, if it is meant.",
        )
