"""Arrays in files, read stretch by stretch: .npy and .npz here, HDF5 and Zarr by their packages.

Plain bytes are read, not mapped: a file that is cut short while it is read is an error, where a
mapping would end the process. Which array of several is taken: the one named after ``::``
(``run.h5::images/train``), else X, x or x_train, else the only one with two axes or more.

A missing chunk of a Zarr array holds its fill value by definition; a chunk that was lost cannot be
told from it. Zarr itself refuses codecs that unpickle for numbers, and arrays of objects are
refused here. So are HDF5 datasets whose values lie in other files (external storage, virtual
datasets, links): such a file could read any other in the name of whoever opens it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.arrays.npz import (
    checked_header,
    choose,
    opened_npz,
    refuse_pickle_or_zip,
    refuse_type,
    shapes_of,
)
from isthmus.data.arrays.source import InMemory, Rows
from isthmus.data.files.paths import STORES, Stamp, changed, damaged, named
from isthmus.data.tables import quoted
from isthmus.errors import DataError

LAZY = 1 << 26
"""Bytes from which a member of a .npz file that is not compressed is left on the disk."""


class RawFile:
    """An array as plain bytes in a file, from some offset on; in C order, or Fortran's.

    Args:
        path: of the file.
        name: by which errors speak of it.
        shape: (N, ...).
        dtype: of an entry.
        offset: bytes before the first entry.
        fortran: whether the first axis varies fastest.
        keep: held for as long as the file is needed, such as its temporary folder.
    """

    chunk = 1

    def __init__(
        self,
        path: Path,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int = 0,
        *,
        fortran: bool = False,
        keep: object = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self._stamp = Stamp.of(path)
        self._offset = offset
        self._fortran = fortran
        self._keep = keep

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows that are read now."""
        self._stamp.check()
        with named(self.name):
            if self._fortran:
                mapped: np.ndarray = np.memmap(
                    self._stamp.path, self.dtype, "r", self._offset, self.shape, "F"
                )
                return np.array(mapped[start:stop])
            row = math.prod(self.shape[1:])
            values = np.fromfile(
                self._stamp.path,
                self.dtype,
                (stop - start) * row,
                offset=self._offset + start * row * self.dtype.itemsize,
            )
        if values.size != (stop - start) * row:
            raise changed(self.name)
        return values.reshape(stop - start, *self.shape[1:])


def npy_rows(path: Path, name: str) -> Rows:
    """A .npy file.

    Raises:
        DataError: not such a file, truncated, of objects or text.
    """
    with named(name), path.open("rb") as file:
        refuse_pickle_or_zip(file.read(4), name)
        file.seek(0)
        header = checked_header(file, path.stat().st_size, name)
    return RawFile(path, name, header.shape, header.dtype, header.length, fortran=header.fortran)


def npz_rows(
    path: Path, name: str, label: str | None = None, member: str = ""
) -> tuple[Rows, np.ndarray | None]:
    """The array of rows in a .npz file, that called ``member`` if given, and that called ``label``.

    Raises:
        DataError: damaged, of objects, or no array or more than one qualifies.
    """
    with named(name), opened_npz(path, name) as (archive, members):
        shapes = shapes_of(archive, members, name)
        labels = None
        if label is not None:
            _one_axis(label, shapes, name)
            with archive.open(members[label]) as file:
                labels = np.array(np.lib.format.read_array(file, allow_pickle=False))
        if member and member not in shapes:
            raise DataError(
                f"{name}::{member}", "is not there", f"The file holds {quoted(shapes, 20)}."
            )
        others = {n: s for n, s in shapes.items() if n != label}
        chosen = member or choose(
            others, name, deep=True, remedy=f"Say which, such as {name}::{next(iter(others), 'X')}."
        )
        info, title = members[chosen], f"array {chosen!r} of {name}"
        with archive.open(info) as file:
            header = checked_header(file, info.file_size, title)
            if info.compress_type or info.file_size < LAZY:
                file.seek(0)
                values = np.lib.format.read_array(file, allow_pickle=False)
                return InMemory(values, title), labels
        with path.open("rb") as raw:  # the local header's own lengths of name and extra field
            raw.seek(info.header_offset + 26)
            lengths = int.from_bytes(raw.read(2), "little") + int.from_bytes(raw.read(2), "little")
        offset = info.header_offset + 30 + lengths + header.length
    rows = RawFile(path, title, header.shape, header.dtype, offset, fortran=header.fortran)
    return rows, labels


