"""One function from data of any kind to a :class:`isthmus.data.source.Source`.

Files are told by their ending, folders by what they hold, objects by what they offer. Nothing is
read that need not be: of Parquet and Arrow the footers, of arrays the headers; text and images are
decoded once. No reader opens a pickle.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from isthmus._mark import is_run
from isthmus.data import bundled
from isthmus.data.arrays.files import is_zarr, npy_rows, npz_rows, stored_rows
from isthmus.data.arrays.images import MAX_SKIPPED, Wanted, folder_of_images
from isthmus.data.arrays.source import Arrays, InMemory, Rows, Sparse
from isthmus.data.arrays.wrapped import unwrapped
from isthmus.data.files.packed import ending_of
from isthmus.data.files.paths import (
    ENDINGS,
    KINDS,
    data_files,
    is_pattern,
    named,
    not_a_file,
    partitions,
)
from isthmus.data.files.shards import ArrowFile, Memory, ParquetFile, Shard
from isthmus.data.objects import (
    arrow_of_frame,
    hub_images,
    hub_shard,
    image_column,
    is_hub_dataset,
    is_iterable_only,
    is_torch_dataset,
    packages_of,
    torch_source,
)
from isthmus.data.readers import absent
from isthmus.data.source import Source
from isthmus.data.tables import quoted
from isthmus.data.tabular import Tabular
from isthmus.data.text.blocks import Sink
from isthmus.data.text_source import source_of_text
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError, InvalidParameterError


def open_data(
    data: Any,
    *,
    drop: Sequence[str] = (),
    label: str | None = None,
    text: Sequence[str] = (),
    na_values: Sequence[str] | None = None,
    encoding: str | None = None,
    layout: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    image_mode: str | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Source:
    """Data of any kind as rows in pieces, to be read again and again.

    Args:
        data: one of

            - a file: .csv, .tab, .tsv, .txt (packed: ``.csv.gz``, ``.bz2``, ``.zst``), .parquet,
              .arrow, .feather, .npy, .npz, .h5, .hdf5, .zarr, .zarr.zip;
              ``file.h5::name`` is one array of several;
            - a folder, a glob ("data/*.parquet") or a list of files, all of one kind; sub-folders
              are read too, ``key=value`` in their names is a column;
            - a folder of images, .bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff or .webp
              (:mod:`isthmus.data.arrays.images`);
            - a name of :data:`isthmus.data.bundled.BUNDLED`;
            - an array (masked entries are missing), a torch tensor, a sparse matrix, a DataFrame of
              pandas or polars, an Arrow table or RecordBatchReader, a map-style torch Dataset, a
              Hugging Face Dataset;
            - a source, which is given back.
        drop: names of columns to leave out.
        label: name of the column (the array, in .npz and HDF5) that labels the rows.
        text: columns of CSV that are words whatever they hold, such as postal codes.
        na_values: words that stand for a missing entry, in place of the default list
            (:data:`isthmus.data.words.MISSING_TOKENS` in CSV, none in other tables); the empty
            entry of CSV is missing in any case. ``na_values=[]`` keeps "NA" as a category.
        encoding: of CSV that is neither UTF-8 nor begins with a byte order mark, such as "cp1252".
        layout: meaning of the axes of an array, of :data:`isthmus.data.arrays.source.LAYOUTS`.
        image_size: (height, width) of images, or one number.
        image_mode: "L" to make images grey, "RGB" to give them colours; None to go by them.
        max_skipped: largest share of images that may be left out because they cannot be decoded.

    Returns:
        A source; a :class:`isthmus.data.source.TableSource` where there are columns.

    Raises:
        DataError: nothing is there, it is damaged, of different kinds, or cannot be used.
        InvalidParameterError: an argument is not valid, or has no meaning for this data.

    >>> source = open_data("wine", drop=["proline"])
    >>> source.feature_shape, sum(source.lengths), source.names[0]
    ((12,), 178, 'alcohol')
    """
    for given, value in (("drop", drop), ("text", text), ("na_values", na_values)):
        if isinstance(value, str):
            raise InvalidParameterError(f"{given}={value!r}", "must be a list of names")
    missing = None if na_values is None else tuple(na_values)
    words = Words(tuple(text), missing, encoding=encoding)
    wanted = Wanted(image_size, image_mode, max_skipped)
    return open_words(data, words, drop=drop, label=label, layout=layout, wanted=wanted)


def open_words(
    data: Any,
    words: Words,
    *,
    drop: Sequence[str] = (),
    label: str | None = None,
    layout: str | None = None,
    wanted: Wanted,
) -> Source:
    """The same as :func:`open_data`, where what is said of words, and of images, is one thing."""
    if isinstance(data, str | os.PathLike) or _is_list_of_paths(data):
        return _Paths(drop, label, words, layout, wanted).open(data)
    if isinstance(data, Source):
        said = {"text": words.text, "na_values": words.na_values, "encoding": words.encoding}
        _no(drop=drop, label=label, layout=layout, **said, of="a source that is open")
        return data
    words.refuse_text(f"the {type(data).__name__}, which is no separated text")
    return _object(data, drop, label, words.na_values, layout, wanted)


def entire(path: str | os.PathLike[str], *, written: bool, words: Words = AS_USUAL) -> Source:
    """What a name stands for with all of its columns, pandas' index too, in the order of its rows.

    Args:
        path: a file, a folder, a glob or a bundled name.
        written: whether columns of separated text are text, entry by entry as it is written, and
            no entry is missing.
        words: which may state the encoding of separated text.

    Raises:
        DataError: as :func:`open_data`.
    """
    how: Literal["typed", "written"] = "written" if written else "typed"
    words = Words(encoding=words.encoding, remembered=words.remembered)
    return _Paths((), None, words, None, Wanted(None, None, 1.0), how).open(path)


def _object(
    data: Any,
    drop: Sequence[str],
    label: str | None,
    na_values: Sequence[str] | None,
    layout: str | None,
    wanted: Wanted,
) -> Source:
    tabular = partial(Tabular, drop=drop, label=label, na_values=na_values)
    kind = type(data).__name__
    name = f"the {kind}"
    if layout and (is_hub_dataset(data) or kind == "DataFrame" or hasattr(data, "schema")):
        _no(layout=layout, of=f"{name}, which is no array")
    if is_iterable_only(data):
        raise DataError(
            name,
            "must give any row by number; it only gives rows in turn",
            "Take the rows into an array, a table or a file first.",
        )
    if is_hub_dataset(data):
        column = image_column(data)
        if column is not None:
            return hub_images(data, column, name, label, wanted)
        return tabular([hub_shard(data, name)], name)
    if isinstance(data, dict):
        raise DataError(
            name,
            f"must be one table; it is a dict of {quoted(map(str, data))}",
            "Give one of its values, or pyarrow.table(data) where these are columns.",
        )
    if isinstance(data, pa.RecordBatchReader):
        tables = (pa.Table.from_batches([batch]) for batch in data)
        shard = Sink(name).take(name, data.schema, tables)
        return tabular([shard], name)
    if isinstance(data, pa.RecordBatch):
        data = pa.table(data)
    if isinstance(data, pa.Table):
        return tabular([Memory(data, name)], name)
    if hasattr(data, "collect") and "polars" in packages_of(data):
        raise DataError(name, "has not been computed yet", "Give data.collect().")
    if kind == "DataFrame" or hasattr(data, "__arrow_c_stream__"):
        shard = Memory(arrow_of_frame(data, name), name)
        return tabular([shard], name)
    _no(drop=drop, na_values=na_values, of=f"{name}, which has no names of columns")
    if is_torch_dataset(data):
        return torch_source(data, name, layout, label)
    _no(label=label, of=f"{name}, which has no names of columns")
    data = unwrapped(data, name)
    if hasattr(data, "tocsr") and hasattr(data, "shape"):
        return Arrays([Sparse(data, name)], name, layout=layout)
    if isinstance(data, np.ndarray):
        origin = "the array" if kind == "ndarray" else name
        return Arrays([InMemory(data, origin)], origin, layout=layout)
    raise DataError(
        f"data of type {kind}",
        "cannot be opened",
        "Give a file, folder or glob, an array, a tensor, a sparse matrix, a DataFrame, an Arrow"
        " table, or a map-style Dataset.",
    )


class _Paths:
    """What is in files."""

    def __init__(
        self,
        drop: Sequence[str],
        label: str | None,
        words: Words,
        layout: str | None,
        wanted: Wanted,
        entire: Literal["", "typed", "written"] = "",
    ) -> None:
        self.entire = entire
        self.drop = tuple(drop)
        self.label = label
        self.words = words
        self.layout = layout
        self.wanted = wanted

    def open(self, data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Source:
        """The source of a name, or of a list of files."""
        if not isinstance(data, str | os.PathLike):
            paths = [Path(each) for each in data]
            return self._files(paths, f"{paths[0]} and {len(paths) - 1} more")
        origin = os.fspath(data)
        if origin in bundled.BUNDLED:
            return self._bundled(origin)
        if not origin:
            raise DataError("an empty name", "must be a file, a folder or a bundled table")
        if "\0" in origin:
            raise DataError(f"{origin!r}", "is no name of a file")
        base, _, member = origin.partition("::")
        path = Path(base)
        with named(origin):
            if base.lower().endswith((".h5", ".hdf5")) and path.is_file():
                return self._stored(path, base, member, "h5py")
            if path.exists() and is_zarr(path):
                return self._stored(path, base, member, "zarr")
            if path.is_dir() and member:
                raise DataError(origin, "names an array, but a folder holds files", f"Name {base}.")
            if path.is_dir() or is_pattern(origin):
                if is_run(path):
                    raise DataError(
                        origin, "must be data; it is a run of fit", "Name the data instead."
                    )
                return self._files(data_files(origin), origin, within=True)
            if not path.is_file():
                raise not_a_file(origin, path) if os.path.lexists(path) else absent(path, origin)
            if member and base.lower().endswith(".npz"):
                self._no_columns(base)
                rows, labels = npz_rows(path, base, self.label, member)
                return Arrays([rows], origin, layout=self.layout, labels=labels)
            if member:
                raise DataError(
                    origin, "names an array, but such a file holds only one thing", f"Name {base}."
                )
        return self._files([path], origin)

    def _files(self, paths: list[Path], origin: str, *, within: bool = False) -> Source:
        kinds = {KINDS.get(ending := ending_of(path), ending) for path in paths}
        if len(kinds) > 1:
            raise DataError(origin, f"must be files of one kind, not of {quoted(sorted(kinds))}")
        (kind,) = kinds
        if kind not in ("NumPy", "HDF5"):
            _no(layout=self.layout, of=f"{origin}, which is no array")
        if kind == "images":
            return self._images(paths, origin, within)
        if kind in ("NumPy", "HDF5"):
            return self._arrays(paths, origin)
        openers: dict[str, Callable[[Path, str], Shard]] = {
            "Parquet": partial(ParquetFile, index=bool(self.entire)),
            "Arrow": ArrowFile,
        }
        given = partitions(paths, origin) if within else tuple({} for _ in paths)
        if kind in openers:
            self.words.refuse_text(f"{origin}, which is no separated text")
            shards = [openers[kind](path, str(path)) for path in paths]
            return Tabular(
                shards,
                origin,
                drop=self.drop,
                label=self.label,
                partitions=given,
                na_values=self.words.na_values,
                notes=[note for shard in shards for note in shard.notes][:1],
            )
        if kind == "text":
            return source_of_text(
                paths,
                origin,
                given,
                drop=self.drop,
                label=self.label,
                words=self.words,
                as_written=self.entire == "written",
            )
        ending = paths[0].suffix.lower()
        raise DataError(
            str(paths[0]),
            f"must end in {quoted(ENDINGS, len(ENDINGS))}",
            "Unpack it first."
            if ending in {".gz", ".zip", ".xz", ".bz2", ".zst"}
            else "Save it in one of these formats.",
        )

    def _arrays(self, paths: list[Path], origin: str) -> Source:
        self._no_columns(origin)
        parts: list[Rows] = []
        labels: list[np.ndarray] = []
        for path in paths:
            name, ending = str(path), path.suffix.lower()
            found = None
            if not path.stat().st_size:
                raise DataError(name, "is empty", "Check how it was made.")
            if ending == ".npz":
                rows, found = npz_rows(path, name, self.label)
            elif ending == ".npy":
                _no(label=self.label, of=f"{name}, which holds one array")
                rows = npy_rows(path, name)
            else:
                rows, found = stored_rows(path, name, "", "h5py", self.label)
            parts.append(rows)
            labels += [] if found is None else [found]
        joined = np.concatenate(labels) if labels else None
        return Arrays(parts, origin, layout=self.layout, labels=joined)

    def _stored(self, path: Path, name: str, member: str, library: str) -> Source:
        self._no_columns(name)
        rows, labels = stored_rows(path, name, member, library, self.label)
        origin = f"{name}::{member}" if member else name
        return Arrays([rows], origin, layout=self.layout, labels=labels)

    def _images(self, paths: list[Path], origin: str, within: bool) -> Source:
        self._no_columns(origin)
        _no(label=self.label, of=f"{origin}, whose labels are its sub-folders")
        if not within and len(paths) == 1:
            raise DataError(origin, "is one image", "Name the folder that holds the images.")
        whole = within and not is_pattern(origin)
        root = Path(origin) if whole else None
        return folder_of_images(paths, origin, self.wanted, root)

    def _bundled(self, name: str) -> Source:
        _no(layout=self.layout, of=f"{name}, which is no array")
        self.words.refuse_text(f"{name}, which is no separated text")
        table = bundled.load(name)
        columns = [pa.array(column) for column in table.values.T]
        shard = Memory(pa.table(columns, names=list(table.names or ())), name)
        own = self.label if self.label != "target" else None
        source = Tabular([shard], name, drop=self.drop, label=own)
        if own is None:
            source.labels = bundled.target(name)
        return source

    def _no_columns(self, origin: str) -> None:
        self.words.refuse_text(f"{origin}, which is no separated text")
        _no(drop=self.drop, of=f"{origin}, which has no names of columns")


def _is_list_of_paths(data: Any) -> bool:
    return (
        isinstance(data, list | tuple)
        and bool(data)
        and all(isinstance(each, str | os.PathLike) for each in data)
    )


def _no(*, of: str, **options: Any) -> None:
    """Options that mean nothing here are refused, not passed over."""
    for name, value in options.items():
        if value:
            raise InvalidParameterError(f"{name}={value!r}", f"has no meaning for {of}")
