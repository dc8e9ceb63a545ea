"""``isthmus reconstruct``: rows → what the model makes of them, also of corrupted ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from isthmus.cli import _beside, _interrupts
from isthmus.cli._answer import Answer, number
from isthmus.cli._blocks import blocks, size, told_at_the_end
from isthmus.cli._filling import Filler
from isthmus.cli._options import DataFile, Force, OutFile, RunFolder, Seed, seed_of
from isthmus.cli._parameters import NUMBER
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import facts_of, of_run, said, words_for
from isthmus.cli._runs import SEEN, Seen, feature_names, numbers_of, open_run, recorded
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
    reading: ReadingOptions = AS_USUAL,
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

        from isthmus.data.columns.frames import arrow
        from isthmus.data.tables import quoted
        from isthmus.data.telling import untold
        from isthmus.data.writers import check_destination, write_frames

    check_destination(out, force)
    model = open_run(run, data)
    about = recorded(run)
    found, extra = of_run(model, about, data, reading)
    n_rows, n_features = size(found)
    seen = Seen(model, n_rows, n_features)
    mixed = model.encoding_ is not None
    total, noisy_total, n_missing = 0.0, 0.0, 0

    def made() -> Iterator[Any]:
        nonlocal total, noisy_total, n_missing
        state = None if random_state is None else np.random.RandomState(random_state)
        for block in blocks(found, mixed=mixed):
            clean, given = seen.numbers(block), block
            if noise is not None:
                with untold():
                    noisy = model.corrupt(block, noise, level, random_state=state)
                given = _instead(block, noisy)
            encoding = model.encoding_
            missing = np.isnan(clean) if encoding is None else encoding.holes(block)
            n_missing += int(missing.sum())
            if mixed:
                with untold():
                    total += float(model.squared_errors(given, block).sum())
                wider = given if filler is None else filler.wider(given)
                table = arrow(model.impute(wider) if fill else model.reconstruct(given))
                yield table if filler is None else filler.filled(table, missing)
                continue
            result = model.reconstruct(given).reshape(clean.shape)
            total += float(squared_errors(model, clean, result).sum())
            if noise is not None:
                noisy_total += float(squared_errors(model, clean, numbers_of(model, given)).sum())
            if filler is not None:
                yield filler.filled(result, missing)
            else:
                yield np.where(missing, result, clean) if fill else result

    left = [*reading.left, *(about.get("drop") or ())]
    words = words_for(about, reading)
    filler = Filler.of(model, found, data, out, left, words) if fill else None
    every, after = told_at_the_end(made()), ""
    if filler is not None:
        filler.write(out, every)
    elif mixed:
        write_frames(out, every)
    else:
        _, after = _beside.write_rows(
            out, every, feature_names(model) or found.names, _beside.files_of(found)
        )
    error = total / n_rows
    unit = squared_units(model.scaling_.kind, model.likelihood_)
    many = plural(n_rows, "row")
    facts: dict[str, object] = {
        "run": run,
        "data": data,
        "out": out,
        "n_rows": n_rows,
        "n_missing": n_missing,
        "filled_only": fill,
        "seen": bool(seen),
        "left_out": extra,
        **facts_of(found),
    }
    if fill:
        entries = "1 missing entry" if n_missing == 1 else f"{n_missing or 'no'} missing entries"
        lines = [
            f"{many} with {entries} filled in written to {out}{_turned(filler, data)}; the known "
            "ones are as they were.",
        ]
        if n_missing < n_rows * n_features:
            lines.append(
                f"Error at the known entries, had they been replaced: {number(error)} "
                f"({unit} per row, lower is better)."
            )
    elif noise is None:
        lines = [
            f"Reconstruction of {many} written to {out}{after}.",
            f"Against the data: {number(error)} ({unit} per row, lower is better).",
        ]
    elif mixed:
        lines = [
            f"Reconstruction of {many} written to {out}{after}.",
            f"Against the clean rows: {number(error)} ({unit} per row, lower is better).",
        ]
        facts |= {"noise": noise, "noise_level": level}
    else:
        before = noisy_total / n_rows
        lines = [
            f"Reconstruction of {many} written to {out}{after}.",
            f"Against the clean rows: noisy {number(before)}, reconstructed {number(error)}",
            f"({unit} per row, lower is better).",
        ]
        facts |= {"noise": noise, "noise_level": level, "noisy_squared_error": before}
        if error > before:
            lines.append(WIDER)
    if seen:
        lines.append(SEEN)
    lines += said(found, extra if filler is None else (), data)
    if filler is not None and filler.beside:
        facts["carried"] = filler.beside
        what = "Column" if len(filler.beside) == 1 else "Columns"
        lines.append(f"{what} of no feature as in {data}: {quoted(filler.beside)}.")
    return Answer("\n".join(lines), {**facts, "squared_error": error, "unit": unit})


def _turned(filler: Filler | None, data: str) -> str:
    """Said of the encoding of what was written, where that of the data is another."""
    if filler is None or filler.encoding is None:
        return ""
    return f" in UTF-8 ({data} is in {filler.encoding})"


def _instead(block: Any, rows: Any) -> Any:
    """A block with other rows in it."""
    from isthmus.data.tables import Table

    if not isinstance(block, Table):
        return rows
    return replace(block, **{"values" if hasattr(rows, "dtype") else "frame": rows})


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
