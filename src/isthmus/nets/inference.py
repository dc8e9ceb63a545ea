"""net((x − shift) / scale) of many rows without gradients: what can be done once is done once.

Around the products of a forward pass stand passes over the rows: scale, clamp, cast. With weights

    W₁' = W₁ / scale,   b₁' = b₁ − W₁' low,     shift = high + low, both float32,

one subtraction is left, x − high, which is exact where it cancels, so that results are those of
scaled rows to rounding. Weights are cast to half the bits once, not for every piece. Pieces are so
short that all that is computed of one stays in the processor's cache; what they are written to is
kept from piece to piece, because new memory costs as much as the passes over it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.nets.mlp import MLP

# Values of a piece: 4 MB of float32, the second-level caches of two cores. Half is slower, because
# products of few rows are.
VALUES = 1 << 20
# Below so many rows folding the scaling into the weights takes longer than it saves.
MANY = 64
# Scales that weights may be divided by, far from the ends of float32.
SCALES = (1e-18, 1e18)
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "silu": partial(functional.silu, inplace=True),
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
}


class Inference:
    """The first ``n_out`` outputs of a network for float32 rows in the units of the data.

    Args:
        net: float32.
        n_out: how many of its outputs are wanted.
        shift: float64 (D,).
        scale: float64 (D,), within :data:`SCALES`.
        dtype: of the products of f, float32 or bfloat16 (float16 does not hold rows that are not
            scaled); those of the linear path are float32.
    """

    @torch.no_grad()
    def __init__(
        self, net: MLP, n_out: int, shift: Tensor, scale: Tensor, dtype: torch.dtype
    ) -> None:
        self._function = IN_PLACE.get(net.activation.name, net.activation.function)
        self._n_out = n_out
        self._type = dtype
        high = shift.float()
        low = (shift - high.double()).float()
        self._shift = high if bool(shift.any()) else None
        unit = scale.float()
        self._box: tuple[Tensor, Tensor] | None = None
        if bool((net.low.isfinite() | net.high.isfinite()).any()):
            lowest, highest = ((end * scale + (shift - high)).float() for end in net.box)
            self._box = lowest, highest
        self._path = None
        if net.linear is not None:
            weight = net.linear.weight[:n_out] / unit
            self._path = _layer(weight, net.linear.bias[:n_out] - weight @ low, torch.float32)
        weights: list[tuple[Tensor, Tensor]] = [(layer.weight, layer.bias) for layer in net.dense]
        if weights:
            weight, bias = weights[-1]
            weights[-1] = (net.gain * weight[:n_out], net.gain * bias[:n_out])
            weight, bias = weights[0]
            weight = weight / unit
            weights[0] = (weight, bias - weight @ low)
        self._layers = [_layer(weight, bias, self._type) for weight, bias in weights]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) → (N, n_out), float32."""
        n = min(len(x), max(256, VALUES // x.shape[1]))
        out = x.new_empty(len(x), self._n_out)
        room = _Room(n)
        for piece, found in zip(torch.split(x, n), torch.split(out, n), strict=True):
            self._run(piece, found, room)
        return out

    def _run(self, x: Tensor, out: Tensor, room: _Room) -> None:
        c = x
        if self._shift is not None:
            c = torch.sub(x, self._shift, out=room.of("rows", x, x.shape[1]))
        if self._path is not None:
            torch.addmm(self._path[1], c, self._path[0], out=out)
        if not self._layers:
            return
        if self._box is not None:
            c = torch.clamp(c, *self._box, out=room.of("rows", x, x.shape[1]))
        if c.dtype != self._type:
            c = room.of("cast", x, x.shape[1], self._type).copy_(c)
        for i, (weight, bias) in enumerate(self._layers):
            h = self._function(c) if i else c
            c = torch.addmm(bias, h, weight, out=room.of(f"layer {i}", x, len(bias), self._type))
        if self._path is None:
            out.copy_(c)
        else:
            out.add_(c)


class _Room:
    """Memory that every piece is computed in."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._kept: dict[str, Tensor] = {}

    def of(self, name: str, x: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """(len(x), width), of the same memory for every piece under that name."""
        if name not in self._kept:
            self._kept[name] = torch.empty(self._n, width, dtype=dtype)
        return self._kept[name][: len(x)]


def takes(net: nn.Module, scale: Tensor) -> TypeGuard[MLP]:
    """Whether a network is a perceptron of ours, not of a class made of it and without hooks, whose
    weights may be divided by that scale.
    """
    low, high = SCALES
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    return type(net) is MLP and not hooked and bool(((scale > low) & (scale < high)).all())


def _layer(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return weight.detach().to(dtype).T, bias.detach().to(dtype)
