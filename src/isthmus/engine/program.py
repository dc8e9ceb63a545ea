"""Operations of torch one after another, as one call.

From Python an operation of a small network takes 2 to 3 µs longer than its arithmetic. The
interpreter that torch brings for TorchScript runs the same kernels from a list of its own and takes
a fifth of that. It is given a graph, not a script: nothing is compiled, nothing is optimised
(``torch.jit.optimized_execution``), and building it takes 2 ms for a hundred operations. Graphs
have no public face; where a torch has another one, or an operation has no place in a graph, the
calls are made from Python, with equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

Program = Callable[[], None]
# as numbers, which is what a graph knows them by
_FORMATS = {
    torch.contiguous_format: 0,
    torch.preserve_format: 1,
    torch.channels_last: 2,
    torch.channels_last_3d: 3,
}


@dataclass(frozen=True)
class Call:
    """One operation on tensors that stay where they are.

    Attributes:
        operation: an overload of ``torch.ops``.
        args: by position.
        kwargs: by name, tensors to write into included.
        into: where results are copied to, of an operation that cannot write into given tensors.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    into: tuple[Tensor, ...] = ()


def program(calls: Sequence[Call]) -> Program:
    """What makes all the calls, in their order, without gradients.

    >>> x, y = torch.ones(2), torch.zeros(2)
    >>> play = program([Call(torch.ops.aten.add.out, (x, x), {"out": y})])
    >>> play()
    >>> y
    tensor([2., 2.])
    """
    try:
        return interpreted(calls)
    except Exception:  # what torch keeps to itself may raise anything
        return partial(one_by_one, list(calls))


@torch.no_grad()
def one_by_one(calls: Sequence[Call]) -> None:
    """The calls from Python."""
    for call in calls:
        results = call.operation._op(*call.args, **call.kwargs)
        if call.into:
            for own, new in zip(call.into, tree_leaves(results), strict=True):
                own.copy_(new)


def interpreted(calls: Sequence[Call]) -> Program:
    """The calls by torch's interpreter.

    Raises:
        Exception: whatever torch raises at a graph that it does not take.
    """
    graph = _Graph()
    for call in calls:
        results = graph.add(call.operation, call.args, call.kwargs)
        for own, new in zip(call.into, results, strict=bool(call.into)):
            graph.add(torch.ops.aten.copy_.default, (own, new), {})
    function, tensors = graph.function(), graph.tensors

    @torch.no_grad()
    def play() -> None:
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            function(*tensors)

    return play


class _Graph:
    """A graph in the making, whose inputs are the tensors that the calls work on."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._graph: Any = torch._C.Graph()
        self._inputs: dict[tuple[Any, ...], Any] = {}

    def add(self, operation: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Any]:
        """A node for an operation; its results."""
        schema = operation._schema
        given = dict(zip((a.name for a in schema.arguments), args, strict=False)) | dict(kwargs)
        values = [self._value(given.get(a.name, a.default_value)) for a in schema.arguments]
        node = self._graph.create(schema.name, values, len(schema.returns))
        for each, kind in zip(node.outputs(), schema.returns, strict=True):
            each.setType(kind.type)
        self._graph.insertNode(node)
        if not _same(node.schema(), schema, given):
            raise LookupError(f"{node.schema()} is not {schema}")
        return list(node.outputs())

    def function(self) -> Callable[..., Any]:
        """What runs the graph."""
        self._graph.registerOutput(self._graph.insertConstant(None))
        made: Callable[..., Any] = torch._C._create_function_from_graph("program", self._graph)
        return made

    def _value(self, given: Any) -> Any:
        if isinstance(given, torch._C.Value):
            return given
        if isinstance(given, Tensor):
            return self._input(given)
        if isinstance(given, (list, tuple)) and any(isinstance(each, Tensor) for each in given):
            values = [self._input(each) for each in given]
            node = self._graph.create("prim::ListConstruct", values, 1)
            node.output().setType(torch._C.ListType(torch._C.TensorType.get()))
            return self._graph.insertNode(node).output()
        if isinstance(given, tuple):
            given = list(given)
        if isinstance(given, torch.memory_format):
            given = _FORMATS[given]
        return self._graph.insertConstant(given)

    def _input(self, t: Tensor) -> Any:
        # one input for one piece of memory, through however many objects it is seen
        key = (t.data_ptr(), t.dtype, t.shape, t.stride())
        if key not in self._inputs:
            self._inputs[key] = self._graph.addInput()
            self._inputs[key].setType(torch._C.TensorType.get())
            self.tensors.append(t)
        return self._inputs[key]


def _same(found: str, wanted: Any, given: Mapping[str, Any]) -> bool:
    """Whether the operation that a graph chose by its arguments is the wanted one.

    A number in the place of a tensor makes it choose the form for numbers, which is what torch
    itself does with it.
    """
    name, _, rest = found.partition("(")
    if name.partition(".")[0] != wanted.name:
        return False
    kinds = [part.strip().split("=")[0] for part in rest.rpartition(") -> ")[0].split(", ")]
    shown = str(wanted).partition("(")[2].rpartition(") -> ")[0]
    asked = [part.strip().split("=")[0] for part in shown.split(", ")]
    for i, part in enumerate(asked):
        kind, _, argument = part.rpartition(" ")
        if kind == "Tensor" and isinstance(given.get(argument), int | float):
            asked[i] = f"Scalar {argument}"
    return [k for k in kinds if k != "*"] == [a for a in asked if a != "*"]
