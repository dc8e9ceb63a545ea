"""``isthmus demo``: PCA and the four autoencoders on handwritten digits, one table and one page."""

from __future__ import annotations

import json
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer, as_json, columns
from isthmus.cli._options import OUTPUT, Force, Quiet, seed_of
from isthmus.errors import RunError

if TYPE_CHECKING:
    from isthmus.cli._demo_study import Listener
    from isthmus.report.study import Study

EXAMPLES = """Examples:

isthmus demo --out demo

isthmus demo --out demo --seed 1 --force
"""
PAGE, RESULTS, RUNS = "index.html", "results.json", "runs"
RUN_NAMES = ("undercomplete", "denoising", "contractive", "variational", "variational-2d")


def demo(
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder to write to.",
            rich_help_panel=OUTPUT,
        ),
    ] = "demo",
    force: Force = False,
    seed: Annotated[
        str,
        typer.Option("--seed", metavar="N", help="Of the split, the noise and the models."),
    ] = "0",
    quiet: Quiet = False,
) -> Answer:
    """Fit PCA and the four models on bundled data: the quickest look around.

    Writes DIR/index.html, one page with pictures that needs no network; DIR/results.json, all
    figures; and the trained models, DIR/runs.
    """
    number_of_seed = seed_of(seed) or 0
    check_place(out, force)
    folder = Path(out)

    with _interrupts.starting():
        from isthmus.cli import _demo_study
        from isthmus.data.writers import replacing
        from isthmus.report.demo_page import render

    command = shlex.join(["isthmus", "demo", "--out", str(out), "--seed", str(number_of_seed)])
    with warnings.catch_warnings():
        # Ctrl-C ends the whole demo, so what is kept of a fit is of no interest.
        warnings.filterwarnings("ignore", "Training was interrupted")
        study, models = _demo_study.run(number_of_seed, command, lambda name: _bar(name, quiet))
    facts = study.as_dict()
    texts = {RESULTS: json.dumps(json.loads(as_json(facts)), indent=1) + "\n", PAGE: render(study)}
    with _interrupts.saving():
        for name, model in models.items():
            model.save(folder / RUNS / name, force=force)
        for name, text in texts.items():
            with replacing(folder / name) as file:
                file.write(text.encode())
    return Answer(f"{told(study)}\n\nOpen {folder / PAGE}", {"out": str(out), **facts})


@contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Listener | None]:
    from isthmus.cli._progress import training

    if not quiet:
        print(f"Training: {name}", file=sys.stderr)
    with training(quiet) as listener:
        yield listener


def told(study: Study) -> str:
    """The table and what it says, for a terminal."""
    from isthmus.report.study import MEASURES

    header = [("", *(m.short[line] for m in MEASURES)) for line in (0, 1)]
    rows = [(r.name, *(m.words(r.figure(m.key)) for m in MEASURES)) for r in study.results]
    table = columns([*header, *rows], right=range(1, len(MEASURES) + 1))
    about = (
        f"{study.n_components} components, {study.n_train} training images of handwritten digits; "
        f"means over {study.n_test} test images:"
    )
    legend = [
        f"{' '.join(m.short).replace('- ', '-')}: {m.unit}, {m.direction}"
        f"{f'. {m.caution}' if m.caution else ''}"
        for m in MEASURES
        if m.direction
    ]
    verdicts = [f"[{claim.state}] {claim.sentence}" for claim in study.claims]
    return "\n".join([about, "", table, "", *legend, "", *verdicts])


def check_place(out: str | Path, force: bool) -> None:
    """Refuse, before any work is done, a folder that should not or cannot be written to.

    With ``force`` only what a demo made is replaced; other files in the folder stay.

    Raises:
        RunError: the folder exists and ``force`` is false, or something of another origin is
            where the demo writes.
    """
    with _interrupts.starting():
        from isthmus.data.writers import check_destination
        from isthmus.runs import directory

    if not str(out):
        raise RunError("--out ''", "must name a folder")
    folder = Path(out)
    there = folder.exists() or folder.is_symlink()
    if there and not force:
        raise RunError(f"{folder}", "exists", "Choose another folder, or allow it with --force.")
    for place in (folder, folder / RUNS):
        if (place.exists() or place.is_symlink()) and not place.is_dir():
            raise RunError(f"{place}", "is no folder", "Choose another path.")
    for name, made_here in ((PAGE, _is_our_page), (RESULTS, _are_our_results)):
        path = folder / name
        check_destination(path, force, endings=(path.suffix,))
        if path.exists() and not made_here(path):
            raise RunError(
                f"{path}", "was not made by the demo, so it stays", "Choose another folder."
            )
    for name in RUN_NAMES:
        directory.check_destination(folder / RUNS / name, force=force)


def _is_our_page(path: Path) -> bool:
    from isthmus.report.demo_page import MARK

    with path.open("rb") as file:
        return MARK.encode() in file.read(1000)


def _are_our_results(path: Path) -> bool:
    from isthmus.report.study import FORMAT

    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT
