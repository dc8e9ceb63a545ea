"""Encoders' heads and the prior: closed forms against NumPy and against Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import kl_divergence

from core_examples import rows, small
from isthmus.core.conditional import Conditional
from isthmus.core.penalties import kl_per_latent
from isthmus.core.posteriors import LOG_VARIANCE_RANGE, Delta, DiagonalGaussian
from isthmus.core.priors import StandardNormal
from isthmus.random import fork

HEADS = [Delta(), DiagonalGaussian()]
NAMES = ["delta", "gaussian"]


@pytest.mark.parametrize("head", HEADS, ids=NAMES)
@pytest.mark.parametrize("draws", [(), (1,), (5,), (2, 3)])
def test_draws_come_in_front(head: Delta | DiagonalGaussian, draws: tuple[int, ...]) -> None:
    q = head(torch.randn(7, 4, head.n_raw))
    assert q.batch_shape == (7, 4)
    assert q.rsample(draws).shape == (*draws, 7, 4)
    assert q.sample(draws).shape == (*draws, 7, 4)


@pytest.mark.parametrize("head", HEADS, ids=NAMES)
def test_the_mean_is_the_first_raw_output(head: Delta | DiagonalGaussian) -> None:
    flat = torch.randn(6, head.n_raw * 3)
    assert torch.equal(head.distribution(flat, (3,)).mean, flat[:, :3])


@pytest.mark.parametrize("head", HEADS, ids=NAMES)
def test_draws_carry_the_gradient(head: Delta | DiagonalGaussian) -> None:
    raw = torch.randn(5, 3, head.n_raw, requires_grad=True)
    head(raw).rsample((2,)).square().sum().backward()
    assert raw.grad is not None
    assert (raw.grad != 0).all()


def test_a_delta_is_one_point() -> None:
    raw = torch.randn(6, 3, 1)
    q = Delta()(raw)
    assert (q.variance == 0).all()
    assert torch.equal(q.sample((4,)), raw[..., 0].expand(4, -1, -1))
    with pytest.raises(NotImplementedError):
        q.log_prob(raw[..., 0])


def test_a_gaussian_has_the_second_raw_output_as_its_log_variance() -> None:
    raw = torch.randn(6, 3, 2, dtype=torch.float64)
    torch.testing.assert_close(DiagonalGaussian()(raw).variance, raw[..., 1].exp())


@pytest.mark.parametrize("size", [-math.inf, -1e6, 1e6])
def test_its_variance_stays_inside_its_range(size: float) -> None:
    raw = torch.zeros(1, 1, 2)
    raw[..., 1] = size
    variance = float(DiagonalGaussian()(raw).variance)
    low, high = (math.exp(v) for v in LOG_VARIANCE_RANGE)
    assert variance == pytest.approx(low if size < 0 else high, rel=1e-5)


@pytest.mark.parametrize("head", HEADS, ids=NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_codes_are_never_below_float32(head: Delta | DiagonalGaussian, dtype: torch.dtype) -> None:
    conditional = Conditional(nn.Linear(4, 3 * head.n_raw).to(dtype), head, (3,))
    q = conditional(torch.randn(5, 4, dtype=dtype))
    assert q.mean.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_the_divergence_from_the_prior_is_the_closed_form() -> None:
    model = small(beta=1.0)
    trace = model.trace(rows(40, 4))
    m, v = trace.q.mean.detach().numpy(), trace.q.variance.detach().numpy()
    kl = kl_per_latent(trace).detach().numpy()
    # identity 9
    np.testing.assert_allclose(kl, 0.5 * (m**2 + v - 1 - np.log(v)), rtol=1e-12, atol=1e-12)
    assert (kl >= 0).all()


def test_the_divergence_from_the_prior_is_its_monte_carlo_mean() -> None:
    raw = torch.randn(4, 3, 2, dtype=torch.float64)
    q, p = DiagonalGaussian()(raw), StandardNormal(3).double()()
    with fork(0):
        z = q.sample((40_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - kl_divergence(q, p)).abs() < 5 * error).all()


def test_the_divergence_of_the_prior_from_itself_is_0() -> None:
    raw = torch.zeros(4, 3, 2)
    assert (kl_divergence(DiagonalGaussian()(raw), StandardNormal(3)()) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_prior_follows_its_model(dtype: torch.dtype) -> None:
    model = small(beta=1.0).to(dtype)
    assert model.prior is not None
    p = model.prior()
    assert p.batch_shape == (2,)
    assert p.mean.dtype == dtype
    assert (p.mean == 0).all()
    assert (p.variance == 1).all()
    assert model.to("meta").prior().mean.device.type == "meta"


def test_the_prior_has_no_parameters_and_no_place_in_a_file() -> None:
    assert StandardNormal(3).state_dict() == {}
    assert list(StandardNormal(3).parameters()) == []
