"""What a column is a column of: the kind that decides how it is encoded, seen and judged.

=========== ==================================== ===========================================
kind        inferred where                       p(x|z) of :class:`isthmus.core.joint.Joint`
=========== ==================================== ===========================================
real        any other number                     Gaussian
positive    above 0, skewness > 1, ten values at Gaussian of the logarithm
            least, and less skewed as logarithms;
            whole numbers with a mean ≥ 100 too
count       integers, or whole numbers with      negative binomial
            holes, ≥ 0, variance ≥ mean, and
            skewness > 1 or a mean below 10
binary      Boolean, or two distinct values (of  Bernoulli
            numbers: in ten entries at least)
categorical text or an Arrow dictionary          categorical
ordinal     an ordered dictionary                cumulative logits
date        a date or a timestamp                Gaussian of days
=========== ==================================== ===========================================

The negative binomial cannot vary less than the Poisson distribution, hence "variance ≥ mean".
Skewness is the third standardised moment. The rules are conveniences, not findings: a kind that is
stated is never overruled, only refused where the column cannot be it. Text that spells numbers in
every entry is numbers where it is stated to be.

Text of which nearly every row has another value names the row (an identifier, free text): no other
row says anything on it, so it is refused with the remedy to leave it out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.columns.frames import origin_of
from isthmus.data.columns.moments import Moments
from isthmus.data.tables import drop_advice, quoted
from isthmus.data.text.spelled import Looks
from isthmus.errors import DataError, InvalidParameterError

Kind = Literal["real", "positive", "count", "binary", "categorical", "ordinal", "date"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CODED: tuple[Kind, ...] = ("binary", "categorical", "ordinal")
NUMERIC: tuple[Kind, ...] = ("real", "positive", "count")
Value = str | bool | int | float

MOST_CATEGORIES = 1000
LONGEST_CATEGORY = 1000
"""Characters of a category: what is longer is free text."""
MISSING_TEXT = ("", "?")
"""Text in a data frame that stands for a missing entry; files have more of it, and read it so."""
# Distinct values remembered of a column: beyond, text is no category, and numbers are numbers.
_MOST_DISTINCT = 20_000
_FEW_ENTRIES = 10
_IDENTIFIER_SHARE, _IDENTIFIER_ENTRIES = 0.9, 20


@dataclass
class Survey:
    """What one pass over a column leaves, in bounded memory.

    Attributes:
        type: Arrow's type of the values; that of a dictionary's values for dictionaries.
        listed: the categories of a dictionary in their order, those that no row has among them;
            None without a dictionary.
        values: the distinct values, None beyond as many as are remembered.
        longest: characters of the longest text.
        looks: what text looks like that it is not taken for.
        limit: distinct values to remember. Of numbers that no one calls categories ten are enough.
        origin: where the column is from.
    """

    name: str
    type: pa.DataType
    listed: list[Value] | None = None
    ordered: bool = False
    n_rows: int = 0
    n_present: int = 0
    least: float = math.inf
    most: float = -math.inf
    whole: bool = True
    values: set[Value] | None = field(default_factory=set)
    longest: int = 0
    looks: Looks = field(default_factory=Looks)
    plain: Moments = field(default_factory=Moments)
    log: Moments = field(default_factory=Moments)
    limit: int = _MOST_DISTINCT
    origin: str = "X"

    @classmethod
    def of(cls, name: str, kind: pa.DataType, origin: str = "X") -> Survey:
        """An empty survey of a column of that Arrow type.

        Raises:
            DataError: no kind takes such a column.
        """
        dictionary = pa.types.is_dictionary(kind)
        inner = kind.value_type if dictionary else kind
        usable = is_text(inner) or is_number(inner) or pa.types.is_boolean(inner) or is_date(inner)
        if not usable or (dictionary and is_date(inner)):
            raise DataError(
                f"column {name!r} of {origin} of the type {kind}",
                "must hold numbers, text, Booleans, categories or dates",
                f"{drop_advice([name])}{_instead(inner)}",
            )
        if not dictionary:
            return cls(name, inner, origin=origin)
        return cls(name, inner, listed=[], ordered=bool(kind.ordered), origin=origin)

    def add(self, column: Any) -> None:
        """Take in one block of the column."""
        self.n_rows += len(column)
        if pa.types.is_dictionary(column.type):
            self._list(column)
            column = column.cast(column.type.value_type)
        column = without_missing(column).drop_null()
        self.n_present += len(column)
        if not len(column) or is_date(column.type):
            return
        self._measure(column)
        if is_text(column.type) and not self.dictionary:
            self.looks.add(column)
        if self.values is not None:
            self.values |= set(pc.unique(column).to_pylist())
            if len(self.values) > self.limit:
                self.values = None
        if is_number(column.type):
            numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            if not np.isfinite(numbers).all():
                raise DataError(
                    f"column {self.name!r} of {self.origin}",
                    "must hold finite numbers; an entry is infinite",
                    "Replace it, or leave it empty to mark it as missing.",
                )
            self.least = min(self.least, float(numbers.min()))
            self.most = max(self.most, float(numbers.max()))
            self.whole = self.whole and bool((numbers == np.round(numbers)).all())
            self.plain.add(numbers)
            if self.least > 0:
                self.log.add(np.log(numbers))

    @property
    def dictionary(self) -> bool:
        """Whether the column keeps codes and a dictionary."""
        return self.listed is not None

    def _list(self, column: Any) -> None:
        assert self.listed is not None  # noqa: S101  (the column is a dictionary)
        for chunk in getattr(column, "chunks", [column]):
            known = {None, *self.listed}
            self._measure(chunk.dictionary)
            here = without_missing(chunk.dictionary).to_pylist()
            self.listed += [value for value in here if value not in known]

    def _measure(self, column: Any) -> None:
        if is_text(column.type):
            self.longest = max(self.longest, pc.max(pc.utf8_length(column)).as_py() or 0)
            if self.longest > LONGEST_CATEGORY:
                self.values = None

    def categories(self) -> list[Value]:
        """The distinct values in their order.

        Raises:
            DataError: too many of them.
        """
        found = self.listed
        if found is None:
            some = self.values or ()
            found = sorted(some, key=lambda v: (isinstance(v, str), v))
        if self.values is None or len(found) > MOST_CATEGORIES:
            raise DataError(
                f"column {self.name!r} of {self.origin}",
                f"has more than {MOST_CATEGORIES} categories{self._which_look()}",
                f"{self._other()}{drop_advice([self.name])}",
            )
        return list(found)

    def kind(self) -> Kind:
        """The inferred kind.

        Raises:
            DataError: no value at all, or text that names its row.
        """
        self.refuse_empty()
        if is_date(self.type):
            return "date"
        self.refuse_long()
        n_distinct = _MOST_DISTINCT if self.values is None else len(self.values)
        if pa.types.is_boolean(self.type):
            return "binary"
        if is_text(self.type) or self.dictionary:
            n_known = n_distinct if self.listed is None else len(self.listed)
            if n_known == 2:
                return "binary"
            if self.ordered and n_known > 1:
                return "ordinal"
            many = n_distinct > _IDENTIFIER_SHARE * self.n_present or self.values is None
            if many and self.n_present >= _IDENTIFIER_ENTRIES and not self.dictionary:
                raise DataError(
                    f"column {self.name!r} of {self.origin}",
                    f"must tell rows apart by kind, not one by one; {n_distinct} of its "
                    f"{self.n_present} values differ, as in an identifier or free text"
                    f"{self._which_look()}",
                    f"{self._other()}{drop_advice([self.name])}{self._or_categories(n_distinct)}",
                )
            return "categorical"
        if n_distinct == 2 and self.n_present >= _FEW_ENTRIES:
            return "binary"
        mean, skewed = self.plain.mean, self.plain.skewness > 1
        fine = not self.whole or mean >= 100
        many = n_distinct >= _FEW_ENTRIES
        straighter = self.log.skewness < self.plain.skewness
        if self.least > 0 and skewed and fine and many and straighter:
            return "positive"
        # whole numbers with holes are floats in NumPy and pandas
        holed = self.whole and self.n_present < self.n_rows
        integers = pa.types.is_integer(self.type) or holed
        follows = self.plain.variance >= mean and (skewed or mean < 10)
        return "count" if integers and self.least >= 0 and follows else "real"

    def _which_look(self) -> str:
        look = self.looks.told()
        return f"; its entries look like {look}" if look else ""

    def _other(self) -> str:
        return f"{self.looks.remedy()} " if self.looks.told() else ""

    def _or_categories(self, n_distinct: int) -> str:
        if n_distinct > MOST_CATEGORIES:
            return ""
        stated = f"kinds={{{self.name!r}: 'categorical'}}"
        return (
            f" Or state that they are categories: {stated} (on the command line --kinds "
            f"{self.name}=categorical)."
        )

    def refuse_empty(self) -> None:
        """A column without a value cannot be learned from."""
        if not self.n_present:
            raise DataError(
                f"column {self.name!r} of {self.origin}",
                "has no value in any row",
                "Drop it, or fill it.",
            )

    def refuse_long(self) -> None:
        """Text of such a length is no name of a category, and not to be written as one."""
        if self.longest > LONGEST_CATEGORY:
            raise DataError(
                f"column {self.name!r} of {self.origin}",
                f"is free text, of up to {self.longest:,} characters; a category has at most "
                f"{LONGEST_CATEGORY:,}",
                drop_advice([self.name]),
            )

    def refuse_unfit(self, kind: Kind) -> None:
        """A stated kind that the values cannot have.

        Raises:
            DataError: they cannot.
        """
        self.refuse_empty()
        if kind in CODED:
            self.refuse_long()
        numbers = is_number(self.type) and not self.dictionary
        rule = ""
        if kind in NUMERIC and not numbers:
            rule = "takes numbers"
        elif kind == "positive" and self.least <= 0:
            rule = f"takes values above 0; the smallest is {self.least:g}"
        elif kind == "count" and (self.least < 0 or not self.whole):
            rule = "takes whole numbers of at least 0"
        elif kind == "date" and not is_date(self.type):
            rule = "takes dates and timestamps"
        elif kind in CODED and is_date(self.type):
            rule = "takes numbers, text, Booleans or categories"
        elif kind == "binary" and (self.values is None or len(self.categories()) > 2):
            rule = "takes two distinct values"
        elif kind == "ordinal" and len(self.categories()) < 2:
            rule = "takes at least two distinct values"
        if rule:
            raise DataError(
                f"column {self.name!r} of {self.origin} as kind {kind!r}",
                f"does not go together: that kind {rule}{self._which_look()}",
                f"{self._other()}State another kind.",
            )


def infer(table: pa.Table) -> dict[str, Kind]:
    """The kind of each column, by the rules above.

    Raises:
        DataError: a column that no kind takes, without a value, or that names its rows.

    >>> infer(pa.table({"age": [31.5, 40.0, 22.0], "city": ["Bonn", "Rome", "Oslo"]}))
    {'age': 'real', 'city': 'categorical'}
    """
    return {survey.name: survey.kind() for survey in surveyed([table])}


def surveyed(tables: Iterable[pa.Table]) -> list[Survey]:
    """One survey a column, from one pass over tables with the same columns."""
    surveys: list[Survey] = []
    for table in tables:
        origin = origin_of(table)[0]
        surveys = surveys or [Survey.of(str(f.name), f.type, origin) for f in table.schema]
        for survey, column in zip(surveys, table.columns, strict=True):
            survey.add(column)
    return surveys


def stated(kinds: Mapping[str, str] | None, names: Iterable[str]) -> dict[str, Kind]:
    """The kinds that a user stated, checked against the names of the columns.

    Raises:
        InvalidParameterError: no such kind, or no such column.
    """
    known = [str(name) for name in names]
    found: dict[str, Kind] = {}
    for name, kind in (kinds or {}).items():
        if str(name) not in known:
            raise InvalidParameterError(
                f"kinds={{{name!r}: {kind!r}}}", "must name columns", f"X has {quoted(known, 20)}."
            )
        if kind not in KINDS:
            raise InvalidParameterError(
                f"kinds={{{name!r}: {kind!r}}}", f"must be one of {', '.join(KINDS)}"
            )
        found[str(name)] = kind
    return found


def _instead(kind: pa.DataType) -> str:
    """How else a column of a type that no kind takes may be given."""
    if pa.types.is_duration(kind):
        return " Or give it as numbers, such as its seconds."
    if pa.types.is_time(kind):
        return " Or give it as numbers, such as its minutes since midnight."
    return " Or give it as dates." if "period" in str(kind) else ""


def without_missing(column: Any) -> Any:
    """The column with null where it is NaN, or text that stands for a missing entry."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if is_text(column.type):
        gone = pc.is_in(pc.utf8_trim_whitespace(column), pa.array(MISSING_TEXT, column.type))
        return pc.if_else(gone, pa.scalar(None, column.type), column)
    return column


def as_numbers(column: Any) -> Any:
    """A column of text as numbers where every entry spells one, such as 007.5; else as it is.

    >>> as_numbers(pa.array(["007.5", None])).to_pylist()
    [7.5, None]
    """
    if not is_text(column.type):
        return column
    try:
        return pc.cast(pc.utf8_trim_whitespace(without_missing(column)), pa.float64())
    except pa.ArrowInvalid:
        return column


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type are days or moments."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
