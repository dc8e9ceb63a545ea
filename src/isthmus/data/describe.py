"""What a source holds, before anything is trained on it: one pass, in bounded memory.

Per column: its type, the share that is missing, the smallest and the largest entry, the mean, how
many different values it has, counted up to a cap, and the kind that a mixed table would take it for
(:mod:`isthmus.data.columns.kinds`). Over all: rows, bytes, pieces, range, and how many of
the first million rows are an exact repetition of an earlier one (told by 64-bit hashes: for a
million different rows, the chance of a false repetition is 3 in 100 million).
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.columns.kinds import Kind, Survey, is_number
from isthmus.data.files.shards import row_bytes
from isthmus.data.matrix import is_numeric
from isthmus.data.source import Source, TableSource, n_bytes, n_rows
from isthmus.data.tables import stand_in
from isthmus.errors import DataError

MAX_DISTINCT = 1000
MAX_HASHED = 1_000_000
_NUMBERS_SEEN = 10
_MAX_COLUMNS = 4096
"""Columns of an array without names that are told one by one."""


@dataclass(frozen=True)
class ColumnSummary:
    """One column.

    Args:
        name: of the column.
        type: Arrow's, in words.
        missing: share of entries that are missing, NaN included.
        infinite: number of infinite entries.
        minimum: smallest entry that is not missing; None for text and where there is none.
        maximum: largest.
        distinct: number of different entries, missing ones left out, at most ``MAX_DISTINCT``.
        capped: whether there are more.
        values: the different entries as text where there are at most 20, in order.
        mean: of numbers, None where there is none, or an infinite one.
        variance: likewise, divided by their number.
        skewness: likewise, the third standardised moment.
        whole: whether all are whole numbers.
        rising: 1 where every number is the one before plus 1, 0 where only above it; else None.
        kind: what :mod:`isthmus.data.columns.kinds` takes it for; None where for nothing.
        fault: why it does not, in words; empty where it does.
        looks: what text looks like that it is not taken for, and the remedy; mostly empty.
    """

    name: str
    type: str
    missing: float
    infinite: int
    minimum: Any
    maximum: Any
    distinct: int
    capped: bool
    values: tuple[str, ...]
    mean: float | None = None
    variance: float | None = None
    skewness: float | None = None
    whole: bool = False
    rising: int | None = None
    kind: Kind | None = None
    fault: str = ""
    looks: str = ""


@dataclass(frozen=True)
class Description:
    """All of a source.

    Args:
        origin: what was opened.
        rows: N.
        bytes: about what all rows take in memory.
        pieces: that are read in one go.
        feature_shape: of a row.
        dtype: of the entries as numbers.
        minimum: smallest finite or infinite number of all; None where there is none.
        maximum: largest.
        missing: share of all entries that are missing.
        infinite: number of infinite entries.
        duplicates: rows among the first ``compared`` that repeat an earlier one.
        compared: rows that were compared.
        columns: of a table; None for images and series.
        labels: number of different labels; None where there are none.
        skipped: files or images that were left out.
        overall: all entries as if they were one column, where columns are not told one by one.
    """

    origin: str
    rows: int
    bytes: int
    pieces: int
    feature_shape: tuple[int, ...]
    dtype: str
    minimum: float | None
    maximum: float | None
    missing: float
    infinite: int
    duplicates: int
    compared: int
    columns: tuple[ColumnSummary, ...] | None
    labels: int | None
    skipped: tuple[str, ...]
    overall: ColumnSummary | None = None


def describe(source: Source) -> Description:
    """Read a source once and say what it holds.

    Args:
        source: as :func:`isthmus.open_data` gives it.

    Raises:
        DataError: it cannot be read.

    >>> from isthmus.data.opening import open_data
    >>> found = describe(open_data("wine"))
    >>> found.rows, found.columns[0].name, found.columns[0].minimum, found.duplicates
    (178, 'alcohol', 11.03, 0)
    """
    table = isinstance(source, TableSource)
    (width, *others) = source.feature_shape
    columns: list[_Column] = []
    whole = _Column("", pa.float64())
    hashes = _Hashes()
    for block in _blocks(source, apart=table or (not others and width <= _MAX_COLUMNS)):
        if isinstance(block, np.ndarray):
            flat = block.reshape(len(block), -1)
            whole.add(pa.array(flat.ravel()), count=False)
            hashes.add(_row_hashes(flat.T))
            continue
        columns = columns or [_Column(f.name, f.type) for f in block.schema]
        for column, values in zip(columns, block.columns, strict=True):
            column.add(values)
        if hashes.room:
            hashes.add(_row_hashes([_as_numbers(values) for values in block.columns]))
    parts = [column for column in columns if is_numeric(column.type)] or [whole]
    entries = sum(column.rows for column in columns) or whole.rows
    lows = [p.minimum for p in parts if p.minimum is not None]
    highs = [p.maximum for p in parts if p.maximum is not None]
    return Description(
        origin=source.origin,
        rows=n_rows(source),
        bytes=_bytes(source),
        pieces=len(source.lengths),
        feature_shape=source.feature_shape,
        dtype=str(source.dtype),
        minimum=float(min(lows)) if lows else None,
        maximum=float(max(highs)) if highs else None,
        missing=sum(c.missing for c in columns or [whole]) / entries,
        infinite=sum(c.infinite for c in columns or [whole]),
        duplicates=hashes.repeated(),
        compared=hashes.rows,
        columns=tuple(column.summary() for column in columns) if columns else None,
        labels=None if source.labels is None else len(np.unique(source.labels)),
        skipped=tuple(getattr(source, "skipped", ())),
        overall=None if columns else whole.summary(),
    )


def _blocks(source: Source, *, apart: bool) -> Iterator[pa.Table | np.ndarray]:
    """Tables where columns are told apart, else arrays."""
    for piece in range(len(source.lengths)):
        if isinstance(source, TableSource):
            yield from source.tables(piece)
            continue
        for block in source.read(piece):
            names = source.names or [stand_in(j) for j in range(block.shape[1])]
            columns = [pa.array(np.ascontiguousarray(c)) for c in block.T] if apart else []
            yield pa.table(columns, names=list(names)) if apart else block


def _bytes(source: Source) -> int:
    if isinstance(source, TableSource):
        return row_bytes(source.schema) * n_rows(source)
    return n_bytes(source)


@dataclass
class _Column:
    """What is known of a column so far."""

    name: str
    type: Any
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    minimum: Any = None
    maximum: Any = None
    seen: set[Any] = field(default_factory=set)
    capped: bool = False
    survey: Survey | None = None
    fault: str = ""
    steps: tuple[float, float] = (math.inf, -math.inf)
    last: float | None = None

    def __post_init__(self) -> None:
        if pa.types.is_null(self.type):
            return
        try:
            self.survey = Survey.of(self.name, self.type)
        except DataError as error:
            self.fault = error.rule
            return
        if is_number(self.survey.type) and not self.survey.dictionary:
            self.survey.limit = _NUMBERS_SEEN

    def add(self, values: Any, *, count: bool = True) -> None:
        """The next rows."""
        self.rows += len(values)
        self._survey(values)
        if pa.types.is_dictionary(self.type):
            values = pc.cast(values, self.type.value_type)
        kind = values.type
        if pa.types.is_floating(kind):
            if kind == pa.float16():
                values = pc.cast(values, pa.float32())
            values = pc.if_else(pc.is_nan(values), None, values)
            self.infinite += pc.sum(pc.is_inf(values)).as_py() or 0
        self.missing += values.null_count
        values = values.drop_null()
        if not len(values) or not _has(pc.unique, kind):
            self.capped |= not _has(pc.unique, kind)
            return
        if (is_numeric(kind) or pa.types.is_temporal(kind)) and (ends := _ends(values)):
            low, high = map(_python, ends)
            self.minimum = low if self.minimum is None else min(low, self.minimum)
            self.maximum = high if self.maximum is None else max(high, self.maximum)
        if count and not self.capped:
            self.seen.update(map(_python, pc.unique(values)))
            if len(self.seen) > MAX_DISTINCT:
                self.capped = True
                self.seen.clear()

    def _survey(self, values: Any) -> None:
        if self.survey is None:
            return
        try:
            self.survey.add(values)
        except DataError as error:
            self.survey, self.fault = None, error.rule
            return
        if math.isnan(self.steps[0]) or not is_number(values.type) or not len(values):
            return
        if values.null_count or not self.survey.whole:
            self.steps = (math.nan, math.nan)
            return
        numbers = np.asarray(values.cast(pa.float64(), safe=False), np.float64)
        steps = np.diff(numbers, prepend=[] if self.last is None else [self.last])
        if len(steps):
            low, high = self.steps
            self.steps = (min(low, float(steps.min())), max(high, float(steps.max())))
        self.last = float(numbers[-1])

    def _judged(self) -> dict[str, Any]:
        """What the survey found."""
        found = self.survey
        if found is None or not found.n_present:
            return {"fault": self.fault or "has no value in any row"}
        judged: dict[str, Any] = {}
        if look := found.looks.told():
            judged["looks"] = f"like {look}. {found.looks.remedy()}"
        if is_number(found.type):
            moments = {
                name: getattr(found.plain, name) for name in ("mean", "variance", "skewness")
            }
            judged = {**moments, "whole": found.whole}
            if 0 < self.steps[0] <= self.steps[1]:
                judged["rising"] = int(self.steps == (1.0, 1.0))
        try:
            kind = found.kind()
            if kind in ("categorical", "ordinal"):
                found.categories()  # raises where there are too many
            return judged | {"kind": kind}
        except DataError as error:
            return judged | {"fault": error.rule}

    def summary(self) -> ColumnSummary:
        """As it is told."""
        few = sorted(self.seen) if len(self.seen) <= 20 else []
        return ColumnSummary(
            self.name,
            str(self.type),
            self.missing / self.rows,
            self.infinite,
            self.minimum,
            self.maximum,
            MAX_DISTINCT if self.capped else len(self.seen),
            self.capped,
            tuple(str(value) for value in few),
            **self._judged(),
        )


@functools.cache
def _has(function: Callable[[Any], Any], kind: pa.DataType) -> bool:
    """Whether Arrow has the function for values of this type, which none has for all types.

    >>> [_has(pc.min_max, kind) for kind in (pa.int8(), pa.duration("s"), pa.list_(pa.int8()))]
    [True, False, False]
    """
    try:
        function(pa.nulls(0, kind))
    except (pa.ArrowException, TypeError):
        return False
    return True


def _ends(values: Any) -> list[Any] | None:
    """The smallest and the largest value; None of a type that Arrow does not order."""
    kind = values.type
    if pa.types.is_duration(kind):  # in whole units, which Arrow orders
        values = values.cast(pa.int64())
    if not _has(pc.min_max, values.type):
        return None
    ends = pc.min_max(values)
    return [ends[end].cast(kind) for end in ("min", "max")]


def _python(scalar: Any) -> Any:
    """A date beyond Python's own is told by its number."""
    try:
        return scalar.as_py()
    except (ArithmeticError, ValueError):
        return scalar.value


