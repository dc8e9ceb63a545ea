"""What matrix products run in, which of it a processor does fast, and the scale of losses.

- "float32": 24 bits of mantissa.
- "tf32": float32 whose factors are rounded to 11 bits inside a product; CUDA from compute
  capability 8 on, plain float32 elsewhere.
- "bfloat16": 8 bits, and the range of float32.
- "float16": 11 bits, and a range from 6e-8 to 65,504, which gradients leave. So the loss is
  multiplied by a scale before the backward pass and the gradients are divided by it afterwards; a
  step whose gradients are not finite is left out and halves the scale, 2,000 good ones in a row
  double it (Micikevicius et al. 2018, *Mixed Precision Training*, section 3.2).

Weights, losses and what the optimiser remembers are float32 in all of them. Nothing here waits for
the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bfloat16", "float16")
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
FIRST_SCALE, MOST_SCALE, PATIENCE = 2.0**16, 2.0**24, 2000
# NVIDIA Ampere: TF32 and bfloat16 in tensor cores. From 7 (Volta) on float16 alone is.
AMPERE, VOLTA = (8, 0), (7, 0)


def fast_precision(device: torch.device) -> tuple[Precision, Precision]:
    """What that device multiplies fastest: for products that repay a cast, and for the others.

    A GPU is asked for its compute capability, because ``torch.cuda.is_bf16_supported`` says yes
    where bfloat16 is only emulated.

    >>> fast_precision(torch.device("meta"))
    ('float32', 'float32')
    """
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= AMPERE:
            return "bfloat16", "tf32"
        return ("float16" if capability >= VOLTA else "float32"), "float32"
    # torch's own queries; an older or newer one without them multiplies in float32
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    if device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names):
        return "bfloat16", "float32"
    return "float32", "float32"


def half_products(device_type: str, precision: str) -> AbstractContextManager[None]:
    """Products of the block in bfloat16 or float16, where that is the precision."""
    half = HALVES.get(precision)
    context: AbstractContextManager[None] = torch.autocast(
        device_type, half or torch.bfloat16, enabled=half is not None
    )
    return context


@contextmanager
def tensor_cores(device_type: str, precision: str) -> Iterator[None]:
    """Float32 products of the block in TF32, where that is the precision; put back at the end.

    >>> with tensor_cores("cuda", "tf32"):
    ...     torch.get_float32_matmul_precision()
    'high'
    >>> torch.get_float32_matmul_precision()
    'highest'
    """
    if device_type != "cuda" or precision != "tf32":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class LossScale:
    """The scale of the loss in float16: tensors () that are changed in place.

    Attributes:
        scale: what the loss is multiplied by.
        good: steps since it last changed.

    >>> scale = LossScale.first(torch.device("cpu"))
    >>> scale.update(torch.tensor(True))
    >>> float(scale.scale)
    32768.0
    """

    scale: Tensor
    good: Tensor

    @classmethod
    def first(cls, device: torch.device) -> LossScale:
        """The scale that a training begins with."""
        return cls(torch.full((), FIRST_SCALE, device=device), torch.zeros((), device=device))

    def tensors(self) -> dict[str, Tensor]:
        """Both by name, the tensors themselves."""
        return {"scale": self.scale, "good": self.good}

    def unscaled(self, gradients: Sequence[Tensor | None]) -> tuple[list[Tensor | None], Tensor]:
        """The gradients divided by the scale, and whether one of them is not finite, ()."""
        inverse = 1 / self.scale
        found = [None if g is None else g * inverse for g in gradients]
        finite = [g.isfinite().all() for g in found if g is not None]
        return found, ~torch.stack(finite).all()

    def update(self, bad: Tensor) -> None:
        """After a step, which was left out where ``bad``."""
        good = torch.where(bad, 0.0, self.good + 1)
        grows = good >= PATIENCE
        grown = torch.where(grows, 2 * self.scale, self.scale)
        after = torch.where(bad, self.scale / 2, grown)
        self.scale.copy_(after.clamp(min=1.0, max=MOST_SCALE))
        self.good.copy_(torch.where(grows, 0.0, good))
