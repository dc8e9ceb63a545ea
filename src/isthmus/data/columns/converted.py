"""DataFrames of pandas and polars as Arrow tables, and what Arrow has in place of other types."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.matrix import numbers_among, refuse_complex, without
from isthmus.data.tables import drop_advice
from isthmus.errors import DataError


def of_pandas(X: Any, origin: str = "X") -> pa.Table:
    """A DataFrame of pandas as an Arrow table, without its index.

    Raises:
        DataError: a column mixes types, or is of one that Arrow does not know.
    """
    refuse_complex(X, origin)
    try:
        names = [str(name) for name in X.columns]
        plain = _plain(X.set_axis(names, axis=1))
        return _with_names(pa.Table.from_pandas(plain, preserve_index=False), X)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        said = " ".join(map(str, error.args))
        at = re.search(r"Conversion failed for column (.*) with type", said)
        raise DataError(
            f"column {at[1]!r} of {origin}" if at else origin,
            f"must hold values of one type that Arrow has ({first_line(error)})"
            if at
            else f"must have columns of one type each ({first_line(error)})",
            f"{drop_advice([at[1]])} Or convert it, with astype(float) or astype(str)."
            if at
            else "Convert the column, with astype(float) or astype(str).",
        ) from error


def _with_names(table: pa.Table, X: Any) -> pa.Table:
    """The table with pandas' names of those types that Arrow's note of them does not tell.

    These are text that is stored as objects of Python, and sparse columns.
    """
    noted = table.schema.pandas_metadata
    for column, kind in zip(noted["columns"], X.dtypes, strict=True):
        name = str(kind)
        if name == "string" and getattr(kind, "storage", "") == "python":
            column["numpy_type"] = "string[python]"
        elif name.startswith("Sparse["):
            column["numpy_type"] = name
    metadata = {**table.schema.metadata, b"pandas": json.dumps(noted).encode()}
    return table.replace_schema_metadata(metadata)


def pandas_without(X: Any, words: Sequence[str]) -> Any:
    """A DataFrame of pandas without these words, and the numbers that they spell: column by column,
    for Arrow need not have the types of all of them."""
    whole = X
    for j in range(whole.shape[1]):
        column = whole.iloc[:, j]
        try:
            given = pa.array(column, from_pandas=True)
            plain = without(given, words)
            gone = None if plain is given else plain.is_null().to_numpy(zero_copy_only=False)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            gone = column.isin([*words, *numbers_among(words)]).to_numpy()
        if gone is not None and gone.any():
            X = X.copy(deep=False) if X is whole else X
            X.isetitem(j, column.mask(gone))
    return X


def _plain(X: Any) -> Any:
    """A DataFrame of pandas whose sparse columns are dense, and wide floats float64, for Arrow."""
    whole = X
    for j, kind in enumerate(X.dtypes):
        sparse = str(kind).startswith("Sparse[")
        if sparse or kind == np.longdouble != np.float64:
            X = X.copy(deep=False) if X is whole else X
            column = X.iloc[:, j]
            X.isetitem(j, column.sparse.to_dense() if sparse else column.astype(np.float64))
    return X


def of_polars(X: Any) -> pa.Table:
    """A DataFrame of polars as an Arrow table.

    Raises:
        DataError: a column is of a type that Arrow does not know.
    """
    try:
        return X.to_arrow()
    except pa.ArrowException as error:  # 128 bits, say
        raise DataError(
            "X",
            f"must have columns of types that Arrow has ({first_line(error)})",
            "Convert the column, with cast(polars.Float64) for example.",
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return [*str(error.args[0] if error.args else "").splitlines(), "mixed types"][0]
