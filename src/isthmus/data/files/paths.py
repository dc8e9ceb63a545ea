"""Which files a name stands for, and whether they are still what they were.

A name is a file, a folder (read with all its sub-folders) or a glob such as ``data/*.parquet``.
What begins with a dot or an underscore is not data (``.crc`` files, ``_SUCCESS``, ``_temporary``),
nor is a file of no known ending. Files come in natural order, part-2 before part-10. A folder that
links back to one of its parents is entered once. Folders named ``key=value`` are a column, as Hive,
Spark and pandas write partitions.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from isthmus.data.files.packed import ending_of
from isthmus.data.tables import quoted
from isthmus.errors import DataError

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
KINDS = {
    ".arrow": "Arrow",
    ".csv": "text",
    ".feather": "Arrow",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".npy": "NumPy",
    ".npz": "NumPy",
    ".parquet": "Parquet",
    ".tab": "text",
    ".tsv": "text",
    ".txt": "text",
    **dict.fromkeys(IMAGES, "images"),
}
"""What a file holds, by its ending; text may be packed (:mod:`isthmus.data.files.packed`)."""
STORES = (".zarr", ".zarr.zip")
"""Endings of Zarr: a folder that is one thing, and such a folder packed."""
ENDINGS = tuple(sorted((*KINDS, *STORES)))
"""All that can be opened, for sentences and for the documentation."""
_MISSING_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Stamp:
    """Size and time of the last change of a file, to tell whether it is still the one opened."""

    path: Path
    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        with named(str(path)):
            if not path.is_file():
                raise not_a_file(str(path), path)
            status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Refuse a file that is gone or another.

        Raises:
            DataError: it changed.
        """
        try:
            status = self.path.stat()
        except OSError as error:
            raise changed(str(self.path)) from error
        if (status.st_size, status.st_mtime_ns) != (self.size, self.time):
            raise changed(str(self.path))


def changed(name: str) -> DataError:
    """What is there is not what was opened."""
    return DataError(name, "has changed since it was opened", "Open it again.")


def damaged(name: str, kind: str, error: Exception) -> DataError:
    """The file is not of this kind, or no longer whole."""
    return DataError(
        name,
        f"cannot be read as {kind} ({[*str(error).splitlines(), 'it ends early'][0]})",
        "The file is cut short, damaged or of another kind: copy or make it again.",
    )


def not_a_file(name: str, path: Path) -> DataError:
    """Nothing is there, or no ordinary file."""
    if path.exists():
        return DataError(name, "must be an ordinary file", "Save the data to a file first.")
    return DataError(
        name, "does not exist", "It is a link to nothing." if path.is_symlink() else ""
    )


@contextmanager
def named(name: str) -> Iterator[None]:
    """What the system refuses, as an error that names the file."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(
            name, f"cannot be read ({error.strerror or error})", "Check its permissions."
        ) from error
    except MemoryError as error:
        raise DataError(
            name, "does not fit into memory", "Save it as float32, or take fewer rows."
        ) from error


def is_pattern(name: str) -> bool:
    """Whether the name is a glob; a file that is really called so is not."""
    return glob.has_magic(name) and not os.path.lexists(name)


def data_files(name: str) -> list[Path]:
    """The files of data that a folder or a glob stands for, all of one kind, in natural order.

    Raises:
        DataError: there is none, they are of different kinds, or a folder cannot be listed.
    """
    if is_pattern(name):
        found = [Path(p) for p in glob.glob(name, recursive=True)]  # noqa: PTH207 (absolute too)
        if not found:
            raise DataError(name, "matches no file", "Check the folder and the ending.")
        inside = [f for p in found for f in (walk(p, name) if p.is_dir() else [p])]
    else:
        inside = list(walk(Path(name), name))
    kinds = defaultdict(list)
    # beside data, and in a folder of it, .txt is mostly a note
    notes = is_pattern(name) and ending_of(Path(name)) == ".txt"
    for path in {os.path.realpath(path): path for path in reversed(inside)}.values():
        ending = ending_of(path)
        note = ending == ".txt" and not notes
        kinds["" if note else KINDS.get(ending, "")].append(path)
    others = kinds.pop("", [])
    if not kinds:
        hidden = _hidden(name)
        endings = sorted({path.suffix.lower() or path.name for path in others})
        texts = [path for path in others if ending_of(path) == ".txt"]
        what = [f"{len(others)} of {quoted(endings)}"] * bool(others)
        what += [f"{quoted(hidden)}, skipped for the _ or . at the start"] * bool(hidden)
        raise DataError(
            name,
            f"holds no file of data; it holds {' and '.join(what) or 'nothing'}",
            "Rename what is data."
            if hidden and not others
            else f"In a folder .txt is a note: name the file, {str(texts[0])!r}, or all of "
            f"them, {str(Path(texts[0].parent, '*.txt'))!r}."
            if texts
            else f"Known are {', '.join(ENDINGS)}.",
        )
    if len(kinds) > 1:
        most = Counter(path.suffix for path in max(kinds.values(), key=len))
        ending = most.most_common(1)[0][0]
        # a letter in place of the first sign of a pattern, so that "a/*" is below a
        base = Path(re.sub(r"[*?\[].*", "x", name)).parent if is_pattern(name) else name
        counts = " and ".join(
            f"{len(files)} of {kind} (such as {min(map(str, files))!r})"
            for kind, files in sorted(kinds.items())
        )
        raise DataError(
            name,
            f"must hold files of one kind; it holds {counts}",
            f"Name one kind, such as {str(Path(base, '**', f'*{ending}'))!r}, or move the others.",
        )
    return sorted(next(iter(kinds.values())), key=_natural)


def _hidden(name: str) -> list[str]:
    """Files of a known ending, and folders, that are skipped for their names' first letter."""
    found = []
    if not is_pattern(name):
        for at, folders, files in os.walk(name):
            known = [file for file in files if ending_of(Path(file)) in KINDS]
            away = [each for each in [*known, *folders] if each[0] in "._"]
            found += [str(Path(at, each).relative_to(name)) for each in away]
            folders[:] = [each for each in folders if each[0] not in "._"]
    return sorted(found)


def walk(folder: Path, origin: str) -> Iterator[Path]:
    """All visible files below, each folder once, however links go round."""
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise error

    with named(origin):
        for at, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
            status = Path(at).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = [each for each in folders if each[0] not in "._"]
            yield from (Path(at, each) for each in files if each[0] not in "._")


def partitions(paths: Sequence[Path], origin: str) -> tuple[dict[str, str | None], ...]:
    """What folders named key=value say of each file; only those below a folder or glob count.

    Raises:
        DataError: some files have a key that others have not.
    """
    fixed = len(Path(origin.split("*")[0]).parts) if is_pattern(origin) else len(Path(origin).parts)
    found = []
    for path in paths:
        pairs = [part.split("=", 1) for part in path.parent.parts[max(0, fixed - 1) :]]
        values = {p[0]: unquote(p[1]) for p in pairs if len(p) == 2 and p[0]}
        found.append({k: None if v in ("", _MISSING_PARTITION) else v for k, v in values.items()})
    for path, keys in zip(paths, found, strict=True):
        if set(keys) != set(found[0]):
            raise DataError(
                str(path),
                f"must lie in folders that give {quoted(found[0]) or 'no key'}, as {paths[0]} does;"
                f" it has {quoted(keys) or 'none'}",
            )
    return tuple(found)


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    parts: Iterable[str] = re.split(r"([0-9]+)", str(path))
    return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]
