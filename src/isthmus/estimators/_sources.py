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

from isthmus.data import frames
from isthmus.data.arrays import Arrays, InMemory
from isthmus.data.encoding import Encoding
from isthmus.data.source import Source, TableSource, blocks, in_memory, n_rows
from isthmus.data.survey import positions
from isthmus.data.tables import Table
from isthmus.errors import DataError
from isthmus.estimators import _input, _samples

# Scaled rows of more than this are not kept beside those that were given.
LARGE = 1 << 29


def given(estimator: BaseEstimator, X: Any, min_rows: int = 1) -> _input.Floats | Source:
    """What a fit is given: rows as one array where their scaled copy is small, else a source.

    Raises:
        ValueError, DataError: as :func:`isthmus.estimators._input.rows`.
    """
    if not isinstance(X, Source):
        data = _input.rows(estimator, X, reset=True, min_rows=min_rows)
        return Arrays([InMemory(data, "X")], "X") if 4 * data.size > LARGE else data
    count = n_rows(X)
    if count < min_rows:
        raise DataError(X.origin, f"must have at least {min_rows} rows; it has {count}")
    n_features = math.prod(X.feature_shape)
    if fits(X):
        stated = bool(estimator.kinds) or estimator.likelihood == "joint"
        data = _input.rows(estimator, whole(X, stated), reset=True, min_rows=min_rows)
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


def sample(source: Source, n: int, seed: int = 0) -> Table | pa.Table:
    """At most n rows at random, in their order, as :func:`whole` gives all of them."""
    total = n_rows(source)
    if total <= n:
        return whole(source)
    return take(source, positions(total, n, 0, seed)[0])


def take(source: Source, rows: NDArray[Any]) -> Table | pa.Table:
    """The rows at these positions (rising), as :func:`whole` gives all of them; one pass."""
    mixed = isinstance(source, TableSource) and frames.is_mixed(source.schema.empty_table())
    parts: list[Any] = []
    start = 0
    for block in tables(source, True) if mixed else blocks(source):
        count = len(block)
        here = rows[slice(*rows.searchsorted([start, start + count]))] - start
        if len(here) or not parts:
            parts.append(block.take(here) if mixed else block.reshape(count, -1)[here])
        start += count
    if mixed:
        return pa.concat_tables(parts)
    return _table(np.concatenate(parts), source)


def _table(values: NDArray[Any], source: Source) -> Table:
    """Flat rows; bytes become float32, as tables have it."""
    flat = values.reshape(len(values), -1)
    floats = flat if flat.dtype.kind == "f" else flat.astype(np.float32)
    return Table(floats, source.names, source.origin)


def fits(source: Source) -> bool:
    """Whether its rows are few enough to be held in memory, scaled."""
    return 4 * n_rows(source) * math.prod(source.feature_shape) <= LARGE


def whole(source: Source, mixed: bool = False) -> Table | pa.Table:
    """All rows in memory: a table of numbers with flat rows, or columns of any kind.

    Args:
        source: to read.
        mixed: whether columns of numbers keep their types as well.

    Raises:
        DataError: they do not fit.
    """
    if isinstance(source, TableSource) and (mixed or frames.is_mixed(source.schema.empty_table())):
        parts = [t for piece in range(len(source.lengths)) for t in source.tables(piece)]
        return pa.concat_tables(parts, promote_options="permissive")
    return _table(in_memory(source), source)


def tables(source: Source, mixed: bool = False) -> Iterator[Any]:
    """The rows of a source in order, block by block: of images and series arrays (n, *F)."""
    if mixed and isinstance(source, TableSource):
        for piece in range(len(source.lengths)):
            yield from source.tables(piece)
        return
    for block in blocks(source):
        yield block if block.ndim > 2 else _table(block, source)


def by_blocks(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method of rows, one result a row, take a source: block by block, in its order."""

    @functools.wraps(method)
    def taken(self: BaseEstimator, X: Any, *more: Any, **named: Any) -> Any:
        if not isinstance(X, Source) or more or named:
            return method(self, X, *more, **named)
        check_is_fitted(self)
        mixed = self.encoding_ is not None
        parts = [method(self, table) for table in tables(X, mixed)]
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
        for table in self.source.tables(piece):
            yield self.encoding.encode(table, self.handle_unknown)
