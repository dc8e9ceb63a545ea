"""Encoding: a mixed table as a matrix, one column a column, and back with the types it had.

=================== ==================================== =================================
kind                in the matrix                        back
=================== ==================================== =================================
real                the number                           the number, rounded where it was whole
positive            its natural logarithm                exp
count               the number                           rounded, at least 0
binary, categorical the code 0 … C−1 of the category     the nearest code's category
ordinal             the code, in the order               the nearest code's category
date                days since 1970-01-01, to 1 µs       the moment, in its resolution and zone
=================== ==================================== =================================

NaN is a missing entry both ways. A density of matrix entries becomes one of the table's by
:meth:`Encoding.log_jacobian`: log p(x) = log p(log x) − log x for positive columns, of days for
dates, and the same number for all others.

Categories are those of the rows it was fitted on. Another one is, by ``handle_unknown``, a missing
entry ("missing", with one warning that counts them) or an error ("error").
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isthmus.data import frames
from isthmus.data.kinds import (
    CODED,
    MOST_CATEGORIES,
    Kind,
    Survey,
    is_date,
    is_number,
    stated,
    surveyed,
    without_missing,
)
from isthmus.data.tables import drop_advice, quoted, refuse_duplicates
from isthmus.errors import DataError, InvalidParameterError

UNKNOWN = ("missing", "error")
_MICROSECONDS = 86_400_000_000
_LARGEST_LOG = 709.0
_Category = Annotated[str, Field(max_length=100_000)] | bool | int | float


class Column(BaseModel):
    """One column: its name, kind, categories and the type to give back.

    Attributes:
        name: as in the table.
        kind: one of :data:`isthmus.data.kinds.KINDS`.
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
        return self

    @property
    def arrow_value_type(self) -> pa.DataType:
        """Type of a value."""
        if self.type.startswith("timestamp["):
            return pa.timestamp(self.type[10:-1], self.zone)
        found: pa.DataType = pa.type_for_alias(self.type)
        return found

    def encode(self, column: Any) -> tuple[np.ndarray, list[Any]]:
        """(N,) float64, and the values that are none of the categories."""
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        column = without_missing(column)
        if pa.types.is_null(column.type):
            return np.full(len(column), np.nan), []
        if self.kind in CODED:
            return self._codes(column)
        if self.kind == "date":
            if not is_date(column.type):
                raise self._unfit(column.type, "dates")
            moments = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            days = frames.numbers(moments.cast(pa.int64())) / _MICROSECONDS
            return days, []
        if not is_number(column.type) and not pa.types.is_boolean(column.type):
            raise self._unfit(column.type, "numbers")
        values = frames.numbers(column)
        if np.isinf(values).any():
            raise DataError(f"column {self.name!r} of X", "must hold finite numbers")
        if self.kind == "positive":
            if (values <= 0).any():
                raise DataError(
                    f"column {self.name!r} of X with the value {np.nanmin(values):g}",
                    "must be above 0: its kind is 'positive'",
                    f"Mend it, or fit with kinds={{{self.name!r}: 'real'}}.",
                )
            values = np.log(values)
        elif self.kind == "count":
            off = (values < 0) | ((values != np.round(values)) & ~np.isnan(values))
            if off.any():
                raise DataError(
                    f"column {self.name!r} of X with the value {values[off][0]:g}",
                    "must hold whole numbers of at least 0: its kind is 'count'",
                    f"Mend it, or fit with kinds={{{self.name!r}: 'real'}}.",
                )
        return values, []

    def _codes(self, column: Any) -> tuple[np.ndarray, list[Any]]:
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        coded = column.dictionary_encode()
        index = {value: float(code) for code, value in enumerate(self.categories)}
        here = coded.dictionary.to_pylist()
        table = np.array([index.get(value, -1.0) for value in here] + [np.nan])
        places = coded.indices.fill_null(len(here)).to_numpy(zero_copy_only=False)
        codes = table[places]
        unknown = [here[i] for i in np.unique(places[codes == -1.0])]
        return codes, unknown

    def coded(self, column: Any, kind: pa.DataType) -> Any:
        """Values of the categories → a dictionary array of that type."""
        found = self.decode(self._codes(column)[0])
        return pa.DictionaryArray.from_arrays(
            found.indices.cast(kind.index_type),
            found.dictionary.cast(kind.value_type),
            ordered=kind.ordered,
        )

    def _unfit(self, kind: pa.DataType, rule: str) -> DataError:
        return DataError(
            f"column {self.name!r} of X of the type {kind}",
            f"must hold {rule}: its kind is {self.kind!r}",
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
            whole = np.round(np.where(gone, 0.0, values) * _MICROSECONDS)
            inside = np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64)
            if pa.types.is_date(plain):
                inside = inside // _MICROSECONDS * _MICROSECONDS
                return pa.array(inside, pa.timestamp("us"), mask=gone).cast(plain, safe=False)
            moments = pa.array(inside, pa.timestamp("us", self.zone), mask=gone)
            return moments.cast(plain, safe=False)
        if self.kind == "positive":
            values = np.exp(np.minimum(values, _LARGEST_LOG))
        if self.kind == "count":
            values = np.maximum(np.round(values), 0.0)
        if pa.types.is_integer(plain):
            size = np.iinfo(plain.to_pandas_dtype())
            # the largest float64 inside, for 2**63 - 1 is none
            inside = np.clip(np.round(values), size.min, np.nextafter(float(size.max), 0))
            values = np.where(gone, 0, inside).astype(plain.to_pandas_dtype())
        return pa.array(values, mask=gone).cast(plain, safe=False)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows that are encoded already, (N, D) float64: an estimator takes them as they are."""

    values: np.ndarray


class Encoding(BaseModel):
    """An immutable encoding; :meth:`fit` makes one.

    Attributes:
        columns: in the order of the table.
        frame: what was given: "pandas", "polars", "arrow" or "array".

    >>> table = pa.table({"dose": [1.5, None, 3.0], "drug": ["a", "b", None]})
    >>> encoding = Encoding.fit(table)
    >>> encoding.encode(table).tolist()
    [[1.5, 0.0], [nan, 1.0], [3.0, nan]]
    >>> encoding.decode(encoding.encode(table)).equals(table)
    True
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    columns: Annotated[tuple[Column, ...], Field(min_length=1, strict=False)]
    frame: Literal["pandas", "polars", "arrow", "array"] = "arrow"

    @classmethod
    def fit(cls, data: Any, kinds: Mapping[str, str] | None = None) -> Encoding:
        """From a table (Arrow, pandas, polars, isthmus) or from Arrow tables one after the other.

        Args:
            data: rows; an iterable of Arrow tables is read once, and no more of it is kept than
                the distinct values and a few sums.
            kinds: kinds of columns by name that are not to be inferred.

        Raises:
            DataError: a column that cannot be encoded, with the remedy.
            InvalidParameterError: a kind or a column that is none.
        """
        whole = frames.is_frame(data)
        tables: Iterable[pa.Table] = [frames.arrow(data)] if whole else data
        first: list[pa.Schema] = []

        def noted() -> Iterable[pa.Table]:
            for table in tables:
                first[:] = first or [table.schema]
                yield table

        surveys = surveyed(noted())
        if not surveys:
            raise DataError("X", "must have at least one row and one column")
        names = [survey.name for survey in surveys]
        refuse_duplicates(names, "X")
        said = stated(kinds, names)
        dtypes = frames.pandas_types(first[0])
        columns = []
        for survey in surveys:
            kind = said.get(survey.name)
            if kind is None:
                kind = survey.kind()
            survey.refuse_unfit(kind)
            columns.append(_column(survey, kind, dtypes.get(survey.name)))
        return cls(columns=tuple(columns), frame=frames.flavour(data) if whole else "arrow")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each column."""
        return {column.name: column.kind for column in self.columns}

    def encode(self, data: Any, handle_unknown: str = "missing") -> np.ndarray:
        """The matrix (N, D) float64 of a table with these columns, NaN where an entry is missing.

        Raises:
            DataError: a column is not there, is not of its kind, or, with "error", holds a
                category that the fit did not see.
        """
        if handle_unknown not in UNKNOWN:
            raise InvalidParameterError(
                f"handle_unknown={handle_unknown!r}", "must be 'missing' or 'error'"
            )
        table = frames.arrow(data)
        self._compare([str(name) for name in table.column_names])
        matrix = np.empty((table.num_rows, len(self.columns)))
        told, count = [], 0
        for j, column in enumerate(self.columns):
            values, unknown = column.encode(table.column(j))
            if unknown:
                off = values == -1.0
                if handle_unknown == "error":
                    raise DataError(
                        f"column {column.name!r} of X with the value {unknown[0]!r}",
                        "must hold categories of the fit",
                        "Mend it, or use handle_unknown='missing'.",
                    )
                count += int(off.sum())
                told.append(f"{column.name!r} ({unknown[0]!r})")
                values[off] = np.nan
            matrix[:, j] = values
        if told:
            entries = "1 entry is" if count == 1 else f"{count} entries are"
            warnings.warn(
                f"{entries} of a category that the fit did not see and count as missing: "
                f"column{'s' * (len(told) > 1)} {', '.join(told[:5])}.",
                stacklevel=2,
            )
        return matrix

    def decode(self, matrix: np.ndarray, frame: str = "arrow") -> Any:
        """A table with the names and types that the columns had, from (N, D) numbers.

        Args:
            matrix: encoded; codes and whole numbers are rounded, NaN is missing.
            frame: "arrow" for a ``pyarrow.Table``, "pandas", "polars", or "array" for the
                numbers (N, D) of a table without any text.
        """
        values = np.asarray(matrix, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise InvalidParameterError(
                f"a matrix of shape {values.shape}", f"must have {len(self.columns)} columns"
            )
        arrays = [column.decode(values[:, j]) for j, column in enumerate(self.columns)]
        table = pa.Table.from_arrays(arrays, names=list(self.names))
        dtypes = {column.name: column.pandas for column in self.columns if column.pandas}
        return frames.of(table, frame, dtypes)

    def log_jacobian(self, matrix: np.ndarray) -> np.ndarray:
        """(N, D) nats to add to the log-density of an encoded entry for that of the table's."""
        logs = np.array([column.kind == "positive" for column in self.columns])
        return np.where(logs, -np.asarray(matrix, dtype=np.float64), 0.0)

    def fill(self, data: Any, matrix: np.ndarray, frame: str = "arrow") -> Any:
        """The table itself with its missing entries taken from a matrix (N, D), as :meth:`decode`.

        Entries that are there stay as they are, to the last bit; an unknown category is missing.
        """
        table = frames.arrow(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            gone = np.isnan(self.encode(table))
        arrays = []
        for j, column in enumerate(self.columns):
            given = table.column(j)
            if not gone[:, j].any():
                arrays.append(given)
                continue
            made = column.decode(np.asarray(matrix[:, j], dtype=np.float64))
            plain = column.arrow_value_type
            known = given.cast(plain, safe=False)
            filled = pc.if_else(pa.array(gone[:, j]), made.cast(plain), known)
            arrays.append(
                column.coded(filled, given.type) if column.dictionary else filled.cast(made.type)
            )
        whole = pa.Table.from_arrays(arrays, names=list(self.names))
        dtypes = {column.name: column.pandas for column in self.columns if column.pandas}
        return frames.of(whole, frame, dtypes)

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain

    @classmethod
    def from_json(cls, given: Any) -> Encoding:
        """The encoding that :meth:`to_json` wrote.

        Raises:
            DataError: it is none; the first thing at fault is named.
        """
        try:
            return cls.model_validate(given)
        except (ValidationError, pa.ArrowException) as error:
            reason = str(error)
            if isinstance(error, ValidationError):
                first = error.errors(include_url=False)[0]
                reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
            raise DataError("the encoding", f"is not one ({reason})") from error

    def _compare(self, names: list[str]) -> None:
        fitted = list(self.names)
        if names == fitted:
            return
        missing = [name for name in fitted if name not in names]
        extra = [name for name in names if name not in fitted]
        if missing:
            raise DataError("X", f"must have the columns of the fit; it lacks {quoted(missing)}")
        if extra:
            raise DataError(
                "X",
                f"must have no other columns than the fit; not so {quoted(extra)}",
                drop_advice(extra),
            )
        raise DataError(
            "X", "must have its columns in the order of the fit", "Put them in that order."
        )


def _column(survey: Survey, kind: Kind, dtype: str | None) -> Column:
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
        pandas=dtype,
        holes=survey.n_present < survey.n_rows,
    )


def _alias(kind: pa.DataType) -> str:
    """A name by which ``pa.type_for_alias`` finds the type again."""
    if pa.types.is_decimal(kind):
        return "double"
    names = {"date32[day]": "date32", "date64[ms]": "date64", "string_view": "string"}
    return names.get(str(kind), str(kind))
