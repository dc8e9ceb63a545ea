"""From Arrow columns to a matrix: numbers pass, everything else is refused by name.

The matrix is float32 where every column fits it without loss (bool, integers of 8 or 16 bits,
half and single precision), else float64: NumPy's own promotion with float32. Integers beyond 2**53
are rounded to the nearest float64.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.tables import drop_advice, spellings
from isthmus.errors import DataError

# Bytes of a matrix that are written column by column, and the fewest rows worth a pass over them.
_CACHED = 1 << 20
_WHOLE = re.compile(r"[+-]?[0-9]+")
_FEWEST = 1024
_LOOKED_AT = 10_000
"""Entries of text among which one is looked for that is no number."""
_COMPARED = {pa.float16(): pa.float32()}
"""Arrow's types of numbers that it does not look up, and others that hold them."""


def is_numeric(kind: Any) -> bool:
    """Whether a column of this Arrow type is made of numbers (or of nothing at all)."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def holds_numbers(kind: Any) -> bool:
    """The same, and of categories that are numbers, which those that take numbers take as such."""
    return is_numeric(kind.value_type if pa.types.is_dictionary(kind) else kind)


def plain_numbers(column: Any) -> Any:
    """A column of numbers without its dictionary; any other as it is."""
    kind = column.type
    coded = pa.types.is_dictionary(kind) and is_numeric(kind.value_type)
    return column.cast(kind.value_type) if coded else column


def refuse_others(
    names: Sequence[str], columns: Sequence[Any], origin: str, also: str = ""
) -> None:
    """Refuse columns that are not numbers, all of them in one sentence, each with an example.

    Args:
        names: of the columns.
        columns: of Arrow.
        origin: what they were read from.
        also: a remedy to name before the others.

    Raises:
        DataError: at least one column holds text, dates, lists, ...
    """
    others = [(n, c) for n, c in zip(names, columns, strict=True) if not holds_numbers(c.type)]
    if not others:
        return
    described = [f"{name!r} ({_example(column)})" for name, column in others[:5]]
    if len(others) > 5:
        described.append(f"{len(others) - 5} more")
    raise DataError(
        f"{origin}",
        f"must hold numbers only; not so column{'s' * (len(others) > 1)} {', '.join(described)}",
        f"{also}{drop_advice([name for name, _ in others])} Or encode it as numbers.",
    )


def refuse_complex(X: Any, origin: str) -> None:
    """Refuse complex numbers, which Arrow has not, in an array or in a column of pandas.

    Raises:
        DataError: there are some; in scikit-learn's words, by which its checks know them.

    >>> refuse_complex(np.ones((2, 2), complex), "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: X must hold real numbers; it holds complex128 (Complex data not
    supported). Give real and imaginary parts as columns of their own.
    """
    kinds = [getattr(X, "dtype", None)]
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        kinds = list(X.dtypes)
    at = next((j for j, kind in enumerate(kinds) if getattr(kind, "kind", "") == "c"), None)
    if at is None:
        return
    raise DataError(
        f"column {str(X.columns[at])!r} of {origin}" if hasattr(X, "columns") else origin,
        f"must hold real numbers; it holds {kinds[at]} (Complex data not supported)",
        "Give real and imaginary parts as columns of their own.",
    )


def matrix(columns: Sequence[Any]) -> np.ndarray:
    """Numeric Arrow columns, each (N,), as one array (N, D); null becomes NaN."""
    columns = [plain_numbers(column) for column in columns]
    n = len(columns[0]) if columns else 0
    dtype = np.result_type(np.float32, *(numpy_type(column.type) for column in columns))
    values = np.empty((n, len(columns)), dtype)
    kind = pa.from_numpy_dtype(dtype)
    arrays = [pc.cast(column, kind, safe=False).to_numpy() for column in columns]
    # a few rows of all columns at a time: they stay in the cache until the last column is written
    height = max(_FEWEST, _CACHED // max(1, values.itemsize * len(columns)))
    for start in range(0, n, height):
        some = slice(start, start + height)
        for j, array in enumerate(arrays):
            values[some, j] = array[some]
    return values


def counted(columns: Sequence[Any]) -> np.ndarray:
    """Columns of any kind as :func:`matrix` makes them, 0 for what is there and no number."""
    return matrix(
        [
            column if holds_numbers(column.type) else pc.if_else(pc.is_null(column), None, 0.0)
            for column in columns
        ]
    )


def numpy_type(kind: Any) -> np.dtype[Any]:
    """NumPy's type for a numeric column of this Arrow type without missing entries."""
    if pa.types.is_null(kind):
        return np.dtype(np.float32)
    if pa.types.is_decimal(kind):
        return np.dtype(np.float64)
    dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    return dtype


