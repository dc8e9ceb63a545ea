"""``isthmus fit``: a table → a trained model in a run folder."""

from __future__ import annotations

import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus._mark import is_run
from isthmus.cli import _config, _idle, _interrupts, _parameters, _resume
from isthmus.cli._answer import Answer, number, warn
from isthmus.cli._blocks import size
from isthmus.cli._options import OUTPUT, DataFile, Force, Quiet, Seed, seed_of
from isthmus.cli._progress import training
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import notes, opened
from isthmus.cli._runs import check_place
from isthmus.cli._tasks import empty_tasks, identifiers, warning
from isthmus.cli._words import held_out, plural, squared_units, verdict
from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators import Estimator

MODELS = {
    "undercomplete": "Autoencoder",
    "denoising": "DenoisingAutoencoder",
    "contractive": "ContractiveAutoencoder",
    "variational": "VariationalAutoencoder",
}
# What else people call them.
_OTHER_NAMES = {
    "ae": "undercomplete",
    "autoencoder": "undercomplete",
    "cae": "contractive",
    "dae": "denoising",
    "plain": "undercomplete",
    "vae": "variational",
    **{cls.lower(): name for name, cls in MODELS.items()},
}
FLAGS = tuple(parameter.option() for parameter in _parameters.PARAMETERS)
EXAMPLES = """Examples:

isthmus fit wine --n-components 3 --out runs/wine

isthmus fit table.csv --drop id,label --model denoising --n-components 8 --out runs/a

isthmus fit table.parquet --config settings.toml --seed 0 --out runs/b --force
"""


def fit(
    data: DataFile,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="RUN",
            help="The folder to write the run to.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="undercomplete (the default), denoising, contractive or variational.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="TOML file with the options' long names as keys; flags override it.",
        ),
    ] = None,
    reading: ReadingOptions = AS_USUAL,
    seed: Seed = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the same fit if it was stopped, to the same result.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    **flags: Any,
) -> Answer:
    """Train an autoencoder on a table.

    Options that are not given are chosen from the size of the data. Ctrl-C ends training and
    saves the best state so far; --resume goes on from there, and from where a crash left it.
    """
    settings = _config.Config() if config is None else _config.read(config)
    kind = model_name(model or settings.model or "undercomplete")
    values = {**settings.parameters, **_parameters.from_flags(flags)}
    random_state = settings.random_state if seed is None else seed_of(seed)
    reading = reading.or_else(settings.reading)
    started = time.perf_counter()
    goes_on = resume and not force and is_run(out)
    check_place(out, force or goes_on)
    with _interrupts.starting():
        from isthmus import estimators
    create = getattr(estimators, MODELS[kind])
    with training(quiet) as listener, warnings.catch_warnings():
        table = opened(data, reading)
        estimator: Estimator = create(random_state=random_state, **values)
        if goes_on and (done := _resume.finished(out, estimator, table)) is not None:
            _resume.clear(out)
            return _answer(done, out, data, [_resume.DONE], (), time.perf_counter() - started)
        told = _idle_settings(estimator, table, settings.parameters, flags, config)
        told += [*empty_tasks(table, _width(estimator)), *identifiers(table)]
        # What it warns of is said below.
        warnings.filterwarnings("ignore", "Training was interrupted")
        warnings.filterwarnings("ignore", "The loss is no finite number")
        checkpoints = _resume.prepared(out, resume, force)
        if resume and "resume_from" not in checkpoints:
            told.append(_resume.NOTHING)
        with _resume.spoken(out), _interrupts.training(warning(told, listener)) as tell:
            estimator.fit(table, callback=tell, **checkpoints)
    if getattr(estimator, "diverged_", False):
        told.append(_diverged(estimator))
        warn(told[-1])
    with _interrupts.saving():
        command = shlex.join(["isthmus", *sys.argv[1:]])
        provenance = {"origin": data, **reading.recorded(), "command": command}
        estimator.save(out, force=force or goes_on, provenance=provenance)
        if not estimator.interrupted_:
            _resume.clear(out)
    return _answer(estimator, out, data, told, notes(table), time.perf_counter() - started)


def model_name(name: str) -> str:
    """The name, if it is one of :data:`MODELS`.

    Raises:
        InvalidParameterError: it is none.
    """
    if name not in MODELS:
        other = _OTHER_NAMES.get(name.lower())
        near = [other] if other else get_close_matches(name.lower(), MODELS, 1)
        raise InvalidParameterError(
            f"model {name}",
            f"must be one of {', '.join(MODELS)}",
            f"Did you mean {near[0]}?" if near else "",
        )
    return name


