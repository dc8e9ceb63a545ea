"""What all parts of an evaluation stand on: model, rows, units, and PCA of the fit's rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder
from isthmus.data import numbers
from isthmus.data.columns.frames import arrow, is_frame, is_mixed, names_of, origin_of
from isthmus.data.handed import as_array
from isthmus.data.matrix import refuse_others
from isthmus.data.tables import Table
from isthmus.evaluation.catalogue import metric
from isthmus.evaluation.exhibits import shown, subset
from isthmus.evaluation.pca_line import PcaLine
from isthmus.evaluation.reconstruction import feature_sums, squared_error
from isthmus.evaluation.record import Metric, Model

Array = NDArray[Any]
MOST = 2000
"""Rows that costly figures rest on."""
CHUNK = 4096


@dataclass
class Sheet:
    """Metrics, arrays and PCA's figures as they come in; what is no finite number stays out."""

    metrics: list[Metric] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    pca: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: float, *, pca: float | None = None, **more: Any) -> None:
        """A metric of the catalogue, and PCA's if it is known."""
        if math.isfinite(value):
            self.metrics.append(metric(name, float(value), **more))
            if pca is not None and math.isfinite(pca):
                self.pca[name] = float(pca)


@dataclass(frozen=True, eq=False)
class Errors:
    """Reconstruction of all evaluated rows, in squared units of ``Scaling.unit``."""

    row: Array
    feature: Array


