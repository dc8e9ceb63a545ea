"""Figures of rows in a file, with the columns beside them that tell which row is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli._blocks import MOST_SAMPLED, size

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table


def write(
    out: str,
    figures: Mapping[str, Any],
    found: Table | Source,
    data: str,
    left: Sequence[str],
) -> str:
    """Write figures of rows, after the columns of the rows that are no features.

    Args:
        out: ends in .npy, which holds figures alone, .csv or .parquet.
        figures: (n,) each, by name; of all rows, or of the sample that
            :func:`isthmus.cli._rows.as_table` takes. A column that is called so is not written.
        found: the features.
        data: where the rows are from.
        left: columns that are no features, where they have no names.

    Returns:
        What the columns before the figures are, as the end of a sentence; empty without any.

    Raises:
        RunError: the file cannot be written.
    """
    import numpy as np
    import pyarrow as pa

    from isthmus.data.carrying import carried
    from isthmus.data.source import TableSource
    from isthmus.data.survey import positions
    from isthmus.data.tables import Table as Whole
    from isthmus.data.tables import quoted
    from isthmus.data.writers import write as write_figures
    from isthmus.data.writers import write_frame, write_lines

    ending = Path(out).suffix.lower()
    table = isinstance(found, Whole | TableSource) and ending != ".npy"
    every = carried(data, written=ending == ".csv") if table else None
    n_rows, n_features = size(found)
    beside = pa.table({})
    if every is not None:
        features = [*every.features(found.names, left, n_features), *figures]
        sampled = len(next(iter(figures.values()))) < n_rows
        rows = positions(n_rows, MOST_SAMPLED, 0, 0)[0] if sampled else None
        beside = every.beside(features, rows)
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
