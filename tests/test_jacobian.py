"""The Jacobian penalty: every method against float64 jacrev, values and gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from core_examples import perturbed, rows, small
from isthmus.core.jacobian import METHODS, KnowsJacobian, Method, squared_jacobian
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.nets.activations import ACTIVATIONS
from isthmus.nets.mlp import MLP
from isthmus.random import fork

N, D, K = 4, 5, 2
X = rows(N, D)
DEPTHS = [(), (4,), (4, 3), (3, 4, 3)]


def reference(net: nn.Module, x: Tensor) -> Tensor:
    """‖∂net(x)[:K]/∂x‖² by reverse-mode differentiation of each sample, (N,)."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: net(row[None])[0, :K]))(x)
    return jacobian.square().flatten(1).sum(1)


def gradients(value: Tensor, net: nn.Module) -> list[Tensor]:
    weights = torch.linspace(0.5, 2.0, len(value), dtype=value.dtype)
    parameters = list(net.parameters())
    return list(
        torch.autograd.grad(
            (weights * value).sum(), parameters, allow_unused=True, materialize_grads=True
        )
    )


def assert_equals_reference(net: nn.Module, x: Tensor, n_outputs: int, method: Method) -> None:
    expected, value = reference(net, x), squared_jacobian(net, x, K, n_outputs, method)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(gradients(value, net), gradients(expected, net), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n_raw", [1, 2], ids=["delta", "gaussian"])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_values_and_gradients_are_those_of_jacrev(
    activation: str, hidden: tuple[int, ...], linear_path: bool, n_raw: int
) -> None:
    net = MLP((D,), hidden, n_raw * K, activation, linear_path)
    perturbed(net)
    for method in ("auto", "exact", "closed_form"):
        if method == "closed_form" and len(hidden) > 1:
            with pytest.raises(CombinationError, match="closed_form"):
                squared_jacobian(net, X, K, n_raw * K, method)
        else:
            assert_equals_reference(net, X, n_raw * K, method)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
def test_the_box_and_the_gain_of_the_network_are_part_of_it(
    hidden: tuple[int, ...], linear_path: bool, inside: bool
) -> None:
    net = MLP((D,), hidden, K, "silu", linear_path).double()
    perturbed(net)
    net.set_constants(low=X.amin(0), high=X.amax(0), gain=0.3)
    # the closed form of training takes rows inside the box, where it may cut nothing off
    net.train(inside)
    x = X if inside else torch.cat([X, 3 * X])
    assert_equals_reference(net, x, K, "auto")
    v = torch.eye(K, dtype=torch.float64)
    rows_of = net.jacobian_rows(x, v)
    torch.testing.assert_close(rows_of.square().sum((1, 2)), reference(net, x))


@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
def test_rows_are_products_with_the_jacobian(hidden: tuple[int, ...], linear_path: bool) -> None:
    net = MLP((D,), hidden, 3, "tanh", linear_path)
    perturbed(net)
    assert isinstance(net, KnowsJacobian)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: net(row[None])[0]))(X)
    shared, own = torch.randn(6, 3).double(), torch.randn(N, 6, 3).double()
    torch.testing.assert_close(net.jacobian_rows(X, shared), shared @ jacobian)
    torch.testing.assert_close(net.jacobian_rows(X, own), own @ jacobian)


def test_the_average_over_every_probe_is_the_norm() -> None:
    # identity 8: E_v‖vᵀJ‖² over all 2^K sign vectors is exact
    net = MLP((D,), (4, 3), K, "tanh")
    perturbed(net)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=K)), dtype=torch.float64)
    every = net.jacobian_rows(X, signs).square().sum(2).mean(1)
    torch.testing.assert_close(every, reference(net, X))


@pytest.mark.parametrize("own", [True, False])
def test_hutchinson_is_unbiased_within_its_standard_error(own: bool) -> None:
    k = 3
    net = MLP((D,), (4, 3), 2 * k, "silu")
    perturbed(net)
    used = net if own else nn.Sequential(net)
    exact = squared_jacobian(net, X, k, 2 * k)
    with fork(0):
        estimates = torch.stack(
            [squared_jacobian(used, X, k, 2 * k, "hutchinson").detach() for _ in range(400)]
        )
        many = squared_jacobian(used, X, k, 2 * k, "hutchinson", n_probes=1000).detach()
    error = estimates.std(0) / math.sqrt(len(estimates))
    assert (error > 0).all()
    assert ((estimates.mean(0) - exact).abs() < 5 * error).all()
    assert ((many - exact).abs() < 5 * estimates.std(0) / math.sqrt(1000)).all()


