"""A convolutional encoder and decoder of images and series, beside a linear path.

A sample (C, H, W) is cut into patches of p × q pixels; each patch becomes one place of a grid of
about 7 × 7 with C·p·q channels. All convolutions work on this grid: 3 × 3, padded with zeros,
residual where the number of channels stays. A 3 × 3 convolution over patches is a convolution of
3p × 3q pixels with stride p × q, and its mirror image at the end of the decoder, 3 × 3 to C·p·q
channels that are put back as patches, is sub-pixel convolution (Shi et al. 2016, *Real-Time
Single Image and Video Super-Resolution*, equation 4): every pixel is reached by the same number
of weights, so that there is no checkerboard. One dense layer stands between grid and code.

    encoder:  A x + b + γ f(clamp(x)) ,  f = dense ∘ σ ∘ dense ∘ blocks ∘ patches
    decoder:  A z + b + γ g(z) ,         g = patches⁻¹ ∘ conv ∘ blocks ∘ σ ∘ dense ∘ h + dense ∘ h ,
                                         h = σ ∘ dense ∘ σ ∘ dense

The second output of the decoder, straight from its hidden layer h to the pixels, gives every pixel
weights of its own, as aligned images ask for (a face whose eyes are always in one place); to the
convolutions, whose weights are the same everywhere, the rest is left. Above :data:`LARGEST`
outputs, where its weights would outnumber all others, it is left out.

Both have the linear path of :mod:`isthmus.nets.mlp` and their last non-linear layer starts at zero,
so that before the first step they *are* the linear path. No layer mixes samples: there is
no normalisation at all (GroupNorm took a third of the time of the convolution before it).

Why patches: convolutions of few channels at full resolution are bound by memory. On one core
(AVX-512, bfloat16, 256 images) 3 × 3 with 32 channels on 7 × 7 ran at 124 GF/s, a strided 3 × 3
from one channel to 32 at 13, a depthwise 3 × 3 at 9, a transposed 4 × 4 at 57.

A series (C, T) is an image of one line, (C, 1, T), whose convolutions are 1 × 3 on about 16 places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.nets.activations import activation as find_activation
from isthmus.nets.mlp import put

# Places of the grid along one axis that are aimed at: of an image, of a series.
GRID, LINE = 7, 16
# The smallest side of an image, the shortest series.
SMALLEST = 8
# Outputs of the decoder up to which each has weights of its own: 16,384 × 256 are 17 MB.
LARGEST = 2**14


class Patches(nn.Module):
    """Flat samples (N, C·H·W) → (N, C·p·q, H/p, W/q), and back; a rest at the border is zeros.

    Args:
        shape: (C, H, W); H = 1 for a series.

    >>> Patches((1, 28, 20))(torch.zeros(5, 560)).shape
    torch.Size([5, 16, 7, 5])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        c, h, w = shape
        self.shape = (c, h, w)
        aim = LINE if h == 1 else GRID
        self.size = tuple(1 if n == 1 else max(2, 2 ** round(math.log2(n / aim))) for n in (h, w))
        self.grid = tuple(-(-n // p) for n, p in zip((h, w), self.size, strict=True))
        self.n_channels = c * math.prod(self.size)

    @property
    def kernel(self) -> tuple[int, int]:
        """3 along an axis that has neighbours, else 1."""
        return (3 if self.grid[0] > 1 else 1, 3 if self.grid[1] > 1 else 1)

    def forward(self, x: Tensor) -> Tensor:
        (c, h, w), (p, q), (a, b) = self.shape, self.size, self.grid
        x = functional.pad(x.reshape(-1, c, h, w), (0, b * q - w, 0, a * p - h))
        x = x.reshape(-1, c, a, p, b, q).permute(0, 2, 4, 1, 3, 5)
        # the channels last in memory: what convolutions are fastest on
        return x.reshape(-1, a, b, c * p * q).permute(0, 3, 1, 2)

    def back(self, h: Tensor, n_raw: int = 1) -> Tensor:
        """(N, n_raw·C·p·q, H/p, W/q) → (N, n_raw·C·H·W), the first raw output first."""
        (c, height, width), (p, q), (a, b) = self.shape, self.size, self.grid
        h = h.permute(0, 2, 3, 1).reshape(-1, a, b, n_raw * c, p, q).permute(0, 3, 1, 4, 2, 5)
        return h.reshape(-1, n_raw * c, a * p, b * q)[..., :height, :width].flatten(1)


class Block(nn.Module):
    """σ(conv(h)), added to h where the number of channels stays."""

    def __init__(
        self, n_in: int, n_out: int, kernel: tuple[int, int], sigma: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.conv = _convolution(n_in, n_out, kernel)
        self.sigma = sigma
        self.residual = n_in == n_out

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.sigma(self.conv(h))
        return h + out if self.residual else out


class _BesideLinear(nn.Module):
    """A x + b + γ f(clamp(x)): what the linear start of isthmus.core.linear_start asks for."""

    low: Tensor
    high: Tensor
    gain: Tensor

    def __init__(self, n_in: int, n_out: int, linear_path: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out) if linear_path else None
        self.register_buffer("low", torch.full((n_in,), -math.inf))
        self.register_buffer("high", torch.full((n_in,), math.inf))
        self.register_buffer("gain", torch.ones(()))

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """low and high."""
        return self.low, self.high

    def set_constants(
        self, low: Tensor | None = None, high: Tensor | None = None, gain: float | None = None
    ) -> None:
        """Set the box (low and high, each (n_in,)) and the gain γ; None leaves as it is."""
        put((self.low, low), (self.high, high), (self.gain, gain))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        h = self.gain * self.nonlinear(x.clamp(self.low, self.high))
        if self.linear is None:
            return h
        with torch.autocast(x.device.type, enabled=False):
            path: Tensor = self.linear(x)
        return path + h

    def nonlinear(self, x: Tensor) -> Tensor:
        """f, (N, n_in) → (N, n_out)."""
        raise NotImplementedError


class ConvEncoder(_BesideLinear):
    """(N, C·H·W) flat rows → (N, n_out).

    Args:
        shape: (C, H, W) of a sample; H = 1 for a series.
        hidden_layer_sizes: channels of the convolutions, at least one; the last is the width of the
            dense layer after them.
        n_out: number of outputs.
        activation: a name of :data:`isthmus.nets.activations.ACTIVATIONS`.
        linear_path: whether A x + b is added.

    >>> ConvEncoder((3, 9, 31), (8, 8, 16), 2)(torch.zeros(5, 837)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden_layer_sizes: Sequence[int],
        n_out: int,
        activation: str = "silu",
        linear_path: bool = True,
    ) -> None:
        super().__init__(math.prod(shape), n_out, linear_path)
        *channels, width = hidden_layer_sizes
        self.sigma = find_activation(activation).function
        self.patches = Patches(shape)
        self.blocks = _blocks([self.patches.n_channels, *channels], self.patches, self.sigma)
        self.hidden = _dense(channels[-1] * math.prod(self.patches.grid), width)
        self.last = _dense(width, n_out)
        if linear_path:
            nn.init.zeros_(self.last.weight)

    def nonlinear(self, x: Tensor) -> Tensor:
        h = self.blocks(self.patches(x)).permute(0, 2, 3, 1).flatten(1)
        out: Tensor = self.last(self.sigma(self.hidden(h)))
        return out


class ConvDecoder(_BesideLinear):
    """(M, K) codes → (M, n_raw·C·H·W), all features of the first raw output, then of the second.

    Args:
        n_in: K.
        hidden_layer_sizes: width of the two dense layers, then channels of the convolutions, at
            least one; the mirror image of the encoder's.
        shape: (C, H, W) of a sample; H = 1 for a series.
        n_raw: raw outputs of one feature.
        activation: a name of :data:`isthmus.nets.activations.ACTIVATIONS`.
        linear_path: whether A z + b is added.

    >>> ConvDecoder(2, (16, 8, 8), (3, 9, 31))(torch.zeros(5, 2)).shape
    torch.Size([5, 837])
    """

    def __init__(
        self,
        n_in: int,
        hidden_layer_sizes: Sequence[int],
        shape: Sequence[int],
        n_raw: int = 1,
        activation: str = "silu",
        linear_path: bool = True,
    ) -> None:
        super().__init__(n_in, n_raw * math.prod(shape), linear_path)
        width, *channels = hidden_layer_sizes
        self.sigma = find_activation(activation).function
        self.n_raw = n_raw
        self.patches = Patches(shape)
        self.place = (*self.patches.grid, channels[0])
        self.hidden = _dense(n_in, width)
        self.deeper: nn.Linear | None = _dense(width, width)
        self.unfold = _dense(width, math.prod(self.place))
        self.blocks = _blocks(channels, self.patches, self.sigma)
        self.last = _convolution(channels[-1], n_raw * self.patches.n_channels, self.patches.kernel)
        n_out = n_raw * math.prod(shape)
        self.beside: nn.Linear | None = _dense(width, n_out) if n_out <= LARGEST else None
        ends = [self.last.weight] if self.beside is None else [self.last.weight, self.beside.weight]
        with torch.no_grad():
            for weight in ends:
                weight.mul_(0.0 if linear_path else len(ends) ** -0.5)

        self.register_load_state_dict_pre_hook(_as_written)  # type: ignore[no-untyped-call]

    def nonlinear(self, x: Tensor) -> Tensor:
        h = self.sigma(self.hidden(x))
        if self.deeper is not None:
            h = self.sigma(self.deeper(h))
        grid = self.sigma(self.unfold(h)).reshape(-1, *self.place).permute(0, 3, 1, 2)
        out = self.patches.back(self.last(self.blocks(grid)), self.n_raw)
        return out if self.beside is None else out + self.beside(h)


def _as_written(decoder: ConvDecoder, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights written before a decoder had its second dense layer make one without."""
    if f"{prefix}hidden.weight" in state and f"{prefix}deeper.weight" not in state:
        decoder.deeper = decoder.beside = None


def _blocks(
    channels: Sequence[int], patches: Patches, sigma: Callable[[Tensor], Tensor]
) -> nn.Sequential:
    return nn.Sequential(*(Block(i, o, patches.kernel, sigma) for i, o in pairwise(channels)))


def _convolution(n_in: int, n_out: int, kernel: tuple[int, int]) -> nn.Conv2d:
    """LeCun's initialisation: unit variance is kept from layer to layer."""
    conv = nn.Conv2d(n_in, n_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
    nn.init.normal_(conv.weight, std=(n_in * math.prod(kernel)) ** -0.5)
    assert conv.bias is not None  # noqa: S101
    nn.init.zeros_(conv.bias)
    return conv


def _dense(n_in: int, n_out: int) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, std=n_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer
