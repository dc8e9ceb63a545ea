"""Scaling: part of the model, fitted on the training rows, saved with it, inverted exactly.

The network sees (x − shift) / scale. A density of scaled data becomes one of the data by
log p(x) = log p(scaled) − Σ_j log scale_j, so that reported nats are in the units of the data.

- "standard": each feature by its own mean and standard deviation;
- "common": each by its own mean, all by one number, the root of their mean variance. Errors
  keep the proportions of the data: PCA on such data is PCA on the data;
- "none": untouched, for likelihoods whose support is not the real line;
- "auto": "common" where the features share a unit, "standard" where one would drown the
  others. The rule: the largest standard deviation is more than :data:`DROWNING` times the
  median of those that are not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from isthmus.errors import InvalidParameterError

Kind = Literal["auto", "standard", "common", "none"]
KINDS = ("auto", "standard", "common", "none")
# Pixels, sensor traces and standardised tables stay below 4; raw tables of mixed units (wine:
# 314 against a median of 0.8) lie far above.
DROWNING = 10.0
_CHUNK = 8192


@dataclass(frozen=True)
class Scaling:
    """shift and scale, float64 (D,); ``scale`` is above 0. ``kind`` is what "auto" chose."""

    kind: str
    shift: Tensor
    scale: Tensor

    @classmethod
    def fit(cls, x: Tensor, kind: Kind = "auto", only: Tensor | None = None) -> Scaling:
        """From training rows (N, D); NaN entries are left out.

        With ``only``, (D,) bool, the other features stay as they are: codes and counts.

        A feature that varies no more than rounding does is constant. Its scale is 1 (or the
        common one), but never below that rounding, so that rounding stays small when scaled.

        Raises:
            InvalidParameterError: unknown kind.
        """
        if kind == "none":
            return cls.of(*(torch.zeros(x.shape[1], dtype=torch.float64),) * 3, kind)
        return cls.of(*_moments(x), kind, only)

    @classmethod
    def of(
        cls,
        mean: Tensor,
        deviation: Tensor,
        rounding: Tensor,
        kind: Kind = "auto",
        only: Tensor | None = None,
    ) -> Scaling:
        """From mean, standard deviation and rounding error of each feature, float64 (D,).

        Raises:
            InvalidParameterError: unknown kind.
        """
        if kind not in KINDS:
            raise InvalidParameterError(f"scaling={kind!r}", f"must be one of {', '.join(KINDS)}")
        if kind == "none":
            return cls(kind, torch.zeros_like(mean), torch.ones_like(mean))
        varies = deviation > rounding
        some = deviation[varies]
        chosen = kind
        if kind == "auto":
            drowned = some.numel() > 0 and bool(some.max() > DROWNING * some.median())
            chosen = "standard" if drowned else "common"
        if chosen == "common":
            common = some.square().mean().sqrt() if some.numel() else mean.new_ones(())
            return cls(chosen, mean, torch.where(varies, common, rounding.clamp(min=common)))
        scale = torch.where(varies, deviation, rounding.clamp(min=1.0))
        if only is not None:
            mean = torch.where(only, mean, torch.zeros_like(mean))
            scale = torch.where(only, scale, torch.ones_like(scale))
        return cls(chosen, mean, scale)

    @property
    def log_jacobian(self) -> Tensor:
        """−log scale of each feature, (D,), nats; its sum over the features that are there is
        added to a log-density of scaled data."""
        return -self.scale.log()

    @property
    def unit(self) -> Tensor:
        """Unit of each feature, (D,), in which errors over features may be added.

        The common scale, so that errors are in the units of the data; 1 where each feature has
        its own scale, so that errors are in standard deviations and no unit drowns another.
        """
        return torch.ones_like(self.scale) if self.kind == "standard" else self.scale

    def apply(self, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N, D) in the units of the data → scaled, in ``dtype``; computed in float64.

        Of the kind "none" the values as they are: without a copy where the type is the same.
        float32 to float32 is computed in float32, the shift as the sum of two such numbers: equal
        to within two units in the last place, in a third of the time.
        """
        if self.kind == "none":
            return x.to(dtype)
        single = self._single if x.dtype == dtype == torch.float32 else None
        if single is not None:
            high, low, scale = single
            return torch.sub(x, high).sub_(low).div_(scale)
        parts = torch.split(x, _CHUNK)
        return torch.cat([((c.double() - self.shift) / self.scale).to(dtype) for c in parts])

    @cached_property
    def _single(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """The shift as a sum of two float32 and the scale as one, where float32 holds them:
        sizes within its normal numbers."""
        limits = torch.finfo(torch.float32)
        within = (self.scale > limits.tiny) & (self.scale < limits.max)
        if not (bool(within.all()) and bool((self.shift.abs() < limits.max).all())):
            return None
        high = self.shift.float()
        return high, (self.shift - high.double()).float(), self.scale.float()

    def invert(self, x: Tensor) -> Tensor:
        """Scaled (N, D) → units of the data, float64."""
        return x.double() * self.scale + self.shift


def mean_of(x: Tensor) -> Tensor:
    """Mean of each feature over the rows that have it, float64 (D,); 0 where none has."""
    chunks = torch.split(x, _CHUNK)
    n = torch.stack([(~c.isnan()).sum(0) for c in chunks]).sum(0).clamp(min=1).double()
    return torch.stack([_filled(c).sum(0) / n for c in chunks]).sum(0)


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and standard deviation of each feature over the rows that have it, float64.

    The third is the deviation up to which it may be the rounding error of the values.
    """
    chunks = torch.split(x, _CHUNK)
    n = torch.stack([(~c.isnan()).sum(0) for c in chunks]).sum(0).clamp(min=1).double()
    mean = mean_of(x)
    square = torch.stack([(_filled(c, mean) - mean).square_().div_(n).sum(0) for c in chunks])
    eps = torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0
    return mean, square.sum(0).sqrt(), rounding_of(mean, eps)


def _filled(chunk: Tensor, value: Tensor | float = 0.0) -> Tensor:
    """The chunk in float64, a missing entry at that value."""
    wide = chunk.double()
    gone = wide.isnan()
    return wide.where(~gone, torch.as_tensor(value)) if bool(gone.any()) else wide


def rounding_of(mean: Tensor, eps: float) -> Tensor:
    """Deviation up to which a feature of that mean may vary by rounding alone, (D,)."""
    return 10 * eps * mean.abs()
