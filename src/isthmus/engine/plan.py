"""The plan of a training run: how many steps of which size, decided before the first one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from isthmus.engine.products import Precision
from isthmus.errors import InvalidParameterError

Rule = Literal["adamw", "muon"]
RULES = ("adamw", "muon")


@dataclass(frozen=True)
class Plan:
    """Everything the loop needs to know.

    Attributes:
        steps: optimiser steps of the whole run, at least 0.
        batch_size: rows of a step.
        evaluate_every: steps of a round; validation comes after each round.
        learning_rate: peak rate of AdamW.
        slow: parameters whose name contains one of these take ``slow_factor`` times the rate.
        slow_factor: see ``slow``.
        warmup: share of the steps over which the rate rises linearly from 0; then it falls to
            0 as half a cosine (Loshchilov & Hutter 2017, SGDR, one cycle).
        weight_decay: decoupled decay of matrices; vectors and scalars are not decayed.
        betas: AdamW's.
        clip_norm: the gradient's norm is cut to this, None for never.
        averaging: decay of the exponential average of the weights that is validated and kept,
            0 for the weights themselves.
        patience: rounds without a better validation loss after which the run ends, or None.
        precision: what matrix products run in (:mod:`isthmus.engine.products`); losses and weights
            are always float32 or wider.
        compile: whether the step is compiled (:mod:`isthmus.engine.traced`); "auto" where the plan
            is long enough.
        optimizer: "adamw", or "muon" for matrices (:mod:`isthmus.engine.optimizer`).
        constant: whether the rate stays at its peak, for training without a known end.
    """

    steps: int
    batch_size: int
    evaluate_every: int = 50
    learning_rate: float = 5e-3
    slow: tuple[str, ...] = ()
    slow_factor: float = 1.0
    warmup: float = 0.05
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float | None = None
    averaging: float = 0.99
    patience: int | None = None
    precision: Precision = "float32"
    compile: bool | Literal["auto"] = False
    optimizer: Rule = "adamw"
    constant: bool = False

    def __post_init__(self) -> None:
        for name, value, least in (
            ("steps", self.steps, 0),
            ("batch_size", self.batch_size, 1),
            ("evaluate_every", self.evaluate_every, 1),
        ):
            if value < least:
                raise InvalidParameterError(f"{name}={value}", f"must be at least {least}")
        for name, rate in (
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
        ):
            if not 0.0 <= rate < math.inf:
                raise InvalidParameterError(
                    f"{name}={rate!r}", "must be a finite number of at least 0"
                )
        for name, decay in (("averaging", self.averaging), *(("betas", b) for b in self.betas)):
            if not 0.0 <= decay < 1.0:
                raise InvalidParameterError(
                    f"{name}={getattr(self, name)!r}", "must be at least 0 and below 1"
                )
        if not 0.0 <= self.warmup <= 1.0:
            raise InvalidParameterError(
                f"warmup={self.warmup!r}", "must be a share of the steps, between 0 and 1"
            )

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, …, ``steps`` − 1.

        >>> plan = Plan(steps=100, batch_size=1, learning_rate=1.0, warmup=0.1)
        >>> [round(plan.rate(t), 3) for t in (0, 9, 55, 99)]
        [0.1, 1.0, 0.5, 0.0]
        """
        if self.constant:
            return self.learning_rate
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, self.steps - rise)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
