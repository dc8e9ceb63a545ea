"""How unusual a row is: six views of it, and one scale for them.

An outlier is a row that is unusual in at least one of six ways:

- *by a value alone*: −Σ_d log p_d(x_d), p_d the two-sided tail probability of feature d among
  reference rows (:func:`tail_surprise`; the empirical-tail score of Li et al. 2022, *ECOD*);
- *by how its values go together*: the Mahalanobis distances of what an autoencoder leaves of it,
  r = x − x̂, and of its code z (:class:`Gaussian`), whatever penalties or likelihood it was
  trained with. For a linear autoencoder this is the Mahalanobis distance of the row itself;
- *by having no other row near its code*: the mean distance to the nearest codes of reference rows
  (:class:`Neighbours`; Ramaswamy et al. 2000, *Efficient Algorithms for Mining Outliers from Large
  Data Sets*);
- *by having none near its outline*: the same in the few directions of the rows that stand out from
  noise (:func:`leading_directions`), where distances are not drowned by the others;
- *by having no other row near it*: the distance to the nearest in all features, each by its own
  deviation, because structure that is finer than a code or an outline is in neither;
- *by having none near it in any direction*: the same after :func:`whitening`, so that a small step
  across what features have in common counts like a large one along it.

The six have no common unit. :class:`Tail` turns each into nats by rows that were not fitted:
−log of the share of such rows that are as extreme, continued beyond them by an exponential tail
(Pickands 1975: excesses over a high threshold are generalised Pareto; the exponential is its
limit of shape 0). The surprise of a row is minus the log of a power mean of its six p-values
(:func:`combined`; Vovk & Wang 2020, *Combining p-values via averaging*), of the power −½. Like the
smallest p-value (Tippett 1931), and unlike a product, it is not blunted by a view that sees
nothing; but where several see something, it is larger for it, and no single view's chance decides.
What thresholds and p-values then promise is in :mod:`isthmus.evaluation.detection_thresholds`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
# Of the calibration rows, the share that gives the tail its scale.
TAIL = 0.1
# Features up to which covariances are full; beyond they are diagonal.
MOST_FULL = 2048
# Least variance of a direction that whitening goes by; a feature that varies has 1.
_FLOOR = 1e-4
# Of the mean of p-values: between the harmonic mean (−1) and the geometric one (0).
POWER = -0.5
_CHUNK = 2**22


def tail_surprise(reference: Array, x: Array) -> Floats:
    """−log p of each value, p = min(1, 2 min(share below, share above)), ties on both sides.

    With n reference values the shares are (1 + count) / (n + 2), so that no value is impossible.

    Args:
        reference: (M, D), each column sorted in rising order, without missing entries.
        x: (N, D), NaN where an entry is missing.

    Returns:
        (N, D), nats, 0 to log((M + 2) / 2), higher is more unusual; 0 where missing.

    >>> tail_surprise(np.arange(8.0)[:, None], np.array([[3.5], [9.0], [np.nan]])).round(2).tolist()
    [[0.0], [1.61], [0.0]]
    """
    n = len(reference)
    surprise = np.zeros(x.shape)
    for d in range(x.shape[1]):
        column = reference[:, d]
        below = 1 + np.searchsorted(column, x[:, d], "right")
        above = 1 + n - np.searchsorted(column, x[:, d], "left")
        surprise[:, d] = np.log(np.maximum(1.0, (n + 2) / (2.0 * np.minimum(below, above))))
    return np.where(np.isnan(x), 0.0, surprise)


def category_surprise(frequencies: Array, columns: Array, n: float) -> Floats:
    """−log p of each category, p the share of rows whose category is at most as frequent.

    What :func:`tail_surprise` is for numbers: categories have no tails, but rare and frequent ones.
    The shares are (1 + count) / (n + 1), so that no category is impossible.

    Args:
        frequencies: (F,) number of reference rows of each category, fractions of rows included.
        columns: (F,) the column that each is a category of.
        n: number of reference rows.

    Returns:
        (F,), nats, 0 to log(n + 1), higher is more unusual.

    >>> category_surprise(np.array([60.0, 39.0, 0.0]), np.zeros(3, dtype=int), 99.0).round(2)
    array([0.  , 0.92, 4.61])
    """
    surprise = np.zeros(len(frequencies))
    for column in np.unique(columns):
        of = columns == column
        counts = frequencies[of]
        order = np.sort(counts)
        below = np.r_[0.0, np.cumsum(order)][np.searchsorted(order, counts, "right")]
        surprise[of] = np.log((n + 1) / (1 + below))
    return np.maximum(surprise, 0.0)


class Neighbours:
    """The nearest reference rows, and the mean distance to them.

    A reference row that equals the row itself, up to rounding, counts as that row and is left out,
    once: rows of the fit are scored like new ones.

    Args:
        reference: (M, D) rows, M ≥ 2, finite.
        n_neighbors: k ≥ 1; M − 1 at most are used.
    """

    def __init__(self, reference: Array, n_neighbors: int = 5) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.reference = np.asarray(reference, dtype=np.float64)
        self.n_neighbors = min(n_neighbors, len(reference) - 1)
        self._index = NearestNeighbors(n_neighbors=self.n_neighbors + 1).fit(self.reference)
        self._same = 1e-10 * float(np.sqrt(np.square(self.reference).sum(1).mean()))

    def nearest(self, x: Array) -> tuple[NDArray[np.int64], Floats]:
        """Which rows are nearest and how far they are, (N, k) each, the nearest first.

        Distances are computed from the rows themselves: those of the index are rounded, and a row
        would not be at a distance of 0 from itself.
        """
        x = np.asarray(x, dtype=np.float64)
        which = np.zeros((len(x), self.n_neighbors), dtype=np.int64)
        distance = np.zeros(which.shape)
        step = max(1, _CHUNK // ((self.n_neighbors + 1) * x.shape[1]))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            found = self._index.kneighbors(x[part], return_distance=False)
            apart = np.sqrt(np.square(x[part][:, None] - self.reference[found]).sum(2))
            order = np.argsort(apart, axis=1, kind="stable")
            apart = np.take_along_axis(apart, order, 1)
            found = np.take_along_axis(found, order, 1)
            itself = apart[:, :1] <= self._same
            which[part] = np.where(itself, found[:, 1:], found[:, :-1])
            distance[part] = np.where(itself, apart[:, 1:], apart[:, :-1])
        return which, distance

    def distance(self, x: Array) -> Floats:
        """Mean distance to the k nearest, (N,), units of the rows, at least 0.

        >>> Neighbours(np.array([[0.0], [1.0], [3.0]]), 2).distance(np.array([[1.0], [7.0]]))
        array([1.5, 5. ])
        """
        mean: Floats = self.nearest(x)[1].mean(1)
        return mean


def leading_directions(x: Array) -> tuple[Floats, Floats]:
    """Principal directions of the standardised rows that stand out from noise.

    Of N rows of D independent features of variance 1 no eigenvalue of the covariance lies above
    (1 + √(D/N))² as both grow (Marchenko & Pastur 1967): what does is structure. At least one
    direction is returned.

    Args:
        x: (N, D) rows without missing entries.

    Returns:
        Orthonormal directions (D, K), and the deviation (D,) of each feature, 1 where it is 0.

    >>> rng = np.random.default_rng(0)
    >>> leading_directions(rng.normal(size=(900, 3)) @ rng.normal(size=(3, 20)))[0].shape
    (20, 3)
    """
    n, n_features = x.shape
    deviation = _deviation(x)
    edge = (1.0 + math.sqrt(n_features / n)) ** 2
    return _axes_above(edge, (x - x.mean(0)) / deviation), deviation


def _axes_above(least: float, centred: Floats) -> Floats:
    """Axes (D, K) of the covariance XᵀX/N with eigenvalues above ``least``, or the first."""
    from scipy.linalg import eigh

    wide = centred.shape[1] > len(centred)
    matrix = (centred @ centred.T if wide else centred.T @ centred) / len(centred)
    axes = eigh(matrix, subset_by_value=(least, math.inf))[1]
    if not axes.size:
        axes = eigh(matrix, subset_by_index=(len(matrix) - 1, len(matrix) - 1))[1]
    found: Floats = (centred.T @ axes if wide else axes)[:, ::-1]
    found /= np.maximum(np.linalg.norm(found, axis=0), 1e-300)
    return found


def whitening(x: Array, columns: Array | None = None) -> Floats:
    """What makes all directions of the rows vary alike: x W has the covariance 1.

        W = diag(1/σ) R^(−1/2) ,   R the correlation matrix

    Of all such W this one leaves the features most like what they were (ZCA-cor of Kessy, Lewin &
    Strimmer 2018, *Optimal whitening and decorrelation*). R is shrunk as in :class:`Gaussian`, and
    no eigenvalue counts as less than 1e-4: rows say little of how small the smallest are.

    Args:
        x: (N, D) rows without missing entries.
        columns: (D,) which column of a table each feature is a part of, such as one of its
            categories: σ is then that of the column, the root of their variances together, and R
            the covariance of x/σ. Else a category that is rare would be as far from the others as
            it is rare. None where each feature is a column.

    Returns:
        (D, D); above :data:`MOST_FULL` features 1/σ (D,), and what they have in common is left out.

    >>> x = np.random.default_rng(0).normal(size=(5000, 2)) @ np.array([[2.0, 0.0], [1.0, 1.0]])
    >>> np.abs(np.cov((x @ whitening(x)).T)).round(2)
    array([[1., 0.],
           [0., 1.]])
    """
    from sklearn.covariance import ledoit_wolf

    deviation = _deviation(x, columns)
    if x.shape[1] > MOST_FULL:
        return 1.0 / deviation
    scaled = (x - x.mean(0)) / deviation
    values, axes = np.linalg.eigh(ledoit_wolf(scaled, assume_centered=True)[0])
    turned = axes / np.sqrt(np.maximum(values, _FLOOR))
    whitened: Floats = (turned @ axes.T) / deviation[:, None]
    return whitened


def _deviation(x: Array, columns: Array | None = None) -> Floats:
    """(D,) of each feature, or of each column together where columns are told; 1 where it is 0."""
    deviation = x.std(0)
    if columns is not None:
        deviation = np.sqrt(np.bincount(columns, np.square(deviation)))[columns]
    return np.where(deviation > 1e-12 * np.abs(x).max(0), deviation, 1.0)


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian around 0 as a measure of size: the squared Mahalanobis distance xᵀ C⁻¹ x.

    Attributes:
        covariance: (D, D), or its diagonal (D,).
        precision: its inverse, of the same shape.
    """

    covariance: Floats
    precision: Floats

    @classmethod
    def fit(cls, x: Array) -> Gaussian:
        """From rows (N, D) without missing entries, by the shrinkage of Ledoit & Wolf (2004).

        *A well-conditioned estimator for large-dimensional covariance matrices*: towards the mean
        variance, as far as the rows are too few to tell. Above :data:`MOST_FULL` features the
        covariances are left out.

        >>> x = np.random.default_rng(0).normal(size=(5000, 2)) @ np.array([[2.0, 0.0], [1.0, 1.0]])
        >>> float(Gaussian.fit(x)(x).mean().round(2))  # D
        2.0
        """
        from sklearn.covariance import ledoit_wolf

        x = np.asarray(x, dtype=np.float64)
        if x.shape[1] > MOST_FULL:
            return cls.of(np.einsum("nd,nd->d", x, x) / len(x))
        return cls.of(ledoit_wolf(x, assume_centered=True)[0])

    @classmethod
    def of(cls, covariance: Floats) -> Gaussian:
        """From a covariance (D, D) or variances (D,); a part in 10⁹ is added to each variance."""
        full = covariance.ndim == 2
        variances = np.diagonal(covariance) if full else covariance
        floor = float(variances.mean()) * 1e-9 + 1e-30
        if full:
            inverse = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
            return cls(covariance, np.asarray(inverse, dtype=np.float64))
        return cls(covariance, 1.0 / (covariance + floor))

    def __call__(self, x: Array) -> Floats:
        """xᵀ C⁻¹ x of each row, (N,), without unit; on average D for rows like those of the fit."""
        distance: Floats = np.einsum("nd,nd->n", x, self._turned(x))
        return distance

    def contributions(self, x: Array) -> Floats:
        """x_d (C⁻¹ x)_d, (N, D), whose sum over d is the distance; single ones may be negative."""
        product: Floats = x * self._turned(x)
        return product

    def _turned(self, x: Array) -> Floats:
        return x @ self.precision if self.precision.ndim == 2 else x * self.precision


