"""A finding on a fitted model, and the case it is made on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from isthmus.evaluation.latents import ACTIVE

Array = NDArray[Any]
Level = Literal["good", "note", "warning"]
COLLAPSED = 0.1
"""Nats per row below which a code says nothing."""
FEW_ROWS = 10
"""Rows below which nothing is said of how latents and features vary."""


@dataclass(frozen=True)
class Finding:
    """One sentence with its number, and what to do about it ("" where nothing is to be done)."""

    level: Level
    name: str
    finding: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Case:
    """Facts and arrays of an evaluation, and the history of the fit."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]
    history: Sequence[Mapping[str, float]]

    @property
    def metrics(self) -> dict[str, float]:
        return {one["name"]: float(one["value"]) for one in self.facts["metrics"]}

    @property
    def variational(self) -> bool:
        return "kl" in self.arrays

    @property
    def collapsed(self) -> bool:
        """Whether a variational model's code says next to nothing of its row."""
        if not self.variational:
            return False
        active = self.arrays["activity"] > ACTIVE
        return not active.any() or float(self.arrays["kl"].sum()) < COLLAPSED

    @property
    def n(self) -> float:
        """How many rows were evaluated; infinite where it is not told."""
        known = self.facts.get("rows") or {}
        return float(known.get("n", math.inf))

    @property
    def few(self) -> bool:
        """Whether the rows are too few to say how a model or a feature varies."""
        return self.n < FEW_ROWS

    def feature(self, position: int) -> str:
        names = self.facts.get("feature_names")
        return repr(names[position]) if names else f"feature {position}"
