"""``isthmus sample``: new rows from a model."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer
from isthmus.cli._options import Force, OutFile, RunFolder, Seed, seed_of
from isthmus.cli._runs import feature_names, open_run
from isthmus.cli._words import plural
from isthmus.errors import InvalidParameterError

EXAMPLES = """Example:

isthmus sample runs/a -n 100 --seed 0 --out new.csv
"""


def sample(
    run: RunFolder,
    out: OutFile,
    n_samples: Annotated[
        str, typer.Option("--n-samples", "-n", metavar="N", help="How many rows.")
    ] = "1",
    noise: Annotated[bool, typer.Option("--noise", help="Draw from p(x|z), not its mean.")] = False,
    seed: Seed = None,
    force: Force = False,
) -> Answer:
    """Write new rows drawn from a model.

    Codes come from the prior of a variational model, and otherwise from a mixture of Gaussians
    fitted to the codes of training rows.
    """
    if not n_samples.isascii() or not n_samples.isdigit() or int(n_samples) < 1:
        raise InvalidParameterError(f"-n {n_samples}", "must be a whole number of at least 1")
    random_state = seed_of(seed)

    with _interrupts.starting():
        from isthmus.data.columns.frames import arrow
        from isthmus.data.writers import check_destination, write, write_frame

    check_destination(out, force)
    model = open_run(run)
    rows = model.sample(int(n_samples), noise=noise, random_state=random_state)
    if model.encoding_ is None:
        write(out, rows.reshape(len(rows), -1), feature_names(model))
    else:
        write_frame(out, arrow(rows))
    facts = {"run": run, "out": out, "n_rows": len(rows), "noise": noise, "seed": random_state}
    return Answer(f"{plural(len(rows), 'new row')} written to {out}.", facts)
