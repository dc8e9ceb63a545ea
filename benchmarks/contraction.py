"""Cost of the contraction penalty: steps with it beside steps without, alternated in one run.

    python -m benchmarks.contraction [--blocks 9] [--batch-size 512]

Encoders 784-512-32 and 784-512-256-32 (and their mirrors), batch 512, compiled, bfloat16 products.
A ratio is the median over pairs of blocks, with its quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from benchmarks import _common
from isthmus import presets
from isthmus.data.batches import TensorBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan

HIDDEN = {"one hidden layer": (512,), "two hidden layers": (512, 256)}
ARMS = {"plain": None, "exact": "exact", "estimate": "hutchinson"}


def rounds_of(hidden: tuple[int, ...], method: str | None, x: torch.Tensor, batch_size: int):  # type: ignore[no-untyped-def]
    """The rounds of an endless training, compiled."""
    torch.manual_seed(0)
    penalty = {} if method is None else {"contraction": 0.1, "contraction_method": method}
    module = presets.build((784,), 32, hidden, linear_path=False, **penalty)
    plan = Plan(
        steps=1_000_000, batch_size=batch_size, evaluate_every=len(x) // batch_size,
        learning_rate=1e-4, precision="bfloat16", compile=True,
    )  # fmt: skip
    rounds = Training(module, plan).rounds(TensorBatches(x), order_seed=0)
    next(rounds)
    next(rounds)
    return rounds


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=512)
    options = parser.parse_args()
    x = torch.randn(8192, 784, generator=torch.Generator().manual_seed(0))
    rows = []
    for name, hidden in HIDDEN.items():
        arms = {arm: rounds_of(hidden, how, x, options.batch_size) for arm, how in ARMS.items()}
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(options.blocks):
            for arm, rounds in arms.items():
                began = time.perf_counter()
                next(rounds)
                seconds[arm].append(time.perf_counter() - began)
        for arm in ("exact", "estimate"):
            ratios = [a / b for a, b in zip(seconds[arm], seconds["plain"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(
                f"{name}, {arm}: {middle:.2f} x a plain step ({low:.2f} to {high:.2f})", flush=True
            )
            rows.append({"encoder": name, "method": arm, "ratio": middle, "quartiles": [low, high]})
    _common.write("contraction", rows, {f"{r['encoder']}, {r['method']}": r["ratio"] for r in rows})


if __name__ == "__main__":
    main()
