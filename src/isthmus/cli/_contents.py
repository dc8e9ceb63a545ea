"""What ``info`` says of data: what is there, and what could be fitted to it. One pass, no training.

Images that cannot be decoded are counted here, however many; a fit takes a share of 1% at most.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.cli._answer import Answer, columns, number, wrapped
from isthmus.cli._reading import ReadingOptions
from isthmus.cli._words import in_bytes, plural
from isthmus.errors import DataError, by_flag

if TYPE_CHECKING:
    from isthmus.data.advice import Advice
    from isthmus.data.describe import ColumnSummary, Description
    from isthmus.data.source import Source

SHOWN = 20
_HEAD = ("column", "type", "kind", "taken for", "missing", "min", "mean", "max", "values")
_REPEATED = (
    "the same as an earlier one. Where a row is fitted and its copy held out, the held-out figures "
    "look better than they are: leave copies out, unless they are separate observations."
)


def contents(data: str, reading: ReadingOptions, every: bool) -> Answer:
    """All that is told of what :func:`isthmus.data.opening.open_data` opens.

    Args:
        data: a file, folder, glob or bundled name.
        reading: how it is read.
        every: whether all columns are listed, not the first ones only.

    Raises:
        DataError: it cannot be opened or read.
    """
    from isthmus.data.advice import advise
    from isthmus.data.arrays.images import MAX_SKIPPED
    from isthmus.data.describe import describe

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        source = _opened(data, reading)
        found = describe(source)
    told = [str(warning.message) for warning in said if warning.category is UserWarning]
    told += [note for note in getattr(source, "notes", ()) if note not in told]
    spelling = getattr(source, "spelling", None)
    n_skipped, n_images = len(found.skipped), found.rows + len(found.skipped)
    most = MAX_SKIPPED if reading.max_skipped is None else reading.max_skipped
    if n_skipped > most * n_images and told:
        allow = math.ceil(100 * n_skipped / n_images) / 100
        told.append(
            f"fit refuses more than {100 * most:g}% of them: mend or remove them first, or allow "
            f"more with --max-skipped {allow:g}."
        )
    files, advice = _n_files(data), advise(found)
    command = _command(data, reading.leaving([*reading.left, *advice.drop]), advice)
    named = getattr(source, "label_names", ()) or _distinct(source.labels)
    lines = [_head(found, source.names is not None, files)]
    if found.labels is not None:
        lines.append(f"labels: {_shortened(named, found.labels)}")
    if found.skipped:
        lines += wrapped(f"skipped: {_shortened(found.skipped, len(found.skipped))}")
    lines += [line for sentence in told for line in wrapped(sentence)]
    if found.columns is not None:
        lines += ["", *_columns(found.columns, found.rows, every)]
    elif found.minimum is not None:
        lines += ["", f"entries from {number(found.minimum)} to {number(_of(found.maximum))}"]
    if found.duplicates:
        share = f"{100 * found.duplicates / found.compared:.2g}%"
        lines += ["", *wrapped(f"{plural(found.duplicates, 'row')} ({share}) {_REPEATED}")]
    lines += ["", *_suggested(command, advice)]
    facts = {
        "kind": "table" if found.columns is not None or len(found.feature_shape) == 1 else "arrays",
        "data": source.origin,
        "n_rows": found.rows,
        "n_columns": math.prod(found.feature_shape),
        "feature_shape": found.feature_shape,
        "named": source.names is not None,
        "dtype": found.dtype,
        "bytes": found.bytes,
        "n_pieces": found.pieces,
        "n_files": files,
        "n_missing": _n_missing(found),
        "n_infinite": found.infinite,
        "n_repeated": found.duplicates,
        "n_compared": found.compared,
        "min": found.minimum,
        "max": found.maximum,
        "labels": None if found.labels is None else {"n": found.labels, "names": named},
        "skipped": found.skipped,
        "spelling": None if spelling is None else spelling.recorded(),
        "warnings": told,
        "columns": [_facts(column, found.rows) for column in found.columns or ()],
        "suggestion": {**dataclasses.asdict(advice), "command": command},
    }
    return Answer("\n".join(lines), facts)


def _opened(data: str, reading: ReadingOptions) -> Source:
    from isthmus.cli._rows import in_flags
    from isthmus.data.arrays.images import Wanted
    from isthmus.data.columns import choosing
    from isthmus.data.opening import open_words
    from isthmus.data.tables import kept, stand_in
    from isthmus.errors import InvalidParameterError

    drop = reading.left
    opened = partial(
        open_words, words=reading.words, layout=reading.layout, wanted=Wanted(max_skipped=1.0)
    )
    try:
        with in_flags():
            try:
                return opened(data, drop=drop)
            except InvalidParameterError:  # columns without names are called x0, x1, ...
                source = opened(data)
                if len(source.feature_shape) > 1 or not drop:
                    raise
                every = [stand_in(j) for j in range(source.feature_shape[0])]
                return choosing.of_source(source, kept(every, drop, source.origin))
    except DataError as error:
        if error.rule.startswith("holds no file of data"):
            raise DataError(data, f"is no run and {error.rule}", error.remedy) from error
        raise


def _n_files(data: str) -> int | None:
    """Files that were read; None of a bundled table."""
    from isthmus.data.arrays.files import is_zarr
    from isthmus.data.bundled import BUNDLED
    from isthmus.data.files.paths import data_files, is_pattern

    if data in BUNDLED:
        return None
    path = Path(data.partition("::")[0])
    many = is_pattern(data) or (path.is_dir() and not is_zarr(path))
    return len(data_files(data)) if many else 1


def _head(found: Description, named: bool, files: int | None) -> str:
    shape = found.feature_shape
    if len(shape) == 1:
        what = f"{plural(shape[0], 'column')}{'' if named else ' without names'}"
    else:
        what = f"{'images' if len(shape) == 3 else 'series'} of {' x '.join(map(str, shape))}"
    missing = _n_missing(found)
    share = f" ({100 * found.missing:.2g}% of the entries)" if missing else ""
    parts = [plural(found.rows, "row"), what]
    if not any(column.mean is None for column in found.columns or ()):
        parts.append(found.dtype)
    parts += [f"{missing or 'none'} missing{share}"]
    parts += [f"{found.infinite} infinite"] if found.infinite else []
    parts += [plural(files, "file")] if files is not None else []
    parts += [plural(found.pieces, "piece"), in_bytes(found.bytes)]
    return f"{found.origin}: {', '.join(parts)}"


def _columns(found: Sequence[ColumnSummary], n_rows: int, every: bool) -> list[str]:
    shown = found if every else found[:SHOWN]
    cells = [
        (
            column.name,
            column.type,
            _kind(column),
            _taken(column, n_rows),
            str(round(column.missing * n_rows)),
            _told(column.minimum),
            _told(column.mean),
            _told(column.maximum),
            f"{'over ' if column.capped else ''}{column.distinct}",
        )
        for column in shown
    ]
    lines = columns([_HEAD, *cells], right=(4, 5, 6, 7, 8)).split("\n")
    more = len(found) - len(shown)
    return [*lines, f"and {more} more (--all lists them)"] if more else lines


def _kind(column: ColumnSummary) -> str:
    """What the values look like; a word for a person, nothing that a model goes by."""
    from isthmus.data.advice import constant

    if column.missing == 1:
        return "empty"
    if constant(column):
        return "constant"
    if column.mean is None:
        if column.infinite:
            return "infinite"
        plain = {"date": "date", "binary": "two values", "ordinal": "ordered"}
        words = "text" if "string" in column.type else "category" if column.kind else "other"
        return plain.get(str(column.kind), words)
    low, high = column.minimum, column.maximum
    if column.whole:
        if low == 0 and high == 1:
            return "binary"
        return "counts" if low >= 0 else "whole numbers"
    if low >= 0 and high <= 1:
        return "shares (0 to 1)"
    return "positive" if low > 0 else "real"


def _taken(column: ColumnSummary, n_rows: int) -> str:
    from isthmus.data.advice import unusable

    why = unusable(column, n_rows)
    if column.missing == 1 or not why:
        return column.kind or "-"
    return "identifier" if "row" in why or "identifier" in why else "-"


def _facts(column: ColumnSummary, n_rows: int) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "kind": _kind(column),
        "taken_for": column.kind,
        "fault": column.fault or None,
        "n_missing": round(column.missing * n_rows),
        "missing": column.missing,
        "n_infinite": column.infinite,
        "min": column.minimum,
        "mean": column.mean,
        "max": column.maximum,
        "n_values": None if column.capped else column.distinct,
        "values": column.values,
    }


def _suggested(command: str | None, advice: Advice) -> list[str]:
    sentences = [by_flag(note) for note in advice.notes]
    if command is None:
        return [*(line for note in sentences for line in wrapped(note)), *wrapped(advice.reason)]
    why = f"Why: {advice.reason} isthmus compare tells whether another width is better."
    paragraphs = [*sentences, why]
    return ["Suggested:", f"  {command}", *(line for text in paragraphs for line in wrapped(text))]


def _command(data: str, reading: ReadingOptions, advice: Advice) -> str | None:
    """The command line to copy; None where nothing can be fitted."""
    if advice.likelihood is None:
        return None
    # what is left out is not read
    text = tuple(name for name in reading.text or () if name not in reading.left)
    words = ["isthmus", "fit", data, *dataclasses.replace(reading, text=text).flags()]
    words += ["--model", advice.model]
    words += ["--likelihood", advice.likelihood]
    words += ["--network", advice.network] if advice.network else []
    words += ["--noise", advice.noise] if advice.noise else []
    words += ["--n-components", str(advice.n_components), "--out", "runs/a"]
    return shlex.join(words)


def _n_missing(found: Description) -> int:
    if found.columns is not None:
        return sum(round(column.missing * found.rows) for column in found.columns)
    return round(found.missing * found.rows * math.prod(found.feature_shape))


def _distinct(labels: Any) -> list[str]:
    return [] if labels is None else [str(label) for label in sorted(set(labels.tolist()), key=str)]


def _shortened(names: Sequence[str], n: int) -> str:
    shown = ", ".join(map(str, names[:10]))
    return f"{n} ({shown}{', ...' if n > 10 else ''})"


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return number(float(value))
    text = str(value)
    return text.removesuffix(" 00:00:00")


def _of(value: float | None) -> float:
    return math.nan if value is None else value
