"""A finding on a fitted model, and the case it is made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Array = NDArray[Any]
Level = Literal["good", "note", "warning"]


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

    def feature(self, position: int) -> str:
        names = self.facts.get("feature_names")
        return repr(names[position]) if names else f"feature {position}"
