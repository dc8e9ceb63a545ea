"""Short fits on fixed parts of the rows, judged on what each part holds out.

They are to tell models apart, not to be kept: a tenth of the steps of a full fit, the best of
:data:`ROUNDS` looks at the held-out rows, no gate and no checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.trace import sum_features
from isthmus.data.batches import Batches, TensorBatches
from isthmus.engine.ensemble import Ensemble, EnsembleBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.engine.threads import largest_layer, suitable_threads
from isthmus.errors import DataError
from isthmus.estimators._validation import members_of
from isthmus.evaluation.latents import activity, n_active
from isthmus.random import Seeds, fork

Array = NDArray[Any]
Criterion = Literal["bound", "error"]
ROUNDS = 10
PATIENCE = 3
# Held-out rows that a round is judged by; the kept state is judged by all.
MOST_LOOKED_AT = 500
_CHUNK = 2048


@dataclass(frozen=True)
class Judged:
    """Of n held-out rows: evidence bound (n,) of scaled rows, nats, and squared error (n,)."""

    bound: Array
    error: Array

    def loss(self, criterion: Criterion) -> float:
        """Mean of −bound or of the error, lower is better."""
        return float(-self.bound.mean() if criterion == "bound" else self.error.mean())


@dataclass(frozen=True)
class Size:
    """What is known of one number of components; n held-out rows.

    Attributes:
        bound: (n,) evidence bound of the variational autoencoder on scaled rows, nats.
        squared_error: (n,) of the plain autoencoder, squared units of ``Scaling.unit``.
        active: number of active units of the variational one, a mean over the parts.
    """

    bound: Array
    squared_error: Array
    active: float


@dataclass(frozen=True)
class Bench:
    """What all short fits share.

    Attributes:
        source: scaled rows.
        parts: training and held-out rows of each model.
        unit: (D,) unit of each feature in which errors are told.
        deviates: of a model and a number of rows n, the standard deviates by which its bound is
            taken, (S, K) or (S, n, K).
        seeds: of order and noise.
    """

    source: TensorBatches
    parts: Sequence[tuple[Tensor, Tensor]]
    unit: Tensor
    deviates: Callable[[Core, int], Tensor]
    seeds: Seeds

    def train(
        self, modules: list[Core], plan: Plan, criterion: Criterion
    ) -> tuple[list[Core], Judged]:
        """Train one module for each part; what comes back is the best round of all together.

        Raises:
            DataError: no round, the start included, had a finite loss.
        """
        if len(modules) > 1:
            training = Training(Ensemble(modules), plan)
            batches: Batches = EnsembleBatches(self.source, [train for train, _ in self.parts])
        else:
            training = Training(modules[0], plan)
            batches = self.source.subset(self.parts[0][0])
        best, least, waited = None, math.inf, 0
        work = (plan.batch_size, largest_layer(training.module.parameters()))
        with suitable_threads(*work), fork(self.seeds.noise):
            for now in training.rounds(batches, self.seeds.order):
                kept = members_of(training.kept)
                loss = self.judge(kept, MOST_LOOKED_AT).loss(criterion)
                waited += 1
                if loss < least:
                    least, waited = loss, 0
                    best = [
                        {name: t.detach().clone() for name, t in module.state_dict().items()}
                        for module in kept
                    ]
                if waited >= PATIENCE or not math.isfinite(now.loss):
                    break
        if best is None:
            raise DataError(
                "X", "gives no finite likelihood", "Look for values of extreme size in it."
            )
        for module, state in zip(modules, best, strict=True):
            module.load_state_dict(state)
            module.eval()
        return modules, self.judge(modules)

    def judge(self, modules: Sequence[Core], most: int | None = None) -> Judged:
        """Each module on the rows that its part held out, the first ``most`` of them."""
        each = [
            self.judge_rows(module, self.source.subset(held[:most]))
            for module, (_, held) in zip(modules, self.parts, strict=True)
        ]
        return Judged(
            np.concatenate([judged.bound for judged in each]),
            np.concatenate([judged.error for judged in each]),
        )

    @torch.no_grad()
    def judge_rows(self, module: Core, rows: TensorBatches) -> Judged:
        """One module on some rows: its bound, and its error at E[z|x]."""
        head = module.likelihood
        unit = head.by_feature(self.unit.to(rows.x.device))
        bounds, errors = [], []
        was_training = module.training
        module.eval()
        for x, *mask in rows.batches(_CHUNK):
            noise = self.deviates(module, len(x)).to(x)
            trace = module.trace(x, *mask, noise=noise, corrupt=False)
            bounds.append(module.evidence(trace).double())
            p = module.decoder(trace.q.mean[None], 2)
            residual = head.expected_features(p)[0] - head.features(x)
            there = head.by_feature(mask[0]).double() if mask else None
            errors.append(sum_features((residual.double() * unit).square(), 1, there))
        module.train(was_training)
        return Judged(torch.cat(bounds).cpu().numpy(), torch.cat(errors).cpu().numpy())

    @torch.no_grad()
    def active_units(self, modules: Sequence[Core]) -> float:
        """Mean number of latents that move with the held-out rows."""
        counts = []
        for module, (_, held) in zip(modules, self.parts, strict=True):
            rows = self.source.subset(held)
            codes = module.encode(rows.x, rows.mask).mean
            counts.append(n_active(activity(codes.cpu().numpy())))
        return float(np.mean(counts))
