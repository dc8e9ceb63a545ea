"""Densities whose scale keeps its shape: figures and gradients are those of torch and SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor, distributions

from isthmus.core import densities

PAIRS = [
    (densities.Normal, distributions.Normal, stats.norm),
    (densities.Laplace, distributions.Laplace, stats.laplace),
]
SHAPES = [(), (3,), (4, 3), (2, 4, 3)]


def _given(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    loc = torch.randn(2, 4, 3, generator=g, dtype=torch.float64, requires_grad=True)
    scale = (torch.rand(shape, generator=g, dtype=torch.float64) + 0.01).requires_grad_()
    return loc, scale, 3 * torch.randn(2, 4, 3, generator=g, dtype=torch.float64)


@pytest.mark.parametrize(("ours", "torchs", "scipys"), PAIRS)
@pytest.mark.parametrize("shape", SHAPES)
def test_log_density_and_gradients_are_those_of_torch_and_scipy(
    ours: type, torchs: type, scipys: stats.rv_continuous, shape: tuple[int, ...]
) -> None:
    loc, scale, x = _given(shape)
    found, wanted = ours(loc, scale).log_prob(x), torchs(loc, scale).log_prob(x)
    torch.testing.assert_close(found, wanted)
    known = scipys.logpdf(x.numpy(), loc.detach().numpy(), scale.detach().numpy())
    torch.testing.assert_close(found.detach(), torch.from_numpy(known))
    for a, b in zip(
        torch.autograd.grad(found.sum(), [loc, scale]),
        torch.autograd.grad(wanted.sum(), [loc, scale]),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("ours", "torchs", "scipys"), PAIRS)
def test_an_expanded_one_is_the_same_density(
    ours: type, torchs: type, scipys: stats.rv_continuous
) -> None:
    loc, scale, x = _given((3,))
    wide = ours(loc, scale).expand(torch.Size([5, 2, 4, 3]))
    assert wide.batch_shape == (5, 2, 4, 3)
    assert wide.sample().shape == wide.mean.shape == (5, 2, 4, 3)
    torch.testing.assert_close(wide.log_prob(x), ours(loc, scale).log_prob(x).expand(5, 2, 4, 3))
