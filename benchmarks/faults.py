"""Kill a fit at a random moment, go on from its checkpoint, compare bits.

    python -m benchmarks.faults [--trials 200] [--seed 0]

Every trial trains through the command line in a process of its own, which is killed (SIGKILL) after
a random time, in three of four trials counted from the first
checkpoint; in half of the trials the newest checkpoint is then cut short or has a bit flipped.
``fit --resume`` goes on until a run is there. It counts if every tensor of the model is, bit for
bit, that of a run that was never killed. Prints how many are equal, how many are lost (no run could
be made), and what checkpoints cost: seconds of training with and without, alternated.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks import _common

MODELS = {
    "undercomplete": [],
    "denoising": ["--noise", "masking"],
    "variational": ["--kl-warmup", "0.3"],
}
EPOCHS = "30"


def run(
    function: Callable[[], int], kill_after: float | None = None, once: Path | None = None
) -> int:
    """Exit status of a function in a process of its own, negative if it was killed.

    The time runs from the start, or from when there is a file in the folder ``once``.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            code = function()
        finally:
            os._exit(code)
    if kill_after is not None:
        limit = time.monotonic() + 5
        while once is not None and time.monotonic() < limit and not any(once.glob("*.checkpoint")):
            time.sleep(0.002)
        time.sleep(kill_after)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def fit(data: Path, model: str, out: Path, *more: str) -> Callable[[], int]:
    """The call of the command line, to be made in another process."""
    from isthmus.cli.main import main

    words = ["fit", str(data), "--model", model, "--n-components", "3", "--seed", "0"]
    words += [
        "--hidden-layer-sizes",
        "16",
        "--max-epochs",
        EPOCHS,
        "--out",
        str(out),
        "--quiet",
        *MODELS[model],
        *more,
    ]
    return lambda: main(words)


def damage(folder: Path, rng: np.random.Generator) -> bool:
    """Cut the newest checkpoint short or flip a bit of it; whether there was one."""
    files = sorted(folder.glob("*.checkpoint"), key=lambda f: f.stat().st_mtime_ns)
    if not files or files[-1].stat().st_size == 0:
        return False
    data = bytearray(files[-1].read_bytes())
    at = int(rng.integers(len(data)))
    if rng.random() < 0.5:
        data = data[:at]
    else:
        data[at] ^= 1 << int(rng.integers(8))
    files[-1].write_bytes(data)
    return True


def same(a: Path, b: Path) -> bool:
    """Whether two runs hold the same bits."""
    from safetensors.numpy import load_file

    x, y = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return x.keys() == y.keys() and all(x[k].tobytes() == y[k].tobytes() for k in x)


def trials(n: int, seed: int, folder: Path) -> list[dict[str, object]]:
    """One row a trial."""
    rng = np.random.default_rng(seed)
    data = folder / "rows.npy"
    x = rng.normal(size=(1200, 3)) @ rng.normal(size=(3, 12))
    np.save(data, (np.sin(x) + 0.1 * rng.normal(size=x.shape)).astype(np.float32))
    whole, seconds = {}, {}
    for model in MODELS:
        whole[model] = folder / f"whole-{model}"
        began = time.perf_counter()
        if run(fit(data, model, whole[model])) != 0:
            raise SystemExit(f"the fit of {model} that is not killed failed")
        seconds[model] = time.perf_counter() - began
    rows: list[dict[str, object]] = []
    for trial in range(n):
        model = list(MODELS)[trial % len(MODELS)]
        out = folder / f"trial-{trial}"
        kills, damaged, code = 0, 0, -signal.SIGKILL
        while code == -signal.SIGKILL and kills < 20:
            # in three of four trials the first kill comes when there is something to go on from
            late = kills == 0 and trial % 4 < 3
            after = (
                float(rng.uniform(0, seconds[model] / (4 if late else 1))) if kills < 2 else None
            )
            folder_of = Path(f"{out}.checkpoint")
            code = run(fit(data, model, out, "--resume"), after, folder_of if late else None)
            if code == -signal.SIGKILL:
                kills += 1
                if trial % 2 and damage(folder_of, rng):
                    damaged += 1
        lost = code != 0
        rows.append(
            {
                "trial": trial,
                "model": model,
                "kills": kills,
                "damaged": damaged,
                "lost": lost,
                "equal": not lost and same(out, whole[model]),
            }
        )
        if lost or not rows[-1]["equal"]:
            print(rows[-1], flush=True)
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(f"{out}.checkpoint", ignore_errors=True)
    return rows


def cost(folder: Path, pairs: int = 5) -> float:
    """Seconds of training with checkpoints over those without, median of alternated pairs."""
    from isthmus import Autoencoder

    x = np.load(folder / "rows.npy")
    ratios = []
    for i in range(pairs):
        taken = []
        for place in (None, folder / f"cost-{i}"):
            model = Autoencoder(3, early_stopping=True, patience=None, random_state=0)
            began = time.perf_counter()
            model.fit(x, checkpoint=place)
            taken.append(time.perf_counter() - began)
        ratios.append(taken[1] / taken[0])
    return statistics.median(ratios)


def main() -> None:
    """Print and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import isthmus.cli.fit
    import isthmus.estimators  # noqa: F401  (imported once, not in every process)

    with tempfile.TemporaryDirectory() as name:
        rows = trials(options.trials, options.seed, Path(name))
        ratio = cost(Path(name))
    summary = {
        "trials": len(rows),
        "killed": sum(bool(r["kills"]) for r in rows),
        "kills": sum(int(str(r["kills"])) for r in rows),
        "damaged": sum(int(str(r["damaged"])) for r in rows),
        "equal": sum(bool(r["equal"]) for r in rows),
        "lost": sum(bool(r["lost"]) for r in rows),
        "seconds_with_checkpoints": ratio,
    }
    _common.write("faults", rows, summary)
    print(
        f"{summary['trials']} trials, {summary['kills']} kills in {summary['killed']} of them, "
        f"{summary['damaged']} checkpoints damaged: {summary['equal']} equal bit for bit, "
        f"{summary['lost']} lost. With checkpoints a fit takes {ratio:.3f} times as long."
    )
    if summary["equal"] < len(rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
