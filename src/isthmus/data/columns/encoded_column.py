"""One column of an encoding: numbers in, numbers out, and what it takes to go back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from isthmus.data.columns import frames, given_back
from isthmus.data.columns.kinds import (
    CODED,
    MOST_CATEGORIES,
    Kind,
    Survey,
    as_numbers,
    is_date,
    is_number,
    without_missing,
)
from isthmus.data.numbers import LARGEST, beyond_range, is_no_number
from isthmus.data.tables import shown
from isthmus.errors import DataError

_MICROSECONDS = 86_400_000_000
_LARGEST_LOG = 709.0
TRUTHS = "truth values, and numbers in the fit: true is taken for 1, false for 0"
_Category = Annotated[str, Field(max_length=100_000)] | bool | int | float


@dataclass(frozen=True)
class Place:
    """Where the rows of a column are from.

    Args:
        origin: as the user named it.
        first: how many rows there are before the first of these.
    """

    origin: str = "X"
    first: int = 0

    def misfit(self, name: str, off: Any, values: Any, rule: str, remedy: str) -> DataError:
        """The error on the first entry that is ``off``, (N,), of a column with these values."""
        row = int(np.asarray(off).argmax())
        value = values[row]
        told = shown(value.as_py()) if isinstance(value, pa.Scalar) else f"{value:g}"
        where = f"row {self.first + row + 1}, column {name!r} of {self.origin}"
        return DataError(f"{told} in {where}", rule, remedy)


class Column(BaseModel):
    """One column: its name, kind, categories and the type to give back.

    Attributes:
        name: as in the table.
        kind: one of :data:`isthmus.data.columns.kinds.KINDS`.
        type: Arrow's name of the type of a value.
        zone: time zone of a timestamp.
        dictionary: whether the table kept codes and a dictionary, ``ordered`` or not.
        categories: in the order of their codes; none for numbers and dates.
        pandas: pandas' name of the type, where it was a DataFrame.
        holes: whether an entry was missing in the rows of the fit.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    kind: Kind
    type: Annotated[str, Field(max_length=40)]
    zone: str | None = None
    dictionary: bool = False
    ordered: bool = False
    categories: Annotated[tuple[_Category, ...], Field(max_length=MOST_CATEGORIES, strict=False)]
    pandas: str | None = None
    holes: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        coded = self.kind in CODED
        if coded != bool(self.categories):
            raise ValueError(f"a {self.kind} column with {len(self.categories)} categories")
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("a category twice")
        if self.kind == "binary" and len(self.categories) > 2:
            raise ValueError("a binary column with more than two categories")
        plain = self.arrow_value_type  # a ValueError where there is no such type
        fits = is_date(plain) if self.kind == "date" else coded or is_number(plain)
        if not fits:
            raise ValueError(f"a {self.kind} column of the type {self.type}")
        try:
            pa.array(self.categories, plain)
            given_back.check_zone(self.zone, plain)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{str(error)[:100]}, in the type {self.type}") from None
        dictionary = self.dictionary or self.pandas is None
        if not dictionary and given_back.refused(self.pandas or "", plain):
            raise ValueError(f"pandas' type {self.pandas!r:.40} for the type {self.type}")
        return self

    @property
    def arrow_value_type(self) -> pa.DataType:
        """Type of a value."""
        if self.type.startswith("timestamp["):
            return pa.timestamp(self.type[10:-1], self.zone)
        found: pa.DataType = pa.type_for_alias(self.type)
        return found

    def encode(self, column: Any, place: Place = Place()) -> tuple[np.ndarray, list[Any]]:
        """(N,) float64, and the values that are none of the categories.

        Raises:
            DataError: an entry that the kind cannot have; ``place`` says where the rows are from.
        """
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        column = without_missing(column)
        if pa.types.is_null(column.type):
            return np.full(len(column), np.nan), []
        if self.kind in CODED:
            return self._codes(column)
        if self.kind == "date":
            if not is_date(column.type):
                raise self._unfit(column, "a date", place)
            moments = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            days = frames.numbers(moments.cast(pa.int64())) / _MICROSECONDS
            return days, []
        column = as_numbers(column)
        if not is_number(column.type) and not pa.types.is_boolean(column.type):
            raise self._unfit(column, "a number", place)
        values = frames.numbers(column)
        real = f"kinds={{{self.name!r}: 'real'}} (on the command line --kinds {self.name}=real)"
        mend = f"Mend it, or fit again with {real}."
        if self.kind == "positive":
            low = values <= 0
            if low.any():
                rule = "must be above 0: its kind is 'positive'"
                raise place.misfit(self.name, low, values, rule, mend)
            values = np.log(values)
        elif self.kind == "count":
            off = (values < 0) | ((values != np.round(values)) & ~np.isnan(values))
            if off.any():
                rule = "must be a whole number of at least 0: its kind is 'count'"
                raise place.misfit(self.name, off, values, rule, mend)
        beyond = np.abs(values) > LARGEST
        if beyond.any():
            raise place.misfit(self.name, beyond, values, *beyond_range(values[beyond][0]))
        return values, []

    def taken(self, given: pa.DataType) -> str:
        """What a column of this type is taken for, where nobody might expect it; else empty.

        >>> dose = Column(name="dose", kind="real", type="double", categories=())
        >>> dose.taken(pa.bool_())
        'truth values, and numbers in the fit: true is taken for 1, false for 0'
        """
        if self.kind not in CODED and self.kind != "date" and pa.types.is_boolean(given):
            return TRUTHS
        own = self.arrow_value_type
        if self.kind == "date" and is_date(given):
            here, was = (getattr(kind, "tz", None) for kind in (given, own))
            if was and not here:
                return f"times without a zone, and the fit had {was}: they are taken for UTC"
            if here and not was:
                return f"times of {here}, and the fit had no zone: they are taken for those of UTC"
        return ""

    def _codes(self, column: Any) -> tuple[np.ndarray, list[Any]]:
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        coded = column.dictionary_encode()
        index = {value: float(code) for code, value in enumerate(self.categories)}
        here = coded.dictionary.to_pylist()
        truths = {_truth(value): code for value, code in index.items()}
        both = {pa.types.is_boolean(self.arrow_value_type), pa.types.is_boolean(column.type)}
        if len(both) == 2 and len(truths) == len(index):  # true here, a word or 1 there
            table = np.array([truths.get(_truth(value), -1.0) for value in here] + [np.nan])
        else:
            table = np.array([index.get(value, -1.0) for value in here] + [np.nan])
        places = coded.indices.fill_null(len(here)).to_numpy(zero_copy_only=False)
        codes = table[places]
        unknown = [here[i] for i in np.unique(places[codes == -1.0])]
        return codes, unknown

    def type_filled(self, given: pa.DataType) -> pa.DataType:
        """Type of a column of the type ``given`` with its holes filled: that type, but wider where

        - it cannot hold the categories, or its codes are too few for them;
        - it is Boolean and the kind takes numbers, or it has no type at all.

        Whole numbers stay whole, and what is filled in is rounded.
        """
        dictionary = pa.types.is_dictionary(given)
        plain = given.value_type if dictionary else given
        own = self.arrow_value_type
        if pa.types.is_null(plain):
            return self.decode(np.empty(0)).type
        if self.kind in CODED:
            plain = plain if _holds(plain, self.categories, own) else own
        elif self.kind != "date" and pa.types.is_boolean(plain):
            plain = pa.float64()
        if not dictionary or self.kind not in CODED:
            return plain
        few = len(self.categories) > np.iinfo(given.index_type.to_pandas_dtype()).max
        return pa.dictionary(pa.int32() if few else given.index_type, plain, given.ordered)

    def fill(self, column: Any, gone: np.ndarray, made: np.ndarray) -> Any:
        """The column (N,), where ``gone`` (N,) with the values of ``made`` (N,), encoded."""
        kind = self.type_filled(column.type)
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if self.kind in CODED and (inner is not kind or kind != column.type):
            most = len(self.categories) - 1
            own = self.encode(column)[0]
            kept = _kept(column, (own < 0) & ~gone, inner)  # of no code
            codes = np.where(gone | (own < 0), np.clip(np.round(made), 0, most), own)
            indices = pa.array(np.nan_to_num(codes), mask=np.isnan(codes)).cast(pa.int32())
            values = pa.array(self.categories, self.arrow_value_type).cast(inner)
            plain = values.take(indices)
            plain = plain if kept is None else pc.if_else(kept.is_valid(), kept, plain)
            if inner is kind:
                return plain
            return _coded(plain, values, kind)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if self.kind == "date":
            return pc.if_else(pa.array(gone), _moments(made, np.isnan(made), kind), column)
        filling = self.decode(made)
        if pa.types.is_dictionary(filling.type):
            filling = filling.cast(filling.type.value_type)
        return pc.if_else(pa.array(gone), _fitted(filling, kind), column.cast(kind))

    def _unfit(self, column: Any, what: str, place: Place) -> DataError:
        odd = np.asarray(column.is_valid())
        if frames.is_words(column.type) and self.kind != "date":
            off = [odd[i] and is_no_number(value) for i, value in enumerate(column.to_pylist())]
            odd = np.array(off) if any(off) else odd
        return place.misfit(
            self.name,
            odd,
            column,
            f"must be {what}, as in the fit: the kind of the column is {self.kind!r}",
            "Mend it, or fit again to rows that have it so.",
        )

    def decode(self, values: np.ndarray) -> Any:
        """(N,) float64 → an Arrow array of the type that the column had."""
        gone = np.isnan(values)
        plain = self.arrow_value_type
        if self.kind in CODED:
            most = len(self.categories) - 1
            codes = np.clip(np.round(np.where(gone, 0.0, values)), 0, most).astype(np.int32)
            indices = pa.array(codes, mask=gone)
            array = pa.DictionaryArray.from_arrays(
                indices, pa.array(self.categories, plain), ordered=self.ordered
            )
            return array if self.dictionary else array.cast(plain)
        if self.kind == "date":
            return _moments(values, gone, plain)
        if self.kind == "positive":
            values = np.exp(np.minimum(values, _LARGEST_LOG))
        if self.kind == "count":
            values = np.maximum(np.round(values), 0.0)
        return (
            _whole(values, gone, plain)
            if pa.types.is_integer(plain)
            else (pa.array(values, mask=gone).cast(plain, safe=False))
        )


