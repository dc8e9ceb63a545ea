"""A product of distributions over the columns of a table, entry by entry.

Columns of one kind are one distribution of torch's with as many entries, so that D columns cost as
many operations as there are kinds. Categories are padded to the widest column's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution
from torch.distributions.constraints import Constraint


class JointDistribution(Distribution):
    """A product over columns; batch shape (..., D), one entry a column."""

    def __init__(self, groups: dict[str, Distribution], order: Tensor, size: int) -> None:
        self.groups = groups
        self._order = order
        first = next(iter(groups.values()))
        shape = torch.Size((*first.batch_shape[:-1], size))
        super().__init__(shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {}

    def _columns(self, parts: list[Tensor]) -> Tensor:
        """Groups side by side → columns in the order of the table."""
        return torch.cat(parts, -1)[..., self._order]

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """Columns (..., D) → by group."""
        place = self._order.argsort()
        sizes = [p.batch_shape[-1] for p in self.groups.values()]
        return dict(zip(self.groups, torch.split(x[..., place], sizes, -1), strict=True))

    def log_prob(self, value: Tensor) -> Tensor:
        parts = self.split(value)
        found = []
        for name, p in self.groups.items():
            x = parts[name]
            if name in ("categorical", "ordinal"):
                # a code that is none of a column's has the probability of the padding, none
                x = x.clamp(min=0)
            found.append(p.log_prob(x))
        return self._columns(found)

    @property
    def mean(self) -> Tensor:
        """E[x|z]; of codes too, which has a sense for binary and ordinal ones alone."""
        return self._columns([mean_of(p) for p in self.groups.values()])

    @property
    def mode(self) -> Tensor:
        """The most probable value; of a count its mean."""
        return self._columns([_typical(name, p) for name, p in self.groups.items()])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        shape = torch.Size(sample_shape)
        with torch.no_grad():
            like = mean_of(next(iter(self.groups.values())))
            draws = [p.sample(shape).to(like.dtype) for p in self.groups.values()]
        return self._columns(draws)


def _codes(p: Categorical) -> Tensor:
    return torch.arange(p.probs.shape[-1], device=p.probs.device, dtype=p.probs.dtype)


def mean_of(p: Distribution) -> Tensor:
    """E[x], of codes too."""
    return (p.probs * _codes(p)).sum(-1) if isinstance(p, Categorical) else p.mean


def _typical(name: str, p: Distribution) -> Tensor:
    if isinstance(p, Categorical):
        return p.probs.argmax(-1).to(p.probs.dtype)
    mean = p.mean
    return (mean > 0.5).to(mean.dtype) if name == "binary" else mean
