"""The training step as one compiled graph: forward, backward, optimiser and average.

The step is run once on tensors without data, every operation is written down
(``torch.fx.experimental.proxy_tensor.make_fx``), and TorchInductor makes machine code of the list.
Against a step from Python that leaves out the time between operations, and the optimiser and the
casts to bfloat16 run through each weight once. The compiled step works in place on the tensors of
the training, so that the two kinds of step can follow each other.

What is written down is fixed: shapes, training mode, and every decision that Python took on the
way. Numbers that change from step to step are tensors. Random numbers are drawn by torch's own
functions, from its generators, as without a trace. Results agree with those of the plain step to
rounding (tests/test_traced.py).

Compiling takes 18 to 24 s on two cores where nothing is known, 3 s from the cache, which is a
folder that stays (``TORCHINDUCTOR_CACHE_DIR``, or isthmus/compiled in the user's cache).
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from isthmus.data.batches import Batch
from isthmus.engine import convolutions
from isthmus.engine.allocator import Kept
from isthmus.engine.optimizer import Now, Optimizer
from isthmus.engine.plan import Plan
from isthmus.engine.products import LossScale, half_products

Step = Callable[..., list[Tensor]]
# Numbers of a step, and the decay of the average.
Moment = tuple[Now, float]
# Seconds that compiling takes where nothing is cached.
COST = 20.0
# Seconds that a step saves (benchmarks/training.py): of Python, of passes over the weights, of the
# arithmetic.
SAVED = 5e-4
SAVED_A_WEIGHT = 2.5e-9
SAVED_A_PRODUCT = 8e-12
# Of a step that computes less than so many products of a row and a weight, half goes to the call:
# several in one save SAVED_A_CALL each, and take 40 s longer to compile.
TINY = 1_000_000
SAVED_A_CALL = 8e-5
COST_OF_SEVERAL = 40.0
MOST_AT_ONCE = 5


class Traced:
    """Compiled steps of a training, one or several a call.

    Args:
        module: in training mode.
        averages: of the optimiser's parameters, or nothing.
        optimizer: whose parameters and memory are changed in place.
        plan: of the training.
        group: batches of as many steps as a call takes, like all to come.
        scale: of the loss in float16, changed in place too.

    Raises:
        Exception: whatever tracing or compiling raises; nothing has been changed then.
    """

    def __init__(
        self,
        module: nn.Module,
        averages: Sequence[Tensor],
        optimizer: Optimizer,
        plan: Plan,
        group: Sequence[Batch],
        scale: LossScale | None = None,
    ) -> None:
        self._module, self._averages, self._optimizer = module, list(averages), optimizer
        self._plan, self._scale = plan, scale
        self._like = _shapes(group)
        self._names: list[str] = []
        moved = {id(p) for p in self._optimizer.parameters}
        tensors = {**dict(self._module.named_parameters()), **dict(self._module.named_buffers())}
        by_id = {id(t): name for name, t in tensors.items()}
        self._moved = [by_id[id(p)] for p in self._optimizer.parameters]
        self._others = [name for name, t in tensors.items() if id(t) not in moved]
        slots = self._optimizer.slots()
        self._sizes = [len(each) for each in slots]
        self._fixed = [
            *(p.detach() for p in self._optimizer.parameters),
            *(t for each in slots for t in each),
            *(a.detach() for a in self._averages),
            *(tensors[name].detach() for name in self._others),
            *([] if scale is None else scale.tensors().values()),
        ]
        # one tensor that is written anew: making one takes as long as a small product
        self._numbers = torch.zeros(len(group), 4)
        self._written = self._numbers.numpy()
        numbers = self._numbers.to(group[0][0].device)
        self._call = _compiled(self._steps, [*self._fixed, *(t for b in group for t in b), numbers])
        self._kept = Kept()

    def takes(self, group: Sequence[Batch]) -> bool:
        """Whether the call was compiled for batches of those shapes."""
        return _shapes(group) == self._like

    def __call__(self, group: Sequence[Batch], moments: Sequence[Moment]) -> dict[str, Tensor]:
        """A step for each batch; the sum over the steps of each term's mean over its batch."""
        for row, (now, decay) in zip(self._written, moments, strict=True):
            row[:] = (*now, 1 - decay)
        numbers = self._numbers
        if group[0][0].device.type != "cpu":
            numbers = numbers.to(group[0][0].device)
        batches = (t for batch in group for t in batch)
        return dict(zip(self._names, self._call(*self._fixed, *batches, numbers), strict=True))

    def _steps(self, *tensors: Tensor) -> list[Tensor]:
        n, size = len(self._fixed), len(self._like[0])
        *batches, numbers = tensors[n:]
        sums: list[Tensor] = []
        for i, row in enumerate(numbers.unbind()):
            terms = self._step(*tensors[:n], *batches[i * size : (i + 1) * size], row)
            sums = [a + b for a, b in zip(sums, terms, strict=True)] if sums else terms
        return sums

    def _step(self, *tensors: Tensor) -> list[Tensor]:
        rest = iter(tensors)
        parameters = list(islice(rest, len(self._moved)))
        slots = [tuple(islice(rest, size)) for size in self._sizes]
        averages = list(islice(rest, len(self._averages)))
        others = dict(zip(self._others, islice(rest, len(self._others)), strict=True))
        scale = None if self._scale is None else LossScale(*islice(rest, 2))
        *batch, numbers = rest
        rate, first, second, young = numbers.unbind()
        leaves = [p.detach().requires_grad_() for p in parameters]
        given = {**others, **dict(zip(self._moved, leaves, strict=True))}
        with half_products(numbers.device.type, self._plan.precision):
            terms = torch.func.functional_call(self._module, given, tuple(batch))
            means = {name: value.mean(-1) for name, value in terms.items()}
            loss = torch.stack(list(means.values())).sum()
        self._names = list(means)
        scaled = loss if scale is None else loss * scale.scale
        found: list[Tensor | None] = [*torch.autograd.grad(scaled, leaves, allow_unused=True)]
        with torch.no_grad():
            bad = None
            if scale is not None:
                found, bad = scale.unscaled(found)
                scale.update(bad)
            gradients = _clipped(found, self._plan.clip_norm)
            after = self._optimizer.update(parameters, gradients, slots, Now(rate, first, second))
            for p, memory, (moved, remembered) in zip(parameters, slots, after, strict=True):
                for old, new in zip((p, *memory), (moved, *remembered), strict=True):
                    old.copy_(new if bad is None else torch.where(bad, old, new))
            for a, p in zip(averages, parameters, strict=bool(averages)):
                a.copy_(torch.lerp(a, p, young))
        return [value.detach() for value in means.values()]


