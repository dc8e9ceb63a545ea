"""One fit on disk: written whole or not at all, checked when it is read.

    RUN/config.json         format, schema, versions, parameters, data, checksum of the tensors
    RUN/model.safetensors   every tensor
    RUN/history.json        one object a round of training
    RUN/evaluation.json, .safetensors, RUN/comparison.json, .safetensors
                            what was found out later, bound to the model by its checksum

A run is written into a temporary folder beside its destination and moved there in one rename.
What is read is data: JSON and safetensors, no pickle and no import of anything named in a file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from isthmus._mark import CONFIG, FORMAT, TENSORS, is_run
from isthmus._version import __version__
from isthmus.engine.checkpoint import sync_folder
from isthmus.errors import RunError

SCHEMA = 2
HISTORY = "history.json"
# A million rows of history, or a million names.
_MOST_JSON = 1 << 28
_MOST_ATTACHED = 1 << 30
# What makes an attachment again.
_VERBS = {"evaluation": "evaluate it again", "comparison": "compare again (compare --into)"}
_REMEDY = "Give the folder that save, or fit on the command line, wrote."
FILES = frozenset({CONFIG, TENSORS, HISTORY})
ATTACHMENTS = ("evaluation", "comparison")
_EVERY = FILES | {f"{name}{end}" for name in ATTACHMENTS for end in (".json", ".safetensors")}


@dataclass(frozen=True)
class Run:
    """What a run directory holds.

    Attributes:
        config: JSON object; ``format``, ``schema`` and ``checksum`` are added when written.
        tensors: by name, on the CPU.
        history: one flat object a round; NaN is written as null and read as NaN.
    """

    config: dict[str, Any]
    tensors: Mapping[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)


def check_destination(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """The path, if a run may be written there.

    Raises:
        RunError: something is there and ``force`` is not given, or it is not (only) a run.
    """
    target = Path(path)
    if not _there(target):
        return target
    if not force:
        raise RunError(
            f"{target}", "exists", "Choose another folder, or overwrite it with force (--force)."
        )
    if not target.is_dir() or target.is_symlink():
        raise RunError(f"{target}", "is no folder", "Choose another path.")
    names = {entry.name for entry in target.iterdir()}
    foreign = sorted(names - _EVERY)
    if foreign or (names and not is_run(target)):
        what = f"holds {foreign[0]!r}, which is no part of a run" if foreign else "is no run"
        raise RunError(
            f"{target}", f"{what}, so it is not overwritten", "Choose another folder, or empty it."
        )
    return target


def _there(path: Path, *, follow: bool = False) -> bool:
    """Whether anything has that name; a name that cannot be (too long, with a null) has nothing."""
    try:
        path.stat(follow_symlinks=follow)
    except (OSError, ValueError):
        return False
    return True


def write(path: str | os.PathLike[str], run: Run, *, force: bool = False) -> Path:
    """Write a run, whole or not at all.

    Raises:
        RunError: the destination may not be written (:func:`check_destination`), or cannot be.
    """
    target = check_destination(path, force=force)
    staging: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        # clones, because safetensors refuses tensors that share memory (tied weights)
        tensors = {name: t.detach().cpu().contiguous().clone() for name, t in run.tensors.items()}
        save_file(tensors, staging / TENSORS)
        checksum = hashlib.sha256((staging / TENSORS).read_bytes()).hexdigest()
        config = {"format": FORMAT, "schema": SCHEMA, **run.config, "checksum": checksum}
        _write_json(staging / HISTORY, [_null_for_nan(row) for row in run.history])
        _write_json(staging / CONFIG, config)
        mode = stat.S_IMODE((staging / CONFIG).stat().st_mode)  # what the umask leaves
        (staging / TENSORS).chmod(mode)  # safetensors and mkdtemp write for the owner alone
        staging.chmod(mode | (mode & 0o444) >> 2)
        for name in FILES:
            with (staging / name).open("rb") as file:
                os.fsync(file.fileno())
        _swap(staging, target)
        sync_folder(target.absolute().parent)
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(
            f"{target}", f"cannot be written: {reason}", "Nothing was changed."
        ) from error
    finally:
        if staging is not None and staging.exists():
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        target.rename(old / "old")
        try:
            staging.rename(target)
        except BaseException:
            (old / "old").rename(target)
            raise
    except BaseException:
        with suppress(OSError):
            old.rmdir()  # empty, unless the run that was there could not be put back
        raise
    shutil.rmtree(old, ignore_errors=True)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a run says of itself, if it is one, of a schema this version knows.

    Raises:
        RunError: missing, foreign, damaged, or newer.
    """
    folder = Path(path)
    if not _there(folder, follow=True):
        raise RunError(
            f"{folder}",
            "does not exist",
            _REMEDY,
        )
    if not folder.is_dir():
        raise RunError(
            f"{folder}",
            "is no folder",
            _REMEDY,
        )
    if not (folder / CONFIG).is_file():
        raise RunError(
            f"{folder}",
            f"is no run: it has no {CONFIG}",
            _REMEDY,
        )
    config = _read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunError(
            f"{folder / CONFIG}",
            f"was not written by isthmus: its format is not {FORMAT!r}",
            _REMEDY,
        )
    schema = config.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise RunError(f"{folder / CONFIG}", f"names no schema: {schema!r}", _REMEDY)
    if schema > SCHEMA:
        written_by = config.get("versions")
        version = written_by.get("isthmus") if isinstance(written_by, dict) else None
        raise RunError(
            f"{folder}",
            f"has schema {schema}, written by isthmus {version or '(unknown)'}; "
            f"this version reads up to {SCHEMA}",
            "Update isthmus to open it.",
        )
    return config


