"""Samples with a shape, images and series, and the flat rows that everything inside works on.

A sample is an image (C, H, W) or a series (C, T); its row has the entries in that order, the last
axis fastest. What an array X is taken for, as a source or in `fit`, is told by
:func:`isthmus.data.arrays.source.told`. What it cannot tell is refused, unless ``sample_shape``
says it, which also gives flat rows their shape: (H, W), (C, T) or (T,) by the same rule, (C, H, W)
with any C; and (C, 1, T) for a series of 8 channels and more.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.arrays.source import SMALLEST_SIDE, sample_of, told
from isthmus.data.columns.choosing import refuse_other_samples
from isthmus.errors import DataError, InvalidParameterError

Array = NDArray[Any]
Shape = tuple[int, ...]
_SAY = "Say what a sample is: sample_shape=(C, H, W) for images, (C, 1, T) for series."


def flat(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X with samples as rows; the shapes are remembered in a fit, and compared afterwards.

    Sets ``sample_shape_``, (C, H, W), (C, T) or None, and ``input_shape_``, the shape of one
    sample of X, None for flat rows.

    Raises:
        DataError: the shape could mean two things, or is not that of the fit, which may have had
            a table.
        InvalidParameterError: ``sample_shape`` is no shape, or not that of X.
    """
    n_axes = getattr(X, "ndim", 2)
    if reset:
        given = getattr(estimator, "sample_shape", None)
        stated = None if given is None else parsed(given)
        estimator.sample_shape_, estimator.input_shape_ = stated, None
        if n_axes in (3, 4):
            shape = tuple(int(n) for n in X.shape[1:])
            estimator.sample_shape_ = _of(shape, stated)
            estimator.input_shape_ = shape
    known = getattr(estimator, "sample_shape_", None)
    if n_axes not in (3, 4):
        return X
    if known is None:
        names = getattr(estimator, "feature_names_in_", None)
        shape = tuple(int(n) for n in X.shape[1:])
        fitted = None if names is None else list(names)
        refuse_other_samples("X", shape, fitted, estimator.n_features_in_, None)
        return X
    X = np.asarray(X)
    order = _order(X.shape[1:], known)
    if order is None:
        raise DataError(
            f"X with samples of shape {X.shape[1:]}",
            f"must have those of the fit, {known}, or flat rows of {math.prod(known)} values",
        )
    rows: Array = np.moveaxis(X, -1, 1) if order == "last" else X
    return np.ascontiguousarray(rows).reshape(len(X), math.prod(known))


def of_source(estimator: Any, feature_shape: Shape) -> None:
    """Remember what a source says of its rows, where ``sample_shape`` does not say it."""
    given = getattr(estimator, "sample_shape", None)
    estimator.sample_shape_ = None if given is None else parsed(given)
    estimator.input_shape_ = None
    if len(feature_shape) > 1:
        if given is None:
            estimator.sample_shape_ = feature_shape
        if _order(feature_shape, estimator.sample_shape_) is not None:
            estimator.input_shape_ = feature_shape


def check_size(estimator: Any, n_features: int) -> None:
    """Refuse flat rows that do not have the size that ``sample_shape`` states."""
    shape = getattr(estimator, "sample_shape_", None)
    if shape is not None and math.prod(shape) != n_features:
        raise InvalidParameterError(
            f"sample_shape={tuple(estimator.sample_shape)}",
            f"has {math.prod(shape)} entries, and a row of X has {n_features}",
        )


def shaped(rows: Array, sample_shape: Shape | None, wanted: Shape | None) -> Array:
    """(N, D) rows as samples of the wanted shape; as they are where it is None."""
    if wanted is None or sample_shape is None:
        return rows
    if _order(wanted, sample_shape) == "last":
        return np.ascontiguousarray(np.moveaxis(rows.reshape(-1, *sample_shape), 1, -1))
    return rows.reshape(-1, *wanted)


