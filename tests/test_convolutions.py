"""Convolutions as matrix products are torch's own, with their gradients."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from isthmus.engine import convolutions

ATEN = torch.ops.aten
SIZES = ((9,), (5, 4), (7, 6), (3, 5, 4))
CASES = [
    (kernel, stride, padding, extra, transposed)
    for kernel, stride, padding in product((1, 2, 3, 4, 5), (1, 2, 3), (0, 1, 2))
    for extra, transposed in [(0, False), *((extra, True) for extra in range(stride))]
]


def of_case(size, kernel, stride, padding, transposed, extra, channels, bias, dtype=torch.float64):
    n, (c_in, c_out) = len(size), channels
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    x = draw(2, c_in, *size)
    w = draw(*((c_in, c_out) if transposed else (c_out, c_in)), *[kernel] * n)
    b = draw(c_out) if bias else None
    return x, w, b, ([stride] * n, [padding] * n, [1] * n, transposed, [extra] * n, 1), draw


@pytest.mark.parametrize(("kernel", "stride", "padding", "extra", "transposed"), CASES)
def test_values_and_gradients_are_torchs(kernel, stride, padding, extra, transposed):
    done = 0
    for i, size in enumerate(SIZES):
        channels = (1 + i % 4, 1 + (2 * i + kernel) % 4)
        x, w, b, how, draw = of_case(
            size, kernel, stride, padding, transposed, extra, channels, bias=i % 2 == 0
        )
        try:
            y = ATEN.convolution(x, w, b, *how)
        except RuntimeError:  # the kernel is larger than the sample, or nothing comes out
            continue
        torch.testing.assert_close(convolutions.convolution(x, w, b, *how), y)
        g = draw(*y.shape)
        for mask in ([True, True, True], [False, True, False], [True, False, True]):
            expected = ATEN.convolution_backward(g, x, w, [w.shape[0]], *how, mask)
            found = convolutions.convolution_backward(g, x, w, None, *how, mask)
            for one, other, asked in zip(found, expected, mask, strict=True):
                assert (one is not None) is asked
                if asked:
                    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        done += 1
    assert done


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_lower_precisions_round_as_they_must(dtype, tolerance, transposed):
    shape = (14, 14), 4, 2, 1, transposed, 0, (32, 64), True
    x, w, b, how, draw = of_case(*shape)
    y = ATEN.convolution(x, w, b, *how)
    g = draw(*y.shape)
    expected = (y, *ATEN.convolution_backward(g, x, w, [64], *how, [True] * 3))
    x, w, b, g = (t.to(dtype) for t in (x, w, b, g))
    found = (
        convolutions.convolution(x, w, b, *how),
        *convolutions.convolution_backward(g, x, w, [64], *how, [True] * 3),
    )
    for one, other in zip(found, expected, strict=True):
        assert float((one.double() - other).norm() / other.norm()) < tolerance


@pytest.mark.parametrize("change", [{"dilation": 2}, {"groups": 2}])
def test_what_is_not_covered_is_left_to_torch(change):
    conv = torch.nn.Conv2d(4, 4, 3, **change).bfloat16()
    x = torch.randn(2, 4, 8, 8).bfloat16()
    graph = make_fx(conv, decomposition_table=convolutions.table(x.device))(x)
    assert any(node.target == ATEN.convolution.default for node in graph.graph.nodes)
    assert torch.equal(graph(x), conv(x))


@pytest.mark.parametrize(("dtype", "products"), [(torch.bfloat16, 1), (torch.float32, 0)])
def test_products_stand_for_convolutions_in_bfloat16(dtype, products):
    conv = torch.nn.Conv2d(3, 4, 3).to(dtype)
    x = torch.randn(2, 3, 8, 8).to(dtype)
    graph = make_fx(conv, decomposition_table=convolutions.table(x.device))(x).graph
    assert sum(node.target == ATEN.mm.default for node in graph.nodes) == products
    assert sum(node.target == ATEN.convolution.default for node in graph.nodes) == 1 - products


def test_what_is_pure_is_done_once_and_nothing_else():
    def call(x, changed):
        first, second = x.sin(), x.sin()
        noise = torch.rand_like(x) - torch.rand_like(x)
        before = changed * 2
        changed.add_(1)
        after = changed * 2
        return first + second, noise, after - before

    example = torch.ones(3), torch.ones(3)
    graph = make_fx(call)(*example)
    convolutions.without_repetition(graph.graph)
    graph.graph.lint()
    graph.recompile()
    targets = [node.target for node in graph.graph.nodes]
    assert targets.count(ATEN.sin.default) == 1
    assert targets.count(ATEN.rand_like.default) == 2
    twice, noise, difference = graph(*example)
    torch.testing.assert_close(twice, 2 * torch.ones(3).sin())
    assert not torch.equal(noise, torch.zeros(3))
    assert torch.equal(difference, torch.full((3,), 2.0))


def test_memory_that_is_written_later_is_not_shared():
    def new_memory(x):
        a = torch.zeros(3)
        a.add_(x)
        b = torch.zeros(3)
        b.add_(2 * x)
        return a, b

    def through_a_view(x):
        p = x.clone()
        before = p.view(3) * 2
        p.view(3).add_(1)
        return before, p.view(3) * 2

    def like(x):
        a = torch.empty_like(x)
        a.fill_(1)
        b = torch.empty_like(x)
        b.fill_(2)
        return a, b

    for step in (new_memory, through_a_view, like):
        graph = make_fx(step)(torch.ones(3))
        convolutions.without_repetition(graph.graph)
        graph.recompile()
        for found, expected in zip(graph(torch.ones(3)), step(torch.ones(3)), strict=True):
            assert torch.equal(found, expected), step.__name__
