"""The optimiser: which rule moves which parameter, what it remembers, and how a step is written.

A rule is a pure function of a parameter, its gradient and what is remembered of it:

- ``adamw``: decoupled weight decay (Loshchilov & Hutter 2019, *Decoupled Weight Decay
  Regularization*, algorithm 2);
- ``muon``: the momentum of a matrix, made orthogonal by five Newton-Schulz iterations (Jordan et
  al. 2024, *Muon: An optimizer for hidden layers*), scaled so that an update has the root mean
  square of Adam's (Liu et al. 2025, *Muon is Scalable for LLM Training*, equation 4). Vectors, slow
  parameters and kernels of convolutions stay with AdamW.

The pure functions are what a traced step is made of (:mod:`isthmus.engine.traced`). A step that is
not traced takes torch's fused AdamW, on the same tensors, and both give the same figures. That is
called as a kernel: torch's class of that name imports the compiler, which takes over a second, and
its function of that name prepares for longer than a small step takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from isthmus.engine.ensemble import Ensemble
from isthmus.engine.plan import Plan

EPSILON = 1e-8
MOMENTUM = 0.95
# Quintic of Newton-Schulz with the steepest slope at zero (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Root mean square of Adam's updates, about 0.2, which Muon's are brought to.
RMS = 0.2
# What a rule remembers of a parameter, by torch's names.
SLOTS = {"adamw": ("exp_avg", "exp_avg_sq"), "muon": ("momentum_buffer",)}


class Now(NamedTuple):
    """What a rule needs of the moment; numbers, or tensors () inside a traced step.

    Attributes:
        rate: learning rate.
        first: 1 / (1 − β₁ᵗ).
        second: 1 / √(1 − β₂ᵗ).
    """

    rate: Tensor | float
    first: Tensor | float
    second: Tensor | float


@dataclass(frozen=True)
class Member:
    """One parameter: its rule, its decay and the factor of its rate."""

    parameter: nn.Parameter
    rule: str
    decay: float
    factor: float


class Optimizer:
    """Moves the parameters of a module.

    Args:
        module: parameters that require no gradient are left alone.
        plan: rule, decay, which parameters are slow.

    Attributes:
        members: the parameters that are moved, in the order of the module.
    """

    def __init__(self, module: nn.Module, plan: Plan) -> None:
        self.betas = plan.betas
        self.members = _members(module, plan)
        self.parameters: list[Tensor] = [each.parameter for each in self.members]
        self._slots: list[tuple[Tensor, ...]] = [
            tuple(torch.zeros_like(each.parameter) for _ in SLOTS[each.rule])
            for each in self.members
        ]
        # torch's fused step takes together what has the same decay and rate
        self._groups: dict[tuple[float, float], list[int]] = {}
        for i, each in enumerate(self.members):
            if each.rule == "adamw":
                self._groups.setdefault((each.decay, each.factor), []).append(i)
        self._fused = all(p.is_floating_point() for p in self.parameters)
        device = self.parameters[0].device if self.parameters else None
        self._count = torch.zeros((), device=device)  # steps done, as torch's own step wants it

    @torch.no_grad()
    def step(self, rate: float, count: int, bad: Tensor | None = None) -> None:
        """Move the parameters by their gradients, outside a trace; ``count`` steps came before.

        Where ``bad``, a truth value () on the device, nothing moves.
        """
        self._count.fill_(count + 1)
        for (decay, factor), group in self._groups.items():
            some = [i for i in group if self.parameters[i].grad is not None]
            self._adamw(some, rate * factor, decay, bad)
        now = self.now(rate, count)
        for i, each in enumerate(self.members):
            p = each.parameter
            if each.rule == "muon" and p.grad is not None:
                moved, after = self._moved(each, p, p.grad, self._slots[i], now)
                for old, new in zip((p, *self._slots[i]), (moved, *after), strict=True):
                    old.copy_(new if bad is None else torch.where(bad, old, new))

    def _adamw(self, some: list[int], rate: float, decay: float, bad: Tensor | None) -> None:
        """AdamW's step of those parameters, for which torch's own is the kernel."""
        if not some:
            return
        parameters = [self.parameters[i] for i in some]
        gradients = [_gradient(p) for p in parameters]
        means, squares = ([self._slots[i][j] for i in some] for j in (0, 1))
        first, second = self.betas
        settings: dict[str, Any] = {
            "lr": rate,
            "beta1": first,
            "beta2": second,
            "weight_decay": decay,
            "eps": EPSILON,
            "amsgrad": False,
            "maximize": False,
        }
        if self._fused:
            counts = [self._count] * len(some)
            found = None if bad is None else bad.float()
            torch._fused_adamw_(
                parameters, gradients, means, squares, [], counts, **settings, found_inf=found
            )
        elif bad is None or not bool(bad):  # complex weights, which the fused one does not take
            counts = [self._count - 1 for _ in some]  # counted on by torch
            adamw(parameters, gradients, means, squares, [], counts, **settings, foreach=True)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    def now(self, rate: float, count: int) -> Now:
        """Numbers of the step that ``count`` steps came before."""
        first, second = self.betas
        return Now(rate, 1 / (1 - first ** (count + 1)), 1 / math.sqrt(1 - second ** (count + 1)))

    def slots(self) -> list[tuple[Tensor, ...]]:
        """What is remembered of each member, the tensors themselves."""
        return self._slots

    def update(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        slots: Sequence[tuple[Tensor, ...]],
        now: Now,
    ) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
        """The step as a pure function: for each member what it and its slots become."""
        return [
            (p, memory) if g is None else self._moved(each, p, g, memory, now)
            for each, p, g, memory in zip(self.members, parameters, gradients, slots, strict=True)
        ]

    def _moved(
        self, each: Member, p: Tensor, g: Tensor, memory: tuple[Tensor, ...], now: Now
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        rate = now.rate * each.factor
        kept = p * (1 - rate * each.decay)
        if each.rule == "muon":
            (m,) = memory
            m = torch.lerp(m, g, 1 - MOMENTUM)
            ahead = torch.lerp(g, m, MOMENTUM)
            size = RMS * math.sqrt(max(p.shape[-2:]))
            return kept - rate * size * orthogonal(ahead).to(p.dtype), (m,)
        first, second = self.betas
        m, v = memory
        m = torch.lerp(m, g, 1 - first)
        v = v * second + g * g * (1 - second)
        return kept - rate * now.first * m / (v.sqrt() * now.second + EPSILON), (m, v)

    def moments(self) -> dict[str, Tensor]:
        """All that :meth:`restore` needs, by name, the tensors themselves."""
        named: dict[str, Tensor] = {}
        for key, i in self._numbers().items():
            if self.members[i].rule == "adamw":
                named[f"{key}.step"] = self._count
            for name, slot in zip(SLOTS[self.members[i].rule], self._slots[i], strict=True):
                named[f"{key}.{name}"] = slot
        return named

    def restore(self, moments: dict[str, Tensor]) -> None:
        """Take over the moments of an optimiser of the same module and plan."""
        for name, own in self.moments().items():
            own.copy_(moments[name])

    def counted(self, count: int) -> None:
        """Let torch's fused step know how many steps were done without it."""
        self._count.fill_(count)

    def _numbers(self) -> dict[int, int]:
        """Number in a checkpoint → number of the member: group after group, as torch counts."""
        order = [i for group in self._groups.values() for i in group]
        order += [i for i, each in enumerate(self.members) if each.rule == "muon"]
        return dict(enumerate(order))


