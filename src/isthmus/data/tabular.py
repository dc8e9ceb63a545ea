"""A table of many files: one schema over all of them, compared by their footers when opened.

Columns are told apart by name; a file may have them in another order. A column of whole numbers in
one file and of fractions in another is of fractions, one without any value takes the other's kind,
short text and long are text, with or without a dictionary. A number here and a word there is an
error that names the column and both files. Files without rows are left out and listed in
``skipped``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.columns.frames import plain_type
from isthmus.data.files.paths import changed
from isthmus.data.files.shards import Shard, row_bytes
from isthmus.data.labels import values_of
from isthmus.data.matrix import (
    holds_numbers,
    is_numeric,
    is_text,
    matrix,
    numpy_type,
    refuse_others,
    without,
)
from isthmus.data.tables import drop_advice, flagged, kept, quoted, refuse_duplicates
from isthmus.data.text.agreeing import Known, Spelling, Written, differs
from isthmus.data.text.noted import Note, noted
from isthmus.data.words import AS_USUAL
from isthmus.errors import DataError

# as entries of text: a zero before other digits makes a code, but for one after a sign
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}|[+-][0-9]{1,18}")
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}")


class Tabular:
    """A :class:`isthmus.data.source.TableSource` over shards.

    Args:
        shards: in the order of their rows.
        origin: what was opened.
        drop: names of columns to leave out.
        label: name of the column that is the label of its row, and no feature.
        partitions: for every shard, columns that its folder gives, by name.
        named: whether the columns have names of their own.
        double: whether ``read`` gives float64 whatever the columns are, as for text.
        skipped: names of files that were left out.
        na_values: words that stand for a missing entry, and the numbers that they spell; None
            where nothing was said. Of text, whatever was read has none of them any more.
        notes: sentences on how the files are written, where nobody might expect it.
        spelling: how their numbers are written, where they are text.
        again: reads the files once more, as it is known how their columns were written before.
        known: how they were, as far as it was known when they were read.
        text: columns of folders' names that are text whatever they hold.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        origin: str,
        *,
        drop: Sequence[str] = (),
        label: str | None = None,
        partitions: Sequence[dict[str, str | None]] = (),
        named: bool = True,
        double: bool = False,
        skipped: Sequence[str] = (),
        na_values: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        spelling: Spelling | None = None,
        again: Callable[[Known, Sequence[str] | None], Tabular] | None = None,
        known: Known = AS_USUAL.known,
        text: Sequence[str] = (),
    ) -> None:
        self.origin = origin
        self.spelling = spelling
        self._again, self._known = again, known
        self._as_known: Tabular = self
        self.na_values = None if na_values is None else tuple(na_values)
        self.parsed = double
        empty = [not sum(shard.lengths) for shard in shards]
        self.skipped = (*skipped, *(s.name for s, e in zip(shards, empty, strict=True) if e))
        self._shards = [shard for shard, e in zip(shards, empty, strict=True) if not e]
        if not self._shards:
            raise DataError(origin, "holds no rows", "Check how it was made.")
        given = [p for p, e in zip(partitions, empty, strict=False) if not e]
        given = given or [{} for _ in self._shards]
        own = [name for name in given[0] if name in self._shards[0].schema.names]
        both = f"Column {quoted(own)} of {origin} is taken from the files, not from their folders."
        self.notes = (*notes, *([both] if {*own} - {*drop} else []))
        text = [*text, *(name for name, how in known.items() if how is None)]
        self._given = _typed(given, own, text)
        schema = _agreed(self._shards, self._given, text=double)
        refuse_duplicates(schema.names, origin)
        if label is not None and label not in schema.names:
            raise DataError(
                f"label={label!r}",
                f"must name a column of {origin}",
                f"It has {quoted(schema.names, limit=20)}.",
            )
        keep = kept(schema.names, [*drop, *([label] if label else [])], origin)
        self.schema = pa.schema([schema.field(j) for j in keep])
        self.metadata = self._shards[0].schema.metadata
        self.first = self._shards[0].name
        self.shard_names = tuple(shard.name for shard in self._shards)
        self.names = tuple(self.schema.names) if named else None
        self.feature_shape: tuple[int, ...] = (len(self.schema),)
        kinds = [numpy_type(field.type) for field in self.schema if is_numeric(field.type)]
        self.dtype = np.dtype(np.float64) if double else np.result_type(np.float32, *kinds)
        self._pieces = [(s, p) for s, shard in enumerate(self._shards) for p in _range(shard)]
        self.lengths = tuple(self._shards[s].lengths[p] for s, p in self._pieces)
        self.labels: np.ndarray | None = None
        self.label_names: tuple[str, ...] = ()
        if label is not None:
            only = pa.schema([schema.field(label)])
            parts = [t for piece in range(len(self.lengths)) for t in self._tables(piece, only)]
            self.labels = values_of(pa.concat_tables(parts).column(0))

    def as_known(self, fit: Written) -> Tabular:
        """The same rows, read as the columns of a fit were written.

        Raises:
            DataError: they are written otherwise, and cannot be read so.
        """
        known = fit.of(self.schema.names, self.names is not None)
        words = fit.na_values if self.na_values is None else self.na_values
        there = self._spelled(known, words) if self._again and self.spelling else self
        text = [name for name, how in known.items() if how is None]
        return there._of_kinds(words, text, fit.numbers if fit.named and self.names else ())

    def _spelled(self, known: Known, words: tuple[str, ...] | None) -> Tabular:
        """Text read again, where it would be read otherwise."""
        assert self._again is not None and self.spelling is not None  # noqa: S101, PT018
        if (known, words) == (self._as_known._known, self._as_known.na_values):
            return self._as_known
        here = {field.name: field.type for field in self.schema}
        others = (name for name in known if name in here)
        spelled = any(differs(here[n], self.spelling.of(n), known[n]) for n in others)
        if spelled or words != self.na_values:
            self._as_known = self._again(known, words)
            return self._as_known
        return self

    def _of_kinds(
        self, words: tuple[str, ...] | None, text: Sequence[str], numbers: Sequence[str]
    ) -> Tabular:
        """The same where these words are missing, and names of folders are text, or whole numbers,
        where these columns were."""
        kinds: dict[str, Any] = {}
        for field in self.schema:
            name = field.name
            if name in text and name in self._given[0] and not is_text(field.type):
                kinds[name] = pa.string()
            elif name in numbers and self._are_whole(name):
                kinds[name] = pa.int64()
        if words == self.na_values and not kinds:
            return self
        there = copy(self)
        there.na_values = words
        there._given = [
            {name: v.cast(kinds.get(name, v.type)) for name, v in row.items()}
            for row in self._given
        ]
        there.schema = pa.schema(
            [field.with_type(kinds.get(field.name, field.type)) for field in self.schema]
        )
        return there

    def _are_whole(self, name: str) -> bool:
        """Whether folders' names hold text in this column that spells whole numbers, as 01 does."""
        values = [row[name].as_py() for row in self._given if name in row]
        return bool(values) and all(
            v is None or (isinstance(v, str) and _DIGITS.fullmatch(v)) for v in values
        )

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """Blocks of numbers (n, D); a column of another kind is refused by name.

        Raises:
            DataError: a column is not of numbers, or the file is not what it was when opened.
        """
        for table in self.tables(piece):
            refuse_others(table.schema.names, table.columns, self.origin)
            yield matrix(table.columns).astype(self.dtype, copy=False)

    def tables(self, piece: int) -> Iterator[pa.Table]:
        """Blocks with the columns of ``schema``, and a note on how they were written."""
        note = Note(self.spelling, self.na_values, self._known if self.spelling else {})
        return (noted(table, note) for table in self._tables(piece, self.schema))

    def _tables(self, piece: int, schema: pa.Schema) -> Iterator[pa.Table]:
        s, p = self._pieces[piece]
        shard, given = self._shards[s], self._given[s]
        columns = [name for name in schema.names if name not in given]
        said = self.na_values or ()
        words = () if self.parsed else said  # of text they were missing as it was parsed
        rows = 0
        # A piece of none of the file's columns still has rows: take one to count them.
        for table in shard.tables(p, columns or shard.schema.names[:1]):
            rows += table.num_rows
            found = [
                without(pa.repeat(given[f.name], table.num_rows), said)
                if f.name in given
                else without(_cast(table.column(f.name), f.type), words)
                for f in schema
            ]
            yield pa.table(found, schema=schema)
        if rows != shard.lengths[p]:
            raise changed(shard.name)

    @property
    def row_bytes(self) -> int:
        """About the bytes that a row takes in memory as it is kept."""
        return row_bytes(self.schema)


