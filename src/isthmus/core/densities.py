"""Normal and Laplace distributions whose scale keeps its own shape in the log-density.

torch's spread the scale over all entries first, and then take as many logarithms, squares and
quotients, forward and backward, of what is one number. In a step of a small network these are
about a third of the operations (docs/LOG.md). Of torch's classes everything else is kept.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch import distributions as dist

_LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Normal(dist.Normal):
    """N(loc, scale²).

    Args:
        loc: any shape.
        scale: above 0, broadcast against ``loc``.

    >>> Normal(torch.zeros(2), torch.ones(())).log_prob(torch.zeros(2))
    tensor([-0.9189, -0.9189])
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        super().__init__(loc, scale, validate_args=False)
        self._own = scale

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Normal:
        return Normal(self.loc.expand(batch_shape), self._own)

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) * self._own.reciprocal()
        return -0.5 * (z * z) - (self._own.log() + _LOG_ROOT)


class Laplace(dist.Laplace):
    """exp(−|x − loc| / scale) / (2 scale).

    Args:
        loc: any shape.
        scale: above 0, broadcast against ``loc``.

    >>> Laplace(torch.zeros(2), torch.full((), 0.5)).log_prob(torch.ones(2))
    tensor([-2., -2.])
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        super().__init__(loc, scale, validate_args=False)
        self._own = scale

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> Laplace:
        return Laplace(self.loc.expand(batch_shape), self._own)

    def log_prob(self, value: Tensor) -> Tensor:
        far = (value - self.loc).abs() * self._own.reciprocal()
        return -far - (2 * self._own).log()