def _kept(column: Any, unknown: np.ndarray, kind: pa.DataType) -> Any:
    """The entries of unknown categories as values of a type, others null; None where there are
    none, or where that type cannot hold them.
    """
    if not unknown.any():
        return None
    own = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(own.type):
        own = own.cast(own.type.value_type)
    if pa.types.is_boolean(kind) and own.type != kind:
        return None
    try:
        return pc.if_else(pa.array(unknown), own, None).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _coded(plain: Any, values: Any, kind: pa.DataType) -> Any:
    """Values as a dictionary: the known categories first, in their order, then the others."""
    more = pc.unique(plain.filter(pc.invert(pc.is_in(plain, value_set=values)))).drop_null()
    every = pa.concat_arrays([values, more])
    few = len(every) > np.iinfo(kind.index_type.to_pandas_dtype()).max
    indices = pc.index_in(plain, value_set=every).cast(pa.int32() if few else kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, every, ordered=kind.ordered)


def _truth(value: Any) -> Any:
    """A word for a truth value, as CSV and Python spell it, as one; anything else as it is."""
    words = {"true": True, "false": False}
    known = isinstance(value, str) and value in (value.lower(), value.upper(), value.capitalize())
    return words.get(value.lower(), value) if known else value


def _moments(values: np.ndarray, gone: np.ndarray, kind: pa.DataType) -> Any:
    whole = np.round(np.where(gone, 0.0, values) * _MICROSECONDS)
    most = 2.0**62 / (1000 if getattr(kind, "unit", "") == "ns" else 1)
    inside = np.clip(whole, -most, most).astype(np.int64)
    if pa.types.is_date(kind):
        inside = inside // _MICROSECONDS * _MICROSECONDS
    zone = getattr(kind, "tz", None)
    return pa.array(inside, pa.timestamp("us", zone), mask=gone).cast(kind, safe=False)


