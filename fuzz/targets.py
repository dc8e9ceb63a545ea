"""What is fuzzed: each target takes bytes and must return, with a value or our own error."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from isthmus.cli import _config
from isthmus.data.readers import read
from isthmus.engine.checkpoint import Store
from isthmus.errors import IsthmusError
from isthmus.estimators import Autoencoder, load
from isthmus.runs import directory

Target = Callable[[bytes], None]
_MEMORY = Path("/dev/shm")  # a file system in memory, where there is one
_KEPT = tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)  # until the end
_FOLDER = Path(_KEPT.name)
_RUN_FILES = (directory.CONFIG, directory.HISTORY, directory.TENSORS)


def _data(ending: str) -> Target:
    path = _FOLDER / f"data.{ending}"

    def target(data: bytes) -> None:
        path.write_bytes(data)
        with suppress(IsthmusError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = read(path)
            if table.values.ndim != 2 or not np.isfinite(table.values).any(0).all():
                raise AssertionError("a table that breaks its promise")

    return target


def _toml(data: bytes) -> None:
    path = _FOLDER / "settings.toml"
    path.write_bytes(data)
    with suppress(IsthmusError):
        _config.read(str(path))


def whole_run() -> Path:
    """A small run, made once."""
    path = _FOLDER / "whole"
    if not path.exists():
        rows = np.random.default_rng(0).normal(size=(20, 4))
        model = Autoencoder(2, hidden_layer_sizes=(3,), max_epochs=1, random_state=0).fit(rows)
        model.save(path)
        directory.attach(path, "evaluation", {"a": [1, "b"]}, {})
    return path


def _run(data: bytes) -> None:
    """The first byte chooses the file; the checksum is made to fit, or nothing would be reached."""
    if not data:
        return
    path = _FOLDER / "run"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole_run(), path)
    name = _RUN_FILES[data[0] % len(_RUN_FILES)]
    (path / name).write_bytes(data[1:])
    if name == directory.TENSORS:
        config = json.loads((path / directory.CONFIG).read_text())
        config["checksum"] = hashlib.sha256(data[1:]).hexdigest()
        (path / directory.CONFIG).write_text(json.dumps(config))
    with suppress(IsthmusError):
        load(path).transform(np.zeros((1, 4)))


def _evaluation(data: bytes) -> None:
    path = _FOLDER / "attached"
    if not path.exists():
        shutil.copytree(whole_run(), path)
    (path / "evaluation.json").write_bytes(data)
    with suppress(IsthmusError):
        directory.attached(path, "evaluation")


def _checkpoint(data: bytes) -> None:
    """With the digest made to fit."""
    path = _FOLDER / "checkpoint"
    path.mkdir(exist_ok=True)
    (path / "0.checkpoint").write_bytes(data + hashlib.sha256(data).digest())
    with suppress(IsthmusError), Store(path) as store:
        store.read()


TARGETS: dict[str, Target] = {
    "csv": _data("csv"),
    "npy": _data("npy"),
    "npz": _data("npz"),
    "parquet": _data("parquet"),
    "config": _toml,
    "run": _run,
    "evaluation": _evaluation,
    "checkpoint": _checkpoint,
}
