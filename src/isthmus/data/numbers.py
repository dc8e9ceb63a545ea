"""Whether something is rows of numbers: a shape, entries, and none of them beyond range.

What is wrong is told before NumPy or scikit-learn stumble over it, which name neither the place nor
a remedy. scikit-learn's own checks of estimators know a refusal by some of its words; where they
are needed they stand in brackets.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data.tables import shown, stand_in
from isthmus.errors import DataError, EntryError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 8192
LARGEST = 1e150
"""Squares of larger values, and sums of them over rows and features, leave the range of float64."""


def refuse_shape(X: Any, name: str) -> None:
    """Refuse what has not two axes, or no column.

    Args:
        X: an array, a sparse matrix or a frame; anything else passes.
        name: by which errors speak of it.

    >>> refuse_shape(np.ones(3), "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: X of shape (3,) must be a table, (rows, columns). Reshape your data:
    X.reshape(1, -1) makes one row of it, X.reshape(-1, 1) one column.
    """
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple):
        return
    if len(shape) != 2:
        raise DataError(
            f"{name} of shape {shape}",
            "must be a table, (rows, columns)",
            "Check how it was made: it is empty."
            if 0 in shape
            else f"Reshape your data: {name}.reshape(1, -1) makes one row of it, "
            f"{name}.reshape(-1, 1) one column."
            if len(shape) < 2
            else "Give one row for each sample.",
        )
    if shape[1] == 0:
        raise DataError(
            f"{name} of shape {shape}",
            f"has no column (0 feature(s) (shape={shape}) while a minimum of 1 is required)",
            "Check how it was made.",
        )


def refuse_few(n: int, least: int, name: str) -> None:
    """Refuse fewer rows than are needed.

    >>> refuse_few(1, 2, "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: X must have at least 2 rows; it has 1 (n_samples=1). Give more rows.
    """
    if n < least:
        known = f" (n_samples={n})" if name == "X" else ""
        raise DataError(
            name,
            f"must have at least {least} row{'s' * (least != 1)}; it has {n}{known}",
            "Give more rows." if n else "Check how it was made: nothing is left of it.",
        )


def refuse_entries(X: Any, name: str, also: str = "") -> None:
    """Refuse an array whose entries are not numbers, nor objects that can be made numbers.

    Args:
        X: an array; anything else passes.
        name: by which errors speak of it.
        also: a remedy for words, after the others.

    >>> refuse_entries(np.array([["1", "a"]]), "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: X with '1' in row 1, column 'x0' must hold numbers; it is an array of
    text (<U1). Give X.astype(float), where all of it is numbers.
    """
    if not isinstance(X, np.ndarray) or X.dtype.kind in "biufc":
        return
    kind = X.dtype.kind
    if kind == "O":
        try:
            X.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            odd = _first_odd(X)
        else:
            return
        if odd is None:
            return
        place, value = odd
        given = f"{name} with {shown(value)} in {place}"
        if isinstance(value, str | bytes):
            raise DataError(given, "must hold numbers", f"Encode it as numbers. {also}".strip())
        raise EntryError(
            given,
            f"must hold numbers, and no {type(value).__name__} (an argument must be a string or a "
            "real number)",
            "Replace it, or leave it empty (NaN) to mark it as missing.",
        )
    what = {"M": "dates", "m": "durations", "U": "text", "S": "text", "T": "text"}.get(kind)
    first = "" if not X.size else f" with {shown(X.flat[0].item())} in {_place(X, 0)}"
    raise DataError(
        f"{name}{first}",
        f"must hold numbers; it is an array of {what or 'raw bytes'} ({X.dtype})",
        f"Give {name}.astype(float), where all of it is numbers. {also}".strip(),
    )


def refuse_beyond(
    values: Any, name: str, names: Sequence[str] | None = None, first: int = 0
) -> None:
    """Refuse an entry that is infinite, or whose square would be, by its place.

    Args:
        values: (N, D) numbers, NaN for what is missing.
        name: by which errors speak of it.
        names: of the columns.
        first: how many rows there are before the first of these.

    >>> refuse_beyond(np.array([[1.0, np.inf]]), "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: inf in row 1, column 'x1' of X must be finite. Replace it, or leave it
    empty (NaN) to mark it as missing.
    >>> refuse_beyond(np.array([[1.0, 1e200]]), "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: 1e+200 in row 1, column 'x1' of X is out of range: squares of values
    above 1e+150 are no numbers. Replace it, or leave it empty (NaN) to mark it as missing. Where
    the whole column is so large, fit to it in a larger unit.
    """
    if values.dtype.kind != "f":
        return
    for start in range(0, len(values), _CHUNK):  # a mask of all rows would take a quarter of them
        part = values[start : start + _CHUNK]
        with np.errstate(over="ignore", invalid="ignore"):
            if float(np.vdot(part, part)) <= LARGEST**2:  # one pass tells where all is well
                continue
        beyond = np.abs(part) > LARGEST if part.dtype == np.float64 else np.isinf(part)
        if not beyond.any():
            continue
        i, j = (int(at) for at in np.unravel_index(beyond.argmax(), beyond.shape))
        column = stand_in(j) if names is None else names[j]
        place = f"row {first + start + i + 1}, column {column!r} of {name}"
        raise DataError(f"{part[i, j]:g} in {place}", *beyond_range(part[i, j]))


def beyond_range(value: float) -> tuple[str, str]:
    """The rule that an infinite entry breaks, or one above :data:`LARGEST`, and the remedy."""
    remedy = "Replace it, or leave it empty (NaN) to mark it as missing."
    if np.isinf(value):
        return "must be finite", remedy
    return (
        f"is out of range: squares of values above {LARGEST:g} are no numbers",
        f"{remedy} Where the whole column is so large, fit to it in a larger unit.",
    )


@contextmanager
def within_range(name: str) -> Iterator[None]:
    """Within it, whole numbers that no float can be are refused."""
    try:
        yield
    except OverflowError as error:
        raise DataError(
            name,
            "must hold numbers of at most 1.8e308 in size; a whole number is larger",
            "Replace it, or give its logarithm.",
        ) from error


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


def _first_odd(X: np.ndarray) -> tuple[str, Any] | None:
    for i, value in enumerate(X.flat):
        if not isinstance(value, bool | np.bool_) and is_no_number(value):
            return _place(X, i), value
    return None


def _place(X: np.ndarray, i: int) -> str:
    if X.ndim != 2:
        return f"position {i + 1}"
    row, column = divmod(i, X.shape[1])
    return f"row {row + 1}, column {stand_in(column)!r}"
