"""Rows and columns as the verbs read them: what is refused is told in the words of the options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isthmus.cli import _interrupts
from isthmus.errors import DataError

if TYPE_CHECKING:
    from isthmus.data.tables import Table

_DROP = "drop="


def rows(data: str | os.PathLike[str], drop: Sequence[str] = (), *, new: bool = False) -> Table:
    """The table in a file, or a bundled one; its columns may be of any kind.

    Args:
        data: as for :func:`isthmus.data.readers.read`.
        drop: names of columns to leave out.
        new: whether they are rows for a model that is there: their columns may be missing wholly.

    Raises:
        DataError: they cannot be read, or a name of ``--drop`` is not there.
    """
    with _interrupts.starting():
        from isthmus.data.readers import read

    try:
        return read(data, drop=drop, allow_empty=new, mixed=True)
    except DataError as error:
        if not error.given.startswith(_DROP):
            raise
        names = error.given.removeprefix(_DROP)
        raise DataError(f"--drop {names}", error.rule, error.remedy) from error


def column(data: str | os.PathLike[str], name: str, flag: str) -> Any:
    """The values of the column that a flag names, (N,).

    Raises:
        DataError: there is no such file, or no such column.
    """
    with _interrupts.starting():
        from isthmus.data import labels

    try:
        return labels.column(data, name)
    except DataError as error:
        if not labels.is_unknown(error, name):
            raise
        raise DataError(
            f"{flag} {name!r}", f"must name a column of {data}", error.remedy
        ) from error