def _range(shard: Shard) -> range:
    return range(len(shard.lengths))


def _typed(
    given: Sequence[dict[str, str | None]], left: Sequence[str], text: Sequence[str]
) -> list[dict[str, Any]]:
    """Partition values, but those that are left to the files: numbers where all of them are whole,
    and none is a code such as 01001, else text."""
    names = [name for name in given[0] if name not in left]
    typed: list[dict[str, Any]] = [{} for _ in given]
    for name in names:
        values = [g[name] for g in given]
        plain = name not in text
        whole = plain and all(v is None or _WHOLE.fullmatch(v) for v in values)
        kind = pa.int64() if whole and any(values) else pa.string()
        for row, v in zip(typed, values, strict=True):
            row[name] = pa.scalar(int(v) if v is not None and whole else v, kind)
    return typed


def _agreed(shards: Sequence[Shard], given: Sequence[dict[str, Any]], *, text: bool) -> pa.Schema:
    """The schema that all shards fit, partition columns last."""
    first = shards[0]
    kinds: dict[str, Any] = {}
    seen: dict[str, str] = {}
    for shard in shards:
        refuse_duplicates(shard.schema.names, shard.name)
        names, expected = shard.schema.names, first.schema.names
        lacks = [name for name in expected if name not in names]
        extra = [name for name in names if name not in expected]
        if lacks or extra:
            parts = [f"lacks {quoted(lacks)}"] * bool(lacks)
            parts += [f"has also {quoted(extra)}"] * bool(extra)
            raise DataError(
                shard.name,
                f"must have the columns that {first.name} has; it {' and '.join(parts)}",
                "Give files of one table only, or rename the columns.",
            )
        for field in shard.schema:
            kind = plain_type(field.type)
            if field.name not in kinds or pa.types.is_null(kinds[field.name]):
                kinds[field.name], seen[field.name] = kind, shard.name
                continue
            wider = _common(kinds[field.name], kind)
            truth = {pa.types.is_boolean(k) for k in (kinds[field.name], kind)}
            if text and len(truth) == 2 and not pa.types.is_null(kind):
                wider = None  # true is a word, as it is beside numbers in one file
            if wider is None:
                raise DataError(
                    f"column {field.name!r}",
                    f"must be of one kind in all files; it is {kinds[field.name]} in"
                    f" {seen[field.name]} and {kind} in {shard.name}",
                    f"Write it alike in both. {drop_advice([field.name])}"
                    + f" Or read it as text: {flagged('text', field.name)}." * text,
                )
            if wider != kinds[field.name]:
                kinds[field.name], seen[field.name] = wider, shard.name
    own = [(name, kinds[name]) for name in first.schema.names]
    return pa.schema([*own, *((name, value.type) for name, value in given[0].items())])


