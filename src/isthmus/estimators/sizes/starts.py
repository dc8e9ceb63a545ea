"""Where each size of a sweep begins: at PCA, at the size before it, or at a sheet unrolled.

A sweep in which every size begins anew compares accidents of short fits with each other. So a size
begins at the best of what is known, by the bound on its training rows: its closed-form linear
start, or the model of the size before with new latents (:mod:`isthmus.estimators.sizes.growth`).

Before the first size of a mixed table there is the model without a code. The linear start of
probabilities is no optimum, unlike that of a Gaussian likelihood, and from a poor one a code can be
given up for good.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from isthmus import presets
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.linear_start import linear_start
from isthmus.data.batches import TensorBatches
from isthmus.engine.plan import Plan
from isthmus.estimators.sizes.growth import grow, is_gaussian, shrink, silence
from isthmus.estimators.sizes.short_fits import Bench, Criterion
from isthmus.estimators.sizes.warm_start import SHEET_STEPS, take_mean, unroll
from isthmus.random import fork


@dataclass(frozen=True)
class Before:
    """The models that a size is grown from, one for each part, and how many latents they use."""

    modules: Sequence[Core]
    latents: int


@dataclass(frozen=True)
class Starts:
    """Models of any size at their starts.

    Attributes:
        bench: rows, parts and seeds.
        architecture: arguments of :func:`isthmus.presets.build`, but for the size.
    """

    bench: Bench
    architecture: dict[str, Any]

    def begin(
        self, k: int, train: Tensor, *, plain: bool = False, at_pca: bool = True
    ) -> tuple[Core, TensorBatches]:
        """One that knows its training rows, at its linear start unless not wanted; the rows."""
        settings = {**self.architecture, "n_components": k, **({"beta": None} if plain else {})}
        rows = self.bench.source.subset(train)
        with fork(self.bench.seeds.initialisation):
            module = presets.build(**settings).float().to(rows.x.device)
        module.prepare(rows.x, rows.mask)
        if at_pca:
            linear_start(module, rows.x, rows.mask)
        return module, rows

    def variational(self, k: int, before: Before | None) -> list[Core]:
        """For each part its linear start, or the model before grown, by the bound on its rows."""
        starts = []
        for i, (train, _) in enumerate(self.bench.parts):
            best, rows = self.begin(k, train)
            if before is not None:
                for add in self._ways(best):
                    grown, _ = self.begin(k, train)  # with the box of the training rows
                    small = before.modules[i]
                    if grow(small, grown, rows.x, rows.mask, before.latents, add=add):
                        best = self._better(best, grown, rows, "bound")
            starts.append(best)
        return starts

    def _ways(self, module: Core) -> tuple[bool, ...]:
        """Whether new latents are added in closed form, and whether it may be better not to.

        For a Gaussian head it is exact. A code that is nearly certain makes it err by a tenth of
        a nat.
        """
        return (True,) if is_gaussian(module) else (True, False)

    def part_of(self, modules: Sequence[Core], k: int) -> list[Core]:
        """Models of k of their latents."""
        found = []
        for module, (train, _) in zip(modules, self.bench.parts, strict=True):
            part, rows = self.begin(k, train, at_pca=False)
            shrink(module, part, rows)
            found.append(part.eval())
        return found

    def unrolled(self, k: int, plan: Plan) -> list[Core]:
        """At the sheet on which the rows lie."""
        starts = self.variational(k, None)
        plan = dataclasses.replace(
            plan, steps=SHEET_STEPS, evaluate_every=SHEET_STEPS, weight_decay=0.0
        )
        for module, (train, _) in zip(starts, self.bench.parts, strict=True):
            unroll(module, self.bench.source.x[train], plan, self.bench.seeds)
        return starts

    def plain(self, modules: Sequence[Core]) -> list[Core]:
        """Autoencoders of as many latents without a price: at PCA or at E[z|x], which is better."""
        starts = []
        for module, (train, _) in zip(modules, self.bench.parts, strict=True):
            at_pca, rows = self.begin(module.n_components, train, plain=True)
            at_mean, _ = self.begin(module.n_components, train, plain=True)
            take_mean(module, at_mean)
            starts.append(self._better(at_pca, at_mean, rows, "error"))
        return starts

    def silent(self) -> list[Core]:
        """Models whose code says nothing, of which the columns by themselves are left to train."""
        found = []
        for train, _ in self.bench.parts:
            module, rows = self.begin(1, train)
            silence(module, rows)
            found.append(module)
        return found

    def _better(self, a: Core, b: Core, rows: TensorBatches, criterion: Criterion) -> Core:
        losses = [self.bench.judge_rows(module, rows).loss(criterion) for module in (a, b)]
        return b if losses[1] < losses[0] else a
