"""Expectations over q(z|x) by few deviates.

All rows share them, so that a score depends on the row alone; or each row has its own, by its
place, so that what few deviates err by is not the same for all rows.
Antithetic pairs with orthonormal columns: the deviates' mean is 0 and their covariance I, for each
block of latents, so that the bound of a linear decoder, probabilistic PCA, is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder

# 2 × 8 draws leave the bound's Monte Carlo error per row well below its spread over rows.
PAIRS = 8


def deviates(module: Autoencoder) -> Tensor:
    """(S, K) standard deviates, float64; one row of zeros for a deterministic encoder.

    An importance bound is no mean, and a bound only for independent draws: it gets those.
    """
    generator = torch.Generator().manual_seed(0)
    k = module.n_components
    if module.deterministic:
        return torch.zeros(1, k, dtype=torch.float64)
    if module.objective.needs_density:
        return torch.randn(2 * PAIRS, k, generator=generator, dtype=torch.float64)
    half = torch.randn(PAIRS, k, generator=generator, dtype=torch.float64)
    parts = [torch.linalg.qr(block)[0] for block in torch.split(half, PAIRS, 1)]
    half = torch.cat(parts, 1) * PAIRS**0.5
    return torch.cat([half, -half])


def deviates_by_row(module: Autoencoder, n: int) -> Tensor:
    """(S, n, K) standard deviates, float64, of each row its own."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(n, PAIRS, module.n_components, generator=generator, dtype=torch.float64)
    parts = [torch.linalg.qr(block)[0] for block in torch.split(half, PAIRS, 2)]
    half = torch.cat(parts, 2).movedim(1, 0) * PAIRS**0.5
    return torch.cat([half, -half])
