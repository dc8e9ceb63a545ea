"""What can be read off a code by the simplest means: a linear model and the nearest neighbours.

Cross-validated accuracy of scikit-learn's logistic regression and k nearest neighbours on
standardised codes (Alain & Bengio 2017, *Understanding Intermediate Layers Using Linear Classifier
Probes*). Where the labels are measurements, ridge regression and neighbours' means, judged by R².
A code made for labels will do better; a probe says what is there without them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError

Array = NDArray[Any]
FOLDS = 5
NEIGHBOURS = 5
MOST_CLASSES = 100
FEW_VALUES = 20


@dataclass(frozen=True)
class Probe:
    """Cross-validated figures of a linear probe and one of neighbours.

    Attributes:
        linear, neighbours: accuracy (0 to 1), or R² (at most 1) where ``measured``.
        chance: the same of a guess that does not look: the largest class's share, or R² = 0.
        measured: whether the labels are measurements, not classes.
        n: rows used; ``n_classes``: classes used, 0 where measured.
    """

    linear: float
    neighbours: float
    chance: float
    measured: bool
    n: int
    n_classes: int


def is_measured(labels: Array) -> bool:
    """Whether labels are measurements: numbers, more than 20 different ones, or not whole.

    >>> is_measured(np.array([0, 1, 2])), is_measured(np.linspace(0, 1, 50))
    (False, True)
    """
    values = np.asarray(labels)
    if values.dtype.kind not in "fiu":
        return False
    different = np.unique(values[~np.isnan(values)] if values.dtype.kind == "f" else values)
    return len(different) > FEW_VALUES


def probe(codes: Array, labels: Array, *, seed: int = 0) -> Probe:
    """Both probes of a code.

    Args:
        codes: (N, K).
        labels: (N,) classes (numbers or words) or measurements. Rows with a missing label, and
            classes of a single row, are left out.
        seed: of the folds.

    Raises:
        DataError: fewer than two classes of at least two rows, or over 100 of them; fewer than ten
            measurements.

    >>> z = np.repeat([[0.0], [9.0]], 20, axis=0) + np.linspace(0, 1, 40)[:, None]
    >>> probe(z, np.repeat(["a", "b"], 20)).linear
    1.0
    """
    from sklearn import linear_model, neighbors
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    measured = is_measured(labels)
    z, y = _usable(codes, np.asarray(labels), measured)
    if measured:
        if len(y) < 2 * FOLDS:
            raise DataError(f"{len(y)} labelled rows", f"must be at least {2 * FOLDS}")
        folds: Any = KFold(FOLDS, shuffle=True, random_state=seed)
        linear: Any = linear_model.Ridge()
        near = neighbors.KNeighborsRegressor
        chance, n_classes, scoring = 0.0, 0, "r2"
    else:
        names, y = np.unique(y, return_inverse=True)
        sizes = np.bincount(y)
        chance, n_classes, scoring = float(sizes.max() / len(y)), len(names), "accuracy"
        n_folds = int(min(FOLDS, sizes.min()))
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        linear = linear_model.LogisticRegression(max_iter=500)
        near = neighbors.KNeighborsClassifier
    smallest = len(y) - -(-len(y) // folds.n_splits)
    neighbours = near(n_neighbors=max(1, min(NEIGHBOURS, smallest)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = [
            float(
                cross_val_score(
                    make_pipeline(StandardScaler(), model), z, y, cv=folds, scoring=scoring
                ).mean()
            )
            for model in (linear, neighbours)
        ]
    return Probe(found[0], found[1], chance, measured, len(y), n_classes)


def present(labels: Array) -> NDArray[np.bool_]:
    """(N,) whether a label is there: no NaN, infinity, None or an empty word.

    >>> present(np.array(["a", ""])), present(np.array([1.0, np.nan]))
    (array([ True, False]), array([ True, False]))
    """
    values = np.asarray(labels)
    if values.dtype.kind == "f":
        there: NDArray[np.bool_] = np.isfinite(values)
        return there
    if values.dtype.kind in "OU":
        return np.array([v is not None and v == v and str(v) != "" for v in values.tolist()], bool)
    return np.ones(len(values), bool)


def _usable(codes: Array, labels: Array, measured: bool) -> tuple[Array, Array]:
    keep = present(labels)
    z, y = np.asarray(codes, dtype=np.float64)[keep], labels[keep]
    if measured:
        return z, y.astype(np.float64)
    y = y.astype(str)
    names, sizes = np.unique(y, return_counts=True)
    lasting = names[sizes > 1]
    if not 2 <= len(lasting) <= MOST_CLASSES:
        raise DataError(
            f"labels with {len(lasting)} classes of at least two rows",
            f"must have 2 to {MOST_CLASSES}",
            "Name a column of classes, or of measurements.",
        )
    often = np.isin(y, lasting)
    return z[often], y[often]
