"""Frames of other libraries to Arrow tables and back, with the types that they had.

Nothing but Arrow is imported here unless a frame of pandas or polars was given: what comes in is
told by what it can do (``to_arrow``, ``__dataframe__``), not by its class.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from isthmus.data.tables import Table, stand_in
from isthmus.errors import DataError, InvalidParameterError

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
        DataError: a column mixes types, or X is no table.
    """
    if isinstance(X, Table):
        X = X.frame if X.frame is not None else _named(X.values, X.names)
    if isinstance(X, pa.Table):
        return X
    if hasattr(X, "to_arrow"):
        found: pa.Table = X.to_arrow()
        return found
    if hasattr(X, "dtypes"):
        try:
            names = [str(name) for name in X.columns]
            return pa.Table.from_pandas(X.set_axis(names, axis=1), preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                "X",
                f"must have columns of one type each ({_first_line(error)})",
                "Convert the column, with astype(str) for example.",
            ) from error
    values = np.asarray(X)
    if values.ndim != 2:
        raise DataError(f"X of shape {values.shape}", "must be a table, (rows, columns)")
    return _named(values, None)


def _named(values: np.ndarray, names: tuple[str, ...] | None) -> pa.Table:
    labels = list(names) if names is not None else [stand_in(j) for j in range(values.shape[1])]
    try:
        arrays = [pa.array(column, from_pandas=True) for column in np.asarray(values).T]
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            "X", f"must have columns of one type each ({_first_line(error)})"
        ) from error
    return pa.Table.from_arrays(arrays, names=labels)


def is_mixed(X: Any) -> bool:
    """Whether a frame has a column that is not of numbers: text, Booleans, categories, dates.

    Text that spells a number is a number to scikit-learn, and so it is here.
    """
    if isinstance(X, Table):
        return X.frame is not None and _other(X.frame)
    if isinstance(X, pa.Table):
        return _other(X)
    if hasattr(X, "to_arrow"):
        return _other(X.to_arrow())
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return False
    return any(_pandas_other(X.iloc[:, j]) for j in range(X.shape[1]))


def _other(table: pa.Table) -> bool:
    types = pa.types
    return any(
        not (
            types.is_integer(f.type)
            or types.is_floating(f.type)
            or types.is_decimal(f.type)
            or types.is_null(f.type)
        )
        for f in table.schema
    )


def _pandas_other(column: Any) -> bool:
    kind = getattr(column.dtype, "kind", "O")
    if kind in "iufc":
        return False
    if kind in "bM" or str(column.dtype) in ("category", "boolean"):
        return True
    return any(isinstance(v, str | bool) and not _spells_number(v) for v in column)


def _spells_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return not isinstance(value, bool)


def pandas_types(schema: pa.Schema) -> dict[str, str]:
    """pandas' names of the columns' types, where the table was a DataFrame."""
    columns = (schema.pandas_metadata or {}).get("columns", [])
    return {str(c["field_name"]): str(c["numpy_type"]) for c in columns if c.get("field_name")}


def of(table: pa.Table, flavour: str, dtypes: dict[str, str]) -> Any:
    """An Arrow table in another form.

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
        columns = [numbers(column) for column in table.columns]
        return np.stack(columns, axis=1)
    if flavour != "pandas":
        raise InvalidParameterError(
            f"frame={flavour!r}", "must be 'pandas', 'polars', 'arrow' or 'array'"
        )
    frame = table.to_pandas()
    for name, dtype in dtypes.items():
        column = frame[name]
        if dtype == "object" and column.dtype.kind == "b":
            frame[name] = column.astype(object)
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


def _first_line(error: Exception) -> str:
    return [*str(error).splitlines(), "mixed types"][0]
