"""Heads of the decoder: the likelihoods p(x|z), entry by entry.

================= ======== ============ ==================== =====================================
name              n_raw    support      link of the mean     free scale
================= ======== ============ ==================== =====================================
gaussian          1        real         identity             σ shared by all features
gaussian_fixed    1        real         identity             σ = 1 in scaled units
gaussian_feature  1        real         identity             σ per feature
gaussian_sample   2        real         identity             σ from the network, per entry
laplace           1        real         identity             b shared by all features
bernoulli         1        [0, 1]       logit                none
continuous_bernoulli 1     [0, 1]       (its own)            none
categorical       C        0 … C−1      softmax              none
poisson           1        0, 1, 2, …   log                  none
negative_binomial 1        0, 1, 2, …   log                  dispersion per feature
================= ======== ============ ==================== =====================================

All log-densities are in nats. A free scale is learned with the network and can be set to its
closed-form optimum for given rows (:meth:`Likelihood.calibrate`): for the Gaussian the mean
squared error per entry (Rybkin et al. 2021, *Simple and Effective VAE Training with Calibrated
Decoders*), for the Laplace the mean absolute one.

Bernoulli on grey-scale values in (0, 1) is accepted, as is common, but is not a density: its
loss has a floor, the entropy of the pixels, and compares with no other likelihood's.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch import distributions as dist
from torch.distributions import Distribution

from isthmus.core import densities
from isthmus.core.conditional import Head
from isthmus.errors import DataError, InvalidParameterError

ScaleKind = Literal["fixed", "shared", "feature", "sample"]

# A scale below a thousandth of the scaled data's unit would let the density of noiseless data
# grow without bound; the mean of the squared error still falls below it.
MIN_SCALE = 1e-3
# The learned log-scale is GAIN times a parameter, so that Adam, whose steps have the size of the
# learning rate, moves it ten times faster than a weight and it follows the falling error.
GAIN = 10.0
LOG_MEAN_RANGE = (-15.0, 15.0)
# Binary values are moved this far inside (0, 1) before their logit is regressed on the codes.
SMOOTHING = 0.05


class Likelihood(Head):
    """A head of p(x|z).

    Attributes:
        support: "real", "unit", "count", "category" or "mixed"; of mixed data the real columns
            may be rescaled, else "real" data only.
        power: the power of the residual whose mean sets a free scale, 0 without one.
    """

    support: ClassVar[str] = "real"
    power: int = 0

    @property
    def free_scale(self) -> bool:
        """Whether :meth:`calibrate` is the closed-form optimum of a learned scale."""
        return False

    @property
    def shares_scale(self) -> bool:
        """Whether one free scale serves all features."""
        return False

    def expectation(self, p: Distribution) -> Tensor:
        """E[x|z], (..., *F), in the units of the target; the mode where a mean has no sense."""
        return p.mean

    def raw_target(self, x: Tensor) -> Tensor:
        """(N, *F, n_raw) raw outputs whose least-squares fit on the codes is the linear start.

        The link function of slightly smoothed data; for the Gaussian the data themselves.
        """
        return x.unsqueeze(-1)

    def flat_target(self, x: Tensor) -> Tensor:
        """:meth:`raw_target` as a network gives its raw outputs, (N, n_outputs)."""
        return self.raw_target(x).movedim(-1, 1).flatten(1)

    def prepare(self, x: Tensor) -> None:
        """Learn constants from training rows (N, *F), NaN where missing; most heads need none."""

    def reach(self, high: Tensor) -> None:
        """Take note of the highest value of each feature, (*F,), after ``prepare`` by a sample."""

    def features(self, x: Tensor) -> Tensor:
        """T(x), what squared errors are of and PCA is done on; the data themselves for numbers."""
        return x

    def expected_features(self, p: Distribution) -> Tensor:
        """E[T(x)|z]."""
        return self.expectation(p)

    def by_feature(self, entries: Tensor) -> Tensor:
        """What belongs to entries, (..., *F), such as a mask, for each of T(x)."""
        return entries

    def check(self, x: Tensor) -> None:
        """Raise DataError unless every entry of (N, *F) lies in the support; NaN is absent."""

    def calibrate(self, mean_residual: Tensor) -> None:
        """Set a free scale from E|x − E[x|z]|^power per feature, (*F,); nothing without one."""

    def rescaled(self, p: Distribution) -> Distribution | None:
        """What a distribution of this head is with its free scale as it is now.

        None where p alone does not tell, and the network's outputs are needed once more.
        """
        return None if self.free_scale else p


class LocationScale(Likelihood):
    """Base of Gaussian and Laplace: location from the network, one of four kinds of scale.

    Args:
        scale: "fixed" (at ``value``), "shared", "feature" or "sample" (a second raw output).
        shape: feature shape, needed for "feature".
        value: scale in scaled units to start from, or to stay at; above 0.
    """

    log_value: Tensor

    def __init__(
        self, scale: ScaleKind = "shared", shape: tuple[int, ...] = (), value: float = 1.0
    ) -> None:
        super().__init__()
        if scale not in ("fixed", "shared", "feature", "sample"):
            raise InvalidParameterError(
                f"scale={scale!r}", "must be 'fixed', 'shared', 'feature' or 'sample'"
            )
        if not 0.0 < value < math.inf:
            raise InvalidParameterError(f"value={value!r}", "must be a finite number above 0")
        self.kind = scale
        self.n_raw = 2 if scale == "sample" else 1
        size = shape if scale == "feature" else ()
        self.register_buffer("log_value", torch.full(size, math.log(value)))
        if scale in ("shared", "feature"):
            self.theta = nn.Parameter(torch.zeros(size))

    @property
    def free_scale(self) -> bool:
        """Whether the scale is a parameter of its own, shared or per feature."""
        return self.kind in ("shared", "feature")

    @property
    def shares_scale(self) -> bool:
        """Whether the scale is one number."""
        return self.kind == "shared"

    def scale(self, raw: Tensor) -> Tensor:
        """Scale of each entry, broadcastable to (..., *F)."""
        log_scale = self.log_value
        if self.kind == "sample":
            log_scale = log_scale + raw[..., 1]
        elif self.kind != "fixed":
            log_scale = log_scale + GAIN * self.theta
        return log_scale.clamp(math.log(MIN_SCALE), 10.0).exp()

    def raw_target(self, x: Tensor) -> Tensor:
        location = x.unsqueeze(-1)
        return (
            torch.cat([location, torch.zeros_like(location)], -1) if self.n_raw == 2 else location
        )

    @torch.no_grad()
    def calibrate(self, mean_residual: Tensor) -> None:
        if self.kind == "fixed":
            return
        if self.kind != "feature":
            mean_residual = mean_residual.mean()
        scale = mean_residual.clamp(min=MIN_SCALE**self.power) ** (1 / self.power)
        self.log_value.copy_(scale.log())
        if self.kind != "sample":
            self.theta.zero_()


class Gaussian(LocationScale):
    """p(x|z) = N(m(z), σ²)."""

    power = 2

    def forward(self, raw: Tensor) -> Distribution:
        return densities.Normal(raw[..., 0], self.scale(raw))

    def rescaled(self, p: Distribution) -> Distribution | None:
        known = self.free_scale and type(self) is Gaussian
        return self.forward(p.mean.unsqueeze(-1)) if known else super().rescaled(p)


class Laplace(LocationScale):
    """p(x|z) = exp(−|x − m(z)| / b) / 2b."""

    power = 1

    def forward(self, raw: Tensor) -> Distribution:
        return densities.Laplace(raw[..., 0], self.scale(raw))

    def rescaled(self, p: Distribution) -> Distribution | None:
        known = self.free_scale and type(self) is Laplace
        return self.forward(p.mean.unsqueeze(-1)) if known else super().rescaled(p)


def _logit_target(x: Tensor) -> Tensor:
    return x.clamp(SMOOTHING, 1 - SMOOTHING).logit().unsqueeze(-1)


def _check(x: Tensor, inside: Tensor, given: str, rule: str, remedy: str) -> None:
    """``inside``: (N, *F) bool, NaN counts as inside."""
    if not bool((inside | x.isnan()).all()):
        raise DataError(
            f"X with values from {float(x.nan_to_num(0).min()):g} to "
            f"{float(x.nan_to_num(0).max()):g} and likelihood={given!r}",
            f"do not go together: {rule}",
            remedy,
        )


class Bernoulli(Likelihood):
    """p(x|z) = π^x (1−π)^(1−x), π = sigmoid(raw)."""

    support = "unit"

    def forward(self, raw: Tensor) -> Distribution:
        return dist.Bernoulli(logits=raw[..., 0], validate_args=False)

    def raw_target(self, x: Tensor) -> Tensor:
        return _logit_target(x)

    def check(self, x: Tensor) -> None:
        _check(
            x,
            (x >= 0) & (x <= 1),
            "bernoulli",
            "a Bernoulli likelihood takes values between 0 and 1",
            "Divide by the largest value, or use likelihood='gaussian'.",
        )


class ContinuousBernoulli(Likelihood):
    """A density on [0, 1] with the Bernoulli's form (Loaiza-Ganem & Cunningham 2019)."""

    support = "unit"

    def forward(self, raw: Tensor) -> Distribution:
        return dist.ContinuousBernoulli(logits=raw[..., 0], validate_args=False)

    def raw_target(self, x: Tensor) -> Tensor:
        return _logit_target(x)

    def check(self, x: Tensor) -> None:
        _check(
            x,
            (x >= 0) & (x <= 1),
            "continuous_bernoulli",
            "a continuous Bernoulli likelihood takes values between 0 and 1",
            "Divide by the largest value, or use likelihood='gaussian'.",
        )


