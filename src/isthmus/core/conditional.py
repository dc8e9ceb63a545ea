"""A conditional distribution: a network and a head that reads its raw outputs.

``Conditional(net, head)`` is used twice, as encoder q(z|x̃) and as decoder p(x|z); its forward
returns a ``torch.distributions.Distribution`` (the idea is zuko's). A *head* says how many raw
outputs it takes (``n_outputs``) and turns them into the distribution. Most heads take the same
number of each feature (``n_raw``): their network gives (M, n_raw · prod(F)), all features of the
first raw output, then all of the second, and the head sees (..., *F, n_raw). A head whose features
differ (:class:`isthmus.core.joint.Joint`) says how its raw outputs lie. Raw outputs are in at least
float32, whatever precision the network ran in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution


class Head(nn.Module):
    """Turns raw outputs (..., *F, n_raw) into a distribution of batch shape (..., *F)."""

    n_raw: int = 1

    def forward(self, raw: Tensor) -> Distribution:
        raise NotImplementedError

    def n_outputs(self, shape: tuple[int, ...]) -> int:
        """Number of raw outputs for features of that shape."""
        return self.n_raw * math.prod(shape)

    def distribution(self, raw: Tensor, shape: tuple[int, ...]) -> Distribution:
        """The same from flat raw outputs (..., n_raw · prod(shape))."""
        if raw.dtype in (torch.bfloat16, torch.float16):
            raw = raw.float()
        split = raw.reshape(*raw.shape[:-1], self.n_raw, *shape).movedim(-1 - len(shape), -1)
        p: Distribution = self(split)
        return p


class Conditional(nn.Module):
    """p(output | input): ``head(net(input))``.

    Args:
        net: module from (M, *in) to (M, n_raw · prod(shape)), any ``nn.Module``.
        head: the :class:`Head` of the distribution.
        shape: shape of one output: (K,) for an encoder, the feature shape for a decoder.
    """

    def __init__(self, net: nn.Module, head: Head, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.shape = tuple(shape)

    @property
    def n_outputs(self) -> int:
        """Number of raw outputs the network must have."""
        return self.head.n_outputs(self.shape)

    def raw(self, given: Tensor, n_lead: int = 1) -> Tensor:
        """Raw outputs for (lead, in) with ``n_lead`` leading dimensions, flat at the end."""
        lead = given.shape[:n_lead]
        out: Tensor = self.net(given.flatten(0, n_lead - 1))
        return out.reshape(*lead, self.n_outputs)

    def forward(self, given: Tensor, n_lead: int = 1) -> Distribution:
        return self.head.distribution(self.raw(given, n_lead), self.shape)
