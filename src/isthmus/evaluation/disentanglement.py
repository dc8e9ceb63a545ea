"""Whether each latent answers to one factor of variation, where the factors are known.

All three start from a matrix with a row for each latent and a column for each factor:

- *MIG* (Chen et al. 2018, *Isolating Sources of Disentanglement*, equation 6): mutual information
  of latent and factor, over the factor's entropy; the mean over factors of the gap between the two
  best latents. Latents are cut into 20 bins of equal width (Locatello et al. 2019).
- *DCI* (Eastwood & Williams 2018): importances P of a random forest that predicts each factor from
  the code. Disentanglement is the mean over latents, weighted by their importance, of 1 − H(P_k·)
  in units of ln F; completeness the mean over factors of 1 − H(P_·f) in units of ln K;
  informativeness the forest's accuracy (R² of a measurement) on the held-out half.
- *SAP* (Kumar et al. 2018, section 3): how well one latent alone predicts a factor, R² of a line
  for a measurement, balanced accuracy of thresholds for classes; the mean over factors of the gap
  between the two best latents.

Not promised: that the three agree; they often do not (Locatello et al. 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError
from isthmus.evaluation.probes import is_measured

Array = NDArray[Any]
Floats = NDArray[np.float64]
BINS = 20


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness and informativeness, 0 to 1 each, higher is better."""

    disentanglement: float
    completeness: float
    informativeness: float


def mig(codes: Array, factors: Array) -> float:
    """Mutual information gap.

    Args:
        codes: (N, K), K ≥ 2.
        factors: (N, F) of numbers, none of them constant.

    Returns:
        0 to 1, higher is better.

    Raises:
        DataError: K < 2, or a factor does not vary.

    >>> f = np.array([[i, j] for i in range(4) for j in range(4)])
    >>> mig(f, f), mig(np.stack([f[:, 0], f[:, 0]], axis=1), f[:, :1])
    (1.0, 0.0)
    """
    _check(codes, factors)
    from sklearn.metrics import mutual_info_score

    latents = [_binned(z, BINS) for z in np.asarray(codes, dtype=np.float64).T]
    gaps = []
    for column in np.asarray(factors).T:
        factor = _levels(column)
        share = np.bincount(factor) / len(factor)
        entropy = -sum(p * math.log(p) for p in share if p > 0)
        best = sorted((mutual_info_score(factor, z) for z in latents), reverse=True)
        gaps.append(max(0.0, (best[0] - best[1]) / entropy))
    return float(np.mean(gaps))


def dci(codes: Array, factors: Array, *, seed: int = 0) -> DCI:
    """Disentanglement, completeness, informativeness.

    Args:
        codes: (N, K), K ≥ 2.
        factors: (N, F), F ≥ 2.
        seed: of the split and the forests.

    Raises:
        DataError: K < 2 or F < 2, or a factor does not vary.
    """
    _check(codes, factors)
    if np.asarray(factors).shape[1] < 2:
        raise DataError("one factor", "cannot be entangled with another; DCI needs at least two")
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    train, test = _halves(len(codes), seed)
    z = np.asarray(codes, dtype=np.float64)
    importances, accuracy = [], []
    for column in np.asarray(factors).T:
        kind = RandomForestRegressor if is_measured(column) else RandomForestClassifier
        y = column if is_measured(column) else _levels(column)
        forest = kind(50, random_state=seed, max_features=None).fit(z[train], y[train])
        importances.append(forest.feature_importances_)
        accuracy.append(float(np.clip(forest.score(z[test], y[test]), 0.0, 1.0)))
    P = np.stack(importances, axis=1)
    return DCI(*concentration(P), float(np.mean(accuracy)))


