"""Runs as the verbs meet them: a place for a new one, and opening one."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus._mark import is_run
from isthmus.cli import _interrupts
from isthmus.errors import InvalidParameterError, RunError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators import Estimator

SEEN = "These are the rows the model was fitted to: no test of it."


def check_place(out: str, force: bool) -> Path:
    """The folder, if a run may and can be written there.

    Raises:
        RunError: something is there, or no folder can be made there.
    """
    with _interrupts.starting():
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


def open_run(run: str, data: str | None = None) -> Estimator:
    """The fitted model in a run folder.

    Args:
        run: the folder.
        data: what stands in the place of the data, to tell when the two are exchanged.

    Raises:
        RunError: missing, foreign, truncated or newer.
        InvalidParameterError: the data is a run and the run is none.
    """
    if data is not None and is_run(data) and not is_run(run):
        right = shlex.join([data, run])
        raise InvalidParameterError(
            f"RUN {run} and DATA {data}",
            "are the wrong way round: the second is a run",
            f"Give them as {right}.",
        )
    with _interrupts.starting():
        from isthmus.estimators import load
        from isthmus.runs.directory import read_config

    if "detector" in read_config(run):
        raise RunError(
            run,
            "holds an outlier detector, not a model alone",
            f"Judge rows with it: isthmus outliers DATA --detector {shlex.quote(run)}.",
        )
    return load(run)


def recorded(run: str) -> dict[str, Any]:
    """What the run says of the rows of its fit: where they are from, what was dropped, ...

    Raises:
        RunError: missing, foreign, truncated or newer.
    """
    from isthmus.runs import directory

    found: dict[str, Any] = directory.read_config(run)["data"]
    return found


class Seen:
    """Whether a model was fitted to these very rows, which come block by block.

    Args:
        model: fitted.
        n_rows, n_features: of all rows.
    """

    def __init__(self, model: Estimator, n_rows: int, n_features: int) -> None:
        from isthmus.data.tables import new_fingerprint

        self._model = model
        self._known = getattr(model, "_fingerprint", "")
        self._digest = new_fingerprint(n_rows, n_features)

    def numbers(self, block: Any) -> Any:
        """The next rows as numbers (n, D)."""
        from isthmus.data.tables import update_fingerprint

        values = numbers_of(self._model, block)
        if self._known:
            update_fingerprint(self._digest, values)
        return values

    def __bool__(self) -> bool:
        """After all rows; False for runs that do not say what they were fitted to."""
        return bool(self._known) and self._digest.hexdigest() == self._known


def is_seen(model: Estimator, found: Table | Source) -> bool:
    """Whether the model was fitted to these very rows; False for runs that do not say."""
    from isthmus.cli._blocks import blocks, size

    seen = Seen(model, *size(found))
    for block in blocks(found, mixed=model.encoding_ is not None):
        seen.numbers(block)
    return bool(seen)


def numbers_of(model: Estimator, table: Any) -> Any:
    """Rows as numbers (N, D), a mixed table's as the model encodes them.

    Args:
        model: fitted.
        table: of :func:`isthmus.cli._rows.opened`, or a block of it.
    """
    if model.encoding_ is None:
        values = getattr(table, "values", table)
        return values.reshape(len(values), -1)
    from isthmus.data.telling import untold

    with untold():  # of unknown categories: the verb's own work tells of them
        return model.encoding_.encode(table)


def feature_names(estimator: Estimator) -> list[str] | None:
    """The names of the columns that the model was fitted to, if they had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]
