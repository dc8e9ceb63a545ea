"""The six views of :mod:`isthmus.evaluation.outlyingness` around a fitted autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.estimators._base import Estimator
from isthmus.estimators.models import VariationalAutoencoder
from isthmus.evaluation.outlyingness import (
    POWER,
    Gaussian,
    Neighbours,
    Tail,
    combined,
    leading_directions,
    shares,
    tail_surprise,
    weights,
    whitening,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
# In the order of the columns of the detector's ``surprises``.
# Detectors that were saved before there was a view "whitened" have the first five, those from
# before there was a view "distance" the first four.
VIEWS = ("value", "combination", "code", "outline", "distance", "whitened")
# Rows that values and distances are compared with, and rows that set the number of components.
MOST_REFERENCE, _MOST_SPECTRUM = 20_000, 5_000
_VARIANCE_KEPT, _MOST_COMPONENTS = 0.9, 64
_CHUNK = 512


def default_autoencoder(x: Floats, seed: int) -> VariationalAutoencoder:
    """The autoencoder of a detector that was given none.

    Variational, because its code has a distribution and latents that say nothing switch themselves
    off; with the components that hold 90% of the variance of the standardised rows, 64 at most;
    each feature by its own deviation, so that no unit decides what is unusual.

    Args:
        x: (N, D) rows, NaN where an entry is missing.
        seed: of the fit.
    """
    most = x.shape[1] - 1
    x = x[:_MOST_SPECTRUM]
    x = x[:, ~np.isnan(x).all(0)]
    deviation = np.nanstd(x, axis=0)
    scaled = (x - np.nanmean(x, axis=0)) / np.where(deviation > 0, deviation, 1.0)
    energy = np.square(np.linalg.svd(np.nan_to_num(scaled), compute_uv=False))
    kept = 1 + int(np.searchsorted(np.cumsum(energy), _VARIANCE_KEPT * energy.sum()))
    k = max(1, min(kept, most, _MOST_COMPONENTS))
    return VariationalAutoencoder(k, scaling="standard", random_state=seed)


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
        self._sorted = np.sort(self.reference, axis=0)
        self._mean = self.reference.mean(0)
        rows = _Seen(self.reference, self.reference, self.codes)
        k = {"code": self.n_neighbors, "outline": self.n_neighbors}
        self._near = {
            name: Neighbours(self._placed(name, rows), k.get(name, self.n_whole))
            for name in self.names[2:]
        }

    @classmethod
    def fit(cls, model: Estimator, x: Floats, held_out: Floats, n_neighbors: int) -> Views:
        """From the rows (N, D) of the model's fit, in a random order, and rows it did not see.

        Values and distances of the model's own rows are compared with the others of them, so these
        rows count for the tails of those views; the residual of a row that was learned says
        nothing of a new one's.
        """
        seen, new = _Seen.by(model, x), _Seen.by(model, held_out)
        few = seen.first(MOST_REFERENCE)
        centre = seen.codes.mean(0)
        directions, deviation = leading_directions(seen.filled[:_MOST_SPECTRUM])
        views = cls(
            model=model,
            reference=few.filled,
            codes=few.codes,
            residual=Gaussian.fit(seen.residual),
            code=Gaussian.fit(seen.codes - centre),
            centre=centre,
            directions=directions,
            deviation=deviation,
            whitening=whitening(seen.filled[:_MOST_SPECTRUM]),
            n_neighbors=n_neighbors,
        )
        before, after = (float(views.residual(s.residual).mean()) for s in (seen, new))
        views.inflation = max(after / before, 1.0) if before > 0 else 1.0
        own, others = views._scores(few), views._scores(new)
        views.tails = tuple(
            Tail.fit(others[:, j] if name == "combination" else np.r_[own[:, j], others[:, j]])
            for j, name in enumerate(views.names)
        )
        return views

    def score(self, x: Floats) -> Floats:
        """(N,) nats, at least 0, of rows (N, D) in the units of the data: the views together."""
        return combined(self.surprises(x), power=self.power)

    def surprises(self, x: Floats) -> Floats:
        """(N, V) nats of each of ``names`` for rows (N, D) in the units of the data."""
        return self._surprises(_Seen.by(self.model, x))

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
        seen = _Seen.by(self.model, x)
        surprises = self._surprises(seen)
        of_residual = (self.residual(seen.residual) / self.inflation)[:, None]
        of_code = self.code(seen.codes - self.centre)[:, None]
        parts = [
            tail_surprise(self._sorted, seen.scaled),
            of_residual * shares(self.residual.contributions(seen.residual))
            + of_code * shares(np.square(seen.fitted - self._mean)),
            *(self._apart(name, seen) for name in self.names[2:]),
        ]
        view = weights(surprises, power=self.power)
        mixed = sum(view[:, [j]] * shares(part) for j, part in enumerate(parts))
        total: Floats = combined(surprises, power=self.power)[:, None] * mixed
        return total

    def _apart(self, name: str, seen: _Seen) -> Floats:
        """(N, D): mean over the neighbours of the squared difference in each feature."""
        near, placed = self._near[name], self._placed(name, seen)
        which, _ = near.nearest(placed)
        if name == "code":
            decoded = self.model.inverse_transform(self.codes[which.ravel()])
            others = _scaled(self.model, decoded.reshape(which.size, -1))
            difference = seen.fitted[:, None] - others.reshape(*which.shape, -1)
        else:
            difference = placed[:, None] - near.reference[which]
            if name == "outline":
                difference = difference @ self.directions.T
        mean: Floats = np.square(difference).mean(1)
        return mean

    def _placed(self, name: str, seen: _Seen) -> Floats:
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

    def _surprises(self, seen: _Seen) -> Floats:
        scores = self._scores(seen)
        return np.stack([tail(scores[:, j]) for j, tail in enumerate(self.tails)], axis=1)

    def _scores(self, seen: _Seen) -> Floats:
        """(N, V), each in its own unit."""
        together = self.residual(seen.residual) / self.inflation
        alone = [
            tail_surprise(self._sorted, seen.scaled).sum(1),
            together + self.code(seen.codes - self.centre),
        ]
        apart = [near.distance(self._placed(name, seen)) for name, near in self._near.items()]
        return np.stack(alone + apart, axis=1)


@dataclass(frozen=True)
class _Seen:
    """Rows (N, D) and what the model makes of them, (N, D) in scaled units, and codes (N, K)."""

    scaled: Floats
    fitted: Floats
    codes: Floats

    @classmethod
    def by(cls, model: Estimator, x: Floats) -> _Seen:
        codes = np.asarray(model.transform(x))  # a DataFrame where set_output asks for one
        return cls(_scaled(model, x), _scaled(model, model.reconstruct(x)), codes)

    def first(self, n: int) -> _Seen:
        return _Seen(self.scaled[:n], self.fitted[:n], self.codes[:n])

    @property
    def residual(self) -> Floats:
        """x − x̂, 0 where an entry is missing."""
        return np.nan_to_num(self.scaled - self.fitted)

    @property
    def filled(self) -> Floats:
        """Rows whose missing entries are those of the reconstruction."""
        return np.where(np.isnan(self.scaled), self.fitted, self.scaled)


def _scaled(model: Estimator, x: Floats) -> Floats:
    values: Floats = model.scaling_.apply(torch.from_numpy(x), torch.float64).numpy()
    return values
