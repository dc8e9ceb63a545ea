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
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.data import frames
from isthmus.data.encoded_column import Column, column_of
from isthmus.data.kinds import Kind, stated, surveyed
from isthmus.data.tables import drop_advice, quoted, refuse_duplicates
from isthmus.errors import DataError, InvalidParameterError

UNKNOWN = ("missing", "error")


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
            columns.append(column_of(survey, kind, dtypes.get(survey.name)))
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
        The types are those of the table that is given, whatever the fit had and whether an entry
        is missing or not: :meth:`isthmus.data.encoded_column.Column.type_filled` tells which.
        """
        table = frames.arrow(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            gone = np.isnan(self.encode(table))
        dtypes = frames.pandas_types(table.schema)
        arrays = []
        for j, column in enumerate(self.columns):
            given = table.column(j)
            arrays.append(column.fill(given, gone[:, j], np.asarray(matrix[:, j], np.float64)))
            if arrays[-1].type != given.type:
                dtypes.pop(column.name, None)
        whole = pa.Table.from_arrays(arrays, names=list(self.names))
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
