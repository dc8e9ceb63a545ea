"""Starts of a sweep that are not PCA: a sheet unrolled, and a code taken from another model.

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

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LocationScale
from isthmus.core.linear_start import HasLinearPath, view
from isthmus.data.batches import TensorBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.random import Seeds, fork

Array = NDArray[Any]
# Too few neighbours leave holes in the graph on the sheet, too many make short cuts through the gap
# of a roll. The rows are limited because the cost is cubic.
NEIGHBOURS = (4, 5, 6, 8)
MOST_ROWS = 1000
# Of each regression. A sheet is curved everywhere, so that no early step is best: few steps need a
# high rate.
SHEET_STEPS, SHEET_RATE = 400, 7e-3


@torch.no_grad()
def take_mean(module: Autoencoder, plain: Autoencoder) -> None:
    """Give a deterministic autoencoder the means E[z|x] of a variational one as its code."""
    have = module.encoder.net.state_dict()
    for name, target in plain.encoder.net.state_dict().items():
        target.copy_(have[name][: len(target)] if target.ndim else have[name])
    plain.decoder.load_state_dict(module.decoder.state_dict())


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
