"""Runs as the verbs meet them: a place for a new one, and opening one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import RunError

if TYPE_CHECKING:
    from isthmus.estimators import Estimator


def check_place(out: str, force: bool) -> Path:
    """The folder, if a run may and can be written there.

    Raises:
        RunError: something is there, or no folder can be made there.
    """
    from isthmus.runs.directory import check_destination

    if not out:
        raise RunError("--out ''", "must name a folder")
    target = check_destination(out, force=force)
    folder = next(p for p in target.absolute().parents if p.exists())
    if not folder.is_dir():
        raise RunError(out, f"cannot be made: {str(folder)!r} is not a folder")
    try:  # for certain, where os.access only guesses
        Path(tempfile.mkdtemp(prefix=".isthmus.", dir=folder)).rmdir()
    except OSError as error:
        raise RunError(
            out,
            f"cannot be made in the folder {str(folder)!r} ({error.strerror})",
            "Choose another folder, or change its permissions.",
        ) from error
    return target


def open_run(run: str) -> Estimator:
    """The fitted model in a run folder.

    Raises:
        RunError: missing, foreign, truncated or newer.
    """
    from isthmus.estimators import load

    return load(run)


def feature_names(estimator: Estimator) -> list[str] | None:
    """The names of the columns that the model was fitted to, if they had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
