"""Before the first step the autoencoder is the best linear one of its kind, PCA above all.

One mechanism serves every head. The linear path of the encoder becomes the closed-form linear
posterior z|x of :mod:`isthmus.core.pca`: whitened principal components for a Delta encoder,
the posterior of probabilistic PCA for a Gaussian one. The linear path of the decoder becomes
the least-squares regression of the likelihood's ``raw_target`` (the link function of the data)
on the codes,

    W = Cov(t, m) (Cov(m) + diag(v))⁻¹ ,   m = E[z|x],  v = Var[z|x].

For Gaussian noise of deviation s on the input, s² times the squared size of each row of the
encoder's path is added to v, which makes the start the best linear denoiser.

For a Gaussian likelihood the target is x itself, and W is exactly that of PCA (v = 0) or of
probabilistic PCA (v = σ²Λ⁻¹). For other likelihoods this is *not* an optimum of the loss:
it is the regression in the space of the link, a start at which the data's mean is right and the
principal axes are used. A free scale starts at its optimum for these rows.

Networks without a linear path are left as they are.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import MIN_SCALE, Likelihood, LocationScale
from isthmus.core.penalties import KL
from isthmus.core.posteriors import LOG_VARIANCE_RANGE

_CHUNK = 8192
_MARGIN = 1e-5
_DEVIATIONS = 4.0


@runtime_checkable
class HasLinearPath(Protocol):
    """A network whose output is ``linear(view(x))`` plus something that starts at zero."""

    @property
    def linear(self) -> nn.Linear | None:
        """The path, or None when the network was built without one."""

    @property
    def box(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest input that the non-linear part tells apart, each (D',)."""

    def set_constants(
        self, low: Tensor | None = None, high: Tensor | None = None, gain: float | None = None
    ) -> None:
        """Set the box of the training rows and the size of what the path leaves over."""


def has_view(net: nn.Module) -> bool:
    """Whether the network sees something else than the rows."""
    return getattr(net, "view", None) is not None


def view(net: nn.Module, x: Tensor) -> Tensor:
    """What the linear path of that network sees of (N, *F), flat: (N, D').

    Indicators of missing entries are 0 here: which entries are missing is no part of the data whose
    principal axes are wanted.
    """
    look = getattr(net, "view", None)
    seen: Tensor = (x if look is None else look(x)).flatten(1)
    n = getattr(look, "n_indicators", 0)
    return torch.cat([seen[:, :-n], torch.zeros_like(seen[:, -n:])], 1) if n else seen


@torch.no_grad()
def linear_start(
    autoencoder: Autoencoder,
    x: Tensor,
    mask: Tensor | None = None,
    known: pca.Spectrum | None = None,
) -> pca.Spectrum | None:
    """Set the linear paths from the rows x (N, *F), a missing entry at its stand-in.

    Args:
        autoencoder: built and prepared, not yet trained.
        x: training rows, or a sample of them.
        mask: (N, *F) bool, where entries are there; only for an encoder that sees which are.
        known: spectrum of all training rows, of at least K axes, where x is a sample; it is used
            where the encoder sees the rows as they are.

    Returns:
        The spectrum of what the encoder sees, or None if there is no linear path to set.
    """
    net, out = autoencoder.encoder.net, autoencoder.decoder.net
    if not (isinstance(net, HasLinearPath) and isinstance(out, HasLinearPath)):
        return None
    if net.linear is None or out.linear is None:
        return None
    if mask is not None and autoencoder.sees_missing:
        x = x.masked_fill(~mask, math.nan)
    seen = view(net, x)
    n_components = autoencoder.n_components
    spectrum = (
        pca.spectrum(seen, n_components)
        if known is None or has_view(net)
        else known.first(n_components)
    )
    posterior = _posterior(autoencoder, spectrum)
    _set(net.linear, posterior.weight, -posterior.weight @ spectrum.mean)
    if not autoencoder.deterministic:
        net.linear.bias[n_components:] = posterior.variance.log().clamp(*LOG_VARIANCE_RANGE)

    m = torch.cat(
        [(c.double() - spectrum.mean) @ posterior.weight.T for c in torch.split(seen, _CHUNK)]
    )
    head = autoencoder.likelihood
    # Gaussian noise of deviation s on the input moves the codes by s²·diag(WWᵀ), W's rows being
    # orthogonal: with it the start is the best linear denoiser U diag(λ/(λ+s²)) Uᵀ, not PCA
    level = autoencoder.corruption.reach
    variance = posterior.variance + level**2 * posterior.weight.square().sum(1)
    if known is None or has_view(net) or head.support != "real":
        weight, bias = _regress(head, x, m, variance)
    else:
        weight, bias = _regress_known(head, spectrum, posterior.weight, variance)
    _set(out.linear, weight, bias)
    residual = _mean_residual(autoencoder, x, m, variance, weight)
    head.calibrate(residual)
    set_box(autoencoder, x)
    if head.power:
        rms = _gain(head, residual)
        out.set_constants(gain=max(rms, MIN_SCALE))
    return spectrum


def has_linear_paths(autoencoder: Autoencoder) -> bool:
    """Whether both networks have a linear path to start at."""
    nets = (autoencoder.encoder.net, autoencoder.decoder.net)
    return all(isinstance(net, HasLinearPath) and net.linear is not None for net in nets)


