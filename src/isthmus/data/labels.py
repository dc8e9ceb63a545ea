"""One column of a table by its name, words or numbers: labels are no features.

Where it is found: the column of that name in a .csv, .tsv or .parquet file; the array of that name,
with one dimension, in an .npz file; column x3 of an .npy file; "target" of a bundled table, which
is scikit-learn's.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from isthmus.data import bundled
from isthmus.data.files.packed import TEXT, ending_of
from isthmus.data.matrix import plain_numbers
from isthmus.data.readers import read
from isthmus.data.tables import quoted, stand_in
from isthmus.data.text.blocks import table_of_text
from isthmus.data.text.entries import typed
from isthmus.data.text.parsing import TextFile
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError

Array = NDArray[Any]
TARGET = "target"


def column(data: str | os.PathLike[str], name: str, words: Words = AS_USUAL) -> Array:
    """The values of one column.

    Args:
        data: path of a file, or a name of :data:`isthmus.data.bundled.BUNDLED`.
        name: of the column; x0, x1, … where columns have no names.
        words: which may state the encoding of separated text.

    Returns:
        (N,), numbers, or words with "" where one is missing.

    Raises:
        DataError: there is no such file, or no such column.

    >>> column("wine", "target")[:3].tolist()
    [0, 0, 0]
    """
    origin = os.fspath(data)
    if origin in bundled.BUNDLED:
        if name == TARGET:
            return bundled.target(origin)
        return _of_table(origin, name)
    ending = ending_of(Path(origin))
    if not Path(origin).is_file() or ending == ".npy":
        return _of_table(origin, name)
    try:
        if ending in TEXT:
            return _of_csv(Path(origin), origin, name, words)
        if ending == ".parquet":
            return _of_parquet(origin, name)
        if ending == ".npz":
            return _of_npz(origin, name)
    except (OSError, pa.ArrowException, ValueError, LookupError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{origin}", f"cannot be read ({error})", "Check how it was made."
        ) from error
    return _of_table(origin, name)


def holds(data: str | os.PathLike[str], name: str, words: Words = AS_USUAL) -> bool:
    """Whether :func:`column` finds a column of that name.

    Raises:
        DataError: there is no such file, or it cannot be read.

    >>> holds("wine", "target"), holds("wine", "colour")
    (True, False)
    """
    try:
        column(data, name, words)
    except DataError as error:
        if not is_unknown(error, name):
            raise
        return False
    return True


def is_unknown(error: DataError, name: str) -> bool:
    """Whether :func:`column` raised it because there is no column of that name."""
    return error.given == _given(name)


def is_column(data: str | os.PathLike[str], name: str) -> bool:
    """Whether the name is a column of the rows themselves, which then must not be a feature.

    Not so for the target of a bundled table and for an array beside the rows in an .npz file.
    """
    origin = os.fspath(data)
    return not (origin in bundled.BUNDLED and name == TARGET) and not origin.endswith(".npz")


def _of_table(origin: str, name: str) -> Array:
    table = read(origin, allow_empty=True)
    names = table.names or [stand_in(j) for j in range(table.values.shape[1])]
    also = [*names, TARGET] if origin in bundled.BUNDLED else list(names)
    if name not in names:
        raise _no_column(name, also, origin)
    return table.values[:, list(names).index(name)]


def _of_csv(path: Path, origin: str, name: str, words: Words) -> Array:
    words = Words(encoding=words.encoding, remembered=words.remembered)
    file = TextFile.of(path, origin, words)
    if name not in file.labels:
        raise _no_column(name, file.labels, origin)
    others = [label for label in file.labels if label != name]
    found = table_of_text(file, others, replace(words, text=(name,)))[0].column(0)
    return values_of(typed(found, file.layout.decimal))


def _of_parquet(origin: str, name: str) -> Array:
    with parquet.ParquetFile(origin) as file:
        if name not in file.schema_arrow.names:
            raise _no_column(name, file.schema_arrow.names, origin)
        return values_of(file.read(columns=[name]).column(name))


def _of_npz(origin: str, name: str) -> Array:
    with np.load(origin, allow_pickle=False) as archive:
        if name not in archive.files:
            raise _no_column(name, archive.files, origin)
        values = np.asarray(archive[name])
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"array {name!r} of {origin}", f"must have one dimension, not {values.ndim}"
        )
    return values


def values_of(found: Any) -> Array:
    """A column of Arrow as an array: numbers, or words with "" where one is missing."""
    found = plain_numbers(found)
    kind = found.type
    if pa.types.is_boolean(kind):
        found, kind = found.cast(pa.int8()), pa.int8()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values: Array = found.to_numpy()
        return values
    return np.array(["" if w is None else str(w).strip() for w in found.to_pylist()])


def _no_column(name: str, names: Any, origin: str) -> DataError:
    return DataError(
        _given(name), f"is not in {origin}", f"It has {quoted(list(names), limit=20)}."
    )


def _given(name: str) -> str:
    return f"column {name!r}"
