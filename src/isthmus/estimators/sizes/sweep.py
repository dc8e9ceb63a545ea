"""The sweep over numbers of components: small fits, each from the one before it.

Two autoencoders a size: a variational one, because only its bound is a likelihood that can be
compared over sizes (a deterministic code has no price), and a plain one for the error, which the
price of the code would raise. Where they begin: :mod:`isthmus.estimators.sizes.starts`. At the size
that two-NN suggests a third model starts from the unrolled sheet. Sizes of a mixed table begin with
0, independent columns, which the gain of a code is counted from, and end on equal terms:
:mod:`isthmus.estimators.sizes.rivals`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.likelihoods import LocationScale
from isthmus.core.trace import sum_features
from isthmus.data.rows.split import folds, hold_out
from isthmus.engine.plan import Plan
from isthmus.errors import CombinationError, DataError
from isthmus.estimators import _input, _parameters, _settling, _sources
from isthmus.estimators._base import Estimator
from isthmus.estimators._defaults import recipe
from isthmus.estimators._expectations import deviates, deviates_by_row
from isthmus.estimators._fitting import Listener, Progress
from isthmus.estimators._settling import nats_of_scaling
from isthmus.estimators._validation import features_of, filled
from isthmus.estimators.sizes.rivals import Rivals
from isthmus.estimators.sizes.short_fits import ROUNDS, Bench, Size
from isthmus.estimators.sizes.starts import Before, Starts
from isthmus.estimators.sizes.warm_start import SHEET_RATE
from isthmus.evaluation.dimensions import (
    Evidence,
    Factors,
    Local,
    ppca_log_likelihood,
    recommend,
)
from isthmus.evaluation.mixed_sizes import recommend_mixed
from isthmus.random import Seeds

Array = NDArray[Any]
FEWEST_ROWS = 10
# Up to this many rows all are judged, by three models each without a third of them.
FEW_ROWS = 300
N_FOLDS = 3
MOST_HELD_OUT = 2000
# Of a fit; a quarter of them on few rows, where the best step comes early.
STEPS = 400
# Sizes of a sweep over many features: these, and those about the linear dimension.
LADDER = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 128, 192, 256)
_EVERY_SIZE = 8
# Isomap has nothing to unroll in more dimensions: its rows would have to be too many.
MOST_UNROLLED = 8
FEWEST_TO_UNROLL = 20
KEPT = (
    "hidden_layer_sizes",
    "activation",
    "likelihood",
    "kinds",
    "handle_unknown",
    "scaling",
    "max_epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "optimizer",
    "device",
    "precision",
)


@dataclass(frozen=True)
class Trial(Progress):
    """What a listener is told before and after each size is fitted.

    Attributes:
        n_components: the size that is tried.
    """

    n_components: int = 1


class Sweep:
    """Rows, parts and settings that all sizes share.

    Args:
        model: an estimator whose likelihood, scaling, networks' shape and training settings are
            used; its corruption, penalties and β are not.
        X: (N, D) rows, N ≥ 10.
        random_state: seed, generator or None; the model's own where None.

    Attributes:
        source: scaled rows, missing entries filled.
        linear: number of linear factors, 0 to D − 1; None of a mixed table.
        unrolled: size whose model began at an unrolled sheet, if any did better there.
        independent: (n,) nats of held-out rows of a mixed table with independent columns, once the
            sweep has run; None of another table.
        local: two-NN in the linear dimensions, of the rows, and with shuffled columns; None of a
            mixed table, whose rows have no such neighbourhoods.
    """

    def __init__(self, model: Any, X: Any, random_state: Any = None) -> None:
        self.model = _variational(model)
        self.unrolled: int | None = None
        data = _input.rows(self.model, _sources.held(X), reset=True, min_rows=FEWEST_ROWS)
        self.mixed = self.model.encoding_ is not None
        self.n_features = data.shape[1]
        if self.n_features < 2:
            raise DataError("X with 1 feature", "has no number of components to choose")
        _parameters.check(self.model, self.n_features)
        state = model.random_state if random_state is None else random_state
        self.seeds = Seeds.derive(int(check_random_state(state).randint(2**31 - 1)))
        n = len(data)
        self.parts = (
            folds(n, N_FOLDS, self.seeds.order)
            if n <= FEW_ROWS
            else [hold_out(n, min(n // 4, MOST_HELD_OUT), self.seeds.order)]
        )
        everything = len(self.parts) > 1
        self.model.n_components_ = 1
        self.source = _settling.prepare(
            self.model, data, torch.arange(n) if everything else self.parts[0][0]
        )
        self.unit = self.model.scaling_.unit
        self.offset = -nats_of_scaling(self.model, data)
        if not bool((self.source.x != self.source.x[0]).any()):
            raise DataError("X with equal rows", "has no dimensions to count")
        # What shared ones err by counted for a size: 0.2 nats a row of five latents against four.
        drawn = deviates_by_row if self.mixed else lambda module, _: deviates(module)
        self.bench = Bench(self.source, self.parts, self.unit, drawn, self.seeds)
        self.starts = Starts(self.bench, self.model._architecture)
        self.independent: Array | None = None
        self._sketch()

    def _sketch(self) -> None:
        """What needs no training: PCA, factors, two-NN."""
        self.linear: int | None = None
        self.local: Local | None = None
        if not self.mixed:
            x = self.source.x.cpu().double().numpy()
            factors = Factors([(x[train.numpy()], x[held.numpy()]) for train, held in self.parts])
            self.linear = factors.dimension()
            self.local = Local.of(x, factors.project(x, self.linear) if self.linear else None)
        self.pca_error, self.pca_log_likelihood, self.total = self._pca()

    def _pca(self) -> tuple[Array, Array, float]:
        """Mean held-out error for 1 … R components, log-likelihood (R, n), and the error for 0.

        Of the features of the likelihood, a missing one at its mean. Those of a mixed table have no
        log-likelihood that would compare with one of its columns: it is NaN.
        """
        errors, likelihoods, total = [], [], []
        for train, held in self.parts:
            judged = self.source.subset(held)
            module, rows = self.starts.begin(1, train, at_pca=False)
            head = module.likelihood
            seen = features_of(module, rows.x, rows.mask).cpu()
            mean = seen.nanmean(0).nan_to_num(0.0) if module.sees_missing else None
            given = filled(features_of(module, judged.x, judged.mask).cpu(), mean)
            target, unit = head.features(judged.x).cpu(), head.by_feature(self.unit)
            mask = None if judged.mask is None else head.by_feature(judged.mask).cpu()
            every = self.n_features <= pca.EXACT_SIZE and not self.mixed
            s = pca.spectrum(filled(seen, mean), self.n_features if every else 2 * LADDER[-1])
            most = min(self.n_features, len(s.axes)) if self.mixed else None
            errors.append(pca.errors_by_size(s, given, target, unit, mask, most))
            there = None if mask is None else mask.double()
            centred = (target.double() - s.mean) * unit
            total.append(sum_features(centred.square(), 1, there))
            if self.mixed:
                likelihoods.append(np.full((1, len(target)), math.nan))
                continue
            # beyond the axes there are, the variance that is left is spread evenly
            rest = self.n_features - len(s.eigenvalues)
            left = max(0.0, s.total_variance - float(s.eigenvalues.sum())) / max(rest, 1)
            values = np.concatenate([s.eigenvalues.numpy(), np.full(rest, left)])
            likelihoods.append(
                ppca_log_likelihood(s.mean.numpy(), s.axes.numpy(), values, target.numpy())
            )
        least = min(e.shape[1] for e in errors)
        error = torch.cat([e[:, :least] for e in errors]).mean(0).numpy()
        least = min(len(rows) for rows in likelihoods)
        likelihood = np.concatenate([rows[:least] for rows in likelihoods], axis=1)
        return error, likelihood, float(torch.cat(total).mean())

    @property
    def comparable(self) -> bool:
        """Whether PCA's likelihood is of the same kind as the autoencoder's."""
        head = self.model._likelihood(self.source.x[:1].cpu())
        return self.source.mask is None and isinstance(head, LocationScale)

    def sizes(self) -> list[int]:
        """Sizes worth a fit: all up to the linear dimension and one more if few, else a ladder."""
        most = min(self.n_features - 1, LADDER[-1])
        if self.local is None:
            return [k for k in range(1, most + 1) if k <= _EVERY_SIZE or k in LADDER]
        if self.linear == 0 and self.local.fills:  # nothing compresses: a few, to show it
            return [k for k in LADDER if k <= min(most, _EVERY_SIZE)]
        linear = min(self.linear or most, most)
        d = self.suggested
        near = {linear - 1, linear, linear + 1} | ({d, d + 1} if d is not None else set())
        near = {k for k in near if 1 <= k <= most}
        up_to = max(near)
        low = range(1, up_to) if up_to <= _EVERY_SIZE else (k for k in LADDER if k < up_to)
        return sorted(near | set(low))

    @property
    def suggested(self) -> int | None:
        """Two-NN's dimension where it is below the linear one; None where there is no sheet."""
        d = math.nan if self.local is None else self.local.linear.value
        linear = self.linear or self.n_features
        if not math.isfinite(d) or not 1 <= max(1, round(d)) < linear:
            return None
        return max(1, round(d))

    def run(self, sizes: Sequence[int], listener: Listener | None = None) -> list[Size]:
        """The sizes in rising order, each from the one before."""
        found: list[Size] = []
        plan = self._plan()
        began = time.perf_counter()
        before = self._silent(plan) if self.mixed else None
        kept: list[list[Core]] = []
        for i, k in enumerate(sizes):
            if listener is not None:
                seconds = time.perf_counter() - began
                listener(_trial(k, i * plan.steps, len(sizes) * plan.steps, seconds))
            size, modules = self._size(k, before, plan, unrolled=k == self._unrollable)
            before = Before(modules, k)
            if self.mixed:
                kept.append(modules)
            found.append(size)
            if listener is not None:
                seconds = time.perf_counter() - began
                told = _trial(k, (i + 1) * plan.steps, len(sizes) * plan.steps, seconds)
                listener(
                    dataclasses.replace(
                        told,
                        validation=-float(size.bound.mean()) - self.offset,
                        squared_error=float(size.squared_error.mean()),
                        pca_squared_error=self.pca_error_of(k),
                    )
                )
        if self.mixed:
            assert self.independent is not None  # noqa: S101  (of size 0)
            return Rivals(self.starts, plan, sizes, self.independent, found, kept).levelled()
        return found

    def _silent(self, plan: Plan) -> Before:
        """Size 0."""
        modules, judged = self.bench.train(self.starts.silent(), plan, "bound")
        self.independent = judged.bound
        return Before(modules, 0)

    def _size(
        self, k: int, before: Before | None, plan: Plan, *, unrolled: bool
    ) -> tuple[Size, list[Core]]:
        modules, judged = self.bench.train(self.starts.variational(k, before), plan, "bound")
        if unrolled:
            if self.model.learning_rate == "auto":
                plan = dataclasses.replace(plan, learning_rate=SHEET_RATE)
            other, too = self.bench.train(self.starts.unrolled(k, plan), plan, "bound")
            if too.loss("bound") < judged.loss("bound"):
                self.unrolled = k
                modules, judged = other, too
        half = dataclasses.replace(plan, steps=max(1, plan.steps // 2))
        _, plain = self.bench.train(self.starts.plain(modules), half, "error")
        return Size(judged.bound, plain.error, self.bench.active_units(modules)), modules

    def recommend(self, sizes: Sequence[int], found: Sequence[Size]) -> tuple[int, str]:
        """By what :mod:`isthmus.evaluation.dimensions` goes by; see there."""
        if self.linear is None or self.local is None:
            assert self.independent is not None  # noqa: S101  (found by run)
            bound = np.stack([self.independent, *(size.bound for size in found)])
            return recommend_mixed(self.n_features, sizes, bound)
        return recommend(
            Evidence(
                n_features=self.n_features,
                linear=self.linear,
                local=self.local,
                sizes=sizes,
                error=np.array([size.squared_error.mean() for size in found]),
                pca_error=np.array([self.pca_error_of(k) for k in sizes]),
                total=self.total,
                bound=np.stack([size.bound for size in found]),
            )
        )

    def pca_error_of(self, k: int) -> float:
        return float(self.pca_error[min(k, len(self.pca_error)) - 1])

    @property
    def _unrollable(self) -> int | None:
        """The size at which a sheet is unrolled first, if there may be one."""
        d = self.suggested
        enough = min(len(train) for train, _ in self.parts) > FEWEST_TO_UNROLL
        can = self.comparable and enough and d is not None and d <= MOST_UNROLLED
        return d if can else None

    def _plan(self) -> Plan:
        n = min(len(train) for train, _ in self.parts)
        auto = recipe(n, self.n_features, 2, _parameters.device(self.model.device))
        steps = STEPS if len(self.parts) == 1 else STEPS // 4
        auto = dataclasses.replace(auto, steps=min(auto.steps, steps))
        plan, _ = _parameters.plan(self.model, auto, n)
        every = max(1, plan.steps // ROUNDS)
        return dataclasses.replace(plan, evaluate_every=every, patience=None, compile=False)


def _trial(k: int, step: int, steps: int, seconds: float) -> Trial:
    """Before anything is known of it."""
    nan = math.nan
    return Trial(step, steps, 0.0, seconds, {}, nan, nan, nan, step, n_components=k)


def _variational(model: Any) -> Any:
    """An unfitted variational autoencoder with the settings that the sweep uses."""
    for name in ("encoder", "decoder"):
        if getattr(model, name) is not None:
            raise CombinationError(
                f"a choice of n_components with {name}={type(getattr(model, name)).__name__}",
                "is not possible: a network of your own has one number of latents",
                "Give n_components as a whole number.",
            )
    sizes = {} if model.network != "conv" else {"hidden_layer_sizes": "auto"}
    settings = {name: getattr(model, name) for name in KEPT} | sizes
    # sizes are compared by small perceptrons, also of images
    return Estimator(1, beta=1.0, network="mlp", sample_shape=model.sample_shape, **settings)
