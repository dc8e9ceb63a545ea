"""Objectives: the bounds against each other, against quadrature, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from core_examples import rows, small, supported, total
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import Gaussian
from isthmus.core.linear_start import linear_start
from isthmus.core.objectives import EvidenceBound, ImportanceBound, Objective, log_weights
from isthmus.core.penalties import kl_per_latent
from isthmus.errors import InvalidParameterError
from isthmus.presets import build
from isthmus.random import fork

LIKELIHOODS = ["gaussian", "bernoulli", "poisson"]
N, S = 6, 8192


def weights_of(model: Autoencoder, x: Tensor, n_draws: int = S) -> Tensor:
    with fork(0), torch.no_grad():
        return log_weights(model.trace(x, n_draws=n_draws))


def bounds(log_w: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """L_k of every sample, estimated from all draws in groups of k, and its standard error."""
    groups = log_w.view(-1, k, log_w.shape[1]).logsumexp(1) - math.log(k)
    return groups.mean(0), groups.std(0) / math.sqrt(len(groups))


@torch.no_grad()
def evidence_by_quadrature(model: Autoencoder, x: Tensor) -> Tensor:
    """log p(x) = log ∫ p(x|z) N(z; 0, I) dz over a grid of two latents, (N,)."""
    nodes = torch.linspace(-8, 8, 401, dtype=x.dtype)
    z = torch.cartesian_prod(nodes, nodes)
    log_prior = -0.5 * z.square().sum(1) - math.log(2 * math.pi)
    log_p = model.decoder(z[:, None], n_lead=2).log_prob(x).sum(-1)
    return (log_p + log_prior[:, None]).logsumexp(0) + 2 * math.log(nodes[1] - nodes[0])


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_bound_of_one_draw_is_the_elbo_in_expectation(name: str) -> None:
    model, x = small(beta=1.0, likelihood=name), supported(name, N, (4,))
    with fork(0), torch.no_grad():
        trace = model.trace(x, n_draws=S)
    elbo = trace.log_likelihood().mean(0) - kl_per_latent(trace).sum(1)
    log_w = log_weights(trace)
    # the same draws on both sides: only the divergence is estimated
    error = (log_w - trace.log_likelihood()).std(0) / math.sqrt(S)
    assert ((log_w.mean(0) - elbo).abs() < 5 * error).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_bound_rises_with_the_draws_and_ends_below_the_evidence(name: str) -> None:
    # identity 10: L_1 ≤ L_k ≤ L_2k ≤ log p(x)
    model, x = small(beta=1.0, likelihood=name), supported(name, N, (4,))
    log_w = weights_of(model, x)
    exact = evidence_by_quadrature(model, x)
    last, _ = bounds(log_w, 1)
    for k in (2, 8, 64):
        value, error = bounds(log_w, k)
        assert (value > last).all()
        assert (value < exact + 4 * error).all()
        last = value
    # and with all of them it is there
    tight = log_w.logsumexp(0) - math.log(S)
    assert (tight - exact).abs().median() < 0.05


def linear_vae(x: Tensor, k: int) -> Autoencoder:
    model = build(x.shape[1:], k, (), beta=1.0).double()
    linear_start(model, x)
    return model


def exact_log_likelihood(model: Autoencoder, x: Tensor) -> Tensor:
    """log N(x; μ, WWᵀ + σ²I) by SciPy, (N,)."""
    linear = model.decoder.net.linear
    assert isinstance(model.likelihood, Gaussian)
    w = linear.weight.detach().numpy()
    noise = float(model.likelihood.log_value.exp()) ** 2
    mean = linear.bias.detach().numpy()
    covariance = w @ w.T + noise * np.eye(len(w))
    return torch.tensor(stats.multivariate_normal(mean, covariance).logpdf(x.numpy()))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_every_bound_of_the_best_linear_vae_is_the_exact_likelihood(k: int) -> None:
    # identity 2
    x = rows(50, 5)
    model = linear_vae(x, k)
    exact = exact_log_likelihood(model, x)
    log_w = weights_of(model, x, 16)
    assert log_w.var(0).max() < 1e-18
    torch.testing.assert_close(log_w, exact.expand_as(log_w), rtol=1e-9, atol=1e-9)
    for n_draws in (1, 5):
        model.objective = ImportanceBound(n_draws)
        terms = model.objective(model.trace(x), ())
        torch.testing.assert_close(-terms["importance"], exact, rtol=1e-9, atol=1e-9)


def test_of_any_other_linear_vae_they_lie_below_it() -> None:
    x = rows(20, 5)
    model = linear_vae(x, 2)
    with torch.no_grad():
        model.encoder.net.linear.weight.add_(0.2)
        model.encoder.net.linear.bias.add_(0.3)
    exact = exact_log_likelihood(model, x)
    log_w = weights_of(model, x)
    for k in (1, 4, 32):
        value, error = bounds(log_w, k)
        assert (value <= exact + 5 * error).all()
        assert value.mean() < exact.mean()


@pytest.mark.parametrize("n_draws", [1, 3])
def test_the_terms_are_written_out(n_draws: int) -> None:
    model, x = small(beta=1.0), rows(N, 4)
    trace = model.trace(x, n_draws=n_draws)
    log_p = trace.p.log_prob(x).sum(-1)
    rate = (trace.q.log_prob(trace.z) - trace.prior.log_prob(trace.z)).sum(-1)
    evidence = EvidenceBound(n_draws)(trace, [])
    torch.testing.assert_close(evidence["reconstruction"], -log_p.mean(0))
    importance = ImportanceBound(n_draws)(trace, [])
    torch.testing.assert_close(importance["importance"], -(log_p - rate).exp().mean(0).log())


@pytest.mark.parametrize("objective", [EvidenceBound(4), ImportanceBound(4)])
def test_the_draws_of_an_objective_are_made(objective: Objective) -> None:
    model = small(beta=1.0)
    model.objective = objective
    assert model.trace(rows(N, 4)).z.shape == (4, N, 2)


def test_the_evidence_of_a_model_ignores_its_weights() -> None:
    x = rows(N, 4)
    values = []
    for options in ({"beta": 1.0}, {"beta": 7.0, "sparsity": 2.0, "contraction": 1.0}):
        model = small(**options).eval()
        with fork(0):
            trace = model.trace(x)
        values.append(model.evidence(trace))
    torch.testing.assert_close(*values)
    plain = small(beta=1.0).eval()
    with fork(0):
        torch.testing.assert_close(values[0], -total(plain(x)))


def test_the_evidence_of_a_delta_is_the_likelihood_at_its_code() -> None:
    x, model = rows(N, 4), small(sparsity=1.0).eval()
    expected = model.decode(model.encode(x).mean).log_prob(x).sum(1)
    torch.testing.assert_close(model.evidence(model.trace(x)), expected)


def test_the_evidence_of_an_importance_bound_is_the_bound() -> None:
    x, model = rows(N, 4), small(beta=1.0, objective="importance", n_draws=3, sparsity=1.0).eval()
    with fork(0):
        expected = -model(x)["importance"]
    with fork(0):
        torch.testing.assert_close(model.evidence(model.trace(x)), expected)


@pytest.mark.parametrize("kind", [EvidenceBound, ImportanceBound])
@pytest.mark.parametrize("n_draws", [0, -3])
def test_fewer_than_one_draw_is_refused(kind: type[Objective], n_draws: int) -> None:
    with pytest.raises(InvalidParameterError, match=f"n_draws={n_draws} must be at least 1"):
        kind(n_draws)
