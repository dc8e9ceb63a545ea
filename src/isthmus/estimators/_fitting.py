"""From rows to a trained autoencoder: who is held out, which state is kept, and why.

*Many rows*: a random part is held out; the state with the lowest loss on it is kept.

*Few rows*: holding rows back costs more than a network gains, so the number of steps is
cross-validated. K autoencoders, each without one fold, and one of all rows are trained as one
ensemble on one schedule; the round at which the pooled loss of the K on the rows
they did not see is lowest decides which state of the one of all rows is kept.

*Never worse*: a linear start is left only if the held-out loss improves by more than
one standard error (paired over rows); otherwise the result is the linear start on all
rows, that is PCA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import LocationScale
from isthmus.core.linear_start import has_linear_paths, linear_start, set_box
from isthmus.engine.checkpoint import State
from isthmus.engine.ensemble import Ensemble
from isthmus.engine.loop import Round, Training
from isthmus.engine.plan import Plan
from isthmus.engine.threads import largest_layer, suitable_threads
from isthmus.errors import DataError
from isthmus.estimators._material import Material, Start
from isthmus.estimators._resume import Keeper
from isthmus.estimators._search import Search, snapshot
from isthmus.estimators._validation import Validation, members_of, pca_errors
from isthmus.evaluation.record import HeldOut
from isthmus.random import Seeds, fork

# A round that ends in a loss that is no number is undone and tried again so often, at half the rate
# and over other rows; then training ends.
RETRIES = 3


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
    held_out: HeldOut | None = None
    pca_curve: Tensor | None = None


def fit(
    build: Callable[[], Autoencoder],
    material: Material,
    plan: Plan,
    seeds: Seeds,
    *,
    unit: Tensor,
    start: bool = True,
    jitter: float = 0.0,
    listener: Listener | None = None,
    keeper: Keeper | None = None,
) -> Fit:
    """Train what ``build`` makes.

    Args:
        build: makes a new autoencoder on the device; its initialisation is seeded here.
        material: scaled rows, missing entries filled and masked.
        plan: steps, rates.
        seeds: initialisation, order, noise.
        unit: (*F,) unit of each feature in which errors are reported.
        start: whether training starts from (and may return to) the linear start.
        jitter: noise on the encoder's input in training, in units of the likelihood's scale at
            the start: of what PCA leaves over, or 1 without a linear start.
        listener: called after every round.
        keeper: of the checkpoints, or None.

    Raises:
        DivergedError: the loss is not finite at the very start, so there is nothing to keep.
        DataError: rows cannot be read any more; the last round is in the checkpoint then.

    KeyboardInterrupt ends training and keeps the best state so far.
    """
    modules = [_begin(build, seeds, each, start, jitter) for each in material.starts]
    # networks of the user's own have no linear path: nothing to start at, nothing to return to
    start = start and has_linear_paths(modules[-1])
    held_out = material.held_out
    validation = Validation(held_out, unit, seeds.noise) if held_out else None
    line = pca_errors(material.starts, modules, validation)
    level = math.nan if line is None else float(line[0].mean())
    with fork(seeds.initialisation):
        result = Fit(build())
    training = Training(Ensemble(modules) if len(modules) > 1 else modules[0], plan)
    search = Search(plan.patience, validation, snapshot(members_of(training.kept)[-1]))
    work = (plan.batch_size, largest_layer(training.module.parameters()))
    try:
        with suitable_threads(*work), fork(seeds.noise):
            good: State | None = None
            ended = False
            if keeper is not None and keeper.found is not None:
                good = keeper.of("training")
                result.history, ended = keeper.restore(training, search)
            rounds = () if ended else training.rounds(material.batches, seeds.order, validation)
            for now in rounds:
                ended = search.look(now, members_of(training.kept)[-1])
                if search.diverged and good is not None and training.retries < RETRIES:
                    training.retry(good)
                    good, search.diverged = training.state(), False
                    if keeper is not None:
                        keeper.note(good, search, result.history, seeds, False)
                    continue
                progress = _progress(now, level, plan.steps, material, search.best_step)
                result.history.append(progress.as_dict())
                if listener is not None:
                    listener(progress)
                good = training.state()
                if keeper is not None:
                    over = ended or now.step >= plan.steps
                    keeper.note(good, search, result.history, seeds, over)
                if ended:
                    break
    except KeyboardInterrupt:
        result.interrupted = True
        if keeper is not None:
            keeper.write()
    except DataError:
        if keeper is not None:
            keeper.write()
        raise
    result.diverged, result.best_step = search.diverged, search.best_step
    result.autoencoder.load_state_dict(search.best)
    residual, judged = search.residual, search.best_judged
    if start and not search.worth_leaving():
        result.stayed_linear, result.best_step = True, 0
        residual, judged = search.start_residual, search.start_judged
        result.autoencoder = _begin(build, seeds, material.whole, start, jitter)
    if line is not None and judged is not None and search.start_judged is not None:
        result.held_out = HeldOut(
            rows=material.places.cpu().numpy(),
            loss=judged["loss"].double().cpu().numpy(),
            start_loss=search.start_judged["loss"].double().cpu().numpy(),
            squared_error=judged["squared_error"].cpu().numpy(),
            pca_squared_error=line[0].cpu().numpy(),
        )
        result.pca_curve = line[1].cpu()
    if residual is not None and result.autoencoder.likelihood.free_scale:
        result.autoencoder.likelihood.calibrate(residual)
    result.autoencoder.eval()
    return result


def _begin(
    build: Callable[[], Autoencoder], seeds: Seeds, rows: Start, start: bool, jitter: float
) -> Autoencoder:
    """A new autoencoder at its start for those rows."""
    with fork(seeds.initialisation):
        module = build()
    x, mask = rows.rows.x, rows.rows.mask
    module.prepare(x, mask)
    if rows.box is not None:
        module.likelihood.reach(rows.box[1])
    if start:
        linear_start(module, x, mask, rows.known(module))
    head = module.likelihood
    if isinstance(head, LocationScale):
        module.set_jitter(jitter * float(head.log_value.exp().mean()))
    set_box(module, x, known=rows.box)
    return module


def _progress(now: Round, line: float, steps: int, material: Material, best_step: int) -> Progress:
    terms = dict(now.terms)
    for name in ("reconstruction", "importance"):
        if name in terms:
            terms[name] += material.nats
    held_out = now.validation or {}
    means = {name: float(value.double().mean()) for name, value in held_out.items()}
    return Progress(
        step=now.step,
        steps=steps,
        epoch=now.epoch,
        seconds=now.seconds,
        terms=terms,
        validation=means.get("loss", math.nan) + material.held_out_nats,
        squared_error=means.get("squared_error", math.nan),
        pca_squared_error=line,
        best_step=best_step,
    )