def _clipped(gradients: Sequence[Tensor | None], most: float | None) -> Sequence[Tensor | None]:
    if most is None:
        return gradients
    norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    share = (most / (norm + 1e-6)).clamp(max=1.0)
    return [None if g is None else g * share for g in gradients]


def _shapes(group: Sequence[Batch]) -> list[list[torch.Size]]:
    return [[t.shape for t in batch] for batch in group]


def _graph(step: Step, example: list[Tensor]) -> torch.fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    graph: torch.fx.GraphModule = make_fx(
        step,
        decomposition_table=convolutions.table(example[0].device),
        tracing_mode="fake",
        _allow_non_fake_inputs=True,
    )(*example)
    convolutions.without_repetition(graph.graph)
    graph.recompile()
    return graph


def _compiled(step: Step, example: list[Tensor]) -> Step:
    # here and above, because these imports take a second and few trainings need them
    from torch._inductor import standalone_compile

    with _cache(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its own parts
        graph = _graph(step, example)
        patches = {
            "fallback_random": True,
            "size_asserts": False,
            # no pool of processes that outlives the fit
            "compile_threads": 1,
            # part of the key of the cache, so that code for one thread is not taken for two
            "cpp.threads": torch.get_num_threads(),
        }
        compiled: Step = standalone_compile(
            graph,
            [*example],
            dynamic_shapes="from_example_inputs",
            options={"config_patches": patches},
        )
    return compiled


@contextmanager
def _cache() -> Iterator[None]:
    """Compiled code is kept in the user's cache unless they chose a folder."""
    name = "TORCHINDUCTOR_CACHE_DIR"
    chosen = os.environ.get(name)
    if chosen is None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        os.environ[name] = str(Path(base) / "isthmus" / "compiled")
    try:
        yield
    finally:
        if chosen is None:
            os.environ.pop(name, None)


def can_compile(device: torch.device) -> bool:
    """Whether there is what compiling needs: a C++ compiler on a CPU, triton on a GPU.

    >>> can_compile(torch.device("meta"))
    False
    """
    if device.type == "cpu":
        return any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name)
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return bool(has_triton())
    return False


