"""Corruption C(x̃|x): what the encoder sees instead of the clean input.

A denoising autoencoder encodes x̃ and is asked for x (Vincent et al. 2010, *Stacked Denoising
Autoencoders*, JMLR 11, section 3). Each corruption reports which entries it chose, also where
the value stayed the same by chance, so that a loss can emphasise them.

Levels are in units of the data the network sees, that is, after scaling: ``level=0.5`` of
Gaussian noise is half of the typical standard deviation of a feature. At level 0 every
corruption is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus.errors import InvalidParameterError


@dataclass(frozen=True)
class Corrupted:
    """x̃ (N, *F) and the entries chosen, (N, *F) bool; ``touched=None`` means none."""

    x_tilde: Tensor
    touched: Tensor | None


class Corruption(nn.Module):
    """Maps (N, *F) to :class:`Corrupted`; draws from torch's global generator.

    Attributes:
        reach: standard deviation of what it adds beyond the range of the data.
    """

    reach: float = 0.0

    def prepare(self, x: Tensor) -> None:
        """Learn constants from training rows (N, *F); most corruptions need none."""

    def forward(self, x: Tensor) -> Corrupted:
        raise NotImplementedError


class Identity(Corruption):
    """x̃ = x."""

    def forward(self, x: Tensor) -> Corrupted:
        return Corrupted(x, None)


class GaussianNoise(Corruption):
    """x̃ = x + ε, ε ~ N(0, level²) on every entry; ``level`` ≥ 0 in units of the scaled data.

    With ``where``, (*F,) bool, on the entries of those features alone: a category has no noise.
    """

    def __init__(self, level: float, where: Tensor | None = None) -> None:
        super().__init__()
        self.level = _at_least_zero(level)
        self.reach = self.level
        self.register_buffer("where", where, persistent=False)

    def forward(self, x: Tensor) -> Corrupted:
        if self.level == 0.0:
            return Corrupted(x, torch.zeros_like(x, dtype=torch.bool))
        where = self._buffers["where"]
        if where is not None:
            noise = self.level * torch.randn_like(x)
            return Corrupted(torch.where(where, x + noise, x), where.expand_as(x))
        return Corrupted(x + self.level * torch.randn_like(x), torch.ones_like(x, dtype=torch.bool))


class MaskingNoise(Corruption):
    """Each entry becomes ``value`` with probability ``level`` (0 is the mean of scaled data).

    NaN is for encoders that see which entries are missing: to them a masked entry is one.
    """

    def __init__(self, level: float, value: float = 0.0) -> None:
        super().__init__()
        self.level = _probability(level)
        self.value = value

    def forward(self, x: Tensor) -> Corrupted:
        touched = torch.rand_like(x) < self.level
        return Corrupted(x.masked_fill(touched, self.value), touched)


class SaltAndPepper(Corruption):
    """Each entry becomes, with probability ``level``, its feature's minimum or maximum (½ each).

    Minimum and maximum are those of the training rows (:meth:`prepare`).
    """

    low: Tensor
    high: Tensor

    def __init__(self, level: float, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.level = _probability(level)
        self.register_buffer("low", torch.zeros(shape))
        self.register_buffer("high", torch.ones(shape))

    def prepare(self, x: Tensor) -> None:
        self.low = x.amin(0)
        self.high = x.amax(0)

    def forward(self, x: Tensor) -> Corrupted:
        draw = torch.rand_like(x)
        x_tilde = torch.where(draw < self.level / 2, self.low, x)
        touched = draw < self.level
        return Corrupted(
            torch.where(touched & (draw >= self.level / 2), self.high, x_tilde), touched
        )


class SwapNoise(Corruption):
    """Each entry becomes, with probability ``level``, the same feature of another row.

    The noise for tables: what it puts in is a value that the column really takes. Rows are
    paired by one random rotation per column of a random order, so that a row is never paired
    with itself when N > 1.
    """

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = _probability(level)

    def forward(self, x: Tensor) -> Corrupted:
        n = x.shape[0]
        touched = torch.rand_like(x) < self.level
        flat = x.flatten(1)
        if n == 1:
            return Corrupted(x, touched)
        order = torch.randperm(n, device=x.device)
        place = order.argsort()
        shift = torch.randint(1, n, (flat.shape[1],), device=x.device)
        other = order[(place[:, None] + shift) % n]
        return Corrupted(torch.where(touched, flat.gather(0, other).view_as(x), x), touched)


CORRUPTIONS: dict[str, type[GaussianNoise | MaskingNoise | SaltAndPepper | SwapNoise]] = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt_and_pepper": SaltAndPepper,
    "swap": SwapNoise,
}


# Levels that clearly corrupt and leave most of a sample to go by.
DEFAULT_LEVELS = {"gaussian": 0.5, "masking": 0.25, "salt_and_pepper": 0.1, "swap": 0.1}


def corruption(
    name: str | None,
    level: float | None = None,
    shape: tuple[int, ...] = (),
    *,
    masked: float = 0.0,
    where: Tensor | None = None,
) -> Corruption:
    """The corruption of that name: "gaussian", "masking", "salt_and_pepper", "swap", or None.

    Args:
        name: of the corruption; None for the identity.
        level: standard deviation in scaled units, or probability; None for the kind's default
            (:data:`DEFAULT_LEVELS`).
        shape: feature shape, for the constants that a corruption learns from the data.
        masked: what masking puts in.
        where: (*F,) bool, the features that Gaussian noise touches; None for all.

    Raises:
        InvalidParameterError: unknown name, or level outside its range.

    >>> corruption("masking", 0.25)(torch.ones(2, 3)).x_tilde.shape
    torch.Size([2, 3])
    """
    if name is None:
        return Identity()
    if name not in CORRUPTIONS:
        raise InvalidParameterError(
            f"noise={name!r}", f"must be None or one of {', '.join(CORRUPTIONS)}"
        )
    level = DEFAULT_LEVELS[name] if level is None else level
    if name == "salt_and_pepper":
        return SaltAndPepper(level, shape)
    if name == "masking":
        return MaskingNoise(level, masked)
    return GaussianNoise(level, where) if name == "gaussian" else CORRUPTIONS[name](level)


def _at_least_zero(level: float) -> float:
    if not 0.0 <= level < float("inf"):
        raise InvalidParameterError(
            f"noise_level={level!r}", "must be a finite number of at least 0"
        )
    return float(level)


def _probability(level: float) -> float:
    if not 0.0 <= level <= 1.0:
        raise InvalidParameterError(
            f"noise_level={level!r}",
            "must lie between 0 and 1, the probability that an entry is replaced",
        )
    return float(level)
