"""Sources as estimators take them: whole where they are small, else piece by piece."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from isthmus.data import numbers
from isthmus.data.arrays.source import Arrays, InMemory
from isthmus.data.columns import choosing, frames
from isthmus.data.columns.encoding import Encoding
from isthmus.data.rows.taking import held as rows_of
from isthmus.data.rows.taking import tables
from isthmus.data.source import Source, TableSource, in_memory, n_rows
from isthmus.data.telling import told_once
from isthmus.errors import DataError, of_fit
from isthmus.estimators import _input, _samples, _written

# Scaled rows of more than this are not kept beside those that were given.
LARGE = 1 << 29


def given(estimator: BaseEstimator, X: Any, min_rows: int = 1) -> _input.Floats | Source:
    """What a fit is given: rows as one array where their scaled copy is small, else a source.

    Raises:
        ValueError, DataError: as :func:`isthmus.estimators._input.rows`.
    """
    _written.remember(estimator, X)
    if not isinstance(X, Source):
        data = _input.rows(estimator, X, reset=True, min_rows=min_rows)
        return Arrays([InMemory(data, "X")], "X") if 4 * data.size > LARGE else data
    count = n_rows(X)
    numbers.refuse_few(count, min_rows, X.origin)
    n_features = math.prod(X.feature_shape)
    if fits(X):
        stated = bool(estimator.kinds) or estimator.likelihood == "joint"
        data = _input.rows(estimator, rows_of(X, stated), reset=True, min_rows=min_rows)
        _input.remember(estimator, n_features, X.names)
        _samples.of_source(estimator, X.feature_shape)
        return data
    _input.remember(estimator, n_features, X.names)
    _samples.of_source(estimator, X.feature_shape)
    _samples.check_size(estimator, n_features)
    estimator.encoding_ = None
    if not isinstance(X, TableSource):
        return X
    columns = X.schema.empty_table()
    estimator.encoding_ = _input.encoding_of(estimator, columns, tables(X, mixed=True))
    if estimator.encoding_ is None:
        return X
    return EncodedSource(X, estimator.encoding_, estimator.handle_unknown)


def fits(source: Source) -> bool:
    """Whether its rows are few enough to be held in memory, scaled."""
    return 4 * n_rows(source) * math.prod(source.feature_shape) <= LARGE


def held(X: Any, fitted: BaseEstimator | None = None) -> Any:
    """A source as rows in memory, where all are needed at once; anything else as it is.

    Args:
        X: the rows.
        fitted: whose columns they are to be, by name; None in a fit.

    Raises:
        DataError: they are too many.
    """
    if not isinstance(X, Source):
        return X if fitted is None else _written.as_fitted(fitted, X)
    if fitted is not None:
        with of_fit(_input.names_of_fit(fitted)):
            X = by_name(fitted, X)
    if not fits(X):
        raise DataError(
            f"{X.origin} of {n_rows(X)} rows",
            "is too large here, where all rows are needed in memory at once",
            "Give some of its rows: isthmus.data.rows.taking.sample(source, 20_000).",
        )
    if len(X.feature_shape) > 1:
        return in_memory(X)
    return rows_of(X)


def by_name(estimator: BaseEstimator, source: Source) -> Source:
    """A source with the columns of the fit, in its order (:mod:`isthmus.data.columns.choosing`).

    Raises:
        DataError: a column is missing, or there is another one.
    """
    there: Source = _written.as_fitted(estimator, source)
    return choosing.of_fit(
        there,
        _input.names_of_fit(estimator),
        type(estimator).__name__,
        estimator.n_features_in_,
        samples=getattr(estimator, "sample_shape_", None),
    )


def by_blocks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of rows, one result a row, take a source: block by block, in its order."""

    @functools.wraps(method)
    def taken(self: BaseEstimator, X: Any, *more: Any, **named: Any) -> Any:
        check_is_fitted(self)
        if not isinstance(X, Source) or more or named:
            with frames.addressed(X), of_fit(_input.names_of_fit(self)):
                X = _written.as_fitted(self, X)
            return method(self, X, *more, **named)
        with of_fit(_input.names_of_fit(self)), told_once():
            source, mixed = by_name(self, X), self.encoding_ is not None
            if isinstance(source, TableSource) and not mixed:  # blocks are numbers alone
                _input.tell_truths(self, source.schema.empty_table(), source.origin)
            parts = [method(self, table) for table in tables(source, mixed)]
        return pa.concat_tables(parts) if isinstance(parts[0], pa.Table) else np.concatenate(parts)

    return taken


class EncodedSource:
    """A table of columns of any kind as rows of numbers, by an encoding.

    Args:
        source: the table.
        encoding: fitted.
        handle_unknown: what is done with a category that the encoding does not know.
    """

    dtype: np.dtype[Any] = np.dtype(np.float64)
    labels: NDArray[Any] | None = None

    def __init__(self, source: TableSource, encoding: Encoding, handle_unknown: str) -> None:
        self.source = source
        self.encoding = encoding
        self.handle_unknown = handle_unknown
        self.origin = source.origin
        self.names = source.names
        self.feature_shape: tuple[int, ...] = (len(encoding.columns),)
        self.lengths = source.lengths

    def read(self, piece: int) -> Iterator[NDArray[Any]]:
        """Blocks (n, D), NaN where an entry is missing."""
        first = sum(self.lengths[:piece])
        for table in self.source.tables(piece):
            marked = frames.marked(table, self.origin, first)
            yield self.encoding.encode(marked, self.handle_unknown)
            first += table.num_rows
