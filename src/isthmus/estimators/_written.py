"""How the text of the rows of a fit was written: kept by the fit, known when more are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa
from sklearn.base import BaseEstimator

from isthmus.data import handed
from isthmus.data.columns.choosing import as_written, written
from isthmus.data.tables import stand_in
from isthmus.data.text.agreeing import Spelling, Written
from isthmus.data.text.noted import note_of


class Remembered(NamedTuple):
    """How the rows of a fit were written.

    Attributes:
        spelling: their numbers, where they were text.
        na_values: words that were said to be missing; None where nothing was said.
    """

    spelling: Spelling | None = None
    na_values: tuple[str, ...] | None = None


def remember(fitted: BaseEstimator, rows: Any) -> None:
    """Keep how the rows of a fit were written.

    Args:
        fitted: the estimator or the detector.
        rows: a source, a table or a block of one as it was given; or what another one remembers.
    """
    if isinstance(rows, Remembered):
        fitted._remembered = rows
        return
    if isinstance(rows, pa.Table):
        note, own = note_of(rows), {name: name for name in rows.schema.names}
        spelling = None if note.spelling is None else note.spelling.called(own)
        fitted._remembered = Remembered(spelling, note.na_values)
        return
    spelling = getattr(rows, "spelling", None)
    if spelling is not None and rows.names is None:
        frame = getattr(rows, "frame", None)
        columns = getattr(rows, "schema", None) or getattr(frame, "schema", None)
        if columns is not None:
            spelling = spelling.called({name: stand_in(j) for j, name in enumerate(columns.names)})
    fitted._remembered = Remembered(spelling, getattr(rows, "na_values", None))


def remembered(fitted: BaseEstimator) -> Remembered:
    """What :func:`remember` kept."""
    kept: Remembered = getattr(fitted, "_remembered", Remembered())
    return kept


def known(fitted: BaseEstimator) -> Written:
    """How the columns of the fit were written, by which later rows are read."""
    names = getattr(fitted, "feature_names_in_", None)
    labels = None if names is None else [str(name) for name in names]
    encoding = getattr(fitted, "encoding_", None)
    kinds = None if encoding is None else [c.arrow_value_type for c in encoding.columns]
    spelling, na_values = remembered(fitted)
    return written(kinds, spelling, labels, fitted.n_features_in_, na_values)


def as_fitted(fitted: BaseEstimator, X: Any) -> Any:
    """Rows as the columns of the fit were written, where that can be: see :func:`as_written`.

    Raises:
        DataError: they are written otherwise, and cannot be read so.
    """
    if hasattr(X, "as_known"):
        return as_written(X, known(fitted))
    spelling, na_values = remembered(fitted)
    if spelling is None and not na_values:
        return X
    handed.refuse(X)
    return as_written(X, known(fitted))
