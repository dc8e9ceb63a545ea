"""The one record that passes between the parts of an autoencoder, and the one way to sum over it.

Shapes: N samples, S draws of the code, K latents, ``*F`` the feature shape ((D,) for a table,
(C, H, W) for images). Whatever depends on the code carries the draws in front: ``z`` is (S, N, K)
and ``p`` has batch shape (S, N, *F), also for S = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus.core.conditional import Conditional


@dataclass(frozen=True)
class Trace:
    """What one pass x → x̃ → q(z|x̃) → z → p(x|z) leaves behind.

    Attributes:
        x: (N, *F) clean input, the target; 0 where an entry is missing.
        x_tilde: (N, *F) corrupted input, what the encoder saw; NaN where an entry is missing or
            masked if its network sees that (``sees_missing``).
        weight: (N, *F) non-negative weight of each entry in the likelihood: 0 where it is
            missing, above 1 where it is emphasised; None means 1 everywhere.
        touched: (N, *F) bool, the entries the corruption chose; None for the identity.
        q: encoder's distribution, batch shape (N, K).
        z: (S, N, K) draws from q.
        p: decoder's distribution, batch shape (S, N, *F).
        prior: p(z), batch shape (K,), or None.
        encoder: the module that gave ``q``, for penalties on its derivative.
        slopes: what its network keeps of a pass over x for its derivative there, or None.
    """

    x: Tensor
    x_tilde: Tensor
    weight: Tensor | None
    touched: Tensor | None
    q: Distribution
    z: Tensor
    p: Distribution
    prior: Distribution | None
    encoder: Conditional
    slopes: list[Tensor] | None = None

    def log_likelihood(self) -> Tensor:
        """log p(x|z), (S, N), nats per sample: summed over the features that are there."""
        return sum_features(self.p.log_prob(self.x), self.x.ndim - 1, self.weight)


def sum_features(entries: Tensor, n_event_dims: int, weight: Tensor | None = None) -> Tensor:
    """Sum (..., N, *F) over the last ``n_event_dims`` dimensions, entries weighted: (..., N).

    An entry of weight zero is left out even where it is infinite or NaN.

    >>> entries = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
    >>> sum_features(entries, 1, torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    tensor([3., 3.])
    """
    if weight is not None:
        entries = torch.where(weight > 0, entries * weight, torch.zeros_like(entries))
    return entries.flatten(-n_event_dims).sum(-1) if n_event_dims else entries
