"""A matrix to a file, whole or not at all, at once or block by block.

The bytes go to a file of another name in the same folder, reach the disk, and take the place of the
destination in one step (POSIX rename). Whatever goes wrong before, the destination is as it was and
nothing is left beside it. Folders on the way are made.

Text keeps every bit: numbers are written with the fewest digits that read back as the same number,
and missing entries as nan.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib import format as npy
from pyarrow import csv, parquet

from isthmus.data.tables import quoted, stand_in
from isthmus.errors import InvalidParameterError, RunError


def check_destination(
    path: str | os.PathLike[str], force: bool = False, *, endings: Sequence[str] | None = None
) -> None:
    """Refuse, before any work is done, a destination that could not or should not be written.

    Args:
        path: where the file is to be.
        force: whether a file that is there may be replaced.
        endings: the endings allowed; by default :data:`ENDINGS`.

    Raises:
        InvalidParameterError: another ending.
        RunError: it is a folder, it exists and ``force`` is false, or its folder is not writable.
    """
    target, known = Path(path), ENDINGS if endings is None else tuple(endings)
    if target.suffix.lower() not in known:
        raise InvalidParameterError(f"{os.fspath(path)}", f"must end in {quoted(known)}")
    if target.is_dir():
        raise RunError(f"{os.fspath(path)}", "must be a file; it is a folder", "Name a file in it.")
    if target.exists() and not force:
        raise RunError(
            f"{os.fspath(path)}",
            "exists and is not replaced unasked",
            "Choose another name, or allow it with force=True (--force on the command line).",
        )
    folder = next(p for p in target.absolute().parents if p.exists())
    if not folder.is_dir():
        raise RunError(f"{os.fspath(path)}", f"cannot be made: {str(folder)!r} is not a folder")
    writable = os.access(folder, os.W_OK | os.X_OK)
    if writable and folder != target.absolute().parent:
        try:  # os.access cannot tell of /proc and the like that no folder can be made there
            Path(tempfile.mkdtemp(prefix=".isthmus.", dir=folder)).rmdir()
        except OSError:
            writable = False
    if not writable:
        raise RunError(
            f"{os.fspath(path)}",
            f"cannot be made: the folder {str(folder)!r} is not writable",
            "Choose another folder, or change its permissions.",
        )


def write(
    path: str | os.PathLike[str], values: np.ndarray, names: Sequence[str] | None = None
) -> None:
    """Write ``values``; a file that is there is replaced (see :func:`check_destination`).

    Args:
        path: ends in .npy, .csv or .parquet.
        values: (N, D), float32 or float64.
        names: the D names of the columns; x0, x1, ... where None. A .npy file does not keep them.

    Raises:
        InvalidParameterError: another ending, or names that do not fit the columns.
        RunError: the file cannot be written.
    """
    write_blocks(path, [values], names)


def write_blocks(
    path: str | os.PathLike[str], blocks: Iterable[np.ndarray], names: Sequence[str] | None = None
) -> int:
    """Write rows as they come, so that they need never be in memory together.

    Args:
        path: ends in .npy, .csv or .parquet.
        blocks: at least one, each (n, D), all of one type, float32 or float64.
        names: as of :func:`write`.

    Returns:
        N, the number of rows written.

    Raises:
        InvalidParameterError: another ending, or names that do not fit the columns.
        RunError: the file cannot be written; it is as it was then, also where a block fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_blocks(folder + "/x.npy", (np.full((2, 3), float(i)) for i in range(4)))
    8
    """
    check_destination(path, force=True)
    every = iter(blocks)
    first = next(every)
    if first.ndim != 2:
        raise InvalidParameterError(f"values of shape {first.shape}", "must be 2-D")
    columns = [stand_in(j) for j in range(first.shape[1])] if names is None else list(names)
    if len(columns) != first.shape[1] or len(set(columns)) != len(columns):
        raise InvalidParameterError(
            f"names={columns!r}", f"must be {first.shape[1]} different names, one a column"
        )
    count = 0
    with replacing(path) as file, _WRITERS[Path(path).suffix.lower()](file, first, columns) as add:
        for block in chain([first], every):
            add(block)
            count += len(block)
    return count


def write_frame(path: str | os.PathLike[str], table: pa.Table) -> None:
    """Write a table with columns of any kind; a file that is there is replaced.

    Raises:
        InvalidParameterError, RunError: as :func:`write_frames`.
    """
    write_frames(path, [table])


def write_frames(path: str | os.PathLike[str], tables: Iterable[pa.Table]) -> int:
    """Write rows with columns of any kind as they come.

    Args:
        path: ends in .csv or .parquet; a .npy file holds numbers alone.
        tables: at least one, all of one schema. Text has no dictionaries: there they are written
            as their values.

    Returns:
        N, the number of rows written.

    Raises:
        InvalidParameterError: another ending.
        RunError: the file cannot be written.
    """
    check_destination(path, force=True, endings=(".csv", ".parquet"))
    text = Path(path).suffix.lower() == ".csv"
    shown = (_values(table) if text else table for table in tables)
    first = next(shown)
    count = 0
    with (
        replacing(path) as file,
        (csv.CSVWriter if text else parquet.ParquetWriter)(file, first.schema) as writer,
    ):
        for table in chain([first], shown):
            writer.write_table(table)
            count += table.num_rows
    return count


def write_lines(
    path: str | os.PathLike[str],
    tables: Iterable[pa.Table],
    *,
    header: Sequence[str] | None,
    separator: str = ",",
    newline: str = "\n",
    before: str = "",
    blanks: Mapping[int, int] | None = None,
) -> int:
    """Write columns of text as lines, entry by entry as it is; in quotes only where it must be.

    Args:
        path: ends in .csv.
        tables: at least one, all columns of text.
        header: the first line; None for none.
        separator: between entries.
        newline: after every line.
        before: what stands before the first line.
        blanks: blank lines before the row of that number, from 0; N for those at the end.

    Returns:
        N, the number of rows written.

    Raises:
        RunError: the file cannot be written.
    """
    count, end, blanks = 0, newline.encode(), blanks or {}
    with replacing(path) as file:
        file.write(before.encode())
        if header is not None:
            named = pa.table(
                [[name] for name in header], names=[str(j) for j in range(len(header))]
            )
            file.write(_lines(named, separator, end))
        for table in tables:
            file.write(_lines(table, separator, end, blanks, count))
            count += table.num_rows
        file.write(end * blanks.get(count, 0))
    return count


def _lines(
    table: pa.Table,
    separator: str,
    end: bytes,
    blanks: Mapping[int, int] = MappingProxyType({}),
    first: int = 0,
) -> bytes:
    alone = table.num_columns == 1  # an empty line would be none
    columns: list[pa.Array] = []
    quote, nothing, between = (pa.scalar(w, pa.large_string()) for w in ('"', "", separator))
    for column in table.columns:
        words = pc.fill_null(column.cast(pa.large_string()).combine_chunks(), "")
        marked = pc.match_substring_regex(words, '["\n\r]' + "|^$" * alone)
        marked = pc.or_(marked, pc.match_substring(words, separator))
        quoted = pc.replace_substring(words, '"', '""')
        quoted = pc.binary_join_element_wise(quote, quoted, quote, nothing)
        columns.append(pc.if_else(marked, quoted, words))
    joined = pc.binary_join_element_wise(*columns, between)
    lines = joined.cast(pa.large_binary()).to_pylist()
    if not blanks:
        return b"".join(line + end for line in lines)
    return b"".join(end * blanks.get(i, 0) + line + end for i, line in enumerate(lines, first))


def _values(table: pa.Table) -> pa.Table:
    """With the values of dictionaries in their places."""
    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(plain, names=table.column_names)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write bytes to, which takes the place of ``path`` when the block ends well.

    Raises:
        RunError: the folder or the file cannot be made, or the disk is full.
    """
    target = Path(os.path.realpath(path))  # a link stays one; what it points at is replaced
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        if isinstance(error, OSError) and not isinstance(error, RunError):
            raise RunError(
                f"{os.fspath(path)}",
                f"cannot be written ({error.strerror or error})",
                "Free some space, choose another folder, or change its permissions.",
            ) from error
        raise


