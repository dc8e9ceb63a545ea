"""Rows as a detector compares them: features T(x), whatever the columns are.

A table of numbers has its own numbers as features, in the scaled units of the model. A mixed one
has those of its likelihood (:mod:`isthmus.core.joint`): numbers, counts and ordered codes, and one
feature for each category, 1 where it is the row's and else 0. What the model makes of a row is then
E[T(x)|z], probabilities of categories. Distances, covariances and residuals are of features, and
need not know what they stand for; what made a row an outlier is told by column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.core.joint import Joint
from isthmus.data.columns.encoding import Encoded, Encoding
from isthmus.data.telling import untold
from isthmus.errors import DataError
from isthmus.estimators import _input
from isthmus.estimators._base import Estimator
from isthmus.evaluation.outlyingness import Gaussian, category_surprise, tail_surprise

Floats = NDArray[np.float64]
# Values that are held of each array of features: 128 MiB; and those that are scored together.
_VALUES, _FEWEST = 1 << 24, 1000
_SCORED, _FEW = 1 << 21, 256
# Rows by which the number of components is chosen.
MOST_SPECTRUM = 5_000


@dataclass(frozen=True)
class Seen:
    """Rows and what the model makes of them: N rows, D columns, F features, K latents.

    Attributes:
        scaled: (N, D) rows in the scaled units of the model, NaN where an entry is missing.
        features: (N, F) T(x), NaN where an entry is missing.
        fitted: (N, F) E[T(x)|z] at z = E[z|x].
        codes: (N, K).
    """

    scaled: Floats
    features: Floats
    fitted: Floats
    codes: Floats

    def first(self, n: int) -> Seen:
        """The first n of the rows."""
        return Seen(self.scaled[:n], self.features[:n], self.fitted[:n], self.codes[:n])

    @property
    def residual(self) -> Floats:
        """T(x) − E[T(x)|z], 0 where an entry is missing."""
        left: Floats = self.features - self.fitted
        return np.nan_to_num(left, copy=False)

    @property
    def filled(self) -> Floats:
        """Features whose missing entries are those of the reconstruction."""
        return np.where(np.isnan(self.features), self.fitted, self.features)


def held_together(n_features: int) -> int:
    """How many rows of so many features are held at once: 128 MiB, 1,000 at least.

    >>> held_together(100), held_together(1_000_000)
    (167772, 1000)
    """
    return max(_FEWEST, _VALUES // n_features)


def scored_together(n_features: int) -> int:
    """How many are scored at once, an eighth of that: about ten arrays are made of them."""
    return max(_FEW, _SCORED // n_features)


class Numbers:
    """Rows of numbers: each is a feature.

    Attributes:
        columns: None, every feature is a column.
        block: None, rows are looked at all at once.
    """

    columns: NDArray[np.intp] | None = None
    block: int | None = None

    def __init__(self, model: Estimator) -> None:
        self.model = model

    def seen(self, x: Floats) -> Seen:
        """Rows (N, D) in the units of the data."""
        with untold():  # of empty columns: the detector tells of those of all rows
            codes = np.asarray(self.model.transform(x))  # a DataFrame where set_output asks for one
            made = self.model.reconstruct(x)
        scaled = _scaled(self.model, x)
        return Seen(scaled, scaled, _scaled(self.model, made), codes)

    def decoded(self, z: Floats) -> Floats:
        """(N, F) E[T(x)|z] of codes (N, K)."""
        return _scaled(self.model, self.model.inverse_transform(z).reshape(len(z), -1))

    def alone(self, reference: Floats) -> Callable[[Seen], Floats]:
        """How unusual each column's value is by itself among reference rows (M, F): (N, D) nats."""
        return partial(self._alone, np.sort(reference, axis=0))

    def _alone(self, rising: Floats, seen: Seen) -> Floats:
        return tail_surprise(rising, seen.features)

    def by_column(self, parts: Floats) -> Floats:
        """(N, F) of features → (N, D), sums over those of each column."""
        return parts

    def misfit(self, seen: Seen, residual: Gaussian) -> Floats:
        """(N, D) what each column adds to what is left over: its part of the distance."""
        return residual.contributions(seen.residual)