def like(estimator: Any, rows: Array, X: Any) -> Array:
    """(N, D) rows in the shape of the samples of X."""
    if getattr(X, "ndim", 2) not in (3, 4):
        return rows
    return shaped(rows, estimator.sample_shape_, tuple(int(n) for n in X.shape[1:]))


def restore(estimator: Any, sample_shape: list[int] | None, data: Mapping[str, Any]) -> None:
    """Take over the shapes that a run recorded.

    Raises:
        ValueError: they do not fit the number of features, or each other.
    """
    known = None if sample_shape is None else tuple(sample_shape)
    given = data.get("input_shape")
    wanted = None if given is None else tuple(given)
    if known is not None and math.prod(known) != estimator.n_features_in_:
        raise ValueError(f"samples of {known} have not {estimator.n_features_in_} features")
    if wanted is not None and (known is None or _order(wanted, known) is None):
        raise ValueError(f"samples of {known} were given as {wanted}")
    estimator.sample_shape_, estimator.input_shape_ = known, wanted


def parsed(given: Any) -> Shape:
    """``sample_shape`` as (C, H, W) or (C, T).

    >>> [parsed(s) for s in ((28, 20), (3, 32, 32), (140,), (2, 140), (12, 1, 1000))]
    [(1, 28, 20), (3, 32, 32), (1, 140), (2, 140), (12, 1000)]
    """
    ends = isinstance(given, Iterable) and not isinstance(given, str)
    sizes: list[Any] = list(given) if ends else []
    if not 1 <= len(sizes) <= 3 or not all(_is_size(n) for n in sizes):
        raise InvalidParameterError(
            f"sample_shape={given!r}",
            "must be None, (H, W) or (C, H, W) of an image, or (T,), (C, T) or (C, 1, T) of a "
            "series, whole numbers of at least 1",
        )
    shape = tuple(int(n) for n in sizes)
    if len(shape) == 1:
        return (1, *shape)
    if len(shape) == 3:
        return (shape[0], shape[2]) if shape[1] == 1 else shape
    return shape if shape[0] < SMALLEST_SIDE else (1, *shape)


def _is_size(n: Any) -> bool:
    if isinstance(n, bool) or not isinstance(n, Integral):
        return False
    return operator.index(n) >= 1


def stated(sample_shape: Shape) -> Shape:
    """The ``sample_shape`` that means these samples and nothing else."""
    return sample_shape if len(sample_shape) == 3 else (sample_shape[0], 1, sample_shape[1])


def words(sample_shape: Shape) -> str:
    """What a sample was taken for.

    >>> words((1, 28, 20)), words((2, 140))
    ('images of 28 × 20 pixels', 'series of 140 points, 2 channels')
    """
    channels = f", {sample_shape[0]} channels" if sample_shape[0] > 1 else ""
    if len(sample_shape) == 2:
        return f"series of {sample_shape[1]} points{channels}"
    return f"images of {sample_shape[1]} × {sample_shape[2]} pixels{channels}"


def _of(shape: Shape, stated: Shape | None) -> Shape:
    """What samples of an array are, unless it is stated."""
    if stated is not None:
        if _order(shape, stated) is None:
            raise InvalidParameterError(
                f"sample_shape={stated}", f"does not fit X, whose samples have the shape {shape}"
            )
        return stated
    layout = told((1, *shape))
    if layout is not None:
        return sample_of((1, *shape), layout)
    raise DataError(f"X with samples of shape {shape}", "could be images or series", _SAY)


def _order(shape: Shape, known: Shape) -> str | None:
    """Whether an array's samples have their channels "first" or "last"; None if neither."""
    shape = tuple(shape)
    if shape == known or (known[0] == 1 and shape == known[1:]):
        return "first"
    if len(known) == 2 and shape == (known[0], 1, known[1]):
        return "first"
    return "last" if shape == (*known[1:], known[0]) else None