class Stored:
    """An array of HDF5 or Zarr, opened anew for every piece."""

    def __init__(self, path: Path, name: str, member: str, library: str) -> None:
        self.name = f"{name}::{member}" if member else name
        self._path, self._member, self._library = path, member, library
        marks = [path] if path.is_file() else [p for p in _zarr_marks(path, member) if p.is_file()]
        self._stamps = [Stamp.of(mark) for mark in marks]
        with _stored(path, name, library) as root:
            array = _own(root, member, self.name)
            self.shape = tuple(array.shape)
            self.dtype = np.dtype(array.dtype)
            refuse_type(self.dtype, self.name)
            self.chunk = min(self.shape[0], array.chunks[0]) if array.chunks and self.shape else 1

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows that are read now."""
        for stamp in self._stamps:
            stamp.check()
        with _stored(self._path, self.name, self._library) as root:
            array = _own(root, self._member, self.name)
            if tuple(array.shape) != self.shape or np.dtype(array.dtype) != self.dtype:
                raise changed(self.name)
            return np.asarray(array[start:stop])


def stored_rows(
    path: Path, name: str, member: str, library: str, label: str | None = None
) -> tuple[Rows, np.ndarray | None]:
    """The array of rows in an HDF5 or Zarr file, and the one called ``label``.

    Raises:
        DataError: the package is not installed, or no array or more than one qualifies.
    """
    labels = None

    def say(shapes: dict[str, tuple[int, ...]]) -> str:
        each = [f"{name}::{key}" for key, shape in shapes.items() if len(shape) > 1]
        return f"Say which, such as {each[0]}." if each else "Save the rows under the name X."

    with _stored(path, name, library) as root:
        if hasattr(root, "shape"):
            if member:
                raise DataError(f"{name}::{member}", "is not there", f"{name} is one array.")
            shapes = {}
        else:
            shapes = dict(_arrays_in(root, library))
        if label is not None:
            _refuse_links(root, label, name)
            _one_axis(label, shapes, name)
            array = _own(root, label, f"{name}::{label}")
            refuse_type(np.dtype(array.dtype), f"{name}::{label}")
            labels = np.asarray(array[:])
        member = member.strip("/")
        if member and member not in shapes:
            _refuse_links(root, member, name)
            inside = {k: s for k, s in shapes.items() if k.startswith(f"{member}/")}
            if not inside:
                raise DataError(
                    f"{name}::{member}", "is not there", f"The file holds {quoted(shapes, 20)}."
                )
            short = {k.removeprefix(f"{member}/"): s for k, s in inside.items()}
            member = f"{member}/{choose(short, f'{name}::{member}', deep=True, remedy=say(inside))}"
        elif shapes and not member:
            others = {k: s for k, s in shapes.items() if k != label}
            member = choose(others, name, deep=True, remedy=say(others))
        elif not shapes and not hasattr(root, "shape"):
            raise DataError(name, "holds no array", "Check how it was made.")
    return Stored(path, name, member, library), labels


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group, or a zip file is named as one."""
    if path.is_dir():
        return any(mark.is_file() for mark in _zarr_marks(path, ""))
    return path.name.lower().endswith(STORES[1])


def _zarr_marks(path: Path, member: str) -> list[Path]:
    return [path / member / mark for mark in ("zarr.json", ".zarray", ".zgroup")]


@contextmanager
def _stored(path: Path, name: str, library: str) -> Iterator[Any]:
    """The opened file, or array or group."""
    kind = {"h5py": "HDF5", "zarr": "Zarr"}[library]
    try:
        module = import_module(library)
    except ImportError as error:
        raise DataError(
            name,
            f"needs the package {library} to be read",
            f"Install it: pip install 'isthmus[{kind.lower()}]'.",
        ) from error
    with named(name):
        try:
            if library == "h5py":
                with module.File(path, "r") as file:
                    yield file
            elif path.is_dir():
                yield module.open(str(path), mode="r")
            else:
                with module.storage.ZipStore(path, mode="r") as store:
                    yield module.open(store, mode="r")
        except (DataError, PermissionError, MemoryError):
            raise
        except Exception as error:  # both packages, and codecs, raise whatever is at hand
            raise damaged(name, kind, error) from error


def _own(root: Any, member: str, name: str) -> Any:
    """The array, if its values lie in the file itself.

    Raises:
        DataError: they lie in other files, whichever these are.
    """
    _refuse_links(root, member, name)
    array = root[member] if member else root
    if getattr(array, "external", None) or getattr(array, "is_virtual", False):
        raise _elsewhere(name, "its values lie in other files")
    return array


def _refuse_links(root: Any, member: str, name: str) -> None:
    """A path of HDF5 that goes over a link to another file, or to another path, is refused."""
    if not hasattr(root, "visititems_links"):
        return
    parts = [part for part in member.split("/") if part]
    for i in range(1, len(parts) + 1):
        link = root.get("/".join(parts[:i]), getlink=True)
        if hasattr(link, "path"):  # soft and external links have one, hard links have none
            raise _elsewhere(name, f"{'/'.join(parts[:i])!r} is a link to {link.path!r}")


def _elsewhere(name: str, found: str) -> DataError:
    return DataError(
        name,
        f"must hold its values itself; {found}",
        "Copy them into one file, if you trust it: h5py's dataset[:] reads them.",
    )


def _arrays_in(root: Any, library: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    if library == "h5py":
        found: list[tuple[str, Any]] = []
        root.visititems(lambda key, item: found.append((key, item)))
    else:
        found = list(root.members(max_depth=None))
    yield from ((key, tuple(item.shape)) for key, item in found if hasattr(item, "shape"))


def _one_axis(label: str, shapes: dict[str, tuple[int, ...]], name: str) -> None:
    if label not in shapes:
        raise DataError(
            f"label={label!r}", f"must name an array in {name}", f"It holds {quoted(shapes, 20)}."
        )
    if len(shapes[label]) != 1:
        raise DataError(
            f"array {label!r} of {name}",
            f"must have one axis to be labels; its shape is {shapes[label]}",
        )
