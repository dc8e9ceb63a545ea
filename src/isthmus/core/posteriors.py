"""Heads of the encoder: what q(z|x̃) is.

``Delta`` puts all mass on one code, the encoder of every deterministic autoencoder;
``DiagonalGaussian`` gives each latent a mean and a variance (Kingma & Welling 2014,
*Auto-Encoding Variational Bayes*, section 3). E[z|x] is the first raw output of both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints
from torch.distributions.constraints import Constraint

from isthmus.core.conditional import Head

# exp(-15) to exp(10): a variance outside is no longer told from 0 or from a flat prior in float32
LOG_VARIANCE_RANGE = (-15.0, 10.0)


class DeltaDistribution(Distribution):
    """All mass at ``mean`` (any shape); its density is not a function, so it has no log_prob."""

    has_rsample = True

    def __init__(self, mean: Tensor) -> None:
        self._mean = mean
        super().__init__(mean.shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"mean": constraints.real}

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self._mean)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self._mean.expand(self._extended_shape(torch.Size(sample_shape)))


class Delta(Head):
    """q(z|x) = δ(z − m(x)); one raw output a latent, the code itself."""

    n_raw = 1

    def forward(self, raw: Tensor) -> Distribution:
        return DeltaDistribution(raw[..., 0])


class DiagonalGaussian(Head):
    """q(z|x) = N(m(x), diag v(x)); raw outputs: mean, then log-variance."""

    n_raw = 2

    def forward(self, raw: Tensor) -> Distribution:
        log_variance = raw[..., 1].clamp(*LOG_VARIANCE_RANGE)
        return Normal(raw[..., 0], (0.5 * log_variance).exp(), validate_args=False)
