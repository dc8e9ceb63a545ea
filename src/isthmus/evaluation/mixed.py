"""What is measured of a model of a mixed table, and why the rest is not.

Rows are the encoded ones (:mod:`isthmus.data.columns.encoding`), errors those of the features T(x)
of the joint likelihood (:mod:`isthmus.core.joint`): columns in standard deviations, categories as
one-hot columns against their probabilities. PCA is that of T(x) on the rows of the fit, which is
least squares in the same space, as the model's E[T(x)|z] is. Figures of a column are sums over the
features that stand for it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.core.joint import Joint
from isthmus.data.columns.encoding import Encoded
from isthmus.evaluation import _sections, _supervised, exhibits, latents
from isthmus.evaluation._ground import CHUNK, Errors, Ground, Sheet
from isthmus.evaluation.reconstruction import feature_sums, squared_error
from isthmus.evaluation.versus_pca import MIXED_UNIT

Array = NDArray[Any]
LEFT_OUT = {
    "walks, effects of latents, drawn rows": "a category is no number that could be drawn or moved",
    "noise": "noise of a level has no meaning across kinds of columns",
    "Jacobian": "a category has no derivative",
    "importance-weighted bound": "it is not computed for columns of several kinds",
    "outlier scores and factors": "their measures take distances between rows of numbers",
    "residuals": "the likelihood of each column was chosen by its kind",
}


class MixedGround(Ground):
    """A model of a mixed table, its rows (n, D) encoded; units, errors and PCA those of T(x)."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        head = self.core.likelihood
        assert isinstance(head, Joint)  # noqa: S101  (what a mixed table is fitted with)
        self.head = head
        self.column: Array = head.feature_column.numpy()
        self.weight = np.ones(len(self.column))
        self.unit = MIXED_UNIT

    def wrap(self, x: Array) -> Any:
        """Rows as the model takes them without encoding them again."""
        return Encoded(np.asarray(x, dtype=np.float64))

    def u(self, x: Array) -> Array:
        """T(x), (n, D_T), NaN where an entry is missing."""
        scaled = (np.asarray(x, dtype=np.float64) - self.shift) / self.scale
        found: Array = self.head.features(torch.from_numpy(scaled)).numpy()
        return found

    def reconstruct(self, x: Array) -> Array:
        """E[T(x)|z], (n, D_T)."""
        scaled, there = self.tensors(x)
        with torch.no_grad():
            p = self.core.decode(self.core.encode(scaled, there).mean)
            found: Array = self.head.expected_features(p).double().numpy()
        return found

    @cached_property
    def filled(self) -> Array:
        """(m, D_T) the rows ``some``, a missing entry at the mean."""
        u = self.u(self.x[self.some])
        return np.where(np.isnan(u), self._mean, u)

    @cached_property
    def _mean(self) -> Array:
        mean: Array = np.nan_to_num(np.nanmean(self.u(self.x), axis=0), nan=0.0)
        return mean

    @cached_property
    def posterior(self) -> tuple[Array, Array]:
        """(m, K) means and variances of q(z|x) of the rows ``some``."""
        x, there = self.tensors(self.x[self.some])
        with torch.no_grad():
            q = self.core.encode(x, there)
        return q.mean.double().numpy(), q.variance.double().numpy()

    def errors(self, x: Array, by: str = "model") -> Errors:
        """Squared errors of rows (N, D); by column their sum over its features."""
        row = []
        total, count = np.zeros(len(self.column)), np.zeros(len(self.column))
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK]
            u = self.u(part)
            if by == "model":
                found = self.reconstruct(part)
            else:
                assert self.pca is not None  # noqa: S101  (asked for by the caller)
                found = self.pca.reconstruct(np.where(np.isnan(u), self.pca.mean, u))
            row.append(squared_error(u, found))
            error, n = feature_sums(u, found)
            total, count = total + error, count + n
        each = np.divide(total, count, out=np.zeros(len(total)), where=count > 0)
        return Errors(np.concatenate(row), self.by_column(each))

    def by_column(self, each: Array) -> Array:
        """(D,) sums over the features (D_T,) of each column."""
        found: Array = np.bincount(self.column, weights=each, minlength=self.d)
        return found

    @cached_property
    def variance(self) -> Array:
        """Of each column, the sum over its features."""
        return self.by_column(np.nan_to_num(np.nanvar(self.u(self.x), axis=0), nan=0.0))


def fill(ground: MixedGround, sheet: Sheet, labels: Array | None) -> None:
    """Everything that applies to a mixed table; ``facts["left_out"]`` tells of the rest."""
    _sections.reconstruction(ground, sheet)
    for drawn in ("x", "reconstruction"):
        del sheet.arrays[drawn]
    _bound(ground, sheet)
    z = ground.codes
    sheet.arrays |= {
        "code": z[np.searchsorted(ground.some, ground.shown)],
        "activity": latents.activity(z),
        "code_deviation": z.std(0, dtype=np.float64),
    }
    sheet.arrays["map"], sheet.facts["map"] = exhibits.plane(sheet.arrays["code"])
    if ground.variational:
        mean, variance = ground.posterior
        kl = latents.kl_normal(mean, variance)
        sheet.arrays["kl"] = kl.mean(0)
        sheet.add("kl", float(kl.sum(1).mean()), n=ground.rows(len(kl)))
    if labels is not None:
        _supervised.labels(ground, sheet, labels)
    _sections.neighbours(ground, sheet)
    _sections.generalisation(ground, sheet)
    sheet.facts["left_out"] = dict(LEFT_OUT)


def _bound(ground: MixedGround, sheet: Sheet) -> None:
    """Evidence bound, or the log-likelihood at the code, in the units of the table."""
    x = ground.x[ground.some]
    nats = np.asarray(ground.model.score_samples(ground.wrap(x)), dtype=np.float64)
    name = "elbo" if ground.variational else "log_likelihood_at_code"
    sheet.add(name, float(nats.mean()), n=ground.rows(len(x)))
    sheet.arrays["nats"] = nats[np.searchsorted(ground.some, ground.shown)]
