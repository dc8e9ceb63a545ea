"""``isthmus info``: what is in a run, or in data of any kind."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus._mark import is_run
from isthmus.cli import _detectors, _interrupts
from isthmus.cli._answer import Answer, columns, number
from isthmus.cli._contents import SHOWN, contents
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._words import held_out, in_bytes, plural, squared_units, verdict, written
from isthmus.errors import DataError, RunError

if TYPE_CHECKING:
    from isthmus.runs import directory

_OWN = "not compared: the run has a network of your own"
_ROWS = {"held out": "held-out rows", "training": "rows of the fit,", "new": "new rows"}
EXAMPLES = """Examples:

isthmus info wine

isthmus info photos/

isthmus info 'sales/*.parquet' --drop id

isthmus info runs/a --json
"""


def info(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DATA",
            help="A run folder, a detector, or data: a file, a folder, a glob in quotes, a bundled "
            "table.",
            show_default=False,
        ),
    ],
    reading: ReadingOptions = AS_USUAL,
    every: Annotated[
        bool, typer.Option("--all", help=f"List every column, not the first {SHOWN} only.")
    ] = False,
) -> Answer:
    """Tell what is in a run, or in data, and what to fit to it.

    Data is read once and nothing is trained.
    """
    path = Path(what)
    if is_run(what):
        return _run(what)
    with _interrupts.starting():
        from isthmus.data.bundled import BUNDLED
        from isthmus.data.files.paths import is_pattern

    stored = Path(what.partition("::")[0])
    if what not in BUNDLED and not path.suffix and not stored.exists() and not is_pattern(what):
        raise DataError(
            what or "''",
            "is no run folder, no data file and no bundled table",
            f"The bundled tables are {', '.join(BUNDLED)}.",
        )
    return contents(what, reading, every)


def _run(run: str) -> Answer:
    with _interrupts.starting():
        from isthmus.runs import directory

    if "detector" in directory.read_config(run):
        return _detectors.described(run)
    found = directory.read(run)
    try:
        return _described(run, found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            run,
            f"does not hold what its schema promises ({type(error).__name__}: {error})",
            "The run was altered or written by an incompatible version; fit again.",
        ) from error


def _described(run: str, found: directory.Run) -> Answer:
    with _interrupts.starting():
        from isthmus.estimators._persistence import curve_of, held_out_of
        from isthmus.estimators.models import MODELS
        from isthmus.runs.directory import ATTACHMENTS, FILES

    config, history = found.config, found.history
    model, data, fit = config["model"], config["data"], config["fit"]
    name, parameters = model["class"], model["parameters"]
    # A run of the same schema may lack a parameter that was added since, and name one since gone.
    defaults = {field.name: field.default for field in dataclasses.fields(MODELS[name])}
    changed = {
        key: value
        for key, value in parameters.items()
        if not (key in defaults and defaults[key] == value)
    }
    n_features, n_components = data["n_features"], model["architecture"]["n_components"]
    names = data["feature_names"]
    judged = {"held_out_": held_out_of(found.tensors), "pca_curve_": curve_of(found.tensors)}
    resolved = {**parameters, "likelihood": model["architecture"]["likelihood"]}
    kept = SimpleNamespace(**fit, **judged)
    unit = squared_units(model["scaling"], resolved["likelihood"])
    figures = held_out(kept, n_components, history, unit, data["n_rows"])
    own = any(parameters.get(name) is not None for name in ("encoder", "decoder"))
    drifted, codes = (math.nan, _OWN) if own else _drift(run)
    seconds = figures["training_seconds"]
    files = {file: (Path(run) / file).stat().st_size for file in sorted(FILES)}
    there = [name for name in ATTACHMENTS if (Path(run) / f"{name}.json").is_file()]
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "no names"
    of = plural(n_features, "feature")
    widths = model["architecture"]["hidden_layer_sizes"]
    hidden = f"hidden layers of {' and '.join(map(str, widths))}" if widths else "no hidden layers"
    ended = "; ended by Ctrl-C" if figures["interrupted"] else ""
    if figures["diverged"]:
        ended += "; it diverged: fit again with a lower --learning-rate"
    told = [
        ("model", f"{name}: {of} → {plural(n_components, 'component')}, {hidden}"),
        ("set", ", ".join(f"{k}={v!r}" for k, v in changed.items()) or "all as by default"),
        ("data", f"{plural(data['n_rows'], 'row')} of {of} ({listed})"),
        *written(data),
        (
            "training",
            f"kept after {number(fit['n_epochs_'])} epochs ({fit['n_steps_']} steps); "
            f"it took {seconds:.1f} s{ended}",
        ),
        ("held out", verdict(figures, n_components, resolved)),
        ("codes here", codes),
        *[(name, _attachment(run, name)) for name in there],
        ("versions", ", ".join(f"{k} {v}" for k, v in config["versions"].items())),
        ("files", ", ".join(f"{file} ({in_bytes(size)})" for file, size in files.items())),
    ]
    facts = {
        "kind": "run",
        "run": run,
        "model": name,
        "parameters": parameters,
        "changed": changed,
        "n_rows": data["n_rows"],
        "n_features": n_features,
        "feature_names": names,
        "spelling": data.get("spelling"),
        "na_values": data.get("na_values"),
        "n_components": n_components,
        **figures,
        "codes_drift": drifted,
        "versions": config["versions"],
        "schema": config["schema"],
        "files": files,
        "attached": there,
    }
    return Answer(f"{run}\n{columns(told)}", facts)


def _attachment(run: str, name: str) -> str:
    """What was found out about the model, when and on which rows; never an error."""
    from isthmus.runs.directory import attached

    try:
        found = attached(run, name)
    except RunError as error:
        return str(error)
    if found is None:
        return "of another model, and not shown: the run was replaced since"
    facts = found[0]
    if name == "comparison":
        sizes, rows_of = facts.get("recommended"), facts.get("origin")
        what = f"recommends {plural(sizes, 'component')}" if isinstance(sizes, int) else "made"
        on = f"{facts.get('n_rows')} rows of {rows_of}" if rows_of else ""
    else:
        what = f"{plural(len(facts.get('metrics') or ()), 'metric')}"
        if facts.get("label_column"):
            what += f" with the label {facts['label_column']!r}"
        about = facts.get("rows")
        about = about if isinstance(about, dict) else {}
        on = f"{about.get('n')} {_ROWS.get(str(about.get('kind')), 'rows')} of " + str(
            about.get("origin") or "an array"
        )
    when = str(facts.get("created") or "")[:10]
    return ", ".join(part for part in (what, on, when) if part)


def _drift(run: str) -> tuple[float, str]:
    """Whether this machine computes the codes that the one that saved the run did."""
    from isthmus.estimators import load
    from isthmus.estimators._persistence import AGREE, drift

    apart = drift(load(run))
    if math.isnan(apart):
        return apart, "not compared: the run was written before codes were recorded"
    if apart == 0:
        return apart, "bit for bit those of the machine that saved it"
    within = "as" if apart <= AGREE else "NOT as"
    return apart, (
        f"{within} on the machine that saved it: at most {number(apart)} standard deviations apart"
    )
