"""Convolutions as matrix products, for the compiled step.

With its channels last a sample is (*in, C). A convolution with kernel k, stride s and padding p
takes from each place o of its output the patch of inputs s·o − p + [0, k), lays the patches under
each other, and multiplies (im2col; Chellapilla et al. 2006, section 3):

    y = P(x) W ,    ∂W = P(x)ᵀ ∂y

A transposed convolution is the adjoint, which adds patches where they overlap. It is written
without adding: with J = ⌈k / s⌉, output s·q + r − p gets its J contributions from the inputs
q − J + 1 … q, whatever r in [0, s) is. So it is a convolution with J taps, stride 1 and s·C
channels, one for each r, whose channels are then dealt out to neighbouring places (sub-pixel
convolution; Shi et al. 2016, section 3.2). The gradient of a convolution by its input is such an
adjoint, and the other way round.

A compiler fuses the gathering of patches with the activation before it. In bfloat16 the products
run at the rate of the machine's matrix units, which the backward pass of oneDNN's convolutions is
far from; in float32 its convolutions are the faster ones (docs/LOG.md), and are left as they are.
So are groups and dilations, and what runs on other devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

Sizes = Sequence[int]


def patches(x: Tensor, size: Sizes, kernel: Sizes, stride: Sizes, low: Sizes) -> Tensor:
    """P(x): (N, *in, C) → (N·∏size, ∏kernel·C), zeros beyond the border.

    Args:
        x: samples.
        size: places of the output along each axis.
        kernel: extents of a patch.
        stride: from one patch to the next.
        low: zeros before the first entry; negative cuts entries off.

    >>> patches(torch.arange(4.0).reshape(1, 4, 1), [2], [3], [2], [1])
    tensor([[0., 0., 1.],
            [1., 2., 3.]])
    """
    around: list[int] = []
    for have, n, k, s, p in zip(x.shape[1:-1], size, kernel, stride, low, strict=True):
        around = [p, (n - 1) * s + k - have - p, *around]
    x = functional.pad(x, [0, 0, *around]) if any(around) else x
    x = x.contiguous()
    sample, *steps, _ = x.stride()
    shape = [len(x), *size, *kernel, x.shape[-1]]
    strides = [sample, *(a * s for a, s in zip(steps, stride, strict=True)), *steps, 1]
    taken = x.as_strided(shape, strides).clone(memory_format=torch.contiguous_format)
    return taken.view(-1, math.prod(kernel) * x.shape[-1])


def adjoint(y: Tensor, w: Tensor, out: Sizes, stride: Sizes, low: Sizes) -> Tensor:
    """Transposed convolution: (N, *in, O) by (O, *kernel, C) → (N, *out, C).

    ``low`` is cut off before the first output.
    """
    n, kernel = len(out), w.shape[1:-1]
    taps = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
    first = [p // s for p, s in zip(low, stride, strict=True)]
    size = [-(-(p + m) // s) - q for p, m, s, q in zip(low, out, stride, first, strict=True)]
    rest: list[int] = []
    split: list[int] = []
    for k, s, j in zip(kernel, stride, taps, strict=True):
        rest, split = [0, j * s - k, *rest], [*split, j, s]
    w = functional.pad(w, [0, 0, *rest]).reshape(len(w), *split, -1)
    # the last tap meets the first entry of a patch
    w = w.flip([1 + 2 * d for d in range(n)])
    w = w.permute(*range(1, 2 * n, 2), 0, *range(2, 2 * n + 1, 2), 2 * n + 1)
    before = [j - 1 - q for j, q in zip(taps, first, strict=True)]
    rows = patches(y, size, taps, [1] * n, before) @ w.flatten(0, n).flatten(1)
    dealt = rows.view(len(y), *size, *stride, -1)
    pairs = [axis for d in range(n) for axis in (1 + d, 1 + n + d)]
    wide = [q * s for q, s in zip(size, stride, strict=True)]
    dealt = dealt.permute(0, *pairs, 2 * n + 1).reshape(len(y), *wide, -1)
    for d in range(n):
        dealt = dealt.narrow(1 + d, low[d] - first[d] * stride[d], out[d])
    return dealt


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes,
    dilation: Sizes, transposed: bool, output_padding: Sizes, groups: int,
) -> Tensor:  # fmt: skip
    """``aten.convolution``: (N, C, *in) → (N, O, *out); NotImplemented of what is not covered."""
    if groups != 1 or any(d != 1 for d in dilation):
        return NotImplemented  # type: ignore[no-any-return]
    kernel, w, places = weight.shape[2:], weight.movedim(1, -1), x.shape[2:]
    axes = zip(places, kernel, stride, padding, output_padding, strict=True)
    if transposed:
        out = [(i - 1) * s + k - 2 * p + more for i, k, s, p, more in axes]
        y = adjoint(x.movedim(1, -1), w, out, stride, padding)
    else:
        out = [(i + 2 * p - k) // s + 1 for i, k, s, p, _ in axes]
        rows = patches(x.movedim(1, -1), out, kernel, stride, padding) @ w.flatten(1).T
        y = rows.view(len(x), *out, -1)
    return (y if bias is None else y + bias).movedim(-1, 1)


def convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Sizes | None, stride: Sizes,
    padding: Sizes, dilation: Sizes, transposed: bool, output_padding: Sizes, groups: int,
    mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """``aten.convolution_backward``: gradients of input, weight and bias, those that are asked."""
    if groups != 1 or any(d != 1 for d in dilation):
        return NotImplemented  # type: ignore[no-any-return]
    kernel, w = weight.shape[2:], weight.movedim(1, -1)
    entries, g = x.movedim(1, -1), grad.movedim(1, -1)
    of_x = of_w = of_b = None
    if transposed:
        taken = patches(g, x.shape[2:], kernel, stride, padding)
        of_x = (taken @ w.flatten(1).T).view(entries.shape) if mask[0] else None
        rows = entries
    else:
        taken = patches(entries, grad.shape[2:], kernel, stride, padding) if mask[1] else g
        of_x = adjoint(g, w, x.shape[2:], stride, padding) if mask[0] else None
        rows = g
    if mask[1]:
        of_w = (rows.reshape(-1, rows.shape[-1]).T @ taken).view(w.shape).movedim(-1, 1)
    if mask[2]:
        of_b = grad.sum([0, *range(2, grad.ndim)])
    return None if of_x is None else of_x.movedim(-1, 1), of_w, of_b


def table(device: torch.device) -> dict[torch._ops.OpOverload, Callable[..., object]]:
    """What a trace of a step on that device writes in place of torch's convolutions.

    >>> table(torch.device("cuda"))
    {}
    """
    if device.type != "cpu":
        return {}

    def in_bfloat16(function: Callable[..., object]) -> Callable[..., object]:
        def instead(first: Tensor, *rest: object) -> object:
            return function(first, *rest) if first.dtype == torch.bfloat16 else NotImplemented

        return instead

    return {
        torch.ops.aten.convolution.default: in_bfloat16(convolution),
        torch.ops.aten.convolution_backward.default: in_bfloat16(convolution_backward),
    }


def without_repetition(graph: torch.fx.Graph) -> None:
    """Let each pure operation of a trace be done once: patches serve forward and backward.

    Left alone is all that has to do with memory that some operation changes in place, through a
    view too, and new memory without an input, and random numbers.
    """
    pure: list[torch.fx.Node] = []
    changed: set[torch.fx.Node] = set()
    memory: dict[torch.fx.Node, torch.fx.Node] = {}  # whose memory a node's result lies in
    for node in graph.nodes:
        memory[node] = node
        if isinstance(node.target, torch._ops.OpOverload):
            schema, given = node.target._schema, node.all_input_nodes
            if given and any(a.alias_info is not None for a in schema.arguments):
                memory[node] = memory[given[0]]
            if schema.is_mutable:
                changed.update(memory[each] for each in given)
            elif given and torch.Tag.nondeterministic_seeded not in node.target.tags:
                pure.append(node)
    seen: dict[object, torch.fx.Node] = {}
    for node in pure:
        if changed.isdisjoint(memory[each] for each in (node, *node.all_input_nodes)):
            kept = seen.setdefault((node.target, repr((node.args, node.kwargs))), node)
            if kept is not node:
                node.replace_all_uses_with(kept)
                graph.erase_node(node)
