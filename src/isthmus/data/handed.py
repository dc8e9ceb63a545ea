"""What is handed over as rows: made an array where it holds numbers, refused where it is no rows.

Frames and tables stay what they are (:mod:`isthmus.data.columns.frames`), and so does what NumPy's
own protocol turns into an array.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from isthmus.data.arrays.wrapped import unwrapped
from isthmus.data.columns.frames import refuse_faulty, without_na
from isthmus.data.matrix import refuse_complex
from isthmus.data.objects import is_hub_dataset, is_iterable_only, is_torch_dataset
from isthmus.data.source import Source
from isthmus.errors import DataError


def refuse(X: Any) -> None:
    """Refuse what holds rows but has to be opened first, or made a table.

    Raises:
        DataError: names of files; a data set of torch or Hugging Face, or what gives rows in turn
            only; a dictionary or a structured array; a faulty frame
            (:func:`isthmus.data.columns.frames.refuse_faulty`).
    """
    if isinstance(X, Source):
        return
    if _is_path(X) or (isinstance(X, list | tuple) and X and all(map(_is_path, X))):
        given = os.fspath(X) if _is_path(X) else [os.fspath(each) for each in X]
        raise DataError(
            f"X={given!r}" if _is_path(X) else f"X of {len(given)} names, such as {given[0]!r},",
            "must be rows, not the name of what holds them",
            f"Open it: isthmus.open_data({given!r})."
            if _is_path(X)
            else "Open them: isthmus.open_data(X).",
        )
    kind = f"X of type {type(X).__name__}"
    if is_iterable_only(X) or _gives_in_turn(X):
        raise DataError(
            kind, "gives rows in turn only, and a fit goes through them more than once",
            "Take the rows into an array, a table or a file first.",
        )  # fmt: skip
    if is_torch_dataset(X) or is_hub_dataset(X):
        raise DataError(kind, "must be opened first", "Open it: isthmus.open_data(X).")
    fields = X.dtype.names if isinstance(X, np.ndarray) else None
    if (isinstance(X, Mapping) and not hasattr(X, "shape")) or fields:  # dok_array is a dict
        raise DataError(
            f"X with the fields {', '.join(fields)}" if fields else kind,
            "must be rows of one array, or a table",
            "Give pandas.DataFrame(X).",
        )
    refuse_faulty(X)


def _is_path(X: Any) -> bool:
    return isinstance(X, str | os.PathLike)


def _gives_in_turn(X: Any) -> bool:
    """Whether it is an iterator, or has no length and no shape but can be gone through."""
    if hasattr(X, "__next__") or type(X).__name__ == "DataLoader":
        return True
    rows = any(hasattr(X, name) for name in ("__len__", "shape", "__array__", "__dataframe__"))
    return hasattr(X, "__iter__") and not rows


def as_array(X: Any) -> Any:
    """Numbers as an array; anything else, such as a frame, as it is.

    Tensors and masked arrays are what they wrap (:mod:`isthmus.data.arrays.wrapped`). Samples
    of a list, images or series, are stacked.

    Raises:
        DataError: samples of a list have different shapes, or numbers are complex.

    >>> as_array(np.ma.masked_array([[1, 2]], mask=[[False, True]]))
    array([[ 1., nan]])
    >>> as_array([np.zeros((2, 2)), np.ones((2, 2))]).shape
    (2, 2, 2)
    """
    X = pa.Table.from_batches([X]) if isinstance(X, pa.RecordBatch) else unwrapped(X, "X")
    if isinstance(X, list | tuple) and X and all(hasattr(each, "__array__") for each in X):
        samples = [np.asarray(as_array(each)) for each in X]
        first = samples[0].shape
        other = next((each.shape for each in samples if each.shape != first), None)
        if other is not None:
            raise DataError(
                f"X with samples of shapes {first} and {other}",
                "must have samples of one shape",
                "Cut them to one length, or fill them up with NaN, which is missing.",
            )
        X = np.stack(samples)
    elif isinstance(X, list | tuple):
        with suppress(ValueError):  # rows of several lengths, which are told of later
            found = np.asarray(X)
            X = found if found.dtype.kind in "biufc" else X
    refuse_complex(X, "X")
    return without_na(X)
