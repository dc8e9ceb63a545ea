"""Autoencoders of other sizes made of a trained one: larger, smaller, and one that has no code.

The K latents of the trained model keep their weights. A new one is the direction of the input that
predicts most of what is left over. *Left over* is the score g of the decoder's raw outputs η in
units of its deviation,

    u = V^½ g,     g = ∂ log p(x|z) / ∂η,     V⁻¹ = E[g gᵀ] of the raw outputs of each entry,

for a Gaussian head (x − x̂)/σ with V = σ², for a probability (x − p)/√(p(1 − p)). Of the input's
directions s = wᵀ(x − μ) of unit variance the best has the largest regression a = Cov(u, s). With
γ = ‖a‖² the best linear use of it is in closed form, to the second order of log p in η,

    E[z] = c s,   Var[z] = 1/γ,   decoder's column c V^½ a,   c² = 1 − 1/γ     if γ > 1, else unused

at a gain of ½(γ − 1 − ln γ) nats a row, exact for a Gaussian head: from probabilistic PCA of k
components it leads to that of k + 1. New columns and rows of the networks are 0, so that before the
first step the larger model is about as good as the smaller one on the training rows.

*A part* is the model with the latents that say least left out, at their prior mean 0
(:func:`shrink`): how many of its latents a model uses is asked of its likelihood, not of their
spread.

*No code* is the model of independent columns (:func:`silence`): what begins there is K new latents.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LocationScale
from isthmus.core.linear_start import HasLinearPath, view
from isthmus.data.batches import TensorBatches
from isthmus.random import fork

_MOST_AXES = 256
_DRAWS = 8
# Rows of which scores are taken, fewer where they have many raw outputs: 64 MiB.
MOST_SCORED, _LEAST_SCORED = 2048, 64
_VALUES = 1 << 23
_ToRaw = Callable[[Tensor], Tensor]
# A code that is nearly certain says little of how it moves: its raw output is not moved by more.
_LEAST_INFORMATION = 0.1


@torch.no_grad()
def grow(
    small: Autoencoder,
    large: Autoencoder,
    x: Tensor,
    mask: Tensor | None = None,
    kept: int | None = None,
    *,
    add: bool = True,
) -> bool:
    """Make ``large`` the model ``small`` with more latents.

    Args:
        small: trained, K latents, variational.
        large: of the same architecture with K' > K latents, at its linear start; it is overwritten.
        x: (N, D) scaled training rows.
        mask: (N, D) bool, the entries that are there.
        kept: how many latents are kept, the first ones; all by default, none of a silent model.
        add: whether the new latents are used where that should help; else they say nothing.

    Returns:
        Whether it could: the networks must have linear paths.
    """
    net, out = large.encoder.net, large.decoder.net
    if not (isinstance(net, HasLinearPath) and isinstance(out, HasLinearPath)):
        return False
    if net.linear is None or out.linear is None:
        return False
    k = small.n_components if kept is None else kept
    if k:
        _pad(small.encoder.net, net, k, large.n_components, outputs=True)
        _pad(small.decoder.net, out, k, large.n_components, outputs=False)
    else:
        for linear in (net.linear, out.linear):
            linear.weight.zero_()
        net.linear.bias.zero_()
        out.linear.bias.copy_(small.decoder.net.linear.bias)  # type: ignore[union-attr, arg-type]
    large.likelihood.load_state_dict(small.likelihood.state_dict())
    if not add:
        return True

    gaussian = is_gaussian(small)
    most = min(MOST_SCORED, max(_LEAST_SCORED, _VALUES // large.decoder.n_outputs))
    if not gaussian and len(x) > most:
        some = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:most]
        x, mask = x[some], None if mask is None else mask[some]
    given = x if mask is None or not large.sees_missing else x.masked_fill(~mask, math.nan)
    seen = view(net, given).double()
    s = pca.spectrum(seen, max(1, min(_MOST_AXES, seen.shape[1], len(seen) // 4)))
    used = s.eigenvalues > 1e-9 * s.eigenvalues[0].clamp(min=1e-30)
    whiten = s.axes[used] / s.eigenvalues[used].sqrt()[:, None]
    t = (seen - s.mean) @ whiten.T
    left_over, to_raw = (
        _residual(small, x, mask)
        if gaussian
        else _scores(small, x, mask, max(1, min(_DRAWS, most // len(x))))
    )
    out.linear.bias.add_(to_raw(left_over.mean(0)).to(x.dtype))
    left, strength, right = torch.linalg.svd(left_over.T @ t / len(x), full_matrices=False)
    gamma = strength[: large.n_components - k].square()
    for j in range(int((gamma > 1).sum())):
        c = (1 - 1 / gamma[j]).sqrt()
        w = c * right[j] @ whiten
        row, spread = k + j, large.n_components + k + j
        net.linear.weight[row] = w.to(x.dtype)
        net.linear.bias[row] = -(w @ s.mean).to(x.dtype)
        net.linear.bias[spread] = -gamma[j].log().to(x.dtype)
        out.linear.weight[:, row] = to_raw(c * strength[j] * left[:, j]).to(x.dtype)
    return True


@torch.no_grad()
def shrink(large: Autoencoder, small: Autoencoder, rows: TensorBatches) -> None:
    """Make ``small`` the model ``large`` without the latents that say least of the rows.

    A latent says KL(q(z_k|x) ‖ p(z_k)) nats of a row.

    Args:
        large: variational, K latents, with a prior.
        small: of the same architecture with k < K latents; it is overwritten.
        rows: scaled training rows.
    """
    assert large.prior is not None  # noqa: S101  (variational)
    rate = torch.zeros(large.n_components, dtype=torch.float64)
    for x, *mask in rows.batches(MOST_SCORED):
        rate += kl_divergence(large.encode(x, *mask), large.prior()).double().sum(0).cpu()
    latents = rate.argsort(descending=True, stable=True)[: small.n_components].sort().values
    both = torch.cat([latents, latents + large.n_components])  # means, then log-variances
    for part, whole, of_code in (
        (small.encoder.net, large.encoder.net, False),
        (small.decoder.net, large.decoder.net, True),
    ):
        have = whole.state_dict()
        for name, target in part.state_dict().items():
            value = have[name]
            if value.shape != target.shape:
                value = value[..., latents] if of_code else value[both]
            target.copy_(value)
    small.likelihood.load_state_dict(large.likelihood.state_dict())


@torch.no_grad()
def silence(module: Autoencoder, rows: TensorBatches) -> None:
    """Make a model at its linear start one whose code says nothing: columns are independent.

    What is left to train is what each column is by itself.
    """
    net, out, head = module.encoder.net, module.decoder.net, module.likelihood
    for part in (net, out):
        assert isinstance(part, HasLinearPath)  # noqa: S101
        assert part.linear is not None  # noqa: S101
        part.linear.weight.zero_()
        part.requires_grad_(False)
    assert isinstance(net, HasLinearPath) and net.linear is not None  # noqa: PT018, S101
    assert isinstance(out, HasLinearPath) and out.linear is not None  # noqa: PT018, S101
    net.linear.bias.zero_()
    out.linear.bias.requires_grad_(True)
    p = module.decode(rows.x.new_zeros(1, module.n_components))
    squared = (rows.x - head.expectation(p)).square()
    there = torch.ones_like(squared) if rows.mask is None else rows.mask.to(squared.dtype)
    head.calibrate((squared * there).sum(0) / there.sum(0).clamp(min=1))


def _pad(small: nn.Module, large: nn.Module, k: int, larger: int, *, outputs: bool) -> None:
    """Copy the weights; those of new latents are 0, and the box leaves them free."""
    have = small.state_dict()
    for name, target in large.state_dict().items():
        value = have[name]
        if value.shape == target.shape:
            target.copy_(value)
        elif outputs:  # (2K, …): the means of all latents, then their log-variances
            target.zero_()
            for block in range(2):
                target[block * larger : block * larger + k] = value[block * k : (block + 1) * k]
        else:  # (…, K)
            if not name.endswith(("low", "high")):
                target.zero_()
            target[..., :k] = value


def is_gaussian(module: Autoencoder) -> bool:
    """Whether x̂ is the raw output and σ is not the network's."""
    head = module.likelihood
    return isinstance(head, LocationScale) and head.power == 2 and head.kind != "sample"


