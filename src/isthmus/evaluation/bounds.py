"""Bounds on log p(x) of a variational autoencoder, from below.

With log-weights ln w_s = log p(x|z_s) + log p(z_s) − log q(z_s|x) of draws z_s ~ q(z|x),

    L_1 = E[ln w]                       the evidence bound (Kingma & Welling 2014, equation 2)
    L_k = E[ln (1/k) Σ_s w_s]           Burda et al. 2016, *Importance Weighted Autoencoders*, eq. 8

    L_1 ≤ L_k ≤ L_k+1 ≤ log p(x) ,      and L_k → log p(x) for bounded weights (theorem 1 there).

The sum over draws is a running log-sum-exp in float64 over blocks, so that k is not bounded by
memory. Its effective number of draws (Σ w)² / Σ w² (Kong 1992) tells how many of the k carry it:
where it is near 1, one lucky draw decides and the bound is loose. Not promised: an error bar of one
row's estimate; the standard error over rows is that of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.objectives import log_weights
from isthmus.core.penalties import kl_per_latent
from isthmus.errors import DataError
from isthmus.random import fork

# Entries of one block of decoded draws: what stays in a cache is 1.6 times as fast as 32 MB.
_BLOCK = 500_000


@dataclass(frozen=True)
class Estimate:
    """ln (1/k) Σ_s w_s (N,), nats, and the effective number of draws (N,), 1 to k."""

    log_mean: Tensor
    effective: Tensor


def log_mean_exp(blocks: Iterable[Tensor]) -> Estimate:
    """ln of the mean of exp over the first dimension, taken block after block.

    Args:
        blocks: log-weights (s, N) each, s ≥ 1 of any size; −∞ is a weight of 0.

    Returns:
        In float64: exact to rounding for log-weights of any size.

    Raises:
        DataError: there is no block.

    >>> estimate = log_mean_exp([torch.tensor([[1000.0]]), torch.tensor([[1000.0], [-1e9]])])
    >>> round(float(estimate.log_mean), 4), round(float(estimate.effective), 4)
    (999.5945, 2.0)
    """
    k, first, second = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        lw = block.double()
        one, two = torch.logsumexp(lw, 0), torch.logsumexp(2.0 * lw, 0)
        first = torch.logaddexp(first, one) if k else one
        second = torch.logaddexp(second, two) if k else two
        k += len(lw)
    if not k:
        raise DataError("no log-weight", "has no mean")
    return Estimate(first - math.log(k), torch.exp(2.0 * first - second))


@torch.no_grad()
def importance(
    module: Autoencoder,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    n_draws: int = 5000,
    seed: int = 0,
    block: int = _BLOCK,
) -> Estimate:
    """Importance-weighted log-likelihood of each row.

    Args:
        module: a variational autoencoder, in evaluation mode.
        x: (N, *F) rows in the units of the module (scaled), in its precision.
        mask: (N, *F) True where an entry is there; None for everywhere.
        n_draws: k ≥ 1.
        seed: of the draws; the caller's random state is left as it was.
        block: decoded entries at a time.

    Returns:
        (N,) nats of scaled data, a lower bound in expectation, higher is better, and the effective
        number of draws.
    """
    parts: list[Estimate] = []
    n_rows = max(1, min(len(x), block // max(1, 64 * x[0].numel())))
    size = max(1, block // (n_rows * x[0].numel()))
    with fork(seed):
        for start in range(0, len(x), n_rows):
            stop = start + n_rows
            part = None if mask is None else mask[start:stop]
            parts.append(log_mean_exp(_blocks(module, x[start:stop], part, n_draws, size)))
    return Estimate(
        torch.cat([part.log_mean for part in parts]), torch.cat([part.effective for part in parts])
    )


def _blocks(
    module: Autoencoder, x: Tensor, mask: Tensor | None, n_draws: int, size: int
) -> Iterator[Tensor]:
    for start in range(0, n_draws, size):
        n = min(size, n_draws - start)
        yield log_weights(module.trace(x, mask, n_draws=n, corrupt=False))


@torch.no_grad()
def evidence(
    module: Autoencoder,
    x: Tensor,
    mask: Tensor | None = None,
    *,
    n_draws: int = 16,
    seed: int = 0,
) -> Tensor:
    """E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)), (N,), nats of scaled data, higher is better.

    The KL is exact, the expectation a mean over draws. Arguments as those of :func:`importance`.
    """
    n_rows = max(1, _BLOCK // max(1, n_draws * x[0].numel()))
    found = []
    with fork(seed):
        for start in range(0, len(x), n_rows):
            stop = start + n_rows
            part = None if mask is None else mask[start:stop]
            trace = module.trace(x[start:stop], part, n_draws=n_draws, corrupt=False)
            found.append(trace.log_likelihood().double().mean(0) - kl_per_latent(trace).sum(-1))
    return torch.cat(found)


def affordable(n_weights: int, n_draws: int, products: float = 7e10) -> int:
    """Rows whose k decoded draws cost about so many multiply-adds, 25 to 200.

    >>> affordable(n_weights=10_000, n_draws=5000), affordable(100_000, 5000)
    (200, 140)
    """
    return int(min(200, max(25, products // max(1, n_weights * n_draws))))
