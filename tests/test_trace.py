"""The record of one pass: shapes as they are written, missing entries, and the one sum."""

from __future__ import annotations

import math

import pytest
import torch
from jaxtyping import Bool, Float, jaxtyped
from torch import Tensor

from core_examples import N_CATEGORIES, rows, small, supported, total
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.core.trace import sum_features

SHAPES = [(4,), (1, 2, 3)]
# options of the model; S is n_draws
MODELS: list[dict[str, object]] = [
    {},
    {"noise": "masking", "noise_level": 0.3, "emphasis": 2.0},
    {"contraction": 0.1, "sparsity": 0.1},
    {"beta": 1.0, "n_draws": 3},
    {"beta": 1.0, "n_draws": 3, "objective": "importance", "noise": "swap", "noise_level": 0.3},
]


@pytest.mark.parametrize("name", ["gaussian", "gaussian_sample", "bernoulli", "poisson"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", MODELS)
def test_shapes_are_those_that_are_written(
    options: dict[str, object], shape: tuple[int, ...], name: str
) -> None:
    model = small(shape, likelihood=name, **options).train()
    x = supported(name, 5, shape)
    trace = model.trace(x, mask=torch.ones_like(x, dtype=torch.bool))
    with jaxtyped("context"):  # one binding of S, N, K and F for all of them
        assert isinstance(trace.z, Float[Tensor, "S N K"])
        assert isinstance(trace.x, Float[Tensor, "N *F"])
        assert isinstance(trace.x_tilde, Float[Tensor, "N *F"])
        assert isinstance(trace.weight, Float[Tensor, "N *F"])
        assert trace.touched is None or isinstance(trace.touched, Bool[Tensor, "N *F"])
        assert isinstance(trace.q.mean, Float[Tensor, "N K"])
        assert isinstance(trace.p.mean, Float[Tensor, "S N *F"])
        assert isinstance(trace.p.log_prob(x), Float[Tensor, "S N *F"])
        assert trace.prior is None or isinstance(trace.prior.mean, Float[Tensor, " K"])
        assert isinstance(trace.log_likelihood(), Float[Tensor, "S N"])
        assert isinstance(model.evidence(trace), Float[Tensor, " N"])
        for term in model(x).values():
            assert isinstance(term, Float[Tensor, " N"])
        mean = model.likelihood.expectation(model.decode(trace.z[0]))
        assert isinstance(mean, Float[Tensor, "N *F"])
    assert trace.z.shape == (options.get("n_draws", 1), 5, 2)


def test_the_shape_check_itself_fails_on_a_wrong_shape() -> None:
    with jaxtyped("context"):
        assert isinstance(torch.zeros(3, 2), Float[Tensor, "N K"])
        assert not isinstance(torch.zeros(2, 3), Float[Tensor, "N K"])


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_missing_entry_is_absent(name: str, shape: tuple[int, ...]) -> None:
    model = small(shape, likelihood=name, beta=1.0)
    x = supported(name, 9, shape)
    mask = (torch.arange(x.numel()) % 3 > 0).view_as(x)
    x = torch.where(mask, x, 0.0)
    trace = model.trace(x, mask)
    present = trace.p.log_prob(x)
    expected = torch.stack([present[0, i][mask[i]].sum() for i in range(len(x))])
    torch.testing.assert_close(trace.log_likelihood()[0], expected)
    full = model.trace(x, torch.ones_like(mask))
    torch.testing.assert_close(full.log_likelihood(), full.p.log_prob(x).flatten(2).sum(2))
    loss = total(model(x, mask)).mean()
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_sample_without_any_entry_costs_nothing(name: str) -> None:
    model = small(likelihood=name)
    x = torch.zeros(3, 4, dtype=torch.float64)
    terms = model(x, torch.zeros_like(x, dtype=torch.bool))
    assert (terms["reconstruction"] == 0).all()


@pytest.mark.parametrize("lead", [(3,), (2, 3)])
@pytest.mark.parametrize("shape", [(4,), (1, 2, 2), ()])
def test_the_one_sum_is_over_the_features(lead: tuple[int, ...], shape: tuple[int, ...]) -> None:
    entries = rows(math.prod(lead), 4)[:, : max(1, math.prod(shape))].reshape(*lead, *shape)
    summed = sum_features(entries, len(shape))
    assert summed.shape == lead
    torch.testing.assert_close(summed, entries.reshape(*lead, -1).sum(-1))
    weight = torch.rand_like(entries[0])
    weighted = sum_features(entries, len(shape), weight)
    torch.testing.assert_close(weighted, (entries * weight).reshape(*lead, -1).sum(-1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_entry_of_weight_zero_is_left_out_whatever_it_is(value: float) -> None:
    entries = torch.tensor([[1.0, value], [value, 2.0]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    assert sum_features(entries, 1, weight).tolist() == [1.0, 6.0]


def test_given_deviates_make_a_pass_that_depends_on_nothing_but_the_sample() -> None:
    model, x = small(beta=1.0), rows(6, 4)
    noise = torch.randn(3, 2, dtype=torch.float64)
    trace = model.trace(x, noise=noise)
    q = model.encode(x)
    expected = q.mean + q.stddev * noise[:, None]
    torch.testing.assert_close(trace.z, expected)
    alone = torch.cat([model.trace(row[None], noise=noise).z for row in x], 1)
    torch.testing.assert_close(alone, expected)
    own = torch.randn(3, 6, 2, dtype=torch.float64)  # of each sample its own
    torch.testing.assert_close(model.trace(x, noise=own).z, q.mean + q.stddev * own)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("corrupt", [True, False])
def test_corruption_can_be_asked_for_in_either_mode(training: bool, corrupt: bool) -> None:
    model = small(noise="gaussian", noise_level=0.3).train(training)
    x = rows(6, 4)
    assert (model.trace(x, corrupt=corrupt).touched is not None) == corrupt


def test_categories_have_their_own_expectation() -> None:
    model = small(likelihood="categorical")
    x = supported("categorical", 5, (4,))
    seen = model.likelihood.expectation(model.decode(model.encode(x).mean))
    assert seen.shape == x.shape
    assert set(seen.unique().tolist()) <= set(map(float, range(N_CATEGORIES)))
