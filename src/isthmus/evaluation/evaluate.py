"""One call that measures a fitted model on rows: figures, arrays to draw, findings in words.

What does not apply to a model is absent: a deterministic one has no KL, rows without labels no
probe. Costly figures rest on a part of the rows, drawn with the seed; each says on how many.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isthmus.core.corruption import Identity
from isthmus.data import handed
from isthmus.data.columns.choosing import as_written, places, warn_of_position
from isthmus.data.columns.encoding import Encoding
from isthmus.data.columns.frames import addressed, arrow, names_of, origin_of
from isthmus.data.numbers import refuse_few
from isthmus.data.rows.taking import held
from isthmus.data.source import Source, n_bytes, n_rows
from isthmus.data.tables import Table
from isthmus.errors import DataError, InvalidParameterError, of_fit
from isthmus.evaluation import _sections, _supervised, detection, mixed
from isthmus.evaluation._ground import Ground, Sheet, values_of
from isthmus.evaluation.health import health
from isthmus.evaluation.mixed import MixedGround
from isthmus.evaluation.record import Evaluation, HeldOut, Model
from isthmus.evaluation.versus_pca import Verdict, verdict
from isthmus.runs.directory import versions

Array = NDArray[Any]
Kind = Literal["held out", "training", "new"]
KINDS = ("held out", "training", "new")
Read = Callable[[Any], tuple[Array, tuple[str, ...] | None]]
# Of a source that is measured whole.
MOST_BYTES = 1 << 30


def evaluate(
    model: Model,
    X: Any,
    *,
    rows: Any = None,
    kind: Kind = "new",
    labels: Any = None,
    factors: Any = None,
    outliers: Any = None,
    reference: Any = None,
    places: Any = None,
    n_rows: int | None = None,
    n_importance: int = 5000,
    n_rows_importance: int | None = None,
    origin: str = "",
    label_column: str | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure a fitted model.

    Args:
        model: a fitted estimator.
        X: (N, D) rows, NaN where an entry is missing, or a source of them. Columns with names may
            be in another order than in the fit.
        rows: (n,) positions in X of the rows to measure, n ≥ 1; None for all, or, where ``kind``
            is "held out", for those that the fit held out.
        kind: what the rows are to the model. For "held out" and "training", X are the rows of the
            fit, whole and in their order, so that PCA can be fitted to the same rows; with
            "training", figures of the cross-validation stand in for held-out rows where the fit
            has them.
        labels: (N,) classes or measurements, for the probes.
        factors: (N, F) known factors of variation.
        outliers: (N,) 0 or 1, 1 for known outliers.
        reference: (R, D) rows of the fit, for PCA, where X are new ones or with ``places``.
        places: (N,) positions of X among the rows of the fit, where these are too many to be given
            whole; X are then all measured, and PCA is fitted to ``reference``.
        n_rows: how many rows the fit had; only with ``places``.
        n_importance: draws of the importance-weighted bound, 0 for none.
        n_rows_importance: rows of the same; by default as many as are quick, at most 200.
        origin: where the rows are from, for the record.
        label_column: what the labels are called.
        seed: of all draws; equal seeds give equal figures.

    Returns:
        Facts (JSON) and arrays; docs/evaluation.md lists them.

    Raises:
        DataError: rows, labels, factors and outliers do not fit together.
        InvalidParameterError: a parameter is outside its range.

    >>> from isthmus.estimators import Autoencoder
    >>> X = np.random.default_rng(0).normal(size=(40, 4))
    >>> model = Autoencoder(2, max_epochs=1, hidden_layer_sizes=(8,), random_state=0).fit(X)
    >>> found = evaluate(model, X, kind="training")
    >>> [m["name"] for m in found.facts["metrics"]][:2]
    ['squared_error', 'relative_squared_error']
    """
    if kind not in KINDS:
        raise InvalidParameterError(f"kind={kind!r}", f"must be one of {', '.join(KINDS)}")
    if n_importance < 0 or (n_rows_importance is not None and n_rows_importance < 1):
        raise InvalidParameterError(
            f"n_importance={n_importance}, n_rows_importance={n_rows_importance}",
            "must be at least 0 and at least 1",
        )
    encoding = model.encoding_
    known = getattr(model, "feature_names_in_", None)
    names = None if known is None else tuple(str(name) for name in known)
    kind_of = type(model).__name__
    read = _by_name(names, kind_of) if encoding is None else _encoder(encoding, kind_of)
    with addressed(X), of_fit(names):
        handed.refuse(X)
        x, given_names = read(as_written(X, model.written_))
    refuse_few(len(x), 1, origin or origin_of(X)[0])
    if np.isnan(x).all():
        raise DataError(
            origin or origin_of(X)[0], "has no value in any row", "Check how it was made."
        )
    # the model compares names and number of the columns, and says what does not fit
    if encoding is None:
        model.transform(x[:2] if names is None else Table(x[:2], given_names or names, "X"))
    positions = _positions(model, len(x), rows, "new" if places is not None else kind)
    chosen = {
        "labels": _column(labels, len(x), "labels"),
        "factors": _columns(factors, len(x)),
        "outliers": _column(outliers, len(x), "outliers"),
    }
    chosen = {name: None if v is None else v[positions] for name, v in chosen.items()}
    if chosen["outliers"] is not None:
        chosen["outliers"] = detection.flags(chosen["outliers"])
    others = None if reference is None else read(as_written(reference, model.written_))[0]
    if others is not None:
        refuse_few(len(others), 1, "reference")
    ground = (Ground if encoding is None else MixedGround)(
        model,
        np.ascontiguousarray(x[positions]),
        positions if places is None else np.asarray(places, dtype=np.int64)[positions],
        _reference(
            x,
            positions,
            "new" if places is not None else kind,
            others,
        ),
        names,
        seed,
    )
    sheet = Sheet()
    sheet.facts = _facts(ground, names or given_names, kind, n_rows or len(x), origin, label_column)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        if isinstance(ground, MixedGround):
            mixed.fill(ground, sheet, chosen["labels"])
        else:
            _fill(ground, sheet, chosen, n_importance, n_rows_importance)
    found = _verdict(ground, kind)
    sheet.facts["versus_pca"] = None if found is None else found.as_facts()
    facts = {
        **sheet.facts,
        "metrics": [one.as_dict() for one in sheet.metrics],
        "pca": sheet.pca,
    }
    facts["health"] = [one.as_dict() for one in health(facts, sheet.arrays, model.history_)]
    return Evaluation(facts, {name: _small(a) for name, a in sheet.arrays.items()})


