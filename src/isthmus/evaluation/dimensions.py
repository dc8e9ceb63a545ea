"""How many dimensions the data have: the figures, and the rule that recommends a number.

The held-out squared error cannot tell: it falls with every component, those of pure noise
included. What stops rising at the right number is the held-out log-likelihood.

*Linear*: factor analysis, x = Wz + μ + ε with noise of its own variance for each feature, has k = 0
for independent features whatever their scales, and its held-out likelihood peaks at the number of
factors (Bartholomew et al. 2011, *Latent Variable Models and Factor Analysis*). Probabilistic PCA
(Tipping & Bishop 1999) is the case of equal noise; it takes features of unequal scale for factors.
Details below :data:`RESOLUTION` of a feature's deviation count as noise, because densities reward
the description of any detail, however small: rounding and pixels that are nearly always black.

*Curved*: a sheet of d dimensions that is rolled up in more is known by two signs together: its
neighbourhoods have d dimensions (:mod:`isthmus.evaluation.intrinsic`), and an autoencoder of d
latents reconstructs it where PCA of d components does not.

*Not promised*: a true number where there is none. The spectrum of most real data falls without a
step, and then the number grows slowly with the number of rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.core.likelihoods import MIN_SCALE
from isthmus.evaluation.intrinsic import SUBSET, IntrinsicDimension, two_nn

Array = NDArray[Any]
Floats = NDArray[np.float64]
# Standard deviation of the noise that is added to scaled rows before factors are counted.
RESOLUTION = 0.1
# Rows of a subset by which rows are held against their shuffled columns: where no linear dimension
# takes the noise away, neighbours have to be further apart.
SCALES = (SUBSET, 40)
# A sheet's latents keep this share of the variance that the linear dimension's keep, and leave at
# most this share of the error that PCA leaves.
KEPT = 0.95
CURVED = 0.5
# Sizes at which factor analysis is tried, until two in a row are worse than the best.
LADDER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
# Of more features than this as many are drawn: a factor that matters moves many of them.
MOST_FEATURES = 1024
_EXACT_SVD = 100


def plateau(log_likelihood: Array) -> int:
    """The first row that is within one standard error of the best, paired over samples.

    Args:
        log_likelihood: (C, n) held-out nats of n samples under C models of rising size, n ≥ 2.

    Returns:
        Position, 0 to C − 1 (the one-standard-error rule, Breiman et al. 1984, section 3.4.3).

    >>> plateau(np.array([[0.0, 0.0], [3.0, 4.0], [3.1, 3.9]]))
    1
    """
    rows = np.asarray(log_likelihood, dtype=np.float64)
    best = rows[int(rows.mean(1).argmax())]
    return next(i for i, row in enumerate(rows) if _as_good(row, best))


def _as_good(row: Floats, best: Floats) -> bool:
    loss = best - row
    return bool(loss.mean() <= standard_error(loss))


def standard_error(rows: Array) -> float:
    """Of the mean of (n,) values, n ≥ 2."""
    return float(rows.std(ddof=1) / math.sqrt(len(rows)))


def ppca_log_likelihood(mean: Array, axes: Array, eigenvalues: Array, x: Array) -> Floats:
    """log N(x; μ, U(Λ−σ²)Uᵀ + σ²I) for every number of components.

    Args:
        mean: (D,), of training rows.
        axes: (R, D) principal axes, R ≥ 1.
        eigenvalues: (D,) of the training covariance (divided by N), falling.
        x: (n, D) held-out rows.

    Returns:
        (min(R, D − 1) + 1, n) nats, of 0 components and more.

    Source: Tipping & Bishop 1999, equations 5 and 8; σ² is at least 10⁻⁶.
    """
    n_features = len(mean)
    most = min(len(axes), n_features - 1)
    u = np.asarray(x, dtype=np.float64) - mean
    score = np.square(u @ axes[:most].T)
    left = np.square(u).sum(1)
    rows = []
    fit, log_det = np.zeros(len(u)), 0.0
    for k in range(most + 1):
        if k:
            scale = max(float(eigenvalues[k - 1]), MIN_SCALE**2)
            fit = fit + score[:, k - 1] / scale
            log_det += math.log(scale)
            left = left - score[:, k - 1]
        noise = max(float(eigenvalues[k:].sum()) / (n_features - k), MIN_SCALE**2)
        log_all = log_det + (n_features - k) * math.log(noise)
        quadratic = fit + np.maximum(left, 0.0) / noise
        rows.append(-0.5 * (n_features * math.log(2 * math.pi) + log_all + quadratic))
    return np.stack(rows)


@dataclass
class Factors:
    """Factor analysis of any size on the same parts of the rows.

    Args:
        parts: pairs of scaled rows, training (N, D) and held-out (n, D), no entry missing.
        seed: of the noise at the :data:`RESOLUTION`.
    """

    parts: Sequence[tuple[Array, Array]]
    seed: int = 0
    _known: dict[int, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n_features = self.parts[0][0].shape[1]
        self._drawn = np.arange(n_features)
        if n_features > MOST_FEATURES:
            self._drawn = np.sort(rng.permutation(n_features)[:MOST_FEATURES])
        self._ready = []
        for whole in self.parts:
            train, held_out = (rows[:, self._drawn] for rows in whole)
            # drawn, not added to the covariance: noise without sampling error hides overfitting
            noisy, judged = (
                rows + RESOLUTION * rng.standard_normal(rows.shape) for rows in (train, held_out)
            )
            mean = noisy.mean(0)
            covariance = (noisy - mean).T @ (noisy - mean) / len(noisy)
            self._ready.append((mean, _rows_with(covariance), judged))

    @property
    def n_features(self) -> int:
        """Features that are looked at: D, at most :data:`MOST_FEATURES`."""
        return len(self._drawn)

    def log_likelihood(self, k: int) -> Floats:
        """(n,) held-out nats with k factors, of all parts in their order."""
        if k not in self._known:
            found = []
            for mean, rows, held_out in self._ready:
                model = _factor_analysis(rows, k)
                model.mean_ = mean
                found.append(model.score_samples(held_out))
            self._known[k] = np.concatenate(found)
        return self._known[k]

    def dimension(self) -> int:
        """The smallest number of factors within one standard error of the best, 0 to D − 1."""
        best, worse = 0, 0
        for k in (k for k in LADDER if k < max(self.n_features, 2)):
            if self.log_likelihood(k).mean() > self.log_likelihood(best).mean():
                best, worse = k, 0
            else:
                worse += k != best
            if worse == 2:
                break
        low, high = -1, best
        while high - low > 1:
            middle = (low + high) // 2
            if _as_good(self.log_likelihood(middle), self.log_likelihood(best)):
                high = middle
            else:
                low = middle
        return high

    def project(self, x: Array, k: int) -> Floats:
        """Scaled rows (N, D) as the k factors reconstruct what is looked at: E[Wz + μ | x]."""
        mean, rows, _ = self._ready[-1]
        model = _factor_analysis(rows, k)
        model.mean_ = mean
        made: Floats = model.transform(x[:, self._drawn]) @ model.components_ + mean
        return made


def _rows_with(covariance: Floats) -> Floats:
    """2D rows of mean 0 that have that covariance: as good as all N, and fewer."""
    values, vectors = np.linalg.eigh(covariance)
    root = np.sqrt(np.maximum(values, 0.0) * len(values))[:, None] * vectors.T
    return np.concatenate([root, -root])


def _factor_analysis(rows: Floats, k: int) -> Any:
    from sklearn.decomposition import FactorAnalysis
    from sklearn.exceptions import ConvergenceWarning

    method = "lapack" if rows.shape[1] <= _EXACT_SVD else "randomized"
    with warnings.catch_warnings():  # where it stops, it is as good as it will be compared
        warnings.simplefilter("ignore", ConvergenceWarning)
        return FactorAnalysis(k, tol=1e-2 * len(rows) / 1000, svd_method=method).fit(rows)


@dataclass(frozen=True)
class Local:
    """Two-NN: of the rows in their linear dimensions, and against their shuffled columns.

    Attributes:
        linear: of the rows in their linear dimensions; of the rows where there are none.
        against: pairs (rows, rows with shuffled columns), for subsets of each of :data:`SCALES`.
    """

    linear: IntrinsicDimension
    against: Sequence[tuple[IntrinsicDimension, IntrinsicDimension]]

    @classmethod
    def of(cls, x: Array, flat: Array | None, seed: int = 0) -> Local:
        """From scaled rows x (N, D) and what their linear dimensions keep of them, if any."""
        # each column in an order of its own: the same features, independent
        shuffled = np.random.default_rng(seed).permuted(x, axis=0)
        against = [(two_nn(x, subset=n), two_nn(shuffled, subset=n)) for n in SCALES]
        return cls(against[-1][0] if flat is None else two_nn(flat), against)

    @property
    def fills(self) -> bool:
        """Whether the rows fill as many dimensions as independent features would.

        Within three standard errors of the difference, at every scale; so it is where nothing can
        be told.
        """
        return not any(
            shuffled.value - rows.value
            > 3.0 * math.hypot(rows.standard_error, shuffled.standard_error)
            for rows, shuffled in self.against
        )


@dataclass(frozen=True)
class Evidence:
    """What a recommendation rests on; C sizes compared, n held-out rows.

    Attributes:
        n_features: D.
        linear: k of :meth:`Factors.dimension`.
        local: two-NN.
        sizes: (C,) numbers of components, rising.
        error, pca_error: (C,) mean held-out squared error.
        total: held-out squared error of the mean.
        bound: (C, n) held-out evidence bound of the autoencoder, nats.
    """

    n_features: int
    linear: int
    local: Local
    sizes: Sequence[int]
    error: Array
    pca_error: Array
    total: float
    bound: Array


def recommend(e: Evidence) -> tuple[int, str]:
    """A number of components and the reason in a sentence.

    The first of these that holds:

    1. no factor analysis beats independent features, and the rows fill as many dimensions as their
       shuffled columns: D, nothing compresses;
    2. a curved sheet: the smallest compared size from two-NN's on and below the linear dimension
       that keeps :data:`KEPT` of the variance that the linear dimension's autoencoder keeps, at
       :data:`CURVED` of PCA's error or less;
    3. the smaller of the linear dimension and the size from which the autoencoder's bound no longer
       rises by more than one standard error.
    """
    d = e.n_features
    if e.linear == 0 and e.local.fills:
        rows, shuffled = (found.value for found in e.local.against[0])
        also = (
            f", and their neighbourhoods have {_dimensions(rows)}, with the columns shuffled "
            f"{_dimensions(shuffled)}"
        )
        return d, (
            f"Nothing compresses: held-out rows are as likely if the {d} features are independent "
            f"as with any common factors{also if math.isfinite(rows + shuffled) else ''}."
        )
    linear = e.linear or d - 1  # dependent, but not linearly
    sheet = _sheet(e, linear)
    if sheet is not None:
        return sheet
    at = plateau(e.bound)
    levels = at < len(e.sizes) - 1 and e.sizes[at] < linear
    wanted = e.sizes[at] if levels else linear
    k = next((size for size in e.sizes if size >= wanted), e.sizes[-1])
    tried = "" if k == wanted else f" ({k} is the nearest size that was compared.)"
    if levels:
        gain = max(float(e.bound[at + 1 :].mean(1).max() - e.bound[at].mean()), 0.0)
        return k, (
            f"The autoencoder's held-out log-likelihood no longer rises clearly above "
            f"{components_of(k)}: more of them gain at most {gain:.2g} nats a row, less than one "
            f"standard error. A linear model goes on to {linear}."
        )
    if e.linear == d - 1 or not e.linear:
        return k, (
            f"No smaller number will do: the held-out log-likelihood rises up to {linear}, one "
            f"less than the {d} features.{tried}"
        )
    return k, (
        f"The held-out log-likelihood of linear factors rises up to {components_of(linear)} and, "
        f"within one standard error, no further: the rest is noise of single features.{tried}"
    )


def _sheet(e: Evidence, linear: int) -> tuple[int, str] | None:
    d = e.local.linear.value
    if not math.isfinite(d):
        return None
    sizes = list(e.sizes)
    whole = [i for i, k in enumerate(sizes) if k <= linear]
    reference = e.total - float(e.error[whole[-1]]) if whole else 0.0
    for i, k in enumerate(sizes):
        if not max(1, round(d)) <= k < linear or reference <= 0:
            continue
        kept = (e.total - float(e.error[i])) / reference
        if kept >= KEPT and e.error[i] <= CURVED * e.pca_error[i]:
            return k, (
                f"The rows lie on a curved sheet: their neighbourhoods have {_dimensions(d)}, a "
                f"linear model needs {linear}. With {components_of(k)} the autoencoder keeps "
                f"{100 * min(kept, 1.0):.1f}% of the variance that {linear} keep; PCA leaves "
                f"{e.pca_error[i] / max(e.error[i], 1e-300):.1f} times its error."
            )
    return None


def components_of(k: int) -> str:
    """A number of them in words."""
    return f"{k} component" if k == 1 else f"{k} components"


def _dimensions(d: float) -> str:
    return f"{d:.1f} dimensions"
