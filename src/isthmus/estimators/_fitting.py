"""From rows to a trained autoencoder: who is held out, which state is kept, and why.

*Many rows*: a random part is held out; the state with the lowest loss on it is kept.

*Few rows*: holding rows back costs more than a network gains, so the number of steps is
cross-validated. K autoencoders, each without one fold, and one of all rows are trained as one
ensemble on one schedule; the round at which the pooled loss of the K on the rows
they did not see is lowest decides which state of the one of all rows is kept.

*Never worse*: a linear start is left only if the held-out loss improves by more than
:data:`GATE` standard errors (paired over rows); otherwise the result is the linear start on all
rows, that is PCA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LocationScale
from isthmus.core.linear_start import has_linear_paths, linear_start, set_box
from isthmus.core.trace import sum_features
from isthmus.data.source import Source, TensorSource
from isthmus.data.split import folds, hold_out
from isthmus.engine.ensemble import Ensemble, EnsembleSource
from isthmus.engine.loop import Round, Training
from isthmus.engine.plan import Plan
from isthmus.engine.threads import suitable_threads
from isthmus.errors import DivergedError
from isthmus.random import Seeds, fork

GATE = 1.0
_CHUNK = 4096


# Indices of the rows one autoencoder is trained on, and of those it is judged by.
Part = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Selection:
    """How the state to keep is chosen: ``n_folds`` ≥ 2, or ``n_held_out`` rows, or neither (0)."""

    n_folds: int = 0
    n_held_out: int = 0

    def parts(self, n_rows: int, seed: int) -> list[Part]:
        """(training rows, held-out rows) of each autoencoder; the last one is kept."""
        everything = torch.arange(n_rows)
        if self.n_folds > 1:
            return [*folds(n_rows, self.n_folds, seed), (everything, None)]
        if self.n_held_out > 0:
            return [hold_out(n_rows, self.n_held_out, seed)]
        return [(everything, None)]


@dataclass(frozen=True)
class Progress:
    """What a listener is told after every round; losses are nats per sample in data units.

    Attributes:
        step, steps, epoch, seconds: how far the run is, of how much.
        terms: mean of each loss term over the round's training rows.
        validation: held-out loss, NaN without held-out rows.
        squared_error: held-out squared error per sample, in the squared units of
            ``Scaling.unit``: of the data, or standard deviations if each feature has its own.
        pca_squared_error: the line to beat: PCA with as many components, on the same rows, with
            the same corruption.
        best_step: step of the lowest held-out loss so far.
    """

    step: int
    steps: int
    epoch: float
    seconds: float
    terms: dict[str, float]
    validation: float
    squared_error: float
    pca_squared_error: float
    best_step: int

    @property
    def seconds_left(self) -> float:
        """If the remaining steps take as long as those done."""
        return self.seconds / self.step * (self.steps - self.step) if self.step else math.nan

    def as_dict(self) -> dict[str, float]:
        """One flat row of the history."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            **self.terms,
            "loss": math.fsum(self.terms.values()) if self.terms else math.nan,
            "validation": self.validation,
            "squared_error": self.squared_error,
            "pca_squared_error": self.pca_squared_error,
        }


Listener = Callable[[Progress], None]


@dataclass
class Fit:
    """What :func:`fit` leaves: the trained module in evaluation mode and how it came about."""

    autoencoder: Autoencoder
    history: list[dict[str, float]] = field(default_factory=list)
    best_step: int = 0
    interrupted: bool = False
    diverged: bool = False
    stayed_linear: bool = False