def concentration(importance: Array) -> tuple[float, float]:
    """Disentanglement and completeness of importances (K, F), K and F ≥ 2, each at least 0.

    >>> concentration(np.eye(3)), concentration(np.ones((2, 2)))
    ((1.0, 1.0), (0.0, 0.0))
    """
    P = np.asarray(importance, dtype=np.float64)
    by_latent, by_factor = _one_less_entropy(P), _one_less_entropy(P.T)
    weight = P.sum(1) / max(float(P.sum()), np.finfo(float).tiny)
    # a factor that no latent helps to predict is complete in none
    told = P.sum(0) > 0
    return float(weight @ by_latent), float(np.where(told, by_factor, 0.0).mean())


def sap(codes: Array, factors: Array, *, seed: int = 0) -> float:
    """Separated attribute predictability.

    Args:
        codes: (N, K), K ≥ 2.
        factors: (N, F).
        seed: of the split into halves, one to fit and one to judge.

    Returns:
        0 to 1, higher is better.

    Raises:
        DataError: K < 2, or a factor does not vary.
    """
    _check(codes, factors)
    from sklearn.tree import DecisionTreeClassifier

    train, test = _halves(len(codes), seed)
    z = np.asarray(codes, dtype=np.float64)
    gaps = []
    for column in np.asarray(factors).T:
        if is_measured(column):
            scores = [_squared_correlation(z[:, k], column) for k in range(z.shape[1])]
        else:
            y = _levels(column)
            scores = []
            for k in range(z.shape[1]):
                tree = DecisionTreeClassifier(
                    max_leaf_nodes=max(2, int(y.max()) + 1), class_weight="balanced", random_state=0
                ).fit(z[train, k : k + 1], y[train])
                known = np.isin(y[test], y[train])
                guess = tree.predict(z[test, k : k + 1][known])
                scores.append(_recall(y[test][known], guess))
        scores.sort(reverse=True)
        gaps.append(scores[0] - scores[1])
    return float(np.mean(gaps))


def _recall(truth: Array, guess: Array) -> float:
    """Mean over the classes of the share that is told right: balanced accuracy."""
    return float(np.mean([float((guess[truth == c] == c).mean()) for c in np.unique(truth)]))


def _check(codes: Array, factors: Array) -> None:
    if np.ndim(factors) != 2 or len(factors) != len(codes):
        raise DataError(
            f"factors of shape {np.shape(factors)}",
            f"must have a row for each of the {len(codes)} codes and a column for each factor",
        )
    if np.shape(codes)[1] < 2:
        raise DataError("a code of one latent", "has no second one to compare with")
    for f, column in enumerate(np.asarray(factors).T):
        if column.dtype.kind not in "fiub" or not np.isfinite(column).all():
            raise DataError(f"factor {f}", "must be made of finite numbers, none of them missing")
        if len(np.unique(column)) < 2:
            raise DataError(f"factor {f}", "must vary")


def _halves(n: int, seed: int) -> tuple[Array, Array]:
    order = np.random.default_rng(seed).permutation(n)
    return order[: n // 2], order[n // 2 :]


def _binned(values: Array, n_bins: int) -> NDArray[np.int64]:
    edges = np.histogram_bin_edges(values, n_bins)
    return np.digitize(values, edges[1:-1])


def _levels(column: Array) -> NDArray[np.int64]:
    """Classes as 0, 1, …; a measurement in bins of equal width."""
    if is_measured(column):
        column = _binned(column.astype(np.float64), BINS)
    found: NDArray[np.int64] = np.unique(column, return_inverse=True)[1].astype(np.int64)
    return found


def _one_less_entropy(P: Floats) -> Floats:
    total = P.sum(1, keepdims=True)
    p = np.divide(P, total, out=np.full_like(P, 1.0 / P.shape[1]), where=total > 0)
    safe = np.where(p > 0, p, 1.0)
    entropy: Floats = -(p * np.log(safe)).sum(1) / math.log(P.shape[1])
    return 1.0 - entropy


def _squared_correlation(z: Array, y: Array) -> float:
    if z.std() == 0:
        return 0.0
    return float(np.corrcoef(z, y.astype(np.float64))[0, 1] ** 2)
