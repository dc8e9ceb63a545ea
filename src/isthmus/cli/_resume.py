"""``fit --resume``: where a fit keeps its checkpoints, and whether it may go on from them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import RunError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators import Estimator

DONE = "The fit was finished before: nothing was left to do."
NOTHING = "There is nothing to go on from: training starts from the beginning."


def folder_of(out: str) -> Path:
    """The folder beside the run.

    >>> folder_of("runs/a/").name
    'a.checkpoint'
    """
    run = Path(out)
    return run.with_name(f"{run.name}.checkpoint")


def finished(out: str, estimator: Estimator, found: Table | Source) -> Estimator | None:
    """The run that is there, if it is the very fit that is asked for, done to its end.

    A process may be killed after its run is in place and before its checkpoints are removed.
    None if Ctrl-C ended it: going on may replace it.

    Raises:
        RunError: it is another fit, or no run.
    """
    from isthmus.cli._runs import is_seen
    from isthmus.estimators import load
    from isthmus.estimators._persistence import as_json

    there = load(out)
    asked = {name: as_json(value) for name, value in estimator.get_params(deep=False).items()}
    was = {name: as_json(value) for name, value in there.get_params(deep=False).items()}
    differ = sorted(name for name in asked if asked[name] != was[name] and name != "verbose")
    if type(there) is not type(estimator) or not is_seen(there, found):
        differ.insert(0, "model" if type(there) is not type(estimator) else "rows")
    if differ:
        raise RunError(
            out,
            f"is a run of another fit ({differ[0]} differs), so it is not gone on with",
            "Choose another folder, or start from the beginning by --force.",
        )
    return None if there.interrupted_ else there


def prepared(out: str, resume: bool, force: bool) -> dict[str, Path]:
    """What to hand to ``fit``: the folder, as ``checkpoint`` or as ``resume_from``.

    Raises:
        RunError: a fit was stopped there and it is not said what to do with it, or another process
            is writing there.
    """
    from isthmus.engine.checkpoint import Store

    folder = folder_of(out)
    if not folder.is_dir():
        return {"checkpoint": folder}
    with Store(folder) as store:
        found = store.read()
        if found is not None and resume:
            return {"resume_from": folder}
        if found is not None and not force:
            raise RunError(
                f"{folder}",
                f"holds a fit that was stopped at step {found.facts.get('step_count')}",
                "Go on with it by --resume, or start from the beginning by --force.",
            )
        store.clear()
    return {"checkpoint": folder}


@contextmanager
def spoken(out: str) -> Iterator[None]:
    """Within it, advice about the checkpoints of this run is in the words of the command line."""
    try:
        yield
    except RunError as error:
        if error.given != str(folder_of(out)):
            raise
        raise RunError(
            error.given,
            error.rule,
            "Give what it was started with, or start from the beginning by --force.",
        ) from error


def clear(out: str) -> None:
    """Remove the checkpoints: the run is there."""
    shutil.rmtree(folder_of(out), ignore_errors=True)
