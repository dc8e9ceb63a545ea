"""Rows and columns as the verbs read them: what is refused is told in the words of the options.

A single file that is small is read whole, with the words of :mod:`isthmus.data.readers`. Anything
else that :func:`isthmus.open_data` opens, and large files, are sources, which verbs that work row
by row take block by block, and the others by a sample.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli import _interrupts
from isthmus.errors import DataError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table

_DROP = "drop="
# Bytes of a file that is read whole: as text it may take twice that in memory.
READ_WHOLE = 1 << 28
# Rows by which verbs judge that cannot go block by block.
MOST_SAMPLED = 20_000


def rows(data: str | os.PathLike[str], drop: Sequence[str] = (), *, new: bool = False) -> Table:
    """The table in a file, or a bundled one; its columns may be of any kind.

    Of what does not fit into memory easily, a random sample of :data:`MOST_SAMPLED` rows.

    Args:
        data: as for :func:`isthmus.data.readers.read` or :func:`isthmus.open_data`.
        drop: names of columns to leave out.
        new: whether they are rows for a model that is there: their columns may be missing wholly.

    Raises:
        DataError: they cannot be read, or a name of ``--drop`` is not there.
    """
    from isthmus.data.tables import Table as Whole

    found = opened(data, drop, new=new)
    return found if isinstance(found, Whole) else sampled(found)


def opened(
    data: str | os.PathLike[str], drop: Sequence[str] = (), *, new: bool = False
) -> Table | Source:
    """The same, as a source where it is large, or no single file of a table.

    Raises:
        DataError: it cannot be read, or a name of ``--drop`` is not there.
    """
    with _interrupts.starting():
        from isthmus.data.opening import open_data
        from isthmus.data.readers import read

    with _in_flags():
        if is_one_table(data):
            return read(data, drop=drop, allow_empty=new, mixed=True)
        return open_data(data, drop=drop)


def is_one_table(data: str | os.PathLike[str]) -> bool:
    """Whether ``read`` is for it: a small table in one file, a bundled one, or nothing at all."""
    from isthmus.data import bundled
    from isthmus.data._arrays import n_axes
    from isthmus.data.readers import ENDINGS

    name = os.fspath(data)
    path = Path(name)
    try:
        if name in bundled.BUNDLED or not name or (path / "config.json").is_file():
            return True
        if path.is_file():
            small = path.suffix.lower() in ENDINGS and path.stat().st_size <= READ_WHOLE
            return small and (path.suffix.lower() != ".npy" or n_axes(path) == 2)
        return not path.exists() and not any(sign in name for sign in "*?[") and "::" not in name
    except (OSError, ValueError):
        return True


def sampled(source: Source) -> Table:
    """A table of the source's rows, or of a random sample of them."""
    from isthmus.estimators._sources import sample

    return _as_table(sample(source, MOST_SAMPLED), source.origin)


def together(found: Table | Source) -> Table | None:
    """All rows as one table; None where they are too many for memory."""
    from isthmus.data.tables import Table as Whole
    from isthmus.estimators._sources import fits, whole

    if isinstance(found, Whole):
        return found
    if not fits(found):
        return None
    return _as_table(whole(found), found.origin)


def picked(source: Source, positions: Any) -> Table:
    """The rows at these positions, rising."""
    from isthmus.estimators._sources import take

    return _as_table(take(source, positions), source.origin)


def _as_table(found: Any, origin: str) -> Table:
    from isthmus.data.readers import table_of
    from isthmus.data.tables import Table as Whole

    return found if isinstance(found, Whole) else table_of(found, origin)


def size(found: Table | Source) -> tuple[int, int]:
    """Rows and features."""
    from isthmus.data.source import n_rows
    from isthmus.data.tables import Table as Whole

    if isinstance(found, Whole):
        n, d = found.values.shape
        return int(n), int(d)
    return n_rows(found), math.prod(found.feature_shape)


def blocks(found: Table | Source, *, mixed: bool) -> Iterator[Any]:
    """What an estimator takes, in order: a table whole, a source block by block.

    Args:
        found: of :func:`opened`.
        mixed: whether the model is of a table with columns of any kind.
    """
    from isthmus.data.tables import Table as Whole
    from isthmus.estimators._sources import tables

    if isinstance(found, Whole):
        yield found
    else:
        yield from tables(found, mixed)


def column(data: str | os.PathLike[str], name: str, flag: str) -> Any:
    """The values of the column that a flag names, (N,).

    Raises:
        DataError: there is no such file, or no such column.
    """
    with _interrupts.starting():
        from isthmus.data import labels

    try:
        if not is_one_table(data):
            from isthmus.data.opening import open_data

            return open_data(data, label=name).labels
        return labels.column(data, name)
    except DataError as error:
        if not labels.is_unknown(error, name):
            raise
        raise DataError(
            f"{flag} {name!r}", f"must name a column of {data}", error.remedy
        ) from error


@contextmanager
def _in_flags() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if not error.given.startswith(_DROP):
            raise
        names = error.given.removeprefix(_DROP)
        raise DataError(f"--drop {names}", error.rule, error.remedy) from error
