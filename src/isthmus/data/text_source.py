"""Files of separated text as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from isthmus.data.files.paths import named
from isthmus.data.tabular import Tabular
from isthmus.data.text.agreeing import Known
from isthmus.data.text.blocks import is_blank, shards_as_written, text_shards
from isthmus.data.text.parsing import TextFile
from isthmus.data.text.settling import common, told
from isthmus.data.words import Words
from isthmus.errors import DataError


def source_of_text(
    paths: Sequence[Path],
    origin: str,
    given: Sequence[dict[str, str | None]],
    *,
    drop: Sequence[str],
    label: str | None,
    words: Words,
    as_written: bool,
) -> Tabular:
    """The rows of all files.

    Args:
        paths: of the files, in the order of their rows.
        origin: what was opened.
        given: for every file, columns that its folder gives.
        drop: names of columns to leave out.
        label: name of the column that labels the rows.
        words: which columns are text, and what stands for a missing entry.
        as_written: whether every column is text as it is written, and nothing is missing.

    Raises:
        DataError: empty, ragged, not UTF-8, of different columns, or with words among numbers.
    """
    files, skipped, extra = [], [], []
    keys = given[0].keys()
    own = [name for name in drop if name not in keys]
    for path, keyed in zip(paths, given, strict=True):
        name = str(path)
        with named(name):
            if len(paths) > 1 and is_blank(path):
                skipped.append(name)
                continue
            if not path.stat().st_size:
                raise DataError(name, "is empty", "Check how it was made.")
            files.append(TextFile.of(path, name, words))
            extra.append(keyed)
    if not files:
        raise DataError(origin, "holds no rows", "Check how it was made.")
    unnamed = [file.name for file in files if file.layout.names is None]
    if unnamed and len(unnamed) < len(files):
        first = next(file.name for file in files if file.layout.names is not None)
        raise DataError(unnamed[0], f"must have a header, as {first} has", "Add the line of names.")
    words.check([*files[0].labels, *keys], origin)
    features = [name for name in (*files[0].labels, *keys) if name not in (*drop, label)]
    words = words.among(features, not unnamed)

    def again(known: Known, na_values: Sequence[str] | None) -> Tabular:
        missing = None if na_values is None else tuple(na_values)
        return source_of_text(
            paths,
            origin,
            given,
            drop=drop,
            label=label,
            words=replace(words, known=known, na_values=missing),
            as_written=False,
        )

    notes, spelling = list[str](), None
    if as_written:
        shards = shards_as_written(files, origin)
    else:
        parsed = text_shards(files, origin, own, words)
        shards, notes = [each.shard for each in parsed], told(parsed, origin)
        spelling = common(parsed)
    if not any(sum(shard.lengths) for shard in shards):
        raise DataError(origin, "has a header but no rows", "Check how it was made.")
    return Tabular(
        shards,
        origin,
        drop=[name for name in drop if name in keys],
        label=label,
        partitions=extra,
        named=not unnamed,
        double=True,
        skipped=skipped,
        notes=notes,
        spelling=spelling,
        again=None if as_written else again,
        known=words.known,
        na_values=words.na_values,
        text=words.text,
    )
