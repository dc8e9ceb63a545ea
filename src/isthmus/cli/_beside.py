"""Figures of rows in a file, with the columns beside them that tell which row is which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli._blocks import MOST_SAMPLED, size

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.data.words import Words

FILE = "file"
"""The column that names the file of each row, where every row is one."""


def write(
    out: str,
    figures: Mapping[str, Any],
    found: Table | Source,
    data: str,
    left: Sequence[str],
    words: Words,
) -> str:
    """Write figures of rows, after the columns of the rows that are no features.

    Args:
        out: ends in .npy, which holds figures alone, .csv or .parquet.
        figures: (n,) each, by name; of all rows, or of the sample that
            :func:`isthmus.cli._rows.as_table` takes. A column that is called so is not written.
        found: the features.
        data: where the rows are from.
        left: columns that are no features, where they have no names.
        words: how text is written there.

    Returns:
        What the columns before the figures are, as the end of a sentence; empty without any.

    Raises:
        RunError: the file cannot be written.
    """
    import numpy as np
    import pyarrow as pa

    from isthmus.data.carrying import carried
    from isthmus.data.source import TableSource
    from isthmus.data.tables import Table as Whole
    from isthmus.data.tables import quoted
    from isthmus.data.writers import write as write_figures
    from isthmus.data.writers import write_frame, write_lines

    ending = Path(out).suffix.lower()
    n_rows, n_features = size(found)
    n_figures = len(next(iter(figures.values())))
    files = files_of(found, n_figures)
    if files is not None:
        rows = np.stack(list(figures.values()), axis=1)
        return write_rows(out, [rows], list(figures), files)[1]
    table = isinstance(found, Whole | TableSource) and ending != ".npy"
    every = carried(data, written=ending == ".csv", words=words) if table else None
    beside = pa.table({})
    if every is not None:
        features = [*every.features(found.names, left, n_features), *figures]
        beside = every.beside(features, _sampled(n_figures, n_rows))
    if every is None or not beside.num_columns:
        write_figures(out, np.stack(list(figures.values()), axis=1), list(figures))
        return ""
    after = f", after {quoted(beside.column_names)} as in {data}"
    for name, column in figures.items():
        beside = beside.append_column(name, [pa.array(column)])
    if every.layout is None:
        write_frame(out, beside)
        return after
    text = [column.cast(pa.string()) for column in beside.columns]
    lines = pa.Table.from_arrays(text, names=beside.column_names)
    write_lines(out, [lines], header=lines.column_names)
    return after


def files_of(found: Table | Source, n: int | None = None) -> list[str] | None:
    """The file of each row, where every row is one; None else.

    Args:
        found: what the rows were made of.
        n: rows, where :func:`isthmus.cli._blocks.as_table` may have taken a sample.
    """
    files = getattr(found, "files", None)
    if files is None:
        return None
    rows = None if n is None else _sampled(n, len(files))
    return list(files) if rows is None else [files[row] for row in rows]


def _sampled(n: int, n_rows: int) -> Any:
    """Positions of the n rows that :func:`isthmus.cli._blocks.as_table` takes; None of all."""
    from isthmus.data.rows.survey import positions

    return positions(n_rows, MOST_SAMPLED, 0, 0)[0] if n < n_rows else None


def write_rows(
    out: str, blocks: Iterable[Any], names: Sequence[str] | None, files: Sequence[str] | None
) -> tuple[int, str]:
    """Write rows as they come, each after the file that it is from where every row has one.

    Args:
        out: as of :func:`write`.
        blocks: (n, D) each.
        names: of the D columns.
        files: of each row; None where rows are no files.

    Returns:
        N, the number of rows written; and what is before them, as of :func:`write`.

    Raises:
        RunError: the file cannot be written.
    """
    import pyarrow as pa

    from isthmus.data.tables import stand_in
    from isthmus.data.writers import write_blocks, write_frames

    if files is None or Path(out).suffix.lower() == ".npy":
        return write_blocks(out, blocks, names), ""
    every = pa.array(files, pa.string())

    def tables() -> Iterator[pa.Table]:
        start = 0
        for block in blocks:
            given = [stand_in(j) for j in range(block.shape[1])] if names is None else names
            columns = [every.slice(start, len(block)), *(pa.array(column) for column in block.T)]
            yield pa.Table.from_arrays(columns, names=[FILE, *given])
            start += len(block)

    return write_frames(out, tables()), f", after {FILE!r}, the path of each"