def _scores(
    module: Autoencoder, x: Tensor, mask: Tensor | None, n_draws: int
) -> tuple[Tensor, _ToRaw]:
    """u (N, W), a mean over q, 0 where an entry is missing; float64."""
    with fork(0):
        z = module.trace(x, mask, n_draws=n_draws, corrupt=False).z
    with torch.enable_grad():
        raw = module.decoder.raw(z, 2).detach().requires_grad_()
        nats = module.likelihood.distribution(raw, module.feature_shape).log_prob(x)
        (score,) = torch.autograd.grad((nats if mask is None else nats * mask).sum(), raw)
    g = score.double()
    to_raw = _roots(module, g.flatten(0, 1))
    return to_raw(g.mean(0)), to_raw


def _roots(module: Autoencoder, g: Tensor) -> _ToRaw:
    """Multiplication by V^½, from scores g (n, W): of the raw outputs of one entry together.

    One by one, the probabilities of a category that nothing predicts would seem to predict each
    other: their scores add up to 0.
    """
    features = math.prod(module.feature_shape)
    entry = module.likelihood.by_feature(torch.arange(features, device=g.device))
    entry = entry.repeat(g.shape[1] // len(entry))
    scale = g.square().mean(0).clamp(min=_LEAST_INFORMATION).rsqrt()
    blocks = []
    for name in torch.nonzero(entry.bincount() > 1).flatten():
        at = torch.nonzero(entry == name).flatten()
        values, vectors = torch.linalg.eigh(g[:, at].T @ g[:, at] / len(g))
        root = values.clamp(min=_LEAST_INFORMATION).rsqrt()
        blocks.append((at, (vectors * root) @ vectors.T))

    def times(rows: Tensor) -> Tensor:
        found = rows * scale
        for at, root in blocks:
            found[..., at] = rows[..., at] @ root
        return found

    return times


def _residual(module: Autoencoder, x: Tensor, mask: Tensor | None) -> tuple[Tensor, _ToRaw]:
    """The same of a Gaussian head, x − E_q[E[x|z]] over σ, of which no score need be taken."""
    with fork(0):
        trace = module.trace(x, mask, n_draws=_DRAWS, corrupt=False)
    sigma = module.likelihood.scale(x.new_zeros(1)).double()  # type: ignore[operator]
    residual = (x - module.likelihood.expectation(trace.p).mean(0)).double()
    residual = residual if mask is None else residual * mask
    return residual / sigma, lambda rows: rows * sigma
