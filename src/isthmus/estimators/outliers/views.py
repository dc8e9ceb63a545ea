"""The six views of :mod:`isthmus.evaluation.outlyingness` around a fitted autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from isthmus.data.columns.encoding import Encoding
from isthmus.estimators import _input
from isthmus.estimators._base import Estimator
from isthmus.estimators.models import VariationalAutoencoder
from isthmus.estimators.outliers.rows import (
    MOST_SPECTRUM,
    Seen,
    held_together,
    rows_of,
    scored_together,
    spectrum,
)
from isthmus.evaluation.outlyingness import (
    POWER,
    Gaussian,
    Neighbours,
    Tail,
    combined,
    leading_directions,
    shares,
    weights,
    whitening,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
# In the order of the columns of the detector's ``surprises``.
# Detectors that were saved before there was a view "whitened" have the first five, those from
# before there was a view "distance" the first four.
VIEWS = ("value", "combination", "code", "outline", "distance", "whitened")
# Rows that values and distances are compared with; fewer where they are wide.
MOST_REFERENCE = 20_000
_VARIANCE_KEPT, _MOST_COMPONENTS = 0.9, 64
_CHUNK = 512


def default_autoencoder(
    x: Floats, seed: int, encoding: Encoding | None = None
) -> VariationalAutoencoder:
    """The autoencoder of a detector that was given none.

    Variational, because its code has a distribution and latents that say nothing switch themselves
    off; with the components that hold 90% of the variance of the standardised rows, 64 at most;
    each feature by its own deviation, so that no unit decides what is unusual.

    Args:
        x: (N, D) rows, NaN where an entry is missing.
        seed: of the fit.
        encoding: of a mixed table, whose rows are encoded; None for numbers.
    """
    k = _components(x, encoding)
    return VariationalAutoencoder(k, scaling="standard", random_state=seed)


def default_components(model: Estimator, X: Any) -> int:
    """How many components that has for rows that ``model`` would be fitted to."""
    asked: Estimator = clone(model)
    x = _input.rows(asked, X, reset=True)
    return _components(x, asked.encoding_)


def _components(x: Array, encoding: Encoding | None) -> int:
    energy = spectrum(x, encoding)
    kept = 1 + int(np.searchsorted(np.cumsum(energy), _VARIANCE_KEPT * energy.sum()))
    most = min(int(x.shape[1]) - 1, _MOST_COMPONENTS)
    return max(1, min(kept, most))


@dataclass
class Views:
    """What the scores of new rows are computed with; rows are in the scaled units of the model.

    Attributes:
        model: the fitted autoencoder.
        reference: (M, D) rows of the fit, missing entries filled by the model.
        codes: (M, K) their codes.
        residual: size of x − x̂, by rows of the fit.
        code: size of the code around ``centre``.
        centre: (K,) mean code.
        directions, deviation: of the outline, (D, L) and (D,).
        whitening: (D, D), or (D,) its diagonal; None where that view is not among ``names``.
        inflation: how many times larger residuals of held-out rows are (Mahalanobis, squared).
        names: which views there are, :data:`VIEWS` or the first of them.
        tails: one for each of them.
        n_neighbors: over which a distance between codes or outlines is averaged.
        n_whole: over which one in all features is.
        power: of the mean of the views' p-values.
    """

    model: Estimator
    reference: Floats
    codes: Floats
    residual: Gaussian
    code: Gaussian
    centre: Floats
    directions: Floats
    deviation: Floats
    whitening: Floats | None
    inflation: float = 1.0
    names: tuple[str, ...] = VIEWS
    tails: tuple[Tail, ...] = ()
    n_neighbors: int = 5
    n_whole: int = 1
    power: float = POWER

    def __post_init__(self) -> None:
        self.rows = rows_of(self.model)
        self._alone = self.rows.alone(self.reference)
        self._mean = self.reference.mean(0)
        rows = Seen(self.reference, self.reference, self.reference, self.codes)
        k = {"code": self.n_neighbors, "outline": self.n_neighbors}
        self._near = {
            name: Neighbours(self._placed(name, rows), k.get(name, self.n_whole))
            for name in self.names[2:]
        }

    @classmethod
    def fit(
        cls,
        model: Estimator,
        x: Floats,
        of_fit: NDArray[np.intp],
        held_out: NDArray[np.intp],
        n_neighbors: int,
    ) -> tuple[Views, Floats]:
        """The views, and the scores of all rows.

        Values and distances of the model's own rows are compared with the others of them, so these
        rows count for the tails of those views; the residual of a row that was learned says
        nothing of a new one's.

        Args:
            model: the fitted autoencoder.
            x: (N, D) all rows.
            of_fit: which of them it was fitted to, in a random order.
            held_out: which it did not see.
            n_neighbors: over which a distance between codes or outlines is averaged.

        Returns:
            The views, and (N,) what :meth:`score` gives for x.
        """
        rows = rows_of(model)
        seen, new = rows.seen(x[of_fit[: rows.block]]), rows.seen(x[held_out])
        left, codes = seen.residual, seen.codes
        residual = Gaussian.fit(left)
        before, after = (float(residual(each).mean()) for each in (left, new.residual))
        del left
        centre = codes.mean(0)
        reference = seen.first(min(MOST_REFERENCE, held_together(seen.features.shape[1]))).filled
        del seen, new  # each as large as the reference
        some = reference[:MOST_SPECTRUM]
        directions, deviation = leading_directions(some)
        views = cls(
            model=model,
            reference=reference,
            codes=codes[: len(reference)],
            residual=residual,
            code=Gaussian.fit(codes - centre),
            centre=centre,
            directions=directions,
            deviation=deviation,
            whitening=whitening(some, rows.columns),
            inflation=max(after / before, 1.0) if before > 0 else 1.0,
            n_neighbors=n_neighbors,
        )
        scores = views._each(x)
        own, others = scores[of_fit[: len(views.reference)]], scores[held_out]
        views.tails = tuple(
            Tail.fit(others[:, j] if name == "combination" else np.r_[own[:, j], others[:, j]])
            for j, name in enumerate(views.names)
        )
        return views, combined(views._surprises(scores), power=views.power)

    def score(self, x: Floats) -> Floats:
        """(N,) nats, at least 0, of rows (N, D) in the units of the data: the views together."""
        return combined(self.surprises(x), power=self.power)

    def surprises(self, x: Floats) -> Floats:
        """(N, V) nats of each of ``names`` for rows (N, D) in the units of the data."""
        return self._surprises(self._each(x))

    def contributions(self, x: Floats) -> Floats:
        """(N, D) nats, at least 0: each row's score, shared among its features.

        A view counts by its weight in the score (:func:`isthmus.evaluation.outlyingness.weights`),
        and within it a value alone by its own surprise; a combination by its part of the residual's
        distance, the code's distance by how far what is decoded lies from the mean row; a distant
        code by the squared differences of what is decoded from what the neighbours' codes are
        decoded to; a distant outline or row by the squared differences that it consists of, after
        whitening where that is what sets it apart.
        """
        each = [self._contributions(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
        return np.concatenate(each)

    def _contributions(self, x: Floats) -> Floats:
        seen = self.rows.seen(x)
        surprises = self._surprises(self._scores(seen))
        of_residual = (self.residual(seen.residual) / self.inflation)[:, None]
        of_code = self.code(seen.codes - self.centre)[:, None]
        parts = [
            self._alone(seen),
            of_residual * shares(self.rows.misfit(seen, self.residual))
            + of_code * shares(self.rows.by_column(np.square(seen.fitted - self._mean))),
            *(self.rows.by_column(self._apart(name, seen)) for name in self.names[2:]),
        ]
        view = weights(surprises, power=self.power)
        there = ~np.isnan(seen.scaled)  # what was filled in is no reason
        mixed = sum(view[:, [j]] * shares(part * there) for j, part in enumerate(parts))
        total: Floats = combined(surprises, power=self.power)[:, None] * mixed
        return total

    def _apart(self, name: str, seen: Seen) -> Floats:
        """(N, F): mean over the neighbours of what each feature adds to the squared distance."""
        near, placed = self._near[name], self._placed(name, seen)
        which, _ = near.nearest(placed)
        if name == "code":
            others = self.rows.decoded(self.codes[which.ravel()])
            difference = seen.fitted[:, None] - others.reshape(*which.shape, -1)
        elif name == "outline":  # |Uᵀd|² = Σ_j d_j (U Uᵀ d)_j, and not all of U's features differ
            difference = (seen.filled[:, None] - self.reference[which]) / self.deviation
            along = difference @ self.directions @ self.directions.T
            return np.asarray((difference * along).mean(1))
        else:
            difference = placed[:, None] - near.reference[which]
        mean: Floats = np.square(difference).mean(1)
        return mean

    def _placed(self, name: str, seen: Seen) -> Floats:
        """Rows as the view of that name measures distances between them."""
        if name == "code":
            return seen.codes
        if name == "whitened":
            w = self.whitening
            if w is None:
                raise ValueError("the view 'whitened' needs its matrix")
            return seen.filled @ w if w.ndim == 2 else seen.filled * w
        row: Floats = seen.filled / self.deviation
        return row @ self.directions if name == "outline" else row

    def _surprises(self, scores: Floats) -> Floats:
        return np.stack([tail(scores[:, j]) for j, tail in enumerate(self.tails)], axis=1)

    def _each(self, x: Floats) -> Floats:
        """:meth:`_scores` of rows (N, D) in the units of the data, some at a time."""
        n = scored_together(self.reference.shape[1])
        parts = [self._scores(self.rows.seen(x[i : i + n])) for i in range(0, len(x), n)]
        return np.concatenate(parts)

    def _scores(self, seen: Seen) -> Floats:
        """(N, V), each in its own unit."""
        together = self.residual(seen.residual) / self.inflation
        alone = [
            self._alone(seen).sum(1),
            together + self.code(seen.codes - self.centre),
        ]
        apart = [near.distance(self._placed(name, seen)) for name, near in self._near.items()]
        return np.stack(alone + apart, axis=1)