class Columns:
    """Rows of a mixed table, encoded, by the features of its likelihood.

    Attributes:
        columns: (F,) which column each feature stands for.
        block: how many rows are looked at together.
    """

    def __init__(self, model: Estimator, head: Joint) -> None:
        self.model = model
        self.core = model._module(np.dtype(np.float64))
        self.n_columns = len(head.columns)
        self.column = head.feature_column.numpy()
        self.n_single = head.n_single  # features of categories are the last ones
        self.block: int | None = held_together(len(self.column))

    def seen(self, x: Floats) -> Seen:
        """Rows (N, D) as the encoding has them."""
        codes = np.asarray(self.model.transform(Encoded(x)))
        scaled = _scaled(self.model, x)
        features: Floats = self.core.likelihood.features(torch.from_numpy(scaled)).numpy()
        return Seen(scaled, features, self.decoded(codes), codes)

    @property
    def columns(self) -> NDArray[np.intp] | None:
        """(F,) which column each feature stands for."""
        return self.column

    @torch.no_grad()
    def decoded(self, z: Floats) -> Floats:
        """(N, F) E[T(x)|z] of codes (N, K)."""
        core = self.core
        rows = scored_together(len(self.column))
        codes, head = torch.from_numpy(_input.writable(z)), core.likelihood
        values: Floats = np.empty((len(z), len(self.column)))
        for start in range(0, len(z), rows):
            part = slice(start, start + rows)
            values[part] = head.expected_features(core.decode(codes[part])).numpy()
        return values

    def alone(self, reference: Floats) -> Callable[[Seen], Floats]:
        """How unusual each column's value is by itself among reference rows (M, F): (N, D) nats.

        Of a number by its tails, of a category by those that are no more frequent.
        """
        n = self.n_single
        rising = np.sort(reference[:, :n], axis=0)
        rare = category_surprise(reference[:, n:].sum(0), self.column[n:], len(reference))
        return partial(self._alone, rising, rare)

    def _alone(self, rising: Floats, rare: Floats, seen: Seen) -> Floats:
        number, category = np.split(seen.features, [self.n_single], axis=1)
        tails = tail_surprise(rising, number)
        return self.by_column(np.hstack([tails, np.nan_to_num(category) * rare]))

    def by_column(self, parts: Floats) -> Floats:
        """(N, F) of features → (N, D), sums over those of each column."""
        columns = [parts[:, self.column == j].sum(1) for j in range(self.n_columns)]
        return np.stack(columns, axis=1)

    @torch.no_grad()
    def misfit(self, seen: Seen, residual: Gaussian) -> Floats:
        """(N, D) nats by which each entry is less probable than the likeliest one, given the code.

        The distance of residuals says that a row's values do not go together; it lays that on any
        of them by which another could be foretold. The likelihood lays it on what does not fit.
        """
        p, x = self.core.decode(torch.from_numpy(seen.codes)), torch.from_numpy(seen.scaled)
        nats = p.log_prob(p.mode) - p.log_prob(x.nan_to_num())
        values: Floats = nats.clamp(min=0.0).masked_fill(x.isnan(), 0.0).numpy()
        return values


def rows_of(model: Estimator) -> Numbers | Columns:
    """How rows of a fitted model are compared."""
    head = model.autoencoder_.likelihood
    return Columns(model, head) if isinstance(head, Joint) else Numbers(model)


def spectrum(x: Floats, encoding: Encoding | None) -> Floats:
    """Variances of the principal directions of the features, falling, each column's being 1.

    Args:
        x: (N, D) rows, encoded where they are mixed, NaN where an entry is missing.
        encoding: of a mixed table.
    """
    x, columns = x[:MOST_SPECTRUM], np.arange(x.shape[1])
    if encoding is not None:
        head = Joint([(column.kind, len(column.categories)) for column in encoding.columns])
        x, columns = head.features(torch.from_numpy(x)).numpy(), head.feature_column.numpy()
    there = ~np.isnan(x).all(0)
    x, columns = x[:, there], columns[there]
    deviation = np.sqrt(np.bincount(columns, np.square(np.nanstd(x, axis=0))))[columns]
    scaled = (x - np.nanmean(x, axis=0)) / np.where(deviation > 0, deviation, 1.0)
    scaled = np.nan_to_num(scaled, copy=False)
    # the smaller matrix of products has the squared singular values, in a tenth of the time
    products = scaled @ scaled.T if len(scaled) < scaled.shape[1] else scaled.T @ scaled
    return np.maximum(np.linalg.eigvalsh(products)[::-1], 0.0)


def with_values(
    order: NDArray[np.intp], x: Floats, start: int, names: Sequence[str] | None
) -> NDArray[np.intp]:
    """The order of the rows, changed only where a column would have no value from ``start`` on.

    Then the last row with a value of each column goes to the end. The rows before ``start`` are no
    longer quite a random sample: one of them is another for each such column at most.

    Raises:
        DataError: too many columns have too few values for it.
    """
    if not np.isnan(x[order[start:]]).all(0).any():
        return order
    last = len(x) - 1 - np.argmax(~np.isnan(x[order[::-1]]), axis=0)
    at_end = np.isin(np.arange(len(x)), last)
    order = np.r_[order[~at_end], order[at_end]]
    empty = np.isnan(x[order[start:]]).all(0)
    if empty.any():
        first = int(empty.argmax())
        raise DataError(
            f"column {first if names is None else repr(names[first])} of X",
            f"has no value in the {len(x) - start} rows that are drawn for the fit",
            "Drop it, fill it, or lower calibration_fraction.",
        )
    return order


def _scaled(model: Estimator, x: Any) -> Floats:
    values: Floats = model.scaling_.apply(torch.from_numpy(x), torch.float64).numpy()
    return values
