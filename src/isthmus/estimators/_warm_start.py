"""Where a larger autoencoder of a sweep begins: at the smaller one, or at a sheet unrolled.

*Grown*: the K latents of the trained model keep their weights. A new one is the direction of the
input that predicts most of what is left over, s = wᵀ(x − μ) of unit variance with residual
regression a = Cov(r, s). With γ = ‖a‖²/σ² the best linear use of it is in closed form

    E[z] = c s,   Var[z] = 1/γ,   decoder's column c a,   c² = 1 − 1/γ      if γ > 1, else unused

at a gain of ½(γ − 1 − ln γ) nats a row. From probabilistic PCA of k components it leads to that of
k + 1. New columns and rows of the networks are 0, so that before the first step the larger model is
not worse than the smaller one on the training rows.

*Unrolled*: descent on the error seldom unrolls a curved sheet; it tears it. Isomap (Tenenbaum et
al. 2000) finds the coordinates on the sheet, for some rows; of several graphs the one that tears it
least is taken. Encoder and decoder are first fitted to those coordinates, apart from each other,
which is ordinary regression.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LocationScale
from isthmus.core.linear_start import HasLinearPath, view
from isthmus.data.batches import TensorBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.random import Seeds, fork

Array = NDArray[Any]
_MOST_AXES = 256
_DRAWS = 8
# Too few neighbours leave holes in the graph on the sheet, too many make short cuts through the gap
# of a roll. The rows are limited because the cost is cubic.
NEIGHBOURS = (4, 5, 6, 8)
MOST_ROWS = 1000
# Of each regression. A sheet is curved everywhere, so that no early step is best: few steps need a
# high rate.
SHEET_STEPS, SHEET_RATE = 400, 7e-3


@torch.no_grad()
def grow(small: Autoencoder, large: Autoencoder, x: Tensor, mask: Tensor | None = None) -> bool:
    """Make ``large`` the model ``small`` with more latents.

    Args:
        small: trained, K latents, variational.
        large: of the same architecture with K' > K latents; it is overwritten.
        x: (N, D) scaled training rows.
        mask: (N, D) bool, the entries that are there.

    Returns:
        Whether it could: the likelihood must be Gaussian with a scale that is not the network's,
        and the networks must have linear paths.
    """
    head, net, out = small.likelihood, large.encoder.net, large.decoder.net
    if not isinstance(head, LocationScale) or head.power != 2 or head.kind == "sample":
        return False
    if not (isinstance(net, HasLinearPath) and isinstance(out, HasLinearPath)):
        return False
    if net.linear is None or out.linear is None:
        return False
    k, extra = small.n_components, large.n_components - small.n_components
    _pad(small.encoder.net, net, k, large.n_components, outputs=True)
    _pad(small.decoder.net, out, k, large.n_components, outputs=False)
    large.likelihood.load_state_dict(head.state_dict())
    sigma = head.scale(x.new_zeros(1)).double()

    seen = view(net, x).double()
    s = pca.spectrum(seen, max(1, min(_MOST_AXES, seen.shape[1], len(seen) // 4)))
    used = s.eigenvalues > 1e-9 * s.eigenvalues[0].clamp(min=1e-30)
    whiten = s.axes[used] / s.eigenvalues[used].sqrt()[:, None]
    t = (seen - s.mean) @ whiten.T
    residual = _residual(small, x, mask) / sigma
    out.linear.bias.add_((residual.mean(0) * sigma).to(x.dtype))
    left, strength, right = torch.linalg.svd(residual.T @ t / len(x), full_matrices=False)
    gamma = strength[:extra].square()
    for j in range(int((gamma > 1).sum())):
        c = (1 - 1 / gamma[j]).sqrt()
        w = c * right[j] @ whiten
        row, spread = k + j, large.n_components + k + j
        net.linear.weight[row] = w.to(x.dtype)
        net.linear.bias[row] = -(w @ s.mean).to(x.dtype)
        net.linear.bias[spread] = -gamma[j].log().to(x.dtype)
        out.linear.weight[:, row] = (c * sigma * strength[j] * left[:, j]).to(x.dtype)
    return True


@torch.no_grad()
def take_mean(module: Autoencoder, plain: Autoencoder) -> None:
    """Give a deterministic autoencoder the means E[z|x] of a variational one as its code."""
    have = module.encoder.net.state_dict()
    for name, target in plain.encoder.net.state_dict().items():
        target.copy_(have[name][: len(target)] if target.ndim else have[name])
    plain.decoder.load_state_dict(module.decoder.state_dict())


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


def _residual(module: Autoencoder, x: Tensor, mask: Tensor | None) -> Tensor:
    """x − E_q[E[x|z]], (N, D), float64; 0 where an entry is missing."""
    with fork(0):
        trace = module.trace(x, mask, n_draws=_DRAWS, corrupt=False)
    residual = (x - module.likelihood.expectation(trace.p).mean(0)).double()
    return residual if mask is None else residual * mask


def unroll(module: Autoencoder, x: Tensor, plan: Plan, seeds: Seeds) -> None:
    """Set a Gaussian autoencoder to the coordinates of the sheet on which its rows lie.

    Args:
        module: built and at its linear start, with linear paths; it is overwritten.
        x: (N, D) scaled training rows, at least 20.
        plan: of each of the two regressions.
        seeds: of the rows that are drawn and their order.
    """
    net, out = module.encoder.net, module.decoder.net
    assert isinstance(net, HasLinearPath) and isinstance(out, HasLinearPath)  # noqa: PT018, S101
    assert net.linear is not None and out.linear is not None  # noqa: PT018, S101
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seeds.order))
    x = x[rows[:MOST_ROWS]]
    k = module.n_components
    code = torch.from_numpy(_isomap(x.cpu().double().numpy(), k)).to(x)
    _regress(net.linear, view(net, x), code, k)
    _regress(out.linear, code, x, x.shape[1])
    with torch.no_grad():
        for part, given, wanted in ((net, x, code), (out, code, x)):
            left = part(given)[:, : wanted.shape[1]] - wanted
            part.set_constants(gain=max(float(left.square().mean().sqrt()), 1e-3))
    training = Training(_Lesson(module), plan)
    with fork(seeds.noise):
        for _ in training.rounds(TensorBatches(x, code), seeds.order):
            pass
    lesson = training.kept
    assert isinstance(lesson, _Lesson)  # noqa: S101
    module.load_state_dict(lesson.module.state_dict())
    _set_spread(module, x, k)


def _isomap(x: Array, k: int) -> Array:
    """Coordinates of unit variance, (N, K): of the graphs tried, of that which tears the least.

    Where a sheet is torn or folded, neighbours in the code are none on the sheet, and the mean of
    the neighbours' rows misses the row.
    """
    from sklearn.manifold import Isomap
    from sklearn.neighbors import NearestNeighbors

    codes = []
    for neighbours in NEIGHBOURS:
        with warnings.catch_warnings():  # parts of the graph that are apart are joined
            warnings.simplefilter("ignore")
            found = Isomap(n_neighbors=neighbours, n_components=k).fit_transform(x)
        code = found / np.maximum(found.std(0), 1e-12)
        # without an argument, of every row among the others
        near = NearestNeighbors(n_neighbors=5).fit(code).kneighbors(return_distance=False)
        codes.append((float(np.square(x - x[near].mean(1)).sum()), code))
    best: Array = min(codes, key=lambda pair: pair[0])[1]
    return best


class _Lesson(nn.Module):
    """Two regressions: of the code on the rows, and of the rows on the code."""

    def __init__(self, module: Autoencoder) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, code: Tensor) -> dict[str, Tensor]:
        decoded = self.module.likelihood.expectation(self.module.decode(code))
        return {
            "code": (self.module.encode(x).mean - code).square().sum(1),
            "rows": (decoded - x).square().sum(1),
        }


@torch.no_grad()
def _regress(linear: nn.Linear, given: Tensor, wanted: Tensor, n: int) -> None:
    ones = torch.cat([given, torch.ones_like(given[:, :1])], 1).double()
    fit = (torch.linalg.pinv(ones) @ wanted.double()).to(given.dtype)
    linear.weight[:n], linear.bias[:n] = fit[:-1].T, fit[-1]


@torch.no_grad()
def _set_spread(module: Autoencoder, x: Tensor, k: int) -> None:
    """σ from what is left over, Var[z_j] = 1 / (1 + E‖∂x̂/∂z_j‖²/σ²), where the bound is highest."""
    head, step = module.likelihood, 0.05
    assert isinstance(head, LocationScale)  # noqa: S101
    code = module.encode(x).mean
    centre = head.expectation(module.decode(code))
    head.calibrate((centre - x).abs().pow(head.power).mean(0))
    sigma = head.scale(x.new_zeros(1))
    linear = module.encoder.net.linear
    assert isinstance(linear, nn.Linear)  # noqa: S101
    linear.weight[k:] = 0.0
    for j in range(k):
        moved = code.clone()
        moved[:, j] += step
        slope = (head.expectation(module.decode(moved)) - centre) / (step * sigma)
        linear.bias[k + j] = -torch.log1p(slope.square().sum(1).mean())