class Ground:
    """A model and the rows it is evaluated on.

    Args:
        model: fitted.
        x: (n, D) the evaluated rows.
        positions: (n,) their places in the rows that were given.
        reference: (R, D) rows of the fit that are not evaluated, or those that are where none were
            left out; None where they are not at hand.
        names: of the features.
        seed: of all draws.
    """

    def __init__(
        self,
        model: Model,
        x: Array,
        positions: Array,
        reference: Array | None,
        names: Sequence[str] | None,
        seed: int,
    ) -> None:
        self.model, self.x, self.positions, self.seed = model, x, positions, seed
        self.names = tuple(names) if names is not None else None
        self.reference = reference
        self.core: Autoencoder = model.autoencoder_
        self.k, self.d = int(model.n_components_), int(model.n_features_in_)
        scaling = model.scaling_
        self.shift = scaling.shift.numpy()
        self.scale = scaling.scale.numpy()
        self.weight: Array = (scaling.unit / scaling.scale).numpy()
        each = scaling.kind == "standard"
        self.unit = f"squared {'standard deviations' if each else 'data units'}"
        self.variational = not self.core.deterministic and self.core.prior is not None
        self.some = subset(len(x), MOST, seed)
        self.shown = shown(len(x), self.d, seed)

    @property
    def n(self) -> int:
        """Evaluated rows."""
        return len(self.x)

    def rows(self, n: int) -> str:
        """In words: on how many of the evaluated rows a figure rests."""
        few = "1 row" if n == 1 else f"{n:,} rows"
        return few if n == self.n else f"{n:,} of {self.n:,} rows"

    def wrap(self, x: Array) -> Any:
        """Rows as the model wants them: with names if it was fitted to names."""
        return x if self.names is None else Table(x, self.names, "the rows")

    def encode(self, x: Array) -> Array:
        """(N, D) → (N, K), an array whatever ``set_output`` asks for."""
        return np.asarray(self.model.transform(self.wrap(x)))

    def decode(self, z: Array) -> Array:
        """(N, K) → (N, D)."""
        return self.model.inverse_transform(z).reshape(len(z), self.d)

    def reconstruct(self, x: Array) -> Array:
        """(N, D) → (N, D)."""
        return self.model.reconstruct(self.wrap(x))

    def u(self, x: Array) -> Array:
        """Rows in the unit in which errors are told: (x − shift) · unit / scale."""
        rows: Array = ((x - self.shift) * self.weight).astype(x.dtype)
        return rows

    def tensors(self, x: Array) -> tuple[Tensor, Tensor | None]:
        """Scaled rows as the module sees them, and where entries are there (None: everywhere)."""
        return self.model.scaled(self.wrap(x))

    def log_jacobian(self, there: Tensor | None, n: int) -> Array:
        """(n,) nats that turn a log-density of scaled rows into one of the data."""
        each = self.model.scaling_.log_jacobian
        total = each.sum().expand(n) if there is None else (there * each).sum(1)
        found: Array = total.numpy()
        return found

    @cached_property
    def codes(self) -> Array:
        """(m, K) codes of the rows ``some``."""
        return self.encode(self.x[self.some])

    @cached_property
    def filled(self) -> Array:
        """(m, D) the rows ``some`` in the unit of errors, a missing entry at the mean."""
        return np.nan_to_num(self.u(self.x[self.some]), nan=0.0).astype(np.float64)

    @cached_property
    def posterior(self) -> tuple[Array, Array]:
        """(m, K) means and variances of q(z|x) of the rows ``some``, float64."""
        x, _ = self.tensors(self.x[self.some])
        with torch.no_grad():
            parts = [self.core.encode(part) for part in torch.split(x, CHUNK)]
            mean = torch.cat([q.mean for q in parts]).double()
            variance = torch.cat([q.variance for q in parts]).double()
        return mean.numpy(), variance.numpy()

    @cached_property
    def pca(self) -> PcaLine | None:
        """PCA with as many components of the rows of the fit."""
        if self.reference is None or len(self.reference) < 2:
            return None
        return PcaLine(self.u(self.reference), self.k)

    def errors(self, x: Array, by: str = "model") -> Errors:
        """Squared errors of rows (N, D) by the model or by PCA ("pca")."""
        row, total, count = [], np.zeros(self.d), np.zeros(self.d)
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK]
            u = self.u(part)
            if by == "model":
                found = self.u(self.reconstruct(part))
            else:
                assert self.pca is not None  # noqa: S101  (asked for by the caller)
                found = self.pca.reconstruct(u)
            row.append(squared_error(u, found))
            error, n = feature_sums(u, found)
            total, count = total + error, count + n
        feature = np.divide(total, count, out=np.zeros(self.d), where=count > 0)
        return Errors(np.concatenate(row), feature)

    @cached_property
    def own(self) -> Errors:
        """The model's errors on all evaluated rows."""
        return self.errors(self.x)

    @cached_property
    def line(self) -> Errors | None:
        """PCA's errors on all evaluated rows."""
        return None if self.pca is None else self.errors(self.x, "pca")

    @cached_property
    def variance(self) -> Array:
        """Of each feature over all evaluated rows; 0 where it is rounding."""
        parts = [slice(start, start + CHUNK) for start in range(0, self.n, CHUNK)]

        def sums(centre: Array | None) -> tuple[Array, Array]:
            total, count = np.zeros(self.d), np.zeros(self.d)
            for part in parts:
                u = self.u(self.x[part]).astype(np.float64)
                if centre is None:
                    error, n = np.nan_to_num(u, nan=0.0).sum(0), (~np.isnan(u)).sum(0)
                else:
                    error, n = feature_sums(u, np.broadcast_to(centre, u.shape))
                total, count = total + error, count + n
            return total, np.maximum(count, 1)

        centre = np.divide(*sums(None))
        variance = np.divide(*sums(centre))
        size = np.abs(self.shift) * self.weight + np.abs(centre)
        rounding = 10 * float(np.finfo(self.x.dtype).eps) * size
        return np.where(variance > np.square(rounding), variance, 0.0)


def values_of(X: Any) -> tuple[Array, tuple[str, ...] | None]:
    """Rows (N, D), float32 or float64, and their names if they have any.

    Raises:
        DataError: it is no table of numbers with two dimensions.
    """
    origin, names = origin_of(X)[0], names_of(X)
    if is_frame(X) and is_mixed(X):
        table = arrow(X)
        refuse_others(table.column_names, table.columns, origin, "The fit had numbers alone. ")
    if isinstance(X, Table):
        x = np.ascontiguousarray(X.values)
    else:
        X = as_array(X)
        x = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
        numbers.refuse_entries(x, "X")
        numbers.refuse_shape(x, "X")
        small = x.dtype.kind in "biu" and x.dtype.itemsize <= 2
        with numbers.within_range("X"):
            x = x.astype(np.float32 if small or x.dtype in (np.float16, np.float32) else np.float64)
    numbers.refuse_beyond(x, origin, names)
    return np.ascontiguousarray(x), None if names is None else tuple(names)
