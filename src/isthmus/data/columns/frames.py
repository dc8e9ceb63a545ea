"""Frames of other libraries to Arrow tables and back, with the types that they had.

Nothing but Arrow is imported here unless a frame of pandas or polars was given: what comes in is
told by what it can do (``to_arrow``, ``__dataframe__``), not by its class.
"""

from __future__ import annotations

import re
import sys
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from isthmus.data.columns.converted import first_line, of_pandas, of_polars
from isthmus.data.matrix import is_numeric, is_text, refuse_complex, without
from isthmus.data.tables import Table, refuse_duplicates, stand_in
from isthmus.errors import DataError, InvalidParameterError, IsthmusError, by_flag, by_frame

_OF_ARROW = "[pyarrow]"
_WORDS = (pa.string(), pa.large_string())
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
        return marked(without_views(frame), X.origin)
    if isinstance(X, pa.Table):
        return without_views(X)
    if hasattr(X, "to_arrow"):
        return without_views(of_polars(X))
    if hasattr(X, "dtypes"):
        return without_views(of_pandas(X))
    values = np.asarray(X)
    if values.ndim != 2:
        raise DataError(f"X of shape {values.shape}", "must be a table, (rows, columns)")
    return _named(values, None)


def _named(values: np.ndarray, names: tuple[str, ...] | None) -> pa.Table:
    labels = list(names) if names is not None else [stand_in(j) for j in range(values.shape[1])]
    try:
        arrays = [pa.array(column, from_pandas=True) for column in np.asarray(values).T]
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError("X", f"must have columns of one type each ({first_line(error)})") from error
    return pa.Table.from_arrays(arrays, names=labels)


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
        return X.origin, 0
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
    table = arrow(X)
    for j, column in enumerate(table.columns):
        plain = without(column, words)
        if plain is column:
            continue
        if form == "arrow":
            X = X.set_column(j, X.schema.field(j).name, plain)
        elif form == "polars":
            import polars  # type: ignore[import-not-found, unused-ignore]

            there = polars.Series(plain.is_valid().to_pylist())
            X = X.with_columns(polars.when(there).then(polars.col(X.columns[j])))
        else:
            gone = plain.is_null().to_numpy()
            X = X.copy(deep=False)
            X.isetitem(j, X.iloc[:, j].mask(gone))
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
    return any(_is_other(field.type) for field in table.schema)


def _is_other(kind: pa.DataType) -> bool:
    return pa.types.is_boolean(kind) or not is_numeric(kind)


def _pandas_other(column: Any) -> bool:
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iufc":
        return False
    if kind in "bmM" or str(column.dtype) in ("category", "boolean"):
        return True
    return any(is_no_number(value) for value in column)


def is_no_number(value: Any) -> bool:
    """Whether an entry is there and neither a number nor text that spells one; Booleans are none.

    >>> import datetime
    >>> [is_no_number(value) for value in ("a", True, datetime.date(2024, 1, 5), [1], b"x")]
    [True, True, True, True, True]
    >>> [is_no_number(value) for value in ("1.5", 2, None, float("nan"))]
    [False, False, False, False]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return False
    if isinstance(value, bool | np.bool_):
        return True
    if isinstance(value, str | bytes):
        try:
            float(value)
        except ValueError:
            return True
        return False
    if isinstance(value, np.ndarray | np.generic):
        return value.ndim > 0 or value.dtype.kind not in "iufc"
    return not hasattr(value, "__float__") and not isinstance(value, complex)


def pandas_types(schema: pa.Schema) -> dict[str, str]:
    """pandas' names of the columns' types, where the table was a DataFrame."""
    columns = (schema.pandas_metadata or {}).get("columns", [])
    return {str(c["field_name"]): str(c["numpy_type"]) for c in columns if c.get("field_name")}


def of(table: pa.Table, flavour: str, dtypes: dict[str, str]) -> Any:
    """An Arrow table in another form; as an array numbers (N, D), or objects where there is text.

    Args:
        table: with the types to give back.
        flavour: one of :data:`Flavour`.
        dtypes: pandas' names of types, where the columns had one.

    Raises:
        InvalidParameterError: another form.
    """
    if flavour == "arrow":
        return table
    if flavour == "polars":
        import polars  # type: ignore[import-not-found, unused-ignore]

        return polars.from_arrow(table)
    if flavour == "array":
        kinds = [field.type for field in table.schema]
        if all(pa.types.is_boolean(kind) or not _is_other(kind) for kind in kinds):
            return np.stack([numbers(column) for column in table.columns], axis=1)
        objects = np.empty((table.num_rows, table.num_columns), object)
        for j, column in enumerate(table.columns):
            objects[:, j] = column.to_pylist()
        return objects
    if flavour != "pandas":
        raise InvalidParameterError(
            f"frame={flavour!r}", "must be 'pandas', 'polars', 'arrow' or 'array'"
        )
    frame = table.to_pandas()
    for name, dtype in dtypes.items():
        column, given = frame[name], table.column(name)
        if dtype == "object" and (pa.types.is_boolean(given.type) or is_text(given.type)):
            frame[name] = column.astype(object)
        if dtype.endswith(_OF_ARROW):
            frame[name] = _of_arrow(given, dtype, column)
            continue
        # of the other types (dates, objects, categories) Arrow's own tells all
        if not _suits(dtype, table.schema.field(name).type) or str(column.dtype) in (
            dtype,
            "category",
        ):
            continue
        whole = dtype.startswith(("int", "uint", "bool")) and dtype != "boolean"
        if whole and column.isna().any():
            continue  # NumPy has no missing whole number
        frame[name] = column.astype(dtype)
    return frame


def _of_arrow(given: pa.ChunkedArray, dtype: str, column: Any) -> Any:
    """A column of pandas that keeps Arrow's array, where that has the type of this name."""
    import pandas

    kind = {f"{kind}{_OF_ARROW}": kind for kind in (given.type, *_WORDS)}.get(dtype)
    if kind is None or (kind != given.type and not is_words(given.type)):
        return column
    return pandas.Series(pandas.arrays.ArrowExtensionArray(given.cast(kind)), column.index)


def _suits(dtype: str, kind: pa.DataType) -> bool:
    """Whether pandas' type of that name holds the values of an Arrow type as they are."""
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return dtype in ("str", "string", "string[python]", "string[pyarrow]")
    if types.is_boolean(kind):
        return dtype in ("bool", "boolean", "bool[pyarrow]")
    if not types.is_integer(kind) and not types.is_floating(kind):
        return False
    plain = np.dtype(kind.to_pandas_dtype()).name
    nullable = plain.replace("uint", "UInt") if plain[0] == "u" else plain.capitalize()
    return dtype in (plain, f"{kind}[pyarrow]") or (dtype == nullable and plain != "float16")


def refused(dtype: str, kind: pa.DataType) -> bool:
    """Whether a name says a type of numbers, Booleans or text that is another than Arrow's."""
    named = dtype.lower().startswith(("int", "uint", "float", "bool", "str"))
    return named and not _suits(dtype, kind)


def check_zone(zone: str | None, kind: pa.DataType) -> None:
    """A time zone that there is, as a name or an offset, and of a timestamp.

    Raises:
        ValueError: it is none.
    """
    if zone is None:
        return
    if not pa.types.is_timestamp(kind):
        raise ValueError("a time zone without a timestamp")
    if re.fullmatch(r"[+-]([01]\d|2[0-3]):[0-5]\d", zone):
        return
    try:
        zoneinfo.ZoneInfo(zone)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"no time zone {zone[:40]!r}") from error


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