def _idle_settings(
    estimator: Estimator,
    table: Table | Source,
    settings: Mapping[str, Any],
    flags: Mapping[str, Any],
    config: str | None,
) -> list[str]:
    """A sentence for each setting, of a flag or of the file, that changes nothing."""
    from isthmus.estimators._defaults import recipe

    spelled = {name: f"{name} in {config}" for name in settings}
    for parameter in _parameters.PARAMETERS:
        if flags.get(parameter.name) is not None:
            spelled[parameter.name] = parameter.flag
    n_rows, n_features = size(table)
    folds = recipe(n_rows, n_features, _width(estimator)).n_folds
    return _idle.warnings_of(
        spelled,
        estimator.get_params(deep=False),
        type(estimator)().get_params(deep=False),
        folds=folds > 1 and n_rows >= 2 * folds,
    )


def _width(estimator: Estimator) -> int:
    """The number of components, at least 1 where the fit is to choose it."""
    given = estimator.n_components
    return given if isinstance(given, int) else 1


def _diverged(estimator: Estimator) -> str:
    rate = estimator.learning_rate
    lower = "Try --learning-rate 1e-4." if rate == "auto" else f"Try one lower than {rate:g}."
    step = int(estimator.history_[-1]["step"])
    return (
        f"Training diverged: by step {step} the loss was no finite number, so the state of step "
        f"{estimator.n_steps_} is kept. The cause is mostly the --learning-rate. {lower}"
    )


def _too_narrow(estimator: Estimator) -> list[str]:
    """A sentence where a denoiser leaves more error than the noise that it was trained to remove.

    Gaussian noise of deviation s in scaled units has the squared error s² Σ_j unit_j² per row.
    """
    level = getattr(estimator.autoencoder_.corruption, "level", 0.0)
    if estimator._architecture["noise"] != "gaussian" or not level or estimator.encoding_:
        return []
    noise = float(level**2 * estimator.scaling_.unit.square().sum())
    if not estimator.squared_error_ > noise:
        return []
    return [
        f"The noise it was trained with is {number(noise)} by itself: this code of "
        f"{plural(estimator.n_components_, 'component')} makes rows with so little noise worse, "
        "not better. To clean them, ask for more components."
    ]


def _kinds(estimator: Estimator) -> list[str]:
    """What the columns of a mixed table were taken for."""
    if estimator.encoding_ is None:
        return []
    by_kind: dict[str, list[str]] = {}
    for name, kind in estimator.encoding_.kinds.items():
        by_kind.setdefault(kind, []).append(name)
    told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())
    return [f"Columns were taken for {told}. --kinds states others."]


def _answer(
    estimator: Estimator,
    out: str,
    data: str,
    told: Sequence[str],
    written: Sequence[str],
    seconds: float,
) -> Answer:
    n_rows, n_features = estimator.n_samples_, estimator.n_features_in_
    n_components, parameters = estimator.n_components_, estimator.get_params(deep=False)
    unit = squared_units(estimator.scaling_.kind, estimator.likelihood_)
    figures = held_out(estimator, n_components, estimator.history_, unit, n_rows)
    parameters["likelihood"] = estimator.likelihood_
    name, run = type(estimator).__name__, shlex.quote(out)
    lines = [
        f"{name}: {plural(n_rows, 'row')} of {plural(n_features, 'feature')} → "
        f"{plural(n_components, 'component')}; training took {figures['training_seconds']:.1f} s.",
        *written,
        *_kinds(estimator),
        f"{verdict(figures, n_components, parameters)}",
        f"Saved to {out}.",
        f"Next: isthmus report {run}, "
        f"or isthmus transform {run} {shlex.quote(data)} --out codes.csv.",
    ]
    lines[-2:-2] = _too_narrow(estimator)
    if estimator.interrupted_:
        lines.insert(0, "Interrupted: this is the best state until then.")
        lines.append("Or go on: the same command with --resume.")
    facts = {
        "run": out,
        "data": data,
        "model": name,
        "n_rows": n_rows,
        "n_features": n_features,
        "n_components": n_components,
        "kinds": None if estimator.encoding_ is None else dict(estimator.encoding_.kinds),
        **figures,
        "warnings": list(told),
        "notes": list(written),
        "command_seconds": seconds,
    }
    code = _interrupts.exit_status() if estimator.interrupted_ else 0
    return Answer("\n".join(lines), facts, code)
