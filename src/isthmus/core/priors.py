"""The prior p(z): a module of its own, because sampling needs it without any KL term."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal


class Prior(nn.Module):
    """``forward()`` returns p(z), batch shape (K,), on the module's device."""

    def forward(self) -> Distribution:
        raise NotImplementedError


class StandardNormal(Prior):
    """p(z) = N(0, I_K).

    >>> StandardNormal(3)().sample((2,)).shape
    torch.Size([2, 3])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(n_components), persistent=False)
        self.register_buffer("scale", torch.ones(n_components), persistent=False)

    def forward(self) -> Distribution:
        return Normal(self.loc, self.scale, validate_args=False)