class Validation:
    """Losses of held-out rows: the loss at the optimal free scale, and the squared error.

    A learned σ follows the training error; on held-out rows the likelihood is judged at the σ
    that suits them, so that the choice of the state does not punish a falling training error.

    Args:
        parts: one source of held-out rows for each autoencoder that is judged.
        unit: (*F,) unit of each feature in which errors are reported (``Scaling.unit``).
        noise_seed: noise and corruption are the same at every call.

    Attributes:
        residual: (*F,) mean residual of the last call, what a free scale is set from.
    """

    def __init__(self, parts: list[TensorSource], unit: Tensor, noise_seed: int) -> None:
        self.parts = parts
        self.unit = unit
        self.noise_seed = noise_seed
        self.residual: Tensor | None = None

    def __call__(self, module: nn.Module) -> dict[str, Tensor]:
        """{"loss": (n,), "squared_error": (n,)} of all held-out rows, part after part."""
        judged = list(zip(_members(module), self.parts, strict=False))
        residuals, losses = [], []
        for member, part in judged:
            head = member.likelihood
            if not head.free_scale:
                losses.append(self._losses(member, part))
                continue
            before = {name: value.clone() for name, value in head.state_dict().items()}
            residuals.append(self._mean_residual(member, part))
            head.calibrate(residuals[-1])
            losses.append(self._losses(member, part))
            head.load_state_dict(before)
        if residuals:
            sizes = [part.n_rows / self.n_rows for part in self.parts]
            self.residual = torch.stack(
                [residual * size for residual, size in zip(residuals, sizes, strict=True)]
            ).sum(0)
        return {name: torch.cat([each[name] for each in losses]) for name in losses[0]}

    @property
    def n_rows(self) -> int:
        """Held-out rows in all."""
        return sum(part.n_rows for part in self.parts)

    def _losses(self, module: Autoencoder, part: TensorSource) -> dict[str, Tensor]:
        losses, errors = [], []
        with fork(self.noise_seed):
            for x, *mask in part.batches(_CHUNK):
                trace = module.trace(x, *mask, corrupt=True)
                losses.append(torch.stack(list(module.terms(trace).values())).sum(0))
                p = trace.p if module.deterministic else module.decoder(trace.q.mean[None], 2)
                residual = (module.likelihood.expectation(p)[0] - x).double()
                error = (residual * self.unit).square()  # float64: units may be 1e30
                errors.append(sum_features(error, x.ndim - 1, mask[0].double() if mask else None))
        return {"loss": torch.cat(losses), "squared_error": torch.cat(errors)}

    def _mean_residual(self, module: Autoencoder, part: TensorSource) -> Tensor:
        head = module.likelihood
        total: Tensor | float = 0.0
        count: Tensor | float = 0.0
        with fork(self.noise_seed):
            for x, *mask in part.batches(_CHUNK):
                p = module.trace(x, *mask, corrupt=True).p
                residual = (head.expectation(p) - x).abs().pow(head.power).mean(0)
                there = mask[0] if mask else torch.ones_like(x, dtype=torch.bool)
                total = total + residual.masked_fill(~there, 0.0).sum(0)
                count = count + there.sum(0)
        assert isinstance(total, Tensor)  # noqa: S101  (no part is empty)
        assert isinstance(count, Tensor)  # noqa: S101
        if head.shares_scale:  # every entry counts alike
            total, count = total.sum().expand_as(total), count.sum().expand_as(count)
        return total / count.clamp(min=1)


def fit(
    build: Callable[[], Autoencoder],
    source: TensorSource,
    plan: Plan,
    seeds: Seeds,
    *,
    parts: list[Part],
    unit: Tensor,
    offset: float = 0.0,
    start: bool = True,
    jitter: float = 0.0,
    listener: Listener | None = None,
) -> Fit:
    """Train what ``build`` makes on the rows of ``source``.

    Args:
        build: makes a new autoencoder on the device; its initialisation is seeded here.
        source: scaled training rows, missing entries filled and masked.
        plan: steps, rates.
        seeds: initialisation, order, noise.
        parts: rows of each autoencoder (:meth:`Selection.parts`).
        unit: (*F,) unit of each feature in which errors are reported.
        offset: nats per sample that scaling adds to a loss.
        start: whether training starts from (and may return to) the linear start.
        jitter: noise on the encoder's input in training, in units of the likelihood's scale at
            the start: of what PCA leaves over, or 1 without a linear start.
        listener: called after every round.

    Raises:
        DivergedError: the loss is not finite at the very start, so there is nothing to keep.

    KeyboardInterrupt ends training and keeps the best state so far.
    """
    rows = [source.x[train] for train, _ in parts]
    modules = [_begin(build, seeds, x, start, jitter) for x in rows]
    # networks of the user's own have no linear path: nothing to start at, nothing to return to
    start = start and has_linear_paths(modules[-1])
    held_out = [source.subset(part) for _, part in parts if part is not None]
    validation = Validation(held_out, unit, seeds.noise) if held_out else None
    line = _pca_line(rows, modules, validation)
    with fork(seeds.initialisation):
        result = Fit(build())
    if len(modules) > 1:
        training = Training(Ensemble(modules), plan)
        batches: Source = EnsembleSource(source, [train for train, _ in parts])
    else:
        training = Training(modules[0], plan)
        batches = source.subset(parts[0][0])
    search = _Search(plan.patience, validation, _snapshot(_members(training.kept)[-1]))
    work = (plan.batch_size, max(p.numel() for p in training.module.parameters()))
    try:
        with suitable_threads(*work), fork(seeds.noise):
            for now in training.rounds(batches, seeds.order, validation):
                ended = search.look(now, _members(training.kept)[-1])
                progress = _progress(now, line, plan.steps, offset, search.best_step)
                result.history.append(progress.as_dict())
                if listener is not None:
                    listener(progress)
                if ended:
                    break
    except KeyboardInterrupt:
        result.interrupted = True
    result.diverged, result.best_step = search.diverged, search.best_step
    result.autoencoder.load_state_dict(search.best)
    residual = search.residual
    if start and not search.worth_leaving():
        result.stayed_linear, result.best_step = True, 0
        residual = search.start_residual
        result.autoencoder = _begin(build, seeds, source.x, start, jitter)
    if residual is not None and result.autoencoder.likelihood.free_scale:
        result.autoencoder.likelihood.calibrate(residual)
    result.autoencoder.eval()
    return result