def _gradient(p: Tensor) -> Tensor:
    assert p.grad is not None  # noqa: S101  (the caller left out the others)
    return p.grad


def orthogonal(g: Tensor) -> Tensor:
    """The nearest orthogonal matrix to each (…, A, B), to within what five iterations give.

    Singular values end between about 0.7 and 1.2, in bfloat16, whose products are the fast ones.

    >>> values = torch.linalg.svdvals(orthogonal(torch.eye(3, 4) * 5).float())
    >>> bool(((values > 0.5) & (values < 1.5)).all())
    True
    """
    a, b, c = QUINTIC
    tall = g.shape[-2] > g.shape[-1]
    x = (g.mT if tall else g).bfloat16()
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    nearest: Tensor = x.mT if tall else x
    return nearest


def _members(module: nn.Module, plan: Plan) -> list[Member]:
    """Matrices decay, vectors and slow parameters do not."""
    axes = 2 + isinstance(module, Ensemble)
    members = []
    for name, p in module.named_parameters():
        if not p.requires_grad:
            continue
        slow = any(part in name.replace("/", ".") for part in plan.slow)
        decay = plan.weight_decay if p.ndim >= axes and not slow else 0.0
        matrix = p.ndim == axes and not slow and min(p.shape[-2:]) > 1
        rule = "muon" if plan.optimizer == "muon" and matrix else "adamw"
        members.append(Member(p, rule, decay, plan.slow_factor if slow else 1.0))
    return members
