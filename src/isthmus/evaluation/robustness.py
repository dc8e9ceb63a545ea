"""What noise on a row does to its reconstruction.

    error at level s:   E‖r(x̃) − x‖²          x̃ ~ C_s(x̃|x)
    share passed on:    E‖r(x̃) − r(x)‖² / E‖x̃ − x‖²

For a linear r = R and Gaussian noise of deviation s the first is E‖x − Rx‖² + s²‖R‖²_F exactly, and
the second ‖R‖²_F / D: K/D for PCA, whose projector keeps what falls into its plane. A denoiser that
knows more of the data passes less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.reconstruction import squared_error

Array = NDArray[Any]
Map = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Noise:
    """Figures at levels (L,).

    Attributes:
        level: (L,) of the noise.
        error: (L,) squared error per row against the clean rows.
        passed: (L,) share of the noise that reaches the reconstruction, NaN without noise.
    """

    level: Array
    error: Array
    passed: Array


def noise(
    reconstruct: Map, corrupt: Callable[[float], Array], x: Array, levels: Array, weight: Array
) -> Noise:
    """Error and passed share at each level.

    Args:
        reconstruct: r, (N, D) → (N, D).
        corrupt: level → (N, D), the rows with that noise.
        x: (N, D) clean rows, NaN where an entry is missing.
        levels: (L,).
        weight: (D,) by which each feature counts.

    >>> x = np.zeros((2, 1))
    >>> noise(lambda y: y / 2, lambda s: x + s, x, np.array([2.0]), np.ones(1)).passed
    array([0.25])
    """
    still = reconstruct(x) * weight
    error, passed = [], []
    for level in levels:
        noisy = corrupt(float(level))
        out = reconstruct(noisy) * weight
        error.append(float(squared_error(x * weight, out).mean()))
        put_in = float(squared_error(x * weight, np.where(np.isnan(x), 0.0, noisy) * weight).sum())
        moved = np.where(np.isnan(x), np.nan, still)
        passed.append(float(squared_error(moved, out).sum()) / put_in if put_in > 0 else np.nan)
    return Noise(np.asarray(levels, dtype=np.float64), np.array(error), np.array(passed))
