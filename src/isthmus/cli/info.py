"""``isthmus info``: what is in a run, or in a table."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import _detectors, _interrupts
from isthmus.cli._answer import Answer, columns, number
from isthmus.cli._options import Drop, names_of
from isthmus.cli._rows import rows
from isthmus.cli._words import held_out, plural, verdict
from isthmus.errors import DataError, RunError

if TYPE_CHECKING:
    from isthmus.data.tables import Table
    from isthmus.runs import directory

_SHOWN = 20
_ROWS = {"held out": "held-out rows", "training": "rows of the fit,", "new": "new rows"}
EXAMPLES = """Examples:

isthmus info wine

isthmus info runs/a --json
"""


def info(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DATA",
            help="A run folder, a detector, a data file, or a bundled table.",
            show_default=False,
        ),
    ],
    drop: Drop = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"List every column, not the first {_SHOWN} only.")
    ] = False,
) -> Answer:
    """Tell what is in a run, or in a table."""
    path = Path(what)
    if path.is_dir():
        return _run(what)
    with _interrupts.starting():
        from isthmus.data.bundled import BUNDLED

    if what not in BUNDLED and not path.suffix and not path.exists():
        raise DataError(
            what or "''",
            "is no run folder, no data file and no bundled table",
            f"The bundled tables are {', '.join(BUNDLED)}.",
        )
    return _table(rows(what, names_of(drop), new=True), every)


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
    figures = held_out(kept, n_components, history, model["scaling"], data["n_rows"])
    drifted, codes = _drift(run)
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
        (
            "training",
            f"kept after {number(fit['n_epochs_'])} epochs ({fit['n_steps_']} steps); "
            f"it took {seconds:.1f} s{ended}",
        ),
        ("held out", verdict(figures, n_components, resolved)),
        ("codes here", codes),
        *[(name, _attachment(run, name)) for name in there],
        ("versions", ", ".join(f"{k} {v}" for k, v in config["versions"].items())),
        ("files", ", ".join(f"{file} ({_bytes(size)})" for file, size in files.items())),
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

    try:
        apart = drift(load(run))
    except RunError as error:
        if "network of your own" not in str(error):
            raise
        return math.nan, "not compared: the run has a network of your own"
    if math.isnan(apart):
        return apart, "not compared: the run was written before codes were recorded"
    if apart == 0:
        return apart, "bit for bit those of the machine that saved it"
    within = "as" if apart <= AGREE else "NOT as"
    return apart, (
        f"{within} on the machine that saved it: at most {number(apart)} standard deviations apart"
    )


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size //= 1000
    return f"{size} GB"


def _table(table: Table, every: bool) -> Answer:
    from isthmus.cli._figures import describe, n_repeated
    from isthmus.data.tables import stand_in

    n_rows, n_columns = table.values.shape
    names = table.names or [stand_in(j) for j in range(n_columns)]
    described = [
        {"name": name, **describe(column)}
        for name, column in zip(names, table.values.T, strict=True)
    ]
    missing = sum(column["n_missing"] for column in described)
    share = f" ({100 * missing / table.values.size:.2g}% of the entries)" if missing else ""
    shown = described if every else described[:_SHOWN]
    head = ("column", "kind", "missing", "min", "mean", "max")
    cells = [
        (
            column["name"],
            column["kind"],
            str(column["n_missing"]),
            *(number(column[figure]) for figure in ("min", "mean", "max")),
        )
        for column in shown
    ]
    lines = [
        f"{table.origin}: {plural(n_rows, 'row')}, {plural(n_columns, 'column')}"
        f"{'' if table.names else ' without names'}, {table.values.dtype}, "
        f"{missing or 'none'} missing{share}",
        "",
        columns([head, *cells], right=(2, 3, 4, 5)),
    ]
    if len(shown) < n_columns:
        lines.append(f"and {n_columns - len(shown)} more (--all lists them)")
    repeated = n_repeated(table.values)
    if repeated:
        lines += [
            "",
            f"{plural(repeated, 'row')} ({100 * repeated / n_rows:.2g}%) the same as an earlier "
            "one. Where a row is fitted and its copy held out, the held-out figures look better "
            "than they are: leave copies out, unless they are separate observations.",
        ]
    facts = {
        "kind": "table",
        "data": table.origin,
        "n_rows": n_rows,
        "n_columns": n_columns,
        "named": table.names is not None,
        "dtype": str(table.values.dtype),
        "n_missing": missing,
        "n_repeated": repeated,
        "columns": described,
    }
    return Answer("\n".join(lines), facts)