@torch.no_grad()
def set_box(
    autoencoder: Autoencoder,
    x: Tensor,
    *,
    widen: bool = False,
    known: tuple[Tensor, Tensor] | None = None,
) -> None:
    """Set the box outside of which the encoder's non-linear part stays as it is at the border.

    Args:
        autoencoder: one whose encoder has a linear path; others are left as they are.
        x: (N, *F) training rows.
        widen: whether the box grows to take in these rows, instead of being theirs.
        known: lowest and highest of all training rows, each (D,), where x is a sample.
    """
    net = autoencoder.encoder.net
    if not isinstance(net, HasLinearPath) or net.linear is None:
        return
    seen = view(net, x)
    low, high = seen.amin(0), seen.amax(0)
    if known is not None and not has_view(net):
        low, high = torch.minimum(low, known[0]), torch.maximum(high, known[1])
    n = getattr(getattr(net, "view", None), "n_indicators", 0)
    if n:
        high[-n:] = 1.0
    # Values often lie on the border (black pixels): neither rounding nor noise may be cut there.
    noise = math.hypot(autoencoder.corruption.reach, float(autoencoder.jitter))
    margin = _MARGIN * (1 + high - low) + _DEVIATIONS * noise
    low, high = low - margin, high + margin
    if widen:
        before = net.box
        low, high = torch.minimum(low, before[0]), torch.maximum(high, before[1])
    net.set_constants(low=low, high=high)


def _posterior(autoencoder: Autoencoder, spectrum: pca.Spectrum) -> pca.LinearPosterior:
    if autoencoder.deterministic:
        return pca.linear_delta(spectrum, autoencoder.n_components)
    beta = next((p.beta for p in autoencoder.active_penalties if isinstance(p, KL)), 1.0)
    head = autoencoder.likelihood
    fixed = None
    if isinstance(head, LocationScale) and head.kind == "fixed":
        fixed = float(head.log_value.exp()) ** 2
    elif pca.linear_noise(spectrum, autoencoder.n_components, beta)[0] < MIN_SCALE**2:
        fixed = MIN_SCALE**2  # where a free scale of noiseless data stops
    return pca.linear_gaussian(spectrum, autoencoder.n_components, beta, fixed)


def _regress(head: Likelihood, x: Tensor, m: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (n_raw·D, K) and bias of the regression of raw targets on codes, float64."""
    n = x.shape[0]
    gram = m.T @ m / n + torch.diag(variance)
    cross: Tensor | float = 0.0
    mean: Tensor | float = 0.0
    for rows, codes in zip(torch.split(x, _CHUNK), torch.split(m, _CHUNK), strict=True):
        target = head.flat_target(rows).double()
        cross = cross + target.T @ codes / n
        mean = mean + target.sum(0) / n
    assert isinstance(cross, Tensor)  # noqa: S101
    assert isinstance(mean, Tensor)  # noqa: S101
    # m has mean 0, so the cross moment is the covariance; latents that are always 0 get weight 0
    return cross @ torch.linalg.pinv(gram, hermitian=True), mean


def _regress_known(
    head: Likelihood, s: pca.Spectrum, encoder: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for targets that are the rows themselves, from their spectrum alone."""
    on_axes = encoder @ s.axes.T
    cross = (on_axes * s.eigenvalues) @ s.axes
    gram = (on_axes * s.eigenvalues) @ on_axes.T + torch.diag(variance)
    weight = s.axes.new_zeros(head.n_raw * s.axes.shape[1], encoder.shape[0])
    weight[: s.axes.shape[1]] = cross.T @ torch.linalg.pinv(gram, hermitian=True)
    bias = weight.new_zeros(len(weight))
    bias[: len(s.mean)] = s.mean
    return weight, bias


def _mean_residual(
    autoencoder: Autoencoder, x: Tensor, m: Tensor, variance: Tensor, weight: Tensor
) -> Tensor:
    """E|x − E[x|z]|^power per feature, (*F,), exact for power 2 (Gaussian), at E[z] otherwise."""
    head = autoencoder.likelihood
    if head.power == 0:
        return torch.zeros(())
    total = torch.zeros(x.shape[1:], dtype=torch.float64, device=x.device)
    there = (~x.isnan()).sum(0).clamp(min=1) if autoencoder.sees_missing else x.shape[0]
    for rows, codes in zip(torch.split(x, _CHUNK), torch.split(m, _CHUNK), strict=True):
        centre = head.expectation(autoencoder.decode(codes.to(rows.dtype)))
        residual = (rows - centre).abs().double().pow(head.power)
        # in place: a new sum beside each chunk's tensors leaves holes that are not filled again
        total += (residual.nan_to_num(0.0) if rows.isnan().any() else residual).sum(0) / there
    if head.power == 2 and head.support == "real":
        spread = (weight.square() @ variance)[: total.numel()]
        total = total + spread.view_as(total)
    return total


def _gain(head: Likelihood, residual: Tensor) -> float:
    """Root mean residual of what the linear path leaves over; 1 beside raw outputs of codes."""
    if head.support == "mixed":
        return 1.0
    mean = float(residual.clamp(min=0).mean())
    return math.pow(mean, 1 / head.power)


def _set(linear: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    linear.weight.zero_()
    linear.bias.zero_()
    linear.weight[: weight.shape[0]] = weight.to(linear.weight.dtype)
    linear.bias[: bias.shape[0]] = bias.to(linear.bias.dtype)
