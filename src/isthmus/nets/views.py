"""What a network looks at when the raw values are not what it should see.

Counts are seen as log(1 + x), categories as one-hot columns, and a mixed table column by column
(:class:`Columns`), with the entries that are missing. A viewed network has no propagated Jacobian
of its own; a contraction falls back to ``torch.func.vjp``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
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


class Columns(nn.Module):
    """A mixed table (N, D), NaN where an entry is missing → (N, D') finite numbers.

    Real, positive and date columns as they are (scaled); counts as log(1 + x), standardised; binary
    codes as they are; ordinal ones as a thermometer (C − 1 columns, is the code above k?);
    categories as one-hot columns. A missing entry is seen as the mean of the training rows in each
    of them, and, for a column of ``holes``, by an indicator that is 1 and otherwise 0; the
    indicators come last.

    Args:
        columns: kind and number of categories of each column.
        holes: for each column, whether it has an indicator.
    """

    sees_missing = True
    centre: Tensor
    scale: Tensor
    holed: Tensor
    source: Tensor
    level: Tensor
    is_hot: Tensor
    is_code: Tensor
    is_count: Tensor

    def __init__(self, columns: Sequence[tuple[str, int]], holes: Sequence[bool]) -> None:
        super().__init__()
        self.columns = [(str(kind), int(n)) for kind, n in columns]
        self.n_indicators = sum(bool(hole) for hole in holes)
        index = [j for j, hole in enumerate(holes) if hole]
        self.register_buffer("holed", torch.tensor(index, dtype=torch.long), persistent=False)
        each = [(j, k) for j, (c, n) in enumerate(self.columns) for k in range(self._width(c, n))]
        self.n_values = len(each)
        kinds = [self.columns[j][0] for j, _ in each]
        for name, value in (
            ("source", torch.tensor([j for j, _ in each])),
            ("level", torch.tensor([float(k) for _, k in each])),
            ("is_hot", torch.tensor([kind == "categorical" for kind in kinds])),
            ("is_code", torch.tensor([kind in ("categorical", "ordinal") for kind in kinds])),
            ("is_count", torch.tensor([kind == "count" for kind in kinds])),
        ):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("centre", torch.zeros(self.n_values))
        self.register_buffer("scale", torch.ones(self.n_values))

    @staticmethod
    def _width(kind: str, n: int) -> int:
        return {"categorical": n, "ordinal": n - 1}.get(kind, 1)

    @property
    def n_out(self) -> int:
        """D'."""
        return self.n_values + self.n_indicators

    def _values(self, x: Tensor) -> Tensor:
        """(N, D' without indicators), NaN where missing."""
        v = x[..., self.source]
        level = self.level.to(x.dtype)
        hot = torch.where(self.is_hot, v == level, v > level).to(x.dtype)
        v = torch.where(self.is_code & ~v.isnan(), hot, v)
        return torch.where(self.is_count, v.clamp(min=0).log1p(), v)

    @torch.no_grad()
    def prepare(self, x: Tensor) -> None:
        """Means that stand in for missing entries, and the scale of counts, from training rows."""
        values = self._values(x)
        there = ~values.isnan()
        n = there.sum(0).clamp(min=1)
        mean = values.nan_to_num(0.0).sum(0) / n
        spread = (torch.where(there, values - mean, 0.0).square().sum(0) / n).sqrt()
        scaled = self.is_count & (spread > 0)
        self.centre.copy_(mean)
        self.scale.copy_(torch.where(scaled, spread, torch.ones_like(spread)))

    def forward(self, x: Tensor) -> Tensor:
        values = self._values(x)
        seen = torch.where(values.isnan(), self.centre.to(x.dtype), values) / self.scale.to(x.dtype)
        if not self.n_indicators:
            return seen
        return torch.cat([seen, x[..., self.holed].isnan().to(x.dtype)], -1)


class Viewed(nn.Module):
    """net(view(x)); keeps the network's linear path reachable."""

    def __init__(self, view: nn.Module, net: MLP | ConvEncoder) -> None:
        super().__init__()
        self.view = view
        self.net = net
        self.sees_missing = bool(getattr(view, "sees_missing", False))

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
    if isinstance(view, Columns):
        return view.n_out
    return size * view.n_categories if isinstance(view, OneHot) else size
