"""``isthmus fit``: a table → a trained model in a run folder."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import _config, _parameters
from isthmus.cli._answer import Answer
from isthmus.cli._errors import INTERRUPTED
from isthmus.cli._options import OUTPUT, DataFile, Drop, Force, Quiet, Seed, names_of, seed_of
from isthmus.cli._progress import training
from isthmus.cli._runs import check_place
from isthmus.cli._words import plural, squared_units, verdict
from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.estimators import Estimator

MODELS = {
    "undercomplete": "Autoencoder",
    "denoising": "DenoisingAutoencoder",
    "contractive": "ContractiveAutoencoder",
    "variational": "VariationalAutoencoder",
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
    drop: Drop = None,
    seed: Seed = None,
    force: Force = False,
    quiet: Quiet = False,
    **flags: Any,
) -> Answer:
    """Train an autoencoder on a table.

    Options that are not given are chosen from the size of the data. Ctrl-C ends training and
    saves the best state so far.
    """
    settings = _config.Config() if config is None else _config.read(config)
    kind = model_name(model or settings.model or "undercomplete")
    values = {**settings.parameters, **_parameters.from_flags(flags)}
    random_state = settings.random_state if seed is None else seed_of(seed)
    columns = names_of(drop) if drop is not None else settings.drop
    started = time.perf_counter()
    with training(quiet) as listener, warnings.catch_warnings():
        check_place(out, force)

        from isthmus import estimators
        from isthmus.data.readers import read

        table = read(data, drop=columns)
        create = getattr(estimators, MODELS[kind])
        estimator: Estimator = create(random_state=random_state, **values)
        # What it warns of is said below.
        warnings.filterwarnings("ignore", "Training was interrupted")
        estimator.fit(table, callback=listener)
    with _unbroken():
        command = shlex.join(["isthmus", *sys.argv[1:]])
        provenance = {"origin": data, "drop": list(columns or []), "command": command}
        estimator.save(out, force=force, provenance=provenance)
    return _answer(estimator, out, data, table.values.shape[0], time.perf_counter() - started)


def model_name(name: str) -> str:
    """The name, if it is one of :data:`MODELS`.

    Raises:
        InvalidParameterError: it is none.
    """
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        raise InvalidParameterError(
            f"model {name}",
            f"must be one of {', '.join(MODELS)}",
            f"Did you mean {near[0]}?" if near else "",
        )
    return name


@contextmanager
def _unbroken() -> Iterator[None]:
    """Ctrl-C waits: what was trained for hours is not lost to a second keystroke."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _answer(estimator: Estimator, out: str, data: str, n_rows: int, seconds: float) -> Answer:
    n_features, n_components = estimator.n_features_in_, estimator.n_components_
    figures = {
        "squared_error": estimator.squared_error_,
        "pca_squared_error": estimator.pca_squared_error_,
        "stayed_linear": estimator.stayed_linear_,
        "unit": squared_units(estimator.scaling_.kind),
    }
    parameters = estimator.get_params(deep=False)
    name, run = type(estimator).__name__, shlex.quote(out)
    lines = [
        f"{name}: {plural(n_rows, 'row')} of {plural(n_features, 'feature')} → "
        f"{plural(n_components, 'component')}, in {seconds:.1f} s.",
        f"{verdict(figures, n_components, parameters)}",
        f"Saved to {out}.",
        f"Next: isthmus transform {run} {shlex.quote(data)} --out codes.csv, "
        f"or isthmus info {run}.",
    ]
    if estimator.interrupted_:
        lines.insert(0, "Interrupted: this is the best state until then.")
    facts = {
        "run": out,
        "data": data,
        "model": name,
        "n_rows": n_rows,
        "n_features": n_features,
        "n_components": n_components,
        "n_epochs": estimator.n_epochs_,
        "n_steps": estimator.n_steps_,
        "validation": estimator.validation_,
        **figures,
        "interrupted": estimator.interrupted_,
        "seconds": seconds,
    }
    return Answer("\n".join(lines), facts, INTERRUPTED if estimator.interrupted_ else 0)
