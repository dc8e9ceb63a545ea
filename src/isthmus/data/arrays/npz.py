"""Arrays of NumPy's files: .npy (one) and .npz (a zip of several), never with pickles inside.

The header of an array says its type and shape before any of it is read. An array of objects is
refused there, and so is a file too short for the shape that it declares, before memory is asked
for. Format: numpy.lib.format, versions 1 to 3.
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from isthmus.data.files.paths import damaged
from isthmus.data.tables import quoted
from isthmus.errors import DataError

PREFERRED = ("X", "x", "x_train")
_TEXT = (
    "Numbers written as text become numbers by np.save(path, X.astype(float)); words must be "
    "encoded first."
)
_REAL = {
    "U": _TEXT,
    "S": _TEXT,
    "c": "Save real and imaginary parts side by side: np.save(path, np.hstack([X.real, X.imag])).",
    "M": "Save numbers, such as days: np.save(path, X.astype('datetime64[D]').astype(float)).",
    "m": "Save numbers, such as seconds: np.save(path, X / np.timedelta64(1, 's')).",
    "V": "Save one plain array: np.save(path, np.stack([X[name] for name in X.dtype.names], 1)).",
}
# What NumPy's reading of a header raises for one that is none; it parses it as Python.
_HEADER_ERRORS = (
    *(ValueError, EOFError, SyntaxError, TypeError, ArithmeticError),
    *(LookupError, RecursionError, MemoryError, tokenize.TokenError),
)
# What Python's reading of a damaged archive raises, names in no known encoding among it.
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError),
    *(ValueError, LookupError, ArithmeticError, struct.error),
)
MAX_HEADER = 65536
"""Characters of a header; the readable types of one 2-D array take under 200."""


def read_npy(path: Path, origin: str) -> np.ndarray:
    """The 2-D array of a .npy file, float32 or float64.

    Raises:
        DataError: not such a file, truncated, of objects or text, or not 2-D.
    """
    with path.open("rb") as file:
        refuse_pickle_or_zip(file.read(4), origin)
        file.seek(0)
        return _array(file, path.stat().st_size, origin)


def read_npz(path: Path, origin: str) -> np.ndarray:
    """The array named X, x or x_train (in this order), else the only 2-D array of a .npz file.

    Raises:
        DataError: not such a file, damaged, or no array or more than one qualifies.
    """
    with opened_npz(path, origin) as (archive, members):
        chosen = choose(shapes_of(archive, members, origin), origin)
        with archive.open(members[chosen]) as file:
            return _array(file, members[chosen].file_size, f"array {chosen!r} of {origin}")


@contextmanager
def opened_npz(
    path: Path, origin: str
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """The archive and its arrays by name; what goes wrong inside is told as its damage."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            yield archive, {info.filename.removesuffix(".npy"): info for info in infos}
    except DataError:
        raise
    except _ZIP_ERRORS as error:
        raise damaged(origin, ".npz", error) from error
    except RuntimeError as error:  # an encrypted member
        raise DataError(f"{origin}", f"cannot be read ({error})", "Save it without.") from error


def shapes_of(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], origin: str
) -> dict[str, tuple[int, ...]]:
    """Shape of every array, from its header alone."""
    shapes = {}
    for name, info in members.items():
        with archive.open(info) as file:
            shapes[name] = read_header(file, f"array {name!r} of {origin}").shape
    return shapes


def choose(
    shapes: dict[str, tuple[int, ...]],
    origin: str,
    *,
    deep: bool = False,
    remedy: str = "Save the rows under the name X.",
) -> str:
    """The array to take of several: X, x or x_train, else the only one that is 2-D.

    Args:
        shapes: of all arrays, by name.
        origin: where they are.
        deep: whether arrays of more than two axes count as well.
        remedy: where more than one qualifies.

    Raises:
        DataError: none or more than one qualifies.
    """
    for name in PREFERRED:
        if name in shapes:
            return name
    if {"data", "indices", "indptr"} <= set(shapes):
        raise DataError(f"{origin}", "must hold a dense array, not a sparse one", "Use .toarray().")
    flat = [name for name, shape in shapes.items() if len(shape) == 2 or (deep and len(shape) > 2)]
    if len(flat) == 1:
        return flat[0]
    found = ", ".join(f"{name!r} {shape}" for name, shape in list(shapes.items())[:10])
    raise DataError(
        f"{origin}",
        f"must hold an array named {quoted(PREFERRED)}, or only one that is 2-D{' or more' * deep};"
        f" it holds {found or 'no array'}",
        remedy,
    )


