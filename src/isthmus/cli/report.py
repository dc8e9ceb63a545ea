"""``isthmus report``: a run → one HTML file to read, print or send."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli._answer import Answer
from isthmus.cli._options import OUTPUT, Force, RunFolder
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.errors import IsthmusError, RunError

if TYPE_CHECKING:
    from isthmus.evaluation.record import Evaluation
    from isthmus.runs.directory import Run

EXAMPLES = """Examples:

isthmus report runs/wine

isthmus report runs/wine --label target --out wine.html --force
"""


def report(
    run: RunFolder,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Rows to measure the model on first; without any, what evaluate wrote into the "
            "run is shown, or the rows of the fit are measured.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The page to write, .html; RUN.html, beside the run, by default.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="A column of classes, no feature, by which the map is coloured; target for a "
            "bundled table.",
        ),
    ] = None,
    reading: ReadingOptions = AS_USUAL,
    force: Force = False,
) -> Answer:
    """Write a page on a model: the verdict, pictures, charts, outliers, how it was made.

    The page is one file that needs no network. Where DATA or --label is given, or nothing was
    evaluated yet, the model is evaluated first, as the verb evaluate does.
    """
    from isthmus.data.writers import check_destination, replacing
    from isthmus.runs import directory

    found = directory.read(run)
    page = place(run) if out is None else Path(out)
    check_destination(page, force, endings=(".html", ".htm"))
    evaluation = None if data or label else _attached(run)
    measured, told = evaluation is None, list[str]()
    if evaluation is None:
        from isthmus.cli.evaluate import measured as measure

        _, _, told = measure(run, data, label=label, reading=reading, force=force, verb="report")
        evaluation = _attached(run)
        assert evaluation is not None  # noqa: S101  (evaluate wrote it)

    text = _rendered(run, found, evaluation).encode()
    with replacing(page) as file:
        file.write(text)
    versus: dict[str, Any] = evaluation.facts.get("versus_pca") or {}
    lines = [
        *([versus["sentence"]] if versus else []),
        *([f"Evaluated first; that is in {run} now."] if measured else []),
        *told,
        f"Open {page} ({len(text) / 1e6:.1f} MB).",
    ]
    facts = {
        "run": run,
        "out": str(page),
        "bytes": len(text),
        "evaluated": measured,
        "rows": evaluation.facts.get("rows"),
        "versus_pca": versus or None,
    }
    return Answer("\n".join(lines), facts)


def place(run: str) -> Path:
    """Where the page of a run goes by default: beside it, under its name.

    >>> str(place("runs/a.1")), str(place("runs/b/"))
    ('runs/a.1.html', 'runs/b.html')
    """
    folder = Path(run)
    if folder.name in ("", ".."):
        folder = folder.resolve()
    return folder.parent / f"{folder.name or 'run'}.html"


def _rendered(run: str, found: Run, evaluation: Evaluation) -> str:
    """The page; what is attached to a run is only read here, and may have been altered."""
    from jinja2 import TemplateError

    from isthmus.report.run_page import render
    from isthmus.runs import directory

    try:
        return render(found, evaluation, directory.attached(run, "comparison"))
    except (LookupError, TypeError, ValueError, AttributeError, TemplateError) as error:
        if isinstance(error, IsthmusError):
            raise
        said = " ".join(str(error).split())[:200]
        raise RunError(
            run,
            f"holds an evaluation that no page can be made of ({type(error).__name__}: {said})",
            f"Evaluate it again: isthmus evaluate {shlex.quote(run)}.",
        ) from error


def _attached(run: str) -> Evaluation | None:
    from isthmus.evaluation.record import Evaluation
    from isthmus.runs import directory

    found = directory.attached(run, "evaluation")
    if found is None:
        return None
    facts, tensors = found
    return Evaluation(facts, {name: values.numpy() for name, values in tensors.items()})
