"""A Parquet folder larger than memory should be: peak memory, and rows a second beside memory.

    python -m benchmarks.stream [--gigabytes 4] [--folder FOLDER] [--runs 2]

Makes the folder (files of 250 MB, 64 columns of float32: waves of 8 hidden variables plus noise)
unless it is there, and deletes it again unless it was named. Every run is a process of its own,
alternated: a fit of the whole folder as a stream, and the same model for as many steps on a million
of the rows loaded into memory. Rows a second are those of the training itself, validation
included, between the first round and the last; the peak is the process's largest resident set, the
interpreter and torch included (about 0.35 GB).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks import _common

FEATURES, HIDDEN = 64, 8
ROWS_A_FILE, ROWS_A_GROUP = 1_000_000, 100_000
BATCH = 256
MODEL = {"n_components": 8, "random_state": 0, "batch_size": BATCH}
# The default of these rows has two hidden layers of 512 and 4,000 steps; the small one, whose steps
# take a tenth of the time, sees every row once.
SIZES: dict[str, dict[str, Any]] = {
    "default": {},
    "small": {"hidden_layer_sizes": (64,), "max_epochs": 1},
}


def make(folder: Path, gigabytes: float) -> None:
    """Write files until the folder holds that much; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(0).normal(size=(HIDDEN, FEATURES)).astype(np.float32)
    names = [f"f{j}" for j in range(FEATURES)]
    size = 0
    for i in range(10_000):
        path = folder / f"part-{i:04}.parquet"
        if not path.exists():
            generator = np.random.default_rng([1, i])
            z = generator.standard_normal((ROWS_A_FILE, HIDDEN), np.float32)
            x = np.sin(z @ weights)
            x += 0.1 * generator.standard_normal(x.shape, np.float32)
            table = pa.Table.from_arrays([pa.array(column) for column in x.T], names)
            part = path.with_suffix(".part")
            parquet.write_table(table, part, row_group_size=ROWS_A_GROUP, use_dictionary=False)
            part.rename(path)
        size += path.stat().st_size
        if size >= gigabytes * 1e9:
            break


def fit(folder: Path, how: str) -> dict[str, float]:
    """In this process: fit, and say what it took."""
    from isthmus import Autoencoder, open_data
    from isthmus.data.source import n_rows

    where, _, size = how.partition(" ")
    settings = {**MODEL, **SIZES[size]}
    began = time.perf_counter()
    source = open_data(folder)
    n = n_rows(source)
    if where == "stream":
        model = Autoencoder(early_stopping=True, patience=None, **settings).fit(source)
    else:
        columns = parquet.read_table(min(folder.glob("*.parquet"))).columns
        x = np.stack([column.to_numpy() for column in columns], axis=1)
        del columns
        if "max_epochs" in settings:
            settings["max_epochs"] = math.ceil(n / len(x))
        model = Autoencoder(early_stopping=True, patience=None, **settings).fit(x)
    first, last = model.history_[1], model.history_[-1]
    seconds = last["seconds"] - first["seconds"]
    return {
        "rows": float(n if where == "stream" else len(x)),
        "seconds": time.perf_counter() - began,
        "rows_a_second": (last["step"] - first["step"]) * BATCH / seconds,
        "steps": last["step"],
        "squared_error": model.squared_error_,
        "pca_squared_error": model.pca_squared_error_,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def transform(folder: Path, how: str) -> dict[str, float]:
    """The command line's: a short fit, then codes of all rows, written as they come."""
    del how
    from isthmus.cli.main import main as isthmus

    with tempfile.TemporaryDirectory() as scratch:
        run, out = f"{scratch}/run", f"{scratch}/codes.npy"
        part = next(iter(sorted(folder.glob("*.parquet"))))
        words = ["fit", str(part), "--out", run, "--n-components", "8", "--max-epochs", "1"]
        command = [sys.executable, "-m", "isthmus", *words, "--hidden-layer-sizes", "64"]
        subprocess.run([*command, "--quiet"], check=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        assert isthmus(["transform", run, str(folder), "--out", out, "--quiet"]) == 0
        seconds = time.perf_counter() - began
        n = len(np.load(out, mmap_mode="r"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": float(n),
        "seconds": seconds,
        "rows_a_second": n / seconds,
        "peak_gb": after * 1024 / 1e9,
        "peak_gb_before": before * 1024 / 1e9,
    }


ARMS = {
    "stream default": fit,
    "memory default": fit,
    "stream small": fit,
    "memory small": fit,
    "transform": transform,
}


def apart(folder: Path, how: str) -> dict[str, float]:
    """The same in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.stream", "--folder", str(folder), "--arm", how]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--arm", choices=sorted(ARMS))
    parser.add_argument("--only", default="", help="arms with this word; others stay as they were")
    options = parser.parse_args()
    if options.arm:
        print(json.dumps(ARMS[options.arm](options.folder, options.arm)))
        return
    folder = options.folder or Path(tempfile.mkdtemp()) / "rows"
    try:
        make(folder, options.gigabytes)
        size = sum(f.stat().st_size for f in folder.glob("*.parquet"))
        arms = [how for how in ARMS if options.only in how]
        rows = [row for row in _common.read("stream") if row["what"] not in arms]
        for i in range(options.runs):
            for how in arms:
                found = {"what": how, "run": i, **apart(folder, how)}
                rows.append(found)
                print(
                    f"{how:15} {found['rows']:12,.0f} rows  {found['seconds']:7.1f} s  "
                    f"{found['rows_a_second']:10,.0f} rows/s  peak {found['peak_gb']:.2f} GB",
                    flush=True,
                )
    finally:
        if options.folder is None:
            shutil.rmtree(folder.parent)

    def middle(what: str, name: str) -> float:
        return statistics.median(row[name] for row in rows if row["what"] == what)

    def peak(what: str) -> float:
        return max(row["peak_gb"] for row in rows if row["what"].startswith(what))

    shares = {
        name: middle(f"stream {name}", "rows_a_second") / middle(f"memory {name}", "rows_a_second")
        for name in SIZES
    }
    summary = {
        "gigabytes_on_disk": size / 1e9,
        "share_of_memory_speed": shares,
        "peak_gb": peak("stream"),
        "transform_peak_gb": peak("transform"),
    }
    for name, share in shares.items():
        print(f"{name}: {share:.2f} of the speed in memory")
    print(
        f"{size / 1e9:.2f} GB on disk, peak {summary['peak_gb']:.2f} GB "
        f"(transform {summary['transform_peak_gb']:.2f})"
    )
    _common.write("stream", rows, summary)


if __name__ == "__main__":
    main()