class _Hashes:
    """Hashes of the first rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._parts: list[np.ndarray] = []

    @property
    def room(self) -> int:
        """Rows that are still compared."""
        return MAX_HASHED - self.rows

    def add(self, hashes: np.ndarray) -> None:
        """The next rows."""
        part = hashes[: self.room]
        self._parts.append(part)
        self.rows += len(part)

    def repeated(self) -> int:
        """Rows whose hash an earlier row has."""
        return self.rows - len(np.unique(np.concatenate(self._parts))) if self._parts else 0


def _row_hashes(columns: Any) -> np.ndarray:
    """One 64-bit number for every row, from columns of numbers (splitmix64, chained)."""
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        if column.dtype != np.uint64:
            real = np.asarray(column, np.float64) + 0.0  # -0.0 becomes 0.0
            column = np.where(np.isnan(real), np.nan, real).view(np.uint64)
        total += column + np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            total = (total ^ (total >> np.uint64(shift))) * np.uint64(factor)
        total ^= total >> np.uint64(31)
    return total


def _as_numbers(column: Any) -> np.ndarray:
    """Numbers as they are, NaN where missing; words, dates and lists by a hash of their text."""
    if is_numeric(column.type):
        return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy())
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if not _has(pc.dictionary_encode, column.type):
        words = column.to_pylist()
        return np.array([_digest(word) for word in words], np.uint64)
    coded = column.dictionary_encode().combine_chunks()
    table = [_digest(word) for word in map(_python, coded.dictionary)]
    codes = pc.fill_null(coded.indices, len(table)).to_numpy(zero_copy_only=False)
    hashes: np.ndarray = np.array([*table, 0], np.uint64)[codes]
    return hashes


def _digest(word: Any) -> int:
    return int.from_bytes(hashlib.blake2b(repr(word).encode(), digest_size=8).digest(), "little")