def test_one_probe_of_one_latent_is_exact() -> None:
    net = MLP((D,), (4,), 2, "tanh")
    perturbed(net)
    value = squared_jacobian(net, X, 1, 2, "hutchinson")
    torch.testing.assert_close(value, squared_jacobian(net, X, 1, 2))


def test_one_sigmoid_or_tanh_layer_has_the_papers_formula() -> None:
    for name in ("sigmoid", "tanh"):
        # W₂ = I without a linear path leaves the hidden layer itself
        net = MLP((D,), (K,), K, name, linear_path=False).double()
        first, last = (layer for layer in net.layers if isinstance(layer, nn.Linear))
        with torch.no_grad():
            last.weight.copy_(torch.eye(K))
            last.bias.zero_()
        h = net(X)
        slope = h * (1 - h) if name == "sigmoid" else 1 - h**2
        expected = (slope**2 * (first.weight**2).sum(1)).sum(1)
        torch.testing.assert_close(squared_jacobian(net, X, K, K), expected)


FOREIGN = [
    nn.Sequential(nn.Linear(D, 4), nn.Tanh(), nn.Linear(4, 2 * K)),
    nn.Sequential(nn.Linear(D, 4), nn.LayerNorm(4), nn.SiLU(), nn.Linear(4, 2 * K)),
    nn.Sequential(nn.Unflatten(1, (1, D)), nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(8, 2 * K)),
    nn.Linear(D, 2 * K),
]


@pytest.mark.parametrize("net", FOREIGN, ids=["tanh", "layernorm", "conv", "linear"])
def test_a_foreign_network_has_values_and_gradients_of_jacrev(net: nn.Module) -> None:
    net.double()
    for method in ("auto", "exact"):
        assert_equals_reference(net, X, 2 * K, method)
    with pytest.raises(CombinationError, match="encoder of this package"):
        squared_jacobian(net, X, K, 2 * K, "closed_form")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("method", ["auto", "hutchinson"])
def test_images_are_seen_flat(own: bool, method: Method) -> None:
    net = MLP((1, 2, 3), (4,), 1, "tanh")
    perturbed(net)
    x = rows(N, 6)
    used = net if own else nn.Sequential(nn.Flatten(), net)
    value = squared_jacobian(used, x.view(N, 1, 2, 3), 1, 1, method)
    torch.testing.assert_close(value, squared_jacobian(net, x, 1, 1))


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "negative_binomial"])
def test_an_autoencoder_is_penalised_by_the_jacobian_of_its_mean(likelihood: str) -> None:
    for beta in (None, 1.0):
        model = small((D,), K, likelihood=likelihood, beta=beta, contraction=0.5)
        x = X.abs().round()
        jacobian = torch.func.vmap(
            torch.func.jacrev(lambda row, m=model: m.encode(row[None]).mean[0])
        )(x)
        expected = 0.5 * jacobian.square().sum((1, 2))
        torch.testing.assert_close(model(x)["contraction"], expected)


def test_our_network_never_differentiates_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("torch.func.vjp was called")

    monkeypatch.setattr(torch.func, "vjp", refuse)
    with pytest.raises(AssertionError, match="vjp"):
        squared_jacobian(FOREIGN[0].double(), X, K, 2 * K)
    for hidden in DEPTHS:
        net = MLP((D,), hidden, K, "silu").double()
        for method in ("auto", "exact", "hutchinson"):
            with torch.no_grad():  # a nested backward pass would fail here
                value = squared_jacobian(net, X, K, K, method)
            assert value.shape == (N,)
            assert not value.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_low_precision_is_summed_in_float32(method: Method) -> None:
    net = MLP((D,), (8,), K, "silu").bfloat16()
    value = squared_jacobian(net, X.bfloat16(), K, K, method)
    assert value.shape == (N,)
    assert value.dtype == torch.float32


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="contraction_method='double'"):
        squared_jacobian(FOREIGN[0], X, K, 2 * K, "double")  # type: ignore[arg-type]
