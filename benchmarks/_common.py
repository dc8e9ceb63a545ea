"""Data, tables and result files that the benchmarks share."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"
VARIABLE = "ISTHMUS_DATA"
NOT_RECORDED = "not recorded"


def data_folder() -> Path | None:
    """The folder of benchmark data named by the environment variable, or None."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None


def need_data() -> Path:
    """The folder of benchmark data; ends the program with a sentence if there is none."""
    folder = data_folder()
    if folder is None or not folder.is_dir():
        sys.exit(
            f"skipped: set {VARIABLE} to the folder of the benchmark data (docs/benchmarks.md)"
        )
    return folder


def standardise(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both by the mean and deviation of the training rows; constant columns are only centred."""
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation <= 1e-12 * np.maximum(1, np.abs(mean))] = 1.0
    return (train - mean) / deviation, (test - mean) / deviation


def processor() -> str:
    """Name of the processor, its family and model, and which products in half the bits it has.

    Virtual machines give a name that says little; family and model tell the generation.
    """
    halves = {
        "AVX-512 BF16": torch.cpu._is_avx512_bf16_supported(),
        "AMX": torch.cpu._is_amx_tile_supported(),
    }
    told = {}
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = (line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        told = {name.strip(): value.strip() for name, value in lines}
    name = told.get("model name", platform.processor() or platform.machine())
    model = "".join(f", {key} {told[key]}" for key in ("cpu family", "model") if key in told)
    return name + model + "".join(f", {each}" for each, has in halves.items() if has)


def write(name: str, rows: list[dict[str, Any]], summary: dict[str, Any]) -> Path:
    """benchmarks/results/NAME.json with the figures, the versions, and the machine of each row.

    A row names the processor and the threads that it was measured with: those of :func:`read`
    keep theirs, so that what ``--only`` and ``--append`` leave as it was is not ascribed to this
    machine.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    here = {"processor": processor(), "threads": torch.get_num_threads()}
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
    named = [{**here, **row} for row in rows]
    text = json.dumps({"versions": versions, "summary": summary, "rows": named}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read(name: str) -> list[dict[str, Any]]:
    """The rows of benchmarks/results/NAME.json, none if there is no such file."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [{**dict.fromkeys(("processor", "threads"), NOT_RECORDED), **row} for row in rows]
