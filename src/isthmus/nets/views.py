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

# Outputs of which moments are taken together: 64 MiB.
_VALUES = 1 << 24


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
    _source: Tensor
    _other: Tensor
    _level: Tensor
    _is_ordinal: Tensor
    _is_count: Tensor
    _hot: Tensor
    _start: Tensor
    _size: Tensor
    _is_hot: Tensor

    def __init__(self, columns: Sequence[tuple[str, int]], holes: Sequence[bool]) -> None:
        super().__init__()
        self.columns = [(str(kind), int(n)) for kind, n in columns]
        self.n_indicators = sum(bool(hole) for hole in holes)
        each = [(j, k) for j, (c, n) in enumerate(self.columns) for k in range(self._width(c, n))]
        self.n_values = len(each)
        kinds = [self.columns[j][0] for j, _ in each]
        holed = [j for j, hole in enumerate(holes) if hole]
        hot = [j for j, (kind, _) in enumerate(self.columns) if kind == "categorical"]
        first = {j: i for i, (j, k) in enumerate(each) if k == 0}
        other = [i for i, kind in enumerate(kinds) if kind != "categorical"]
        for name, value in (
            # the column that each output speaks of, indicators included
            ("_source", torch.tensor([j for j, _ in each] + holed, dtype=torch.long)),
            ("_is_hot", torch.tensor([kind == "categorical" for kind in kinds])),
            # outputs that are not one-hot
            ("_other", torch.tensor(other, dtype=torch.long)),
            ("_level", torch.tensor([float(each[i][1]) for i in other])),
            ("_is_ordinal", torch.tensor([kinds[i] == "ordinal" for i in other], dtype=torch.bool)),
            ("_is_count", torch.tensor([kinds[i] == "count" for i in other], dtype=torch.bool)),
            # columns that are
            ("_hot", torch.tensor(hot, dtype=torch.long)),
            ("_start", torch.tensor([first[j] for j in hot], dtype=torch.long)),
            ("_size", torch.tensor([self.columns[j][1] for j in hot], dtype=torch.long)),
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

    def _others(self, x: Tensor) -> Tensor:
        """(N, J) outputs that are not one-hot, NaN where missing."""
        v = x[..., self._source[self._other]]
        above = torch.where(v.isnan(), v, (v > self._level.to(x.dtype)).to(x.dtype))
        v = torch.where(self._is_ordinal, above, v)
        return torch.where(self._is_count, v.clamp(min=0).log1p(), v)

    def _ones(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For each column of categories the place of its 1, and whether it has one."""
        code = x[..., self._hot]
        there = (code >= 0) & (code < self._size) & (code == code.floor())
        return self._start + torch.where(there, code, 0.0).long(), there

    def _with_ones(self, base: Tensor, x: Tensor, others: Tensor) -> Tensor:
        """Other outputs at their places in a base of 0, and 1 for the category of each row."""
        place, there = self._ones(x)
        places = torch.cat([place, self._other.expand(*place.shape[:-1], -1)], -1)
        return base.scatter_add(-1, places, torch.cat([there.to(x.dtype), others], -1))

    def _values(self, x: Tensor) -> Tensor:
        """(N, D' without indicators), NaN where missing."""
        gone = x[..., self._source[: self.n_values]].isnan()
        zero = x.new_zeros(gone.shape).masked_fill_(gone, math.nan)
        return self._with_ones(zero, x, self._others(x))

    @torch.no_grad()
    def prepare(self, x: Tensor) -> None:
        """Means that stand in for missing entries, and the scale of counts, from training rows."""
        # some rows at a time: one-hot they may be a hundred times as large
        parts = torch.split(x, max(1, _VALUES // max(1, self.n_values)))
        seen = ((v.nan_to_num(0.0).sum(0), (~v.isnan()).sum(0)) for v in map(self._values, parts))
        total, n = (torch.stack(each).sum(0) for each in zip(*seen, strict=True))
        mean = total / n.clamp(min=1)
        squares = [(self._values(part) - mean).nan_to_num(0.0).square().sum(0) for part in parts]
        spread = (torch.stack(squares).sum(0) / n.clamp(min=1)).sqrt()
        is_count = torch.zeros_like(self._is_hot).index_copy(0, self._other, self._is_count)
        scaled = is_count & (spread > 0)
        self.centre.copy_(mean)
        self.scale.copy_(torch.where(scaled, spread, torch.ones_like(spread)))

    def forward(self, x: Tensor) -> Tensor:
        centre, scale = (t.to(x.dtype)[self._other] for t in (self.centre, self.scale))
        others = self._others(x)
        others = torch.where(others.isnan(), centre, others) / scale
        if not len(self._hot) and not self.n_indicators:
            return others
        # a missing category is the mean of all its outputs, beside 1 for the indicator; one that is
        # there is a 1 among zeros, which is added
        stand_in = torch.where(self._is_hot, self.centre, 0.0).to(x.dtype)
        weight = torch.cat([stand_in, stand_in.new_ones(self.n_indicators)])
        return self._with_ones(x.isnan().to(x.dtype)[..., self._source] * weight, x, others)


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