@dataclass(frozen=True)
class Tail:
    """−log of the chance that a normal row scores as high, as calibration rows have it.

    Between the calibration scores the empirical survival is interpolated; above the threshold
    u, which :data:`TAIL` of them exceed, it falls exponentially with their mean excess b:

        −log P(score ≥ s) = level + (s − u) / b ,   s > u

    Attributes:
        scores: (m,) distinct calibration scores up to u, rising.
        surprise: (m,) −log P at them, nats.
        threshold: u.
        level: −log P at u, nats.
        scale: b > 0, in the unit of the score.
    """

    scores: Floats
    surprise: Floats
    threshold: float
    level: float
    scale: float

    @classmethod
    def fit(cls, calibration: Array) -> Tail:
        """From scores (m,), m ≥ 2, of rows that the score was not fitted to.

        >>> tail = Tail.fit(np.random.default_rng(0).exponential(size=100_000))
        >>> [
        ...     round(float(s)) for s in tail(np.array([1.0, 20.0]))
        ... ]  # the exponential's own −log P(score ≥ s) is s
        [1, 20]
        """
        c = np.sort(np.asarray(calibration, dtype=np.float64))
        m = len(c)
        k = min(m - 1, max(1, math.ceil(TAIL * m)))
        u = float(c[m - k - 1])
        # ties may leave fewer above u, or none
        excess = c[c > u] - u
        scores = np.unique(c[c <= u])
        at_least = m - np.searchsorted(c, scores, "left")
        surprise = -np.log((1 + at_least) / (1 + m))
        spread = float(np.abs(c - np.median(c)).mean())
        floor = max(spread, abs(u), 1.0) * 1e-9
        scale = max(float(excess.mean()) if len(excess) else spread, floor)
        return cls(scores, surprise, u, float(surprise[-1]), scale)

    def __call__(self, score: Array) -> Floats:
        """Surprise of each score (N,), nats, at least 0, higher is more unusual."""
        s = np.asarray(score, dtype=np.float64)
        within = np.interp(s, self.scores, self.surprise)
        beyond = self.level + (s - self.threshold) / self.scale
        surprise: Floats = np.where(s > self.threshold, beyond, within)
        return surprise