def _whole(values: np.ndarray, gone: np.ndarray, kind: pa.DataType) -> Any:
    size = np.iinfo(kind.to_pandas_dtype())
    # 2**63 - 1 is no float64: the largest one inside
    top = float(size.max)
    top = top if int(top) == size.max else float(np.nextafter(top, 0))
    inside = np.clip(np.round(values), size.min, top)
    return pa.array(np.where(gone, 0, inside).astype(kind.to_pandas_dtype()), kind, mask=gone)


def _holds(kind: pa.DataType, values: tuple[Any, ...], own: pa.DataType) -> bool:
    try:
        return bool(pa.array(values, own).cast(kind).to_pylist() == list(values))
    except pa.ArrowException:
        return False


def _fitted(made: Any, kind: pa.DataType) -> Any:
    """Values in a type that may be narrower: the nearest that it has."""
    if made.type == kind:
        return made
    if is_number(made.type) and is_number(kind):
        values = frames.numbers(made)
        gone = np.isnan(values)
        if pa.types.is_integer(kind):
            return _whole(values, gone, kind)
        if pa.types.is_decimal(kind):
            step = 10.0**-kind.scale
            top = (10.0 ** (kind.precision - kind.scale) - step) * (1 - 1e-12)
            return pa.array(np.clip(values, -top, top), mask=gone).cast(kind)
    return made.cast(kind, safe=False)


def filled_numbers(column: Any, gone: np.ndarray, made: np.ndarray) -> Any:
    """A column of numbers (N,), where ``gone`` (N,) with the values of ``made`` (N,), in its type.

    Whole numbers stay whole. A Boolean, and a column without a type, becomes one of float64.

    >>> filled_numbers(
    ...     pa.array([1, None]), np.array([False, True]), np.array([9.0, 2.7])
    ... ).to_pylist()
    [1, 3]
    """
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        kind = pa.float64()
    made = np.asarray(made, np.float64)
    return pc.if_else(pa.array(gone), _fitted(pa.array(made), kind), column.cast(kind))


def column_of(survey: Survey, kind: Kind, dtype: str | None) -> Column:
    """The column of that kind, from what one pass over it left; ``dtype`` is pandas' name."""
    plain = survey.type
    zone = getattr(plain, "tz", None)
    name = f"timestamp[{plain.unit}]" if pa.types.is_timestamp(plain) else _alias(plain)
    categories = survey.categories() if kind in CODED else []
    return Column(
        name=survey.name,
        kind=kind,
        type=name,
        zone=zone,
        dictionary=survey.dictionary,
        ordered=survey.ordered,
        categories=tuple(categories),
        pandas=None if dtype and given_back.refused(dtype, plain) else dtype,
        holes=survey.n_present < survey.n_rows,
    )


def _alias(kind: pa.DataType) -> str:
    """A name by which ``pa.type_for_alias`` finds the type again."""
    if pa.types.is_decimal(kind):
        return "double"
    names = {"date32[day]": "date32", "date64[ms]": "date64", "string_view": "string"}
    return names.get(str(kind), str(kind))
