"""What is handed over as rows: made an array where it holds numbers, refused where it is no rows.

Frames and tables stay what they are (:mod:`isthmus.data.columns.frames`), and so does what NumPy's
own protocol turns into an array.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.arrays.wrapped import unwrapped
from isthmus.data.columns.frames import arrow, refuse_faulty, without_na
from isthmus.data.matrix import refuse_complex
from isthmus.data.numbers import (
    LARGEST,
    beyond_range,
    refuse_entries,
    refuse_few,
    refuse_shape,
    within_range,
)
from isthmus.data.objects import is_hub_dataset, is_iterable_only, is_torch_dataset
from isthmus.data.source import Source
from isthmus.data.tables import stand_in
from isthmus.errors import DataError


def refuse(X: Any, name: str = "X") -> None:
    """Refuse what holds rows but has to be opened first, or made a table, and what holds none.

    Args:
        X: of any kind.
        name: by which errors speak of it.

    Raises:
        DataError: names of files; a data set of torch or Hugging Face, or what gives rows in turn
            only; a dictionary or a structured array; None, a single number, bytes, a set,
            a class or a module; a faulty frame
            (:func:`isthmus.data.columns.frames.refuse_faulty`).
    """
    if isinstance(X, Source):
        return
    if _is_path(X) or (isinstance(X, list | tuple) and X and all(map(_is_path, X))):
        given = os.fspath(X) if _is_path(X) else [os.fspath(each) for each in X]
        raise DataError(
            f"{name}={given!r}"
            if _is_path(X)
            else f"{name} of {len(given)} names, such as {given[0]!r},",
            "must be rows, not the name of what holds them",
            f"Open it: isthmus.open_data({given!r})."
            if _is_path(X)
            else f"Open them: isthmus.open_data({name}).",
        )
    kind = f"{name} of type {type(X).__name__}"
    if not _may_hold_rows(X):
        raise DataError(
            f"{name}=None" if X is None else kind,
            "must be rows",
            "Give an array, a tensor, a DataFrame or an Arrow table of shape (rows, columns), or "
            "what isthmus.open_data makes of a file.",
        )
    if is_iterable_only(X) or _gives_in_turn(X):
        raise DataError(
            kind, "gives rows in turn only, and a fit goes through them more than once",
            "Take the rows into an array, a table or a file first.",
        )  # fmt: skip
    if is_torch_dataset(X) or is_hub_dataset(X):
        raise DataError(kind, "must be opened first", f"Open it: isthmus.open_data({name}).")
    fields = X.dtype.names if isinstance(X, np.ndarray) else None
    if (isinstance(X, Mapping) and not hasattr(X, "shape")) or fields:  # dok_array is a dict
        raise DataError(
            f"{name} with the fields {', '.join(fields)}" if fields else kind,
            "must be rows of one array, or a table",
            f"Give pandas.DataFrame({name}).",
        )
    refuse_faulty(X)


_PROTOCOLS = (
    "__len__",
    "__iter__",
    "collect",
    "shape",
    "values",
    "__array__",
    "__dataframe__",
    "__arrow_c_stream__",
)


def _may_hold_rows(X: Any) -> bool:
    """Whether it offers anything that rows are taken from."""
    if isinstance(X, type | ModuleType | bytes | bytearray | Set):
        return False
    return any(hasattr(X, name) for name in _PROTOCOLS)


def _is_path(X: Any) -> bool:
    return isinstance(X, str | os.PathLike)


def _gives_in_turn(X: Any) -> bool:
    """Whether it is an iterator, or has no length and no shape but can be gone through."""
    if hasattr(X, "__next__") or type(X).__name__ == "DataLoader":
        return True
    rows = any(hasattr(X, name) for name in ("__len__", "shape", "__array__", "__dataframe__"))
    return hasattr(X, "__iter__") and not rows


def as_array(X: Any, name: str = "X") -> Any:
    """Numbers as an array; anything else, such as a frame, as it is.

    Tensors and masked arrays are what they wrap (:mod:`isthmus.data.arrays.wrapped`). Samples
    of a list, images or series, are stacked.

    Raises:
        DataError: rows or samples of a list have different shapes, or numbers are complex.

    >>> as_array(np.ma.masked_array([[1, 2]], mask=[[False, True]]))
    array([[ 1., nan]])
    >>> as_array([np.zeros((2, 2)), np.ones((2, 2))]).shape
    (2, 2, 2)
    """
    X = pa.Table.from_batches([X]) if isinstance(X, pa.RecordBatch) else unwrapped(X, name)
    if isinstance(X, list | tuple) and X and all(hasattr(each, "__array__") for each in X):
        samples = [np.asarray(as_array(each)) for each in X]
        first = samples[0].shape
        other = next((each.shape for each in samples if each.shape != first), None)
        if other is not None:
            raise DataError(
                f"{name} with samples of shapes {first} and {other}",
                "must have samples of one shape",
                "Cut them to one length, or fill them up with NaN, which is missing.",
            )
        X = np.stack(samples)
    elif isinstance(X, Sequence):
        X = _of_list(X, name)
    refuse_complex(X, name)
    return without_na(X)


def _of_list(X: Any, name: str) -> Any:
    """An array of the rows of a list: of numbers, or of objects where they are of several kinds."""
    try:
        found = np.asarray(X)
    except ValueError:
        sizes = [len(row) if hasattr(row, "__len__") else None for row in X]
        i = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        raise DataError(
            f"{name} with rows of several lengths" if i is None else f"row {i + 1} of {name}",
            "must be as long as the others"
            if i is None
            else f"must be as long as row 1; it has {_entries(sizes[i])}, row 1 has "
            f"{_entries(sizes[0])}",
            "Cut rows to one length, or fill them up with NaN, which is missing.",
        ) from None
    except OverflowError:
        return np.array(X, object)
    return found if found.dtype.kind in "biufc" else np.array(X, object)


def _entries(n: int | None) -> str:
    return "no length" if n is None else f"{n} entr{'y' if n == 1 else 'ies'}"


def codes(Z: Any) -> np.ndarray:
    """Codes (N, K), whatever they are wrapped in, as rows are.

    Raises:
        DataError: they are no table of finite numbers, or one is beyond range.
    """
    refuse(Z, "Z")
    Z = as_array(Z, "Z")
    if hasattr(Z, "to_pandas"):
        Z = np.column_stack([np.asarray(column) for column in arrow(Z).columns])
    Z = Z.toarray() if hasattr(Z, "toarray") else np.asarray(Z)
    refuse_entries(Z, "Z")
    refuse_shape(Z, "Z")
    refuse_few(len(Z), 1, "Z")
    with within_range("Z"):
        wide = Z.dtype != np.float32
        found: np.ndarray = Z.astype(np.float64 if wide else np.float32, copy=False)
    wrong = np.argwhere(~(np.abs(found.astype(np.float64, copy=False)) <= LARGEST))
    if len(wrong):
        i, j = (int(at) for at in wrong[0])
        raise DataError(
            f"{found[i, j]:g} in row {i + 1}, column {stand_in(j)!r} of Z",
            beyond_range(found[i, j])[0]
            if np.isfinite(found[i, j])
            else "must be a finite number: a code has no missing entry",
            "Leave the row out, or mend it.",
        )
    return found
