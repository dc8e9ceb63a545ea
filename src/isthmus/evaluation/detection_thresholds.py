"""From scores of rows that nothing was fitted to: p-values, thresholds, and what they promise.

What is exact: :func:`conformal_p_values` and :func:`conformal_threshold`, for rows exchangeable
with the calibration rows, whatever the score (Vovk, Gammerman & Shafer 2005, *Algorithmic Learning
in a Random World*). What is a model: :func:`extreme_value_threshold`. What is not promised:
anything for rows from elsewhere.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
# Of the calibration rows, the share whose excesses are modelled.
TAIL = 0.1
# Fewest excesses from which a shape is estimated; below it the tail is taken as exponential.
_FEW_EXCESSES = 30


def conformal_p_values(calibration: Array, score: Array) -> Floats:
    """(1 + #{calibration ≥ score}) / (1 + m).

    For a row exchangeable with the calibration rows, P(p ≤ α) ≤ α for every α.

    Args:
        calibration: (m,) scores of rows that nothing in the score depends on, rising.
        score: (N,) higher is more unusual.

    Returns:
        (N,), 1 / (1 + m) to 1, lower is more unusual.

    >>> conformal_p_values(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.5, 9.0]))
    array([1.  , 0.5 , 0.25])
    """
    m = len(calibration)
    p: Floats = (1 + m - np.searchsorted(calibration, score, "left")) / (1 + m)
    return p


def conformal_threshold(calibration: Array, rate: float) -> float | None:
    """The lowest τ for which P(score > τ) ≤ rate for a row exchangeable with the calibration rows.

    Args:
        calibration: (m,) scores, rising.
        rate: wanted false-alarm rate, between 0 and 1.

    Returns:
        A calibration score; None where m < 1/rate − 1: so few rows promise no such rate.

    >>> conformal_threshold(np.arange(99.0), 0.01), conformal_threshold(np.arange(98.0), 0.01)
    (98.0, None)
    """
    m = len(calibration)
    allowed = math.floor(rate * (m + 1) + 1e-9)
    return float(calibration[m - allowed]) if allowed >= 1 else None


def extreme_value_threshold(calibration: Array, rate: float) -> float:
    """τ with P(score > τ) = rate by peaks over a threshold.

    The excesses over u, the score that a tenth of the rows (or ``rate``, if more) exceed, are taken
    as generalised Pareto with shape ξ and scale σ fitted by maximum likelihood, and as exponential
    (ξ = 0) where they are fewer than 30; then τ = u + σ/ξ ((rate / share above u)^−ξ − 1) (Pickands
    1975; Coles 2001, *An Introduction to Statistical Modeling of Extreme Values*, equation 4.12).

    Args:
        calibration: (m,) scores, rising, m ≥ 2.
        rate: wanted rate, between 0 and 1; it may be below 1/m.

    Returns:
        τ, in the unit of the scores.

    >>> scores = np.sort(np.random.default_rng(0).exponential(size=20_000))
    >>> bool(abs(extreme_value_threshold(scores, 1e-4) - np.log(1e4)) < 0.5)
    True
    """
    from scipy.stats import genpareto

    m = len(calibration)
    k = min(m - 1, max(1, math.ceil(max(TAIL, rate) * m)))
    u = float(calibration[m - k - 1])
    excess = calibration[calibration > u] - u
    if len(excess) == 0 or rate >= len(excess) / m:
        return float(np.quantile(calibration, 1 - rate))
    shape, scale = 0.0, float(excess.mean())
    if len(excess) >= _FEW_EXCESSES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, _, scale = genpareto.fit(excess, floc=0.0)
    return u + float(genpareto.isf(rate * m / len(excess), shape, scale=scale))


def clopper_pearson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a rate that was met ``count`` times in ``n`` (Clopper & Pearson 1934).

    Args:
        count: 0 to n.
        n: at least 1.
        confidence: chance, at least, that the interval holds the rate.

    Returns:
        Lowest and highest rate, 0 to 1.

    >>> low, high = clopper_pearson(0, 100)
    >>> (low, round(high, 4))  # 1 − 0.025^(1/100)
    (0.0, 0.0362)
    """
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(beta.ppf(1 - tail, count + 1, n - count))
    return low, high
