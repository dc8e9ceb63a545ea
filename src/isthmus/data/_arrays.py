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
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

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
        _refuse_pickle_or_zip(file.read(4), origin)
        file.seek(0)
        return _array(file, path.stat().st_size, origin)


def read_npz(path: Path, origin: str) -> np.ndarray:
    """The array named X, x or x_train (in this order), else the only 2-D array of a .npz file.

    Raises:
        DataError: not such a file, damaged, or no array or more than one qualifies.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                info.filename.removesuffix(".npy"): info
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
            shapes = {}
            for name, info in members.items():
                with archive.open(info) as file:
                    shapes[name] = _header(file, f"array {name!r} of {origin}")[0]
            chosen = _choose(shapes, origin)
            with archive.open(members[chosen]) as file:
                return _array(file, members[chosen].file_size, f"array {chosen!r} of {origin}")
    except DataError:
        raise
    except _ZIP_ERRORS as error:
        raise _damaged(origin, ".npz", error) from error
    except RuntimeError as error:  # an encrypted member
        raise DataError(f"{origin}", f"cannot be read ({error})", "Save it without.") from error


def _choose(shapes: dict[str, tuple[int, ...]], origin: str) -> str:
    for name in PREFERRED:
        if name in shapes:
            return name
    if {"data", "indices", "indptr"} <= set(shapes):
        raise DataError(f"{origin}", "must hold a dense array, not a sparse one", "Use .toarray().")
    flat = [name for name, shape in shapes.items() if len(shape) == 2]
    if len(flat) == 1:
        return flat[0]
    found = ", ".join(f"{name!r} {shape}" for name, shape in list(shapes.items())[:10])
    raise DataError(
        f"{origin}",
        f"must hold an array named {quoted(PREFERRED)}, or only one that is 2-D;"
        f" it holds {found or 'no array'}",
        "Save the rows under the name X.",
    )


def _array(file: IO[bytes], size: int, origin: str) -> np.ndarray:
    """The array at the start of ``file``, which is ``size`` bytes long."""
    shape, dtype, header = _header(file, origin)
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
    if len(shape) != 2:
        raise DataError(
            f"{origin}", f"must be 2-D, (samples, features); its shape is {shape}", _reshape(shape)
        )
    declared = math.prod(shape) * dtype.itemsize
    if declared > size - header:
        raise DataError(
            f"{origin}",
            f"must hold the {declared} bytes that its shape {shape} declares;"
            f" it holds {max(0, size - header)}",
            "The file is cut short or damaged: copy or make it again.",
        )
    file.seek(0)
    array = npy.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER)
    target = np.float32 if np.result_type(dtype, np.float32) == np.float32 else np.float64
    return np.ascontiguousarray(array, dtype=target)


def _header(file: IO[bytes], origin: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and length in bytes of the header."""
    try:
        version = npy.read_magic(file)
        if version not in {(1, 0), (2, 0), (3, 0)}:
            raise ValueError(f"unknown version {version} of the format")
        if version == (1, 0):
            shape, _, dtype = npy.read_array_header_1_0(file, max_header_size=MAX_HEADER)
        else:  # versions 2 and 3 differ from 1 in the header's length, and in its encoding
            shape, _, dtype = npy.read_array_header_2_0(file, max_header_size=MAX_HEADER)
        if min(shape, default=0) < 0:
            raise ValueError(f"a shape of {shape}")
    except _HEADER_ERRORS as error:
        raise _damaged(origin, ".npy", error) from error
    return shape, dtype, file.tell()


def _reshape(shape: tuple[int, ...]) -> str:
    if len(shape) > 2:
        return f"Reshape it to ({shape[0]}, {math.prod(shape[1:])}): X.reshape(len(X), -1)."
    if len(shape) == 1:
        return f"Reshape it to ({shape[0]}, 1), one feature, or (1, {shape[0]}), one sample."
    return "One number is not a table."


def _refuse_pickle_or_zip(start: bytes, origin: str) -> None:
    if start[:1] == b"\x80":
        raise DataError(
            f"{origin}",
            "must be a NumPy array; it is a pickle, which can run code when it is opened",
            "Open it where you trust it, and save the numbers with np.save.",
        )
    if start == b"PK\x03\x04":
        raise DataError(f"{origin}", "holds a .npz archive", "Rename it to end in .npz.")


def _damaged(origin: str, kind: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else "it ends early"
    return DataError(
        f"{origin}",
        f"cannot be read as {kind} ({reason})",
        "The file is cut short, damaged or of another kind: copy or make it again.",
    )
