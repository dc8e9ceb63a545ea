"""Which state of a training is kept: the best on held-out rows, if it beats the start."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.core.autoencoder import Autoencoder
from isthmus.engine.checkpoint import State, part, under
from isthmus.engine.loop import Round
from isthmus.errors import DivergedError
from isthmus.estimators._validation import Validation

# Standard errors (paired over rows) by which held-out loss must improve on the linear start.
GATE = 1.0


class Search:
    """The best state so far, by the losses of held-out rows; without any, the latest state."""

    def __init__(
        self, patience: int | None, validation: Validation | None, state: dict[str, Tensor]
    ) -> None:
        self.patience = patience
        self.validation = validation
        self.best = state
        self.best_step = 0
        self.best_judged: dict[str, Tensor] | None = None
        self.start_judged: dict[str, Tensor] | None = None
        self.residual: Tensor | None = None
        self.start_residual: Tensor | None = None
        self.diverged = False
        self._waited = 0

    def look(self, now: Round, kept: Autoencoder) -> bool:
        """Take in a round; whether training should end."""
        judged = now.validation or {"loss": torch.zeros(1)}
        loss = judged["loss"]
        finite = bool(loss.isfinite().all()) and math.isfinite(now.loss)
        if self.validation is None:  # the last step's weights have not been through a loss yet
            finite = finite and all(bool(p.isfinite().all()) for p in kept.parameters())
        if not finite and now.step == 0:
            raise DivergedError(
                "the loss before the first step",
                "is not a finite number",
                "Look for values of extreme size in the data, or change the likelihood.",
            )
        self.diverged = not finite
        if self.diverged:
            return True
        self._waited += 1
        better = self.best_judged is None or float(loss.mean()) < float(
            self.best_judged["loss"].mean()
        )
        if better or self.validation is None:
            self.best, self.best_step, self.best_judged = snapshot(kept), now.step, judged
            self.residual = None if self.validation is None else self.validation.residual
            self._waited = 0
        if self.start_judged is None:
            self.start_judged, self.start_residual = judged, self.residual
        tired = self.patience is not None and self._waited >= self.patience
        return tired and self.validation is not None

    def state(self) -> State:
        """For :meth:`restore`."""
        found: dict[str, Tensor] = under("best", self.best)
        for name in ("best_judged", "start_judged"):
            found |= under(name, getattr(self, name) or {})
        for name in ("residual", "start_residual"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        facts = {"best_step": self.best_step, "waited": self._waited, "diverged": self.diverged}
        return State(facts, found)

    def restore(self, state: State) -> None:
        """Go on from that state."""
        device = next(iter(self.best.values())).device
        tensors = {name: tensor.to(device) for name, tensor in state.tensors.items()}
        self.best = part("best", tensors)
        self.best_judged = part("best_judged", tensors) or None
        self.start_judged = part("start_judged", tensors) or None
        self.residual, self.start_residual = tensors.get("residual"), tensors.get("start_residual")
        self.best_step, self._waited = int(state.facts["best_step"]), int(state.facts["waited"])
        self.diverged = bool(state.facts["diverged"])

    def worth_leaving(self) -> bool:
        """Whether the best state beats the start by more than GATE standard errors."""
        if self.validation is None or self.start_judged is None or self.best_judged is None:
            return True
        gain = (self.start_judged["loss"] - self.best_judged["loss"]).double()
        error = float(gain.std()) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        return float(gain.mean()) > GATE * error


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of its tensors."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
