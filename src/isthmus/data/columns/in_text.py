"""Numbers that are text in a frame, in Parquet or in Arrow: read as those of the fit were written.

``pandas.read_csv(path, dtype=str)`` gives the entries of a file as they are written, and a fit to
files of text knows how its own were.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from isthmus.data.columns import frames
from isthmus.data.columns.kinds import without_missing
from isthmus.data.text.agreeing import Known, Place, agreed
from isthmus.data.text.spelled import Reading, Spelled


def with_numbers(X: Any, known: Known) -> Any:
    """A frame with numbers in place of text that spells them, where the fit had numbers; anything
    else as it is.

    Args:
        X: a DataFrame of pandas or polars, or an Arrow table.
        known: how the columns of the fit were written.

    Raises:
        DataError: they are written otherwise, and cannot be read so.

    >>> fit = {"cost": Reading(",", ".", example="1.218,50")}
    >>> with_numbers(pa.table({"cost": ["1.218", None]}), fit)["cost"].to_pylist()
    [1218.0, None]
    """
    form = frames.flavour(X)
    names = frames.names_of(X) if form != "array" else None
    numbers = {name: how for name, how in known.items() if how is not None}
    if names is None or not numbers.keys() & set(names):
        return X
    for j, name in enumerate(names):
        how = numbers.get(name)
        column = None if how is None else _text(X, j, form)
        if how is None or column is None:
            continue
        made = _read(column, how, Place(name, frames.origin_of(X)[0]))
        if made is not None:
            X = _put(X, j, made, form)
    return X


def _text(X: Any, j: int, form: str) -> Any:
    """A column of text as one of Arrow; None where it is of another kind."""
    if form == "pandas":
        given = X.iloc[:, j]
        if getattr(given.dtype, "kind", "O") not in "OUST":
            return None
        try:
            column = pa.array(given, pa.string(), from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):  # not of text alone
            return None
        return column
    column = X.column(j) if form == "arrow" else X.to_series(j).to_arrow()
    return column.cast(pa.string()) if frames.is_words(column.type) else None


def _read(column: Any, was: Reading, place: Place) -> Any:
    """The numbers; None where it spells none."""
    column = without_missing(column)
    found = Spelled()
    found.add(column)
    how = agreed(found, was, place)
    return None if how is None else how.numbers(column)


def _put(X: Any, j: int, made: Any, form: str) -> Any:
    if form == "arrow":
        return X.set_column(j, X.schema.field(j).name, made)
    if form == "polars":
        import polars  # type: ignore[import-not-found, unused-ignore]

        return X.with_columns(polars.Series(X.columns[j], made.to_pylist()))
    X = X.copy(deep=False)
    X.isetitem(j, made.to_numpy(zero_copy_only=False))
    return X
