"""Rows and columns as the verbs read them: what is refused is told in the words of the options.

A single file that is small is read whole, with the words of :mod:`isthmus.data.readers`. Anything
else that :func:`isthmus.open_data` opens, and large files, are sources (:mod:`._blocks`).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli import _interrupts
from isthmus.cli._blocks import size
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.errors import DataError, InvalidParameterError, of_fit

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.data.text.agreeing import Written
    from isthmus.data.words import Words

# Bytes of a file that is read whole: as text it may take twice that in memory.
READ_WHOLE = 1 << 28


def opened(
    data: str | os.PathLike[str],
    reading: ReadingOptions = AS_USUAL,
    *,
    new: bool = False,
    sample_shape: tuple[int, ...] = (),
    known: Written | None = None,
    remembered: bool = False,
) -> Table | Source:
    """The table in a file, or a bundled one; a source where it is large, or no single file.

    Columns may be of any kind. Images are brought to the size and the colours of ``sample_shape``
    where that is the shape (C, H, W) of images, else to their commonest size.

    Args:
        data: as for :func:`isthmus.data.readers.read` or :func:`isthmus.open_data`.
        reading: how it is read.
        new: whether they are rows for a model that is there: their columns may be missing wholly.
        sample_shape: of the samples that the model takes.
        known: how the columns of the fit were written.
        remembered: whether the encoding is that of the fit, and these rows may be in UTF-8.

    Raises:
        DataError: it cannot be read, or a name of ``--drop`` is not there.
    """
    with _interrupts.starting():
        from isthmus.data.arrays.images import MAX_SKIPPED, Wanted
        from isthmus.data.opening import open_words
        from isthmus.data.readers import read

    words = replace(reading.words, fit=known, remembered=remembered)
    channels, *size = sample_shape if len(sample_shape) == 3 else (0,)
    with in_flags():
        if reading.layout is None and is_one_table(data):
            return read(data, drop=reading.left, allow_empty=new, mixed=True, words=words)
        return open_words(
            data,
            words,
            drop=reading.left,
            layout=reading.layout,
            wanted=Wanted(
                (size[0], size[1]) if size else None,
                {1: "L", 3: "RGB"}.get(channels),
                MAX_SKIPPED if reading.max_skipped is None else reading.max_skipped,
            ),
        )


def of_run(
    model: Any,
    recorded: Mapping[str, Any],
    data: str | os.PathLike[str],
    reading: ReadingOptions = AS_USUAL,
) -> tuple[Table | Source, list[str]]:
    """Rows for a model that is there: the columns of its fit by name, in the order of the fit.

    Columns that the fit dropped are left out again where they are there, and so are others. What
    was text in the fit is read as text: a file may hold no code with a leading zero by chance. And
    numbers are read as those of the fit were written.

    Args:
        model: an estimator or a detector, fitted.
        recorded: what its run says of the rows of the fit, see :meth:`ReadingOptions.recorded`; and
            ``read_shape`` where the model had images or series as flat rows.
        data: as for :func:`opened`.
        reading: how they are read, where not as in the fit. Its columns to drop and of text are
            so besides those of the fit; they must be there.

    Returns:
        The rows, and the names of columns that neither the fit had nor anyone asked to leave out.

    Raises:
        DataError: they cannot be read, a column of the fit is missing, or one to drop.
    """
    with _interrupts.starting():
        from isthmus.data.columns import choosing
        from isthmus.data.readers import names_in

    names_of_fit = getattr(model, "feature_names_in_", None)
    fitted = None if names_of_fit is None else [str(name) for name in names_of_fit]
    before, drop = ReadingOptions.of_record(recorded), reading.left
    again = before.left
    known = replace(model.written_, text=tuple(before.text or ()))
    own = replace(before, drop=reading.drop, text=reading.text, layout=reading.layout)
    remembered = reading.encoding is None
    reading = reading.or_else(own)
    shape = recorded.get("read_shape") or getattr(model, "sample_shape_", None)
    samples = None if shape is None else tuple(shape)
    extra: list[str] = []
    found: Table | Source
    refuse_features(model, data, [("--drop", name) for name in drop])
    with of_fit(fitted):
        if reading.layout is None and is_one_table(data):
            names = names_in(data, replace(reading.words, remembered=remembered))
            left = drop
            if names is not None and fitted is None:
                left = [*drop, *(n for n in again if n in names)]
            elif names is not None and fitted is not None:
                extra = _extra(names, drop, again, fitted, data)
                left = [*drop, *extra]
            how: dict[str, Any] = {"known": known, "remembered": remembered}
            found = opened(data, reading.leaving(left), new=True, **how)
        else:
            how = {"sample_shape": samples or (), "known": known, "remembered": remembered}
            found = _laid_out(data, reading, before.layout, how)
            if fitted is not None and found.names is not None:
                extra = _extra(found.names, drop, again, fitted, data)
        if found.names is None and not drop and _left_again(found, again, model.n_features_in_):
            found = opened(data, reading.leaving(again), new=True, **how)
        chosen = choosing.of_fit(
            found,
            fitted,
            type(model).__name__,
            model.n_features_in_,
            more=True,
            samples=samples,
        )
    return chosen, [name for name in extra if name not in again]


def words_for(recorded: Mapping[str, Any], reading: ReadingOptions) -> Words:
    """How text is written that :func:`of_run` reads: as it is said to be, or as in the fit."""
    said = reading.encoding
    encoding = said or ReadingOptions.of_record(recorded).encoding
    return replace(reading.words, encoding=encoding, remembered=said is None)


def said(found: Table | Source, extra: Sequence[str], data: str | os.PathLike[str]) -> list[str]:
    """Sentences on what :func:`of_run` left out, and on what became of images; mostly none."""
    from isthmus.data.tables import quoted

    told = notes(found)
    if extra:
        columns = "column" if len(extra) == 1 else "columns"
        told.append(f"Left out of {data}: {columns} {quoted(extra)}, which the fit did not have.")
    return told


def facts_of(found: Table | Source) -> dict[str, list[str]]:
    """What was done to images and which were left out, for ``--json``."""
    return {"notes": notes(found), "skipped": list(getattr(found, "skipped", ()))}


def notes(found: Table | Source) -> list[str]:
    """Sentences on what was done to images, where nobody might expect it."""
    return list(getattr(found, "notes", ()))


def _extra(
    names: Sequence[str],
    drop: Sequence[str],
    again: Sequence[str],
    fitted: Sequence[str],
    data: str | os.PathLike[str],
) -> list[str]:
    """The columns that the fit did not have, unless they are dropped by name already.

    Raises:
        DataError: a column of the fit is missing; those that it left out are no others.
    """
    from isthmus.data.columns.choosing import places

    here = [name for name in names if name not in drop]
    places([name for name in here if name not in again], fitted, os.fspath(data), more=True)
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
    reading: ReadingOptions,
    layout: str | None,
    how: Mapping[str, Any],
) -> Table | Source:
    """A source with the layout that is asked for, else with that of the fit where it fits."""
    if reading.layout is None and layout is not None:
        try:
            return opened(data, replace(reading, layout=layout), new=True, **how)
        except InvalidParameterError:  # no array, or one with other axes
            pass
    return opened(data, reading, new=True, **how)


def is_one_table(data: str | os.PathLike[str]) -> bool:
    """Whether ``read`` is for it: a small table in one file, a bundled one, or nothing at all."""
    from isthmus.data import bundled
    from isthmus.data.arrays.npz import n_axes
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


def column(data: str | os.PathLike[str], name: str, flag: str, words: Words) -> Any:
    """The values of the column that a flag names, (N,), where ``words`` may state an encoding.

    Raises:
        DataError: there is no such file, or no such column.
    """
    with _interrupts.starting():
        from isthmus.data import labels

    try:
        if not is_one_table(data):
            from isthmus.data.arrays.images import MAX_SKIPPED, Wanted
            from isthmus.data.opening import open_words

            words = replace(words, text=(), na_values=None, remembered=True)
            wanted = Wanted(None, None, MAX_SKIPPED)
            return open_words(data, words, label=name, wanted=wanted).labels
        return labels.column(data, name, words)
    except DataError as error:
        if not labels.is_unknown(error, name):
            raise
        raise DataError(
            f"{flag} {name!r}", f"must name a column of {data}", error.remedy
        ) from error


def refuse_features(
    model: Any, data: str | os.PathLike[str], named: Sequence[tuple[str, str]]
) -> None:
    """Refuse to leave out a column that the model takes, or to have it as a label.

    Args:
        model: an estimator or a detector, fitted.
        data: where the rows are from.
        named: flags and names of columns.

    Raises:
        DataError: one is a feature.
    """
    from isthmus.data.labels import is_column
    from isthmus.data.tables import as_list

    fitted = [str(name) for name in getattr(model, "feature_names_in_", ())]
    for flag, name in named:
        if name in fitted and is_column(data, name):
            drop = f"--drop {shlex.quote(as_list([name]))}"
            why = "and cannot be a label as well"
            remedy = f"Fit again without it ({drop}), then give it as a label."
            if flag == "--drop":
                why, remedy = "which needs it", f"Leave it in, or fit again with {drop}."
            raise DataError(f"{flag} {name!r}", f"is a feature of the model, {why}", remedy)


@contextmanager
def in_flags() -> Iterator[None]:
    """Within it, what is said of arguments is said of the flags that stand for them."""
    try:
        yield
    except (DataError, InvalidParameterError) as error:
        name, _, value = error.given.partition("=")
        if name not in vars(AS_USUAL):
            raise
        spelled = value
        if isinstance(error, InvalidParameterError):  # the argument itself, as Python spells it
            spelled = ",".join(re.findall(r"'([^']*)'", value)) or value
        raise type(error)(
            f"--{name.replace('_', '-')} {spelled}", error.rule, error.remedy
        ) from error
