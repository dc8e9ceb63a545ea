"""``isthmus reconstruct``: rows → what the model makes of them, also of corrupted ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from isthmus.cli._answer import Answer, number
from isthmus.cli._options import (
    DataFile,
    Drop,
    Force,
    OutFile,
    RunFolder,
    Seed,
    names_of,
    seed_of,
)
from isthmus.cli._parameters import NUMBER
from isthmus.cli._runs import feature_names, open_run
from isthmus.cli._words import plural, squared_errors, squared_units
from isthmus.errors import InvalidParameterError

_CORRUPTION = "Corruption"
EXAMPLES = """Examples:

isthmus reconstruct runs/a new.csv --out filled.csv

isthmus reconstruct runs/a digits --noise gaussian --noise-level 0.5 --seed 0 --out clean.npy
"""


def reconstruct(
    run: RunFolder,
    data: DataFile,
    out: OutFile,
    drop: Drop = None,
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise",
            metavar="NAME",
            help="Corrupt the rows first: gaussian, masking, salt_and_pepper or swap.",
            rich_help_panel=_CORRUPTION,
        ),
    ] = None,
    noise_level: Annotated[
        str | None,
        typer.Option(
            "--noise-level",
            metavar="X",
            help="Deviation in scaled units, or probability per entry; by default the model's "
            "own, or 0.5.",
            rich_help_panel=_CORRUPTION,
        ),
    ] = None,
    seed: Seed = None,
    force: Force = False,
) -> Answer:
    """Write the rows of a table as a model reconstructs them.

    Missing entries are filled. With --noise the rows are corrupted first, and the errors of both
    are told.
    """
    level, random_state = _level(noise, noise_level), seed_of(seed)

    from isthmus.data.readers import read
    from isthmus.data.writers import check_destination, write

    check_destination(out, force)
    model = open_run(run)
    table = read(data, drop=names_of(drop))
    clean, seen = table.values, table
    if noise is not None:
        noisy = model.corrupt(table, noise, level, random_state=random_state)
        seen = replace(table, values=noisy)
    result = model.reconstruct(seen)
    write(out, result, feature_names(model) or table.names)
    error = float(squared_errors(model, clean, result).mean())
    unit = squared_units(model.scaling_.kind)
    lines = [f"Reconstruction of {plural(len(result), 'row')} written to {out}."]
    facts: dict[str, object] = {"run": run, "data": data, "out": out, "n_rows": len(result)}
    if noise is None:
        lines.append(f"Against the data: {number(error)} ({unit} per row, lower is better).")
    else:
        before = float(squared_errors(model, clean, seen.values).mean())
        lines += [
            f"Against the clean rows: noisy {number(before)}, reconstructed {number(error)}",
            f"({unit} per row, lower is better).",
        ]
        facts |= {"noise": noise, "noise_level": level, "noisy_squared_error": before}
    return Answer("\n".join(lines), {**facts, "squared_error": error, "unit": unit})


def _level(noise: str | None, text: str | None) -> float | None:
    if text is None:
        return None
    if noise is None:
        raise InvalidParameterError(
            f"--noise-level {text}", "needs a corruption", "Add --noise gaussian, for example."
        )
    try:
        return float(NUMBER.from_text(text))
    except ValueError as error:
        raise InvalidParameterError(f"--noise-level {text}", "must be a number") from error
