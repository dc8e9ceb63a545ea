"""One function from a file, or the name of a bundled table, to a :class:`Table` of numbers.

A file is read by its ending: .csv and .tsv (separated text), .npy and .npz (NumPy), .parquet. What
cannot be used is refused with the line, row or column at fault and the remedy; nothing is guessed
away, dropped or filled in. No reader opens a pickle: one can run code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from isthmus.data import bundled
from isthmus.data.arrays.npz import read_npy, read_npz
from isthmus.data.files import footer, paths
from isthmus.data.files.packed import TEXT, ending_of
from isthmus.data.files.paths import damaged, named
from isthmus.data.files.shards import index_notes, index_of
from isthmus.data.matrix import counted, refuse_others, without
from isthmus.data.tables import Table, checked, kept, quoted, refuse_duplicates, stand_in
from isthmus.data.text.agreeing import Spelling
from isthmus.data.text.blocks import table_of_text
from isthmus.data.text.parsing import TextFile
from isthmus.data.text.settling import told
from isthmus.data.text.sniff import layout_of
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError

Read = tuple[np.ndarray, tuple[str, ...] | None]


class _Found(NamedTuple):
    """Columns of any kind: their names, whether the file has them, and how it is written."""

    names: list[str]
    columns: list[Any]
    named: bool
    notes: list[str]
    spelling: Spelling | None


def read(
    data: str | os.PathLike[str],
    *,
    allow_missing: bool = True,
    allow_empty: bool = False,
    drop: Sequence[str] = (),
    mixed: bool = False,
    words: Words = AS_USUAL,
) -> Table:
    """The table in a file, or a bundled one.

    Args:
        data: path of a .csv, .tab, .tsv, .txt, .npy, .npz or .parquet file, or a name of
            :data:`isthmus.data.bundled.BUNDLED`.
        allow_missing: whether entries may be missing (NaN).
        allow_empty: whether a column may have no value at all, as in new rows for a fitted model.
        drop: names of columns to leave out. Columns without names are called x0, x1, ...
        mixed: whether columns may be of any kind: the table of a .csv, .tsv or .parquet file then
            has a ``frame``.
        words: which columns of separated text are text, and what stands for a missing entry in
            columns of text.

    Returns:
        A table of N ≥ 1 rows and D ≥ 1 columns: float64 from text; else float32 where that holds
        every value exactly (bool, integers of 8 or 16 bits, half and single precision).

    Raises:
        DataError: there is no such file, or what it holds is not such a table.

    >>> read("wine", drop=["proline"]).values.shape
    (178, 12)
    """
    origin = os.fspath(data)
    if Path(origin).suffix.lower() not in TEXT:
        words.refuse_text(f"{origin}, which is no separated text")
    if origin in bundled.BUNDLED:
        table = bundled.load(origin)
        return _without(table.values, table.names, origin, drop, allow_missing, allow_empty)
    if not origin:
        raise DataError("an empty name", "must be a file or a bundled table")
    path = Path(origin)
    reader = _reader(path, origin)
    with named(origin):
        if not path.is_file():
            raise _not_a_file(path, origin)
        if not path.stat().st_size:
            raise DataError(f"{origin}", "is empty", "Check how it was made.")
        if isinstance(reader, _Columns):
            names, columns, is_named, notes, spelling = reader.read(
                path, origin, tuple(drop), words
            )
            if not mixed:
                refuse_others(names, columns, origin)
            values = counted(columns)
            if reader.double:
                values = values.astype(np.float64, copy=False)
            given = tuple(names) if is_named else None
            frame = pa.Table.from_arrays(columns, names=names) if mixed else None
        else:
            (values, given), frame, notes = reader(path, origin, tuple(drop)), None, []
            spelling = None
    table = checked(values, given, origin, allow_missing=allow_missing, allow_empty=allow_empty)
    return replace(
        table, frame=frame, notes=tuple(notes), spelling=spelling, na_values=words.na_values
    )


def names_in(data: str | os.PathLike[str], words: Words = AS_USUAL) -> list[str] | None:
    """The names of the columns that :func:`read` finds, without reading the rows.

    None where the columns have none, or where ``read`` will say what is wrong.

    >>> names_in("wine")[:2]
    ['alcohol', 'malic_acid']
    """
    origin = os.fspath(data)
    if origin in bundled.BUNDLED:
        return list(bundled.load(origin).names or ())
    path = Path(origin)
    reader = _READERS.get(path.suffix.lower())
    if not isinstance(reader, _Columns) or not path.is_file():
        return None
    with suppress(DataError, OSError, ValueError, LookupError, pa.ArrowException):
        if reader is _PARQUET:
            with parquet.ParquetFile(path) as file:
                return _names_of(file)
        given = layout_of(path, origin, words).names
        return None if given is None else [name or stand_in(j) for j, name in enumerate(given)]
    return None


def _without(
    values: np.ndarray,
    names: Sequence[str] | None,
    origin: str,
    drop: Sequence[str],
    allow_missing: bool = True,
    allow_empty: bool = False,
) -> Table:
    """The checked table of these values after ``drop``."""
    if drop:
        labels = names or [stand_in(j) for j in range(values.shape[1])]
        keep = kept(labels, drop, origin)
        values = np.ascontiguousarray(values[:, keep])
        names = [labels[j] for j in keep] if names else None
    return checked(values, names, origin, allow_missing=allow_missing, allow_empty=allow_empty)


def _npy(path: Path, origin: str, drop: tuple[str, ...]) -> Read:
    table = _without(read_npy(path, origin), None, origin, drop, allow_empty=True)
    return table.values, table.names


def _npz(path: Path, origin: str, drop: tuple[str, ...]) -> Read:
    table = _without(read_npz(path, origin), None, origin, drop, allow_empty=True)
    return table.values, table.names


def _text_columns(path: Path, origin: str, drop: tuple[str, ...], words: Words) -> _Found:
    file = TextFile.of(path, origin, words)
    words.check(file.labels, origin)
    named = file.layout.names is not None
    words = words.among([name for name in file.labels if name not in drop], named)
    table, parsed = table_of_text(file, drop, words)
    if not table.num_rows:
        raise DataError(f"{origin}", "has a header but no rows", "Check how it was made.")
    notes = told([parsed], origin)
    return _Found(table.column_names, table.columns, named, notes, parsed.spelling)


def _names_of(file: Any) -> list[str]:
    """Without what pandas marked as its index."""
    schema = file.schema_arrow
    index = index_of(schema)
    return [name for name in schema.names if name not in index]


def _parquet_columns(path: Path, origin: str, drop: tuple[str, ...], words: Words) -> _Found:
    """What pandas marked as its index is not a column."""
    try:
        with parquet.ParquetFile(path) as file:
            footer.check(file.metadata, origin)
            every = _names_of(file)
            refuse_duplicates(every, origin)
            names = [every[j] for j in kept(every, drop, origin)]
            schema = footer.with_categories(file.schema_arrow)
            table = footer.as_categories(file.read(columns=names), schema)
            notes = index_notes(index_of(file.schema_arrow), origin)
        columns = [without(table.column(n), words.na_values or ()) for n in names]
        return _Found(names, columns, True, notes, None)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        if isinstance(error, PermissionError):
            raise
        raise damaged(origin, "Parquet", error) from error


@dataclass(frozen=True, eq=False)
class _Columns:
    """A reader of columns of any kind; ``double`` where numbers become float64."""

    read: Callable[[Path, str, tuple[str, ...], Words], _Found]
    double: bool


_TEXT = _Columns(_text_columns, double=True)
_PARQUET = _Columns(_parquet_columns, double=False)
_Reader = _Columns | Callable[[Path, str, tuple[str, ...]], Read]
_READERS: dict[str, _Reader] = {
    ".csv": _TEXT,
    ".npy": _npy,
    ".npz": _npz,
    ".parquet": _PARQUET,
    ".tab": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
}
ENDINGS = tuple(_READERS)


def _reader(path: Path, origin: str) -> _Reader:
    ending = path.suffix.lower()
    if ending in _READERS:
        return _READERS[ending]
    if not path.exists():
        raise _not_a_file(path, origin)
    if path.is_dir():
        raise _is_folder(path, origin)
    if ending_of(path) in TEXT:
        raise DataError(origin, "is packed, and read by isthmus.open_data", "Or unpack it first.")
    raise DataError(
        f"{origin}",
        f"must end in {quoted(ENDINGS, len(ENDINGS))}",
        "Unpack it first."
        if ending in {".gz", ".zip", ".xz", ".bz2", ".zst"}
        else "Save it in one of these formats.",
    )


def _not_a_file(path: Path, origin: str) -> DataError:
    if path.is_dir():
        return _is_folder(path, origin)
    if path.exists():
        return DataError(f"{origin}", "must be an ordinary file", "Save the data to a file first.")
    return absent(path, origin)


def absent(path: Path, origin: str) -> DataError:
    """Nothing is there: what is near by that name."""
    folder = path.parent
    if not folder.is_dir():
        return DataError(f"{origin}", f"does not exist, nor does its folder {str(folder)!r}")
    here = {name: str(folder / name) for name in _data_files(folder, paths.ENDINGS)}
    if folder == Path():
        here |= {name: name for name in bundled.BUNDLED}
    stems = {Path(name).stem: name for name in here}
    near = get_close_matches(path.name, here, 3) or [
        stems[stem] for stem in get_close_matches(path.stem, stems, 3)
    ]
    remedy = f"Did you mean {quoted(here[name] for name in near)}? " if near else ""
    return DataError(
        f"{origin}",
        "does not exist",
        f"{remedy}Give a file or a folder ({', '.join(paths.ENDINGS)}), or a bundled table"
        f" ({', '.join(bundled.BUNDLED)}).",
    )


def _is_folder(path: Path, origin: str) -> DataError:
    inside = _data_files(path, ENDINGS)
    remedy = f"It holds {quoted(inside)}." if inside else "It holds no file of a known ending."
    return DataError(f"{origin}", "must be a file; it is a folder", remedy)


def _data_files(folder: Path, endings: tuple[str, ...]) -> list[str]:
    try:
        return sorted(f.name for f in folder.iterdir() if f.name.lower().endswith(endings))
    except OSError:
        return []