def _fill(
    ground: Ground,
    sheet: Sheet,
    chosen: dict[str, Array | None],
    n_importance: int,
    n_rows_importance: int | None,
) -> None:
    labels, factors = chosen["labels"], chosen["factors"]
    _sections.reconstruction(ground, sheet)
    _sections.bound(ground, sheet, n_importance, n_rows_importance)
    _sections.codes(ground, sheet)
    _sections.slopes(ground, sheet)
    _sections.noise(ground, sheet)
    classes = None
    if labels is not None:
        _supervised.labels(ground, sheet, labels)
        classes = sheet.arrays.get("label")
    _sections.walks(ground, sheet, classes)
    _sections.neighbours(ground, sheet)
    if factors is not None:
        _supervised.factors(ground, sheet, factors)
    _supervised.outliers(ground, sheet, chosen["outliers"])
    _sections.look(ground, sheet)
    _sections.generalisation(ground, sheet)


def _facts(
    ground: Ground,
    names: tuple[str, ...] | None,
    kind: Kind,
    n_given: int,
    origin: str,
    label_column: str | None,
) -> dict[str, Any]:
    model = ground.model
    history = model.history_
    return {
        "model": type(model).__name__,
        "n_components": ground.k,
        "n_features": ground.d,
        "feature_names": None if names is None else list(names),
        "likelihood": model.likelihood_,
        "left_out": None,
        "beta": model.beta,
        "scaling": model.scaling_.kind,
        "unit": ground.unit,
        "rows": {
            "kind": kind,
            "n": ground.n,
            "origin": origin,
            "words": _words(kind, ground.n, n_given, origin, model.held_out_),
        },
        "fit": {
            "stayed_linear": bool(model.stayed_linear_),
            "interrupted": bool(getattr(model, "interrupted_", False)),
            "diverged": bool(getattr(model, "diverged_", False)),
            "seconds": history[-1].get("seconds") if history else None,
        },
        "labels": None,
        "label_column": label_column,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "seed": ground.seed,
    }


def _words(kind: Kind, n: int, n_given: int, origin: str, held_out: HeldOut | None) -> str:
    of = f" of {origin}" if origin else ""
    if kind == "held out":
        return (
            f"{n:,} of the {n_given:,} rows{of}: the fit did not train on them, but they chose the "
            "state that was kept, which flatters it a little."
        )
    if kind == "training":
        also = (
            "; the comparison with PCA rests on cross-validation, where each row was judged by a "
            "model that had not seen it"
            if held_out is not None
            else ""
        )
        return f"{n:,} rows{of}, the rows of the fit: figures on new rows will be worse{also}."
    return f"{n:,} rows{of}, none of them taken from the fit."


