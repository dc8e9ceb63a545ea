"""Mean, variance and skewness of a column, from one pass over its blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Moments:
    """Sums of powers of values less a fixed ``origin``, so that one pass gives three moments."""

    origin: float = 0.0
    count: int = 0
    powers: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def add(self, values: np.ndarray) -> None:
        """Take in finite values (n,)."""
        if not len(values):
            return
        if not self.count:
            self.origin = float(values.mean())
        self.count += len(values)
        d = values - self.origin
        with np.errstate(over="ignore", invalid="ignore"):  # beyond 1e102 nothing is told apart
            for i, power in enumerate((d, d * d, d * d * d)):
                self.powers[i] += float(power.sum())

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.origin + self.powers[0] / max(1, self.count)

    @property
    def variance(self) -> float:
        """Their variance, divided by their number."""
        n = max(1, self.count)
        mean = self.powers[0] / n
        return max(0.0, self.powers[1] / n - mean * mean)

    @property
    def skewness(self) -> float:
        """The third standardised moment, 0 for constants."""
        n = max(1, self.count)
        a, b, c = (power / n for power in self.powers)
        spread = math.sqrt(self.variance)
        if spread <= 1e-12 * max(1.0, abs(self.mean)):
            return 0.0
        found = (c - 3 * a * b + 2 * a * a * a) / spread / spread / spread
        return found if math.isfinite(found) else 0.0
