"""How the text of the rows of a fit was written: kept by the fit, known when more are read."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from isthmus.data.columns.choosing import as_written, written
from isthmus.data.tables import stand_in
from isthmus.data.text.agreeing import Spelling, Written


def remember(fitted: BaseEstimator, rows: Any) -> None:
    """Keep how the numbers of the rows of a fit were written, where they were text.

    Args:
        fitted: the estimator or the detector.
        rows: a source or a table as it was given; or the spelling itself.
    """
    is_spelling = rows is None or isinstance(rows, Spelling)
    spelling = rows if is_spelling else getattr(rows, "spelling", None)
    if spelling is not None and not is_spelling and rows.names is None:
        frame = getattr(rows, "frame", None)
        columns = getattr(rows, "schema", None) or getattr(frame, "schema", None)
        if columns is not None:
            spelling = spelling.called({name: stand_in(j) for j, name in enumerate(columns.names)})
    fitted._spelling = spelling


def spelling_of(fitted: BaseEstimator) -> Spelling | None:
    """What :func:`remember` kept."""
    spelling: Spelling | None = getattr(fitted, "_spelling", None)
    return spelling


def known(fitted: BaseEstimator) -> Written:
    """How the columns of the fit were written, by which later rows are read."""
    names = getattr(fitted, "feature_names_in_", None)
    labels = None if names is None else [str(name) for name in names]
    encoding = getattr(fitted, "encoding_", None)
    kinds = None if encoding is None else [c.arrow_value_type for c in encoding.columns]
    return written(kinds, spelling_of(fitted), labels, fitted.n_features_in_)


def as_fitted(fitted: BaseEstimator, X: Any) -> Any:
    """Text that can be read again, as the columns of the fit were written; anything else as it is.

    Raises:
        DataError: it is written otherwise, and cannot be read so.
    """
    return as_written(X, known(fitted)) if hasattr(X, "as_known") else X
