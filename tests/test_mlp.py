"""Networks: the linear path, derivatives of activations, views."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core_examples import perturbed, rows
from isthmus.errors import InvalidParameterError
from isthmus.nets.activations import ACTIVATIONS, activation
from isthmus.nets.mlp import MLP
from isthmus.nets.views import Log1p, OneHot, Viewed, viewed_size

DEPTHS = [(), (4,), (4, 3), (3, 4, 3)]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_derivative_is_autograds_and_so_is_its_own(name: str) -> None:
    sigma = activation(name)
    a = torch.linspace(-8, 8, 201, dtype=torch.float64, requires_grad=True)
    a = a[a != 0]  # the corner of relu
    (slope,) = torch.autograd.grad(sigma.function(a).sum(), a, create_graph=True)
    torch.testing.assert_close(sigma.derivative(a), slope, rtol=1e-10, atol=1e-12)
    if name not in ("identity", "relu"):
        (curve,) = torch.autograd.grad(slope.sum(), a)
        (ours,) = torch.autograd.grad(sigma.derivative(a).sum(), a)
        torch.testing.assert_close(ours, curve, rtol=1e-9, atol=1e-11)


def test_an_unknown_activation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidParameterError, match=r"activation='swish' must be one of silu, "):
        MLP((3,), (4,), 2, "swish")


@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
def test_before_the_first_step_the_network_is_its_linear_path(hidden: tuple[int, ...]) -> None:
    net = MLP((5,), hidden, 3).double()
    assert net.linear is not None
    x = rows(10, 5)
    torch.testing.assert_close(net(x), net.linear(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
def test_without_a_linear_path_it_is_a_perceptron(hidden: tuple[int, ...]) -> None:
    net = MLP((5,), hidden, 3, "tanh", linear_path=False)
    perturbed(net)
    assert net.linear is None
    assert net.n_hidden_layers == len(hidden)
    modules: list[nn.Module] = []
    for layer in net.layers:
        modules += [layer, nn.Tanh()]
    x = rows(10, 5)
    torch.testing.assert_close(net(x), nn.Sequential(*modules[:-1])(x))


@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
def test_with_a_linear_path_it_is_the_sum_of_both(hidden: tuple[int, ...]) -> None:
    net = MLP((5,), hidden, 3, "gelu")
    perturbed(net)
    assert net.linear is not None
    x = rows(10, 5)
    plain = MLP((5,), hidden, 3, "gelu", linear_path=False).double()
    if hidden:
        plain.layers.load_state_dict(net.layers.state_dict())
        torch.testing.assert_close(net(x), net.linear(x) + plain(x))
    else:
        assert len(net.layers) == 0
    assert net.n_hidden_layers == len(hidden)


def test_outside_of_its_box_the_network_extrapolates_in_a_line() -> None:
    net = MLP((5,), (4, 3), 2, "tanh")
    perturbed(net)
    assert net.linear is not None
    x = rows(20, 5)
    plain, path = net(x), net.linear(x)
    net.set_constants(low=x.amin(0), high=x.amax(0))
    torch.testing.assert_close(net(x), plain, rtol=1e-12, atol=1e-12)
    net.set_constants(gain=0.25)
    torch.testing.assert_close(net(x), path + 0.25 * (plain - path))
    far = x.amax(0) + torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    first, second = net(far).diff(dim=0)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, net.linear(far).diff(dim=0)[0])


def test_the_constants_are_kept_in_the_file_of_the_model() -> None:
    net, other = MLP((3,), (4,), 2), MLP((3,), (4,), 2)
    net.set_constants(low=-torch.ones(3), high=torch.ones(3), gain=0.5)
    other.load_state_dict(net.state_dict())
    x = 3 * torch.randn(10, 3)
    torch.testing.assert_close(other(x), net(x))
    assert float(other.gain) == 0.5


@pytest.mark.parametrize("linear_path", [True, False])
def test_an_image_is_seen_flat(linear_path: bool) -> None:
    net = MLP((1, 2, 3), (4,), 2, linear_path=linear_path)
    perturbed(net)
    x = rows(7, 6)
    torch.testing.assert_close(net(x.view(7, 1, 2, 3)), net(x))


def test_low_precision_does_not_blur_the_linear_path() -> None:
    net = MLP((50,), (8,), 3)
    x = rows(10, 50, dtype=torch.float32)
    assert net.linear is not None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net.layers[0](x).dtype == torch.bfloat16
        out = net(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, net.linear(x))


def test_counts_are_seen_as_logarithms() -> None:
    x = torch.tensor([[0.0, 1.0, 9.0], [-3.0, 2.0, 0.5]])
    torch.testing.assert_close(Log1p()(x), (1 + x.clamp(min=0)).log())
    assert viewed_size(Log1p(), (2, 3)) == 6


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3)])
def test_categories_are_seen_as_columns(shape: tuple[int, ...]) -> None:
    x = torch.randint(0, 3, (10, *shape)).double()
    seen = OneHot(3)(x)
    assert seen.shape == (10, viewed_size(OneHot(3), shape))
    assert seen.dtype == x.dtype
    assert torch.equal(seen.view(10, -1, 3).argmax(2), x.flatten(1).long())
    assert torch.equal(seen.view(10, -1, 3).sum(2), torch.ones_like(x.flatten(1)))


def test_a_viewed_network_keeps_its_linear_path() -> None:
    net = MLP((3,), (4,), 2)
    viewed = Viewed(Log1p(), net)
    x = torch.rand(5, 3)
    assert viewed.linear is net.linear
    torch.testing.assert_close(viewed(x), net(x.log1p()))
    assert viewed_size(None, (2, 3)) == 6