def read(path: str | os.PathLike[str]) -> Run:
    """Read a run and check that it is one, whole, and of a schema this version knows.

    Raises:
        RunError: missing, foreign, truncated, altered, or newer.
    """
    folder = Path(path)
    config = read_config(folder)
    tensors = _read_tensors(folder / TENSORS, str(config.get("checksum", "")))
    history = _read_json(folder / HISTORY)
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise RunError(f"{folder / HISTORY}", "is damaged: it is no list of objects")
    if not all(v is None or isinstance(v, (int, float)) for row in history for v in row.values()):
        raise RunError(f"{folder / HISTORY}", "is damaged: it holds what is no number")
    rows = [{k: math.nan if v is None else v for k, v in row.items()} for row in history]
    return Run(config, tensors, rows)


def _read_tensors(path: Path, checksum: str, remedy: str = "fit again") -> dict[str, Tensor]:
    damaged = f"The file was cut short or altered; {remedy}, or copy the run again."
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != checksum:
            raise RunError(f"{path}", "is damaged: its checksum is not the recorded one", damaged)
        # clones, because products depend in their last bits on how their operands are aligned
        tensors = {name: t.clone() for name, t in load_file(path, device="cpu").items()}
    except FileNotFoundError as error:
        raise RunError(
            f"{path}", "is missing", f"Copy the whole run folder, or {remedy}."
        ) from error
    except (OSError, SafetensorError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}", f"cannot be read: {error}", damaged) from error
    return tensors


def _read_json(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > _MOST_JSON:
            raise RunError(f"{path}", f"has {size} bytes, and may have {_MOST_JSON}")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path}", "is missing", "Copy the whole run folder.") from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path}", f"is damaged: {error}", "The file was cut short or altered."
        ) from error
    except OSError as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}", f"cannot be read: {error.strerror}") from error


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _null_for_nan(row: Mapping[str, float]) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in row.items()}


def attach(
    path: str | os.PathLike[str],
    name: str,
    facts: Mapping[str, Any],
    arrays: Mapping[str, Tensor],
) -> None:
    """Put what was found out about a model beside it; what had that name is replaced.

    Args:
        path: the run directory.
        name: one of :data:`ATTACHMENTS`.
        facts: what JSON can hold; numbers that are not finite become null.
        arrays: tensors by name.

    Raises:
        RunError: no run is there, or the files cannot be written; the old ones stay then, or, if
            the last moves fail, count as none.
    """
    folder = Path(path)
    model = _checksum_of(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as staging:
            tensors = {key: t.detach().cpu().contiguous().clone() for key, t in arrays.items()}
            values, words = (Path(staging) / f"{name}{end}" for end in (".safetensors", ".json"))
            save_file(tensors, values)
            checksum = hashlib.sha256(values.read_bytes()).hexdigest()
            bound = {"schema": SCHEMA, "model": model, "checksum": checksum}
            _write_json(words, {**bound, "facts": _finite(facts)})
            values.chmod(stat.S_IMODE(words.stat().st_mode))
            # without the JSON that names them, tensors count as none
            (folder / words.name).unlink(missing_ok=True)
            for file in (values, words):
                with file.open("rb") as written:
                    os.fsync(written.fileno())
                file.replace(folder / file.name)
            sync_folder(folder)
    except (OSError, SafetensorError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"{folder / name}.json", f"cannot be written: {reason}") from error


def attached(
    path: str | os.PathLike[str], name: str
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """What :func:`attach` wrote; None where nothing was, or it is of another model.

    Raises:
        RunError: it is damaged, or of a newer schema.
    """
    folder = Path(path)
    if not (folder / f"{name}.json").is_file():
        return None
    verb = _VERBS.get(name, "make it again")
    again = f"The model is not concerned: {verb}."
    try:
        found = _read_json(folder / f"{name}.json")
    except RunError as error:
        raise RunError(error.given, error.rule, again) from error
    if not isinstance(found, dict) or not isinstance(found.get("facts"), dict):
        raise RunError(f"{folder / name}.json", "is damaged: it holds no facts", again)
    if not isinstance(found.get("schema"), int) or found["schema"] > SCHEMA:
        raise RunError(f"{folder / name}.json", f"has schema {found.get('schema')!r}", again)
    if found.get("model") != _checksum_of(folder):
        return None
    path_of_tensors = folder / f"{name}.safetensors"
    size = path_of_tensors.stat().st_size if path_of_tensors.is_file() else 0
    if size > _MOST_ATTACHED:
        raise RunError(
            f"{path_of_tensors}", f"has {size} bytes, and may have {_MOST_ATTACHED}", again
        )
    tensors = _read_tensors(path_of_tensors, str(found.get("checksum", "")), verb)
    return found["facts"], tensors


def _checksum_of(folder: Path) -> str:
    """The checksum of a run's model, as its configuration names it."""
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder}", f"is no run: it has no {CONFIG}", _REMEDY)
    config = _read_json(folder / CONFIG)
    return str(config.get("checksum", "")) if isinstance(config, dict) else ""


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value


def now() -> str:
    """The time, as what is attached records it.

    >>> len(now()), now().endswith("+00:00")
    (25, True)
    """
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions that a run records."""
    return {"isthmus": __version__, "torch": torch.__version__}
