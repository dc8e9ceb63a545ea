"""Rows and columns as the verbs read them: what is refused is told in the words of the options.

A single file that is small is read whole, with the words of :mod:`isthmus.data.readers`. Anything
else that :func:`isthmus.open_data` opens, and large files, are sources, which verbs that work row
by row take block by block, and the others by a sample.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli import _interrupts
from isthmus.errors import DataError, InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table, Words

# Bytes of a file that is read whole: as text it may take twice that in memory.
READ_WHOLE = 1 << 28
# Rows by which verbs judge that cannot go block by block.
MOST_SAMPLED = 20_000


def rows(
    data: str | os.PathLike[str],
    drop: Sequence[str] = (),
    *,
    new: bool = False,
    layout: str | None = None,
    max_skipped: float | None = None,
    words: Words | None = None,
) -> Table:
    """The table in a file, or a bundled one; its columns may be of any kind.

    Of what does not fit into memory easily, a random sample of :data:`MOST_SAMPLED` rows.

    Args:
        data: as for :func:`isthmus.data.readers.read` or :func:`isthmus.open_data`.
        drop: names of columns to leave out.
        new: whether they are rows for a model that is there: their columns may be missing wholly.
        layout: what the axes of an array are; None to tell it from its shape.
        max_skipped: largest share of images that may be left out, None for the default.
        words: which columns are text, and what stands for a missing entry; None for as usual.

    Raises:
        DataError: they cannot be read, or a name of ``--drop`` is not there.
    """
    return as_table(
        opened(data, drop, new=new, layout=layout, max_skipped=max_skipped, words=words)
    )


def opened(
    data: str | os.PathLike[str],
    drop: Sequence[str] = (),
    *,
    new: bool = False,
    layout: str | None = None,
    max_skipped: float | None = None,
    sample_shape: tuple[int, ...] = (),
    words: Words | None = None,
) -> Table | Source:
    """The same, as a source where it is large, or no single file of a table.

    Images are brought to the size and the colours of ``sample_shape`` where that is the shape
    (C, H, W) of images, else to their commonest size.

    Raises:
        DataError: it cannot be read, or a name of ``--drop`` is not there.
    """
    with _interrupts.starting():
        from isthmus.data.images import MAX_SKIPPED, Wanted
        from isthmus.data.opening import open_words
        from isthmus.data.readers import read
        from isthmus.data.tables import AS_USUAL

    words = words or AS_USUAL
    channels, *size = sample_shape if len(sample_shape) == 3 else (0,)
    with in_flags():
        if layout is None and is_one_table(data):
            return read(data, drop=drop, allow_empty=new, mixed=True, words=words)
        return open_words(
            data,
            words,
            drop=drop,
            layout=layout,
            wanted=Wanted(
                (size[0], size[1]) if size else None,
                {1: "L", 3: "RGB"}.get(channels),
                MAX_SKIPPED if max_skipped is None else max_skipped,
            ),
        )


def of_run(
    model: Any,
    recorded: Mapping[str, Any],
    data: str | os.PathLike[str],
    drop: Sequence[str] = (),
    layout: str | None = None,
    max_skipped: float | None = None,
    words: Words | None = None,
) -> tuple[Table | Source, list[str]]:
    """Rows for a model that is there: the columns of its fit by name, in the order of the fit.

    Columns that the fit dropped are left out again where they are there, and so are others. What
    was text in the fit is read as text: a file may hold no code with a leading zero by chance.

    Args:
        model: an estimator or a detector, fitted.
        recorded: what its run says of the rows of the fit: ``drop``, ``layout``, ``max_skipped``,
            ``text`` and ``na_values``; and ``sample_shape`` where the model does not know it.
        data: as for :func:`rows`.
        drop: names of columns to leave out besides; they must be there.
        layout: what the axes of an array are; by default as in the fit.
        max_skipped: largest share of images that may be left out; by default as in the fit.
        words: which columns are text besides those of the fit, and what stands for a missing
            entry; by default as in the fit.

    Returns:
        The rows, and the names of columns that neither the fit had nor anyone asked to leave out.

    Raises:
        DataError: they cannot be read, a column of the fit is missing, or one to drop.
    """
    with _interrupts.starting():
        from isthmus.data import choosing
        from isthmus.data.readers import names_in

    known = getattr(model, "feature_names_in_", None)
    fitted = None if known is None else [str(name) for name in known]
    again = list(recorded.get("drop") or [])
    words = _as_in_fit(model, recorded, words)
    extra: list[str] = []
    found: Table | Source
    if layout is None and is_one_table(data):
        names = names_in(data)
        if names is None:
            found = opened(data, drop, new=True, words=words)
        elif fitted is None:
            left = [*drop, *(n for n in again if n in names)]
            found = opened(data, left, new=True, words=words)
        else:
            extra = _extra(names, drop, fitted, data)
            found = opened(data, [*drop, *extra], new=True, words=words)
    else:
        how = {
            "sample_shape": recorded.get("sample_shape")
            or getattr(model, "sample_shape_", ())
            or (),
            "max_skipped": recorded.get("max_skipped") if max_skipped is None else max_skipped,
            "words": words,
        }
        found = _laid_out(data, drop, layout, recorded.get("layout"), how)
        if fitted is not None and found.names is not None:
            extra = _extra(found.names, drop, fitted, data)
    if found.names is None and not drop and _left_again(found, again, model.n_features_in_):
        found = opened(data, again, new=True, words=words)
    chosen = choosing.of_fit(found, fitted, type(model).__name__, model.n_features_in_, more=True)
    return chosen, [name for name in extra if name not in again]


def _as_in_fit(model: Any, recorded: Mapping[str, Any], words: Words | None) -> Words:
    """How words are read: as is said now, else as in the fit."""
    from isthmus.data.frames import is_words
    from isthmus.data.tables import AS_USUAL

    given = words or AS_USUAL
    na_values = recorded.get("na_values") if given.na_values is None else given.na_values
    encoding = getattr(model, "encoding_", None)
    columns = () if encoding is None else encoding.columns
    text = [column.name for column in columns if is_words(column.arrow_value_type)]
    return replace(
        given,
        na_values=None if na_values is None else tuple(na_values),
        known=(*(recorded.get("text") or ()), *text),
    )


def said(found: Table | Source, extra: Sequence[str], data: str | os.PathLike[str]) -> list[str]:
    """Sentences on what :func:`of_run` left out, and on what became of images; mostly none."""
    from isthmus.data.tables import quoted

    told = notes(found)
    if extra:
        columns = "column" if len(extra) == 1 else "columns"
        told.append(f"Left out of {data}: {columns} {quoted(extra)}, which the fit did not have.")
    return told


def notes(found: Table | Source) -> list[str]:
    """Sentences on what was done to images, where nobody might expect it."""
    return list(getattr(found, "notes", ()))


def _extra(
    names: Sequence[str], drop: Sequence[str], fitted: Sequence[str], data: str | os.PathLike[str]
) -> list[str]:
    """The columns that the fit did not have, unless they are dropped by name already."""
    from isthmus.data.choosing import places

    here = [name for name in names if name not in drop]
    places(here, fitted, os.fspath(data), more=True)
    return [name for name in here if name not in fitted]


def _left_again(found: Table | Source, again: Sequence[str], n_features: int) -> bool:
    """Whether columns without names are those of the fit and those that it dropped, by position.

    Raises:
        DataError: the fit knew them by names, so that nobody can tell which they are here.
    """
    from isthmus.data.tables import quoted, stand_in

    n_here = size(found)[1]
    if not again or n_here != n_features + len(again):
        return False
    here = [stand_in(j) for j in range(n_here)]
    if not set(again) <= set(here):
        raise DataError(
            found.origin,
            f"has {n_here} columns without names; the fit had {n_features}, and left out "
            f"{quoted(again)}",
            f"Name the columns, or leave out by position (--drop {here[0]} is the first).",
        )
    return True


def _laid_out(
    data: str | os.PathLike[str],
    drop: Sequence[str],
    layout: str | None,
    known: str | None,
    how: Mapping[str, Any],
) -> Table | Source:
    """A source with the layout that is asked for, else with that of the fit where it fits."""
    if layout is None and known is not None:
        try:
            return opened(data, drop, new=True, layout=known, **how)
        except InvalidParameterError:  # no array, or one with other axes
            pass
    return opened(data, drop, new=True, layout=layout, **how)


def is_one_table(data: str | os.PathLike[str]) -> bool:
    """Whether ``read`` is for it: a small table in one file, a bundled one, or nothing at all."""
    from isthmus.data import bundled
    from isthmus.data._arrays import n_axes
    from isthmus.data.readers import ENDINGS

    name = os.fspath(data)
    path = Path(name)
    try:
        if name in bundled.BUNDLED or not name:
            return True
        if path.is_file():
            small = path.suffix.lower() in ENDINGS and path.stat().st_size <= READ_WHOLE
            return small and n_axes(path) == 2
        return not path.exists() and not any(sign in name for sign in "*?[") and "::" not in name
    except (OSError, ValueError):
        return True


def as_table(found: Table | Source) -> Table:
    """A table as it is; of a source all rows, or a random sample of them."""
    from isthmus.data.tables import Table as Whole
    from isthmus.data.taking import sample

    if isinstance(found, Whole):
        return found
    return _as_table(sample(found, MOST_SAMPLED), found.origin)


def together(found: Table | Source) -> Table | None:
    """All rows as one table; None where they are too many for memory."""
    from isthmus.data.tables import Table as Whole
    from isthmus.data.taking import whole
    from isthmus.estimators._sources import fits

    if isinstance(found, Whole):
        return found
    if not fits(found):
        return None
    return _as_table(whole(found), found.origin)


def picked(source: Source, positions: Any) -> Table:
    """The rows at these positions, rising."""
    from isthmus.data.taking import take

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
    from isthmus.data.taking import tables

    if isinstance(found, Whole):
        yield found
    else:
        yield from tables(found, mixed)


def told_at_the_end(made: Iterator[Any]) -> Iterator[Any]:
    """The same blocks; what is to be said of unknown categories in all of them is said after the
    last one, before a file that is made of them is put in its place.
    """
    from isthmus.data.encoding import told_once

    with told_once():
        yield from made


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
def in_flags() -> Iterator[None]:
    """Within it, what is said of arguments is said of the flags that stand for them."""
    try:
        yield
    except (DataError, InvalidParameterError) as error:
        name, _, value = error.given.partition("=")
        if name not in ("drop", "layout", "text", "na_values"):
            raise
        spelled = value
        if isinstance(error, InvalidParameterError):  # the argument itself, as Python spells it
            spelled = ",".join(re.findall(r"'([^']*)'", value))
        raise type(error)(
            f"--{name.replace('_', '-')} {spelled}", error.rule, error.remedy
        ) from error