def _positions(model: Model, n: int, rows: Any, kind: Kind) -> NDArray[np.int64]:
    if rows is None:
        held = model.held_out_
        if kind == "held out" and held is not None and len(held.rows) < n:
            rows = held.rows
        else:
            return np.arange(n)
    positions = np.asarray(rows)
    if positions.dtype == bool and positions.shape == (n,):
        positions = np.flatnonzero(positions)
    whole = positions.ndim == 1 and positions.dtype.kind in "iu"
    if not whole or len(positions) < 2 or positions.min() < 0 or positions.max() >= n:
        given = f"rows of shape {positions.shape} and type {positions.dtype}"
        raise DataError(given, f"must be at least two positions from 0 to {n - 1}")
    return positions.astype(np.int64)


def _encoder(encoding: Encoding, model: str) -> Read:
    """The matrix of a mixed table and names, columns by position where rows have none."""

    def read(X: Any) -> tuple[Array, tuple[str, ...] | None]:
        X = _held(X)
        if names_of(X) is None and not isinstance(X, Table):
            table = arrow(handed.as_array(X))
            if table.num_columns != len(encoding.columns):
                raise DataError(
                    f"X with {table.num_columns} column{'s' * (table.num_columns != 1)}",
                    f"must have {len(encoding.columns)}, as the data of the fit",
                )
            warn_of_position(None, encoding.names, model)
            X = table.rename_columns(list(encoding.names))
        return encoding.encode(X), encoding.names

    return read


def _by_name(names: tuple[str, ...] | None, model: str) -> Read:
    """Numbers and names of rows, columns by name where both have names."""

    def read(X: Any) -> tuple[Array, tuple[str, ...] | None]:
        X = _held(X)
        x, here = values_of(X)
        if names is None or here is None:
            warn_of_position(here, names, model)
            return x, here
        at = places(here, names, origin_of(X)[0])
        return np.ascontiguousarray(x[:, at]), names

    return read


def _held(X: Any) -> Any:
    """A source as rows in memory; anything else as it is."""
    handed.refuse(X)
    if not isinstance(X, Source):
        return X
    if n_bytes(X) > MOST_BYTES:
        raise DataError(
            f"{X.origin} of {n_rows(X)} rows",
            "is too large to be measured whole",
            "Give some of its rows: isthmus.data.rows.taking.sample(source, 20_000).",
        )
    return held(X)


def _reference(x: Array, positions: Array, kind: Kind, reference: Array | None) -> Array | None:
    if kind == "new":
        return reference
    if kind == "training":
        return x
    others = np.ones(len(x), dtype=bool)
    others[positions] = False
    return x[others] if others.sum() > 1 else None


def _column(values: Any, n: int, name: str) -> Array | None:
    if values is None:
        return None
    column = np.asarray(values)
    if column.shape != (n,):
        raise DataError(
            f"{name} of shape {column.shape}", f"must have one value for each of {n} rows"
        )
    return column


def _columns(values: Any, n: int) -> Array | None:
    if values is None:
        return None
    columns = np.asarray(values)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or len(columns) != n:
        raise DataError(
            f"factors of shape {columns.shape}", f"must have a row for each of {n} rows"
        )
    return columns


def _verdict(ground: Ground, kind: Kind) -> Verdict | None:
    model = ground.model
    held = model.held_out_
    if kind != "new":
        if held is None or len(held.rows) < 2:
            return None
        words = "held-out rows" if kind == "held out" else "rows held out in turn"
        if not isinstance(ground.core.corruption, Identity):
            words += ", given with noise"
        return verdict(
            held.squared_error,
            held.pca_squared_error,
            ground.k,
            curve=model.pca_curve_,
            stayed_linear=model.stayed_linear_,
            rows=words,
        )
    if ground.line is None or ground.pca is None or ground.n < 2:
        return None
    whole = not bool(np.isnan(ground.x).any())
    return verdict(
        ground.own.row,
        ground.line.row,
        ground.k,
        curve=ground.pca.curve(ground.u(ground.x)) if whole else None,
        rows="new rows",
    )


def _small(values: Array) -> Array:
    """float32 unless whole numbers, or too large for it."""
    a = np.asarray(values)
    if a.dtype.kind in "iu":
        return a.astype(np.int64)
    large = bool((np.abs(a) > np.finfo(np.float32).max).any())
    return a if large else a.astype(np.float32)
