"""Frames of other libraries to Arrow tables, with a note of where they are from.

Nothing but Arrow is imported here unless a frame of pandas or polars was given: what comes in is
told by what it can do (``to_arrow``, ``__dataframe__``), not by its class.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from isthmus.data.columns.converted import first_line, of_pandas, of_polars, pandas_without
from isthmus.data.matrix import is_numeric, is_text, refuse_complex, without
from isthmus.data.numbers import is_no_number, refuse_entries, refuse_shape, within_range
from isthmus.data.tables import Table, refuse_duplicates, stand_in
from isthmus.errors import DataError, IsthmusError, by_flag, by_frame

Flavour = Literal["pandas", "polars", "arrow", "array"]


def is_frame(X: Any) -> bool:
    """Whether X has columns of their own types: Arrow, pandas, polars, or a table with a frame."""
    if isinstance(X, Table):
        return X.frame is not None or X.names is not None
    return isinstance(X, pa.Table) or hasattr(X, "to_arrow") or hasattr(X, "dtypes")


def flavour(X: Any) -> Flavour:
    """What to give back for X."""
    if isinstance(X, (pa.Table, Table)):
        return "arrow"
    if hasattr(X, "to_arrow"):
        return "polars"
    return "pandas" if hasattr(X, "dtypes") else "array"


def arrow(X: Any) -> pa.Table:
    """X as an Arrow table; an array has columns x0, x1, ...

    Raises:
        DataError: a column mixes types, a name is there twice, or X is no table.
    """
    refuse_faulty(X)
    if isinstance(X, Table):
        frame = X.frame if X.frame is not None else _named(X.values, X.names)
        return marked(without_views(frame), X.origin, X.first)
    if isinstance(X, pa.Table):
        return without_views(X)
    if hasattr(X, "to_arrow"):
        return without_views(of_polars(X))
    if hasattr(X, "dtypes"):
        return without_views(of_pandas(X))
    values = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    refuse_shape(values, "X")
    if values.dtype.kind in "mV":  # neither numbers nor words
        refuse_entries(values, "X")
    return _named(values, None)


def _named(values: np.ndarray, names: tuple[str, ...] | None) -> pa.Table:
    labels = list(names) if names is not None else [stand_in(j) for j in range(values.shape[1])]
    try:
        arrays = [_column(column) for column in np.asarray(values).T]
    except DataError:
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            "X",
            f"must have columns of one type each ({first_line(error)})",
            "Convert the column, with astype(float) or astype(str).",
        ) from error
    return pa.Table.from_arrays(arrays, names=labels)


def _column(values: np.ndarray) -> Any:
    try:
        return pa.array(values, from_pandas=True)
    except OverflowError:  # whole numbers of more than 64 bits
        with within_range("X"):
            return pa.array(values.astype(np.float64), from_pandas=True)


def refuse_faulty(X: Any) -> None:
    """Refuse a frame that is not computed yet, has no column, two of one name, or complex numbers.

    Raises:
        DataError: it is one of these.
    """
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise DataError(
            f"X of type {type(X).__name__}", "has not been computed yet", "Give X.collect()."
        )
    if hasattr(X, "to_frame") or isinstance(X, pa.Array | pa.ChunkedArray):
        arrow = isinstance(X, pa.Array | pa.ChunkedArray)
        raise DataError(
            f"X of type {type(X).__name__}",
            "must be a table, not a single column",
            "Give pyarrow.table({'x': X})." if arrow else "Give X.to_frame().",
        )
    names = names_of(X)
    if names is not None:
        if not names:
            raise DataError(origin_of(X)[0], "has no column", "Check how it was made.")
        refuse_duplicates(names, origin_of(X)[0])
    refuse_complex(X, origin_of(X)[0])


def names_of(X: Any) -> list[str] | None:
    """The names of the columns; None of what has none."""
    if isinstance(X, Table):
        return None if X.names is None else list(X.names)
    if isinstance(X, pa.Table):
        return [str(name) for name in X.column_names]
    if hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "to_arrow")):
        return [str(name) for name in X.columns]
    return None


_DROPPED = {
    "pandas": "X.drop(columns={})",
    "polars": "X.drop({})",
    "arrow": "X.drop_columns({})",
}


@contextmanager
def addressed(X: Any) -> Iterator[None]:
    """Within it, remedies leave columns of X out by its own method: it has no ``drop=`` then.

    That is so of a frame that was given as it is. Rows of a file or source, and those that
    ``open_data`` was given, keep the argument.
    """
    try:
        yield
    except IsthmusError as error:
        if by_flag(error.remedy) == error.remedy:  # nothing is offered; X may be of any kind
            raise
        form = flavour(X)
        if form != "array" and not isinstance(X, Table) and origin_of(X)[0] == "X":
            error.remedy = by_frame(error.remedy, _DROPPED[form])
            error.args = (error.given, error.rule, error.remedy)
        raise


_ORIGIN, _FIRST = b"isthmus.origin", b"isthmus.first_row"


def marked(table: pa.Table, origin: str, first: int = 0) -> pa.Table:
    """The table with a note of where it is from, and which of the rows there its first one is."""
    own = {_ORIGIN: origin.encode(), _FIRST: str(first).encode()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **own})


def origin_of(X: Any) -> tuple[str, int]:
    """Where rows are from, "X" where that is not known, and the number of the first, from 0.

    >>> origin_of(marked(pa.table({"a": [1]}), "new.csv", 500))
    ('new.csv', 500)
    """
    if isinstance(X, Table):
        return X.origin, X.first
    noted = (X.schema.metadata or {}) if isinstance(X, pa.Table) else {}
    return noted.get(_ORIGIN, b"X").decode(), int(noted.get(_FIRST, b"0"))


def without_views(table: pa.Table) -> pa.Table:
    """Columns of text views as plain text: not every function of Arrow takes views."""
    for j, field in enumerate(table.schema):
        kind = plain_type(field.type)
        if kind != field.type:
            table = table.set_column(j, field.with_type(kind), table.column(j).cast(kind))
    return table


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Text and bytes in place of views of them."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def without_na(X: Any) -> Any:
    """Objects with NaN where they held pandas' NA, which is no number to NumPy; else X as it is.

    >>> import pandas as pd
    >>> without_na(np.array([[1, pd.NA]], dtype=object)).tolist()
    [[1, nan]]
    """
    pandas = sys.modules.get("pandas")
    if pandas is None:  # so nobody has one
        return X
    if isinstance(X, np.ndarray) and X.dtype == object:
        gone = np.frompyfunc(lambda value: value is pandas.NA, 1, 1)(X).astype(bool)
        return np.where(gone, np.nan, X) if gone.any() else X
    if isinstance(X, pandas.DataFrame):
        whole = X
        for j, kind in enumerate(X.dtypes):
            if not isinstance(kind, np.dtype) or kind.kind != "O":
                continue
            given = whole.iloc[:, j].to_numpy()
            plain = without_na(given)
            if plain is not given:
                X = X.copy(deep=False) if X is whole else X
                X.isetitem(j, pandas.Series(plain, X.index, dtype=object))
    return X


def without_words(X: Any, words: Sequence[str]) -> Any:
    """A frame without these words, and the numbers that they spell, which are missing; anything
    that is no frame as it is.

    >>> import pandas as pd
    >>> without_words(pd.DataFrame({"a": [1, -9], "b": ["x", "-9"]}), ["-9"]).isna().sum().tolist()
    [1, 1]
    """
    form = flavour(X)
    if form == "array" or isinstance(X, Table):
        return X
    if form == "pandas":
        return pandas_without(X, words)
    table = arrow(X)
    for j, column in enumerate(table.columns):
        plain = without(column, words)
        if plain is column:
            continue
        if form == "arrow":
            X = X.set_column(j, X.schema.field(j).name, plain)
        else:
            import polars  # type: ignore[import-not-found, unused-ignore]

            there = polars.Series(plain.is_valid().to_pylist())
            X = X.with_columns(polars.when(there).then(polars.col(X.columns[j])))
    return X


def is_mixed(X: Any) -> bool:
    """Whether a frame has a column that is not of numbers: text, Booleans, categories, dates.

    Text that spells a number is a number to scikit-learn, and so it is here.
    """
    if isinstance(X, Table):
        return X.frame is not None and _other(X.frame)
    if isinstance(X, pa.Table):
        return _other(X)
    if hasattr(X, "to_arrow"):
        return _other(of_polars(X))
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return False
    refuse_faulty(X)
    return any(_pandas_other(X.iloc[:, j]) for j in range(X.shape[1]))


def truths(X: Any) -> list[str]:
    """Names of the columns of a frame that hold truth values; none of what is no frame."""
    if isinstance(X, Table):
        return truths(X.frame) if X.frame is not None else []
    if isinstance(X, pa.Table):
        return [field.name for field in X.schema if pa.types.is_boolean(field.type)]
    if hasattr(X, "to_arrow"):
        return [name for name, kind in X.schema.items() if str(kind) == "Boolean"]
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return []
    return [
        str(name)
        for name, kind in zip(X.columns, X.dtypes, strict=True)
        if str(kind) in ("bool", "boolean", "bool[pyarrow]")
    ]


def _other(table: pa.Table) -> bool:
    return any(is_other(field.type) for field in table.schema)


def is_other(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type is not of numbers alone; truth values are others."""
    return pa.types.is_boolean(kind) or not is_numeric(kind)


def _pandas_other(column: Any) -> bool:
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iufc":
        return False
    if kind in "bmM" or str(column.dtype) in ("category", "boolean"):
        return True
    return any(is_no_number(value) for value in column)


def numbers(column: Any) -> np.ndarray:
    """A column of numbers or Booleans as float64 (N,), NaN for null."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    cast = column.cast(pa.float64(), safe=False)
    if isinstance(cast, pa.ChunkedArray):
        cast = cast.combine_chunks()
    found: np.ndarray = cast.to_numpy(zero_copy_only=False)
    return found.copy()


def is_words(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type is text, with a dictionary or without."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_text(inner) and not pa.types.is_binary(inner)