class Categorical(Likelihood):
    """p(x = c|z) = softmax(raw)_c for integer codes c = 0 … C−1; E[x|z] is the most probable c."""

    support = "category"

    def __init__(self, n_categories: int) -> None:
        super().__init__()
        if n_categories < 2:
            raise InvalidParameterError(f"n_categories={n_categories}", "must be at least 2")
        self.n_raw = n_categories

    def forward(self, raw: Tensor) -> Distribution:
        return dist.Categorical(logits=raw, validate_args=False)

    def expectation(self, p: Distribution) -> Tensor:
        return p.mode.to(torch.get_default_dtype())

    def raw_target(self, x: Tensor) -> Tensor:
        one_hot = nn.functional.one_hot(x.nan_to_num(0).long(), self.n_raw).to(x.dtype)
        return (one_hot + SMOOTHING).log()

    def check(self, x: Tensor) -> None:
        _check(
            x,
            (x >= 0) & (x < self.n_raw) & (x == x.round()),
            "categorical",
            f"it takes whole numbers from 0 to {self.n_raw - 1}",
            "Encode the categories as 0, 1, 2, … .",
        )


def _check_count(x: Tensor, name: str) -> None:
    _check(
        x,
        (x >= 0) & (x == x.round()) & x.isfinite(),
        name,
        "a likelihood of counts takes whole numbers of at least 0",
        "Use likelihood='gaussian' for other values.",
    )


