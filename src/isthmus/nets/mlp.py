"""A multilayer perceptron beside a linear path: net(x) = A x + b + γ f(clamp(x)).

With the linear path the last layer of f starts at zero, so the network *is* its linear path
before the first step, and whatever A and b are set to (the principal axes, say) is the level
that training starts from. Without it the network is a plain perceptron.

Two constants are set from the data (:func:`isthmus.core.linear_start.linear_start`) and do nothing
before: γ, the size of what the linear path leaves over, so that f works at unit scale; and the
box of the training rows, outside of which f stays as it is at the border and the linear path
alone extrapolates.

The linear path always runs in float32 or better, also inside autocast: its K·D
products are few, and bfloat16 would blur the level by 0.4%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from isthmus.nets.activations import activation as find_activation


class MLP(nn.Module):
    """(N, *in_shape) → (N, n_out).

    Args:
        in_shape: shape of one input; it is flattened.
        hidden_layer_sizes: widths of the hidden layers of f; () with a linear path leaves the
            linear path alone.
        n_out: number of outputs.
        activation: a name of :data:`isthmus.nets.activations.ACTIVATIONS`.
        linear_path: whether A x + b is added.
    """

    low: Tensor
    high: Tensor
    gain: Tensor

    def __init__(
        self,
        in_shape: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        n_out: int,
        activation: str = "silu",
        linear_path: bool = True,
    ) -> None:
        super().__init__()
        n_in = math.prod(in_shape)
        sizes = [n_in, *hidden_layer_sizes, n_out]
        self.n_out = n_out
        self.activation = find_activation(activation)
        self.linear = nn.Linear(n_in, n_out) if linear_path else None
        self.register_buffer("low", torch.full((n_in,), -math.inf))
        self.register_buffer("high", torch.full((n_in,), math.inf))
        self.register_buffer("gain", torch.ones(()))
        nonlinear = bool(hidden_layer_sizes) or not linear_path
        self.layers = nn.ModuleList(
            [nn.Linear(i, o) for i, o in pairwise(sizes)] if nonlinear else []
        )
        # LeCun's initialisation: unit variance is kept from layer to layer
        for layer in self.dense:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        if linear_path and nonlinear:
            nn.init.zeros_(self.dense[-1].weight)

    @property
    def n_hidden_layers(self) -> int:
        """Number of hidden layers."""
        return max(0, len(self.layers) - 1)

    @property
    def dense(self) -> list[nn.Linear]:
        """Layers of f, hidden ones first, the output layer last."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, None)

    def with_slopes(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The outputs, and σ'(a_l) of every hidden layer, each (N, H_l), for a Jacobian at x."""
        slopes: list[Tensor] = []
        return self._run(x, slopes), slopes

    def _run(self, x: Tensor, slopes: list[Tensor] | None) -> Tensor:
        x = x.flatten(1)
        h = x.clamp(self.low, self.high)
        for i, layer in enumerate(self.layers):
            if i and slopes is not None:
                slopes.append(self.activation.derivative(h))
            h = layer(self.activation.function(h) if i else h)
        h = self.gain * h
        if self.linear is None:
            return h
        with torch.autocast(x.device.type, enabled=False):
            path: Tensor = self.linear(x)
        return path + h if len(self.layers) else path

    def set_constants(
        self, low: Tensor | None = None, high: Tensor | None = None, gain: float | None = None
    ) -> None:
        """Set the box (low and high, each (n_in,)) and the gain γ; None leaves as it is."""
        put((self.low, low), (self.high, high), (self.gain, gain))

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """low and high."""
        return self.low, self.high

    def _slopes(self, x: Tensor) -> list[Tensor]:
        """σ'(a_l) of every hidden layer, each (N, H_l)."""
        slopes = []
        h = x.flatten(1).clamp(self.low, self.high)
        for layer in self.dense[:-1]:
            a = layer(h)
            slopes.append(self.activation.derivative(a))
            h = self.activation.function(a)
        return slopes

    def _at_first_layer(self, slopes: list[Tensor], v: Tensor) -> Tensor:
        """v propagated down to the first hidden layer's pre-activation, (N, R, H_1)."""
        *hidden, last = self.dense
        rows = v @ last.weight
        for slope, layer in zip(reversed(slopes), reversed(hidden), strict=True):
            rows = rows * slope[:, None, :]
            if layer is not hidden[0]:
                rows = rows @ layer.weight
        return rows

    def jacobian_rows(self, x: Tensor, v: Tensor, slopes: list[Tensor] | None = None) -> Tensor:
        """vᵀ∂net(x)/∂x, (N, R, D), for v of shape (R, n_out) or (N, R, n_out).

        ``slopes`` are those of :meth:`with_slopes` at x, where they are known.
        """
        dense = self.dense
        parts = []
        if dense:
            rows = v
            if self.n_hidden_layers:
                rows = self._at_first_layer(self._slopes(x) if slopes is None else slopes, v)
            flat = x.flatten(1)
            inside = ((flat >= self.low) & (flat <= self.high))[:, None, :]
            parts.append((self.gain * rows) @ dense[0].weight * inside)
        if self.linear is not None:
            parts.append(v @ self.linear.weight)
        return sum(parts[1:], parts[0]).expand(x.shape[0], -1, -1)

    def squared_jacobian(
        self, x: Tensor, n_rows: int, slopes: list[Tensor] | None = None
    ) -> Tensor:
        """Σ_{i < n_rows} ‖∂net_i(x)/∂x‖², (N,): the closed form for one hidden layer.

        Deeper networks propagate their rows R down to the first hidden layer and finish with
        tr(R G Rᵀ), G = W₁W₁ᵀ, which does not touch the D inputs of every sample. Both take x to lie
        in the box of the training rows, as it does in training; in evaluation mode the rows are
        computed in full. Sums run in float32 or better.
        """
        dense = self.dense
        if not (self.training and self.n_hidden_layers):
            n_out = self.n_out
            v = torch.eye(n_out, dtype=x.dtype, device=x.device)[:n_rows]
            return _wide(self.jacobian_rows(x, v, slopes)).square().sum((1, 2))
        A = None if self.linear is None else self.linear.weight[:n_rows]
        W1 = dense[0].weight
        G = _gram(W1)
        slopes = self._slopes(x) if slopes is None else slopes
        if self.n_hidden_layers == 1:
            d = slopes[0]
            W2 = self.gain * dense[-1].weight[:n_rows]
            squared = _quadratic(d, G * (W2.T @ W2)).sum(1)
            if A is not None:
                squared = squared + 2 * _wide(d @ ((W2.T @ A) * W1).sum(1))
        else:
            v = torch.eye(dense[-1].out_features, dtype=W1.dtype, device=x.device)[:n_rows]
            R = self.gain * self._at_first_layer(slopes, v)
            squared = _quadratic(R, G).sum((1, 2))
            if A is not None:
                squared = squared + 2 * _wide(R * (A @ W1.T)).sum((1, 2))
        return squared if A is None else squared + A.square().sum()


def _gram(w: Tensor) -> Tensor:
    """w wᵀ, (H, H), for what depends on it through symmetric matrices alone.

    The gradient is then 2·dG·w, one product instead of two.
    """
    half = w @ w.detach().T
    return 2 * half - half.detach()


def _quadratic(r: Tensor, g: Tensor) -> Tensor:
    """(r g) ∘ r, (…, H), for a symmetric g (H, H); its sums are rᵀ g r.

    The gradient with respect to r is 2·r g, known from the forward pass: one product is saved.
    """
    fixed = r.detach()
    product = fixed @ g
    known = _wide(product.detach())
    towards_r = 2 * known * _wide(r)
    return _wide(product) * _wide(fixed) + towards_r - towards_r.detach()


def _wide(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t


def put(*pairs: tuple[Tensor, Tensor | float | None]) -> None:
    """Copy each value into its buffer; None leaves the buffer as it is."""
    for buffer, value in pairs:
        if value is not None:
            buffer.copy_(torch.as_tensor(value))