def _common(a: Any, b: Any) -> Any:
    """The kind that holds both, or None."""
    if a == b or pa.types.is_null(b):
        return a
    a, b = (k.value_type if holds_numbers(k) and pa.types.is_dictionary(k) else k for k in (a, b))
    if is_numeric(a) and is_numeric(b):
        if pa.types.is_decimal(a) or pa.types.is_decimal(b):
            return pa.float64()
        return pa.from_numpy_dtype(np.result_type(numpy_type(a), numpy_type(b)))
    plain = [k.value_type if pa.types.is_dictionary(k) else k for k in (a, b)]
    if all(is_text(k) and not pa.types.is_binary(k) for k in plain):
        return pa.large_string() if pa.large_string() in plain else pa.string()
    if all(pa.types.is_date(k) or pa.types.is_timestamp(k) for k in (a, b)):
        zones = {k.tz for k in (a, b) if pa.types.is_timestamp(k)}
        units = {k.unit if pa.types.is_timestamp(k) else "s" for k in (a, b)}
        unit = next(u for u in ("ns", "us", "ms", "s") if u in units)
        return pa.timestamp(unit, *zones) if len(zones) == 1 else None
    return None


def _cast(column: Any, kind: Any) -> Any:
    return column if column.type == kind else pc.cast(column, kind, safe=False)
