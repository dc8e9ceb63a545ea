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
entry ("missing", with one warning that counts them, however many blocks the rows come in) or an
error ("error"). A column that holds nothing else in more than :data:`HANDFUL` entries is an error
in any case: it is another column, or written otherwise, and the model would know nothing of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isthmus.data.columns import frames, given_back
from isthmus.data.columns.axes import Axis
from isthmus.data.columns.choosing import places
from isthmus.data.columns.encoded_column import Column, Place, column_of
from isthmus.data.columns.kinds import CODED, NUMERIC, Kind, Survey, as_numbers, stated, surveyed
from isthmus.data.tables import refuse_duplicates, shown
from isthmus.data.telling import (
    Seen,
    note_empty,
    note_taken,
    note_unknown,
    told_once,
    untold,
)
from isthmus.errors import DataError, InvalidParameterError

UNKNOWN = ("missing", "error")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows that are encoded already: an estimator takes them as they are.

    Args:
        values: (N, D) float64.
        encoding: what encoded them, for a fit.
        names: of the columns, for a fit; None where they had none.
    """

    values: np.ndarray
    encoding: Encoding | None = None
    names: Sequence[str] | None = None


class Encoding(BaseModel):
    """An immutable encoding; :meth:`fit` makes one.

    Attributes:
        columns: in the order of the table.
        frame: what was given: "pandas", "polars", "arrow" or "array".
        axis: the labels of the columns of a DataFrame of pandas, where they are not words alone.

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
    axis: Axis | None = None

    @model_validator(mode="after")
    def _labelled(self) -> Encoding:
        if self.axis is not None and len(self.axis.labels) != len(self.columns):
            raise ValueError(f"{len(self.axis.labels)} labels of {len(self.columns)} columns")
        return self

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

        numbers = [str(name) for name, kind in (kinds or {}).items() if kind in NUMERIC]

        def noted() -> Iterable[pa.Table]:
            for given in tables:
                table = given
                for name in numbers:
                    if (j := table.schema.get_field_index(name)) >= 0:
                        table = table.set_column(j, name, as_numbers(table.column(j)))
                first[:] = first or [table.schema]
                yield table

        surveys = surveyed(noted())
        if not surveys:
            raise DataError("X", "must have at least one row and one column")
        names = [survey.name for survey in surveys]
        refuse_duplicates(names, surveys[0].origin)
        said = stated(kinds, names)
        dtypes = given_back.pandas_types(first[0])
        columns = []
        for survey in surveys:
            kind = said.get(survey.name)
            if kind is None:
                kind = survey.kind()
                _tell_looks(survey)
            survey.refuse_unfit(kind)
            columns.append(column_of(survey, kind, dtypes.get(survey.name)))
            _tell_blanks(columns[-1], survey.origin)
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
        place = Place(*frames.origin_of(table))
        at = places(table.column_names, self.names, place.origin)
        matrix = np.empty((table.num_rows, len(self.columns)))
        empty: list[str] = []
        with told_once():
            for j, column in enumerate(self.columns):
                values, unknown = column.encode(table.column(at[j]), place)
                if taken := column.taken(table.schema.field(at[j]).type):
                    note_taken(place.origin, column.name, taken)
                off = values == -1.0
                entries = int((~np.isnan(values)).sum())
                empty += [column.name] * (not entries)
                if column.kind in CODED and handle_unknown != "error":
                    example = unknown[0] if unknown else None
                    seen = Seen(column.categories, entries, int(off.sum()), example)
                    note_unknown(place.origin, column.name, seen)
                if unknown:
                    if handle_unknown == "error":
                        raise place.misfit(
                            column.name,
                            off,
                            table.column(at[j]),
                            "must be a category of the fit",
                            "Mend it, or fit again with handle_unknown='missing' (on the command "
                            "line --handle-unknown missing).",
                        )
                    values[off] = np.nan
                matrix[:, j] = values
            note_empty(place.origin, table.num_rows, empty)
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
        made = given_back.of(table, frame, dtypes)
        if frame == "pandas" and self.axis is not None:
            self.axis.put(made)
        return made

    def log_jacobian(self, matrix: np.ndarray) -> np.ndarray:
        """(N, D) nats to add to the log-density of an encoded entry for that of the table's."""
        logs = np.array([column.kind == "positive" for column in self.columns])
        return np.where(logs, -np.asarray(matrix, dtype=np.float64), 0.0)

    def holes(self, data: Any) -> np.ndarray:
        """(N, D) bool: where an entry is missing; one of an unknown category is there."""
        table = frames.arrow(data)
        with untold():
            gone: np.ndarray = np.isnan(self.encode(table))
        for j, column in enumerate(self.columns):
            if column.kind in CODED:
                given = table.column(column.name)
                gone[:, j] &= np.asarray(pc.is_null(given, nan_is_null=True))
        return gone

    def fill(self, data: Any, matrix: np.ndarray, frame: str = "arrow") -> Any:
        """The table itself with its missing entries taken from a matrix (N, D), as :meth:`decode`.

        Entries that are there stay as they are, to the last bit, unknown categories too. The types
        are those of the table that is given, whatever the fit had and whether an entry is missing
        or not: :meth:`~isthmus.data.columns.encoded_column.Column.type_filled` tells.
        """
        table = frames.arrow(data)
        gone = self.holes(table)
        dtypes = given_back.pandas_types(table.schema)
        arrays = []
        for j, column in enumerate(self.columns):
            given = table.column(column.name)
            arrays.append(column.fill(given, gone[:, j], np.asarray(matrix[:, j], np.float64)))
            if arrays[-1].type != given.type:
                dtypes.pop(column.name, None)
            elif isinstance(data, pa.Table):  # text that was a view is one again
                arrays[-1] = arrays[-1].cast(data.schema.field(column.name).type)
        whole = pa.Table.from_arrays(arrays, names=list(self.names))
        return given_back.of(whole, frame, dtypes)

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


def _tell_blanks(column: Column, origin: str) -> None:
    """Categories that nobody could tell apart by looking at them."""
    bare: dict[str, str] = {}
    words = [word for word in column.categories if isinstance(word, str)]
    pairs = ((bare.setdefault(word.strip(), word), word) for word in words)
    same = [pair for pair in pairs if pair[0] != pair[1]]
    if same:
        one, other = map(shown, same[0])
        more = f" ({len(same)} such pairs)" if len(same) > 1 else ""
        warnings.warn(
            f"column {column.name!r} of {origin} has categories that differ only by blanks around "
            f"them, {one} and {other}{more}: they are taken for different ones. Where they are "
            "one, take the blanks away.",
            stacklevel=3,
        )


def _tell_looks(survey: Survey) -> None:
    """Text that became categories though it looks like numbers or dates."""
    if look := survey.looks.told():
        warnings.warn(
            f"column {survey.name!r} of {survey.origin} is taken for categories; its entries look "
            f"like {look}. {survey.looks.remedy()}",
            stacklevel=3,
        )