def _begin(
    build: Callable[[], Autoencoder], seeds: Seeds, x: Tensor, start: bool, jitter: float
) -> Autoencoder:
    """A new autoencoder at its start for those rows."""
    with fork(seeds.initialisation):
        module = build()
    module.corruption.prepare(x)
    if start:
        linear_start(module, x)
    head = module.likelihood
    if isinstance(head, LocationScale):
        module.set_jitter(jitter * float(head.log_value.exp().mean()))
    set_box(module, x)
    return module


class _Search:
    """The best state so far, by the losses of held-out rows; without any, the latest state."""

    def __init__(
        self, patience: int | None, validation: Validation | None, state: dict[str, Tensor]
    ) -> None:
        self.patience = patience
        self.validation = validation
        self.best = state
        self.best_step = 0
        self.best_loss: Tensor | None = None
        self.start_loss: Tensor | None = None
        self.residual: Tensor | None = None
        self.start_residual: Tensor | None = None
        self.diverged = False
        self._waited = 0

    def look(self, now: Round, kept: Autoencoder) -> bool:
        """Take in a round; whether training should end."""
        loss = torch.zeros(1) if now.validation is None else now.validation["loss"]
        finite = bool(loss.isfinite().all()) and math.isfinite(now.loss)
        if self.validation is None:  # the last step's weights have not been through a loss yet
            finite = finite and all(bool(p.isfinite().all()) for p in kept.parameters())
        if not finite and now.step == 0:
            raise DivergedError(
                "the loss before the first step",
                "is not a finite number",
                "Look for values of extreme size in the data, or change the likelihood.",
            )
        self._waited += 1
        better = self.best_loss is None or float(loss.mean()) < float(self.best_loss.mean())
        if finite and (better or self.validation is None):
            self.best, self.best_step, self.best_loss = _snapshot(kept), now.step, loss
            self.residual = None if self.validation is None else self.validation.residual
            self._waited = 0
        if self.start_loss is None:
            self.start_loss, self.start_residual = loss, self.residual
        self.diverged = not finite
        tired = self.patience is not None and self._waited >= self.patience
        return self.diverged or (tired and self.validation is not None)

    def worth_leaving(self) -> bool:
        """Whether the best state beats the start by more than GATE standard errors."""
        if self.validation is None or self.start_loss is None or self.best_loss is None:
            return True
        gain = (self.start_loss - self.best_loss).double()
        error = float(gain.std()) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        return float(gain.mean()) > GATE * error


def _members(module: nn.Module) -> list[Autoencoder]:
    members = module.members if isinstance(module, Ensemble) else [module]
    return [member for member in members if isinstance(member, Autoencoder)]


def _pca_line(
    rows: list[Tensor], modules: list[Autoencoder], validation: Validation | None
) -> float:
    """Held-out squared error per row of PCA with as many components, on the same task.

    PCA is given the same corrupted rows as the autoencoder and judged against the clean ones.
    """
    if validation is None:
        return math.nan
    errors = []
    for module, train, part in zip(modules, rows, validation.parts, strict=False):
        s = pca.spectrum(train, module.n_components)
        with fork(validation.noise_seed):
            for x, *mask in part.batches(_CHUNK):
                centred = module.corruption(x).x_tilde.flatten(1).double() - s.mean
                fit = s.mean + centred @ s.axes.T @ s.axes
                error = ((x.flatten(1) - fit) * validation.unit.flatten()).square()
                there = mask[0].flatten(1).double() if mask else None
                errors.append(sum_features(error, 1, there))
    return float(torch.cat(errors).mean())


def _progress(now: Round, line: float, steps: int, offset: float, best_step: int) -> Progress:
    terms = dict(now.terms)
    for name in ("reconstruction", "importance"):
        if name in terms:
            terms[name] += offset
    held_out = now.validation or {}
    means = {name: float(value.double().mean()) for name, value in held_out.items()}
    return Progress(
        step=now.step,
        steps=steps,
        epoch=now.epoch,
        seconds=now.seconds,
        terms=terms,
        validation=means.get("loss", math.nan) + offset,
        squared_error=means.get("squared_error", math.nan),
        pca_squared_error=line,
        best_step=best_step,
    )


def _snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