def combined(surprises: Array, *, power: float = POWER) -> Floats:
    """−log of a power mean of p-values exp(−s), (N, V) → (N,), nats, at least 0.

        −log (1/V Σ_v p_v^r)^(1/r) = −1/r log 1/V Σ_v exp(−r s_v) ,   r < 0

    between max_v s_v + log(V) / r and max_v s_v.

    Args:
        surprises: (N, V), nats, at least 0.
        power: r < 0; −1 is the harmonic mean, −∞ the smallest p-value.

    >>> combined(np.array([[0.0, 0.0], [0.0, 20.0]])).round(3)
    array([ 0.   , 18.614])
    """
    from scipy.special import logsumexp

    s = np.asarray(surprises, dtype=np.float64)
    if power == -math.inf:
        largest: Floats = s.max(1)
        return largest
    mean = (math.log(s.shape[1]) - logsumexp(-power * s, axis=1)) / power
    surprise: Floats = np.maximum(mean, 0.0)
    return surprise


def weights(surprises: Array, *, power: float = POWER) -> Floats:
    """What each view counts in :func:`combined`: its derivative, (N, V), rows sum to 1.

    >>> weights(np.array([[1.0, 1.0, 60.0]])).round(3)
    array([[0., 0., 1.]])
    """
    from scipy.special import softmax

    s = np.asarray(surprises, dtype=np.float64)
    if power == -math.inf:
        largest: Floats = np.eye(s.shape[1])[s.argmax(1)]
        return largest
    part: Floats = softmax(-power * s, axis=1)
    return part


def shares(parts: Array) -> Floats:
    """Non-negative parts (N, D) → shares of each row that sum to 1; even ones where all are 0.

    >>> shares(np.array([[1.0, 3.0], [0.0, 0.0]]))
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    parts = np.maximum(np.asarray(parts, dtype=np.float64), 0.0)
    largest = parts.max(1, keepdims=True)
    parts = np.divide(parts, largest, out=np.ones_like(parts), where=largest > 0)
    total: Floats = parts / parts.sum(1, keepdims=True)
    return total
