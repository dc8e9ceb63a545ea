"""Objectives: how the terms of a trace become the loss, nats per sample, lower is better.

- :class:`EvidenceBound`: −E_q[log p(x|z)] + Σ_j R_j, with S draws the mean over draws. With one
  KL penalty of weight 1 it is the negative ELBO.
- :class:`ImportanceBound`: −E log (1/S) Σ_s p(x|z_s) p(z_s) / q(z_s|x) + Σ_j R_j (Burda et al.
  2016, *Importance Weighted Autoencoders*, equation 8). The log-mean-exp is not a sum of
  terms, so the KL penalty is inside it: it takes its place and is refused beside it. For S = 1
  both are estimates of the same bound, and the bound rises with S towards log p(x).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from isthmus.core.penalties import Penalty
from isthmus.core.trace import Trace
from isthmus.errors import InvalidParameterError


class Objective(nn.Module):
    """Maps a trace and its penalties to named terms, each (N,), whose sum is the loss.

    Attributes:
        n_draws: S, how many codes are drawn for each sample.
        needs_density: whether it evaluates log q(z|x) and log p(z).
    """

    needs_density = False

    def __init__(self, n_draws: int = 1) -> None:
        super().__init__()
        if n_draws < 1:
            raise InvalidParameterError(f"n_draws={n_draws}", "must be at least 1")
        self.n_draws = n_draws

    def forward(self, trace: Trace, penalties: Iterable[Penalty]) -> dict[str, Tensor]:
        raise NotImplementedError


def _terms(
    first: str, value: Tensor, trace: Trace, penalties: Iterable[Penalty]
) -> dict[str, Tensor]:
    return {first: value, **{penalty.name: penalty(trace) for penalty in penalties}}


class EvidenceBound(Objective):
    """{"reconstruction": −E_q[log p(x|z)], and one term a penalty}."""

    def forward(self, trace: Trace, penalties: Iterable[Penalty]) -> dict[str, Tensor]:
        return _terms("reconstruction", -trace.log_likelihood().mean(0), trace, penalties)


def log_weights(trace: Trace) -> Tensor:
    """log p(x|z_s) + log p(z_s) − log q(z_s|x), (S, N), nats."""
    assert trace.prior is not None  # noqa: S101  (guaranteed by the autoencoder's checks)
    rate = trace.q.log_prob(trace.z) - trace.prior.log_prob(trace.z)
    return trace.log_likelihood() - rate.sum(-1)


class ImportanceBound(Objective):
    """{"importance": −log mean_s w_s, and one term a penalty that is not the KL}."""

    needs_density = True

    def forward(self, trace: Trace, penalties: Iterable[Penalty]) -> dict[str, Tensor]:
        bound = torch.logsumexp(log_weights(trace), 0) - math.log(trace.z.shape[0])
        return _terms("importance", -bound, trace, penalties)
