"""Columns by name: those of a fit, in its order, out of rows that have them otherwise.

A file has its columns in whatever order it was written, and often more of them; which is which the
names say. Where the rows have no names, or the fit had none, columns are taken by position, and a
warning says so in scikit-learn's words. What is missing is never made up.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa

from isthmus.data.columns import frames
from isthmus.data.columns.frames import is_words
from isthmus.data.columns.in_text import with_numbers
from isthmus.data.matrix import is_numeric, matrix, refuse_others
from isthmus.data.source import Source, TableSource
from isthmus.data.tables import Table, drop_advice, quoted, stand_in
from isthmus.data.text.agreeing import Spelling, Written
from isthmus.data.text.noted import Note, note_of, noted, refuse_otherwise
from isthmus.data.text.spelled import Reading
from isthmus.errors import DataError

Whole = TypeVar("Whole", bound=Table | Source)


def of_fit(
    rows: Whole,
    fitted: Sequence[str] | None,
    model: str,
    n_features: int,
    *,
    more: bool = False,
    samples: tuple[int, ...] | None = None,
) -> Whole:
    """The columns of a fit: by name and in its order, by position where only one side has names.

    Args:
        rows: (N, D), or samples with a shape, which have no columns.
        fitted: names of the columns of the fit, None where they had none.
        model: name of the estimator's class.
        n_features: of the fit. Nameless rows of another size are given back as they are.
        more: whether there may be other columns, which are left out.
        samples: shape of the images or series of the fit; None where it had a table.

    Raises:
        DataError: a column of the fit is not there, or another is that the fit did not have; or
            the fit had a table and these are images or series, or the other way round.
    """
    if rows.names is not None and fitted is not None:
        at = places(rows.names, fitted, rows.origin, more=more)
        there = of_table(rows, at) if isinstance(rows, Table) else of_source(rows, at)
        return cast(Whole, there)
    shape = rows.values.shape[1:] if isinstance(rows, Table) else rows.feature_shape
    if shape != (n_features,):
        refuse_other_samples(rows.origin, shape, fitted, n_features, samples)
        if rows.names is not None and len(shape) == 1:
            raise DataError(
                _spoken(rows.origin, shape), f"must have {n_features}, as the data of the fit"
            )
        return rows
    warn_of_position(rows.names, fitted, model, rows.origin)
    return rows if rows.names is fitted else called(rows, fitted)


def written(
    kinds: Sequence[Any] | None,
    spelling: Spelling | None,
    names: Sequence[str] | None,
    n: int,
    na_values: tuple[str, ...] | None = None,
) -> Written:
    """How the columns of a fit were written: nothing of those that were no text in a file.

    Args:
        kinds: Arrow's types of the columns of a mixed table; None where all are numbers.
        spelling: how its numbers were, by names of columns, without them by :func:`stand_in`; None
            where they were no text.
        names: of the columns, None where they had none.
        n: how many there are.
        na_values: words that were said to be missing.
    """
    order = tuple(map(stand_in, range(n)) if names is None else names)
    columns: dict[str, Reading | None] = {}
    numbers = []
    for name, kind in zip(order, kinds or (None,) * n, strict=True):
        if kind is not None and is_words(kind):
            columns[name] = None
        elif kind is None or is_numeric(kind):
            numbers.append(name)
            if spelling is not None:
                columns[name] = spelling.of(name)
    shows = {} if spelling is None else spelling.decimals
    decimals = {name: shows[name] for name, how in columns.items() if how and name in shows}
    return Written(
        columns,
        order,
        names is not None,
        na_values=na_values,
        decimals=decimals,
        numbers=tuple(numbers),
    )


def as_written(X: Any, fit: Written) -> Any:
    """Rows as the columns of a fit were written.

    A source of a table, or a table of its rows, is read again where it has to be; one of its
    blocks is refused then (:mod:`isthmus.data.text.noted`). A frame as it was given has what the
    fit was told is missing made so, and text that spells numbers of the fit is read as these.
    Anything else stays as it is.

    Raises:
        DataError: it is written otherwise, and cannot be read so.
    """
    if hasattr(X, "as_known"):
        return X.as_known(fit)
    if not frames.is_frame(X) or isinstance(X, Source):
        return X
    origin, names = frames.origin_of(X)[0], frames.names_of(X)
    if fit.na_values and origin == "X" and note_of(X).na_values is None:
        X = frames.without_words(X, fit.na_values)
    if names is None:
        return X
    known = fit.of(names, named=True)
    refuse_otherwise(X, known, origin)
    return with_numbers(X, known)


def refuse_other_samples(
    origin: str,
    shape: tuple[int, ...],
    fitted: Sequence[str] | None,
    n_features: int,
    samples: tuple[int, ...] | None,
) -> None:
    """Refuse images or series where the fit had a table, and a table where it had them.

    Args:
        origin: where the rows are from.
        shape: of one of them.
        fitted: names of the columns of the fit, None where they had none.
        n_features: of the fit.
        samples: shape of the samples of the fit; None where it had a table.

    Raises:
        DataError: they are of the other kind.
    """
    if len(shape) > 1 and samples is None:
        named = f": {quoted(fitted)}" if fitted else ""
        raise DataError(
            _spoken(origin, shape),
            f"must be a table; the model was fitted to one of {n_features} columns{named}",
            "Give rows with these columns, or fit a model to what is given.",
        )
    if len(shape) == 1 and samples is not None and shape[0] != n_features:
        raise DataError(
            _spoken(origin, shape),
            f"must be {_samples(samples)}, as the data of the fit, or flat rows of {n_features} "
            "values",
            f"Give {_samples(samples).split()[0]}, or fit a model to what is given.",
        )


def _spoken(origin: str, shape: tuple[int, ...]) -> str:
    if len(shape) > 1:
        return f"{origin} with {_samples(shape)}"
    return f"{origin} with {shape[0]} column{'s' * (shape[0] != 1)}"


def _samples(shape: tuple[int, ...]) -> str:
    return f"{'images' if len(shape) == 3 else 'series'} of {' x '.join(map(str, shape))}"


def warn_of_position(
    here: Sequence[str] | None, fitted: Sequence[str] | None, model: str, origin: str = "X"
) -> None:
    """scikit-learn's warning where either the rows or the fit have names, not both."""
    if here is not None and fitted is None:
        said = f"{origin} has feature names, but {model} was fitted without feature names"
    elif here is None and fitted is not None:
        said = (
            f"{origin} does not have valid feature names, but {model} was fitted with feature names"
        )
    else:
        return
    warnings.warn(f"{said}: its columns are taken by position", stacklevel=2)


