"""The gradients of a step, written down once as torch's own operations and played back.

Of a step of a small network most of the time goes between the operations: to Python, to autograd's
graph, to the mapping of an ensemble, to new memory. A tape writes down every operation of one such
computation, forward and backward, as it reaches torch's kernels
(``torch.utils._python_dispatch.TorchDispatchMode``), keeps the tensors it worked on, and afterwards
calls the same kernels in the same order on the same memory (:mod:`isthmus.engine.program`). Views
are taken once. Results are equal to the last bit (tests/test_tape.py), random numbers included.

As with a compiled step (:mod:`isthmus.engine.traced`) every decision that Python took on the way is
fixed: numbers that change from step to step must be tensors. That holds for the modules of isthmus
and of torch; networks with other modules are not taped. Neither is a computation whose tensors take
more than :data:`MOST_BYTES`: there the arithmetic counts, and memory that is used anew stays in the
caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from isthmus.data.batches import Batch
from isthmus.engine.ensemble import Ensemble
from isthmus.engine.program import Call, Program, program

# All tensors of a computation; two cores of a current processor have 2 to 4 MB of cache each.
MOST_BYTES = 16_000_000


def _forms(*names: str) -> frozenset[str]:
    affixes = (("", ""), ("", "_like"), ("new_", ""))
    return frozenset(f"{start}{name}{end}" for name in names for start, end in affixes)


# Memory of no content, which is there already.
_BARE = _forms("empty", "empty_strided")
# Operations that compute nothing; what they give is played only where something is written into it.
_STILL = _forms("zeros", "ones", "full", "scalar_tensor")
# The same values in other memory, whatever its type and order.
_COPIES = ("_to_copy", "clone")
_WAITS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Plays what :meth:`record` has seen, unless :meth:`takes` says that it cannot be played.

    Not played: what the host waited for (Python then decides by the data), and results that are no
    tensors, such as those of the gradient of a convolution.

    Args:
        parameters: whose gradients are wanted.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._parameters = list(parameters)
        self._program: Program | None = None
        self._notes: list[tuple[Call, int | None]] = []
        self._written: set[int] = set()
        self._n_bytes = 0
        self._usable = True
        self._batch: list[Tensor] = []
        self._places: list[int] = []
        self._terms: dict[str, Tensor] = {}
        self._gradients: list[Tensor | None] = []

    def record(
        self, compute: Callable[[Batch], Mapping[str, Tensor]], batch: Batch
    ) -> dict[str, Tensor]:
        """Run ``compute``, which leaves gradients in ``grad``, and write it down."""
        self._batch = [t.clone() for t in batch]
        try:
            with self:
                terms = compute(tuple(self._batch))
        except BaseException:
            self._forget()
            raise
        played = [call for call, still in self._notes if still is None or still in self._written]
        self._program = program(played) if self._usable else None
        self._notes.clear()
        self._terms = {name: value.detach() for name, value in terms.items()}
        self._gradients = [p.grad for p in self._parameters]
        self._places = [p.data_ptr() for p in self._parameters]
        return {name: value.clone() for name, value in self._terms.items()}

    def takes(self, batch: Batch) -> bool:
        """Whether what was written down can be played for a batch of that shape."""
        return (
            self._program is not None
            and [t.shape for t in batch] == [t.shape for t in self._batch]
            and [p.data_ptr() for p in self._parameters] == self._places
        )

    @torch.no_grad()
    def play(self, batch: Batch) -> dict[str, Tensor]:
        """The terms for another batch; its gradients are in ``grad`` afterwards."""
        for own, given in zip(self._batch, batch, strict=True):
            own.copy_(given)
        assert self._program is not None  # noqa: S101  (it takes the batch)
        self._program()
        for p, gradient in zip(self._parameters, self._gradients, strict=True):
            p.grad = gradient
        return {name: value.clone() for name, value in self._terms.items()}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not through torch's compiler, whose import takes over a second."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        once = func is torch.ops.aten.mul.Scalar and args[1] == 1 and self._usable
        if once and args[0].is_floating_point():
            # a mapped linear layer has two of them, which nothing writes into
            return args[0].view_as(args[0])
        out = func(*args, **(kwargs or {}))
        if self._usable:
            self._note(func, args, kwargs or {}, out)
        return out

    def _note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        args, kwargs, results = tree_map(_memory, (args, kwargs, out))
        written = any(a.alias_info is not None and a.alias_info.is_write for a in _arguments(func))
        if written:
            self._notes.append((Call(func, args, kwargs), None))
            self._written |= {_place(t) for t in tree_leaves(results) if isinstance(t, Tensor)}
            return
        made = list(tree_leaves(results))
        if not made or not all(isinstance(t, Tensor) for t in made) or _WAITS & set(func.tags):
            self._forget()
            return
        given = {_place(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        if all(_place(t) in given for t in made):
            return  # a view, which stays one
        self._n_bytes += sum(t.nbytes for t in made)
        if self._n_bytes > MOST_BYTES:
            self._forget()
            return
        name = func.overloadpacket.__name__
        if name in _BARE:
            return
        still = _place(made[0]) if name in _STILL or (name in _COPIES and not given) else None
        self._notes.append((_into(func, args, kwargs, made), still))

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Copies and pickles are None: what is copied has memory of its own and is noted anew."""
        return type(None), ()

    def _forget(self) -> None:
        """Not to be played, and no memory is held."""
        self._usable = False
        self._notes.clear()


def _memory(value: Any) -> Any:
    """The same memory without a history; what is no tensor as it is."""
    return value.detach() if isinstance(value, Tensor) else value


def _place(t: Tensor) -> int:
    return t.untyped_storage().data_ptr()


def _arguments(func: Any) -> list[Any]:
    return list(func._schema.arguments)


def _into(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], made: list[Tensor]) -> Call:
    """The call that computes ``made`` anew where it lies."""
    if func.overloadpacket.__name__ in _COPIES:
        copied = isinstance(args[0], Tensor)
        write = torch.ops.aten.copy_.default if copied else torch.ops.aten.fill_.Scalar
        return Call(write, (made[0], args[0]))
    for other in _variants(func):
        outs = [a.name for a in _arguments(other) if a.is_out]
        if len(outs) == len(made):
            return Call(other, args, {**kwargs, **dict(zip(outs, made, strict=True))})
    return Call(func, args, kwargs, tuple(made))


def _variants(func: Any) -> Iterator[Any]:
    """Forms of an operation that write their results into given tensors."""
    wanted = [(a.name, str(a.type)) for a in _arguments(func)]
    packet = func.overloadpacket
    for name in packet.overloads():
        other = getattr(packet, name)
        given = [(a.name, str(a.type)) for a in _arguments(other) if not a.is_out]
        if len(given) < len(_arguments(other)) and given == wanted:
            yield other


def can_tape(module: nn.Module) -> bool:
    """Whether Python decides nothing inside a module that a tape would not know of.

    >>> can_tape(nn.Linear(2, 1))
    True
    """
    members = module.members if isinstance(module, Ensemble) else [module]
    kinds = [type(each) for member in members for each in member.modules()]
    ours = all(kind.__module__.split(".")[0] in ("isthmus", "torch") for kind in kinds)
    return ours and all(p.device.type == "cpu" for p in module.parameters())
