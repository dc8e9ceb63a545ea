"""``isthmus score``: how well a model explains rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from isthmus.cli import _beside, _interrupts
from isthmus.cli._answer import Answer, number
from isthmus.cli._blocks import blocks, size, told_at_the_end
from isthmus.cli._options import OUTPUT, DataFile, Force, RunFolder
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import facts_of, of_run, said
from isthmus.cli._runs import SEEN, Seen, open_run, recorded
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
    reading: ReadingOptions = AS_USUAL,
    force: Force = False,
) -> Answer:
    """Tell how well a model explains the rows of a table."""
    with _interrupts.starting():
        import numpy as np

        from isthmus.data.telling import untold
        from isthmus.data.writers import check_destination

    if out is not None:
        check_destination(out, force)
    model = open_run(run, data)
    found, extra = of_run(model, recorded(run), data, reading)
    n_rows, n_features = size(found)
    seen = Seen(model, n_rows, n_features)
    mixed = model.encoding_ is not None
    totals = np.zeros(2)

    def scored() -> Iterator[Any]:
        for block in blocks(found, mixed=mixed):
            values = seen.numbers(block)
            nats = model.score_samples(block)
            with untold():
                result = None if mixed else model.reconstruct(block).reshape(values.shape)
                errors = squared_errors(model, block if mixed else values, result)
            totals[:] += np.sum(nats, dtype=np.float64), np.sum(errors, dtype=np.float64)
            yield np.stack([nats, errors], axis=1)

    every, after = told_at_the_end(scored()), ""
    if out is not None:
        _, after = _beside.write_rows(
            out, every, ["nats", "squared_error"], _beside.files_of(found)
        )
    else:
        for _ in every:
            pass
    unit = squared_units(model.scaling_.kind, model.likelihood_)
    score, error = (float(total) / n_rows for total in totals)
    meaning = "at the row's code" if model.beta is None else "a lower bound"
    lines = [
        f"{plural(n_rows, 'row')} of {data}",
        f"log-likelihood: {number(score)} ({meaning}, nats per row, higher is better)",
        f"reconstruction: {number(error)} ({unit} per row, lower is better)",
    ]
    if seen:
        lines.append(SEEN)
    facts = {
        "run": run,
        "data": data,
        "n_rows": n_rows,
        "seen": bool(seen),
        "score": score,
        "squared_error": error,
        "unit": unit,
        "out": out,
        "left_out": extra,
        **facts_of(found),
    }
    lines += said(found, extra, data)
    if out is not None:
        lines.append(f"Those of each row written to {out}{after}.")
    return Answer("\n".join(lines), facts)
