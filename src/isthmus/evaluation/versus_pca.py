"""Is it better than PCA? The held-out error of both, paired over rows, and one sentence.

    share = 1 − Σ_n e_n / Σ_n p_n

with e_n and p_n the squared errors of row n by the autoencoder and by PCA with as many components.
Its interval is the percentile bootstrap over rows (Efron & Tibshirani 1993, chapter 13): rows are
drawn with replacement, both errors of a row together, so that what is hard in a row for both does
not blur the difference. It tells how the share varies with the rows that judge, not with the rows
that train, nor with the seed of the fit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError

Array = NDArray[Any]
DRAWS = 2000
LEVEL = 0.95
_CHUNK = 2_000_000
_TINY = float(np.finfo(np.float64).tiny)
LEAST = -1e9
"""The least share: less is told as without bound."""
MIXED_UNIT = "squared standard deviations and Brier scores"
"""Of the error of a mixed table, whose categories are one-hot columns (Brier 1950)."""
SHRUNK = 0.1
"""By how much more than PCA's the error of a linear model is if beta or penalties shrink it."""


@dataclass(frozen=True)
class Verdict:
    """How an autoencoder does against PCA.

    Attributes:
        error, pca_error: mean squared error per row of both.
        share: by how much less the autoencoder's is, 1 for none left, negative if it is more.
        low, high: 95% interval of the share.
        n_to_match: components with which PCA's error is as low, None if none of its sizes is.
        outcome: "better", "level" or "worse", by the interval.
        sentence: all of it in words.
    """

    error: float
    pca_error: float
    share: float
    low: float
    high: float
    n_to_match: int | None
    outcome: str
    sentence: str

    def as_facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def interval(
    errors: Array, pca_errors: Array, *, n_draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the share.

    Args:
        errors: (n,) squared errors of the autoencoder, n ≥ 2.
        pca_errors: (n,) of PCA, the same rows.
        n_draws: resamples.
        level: of confidence, between 0 and 1.
        seed: of the draw.

    Returns:
        Lower and upper end.

    >>> interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    (0.5, 0.5)
    """
    rng = np.random.default_rng(seed)
    n, shares = len(errors), []
    size = max(1, _CHUNK // n)
    for first in range(0, n_draws, size):
        drawn = rng.integers(0, n, (min(size, n_draws - first), n))
        line = pca_errors[drawn].sum(1)
        # rows without a value have no error, by neither: that is no gain; and where PCA leaves
        # nothing, as of constant columns, the share is below any number
        with np.errstate(over="ignore"):
            share = (line - errors[drawn].sum(1)) / np.maximum(line, _TINY)
        shares.append(np.maximum(share, LEAST))
    tail = (1.0 - level) / 2
    low, high = np.quantile(np.concatenate(shares), [tail, 1.0 - tail])
    return float(low), float(high)


def verdict(
    errors: Array,
    pca_errors: Array,
    n_components: int,
    *,
    curve: Array | None = None,
    stayed_linear: bool = False,
    rows: str = "held-out rows",
) -> Verdict:
    """The comparison on given rows.

    Args:
        errors: (n,) squared errors of the autoencoder, n ≥ 2.
        pca_errors: (n,) of PCA with as many components, the same rows and units.
        n_components: K.
        curve: (R,) mean squared error on these rows of PCA with 1 … R components.
        stayed_linear: whether nothing better than the linear start was found: that is PCA, unless
            beta or penalties shrink it.
        rows: what the rows are called.

    Raises:
        DataError: fewer than two rows, or another number of errors for PCA.

    >>> e = np.array([3.0, 3.2, 2.8, 3.0])
    >>> print(verdict(e, np.full(4, 4.0), 2, curve=np.array([6.0, 4.0, 3.0])).sentence)
    25% less squared error than PCA at 2 dimensions on held-out rows (95% interval 21% to 29%);
    PCA needs 3 to match it.
    """
    if len(errors) < 2 or len(errors) != len(pca_errors):
        raise DataError(
            f"errors of {len(errors)} and {len(pca_errors)} rows",
            "must be of the same rows, at least two of them",
        )
    e, p = np.asarray(errors, dtype=np.float64), np.asarray(pca_errors, dtype=np.float64)
    error, line = float(e.mean()), float(p.mean())
    share = (line - error) / max(line, _TINY)
    low, high = interval(e, p)
    n_to_match = None
    if curve is not None:
        as_low = np.flatnonzero(np.asarray(curve) <= error)
        n_to_match = int(as_low[0]) + 1 if len(as_low) else None
    outcome = "better" if low > 0.0 else "worse" if high < 0.0 else "level"
    if stayed_linear and share > -SHRUNK:
        outcome = "level"
    words = sentence(
        share,
        n_components,
        (low, high),
        stayed_linear=stayed_linear,
        rows=rows,
        n_to_match=n_to_match,
        n_tried=None if curve is None else len(curve),
    )
    return Verdict(error, line, share, low, high, n_to_match, outcome, words)


def sentence(
    share: float,
    n_components: int,
    within: tuple[float, float] | None = None,
    *,
    stayed_linear: bool = False,
    rows: str = "held-out rows",
    figures: str = "",
    n_to_match: int | None = None,
    n_tried: int | None = None,
) -> str:
    """The comparison in words: the same after a fit, in ``info`` and in the report.

    Args:
        share: by how much less the autoencoder's error is.
        n_components: K.
        within: its 95% interval, where it is known.
        stayed_linear: whether nothing better than the linear start was found.
        rows: what the rows are called.
        figures: both errors in words, where they are to be told.
        n_to_match: components with which PCA's error is as low, where it is known.
        n_tried: the most that PCA was tried with.

    >>> sentence(0.25, 2, figures="3 against 4 squared data units per row")
    '25% less squared error than PCA at 2 dimensions on held-out rows, 3 against 4 squared data units per row.'
    """  # noqa: E501
    k = n_components
    at = f"PCA at {k} dimension{'s' * (k != 1)} on {rows}{', ' if figures else ''}{figures}"
    if stayed_linear and share > -SHRUNK:
        return f"PCA is as good here: use PCA. Nothing better than its {k} components was found."
    compared = f"{_percent(abs(share))} {'less' if share >= 0 else 'more'} squared error than {at}"
    if share <= -1:
        compared = f"More than twice the squared error of {at}"
    elif _percent(share) in ("0%", "-0%", "0.0%", "-0.0%"):
        compared = f"The same squared error as {at}"
    if within is None:
        return f"{compared}."
    low, high = within
    ends = f"95% interval {_percent(low)} to {_percent(high)}"
    if low > 0:
        needs = ""
        if n_to_match is not None and n_to_match > k:
            needs = f"; PCA needs {n_to_match} to match it"
        elif n_to_match is None and n_tried is not None:
            needs = f"; PCA with {n_tried} does not match it"
        return f"{compared} ({ends}){needs}."
    if high < 0:
        return (
            f"{compared} (95% interval {_percent(-high)} to {_percent(-low)}): "
            "if reconstruction is what counts, use PCA."
        )
    of_gain = ends.replace("interval", "interval of the gain")
    return f"PCA is as good here: use PCA. {compared} ({of_gain})."


def _percent(share: float) -> str:
    """A share in words.

    >>> _percent(-0.5), _percent(LEAST), _percent(-LEAST)
    ('-50%', 'without bound below', 'without bound')
    """
    if abs(share) >= -LEAST:
        return "without bound" if share > 0 else "without bound below"
    value = 100.0 * share
    return f"{value:.0f}%" if abs(value) >= 1.5 or value == 0 else f"{value:.1f}%"