class Poisson(Likelihood):
    """p(x|z) = e^{−μ} μ^x / x!, μ = exp(raw)."""

    support = "count"

    def forward(self, raw: Tensor) -> Distribution:
        return dist.Poisson(raw[..., 0].clamp(*LOG_MEAN_RANGE).exp(), validate_args=False)

    def raw_target(self, x: Tensor) -> Tensor:
        return (x + 0.5).log().unsqueeze(-1)

    def check(self, x: Tensor) -> None:
        _check_count(x, "poisson")


class NegativeBinomial(Likelihood):
    """Mean μ = exp(raw), variance μ + μ²/r with r learned per feature; r → ∞ is the Poisson."""

    support = "count"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(shape))

    def forward(self, raw: Tensor) -> Distribution:
        log_r = (GAIN * self.theta).clamp(-10.0, 10.0)
        log_mean = raw[..., 0].clamp(*LOG_MEAN_RANGE)
        return dist.NegativeBinomial(
            log_r.exp().expand_as(log_mean), logits=log_mean - log_r, validate_args=False
        )

    def raw_target(self, x: Tensor) -> Tensor:
        return (x + 0.5).log().unsqueeze(-1)

    def check(self, x: Tensor) -> None:
        _check_count(x, "negative_binomial")


LIKELIHOODS = (
    "gaussian",
    "gaussian_fixed",
    "gaussian_feature",
    "gaussian_sample",
    "laplace",
    "bernoulli",
    "continuous_bernoulli",
    "categorical",
    "poisson",
    "negative_binomial",
)


def likelihood(name: str, shape: tuple[int, ...], n_categories: int = 2) -> Likelihood:
    """The likelihood of that name (the table above) for features of that shape.

    Args:
        name: one of :data:`LIKELIHOODS`.
        shape: feature shape.
        n_categories: C, for "categorical" only.

    Raises:
        InvalidParameterError: unknown name.

    >>> likelihood("poisson", (3,))(torch.zeros(2, 3, 1)).mean
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    match name:
        case "gaussian":
            return Gaussian("shared")
        case "gaussian_fixed":
            return Gaussian("fixed")
        case "gaussian_feature":
            return Gaussian("feature", shape)
        case "gaussian_sample":
            return Gaussian("sample")
        case "laplace":
            return Laplace("shared")
        case "bernoulli":
            return Bernoulli()
        case "continuous_bernoulli":
            return ContinuousBernoulli()
        case "categorical":
            return Categorical(n_categories)
        case "poisson":
            return Poisson()
        case "negative_binomial":
            return NegativeBinomial(shape)
    raise InvalidParameterError(f"likelihood={name!r}", f"must be one of {', '.join(LIKELIHOODS)}")