Add = Callable[[np.ndarray], object]


@contextmanager
def _npy(file: IO[bytes], first: np.ndarray, names: list[str]) -> Iterator[Add]:
    # Not np.save: where the disk is full it raises an error that does not say so. NumPy leaves
    # room in the header for a longer shape, so that it can be written again.
    count = 0

    def header() -> None:
        facts = npy.header_data_from_array_1_0(first)
        facts |= {"shape": (count, *first.shape[1:]), "fortran_order": False}
        npy.write_array_header_1_0(file, facts)

    def add(values: np.ndarray) -> None:
        nonlocal count
        count += len(values)
        file.write(np.ascontiguousarray(values, first.dtype).data)

    header()
    begins = file.tell()
    yield add
    file.seek(0)
    header()
    assert file.tell() == begins  # noqa: S101  (NumPy's promise)


@contextmanager
def _csv(file: IO[bytes], first: np.ndarray, names: list[str]) -> Iterator[Add]:
    with csv.CSVWriter(file, _table(first[:0], names).schema) as writer:
        yield lambda values: writer.write_table(_table(values, names))


@contextmanager
def _parquet(file: IO[bytes], first: np.ndarray, names: list[str]) -> Iterator[Add]:
    with parquet.ParquetWriter(file, _table(first[:0], names).schema) as writer:
        yield lambda values: writer.write_table(_table(values, names))


def _table(values: np.ndarray, names: list[str]) -> pa.Table:
    return pa.Table.from_arrays([pa.array(column) for column in values.T], names=names)


_WRITERS: dict[str, Callable[[IO[bytes], np.ndarray, list[str]], AbstractContextManager[Add]]] = {
    ".csv": _csv,
    ".npy": _npy,
    ".parquet": _parquet,
}
ENDINGS = tuple(_WRITERS)
