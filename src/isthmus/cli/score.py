"""``isthmus score``: how well a model explains rows."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer, number
from isthmus.cli._options import OUTPUT, DataFile, Drop, Force, RunFolder, names_of
from isthmus.cli._rows import rows
from isthmus.cli._runs import SEEN, is_seen, open_run
from isthmus.cli._words import plural, squared_errors, squared_units

EXAMPLES = """Examples:

isthmus score runs/a new.csv

isthmus score runs/a new.csv --out scores.csv
"""


def score(
    run: RunFolder,
    data: DataFile,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write the score of each row: .csv, .npy or .parquet.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    drop: Drop = None,
    force: Force = False,
) -> Answer:
    """Tell how well a model explains the rows of a table."""
    with _interrupts.starting():
        import numpy as np

        from isthmus.data.writers import check_destination, write

    if out is not None:
        check_destination(out, force)
    model = open_run(run, data)
    table = rows(data, names_of(drop), new=True)
    nats = model.score_samples(table)
    mixed = model.encoding_ is not None
    errors = squared_errors(
        model, table if mixed else table.values, None if mixed else model.reconstruct(table)
    )
    unit = squared_units(model.scaling_.kind)
    score, error = float(np.mean(nats, dtype=np.float64)), float(errors.mean())
    meaning = "at the row's code" if model.beta is None else "a lower bound"
    lines = [
        f"{plural(len(nats), 'row')} of {data}",
        f"log-likelihood: {number(score)} ({meaning}, nats per row, higher is better)",
        f"reconstruction: {number(error)} ({unit} per row, lower is better)",
    ]
    seen = is_seen(model, table)
    if seen:
        lines.append(SEEN)
    facts = {
        "run": run,
        "data": data,
        "n_rows": len(nats),
        "seen": seen,
        "score": score,
        "squared_error": error,
        "unit": unit,
        "out": out,
    }
    if out is not None:
        write(out, np.stack([nats, errors], axis=1), ["nats", "squared_error"])
        lines.append(f"Those of each row written to {out}.")
    return Answer("\n".join(lines), facts)
