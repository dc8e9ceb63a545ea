"""Convolutions against dense layers on images, at the same CPU time, beside PCA.

    ISTHMUS_DATA=folder python -m benchmarks.images [--seeds 3] [--sets mnist,frey]

Both networks get the same images, number of components, likelihood (Gaussian), scaling (common)
and seconds of process CPU time on one thread, everything in ``fit`` included; what else they do is
their own recipe, the dense one with its linear start. The number of epochs that fills the budget
is found by two short fits, the dense network's rounded up, the convolutional one's down;
``--epochs`` states them. The seconds that were used are in the results. MNIST: the first 20,000
training and 2,000 test images. Frey faces: 1,765 training and 200 test frames, dealt at random
(seed 0).

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

# components, seconds of CPU, epochs of the two short fits
SETS = {"mnist": (16, 25.0, (2, 6)), "frey": (8, 12.0, (5, 15))}
MODELS = {"Autoencoder": Autoencoder, "VariationalAutoencoder": VariationalAutoencoder}
NETWORKS = ("mlp", "conv")


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


def fitted(model: Any, train: np.ndarray) -> tuple[Any, float]:
    """The model and the CPU seconds of its fit."""
    began = time.process_time()
    model.fit(train)
    return model, time.process_time() - began


def epochs(create: Any, k: int, network: str, train: np.ndarray, name: str) -> int:
    """How many passes fill the budget: seconds are a constant and a multiple of the passes."""
    _, budget, short = SETS[name]
    spent = []
    for n in short:
        model = create(k, network=network, max_epochs=n, patience=None, random_state=0)
        spent.append(fitted(model, train)[1])
    each = (spent[1] - spent[0]) / (short[1] - short[0])
    n = short[0] + (budget - spent[0]) / each
    return max(1, math.ceil(n) if network == "mlp" else math.floor(n))


def main() -> None:
    """Print one line a fit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default="mnist,frey")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--epochs", metavar="DENSE,CONV", help="instead of what fills the budget")
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
            create = MODELS[cls]
            if options.epochs:
                passes = dict(zip(NETWORKS, map(int, options.epochs.split(",")), strict=True))
            else:
                passes = {n: epochs(create, k, n, train, name) for n in NETWORKS}
            for seed in range(options.seeds):
                for network in NETWORKS:
                    model, seconds = fitted(
                        create(k, network=network, max_epochs=passes[network], random_state=seed),
                        train,
                    )
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
                    "cpu_seconds": statistics.fmean(r["cpu_seconds"] for r in some),
                }
            _common.write("images", rows, summary)
    for what, figures in summary.items():
        print(what, figures)


if __name__ == "__main__":
    main()