def _example(column: Any) -> str:
    values = column.drop_null()
    if pa.types.is_dictionary(column.type):
        values = values.cast(column.type.value_type)
    kind = "text" if is_text(values.type) else str(values.type)
    if not len(values):
        return f"{kind}, no value"
    try:
        first = values.slice(0, _LOOKED_AT).to_pylist() if is_text(values.type) else ()
        odd = (value for value in first if not _spells_number(value))
        example = next(odd, values[0].as_py())  # most of a column of numbers is innocent
    except (ArithmeticError, ValueError):  # a date beyond Python's, say
        return kind
    if isinstance(example, bytes):
        example = example.decode("latin-1")
    shown = repr(example) if isinstance(example, str) else str(example)
    return f"{kind}, such as {shown if len(shown) <= 40 else shown[:37] + '...'}"


def _spells_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not re.match(r"\s*0[0-9]", str(value))  # a code


def is_text(kind: Any) -> bool:
    """Whether a column of this Arrow type is made of words, or of bytes."""
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
    )


def without(column: Any, words: Sequence[str]) -> Any:
    """The column of Arrow with null for these words, and for the numbers that they spell.

    Text, with a dictionary or without, and numbers; any other column is given back as it is.

    >>> [without(pa.array(each), ["NA", "-9"]).null_count for each in (["a", "NA"], [1.5, -9.0])]
    [1, 1]
    """
    kind = column.type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not words:
        return column
    if is_text(inner) and not pa.types.is_binary(inner):
        plain = column if inner is kind else column.cast(inner)
        tokens = [blank + word for word in spellings(words) for blank in ("", " ")]  # as in CSV
        gone = pc.is_in(plain.cast(pa.string()), pa.array(tokens, pa.string()))
    elif is_numeric(inner) and not pa.types.is_null(inner) and not pa.types.is_boolean(inner):
        comparable = _COMPARED.get(inner, pa.float64() if pa.types.is_decimal(inner) else inner)
        gone = pc.is_in(column.cast(comparable), _spelled(words, comparable))
    else:
        return column
    return pc.if_else(gone, pa.scalar(None, kind), column) if pc.any(gone).as_py() else column


def numbers_among(words: Sequence[str]) -> list[float]:
    """The numbers that words spell.

    >>> numbers_among(["NA", "-9", "1.5"])
    [-9.0, 1.5]
    """
    found = []
    for word in words:
        with suppress(ValueError):
            found.append(float(word))
    return [number for number in found if np.isfinite(number)]


def _spelled(words: Sequence[str], kind: Any) -> Any:
    """The numbers of this Arrow type, whole ones or floats, among words."""
    numbers = []
    for word in words:
        with suppress(ValueError, OverflowError, pa.ArrowInvalid):  # none, or none of the type
            if pa.types.is_integer(kind) and _WHOLE.fullmatch(word):
                numbers.append(pa.scalar(int(word), kind))  # float64 has not every whole number
                continue
            exact = pa.scalar(float(word), pa.float64())
            numbers.append(exact.cast(kind, safe=pa.types.is_integer(kind)))
    return pa.array(numbers, kind)
