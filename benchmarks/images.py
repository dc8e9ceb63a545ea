"""Convolutions against dense layers on images, at the same CPU time, beside PCA.

    ISTHMUS_DATA=folder python -m benchmarks.images [--seeds 3] [--sets mnist,frey]

Three networks: the dense one with its linear start, the dense one without it (which suits images
better where components are few) and the convolutional one. All get the same images, number of
components, likelihood (Gaussian), scaling (common) and seconds of process CPU time on one thread,
everything in ``fit`` included; what else they do is their own recipe. The number of epochs that
fills the budget is found by two fits of seed 0, the second near to it, after one that warms up; the
dense networks' is rounded up, the convolutional one's down. No fit stops early or is compiled, and
each keeps its best state by the tenth of the training rows that it holds out itself. The seconds
that were used are in the results, which are written at the end, from one run.

MNIST: the first 20,000 training and 2,000 test images. Frey faces: 1,765 training and 200 test
frames, dealt at random (seed 0); neighbours in time are alike, so that a test frame often has a
near twin among the training frames.

Figures: squared error of a test image, sum over its pixels in [0, 1]; for variational models minus
the evidence bound in nats an image (pixels in [0, 1]), lower is better.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from benchmarks import _common
from isthmus import Autoencoder, VariationalAutoencoder

# components, seconds of CPU, epochs of the first probe
SETS = {"mnist": (16, 25.0, 2), "frey": (8, 12.0, 20)}
PROBES = 2
MODELS = {"Autoencoder": Autoencoder, "VariationalAutoencoder": VariationalAutoencoder}
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"network": "mlp"},
    "mlp, no linear start": {"network": "mlp", "linear_start": False},
    "conv": {"network": "conv"},
}


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images, float32 in [0, 1]."""
    folder = _common.need_data()
    if name == "mnist":
        with np.load(folder / "mnist.npz", allow_pickle=False) as archive:
            train, test = archive["x_train"][:20000], archive["x_test"][:2000]
    else:
        with np.load(folder / "frey_faces.npz", allow_pickle=False) as archive:
            x = archive["x"].reshape(-1, 28, 20)
        x = x[np.random.default_rng(0).permutation(len(x))]
        train, test = x[:1765], x[1765:]
    return train / np.float32(255), test / np.float32(255)


def fitted(
    cls: str, network: str, k: int, n: int, seed: int, train: np.ndarray
) -> tuple[Any, float]:
    """A model after n epochs, and the CPU seconds of its fit."""
    model = MODELS[cls](
        k, max_epochs=n, patience=None, compile=False, random_state=seed, **NETWORKS[network]
    )
    began = time.process_time()
    model.fit(train)
    return model, time.process_time() - began


def epochs(cls: str, network: str, name: str, train: np.ndarray) -> int:
    """How many passes fill the budget, from probes that come closer to it."""
    k, budget, n = SETS[name]
    fitted(cls, network, k, 1, 0, train)
    passes = float(n)
    for _ in range(PROBES):
        n = max(1, round(passes))
        passes = n * budget / fitted(cls, network, k, n, 0, train)[1]
    return max(1, math.floor(passes) if network == "conv" else math.ceil(passes))


def main() -> None:
    """Print one line a fit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default="mnist,frey")
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for name in options.sets.split(","):
        k = SETS[name][0]
        train, test = images(name)
        flat, wanted = train.reshape(len(train), -1), test.reshape(len(test), -1)
        pca = PCA(k).fit(flat)
        line = np.square(pca.inverse_transform(pca.transform(wanted)) - wanted).sum(1).mean()
        for cls in options.models.split(","):
            passes = {network: epochs(cls, network, name, train) for network in NETWORKS}
            for seed in range(options.seeds):
                for network in NETWORKS:
                    model, seconds = fitted(cls, network, k, passes[network], seed, train)
                    error = np.square(model.reconstruct(test) - test).sum((1, 2)).mean()
                    row = {
                        "set": name,
                        "model": cls,
                        "network": network,
                        "seed": seed,
                        "epochs": passes[network],
                        "cpu_seconds": seconds,
                        "error": float(error),
                        "pca": float(line),
                        "minus_bound": -model.score(test),
                    }
                    rows.append(row)
                    print(row, flush=True)
            figure = "error" if cls == "Autoencoder" else "minus_bound"
            for network in NETWORKS:
                some = [
                    r for r in rows if (r["set"], r["model"], r["network"]) == (name, cls, network)
                ]
                summary[f"{name} {cls} {network}"] = {
                    "figure": figure,
                    "mean": statistics.fmean(r[figure] for r in some),
                    "worst": max(r[figure] for r in some),
                    "best": min(r[figure] for r in some),
                    "cpu_seconds": statistics.fmean(r["cpu_seconds"] for r in some),
                }
    _common.write("images", rows, summary)
    for what, figures in summary.items():
        print(what, figures)


if __name__ == "__main__":
    main()
