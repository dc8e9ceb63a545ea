"""Cost with the number of rows: samples a second and memory from 10³ to 10⁷ rows.

    python -m benchmarks.scale [--rows 1000,10000,100000,1000000,10000000] [--runs 3]

Rows of 32 float32 features in memory (waves of 4 hidden variables plus noise), 4 components, two
hidden layers of 64, batches of 256, the steps of the recipe (1,500 to 4,000), a tenth of the rows
held out, at most 2,000. Every fit is a process of its own; the sizes alternate. Samples a second
are those of the training between its first round and its last. Memory is the process's largest
resident set beyond that before the data were made, less the data themselves.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys

import numpy as np

from benchmarks import _common

FEATURES, HIDDEN, BATCH = 32, 4, 256
ROWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_CHUNK = 10_000


def rows_of(n: int) -> np.ndarray:
    """(n, FEATURES) float32, made in pieces so that making them takes no more than they do."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(HIDDEN, FEATURES)).astype(np.float32)
    x = np.empty((n, FEATURES), np.float32)
    for start in range(0, n, _CHUNK):
        part = x[start : start + _CHUNK]
        np.sin(generator.standard_normal((len(part), HIDDEN), np.float32) @ weights, out=part)
        part += 0.1 * generator.standard_normal(part.shape, np.float32)
    return x


def peak() -> int:
    """Largest resident set so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fit(n: int) -> dict[str, float]:
    """In this process: fit, and say what it took."""
    from isthmus import Autoencoder

    # what a first fit loads and keeps is no cost of the rows
    Autoencoder(HIDDEN, max_epochs=1, random_state=0).fit(rows_of(200))
    before = peak()
    x = rows_of(n)
    model = Autoencoder(
        HIDDEN, hidden_layer_sizes=(64, 64), batch_size=BATCH,
        early_stopping=True, patience=None, random_state=0,
    ).fit(x)  # fmt: skip
    first, last = model.history_[1], model.history_[-1]
    steps = last["step"] - first["step"]
    return {
        "samples_a_second": steps * BATCH / (last["seconds"] - first["seconds"]),
        "steps": last["step"],
        "memory_mb": (peak() - before - x.nbytes) / 1e6,
        "data_mb": x.nbytes / 1e6,
        "training_seconds": last["seconds"],
    }


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", type=int)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(fit(options.one)))
        return
    sizes = [int(n) for n in options.rows.split(",")]
    rows = []
    for run in range(options.runs):
        for n in sizes:
            words = [sys.executable, "-m", "benchmarks.scale", "--one", str(n)]
            said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            found = {"n_rows": n, "run": run, **json.loads(said.splitlines()[-1])}
            rows.append(found)
            print(
                f"{n:12,} rows: {found['samples_a_second']:10,.0f} samples/s, "
                f"{found['memory_mb']:6.0f} MB beside {found['data_mb']:6.0f} MB of data",
                flush=True,
            )
    speed = {
        n: statistics.median(row["samples_a_second"] for row in rows if row["n_rows"] == n)
        for n in sizes
    }
    memory = {n: max(row["memory_mb"] for row in rows if row["n_rows"] == n) for n in sizes}
    fastest = max(speed.values())
    summary = {
        "share_of_fastest": {str(n): value / fastest for n, value in speed.items()},
        "memory_mb": {str(n): value for n, value in memory.items()},
    }
    print(summary)
    _common.write("scale", rows, summary)


if __name__ == "__main__":
    main()
