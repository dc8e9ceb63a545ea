"""The five views of :mod:`isthmus.evaluation.outlyingness` around a fitted autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.estimators._base import Estimator
from isthmus.estimators.models import VariationalAutoencoder
from isthmus.evaluation.outlyingness import (
    Gaussian,
    Neighbours,
    Tail,
    combined,
    leading_directions,
    shares,
    tail_surprise,
    weights,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
# In the order of the columns of the detector's ``surprises``.
# Detectors that were saved before there was a view "distance" have the first four.
VIEWS = ("value", "combination", "code", "outline", "distance")
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
        inflation: how many times larger residuals of held-out rows are (Mahalanobis, squared).
        tails: one for each of :data:`VIEWS`, or for the first of them.
        n_neighbors: over which a distance is averaged.
        harmonic: whether the views' p-values count by their harmonic mean, else the smallest does.
    """

    model: Estimator
    reference: Floats
    codes: Floats
    residual: Gaussian
    code: Gaussian
    centre: Floats
    directions: Floats
    deviation: Floats
    inflation: float = 1.0
    tails: tuple[Tail, ...] = ()
    n_neighbors: int = 5
    harmonic: bool = True

    def __post_init__(self) -> None:
        self._sorted = np.sort(self.reference, axis=0)
        self._mean = self.reference.mean(0)
        self._near_code = Neighbours(self.codes, self.n_neighbors)
        self._near_outline = Neighbours(self._outline(self.reference), self.n_neighbors)
        self._near_row = Neighbours(self.reference / self.deviation, self.n_neighbors)

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
            n_neighbors=n_neighbors,
        )
        before, after = (float(views.residual(s.residual).mean()) for s in (seen, new))
        views.inflation = max(after / before, 1.0) if before > 0 else 1.0
        own, others = views._scores(few), views._scores(new)
        views.tails = tuple(
            Tail.fit(others[:, j] if name == "combination" else np.r_[own[:, j], others[:, j]])
            for j, name in enumerate(VIEWS)
        )
        return views

    def score(self, x: Floats) -> Floats:
        """(N,) nats, at least 0, of rows (N, D) in the units of the data: the views together."""
        return combined(self.surprises(x), harmonic=self.harmonic)

    def surprises(self, x: Floats) -> Floats:
        """(N, 5) nats of each of :data:`VIEWS` for rows (N, D) in the units of the data."""
        return self._surprises(_Seen.by(self.model, x))

    def contributions(self, x: Floats) -> Floats:
        """(N, D) nats, at least 0: each row's score, shared among its features.

        A view counts by its weight in the score (:func:`isthmus.evaluation.outlyingness.weights`),
        and within it a value alone by its own surprise; a combination by its part of the residual's
        distance, the code's distance by how far what is decoded lies from the mean row; a distant
        code by the squared differences of what is decoded from what the neighbours' codes are
        decoded to; a distant outline or row by the squared differences that it consists of.
        """
        each = [self._contributions(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
        return np.concatenate(each)

    def _contributions(self, x: Floats) -> Floats:
        seen = _Seen.by(self.model, x)
        surprises = self._surprises(seen)
        of_residual = (self.residual(seen.residual) / self.inflation)[:, None]
        of_code = self.code(seen.codes - self.centre)[:, None]
        parts = np.stack(
            [
                tail_surprise(self._sorted, seen.scaled),
                of_residual * shares(self.residual.contributions(seen.residual))
                + of_code * shares(np.square(seen.fitted - self._mean)),
                self._from_codes(seen),
                self._from_outlines(seen),
                self._from_rows(seen),
            ]
        )
        view = weights(surprises, harmonic=self.harmonic)
        mixed = sum(view[:, [j]] * shares(parts[j]) for j in range(len(self.tails)))
        total: Floats = combined(surprises, harmonic=self.harmonic)[:, None] * mixed
        return total

    def _from_codes(self, seen: _Seen) -> Floats:
        which, _ = self._near_code.nearest(seen.codes)
        near = self.model.inverse_transform(self.codes[which.ravel()]).reshape(which.size, -1)
        decoded = _scaled(self.model, near).reshape(*which.shape, -1)
        mean: Floats = np.square(seen.fitted[:, None] - decoded).mean(1)
        return mean

    def _from_outlines(self, seen: _Seen) -> Floats:
        outline = self._outline(seen.filled)
        which, _ = self._near_outline.nearest(outline)
        apart = outline[:, None] - self._near_outline.reference[which]
        mean: Floats = np.square(apart @ self.directions.T).mean(1)
        return mean

    def _from_rows(self, seen: _Seen) -> Floats:
        row = seen.filled / self.deviation
        which, _ = self._near_row.nearest(row)
        mean: Floats = np.square(row[:, None] - self._near_row.reference[which]).mean(1)
        return mean

    def _outline(self, filled: Floats) -> Floats:
        outline: Floats = (filled / self.deviation) @ self.directions
        return outline

    def _surprises(self, seen: _Seen) -> Floats:
        scores = self._scores(seen)
        return np.stack([tail(scores[:, j]) for j, tail in enumerate(self.tails)], axis=1)

    def _scores(self, seen: _Seen) -> Floats:
        """(N, 5), each in its own unit."""
        together = self.residual(seen.residual) / self.inflation
        return np.stack(
            [
                tail_surprise(self._sorted, seen.scaled).sum(1),
                together + self.code(seen.codes - self.centre),
                self._near_code.distance(seen.codes),
                self._near_outline.distance(self._outline(seen.filled)),
                self._near_row.distance(seen.filled / self.deviation),
            ],
            axis=1,
        )


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
