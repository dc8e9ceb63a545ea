"""Arrow tables in the form that was given, with pandas' types by their names."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.columns.frames import is_other, is_words, numbers
from isthmus.data.matrix import is_text
from isthmus.errors import InvalidParameterError

_OF_ARROW = "[pyarrow]"
_WORDS = (pa.string(), pa.large_string())
_SPARSE = re.compile(r"Sparse\[(?:(u?int\d+), 0|(float\d+), nan|(bool), False)\]")
"""pandas reads back no other filling from a name."""


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
        if all(pa.types.is_boolean(kind) or not is_other(kind) for kind in kinds):
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
        inner = dtype.removeprefix("Sparse[")
        whole = inner.startswith(("int", "uint", "bool")) and dtype != "boolean"
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
    sparse = _SPARSE.fullmatch(dtype)
    if sparse:
        plain = types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)
        return bool(plain) and _suits(sparse[sparse.lastindex or 1], kind)
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
    named = dtype.lower().startswith(("int", "uint", "float", "bool", "str", "sparse"))
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
