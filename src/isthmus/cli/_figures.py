"""Figures of arrays that several verbs tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RANGE = ("min", "mean", "max")


def describe(column: NDArray[Any]) -> dict[str, Any]:
    """Kind, missing entries and range of one column (N,).

    >>> describe(np.array([0.0, 2.0, np.nan]))
    {'kind': 'counts', 'n_missing': 1, 'min': 0.0, 'mean': 1.0, 'max': 2.0}
    """
    there = column[~np.isnan(column)]
    if not len(there):
        return {"kind": "empty", "n_missing": len(column)} | dict.fromkeys(_RANGE, math.nan)
    low, high = float(there.min()), float(there.max())
    return {
        "kind": _kind(there, low, high),
        "n_missing": len(column) - len(there),
        "min": low,
        "mean": float(there.mean(dtype=np.float64)),
        "max": high,
    }


def n_repeated(values: NDArray[Any]) -> int:
    """How many rows of (N, D) are the same as one above them, missing entries alike.

    >>> n_repeated(np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [2.0, -0.0]]))
    2
    """
    rows = np.ascontiguousarray(values) + 0.0  # -0.0 becomes 0.0
    rows[np.isnan(rows)] = np.nan
    return len(rows) - len({row.tobytes() for row in rows})


def _kind(values: NDArray[Any], low: float, high: float) -> str:
    """What the values look like; a word for a person, nothing that a model goes by."""
    if low == high:
        return "constant"
    if bool((values == np.rint(values)).all()):
        if low == 0 and high == 1:
            return "binary"
        return "counts" if low >= 0 else "whole numbers"
    if low >= 0 and high <= 1:
        return "shares (0 to 1)"
    return "positive" if low > 0 else "real"