def refuse_type(dtype: np.dtype[Any], origin: str) -> None:
    """Only real numbers pass.

    Raises:
        DataError: objects, text, complex numbers, dates, records.
    """
    if dtype.hasobject:
        raise DataError(
            f"{origin}",
            "must hold numbers; it holds Python objects, which are stored as a pickle, and a"
            " pickle can run code when it is opened",
            "Save it again as numbers: np.save(path, X.astype(float)).",
        )
    if dtype.kind not in "biuf":
        raise DataError(
            f"{origin}",
            f"must hold real numbers; its type is {dtype}",
            _REAL.get(dtype.kind, "Save it again as one plain array of numbers."),
        )


def float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 where that holds every value exactly, else float64."""
    return np.dtype(np.float32 if np.result_type(dtype, np.float32) == np.float32 else np.float64)


def _array(file: IO[bytes], size: int, origin: str) -> np.ndarray:
    """The 2-D array at the start of ``file``, which is ``size`` bytes long."""
    header = checked_header(file, size, origin)
    if len(header.shape) != 2:
        raise DataError(
            f"{origin}",
            f"must be 2-D, (samples, features); its shape is {header.shape}",
            reshape(header.shape),
        )
    file.seek(0)
    array = npy.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER)
    return np.ascontiguousarray(array, dtype=float_type(header.dtype))


class Header(NamedTuple):
    """What a header says, and its own length in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    length: int


def n_axes(path: Path) -> int:
    """Of the array of rows in a .npy or .npz file; 2 of another one, or where it cannot be told."""
    try:
        if path.suffix.lower() == ".npz":
            with opened_npz(path, str(path)) as (archive, members):
                shapes = shapes_of(archive, members, str(path))
                return len(shapes[choose(shapes, str(path), deep=True)])
        if path.suffix.lower() != ".npy":
            return 2
        with path.open("rb") as file:
            return len(read_header(file, str(path)).shape)
    except (DataError, OSError):
        return 2


def checked_header(file: IO[bytes], size: int, origin: str) -> Header:
    """The header of an array of real numbers that is all there, in ``size`` bytes.

    Raises:
        DataError: another type, or cut short.
    """
    header = read_header(file, origin)
    refuse_type(header.dtype, origin)
    declared = math.prod(header.shape) * header.dtype.itemsize
    if declared > size - header.length:
        raise DataError(
            f"{origin}",
            f"must hold the {declared} bytes that its shape {header.shape} declares;"
            f" it holds {max(0, size - header.length)}",
            "The file is cut short or damaged: copy or make it again.",
        )
    return header


def read_header(file: IO[bytes], origin: str) -> Header:
    """Whatever the header says."""
    try:
        version = npy.read_magic(file)
        if version not in {(1, 0), (2, 0), (3, 0)}:
            raise ValueError(f"unknown version {version} of the format")
        if version == (1, 0):
            shape, order, dtype = npy.read_array_header_1_0(file, max_header_size=MAX_HEADER)
        else:  # versions 2 and 3 differ from 1 in the header's length, and in its encoding
            shape, order, dtype = npy.read_array_header_2_0(file, max_header_size=MAX_HEADER)
        if min(shape, default=0) < 0:
            raise ValueError(f"a shape of {shape}")
    except _HEADER_ERRORS as error:
        raise damaged(origin, ".npy", error) from error
    return Header(shape, order, dtype, file.tell())


def reshape(shape: tuple[int, ...]) -> str:
    """The remedy for an array that is not 2-D."""
    if len(shape) > 2:
        return f"Reshape it to ({shape[0]}, {math.prod(shape[1:])}): X.reshape(len(X), -1)."
    if len(shape) == 1:
        return f"Reshape it to ({shape[0]}, 1), one feature, or (1, {shape[0]}), one sample."
    return "One number is not a table."


def refuse_pickle_or_zip(start: bytes, origin: str) -> None:
    """A .npy file by name that is another thing by its first bytes."""
    if start[:1] == b"\x80":
        raise DataError(
            f"{origin}",
            "must be a NumPy array; it is a pickle, which can run code when it is opened",
            "Open it where you trust it, and save the numbers with np.save.",
        )
    if start == b"PK\x03\x04":
        raise DataError(f"{origin}", "holds a .npz archive", "Rename it to end in .npz.")
