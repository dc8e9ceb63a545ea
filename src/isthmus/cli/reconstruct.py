"""``isthmus reconstruct``: rows → what the model makes of them, also of corrupted ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from isthmus.cli import _interrupts
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
from isthmus.cli._rows import rows
from isthmus.cli._runs import SEEN, feature_names, is_seen, numbers_of, open_run
from isthmus.cli._words import plural, squared_errors, squared_units
from isthmus.errors import InvalidParameterError

_CORRUPTION = "Corruption"
WIDER = (
    "They were nearer to the clean rows before: the code leaves out more than this noise puts in. "
    "Fit with more --n-components."
)
EXAMPLES = """Examples:

isthmus reconstruct runs/a new.csv --out rows.csv

isthmus reconstruct runs/a new.csv --fill --out filled.csv

isthmus reconstruct runs/a digits --noise gaussian --noise-level 0.5 --seed 0 --out clean.npy
"""


def reconstruct(
    run: RunFolder,
    data: DataFile,
    out: OutFile,
    drop: Drop = None,
    fill: Annotated[
        bool,
        typer.Option(
            "--fill", help="Keep the known entries as they are; fill in only the missing ones."
        ),
    ] = False,
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

    All entries are the model's, also those that were known; with --fill only those that were
    missing. With --noise the rows are corrupted first, and the errors of both are told.
    """
    level, random_state = _level(noise, noise_level), seed_of(seed)

    if fill and noise is not None:
        raise InvalidParameterError(
            f"--fill with --noise {noise}",
            "would write the rows as they are: no entry of a corrupted row is missing",
            "Give one of them.",
        )

    with _interrupts.starting():
        import numpy as np

        from isthmus.data.frames import arrow
        from isthmus.data.writers import check_destination, write, write_frame

    check_destination(out, force)
    model = open_run(run, data)
    table = rows(data, names_of(drop), new=True)
    mixed = model.encoding_ is not None
    clean, given = table.values, table
    if noise is not None:
        noisy = model.corrupt(table, noise, level, random_state=random_state)
        given = replace(table, frame=noisy) if mixed else replace(table, values=noisy)
    missing = np.isnan(numbers_of(model, table))
    if mixed:
        result = model.impute(given) if fill else model.reconstruct(given)
        write_frame(out, arrow(result))
        error = float(model.squared_errors(given, table).mean())
    else:
        result = model.reconstruct(given)
        written = np.where(missing, result, clean) if fill else result
        write(out, written, feature_names(model) or table.names)
        error = float(squared_errors(model, clean, result).mean())
    unit = squared_units(model.scaling_.kind)
    many, n_missing, seen = plural(len(result), "row"), int(missing.sum()), is_seen(model, table)
    facts: dict[str, object] = {
        "run": run,
        "data": data,
        "out": out,
        "n_rows": len(result),
        "n_missing": n_missing,
        "filled_only": fill,
        "seen": seen,
    }
    if fill:
        entries = "1 missing entry" if n_missing == 1 else f"{n_missing or 'no'} missing entries"
        lines = [
            f"{many} with {entries} filled in written to {out}; the known ones are as they were.",
            f"Error at the known entries, had they been replaced: {number(error)} "
            f"({unit} per row, lower is better).",
        ]
    elif noise is None:
        lines = [
            f"Reconstruction of {many} written to {out}.",
            f"Against the data: {number(error)} ({unit} per row, lower is better).",
        ]
    elif mixed:
        lines = [
            f"Reconstruction of {rows} written to {out}.",
            f"Against the clean rows: {number(error)} ({unit} per row, lower is better).",
        ]
        facts |= {"noise": noise, "noise_level": level}
    else:
        before = float(squared_errors(model, clean, given.values).mean())
        lines = [
            f"Reconstruction of {many} written to {out}.",
            f"Against the clean rows: noisy {number(before)}, reconstructed {number(error)}",
            f"({unit} per row, lower is better).",
        ]
        facts |= {"noise": noise, "noise_level": level, "noisy_squared_error": before}
        if error > before:
            lines.append(WIDER)
    if seen:
        lines.append(SEEN)
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
