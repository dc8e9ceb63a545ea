"""MNIST with 30 components and defaults: test squared error per image, seconds, PCA beside it.

    ISTHMUS_DATA=folder python -m benchmarks.mnist [--seeds 1]

Pixels in [0, 1], 60,000 training and 10,000 test images, squared error summed over 784 pixels.
Published (Hinton & Salakhutdinov 2006): PCA 13.87, deep autoencoder 3.00. The seconds are those of
``fit``, everything included; the product of two 1,024-square matrices is timed in the same run as
a measure of the machine.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from sklearn.decomposition import PCA

from benchmarks import _common
from isthmus import Autoencoder


def machine_rate() -> float:
    """GF/s of float32 products of 1,024-square matrices."""
    a = torch.rand(1024, 1024)
    a @ a
    began = time.perf_counter()
    for _ in range(20):
        a @ a
    return 20 * 2 * 1024**3 / (time.perf_counter() - began) / 1e9


def main() -> None:
    """Print one line a seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--components", type=int, default=30)
    options = parser.parse_args()
    with np.load(_common.need_data() / "mnist.npz", allow_pickle=False) as archive:
        train = archive["x_train"].reshape(60000, 784).astype(np.float32) / 255
        test = archive["x_test"].reshape(10000, 784).astype(np.float32) / 255
    pca = PCA(options.components).fit(train)
    line = float(np.square(pca.inverse_transform(pca.transform(test)) - test).sum(1).mean())
    rows = []
    for seed in range(options.seeds):
        rate = machine_rate()
        began = time.perf_counter()
        model = Autoencoder(options.components, random_state=seed).fit(train)
        seconds = time.perf_counter() - began
        error = float(np.square(model.reconstruct(test) - test).sum(1).mean())
        rows.append(
            {
                "seed": seed,
                "error": error,
                "pca": line,
                "seconds": seconds,
                "steps": model.n_steps_,
                "machine_gflops": rate,
            }
        )
        print(
            f"seed {seed}: test squared error {error:.2f} (PCA {line:.2f}), "
            f"{seconds:.0f} s, {model.n_steps_} steps, machine {rate:.0f} GF/s float32",
            flush=True,
        )
    errors = [row["error"] for row in rows]
    _common.write("mnist", rows, {"error": float(np.mean(errors)), "pca": line})


if __name__ == "__main__":
    main()
