"""What a network looks at when the raw values are not what it should see.

Counts are seen as log(1 + x), categories as one-hot columns. A viewed network has no
propagated Jacobian of its own; a contraction falls back to ``torch.func.vjp``.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from isthmus.nets.conv import ConvEncoder
from isthmus.nets.mlp import MLP


class Log1p(nn.Module):
    """(N, *F) counts → log(1 + max(x, 0)), (N, *F)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0).log1p()


class OneHot(nn.Module):
    """(N, *F) codes 0 … C−1 → (N, C·prod(F)) zeros and ones, in the dtype of x."""

    def __init__(self, n_categories: int) -> None:
        super().__init__()
        self.n_categories = n_categories

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot(x.long(), self.n_categories).to(x.dtype).flatten(1)


class Viewed(nn.Module):
    """net(view(x)); keeps the network's linear path reachable."""

    def __init__(self, view: nn.Module, net: MLP | ConvEncoder) -> None:
        super().__init__()
        self.view = view
        self.net = net

    @property
    def linear(self) -> nn.Linear | None:
        """Linear path of the network, on the viewed input."""
        return self.net.linear

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """Box of the network behind the view."""
        return self.net.box

    def set_constants(
        self, low: Tensor | None = None, high: Tensor | None = None, gain: float | None = None
    ) -> None:
        """Constants of the network behind the view."""
        self.net.set_constants(low, high, gain)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(self.view(x))
        return out


def viewed_size(view: nn.Module | None, shape: tuple[int, ...]) -> int:
    """Number of inputs the network has behind that view."""
    size = math.prod(shape)
    return size * view.n_categories if isinstance(view, OneHot) else size