def places(
    here: Sequence[str], fitted: Sequence[str], origin: str, *, more: bool = False
) -> list[int]:
    """Where each column of the fit stands among those that are here.

    Args:
        here: names of the columns of the rows.
        fitted: those of the fit, in its order.
        origin: where the rows are from.
        more: whether there may be others, which are left out.

    Raises:
        DataError: one is not here, or another is that the fit did not have.

    >>> places(["b", "id", "a"], ["a", "b"], "new.csv", more=True)
    [2, 0]
    """
    known, there = set(fitted), {name: j for j, name in enumerate(here)}
    missing = [name for name in fitted if name not in there]
    extra = [name for name in here if name not in known]
    if missing:
        also = f", and has {quoted(extra)}, which the fit did not see" if extra else ""
        raise DataError(
            origin,
            f"must have the columns of the fit; it lacks {quoted(missing)}{also}",
            "Give the columns that the fit had, under the same names.",
        )
    if extra and not more:
        raise DataError(
            origin,
            f"must have the columns of the fit and no other; the fit did not see {quoted(extra)}",
            drop_advice(extra),
        )
    return [there[name] for name in fitted]


def of_table(table: Table, at: Sequence[int]) -> Table:
    """The table of the columns at these positions, in their order."""
    if list(at) == list(range(table.values.shape[1])):
        return table
    names = None if table.names is None else tuple(table.names[j] for j in at)
    frame = None if table.frame is None else table.frame.select(list(at))
    return replace(
        table, values=np.ascontiguousarray(table.values[:, list(at)]), names=names, frame=frame
    )


def of_source(source: Source, at: Sequence[int]) -> Source:
    """The source of the columns at these positions; those without names are called x0, x1, ..."""
    if list(at) == list(range(source.feature_shape[0])):
        return source
    names = _labels(source.names, source.feature_shape[0])
    return Chosen(source, at, [names[j] for j in at])


def called(rows: Whole, names: Sequence[str] | None) -> Whole:
    """The same columns under these names, or without names."""
    if isinstance(rows, Table):
        labels = _labels(names, rows.values.shape[1])
        frame = None if rows.frame is None else rows.frame.rename_columns(labels)
        names = None if names is None else tuple(names)
        return cast(Whole, replace(rows, names=names, frame=frame))
    return cast(Whole, Chosen(rows, range(rows.feature_shape[0]), names))


def _labels(names: Sequence[str] | None, n: int) -> list[str]:
    return [stand_in(j) for j in range(n)] if names is None else list(names)


class Chosen:
    """Some columns of a source of rows (D,); of a table of columns of any kind, such a table.

    Args:
        source: the rows.
        at: positions of the columns.
        names: of the chosen columns; None for none.
    """

    def __init__(self, source: Source, at: Sequence[int], names: Sequence[str] | None) -> None:
        self._source, self._at = source, list(at)
        self.names: tuple[str, ...] | None = None if names is None else tuple(names)
        self._labels = _labels(names, len(self._at))
        self.feature_shape: tuple[int, ...] = (len(self._at),)
        self.origin, self.dtype = source.origin, source.dtype
        self.lengths, self.labels = source.lengths, source.labels
        self.label_names = getattr(source, "label_names", ())
        self.skipped = getattr(source, "skipped", ())
        self.notes = getattr(source, "notes", ())
        self.spelling = getattr(source, "spelling", None)
        self.na_values = getattr(source, "na_values", None)
        if isinstance(source, TableSource):
            fields = [source.schema.field(j) for j in at]
            renamed = zip(fields, self._labels, strict=True)
            self.schema = pa.schema([field.with_name(name) for field, name in renamed])

    def read(self, piece: int) -> Iterator[np.ndarray]:
        """Blocks of numbers (n, D).

        Raises:
            DataError: a column is not of numbers.
        """
        if isinstance(self._source, TableSource):
            for table in self.tables(piece):
                refuse_others(table.schema.names, table.columns, self.origin)
                yield matrix(table.columns).astype(self.dtype, copy=False)
            return
        for block in self._source.read(piece):
            yield block[:, self._at]

    def tables(self, piece: int) -> Iterator[Any]:
        """Blocks with the columns of ``schema``, where the source has one."""
        if isinstance(self._source, TableSource):
            for table in self._source.tables(piece):
                # columns may have other names here than in the note
                yield noted(table.select(self._at).rename_columns(self._labels), Note())
