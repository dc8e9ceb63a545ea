"""An evaluation as the report reads it: what is there, what it is called, in which units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.record import Evaluation
from isthmus.report.words import shortened

Array = NDArray[Any]
MOST_FEATURES = 30


@dataclass(frozen=True, eq=False)
class Reading:
    """The record of :mod:`isthmus.evaluation`, with answers to what every section asks.

    N rows shown, D features, K latents.
    """

    evaluation: Evaluation

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.evaluation.facts

    def array(self, name: str) -> Array | None:
        """The array in float64 (codes of integers stay what they are), None if it tells nothing."""
        found = self.evaluation.arrays.get(name)
        if found is None:
            return None
        array = np.asarray(found)
        if array.dtype.kind in "iu":
            return array if array.size else None
        array = array.astype(np.float64)
        return array if array.size and bool(np.isfinite(array).any()) else None

    def all(self, *names: str) -> list[Array] | None:
        """Several arrays, None unless all are there."""
        found = [self.array(name) for name in names]
        return None if any(a is None for a in found) else [a for a in found if a is not None]

    @cached_property
    def n_features(self) -> int:
        return int(self.facts["n_features"])

    @cached_property
    def n_components(self) -> int:
        return int(self.facts["n_components"])

    @cached_property
    def kind(self) -> str:
        """How rows are shown: "image", "table" or "series"."""
        picture = self.facts.get("picture") or {}
        kind, shape = picture.get("kind", "table"), picture.get("shape")
        n_values = math.prod(shape or ()) * int(picture.get("channels") or 1)
        if kind == "image" and (not shape or n_values != self.n_features):
            return "table"
        return str(kind) if kind in ("image", "series") else "table"

    @cached_property
    def shape(self) -> tuple[int, int]:
        height, width = self.facts["picture"]["shape"]
        return int(height), int(width)

    @cached_property
    def channels(self) -> int:
        """Planes of an image, one after another in a row."""
        return int(self.facts["picture"].get("channels") or 1)

    @cached_property
    def names(self) -> list[str]:
        """Of the features; x0, x1, ... where they have none."""
        given = self.facts.get("feature_names")
        return [str(n) for n in given] if given else [f"x{j}" for j in range(self.n_features)]

    def feature(self, j: int, most: int = 24) -> str:
        """What a feature is called beside an axis: a pixel by its place, a point by its time."""
        named = self.facts.get("feature_names")
        if self.kind == "image":
            plane, place = divmod(j, math.prod(self.shape))
            where = f"pixel {place // self.shape[1]}, {place % self.shape[1]}"
            return where if self.channels == 1 else f"{where} of channel {plane}"
        if not named and self.kind == "series":
            return f"point {j}"
        return shortened(self.names[j], most)

    def row(self, position: int) -> str:
        """What a row is called, by its position in the data."""
        return f"row {position:,}"

    @cached_property
    def unit(self) -> str:
        """Of squared errors."""
        return str(self.facts.get("unit") or "squared units")

    @property
    def noun(self) -> str:
        """What a feature is."""
        return {"image": "pixel", "series": "point"}.get(self.kind, "feature")

    @cached_property
    def centre(self) -> Array:
        """Mean of each feature over the shown rows, (D,)."""
        return self._moments[0]

    @cached_property
    def deviation(self) -> Array:
        """Standard deviation of each feature over the shown rows, (D,), above 0."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        x = self.array("x")
        if x is None:
            return np.zeros(self.n_features), np.ones(self.n_features)
        known = ~np.isnan(x)
        n = np.maximum(known.sum(0), 1)
        mean = np.where(known, x, 0.0).sum(0) / n
        square = np.where(known, np.square(x - mean), 0.0).sum(0) / n
        return mean, np.sqrt(np.where(square > 0, square, 1.0))

    @cached_property
    def metric(self) -> Array:
        """What a feature is divided by before errors are added, (D,); close to the model's own."""
        variance = self.array("feature_variance")
        if self.facts.get("scaling") != "standard" or variance is None:
            return np.ones(self.n_features)
        return self.deviation / np.sqrt(np.where(variance > 0, variance, 1.0))

    @cached_property
    def label_names(self) -> list[str] | None:
        names = self.facts.get("labels")
        return [str(n) for n in names] if names else None

    def most_important(self, weight: Array, most: int = MOST_FEATURES) -> Array:
        """Positions of the features with the largest weight, largest first."""
        order = np.argsort(-np.nan_to_num(weight, nan=-np.inf), kind="stable")
        return order[:most]
