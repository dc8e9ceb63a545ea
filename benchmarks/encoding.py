"""Rows a second of ``transform`` beside Pythae's ``embed``: the same networks, in one run.

    python -m benchmarks.encoding [--blocks 9]

Encoder 784-512-32, 20,000 float32 rows in [0, 1]. Ours is the whole call: checks, scaling and all.
Pythae's ``embed`` gives codes by a pass through the whole model; its best batch counts. The limit
is our encoder's bare pass over pieces that stay in the cache, in the same precision.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import _common, _peers
from benchmarks.training import dense
from isthmus import Autoencoder

PIECE = 1337


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=9)
    options = parser.parse_args()
    rows = np.random.default_rng(0).random((20_000, 784), dtype=np.float32)
    x = torch.from_numpy(rows)
    models = {
        precision: Autoencoder(
            32, hidden_layer_sizes=(512,), activation="relu", linear_start=False, max_epochs=1,
            early_stopping=False, precision=precision, random_state=0,
        ).fit(rows[:4000])
        for precision in ("float32", "bfloat16")
    }  # fmt: skip
    peer = _peers.pythae_model(dense(784, 512, 64), dense(32, 512, 784), (784,), 32)

    @torch.no_grad()
    def bare(precision: str) -> None:
        core = models[precision].autoencoder_
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            for piece in torch.split(x, PIECE):
                core.encode(piece)

    @torch.no_grad()
    def embed(batch: int) -> None:
        for piece in torch.split(x, batch):
            peer.embed(piece)

    arms: dict[str, Callable[[], object]] = {
        **{f"pythae, batches of {n}": lambda n=n: embed(n) for n in (128, 1000, 10_000)},  # type: ignore[misc]
        **{f"isthmus {p}": lambda p=p: models[p].transform(rows) for p in models},  # type: ignore[misc]
        **{f"limit {p}": lambda p=p: bare(p) for p in models},  # type: ignore[misc]
    }
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    for call in arms.values():
        call()
    for _ in range(options.blocks):
        for arm, call in arms.items():
            began = time.perf_counter()
            call()
            rates[arm].append(len(rows) / (time.perf_counter() - began))
    medians = {arm: statistics.median(found) for arm, found in rates.items()}
    best = max((arm for arm in arms if arm.startswith("pythae")), key=medians.__getitem__)
    for arm, rate in medians.items():
        print(f"{arm:28s} {rate / 1000:7.1f} thousand rows/s")
    summary = {}
    for precision in models:
        to_peer = [a / b for a, b in zip(rates[f"isthmus {precision}"], rates[best], strict=True)]
        of_limit = medians[f"isthmus {precision}"] / medians[f"limit {precision}"]
        low, middle, high = statistics.quantiles(to_peer, n=4)
        summary[precision] = {"ratio": middle, "quartiles": [low, high], "of_limit": of_limit}
        print(
            f"{precision}: {middle:.1f} x Pythae ({low:.1f} to {high:.1f}), "
            f"{100 * of_limit:.0f}% of the limit"
        )
    _common.write(
        "encoding", [{"arm": a, "rows_per_second": r} for a, r in medians.items()], summary
    )


if __name__ == "__main__":
    main()