def is_worth(module: nn.Module, plan: Plan, rows: int) -> bool:
    """Whether a plan is so long that compiling its step costs less than it saves.

    Decided by sizes, not by the clock, so that equal fits take equal steps. A network with foreign
    modules is not compiled unasked: what Python decides inside them would be fixed. Neither is
    one with convolutions, of which it is not known what they save.

    >>> tall = nn.Linear(784, 512)
    >>> [is_worth(tall, Plan(steps=n, batch_size=256), 256) for n in (1000, 100_000)]
    [False, True]
    """
    kinds = [type(each) for each in module.modules()]
    ours = all(kind.__module__.split(".")[0] in ("isthmus", "torch") for kind in kinds)
    convolves = any(issubclass(kind, nn.modules.conv._ConvNd) for kind in kinds)
    weights = sum(p.numel() for p in module.parameters())
    saved = SAVED + weights * (SAVED_A_WEIGHT + rows * SAVED_A_PRODUCT)
    return ours and not convolves and plan.steps * saved > COST


def steps_a_call(module: nn.Module, plan: Plan, rows: int) -> int:
    """Steps of a compiled call: several of a tiny network that is trained for long.

    As many as divide the steps of a round. A module that follows a schedule is told its progress
    before every step, so it takes one.

    >>> net, steps = nn.Linear(64, 32), (10_000, 1_000_000)
    >>> [steps_a_call(net, Plan(steps=n, batch_size=64, compile=True), 64) for n in steps]
    [1, 5]
    """
    weights = sum(p.numel() for p in module.parameters())
    scheduled = hasattr(module, "set_progress") and getattr(module, "is_scheduled", True)
    worth = plan.steps * SAVED_A_CALL > COST_OF_SEVERAL and weights * rows < TINY
    if plan.compile is False or scheduled or not worth:
        return 1
    return max(k for k in range(1, MOST_AT_ONCE + 1) if plan.evaluate_every % k == 0)


def traced(
    module: nn.Module,
    averages: Sequence[Tensor],
    optimizer: Optimizer,
    plan: Plan,
    group: Sequence[Batch],
    rows: int,
    scale: LossScale | None = None,
) -> Traced | None:
    """The compiled steps of a plan, or None where it is not wanted, not worth it, or not possible.

    That it is not possible is said once, as a warning.
    """
    if plan.compile is False or (plan.compile == "auto" and not is_worth(module, plan, rows)):
        return None
    device = group[0][0].device
    if not can_compile(device):
        _say("there is no C++ compiler" if device.type == "cpu" else f"not for {device.type}")
        return None
    try:
        return Traced(module, averages, optimizer, plan, group, scale)
    except Exception as error:  # torch's compiler raises what it likes; the plain step remains
        _say(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")
        return None


_said: set[str] = set()


def _say(reason: str) -> None:
    if reason not in _said:
        _said.add(reason)
        warnings.warn(f"The training step is not compiled: {reason[:200]}", stacklevel=4)
