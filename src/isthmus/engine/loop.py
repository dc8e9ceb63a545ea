"""The loop: a generator that trains and hands over after every round.

Who consumes it decides what a round means: keep the best state, report, stop by leaving the
``for``. Nothing is synchronised with the host inside a round.
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from isthmus.data.batches import Batch, Batches
from isthmus.engine.checkpoint import State, part, under
from isthmus.engine.ensemble import Ensemble
from isthmus.engine.optimizer import Optimizer
from isthmus.engine.plan import Plan
from isthmus.engine.products import LossScale, half_products, tensor_cores
from isthmus.engine.tape import Tape, can_tape
from isthmus.engine.traced import Traced, steps_a_call, traced
from isthmus.random import generators, set_generators

Validate = Callable[[nn.Module], dict[str, Tensor]]


@dataclass(frozen=True)
class Round:
    """What happened since the round before.

    Attributes:
        step: steps done so far; 0 is the start, before any.
        epoch: rows seen so far divided by rows there are.
        seconds: since the start of the run.
        terms: mean of each loss term over the round's rows, nats per sample, of the last member of
            an ensemble; empty at step 0.
        validation: {name: (n,)} of the held-out rows, or None.
        learning_rate: of the last step.
    """

    step: int
    epoch: float
    seconds: float
    terms: dict[str, float]
    validation: dict[str, Tensor] | None
    learning_rate: float

    @property
    def loss(self) -> float:
        """Sum of the terms, nats per sample."""
        return math.fsum(self.terms.values())


class Training:
    """Optimiser, average and step count of one module.

    Args:
        module: forward(*batch) returns {name: (n,)}, or {name: (M, n)} of an ensemble, whose
            members' losses are added; ``set_progress(share)`` is called before every step where
            the module has it.
        plan: what to do.

    Attributes:
        kept: the module to validate and keep, the averaged one unless ``averaging`` is 0.
    """

    def __init__(self, module: nn.Module, plan: Plan) -> None:
        self.module = module
        self.plan = plan
        self.step_count = 0
        self.rate_scale = 1.0
        self.retries = 0
        self._row_axis = 1 if isinstance(module, Ensemble) else 0
        self._n_pieces = 1
        self._drawn = 0
        self._seconds = 0.0
        self._begun = False
        self._generators = generators()
        self._optimizer = Optimizer(module, plan)
        device = next((p.device for p in self._optimizer.parameters), torch.device("cpu"))
        self._scale = LossScale.first(device) if plan.precision == "float16" else None
        # an average is only ever judged
        self.kept = module if plan.averaging == 0 else copy.deepcopy(module).eval()
        self._averages: list[Tensor] = [p for p in self.kept.parameters() if p.requires_grad]
        # walking through the modules costs as much as the averaging, so once
        self._constants = [t for t in self.kept.buffers() if t.is_floating_point()]
        self._buffers = [t for t in module.buffers() if t.is_floating_point()]
        scheduled = getattr(module, "is_scheduled", True)
        self._set_progress = getattr(module, "set_progress", None) if scheduled else None
        self._traced: Traced | None = None
        self._may_trace = True
        self._tape: Tape | None = None
        self._may_tape = can_tape(module)
        self._warm = False

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step; returns each term's mean over the batch, () or (M,), without waiting."""
        return self.steps([batch])

    def steps(self, group: Sequence[Batch]) -> dict[str, Tensor]:
        """A step for each batch; returns the sums over them of what :meth:`step` returns."""
        plan, t = self.plan, self.step_count
        if self._set_progress is not None:
            self._set_progress(t / plan.steps if plan.steps else 1.0)
        with tensor_cores(group[0][0].device.type, plan.precision):
            compiled = self._compiled(group)
            terms = None if compiled is None else self._fast(compiled, group)
            if terms is None and len(group) > 1:
                return _summed(self.step(batch) for batch in group)
            if terms is None:
                terms = self._plain(group[0])
        if self.kept is not self.module and self._buffers:
            torch._foreach_copy_(self._constants, self._buffers)
        self.step_count += len(group)
        return terms

    def _plain(self, batch: Batch) -> dict[str, Tensor]:
        """A step operation by operation."""
        if self._traced is not None:
            self._optimizer.counted(self.step_count)
        terms = self._gradients(batch)
        bad = None if self._scale is None else self._unscaled(self._scale)
        if self.plan.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._optimizer.parameters, self.plan.clip_norm)
        self._optimizer.step(self._rate(self.step_count), self.step_count, bad)
        if self._scale is not None and bad is not None:
            self._scale.update(bad)
        self._optimizer.zero_grad()
        if self.kept is not self.module:
            with torch.no_grad():
                torch._foreach_lerp_(
                    self._averages, self._optimizer.parameters, 1 - self._decay(self.step_count)
                )
        return terms

    def _unscaled(self, scale: LossScale) -> Tensor:
        """Gradients in their own size; whether one of them is not finite."""
        moved = [p for p in self._optimizer.parameters if p.grad is not None]
        gradients, bad = scale.unscaled([p.grad for p in moved])
        for p, g in zip(moved, gradients, strict=True):
            p.grad = g
        return bad

    def _compiled(self, group: Sequence[Batch]) -> Traced | None:
        """The compiled call, made at the first batches, where it is wanted and takes these."""
        if self._traced is None and self._may_trace:
            self._may_trace = False
            averages = [] if self.kept is self.module else self._averages
            rows = group[0][0].shape[self._row_axis]
            self._traced = traced(
                self.module, averages, self._optimizer, self.plan, group, rows, self._scale
            )
        fits = self._traced is not None and self._traced.takes(group)
        return self._traced if fits else None

    def forget(self) -> None:
        """Write the gradients down anew: the module may have been changed from outside."""
        self._tape, self._warm = None, False

    def _fast(self, compiled: Traced, group: Sequence[Batch]) -> dict[str, Tensor] | None:
        """The compiled call; where the memory is too short for it, None from then on.

        Of several steps some may have been taken then, so that going on would repeat them: the
        error ends the training, whose last round is what counts.
        """
        moments = [
            (self._optimizer.now(self._rate(t), t), self._decay(t))
            for t in range(self.step_count, self.step_count + len(group))
        ]
        try:
            return compiled(group, moments)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or len(group) > 1:
                raise
        self._optimizer.counted(self.step_count)
        self._traced = None
        return None

    def _rate(self, step: int) -> float:
        return self.plan.rate(min(step, self.plan.steps)) * self.rate_scale

    def _decay(self, step: int) -> float:
        """Of the average: young ones forget faster, after t steps the last tenth of them counts."""
        return min(self.plan.averaging, (step + 1) / (step + 10))

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Backward through the mean loss of the batch, in pieces if the memory asks for it."""
        while True:
            try:
                if self._tape is not None and self._n_pieces == 1 and self._tape.takes(batch):
                    return self._tape.play(batch)
                # not the first step: some things are decided and made there
                if self._tape is None and self._may_tape and self._warm:
                    self._tape = Tape(self._optimizer.parameters)
                    return self._tape.record(self._in_pieces, batch)
                self._warm = True
                return self._in_pieces(batch)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self._n_pieces >= batch[0].shape[self._row_axis]:
                    raise
            self._optimizer.zero_grad()
            self._n_pieces *= 2
            if self._n_pieces == 2:
                warnings.warn(
                    "A batch does not fit into memory: it is divided, and the step repeated.",
                    stacklevel=2,
                )

    def _in_pieces(self, batch: Batch) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        n_rows = batch[0].shape[self._row_axis]
        # an empty piece would have a mean that is no number
        n_pieces = min(self._n_pieces, n_rows)
        pieces = [torch.tensor_split(each, n_pieces, self._row_axis) for each in batch]
        for piece in zip(*pieces, strict=True):
            with half_products(batch[0].device.type, self.plan.precision):
                terms = {name: value.mean(-1) for name, value in self.module(*piece).items()}
                loss = torch.stack(list(terms.values())).sum()
            share = piece[0].shape[self._row_axis] / n_rows
            loss = loss if share == 1 else share * loss
            (loss if self._scale is None else loss * self._scale.scale).backward()
            for name, value in terms.items():
                part_of = value.detach() * share if share < 1 else value.detach()
                total[name] = total[name] + part_of if name in total else part_of
        return total

    def rounds(
        self, source: Batches, order_seed: int, validate: Validate | None = None
    ) -> Iterator[Round]:
        """Train through the plan; the first round is the state before the first step.

        ``validate`` gets the module to keep, in evaluation mode and without gradients. A training
        that was restored goes on where it was. What the consumer draws between two rounds from
        torch's global generators leaves the training as it is.
        """
        plan = self.plan
        began = time.perf_counter() - self._seconds
        batches = source.shuffled(plan.batch_size, order_seed, skip=self._drawn)
        size = min(plan.batch_size, source.n_rows)
        if not self._begun:
            yield from self._hand_over(self._round({}, 0, size / source.n_rows, began, validate))
        if not self.module.training:
            self.module.train()
        at_once = steps_a_call(self.module, plan, size)
        while self.step_count < plan.steps:
            n_steps = min(plan.evaluate_every, plan.steps - self.step_count)
            total = _summed(self._calls(batches, n_steps, at_once))
            yield from self._hand_over(
                self._round(total, n_steps, size / source.n_rows, began, validate)
            )

    def _calls(
        self, batches: Iterator[Batch], n_steps: int, at_once: int
    ) -> Iterator[dict[str, Tensor]]:
        for first in range(0, n_steps, at_once):
            group = list(islice(batches, min(at_once, n_steps - first)))
            self._drawn += len(group)
            yield self.steps(group)

    def _hand_over(self, now: Round) -> Iterator[Round]:
        """To the consumer, whose draws are its own affair."""
        self._begun, self._generators = True, generators()
        yield now
        set_generators(self._generators)

    def state(self) -> State:
        """All that :meth:`restore` needs after a round, copied, torch's generators included."""
        if self._traced is not None:
            self._optimizer.counted(self.step_count)
        tensors = {
            **under("module", self.module.state_dict()),
            **under("optimizer", self._optimizer.moments()),
            **under("generator", self._generators),
        }
        if self._scale is not None:
            tensors |= under("loss_scale", self._scale.tensors())
        if self.kept is not self.module:
            tensors |= under("kept", self.kept.state_dict())
        facts = {
            "step_count": self.step_count,
            "rate_scale": self.rate_scale,
            "retries": self.retries,
            "drawn": self._drawn,
            "n_pieces": self._n_pieces,
            "seconds": self._seconds,
        }
        return State(facts, {name: tensor.detach().clone() for name, tensor in tensors.items()})

    def restore(self, state: State) -> None:
        """Go back, or on, to a state of a training with the same module and plan."""
        facts, tensors = state.facts, state.tensors
        self.module.load_state_dict(part("module", tensors))
        if self.kept is not self.module:
            self.kept.load_state_dict(part("kept", tensors))
        self._optimizer.restore(part("optimizer", tensors))
        self._optimizer.zero_grad()  # of a step that was cut short
        if self._scale is not None:
            for name, found in part("loss_scale", tensors).items():
                self._scale.tensors()[name].copy_(found)
        self.step_count = int(facts["step_count"])
        self.rate_scale, self.retries = float(facts["rate_scale"]), int(facts["retries"])
        self._drawn, self._n_pieces = int(facts["drawn"]), int(facts["n_pieces"])
        self._seconds = float(facts["seconds"])
        self._begun, self._generators = True, part("generator", tensors)
        set_generators(self._generators)

    def retry(self, good: State) -> None:
        """Undo the steps since a good state and go on from it, over other rows, at half the rate.

        The rows that led astray are not drawn again at once.
        """
        drawn, scale, retries = self._drawn, self.rate_scale, self.retries
        self.restore(good)
        self._drawn, self.rate_scale, self.retries = drawn, scale / 2, retries + 1

    def _round(
        self,
        total: dict[str, Tensor],
        n_steps: int,
        epochs_a_step: float,
        began: float,
        validate: Validate | None,
    ) -> Round:
        validation = None
        if validate is not None:
            with judged(self.kept), torch.no_grad():
                validation = validate(self.kept)
        self._seconds = time.perf_counter() - began
        return Round(
            step=self.step_count,
            epoch=self.step_count * epochs_a_step,
            seconds=self._seconds,
            terms={name: float(value.reshape(-1)[-1]) / n_steps for name, value in total.items()},
            validation=validation,
            learning_rate=self.plan.rate(max(0, self.step_count - 1)) * self.rate_scale,
        )


@contextmanager
def judged(module: nn.Module) -> Iterator[None]:
    """In evaluation mode meanwhile; afterwards each part is in the mode that it was in.

    A part may be kept in evaluation mode throughout a training, such as frozen batch norms.

    >>> net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    >>> with judged(net):
    ...     [part.training for part in net]
    [False, False]
    >>> [part.training for part in net]
    [True, False]
    """
    members = module.members if isinstance(module, Ensemble) else []
    trained = [part for each in (module, *members) for part in each.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in trained:
            part.training = True


def _summed(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for terms in parts:
        for name, value in terms.items():
            total[name] = total[name] + value if name in total else value
    return total


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short, on whatever device.

    >>> (
    ...     out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory")),
    ...     out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied")),
    ... )
    (True, False)
    """
    said = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "DefaultCPUAllocator" in said and "allocate" in said
    )
