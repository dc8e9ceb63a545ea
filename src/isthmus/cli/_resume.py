"""``fit --resume``: where a fit keeps its checkpoints, and whether it may go on from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from isthmus.errors import RunError

NOTHING = "There is nothing to go on from: training starts from the beginning."


def folder_of(out: str) -> Path:
    """The folder beside the run.

    >>> folder_of("runs/a/").name
    'a.checkpoint'
    """
    run = Path(out)
    return run.with_name(f"{run.name}.checkpoint")


def is_interrupted(out: str) -> bool:
    """Whether a run is there that Ctrl-C ended: going on may replace it."""
    try:
        config = json.loads((Path(out) / "config.json").read_text(encoding="utf-8"))
        return bool(config["fit"]["interrupted_"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def prepared(out: str, resume: bool, force: bool) -> tuple[dict[str, Path], bool]:
    """What to hand to ``fit``, and whether it goes on from a checkpoint.

    Raises:
        RunError: a fit was stopped there and it is not said what to do with it, or another process
            is writing there.
    """
    from isthmus.engine.checkpoint import Store

    folder = folder_of(out)
    if not folder.is_dir():
        return {"checkpoint": folder}, False
    with Store(folder) as store:
        found = store.read()
        if found is not None and resume:
            return {"resume_from": folder}, True
        if found is not None and not force:
            raise RunError(
                f"{folder}",
                f"holds a fit that was stopped at step {found.facts['step_count']}",
                "Go on with it by --resume, or start from the beginning by --force.",
            )
        store.clear()
    return {"checkpoint": folder}, False


def clear(out: str) -> None:
    """Remove the checkpoints: the run is there."""
    shutil.rmtree(folder_of(out), ignore_errors=True)
