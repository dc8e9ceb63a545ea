"""Which rows train and which are held out."""

from __future__ import annotations

import torch
from torch import Tensor


def hold_out(n_rows: int, n_held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (rising) of the training rows and of the held-out rows, drawn at random.

    >>> train, held_out = hold_out(10, 3, seed=0)
    >>> len(train), len(held_out)
    (7, 3)
    """
    order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    return order[n_held_out:].sort().values, order[:n_held_out].sort().values


def folds(n_rows: int, n_folds: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Index pairs (training rows, held-out rows) of a random K-fold partition.

    >>> [len(held_out) for _, held_out in folds(10, 3, seed=0)]
    [4, 3, 3]
    """
    order = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed))
    parts = order.tensor_split(n_folds)
    return [
        (torch.cat([p for j, p in enumerate(parts) if j != i]).sort().values, part.sort().values)
        for i, part in enumerate(parts)
    ]
