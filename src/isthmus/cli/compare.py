"""``isthmus compare``: how many components, and why."""

from __future__ import annotations

import math
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import _interrupts, _parameters
from isthmus.cli._answer import Answer, columns, number, wrapped
from isthmus.cli._blocks import as_table
from isthmus.cli._options import OUTPUT, DataFile, Quiet, Seed, seed_of
from isthmus.cli._progress import training
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import of_run, opened, said
from isthmus.cli._runs import open_run, recorded
from isthmus.cli._words import plural
from isthmus.errors import DataError, InvalidParameterError

if TYPE_CHECKING:
    from isthmus.estimators import Estimator
    from isthmus.estimators.compare import Comparison

FLAGS = tuple(
    parameter.option()
    for parameter in _parameters.PARAMETERS
    if parameter.name in ("hidden_layer_sizes", "likelihood", "max_epochs", "scaling")
)
_NO_NATS = {
    "missing": "PCA has no nats here: its likelihood is that of rows without missing entries.",
    "kind": "PCA has no nats here: its likelihood is a Gaussian, and not of the kind asked for.",
    "mixed": "PCA sees numbers by their deviation, categories one-hot and a missing entry at its "
    "mean; it has no nats here, because a category has no density.",
}
EXAMPLES = """Examples:

isthmus compare wine

isthmus compare table.csv --drop id,label --n-components 1,2,4,8,16 --seed 0

isthmus compare wine --into runs/wine
"""


def compare(
    data: DataFile,
    n_components: Annotated[
        str,
        typer.Option(
            "--n-components", metavar="N,N", help="Sizes to compare, separated by commas; or auto."
        ),
    ] = "auto",
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="RUN",
            help="A run of the same columns: its settings are used, and the comparison is kept in "
            "it for the report.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    reading: ReadingOptions = AS_USUAL,
    seed: Seed = None,
    quiet: Quiet = False,
    **flags: Any,
) -> Answer:
    """Compare numbers of components, and recommend one.

    PCA and the autoencoder are fitted with each, and judged on rows that were held out. Fits are
    short: they are to tell sizes apart, not to be kept.
    """
    sizes = _sizes(n_components)
    values = _parameters.from_flags(flags)
    random_state = seed_of(seed)
    started = time.perf_counter()
    run = None if into is None else open_run(into, data)
    if run is not None and values:
        raise InvalidParameterError(
            f"--into {into} with --{next(iter(values)).replace('_', '-')}",
            "are two sources of settings",
            "Leave one of the two out.",
        )
    with training(quiet) as listener:
        with _interrupts.starting():
            from isthmus.estimators import VariationalAutoencoder
            from isthmus.estimators.compare import compare as sweep
        told: list[str] = []
        if run is None or into is None:
            table = as_table(opened(data, reading))
        else:
            kept = recorded(into)
            found_rows, extra = of_run(run, kept, data, reading)
            table, told = as_table(found_rows), said(found_rows, extra, data)
            _same_columns(run, into, table.values.shape[1], data)
        model: Estimator = run if run is not None else VariationalAutoencoder(**values)
        n_rows, missing = len(table.values), bool((table.values != table.values).any())
        found = sweep(table, sizes, model, random_state, listener)
    if into is not None:
        with _interrupts.saving():
            import torch

            from isthmus.runs.directory import attach, now

            arrays = {name: torch.from_numpy(a.copy()) for name, a in found.arrays().items()}
            made = {"created": now(), "origin": data, "n_rows": n_rows}
            attach(into, "comparison", {**found.as_facts(), **made}, arrays)
    if into is not None:
        told.append(f"Kept in {into}.")
    elif found.compresses:
        line = shlex.join(["isthmus", "fit", data, *reading.flags()])
        told.append(f"Next: {line} --n-components {found.recommended} --out RUN.")
    return _answer(found, data, n_rows, missing, into, told, time.perf_counter() - started)


def _sizes(text: str) -> str | list[int]:
    if text.strip().lower() == "auto":
        return "auto"
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidParameterError(
            f"--n-components {text}", "must be whole numbers separated by commas, or auto"
        ) from error


def _same_columns(run: Estimator, path: str, n_features: int, data: str) -> None:
    if run.n_features_in_ != n_features:
        raise DataError(
            f"{data} with {plural(n_features, 'column')}",
            f"must have {run.n_features_in_}, as the data that {path} was fitted to",
            "Give a table with the columns of the fit.",
        )


def _answer(
    found: Comparison,
    data: str,
    n_rows: int,
    missing: bool,
    into: str | None,
    told: list[str],
    seconds: float,
) -> Answer:
    table = found.table()
    mark = {True: "←", False: ""}
    body = [
        (
            str(row["n_components"]),
            f"{number(row['error'])} ± {number(row['error_se'])}",
            number(row["pca_error"]),
            f"{row['log_likelihood']:.3f} ± {row['log_likelihood_se']:.3f}",
            "-" if math.isnan(row["pca_log_likelihood"]) else f"{row['pca_log_likelihood']:.3f}",
            f"{row['active_units']:.3g}",
            mark[row["n_components"] == found.recommended],
        )
        for row in table
    ]
    head = ("components", "error", "PCA", "nats", "PCA", "active", "")
    d = found.intrinsic_dimension
    guesses = [
        f"Factor analysis: {found.linear_dimension}",
        f"two-NN: {'-' if d is None else f'{d:.1f}'}",
        f"PCA by Minka's criterion: {'-' if found.pca_mle is None else found.pca_mle}",
    ]
    mixed = found.linear_dimension is None
    why = _NO_NATS["mixed" if mixed else "missing" if missing else "kind"]
    k = min(found.recommended, found.n_features - 1)
    title = f"{plural(k, 'component')}." if found.compresses else "No compression."
    lines = [
        f"{plural(n_rows, 'row')} of {plural(found.n_features, 'column' if mixed else 'feature')}, "
        f"{found.n_held_out} judged without having been trained on, in {seconds:.1f} s.",
        "",
        columns([head, *body], right=(0, 1, 2, 3, 4, 5)),
        *wrapped(f"Errors in {found.unit} per row, nats per row: higher is better."),
        *(wrapped(why) if math.isnan(table[0]["pca_log_likelihood"]) else []),
        *([] if mixed else ["; ".join(guesses) + "."]),
        "",
        f"Recommended: {title}",
        *wrapped(found.reason),
        *told,
    ]
    facts = {"data": data, "n_rows": n_rows, **found.as_facts(), "sizes": table, "into": into}
    return Answer("\n".join(lines), {**facts, "seconds": seconds})
