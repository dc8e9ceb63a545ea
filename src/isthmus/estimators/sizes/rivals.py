"""Sizes of a mixed table on equal terms: what a smaller one could reach.

A larger size is trained after all smaller ones, whose weights it has, so that what a longer
training is worth would count for its latents. Two things take that away:

*Parts.* From the largest size down, a size's model is the next larger one without the latents that
say least, where that is the better one. Latents without which nothing is lost are no components.

*Training again.* The size before the chosen one is trained once more as long as that gains more
than half of what is no reason for a component
(:func:`isthmus.evaluation.mixed_sizes.tolerance`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.engine.plan import Plan
from isthmus.estimators.sizes.short_fits import Judged, Size
from isthmus.estimators.sizes.starts import Starts
from isthmus.evaluation.mixed_sizes import smallest, tolerance

Array = NDArray[Any]
# Two pairs of equal categories in 1,000 rows rise for as many trainings with a narrow network.
MOST_AGAIN = 8


@dataclass
class Rivals:
    """What was found, C sizes.

    Attributes:
        starts: of models, with the rows that they are trained and judged on.
        plan: of a training.
        sizes: (C,) numbers of components, rising.
        independent: (n,) nats of held-out rows with independent columns.
        found: of each size; the list is changed.
        kept: models of each size, one for each part of the rows; the list is changed.
    """

    starts: Starts
    plan: Plan
    sizes: Sequence[int]
    independent: Array
    found: list[Size]
    kept: list[list[Core]]

    def levelled(self) -> list[Size]:
        """Of each size the best that is known."""
        self._parts(len(self.sizes) - 1)
        chosen = smallest(self._bounds)
        while chosen > 1 and self._catches_up(chosen - 2):  # the size before; 0 is not in found
            chosen = smallest(self._bounds)
        return self.found

    @property
    def _bounds(self) -> Array:
        return np.stack([self.independent, *(size.bound for size in self.found)])

    def _parts(self, last: int) -> None:
        """Offer each size before the ``last`` a part of the next larger one's model."""
        for i in range(last - 1, -1, -1):
            part = self.starts.part_of(self.kept[i + 1], self.sizes[i])
            self._offer(i, part, self.starts.bench.judge(part))

    def _catches_up(self, i: int) -> bool:
        """Whether a size is as good as the larger ones when it is trained for longer."""
        for _ in range(MOST_AGAIN):
            modules, judged = self.starts.bench.train(deepcopy(self.kept[i]), self.plan, "bound")
            gained = self._offer(i, modules, judged)
            self._parts(i)
            bounds = self._bounds
            if smallest(bounds) <= i + 1:
                return True
            mean = bounds.mean(1)
            if gained < tolerance(float(mean.max() - mean[0])) / 2:
                break
        return False

    def _offer(self, i: int, modules: list[Core], judged: Judged) -> float:
        """What models gain over those of a size, whose place they take where it is anything."""
        gained = float(judged.bound.mean() - self.found[i].bound.mean())
        if gained > 0:
            active = self.starts.bench.active_units(modules)
            self.found[i] = dataclasses.replace(self.found[i], bound=judged.bound, active=active)
            self.kept[i] = modules
        return gained
