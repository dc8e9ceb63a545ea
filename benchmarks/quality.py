"""Seconds to a given quality on MNIST, everything in ``fit`` included.

    ISTHMUS_DATA=folder python -m benchmarks.quality [--only variational,deep] [--epochs 60]

*variational*: Pythae trains its MLP VAE (784-512-16, its defaults: Adam 1e-4, batches of 64) for 12
epochs; the bound it reaches on the test images is the mark. Then Pythae with the rate that suits it
best (of 3e-4, 1e-3, 3e-3, by the bound on 5,000 held-out training images after two epochs; the
search is not counted) trains until it passes the mark, epoch by epoch. Then ours, at the same
widths and at its own, for 1, 2, 3, … passes until the mark is passed: the seconds are those of that
one fit. Bounds are grey-scale Bernoulli nats an image, 16 draws, the same function for both.

*deep*: the autoencoder of Hinton & Salakhutdinov (2006), 784-1000-500-250-30: test squared error an
image (published: 3.00; PCA 13.87). As there, a pixel is a probability and the loss its
cross-entropy (``likelihood="bernoulli"``). The other parameters are the defaults, compiled; rate
and likelihood were chosen on the last 10,000 of the training images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import _common, _peers
from benchmarks.training import dense
from isthmus import Autoencoder, VariationalAutoencoder

RATES = (3e-4, 1e-3, 3e-3)
# Of the deep autoencoder.
RATE = 4e-3
HELD_OUT = 5000
DRAWS = 16


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Training and test images, float32 in [0, 1]."""
    with np.load(_common.need_data() / "mnist.npz", allow_pickle=False) as archive:
        train = archive["x_train"].reshape(60000, 784).astype(np.float32) / 255
        test = archive["x_test"].reshape(10000, 784).astype(np.float32) / 255
    return train, test


@torch.no_grad()
def bound(
    encode: Callable[[Tensor], tuple[Tensor, Tensor]], decode: Callable[[Tensor], Tensor], x: Tensor
) -> float:
    """Minus the evidence bound, nats an image, from mean and log-variance, and from logits."""
    torch.manual_seed(0)
    total = 0.0
    for rows in torch.split(x, 1000):
        mean, log_variance = encode(rows)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        z = mean + (0.5 * log_variance).exp() * torch.randn(DRAWS, *mean.shape)
        logits = decode(z.flatten(0, 1)).reshape(DRAWS, *rows.shape)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, rows.expand_as(logits), reduction="none"
        )
        total += float((loss.sum(2).mean(0) + kl).sum())
    return total / len(x)


def pythae(x: Tensor, rate: float) -> tuple[Callable[[], None], Callable[[Tensor], float]]:
    """An epoch of Pythae's trainer, and the bound of its model."""
    torch.manual_seed(0)
    encoder, decoder = dense(784, 512, 32), dense(16, 512, 784)
    model = _peers.pythae_model(encoder, decoder, (784,), 16)
    one = _peers.pythae_trainer(model, x, 64, learning_rate=rate)

    def halves(rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = encoder(rows).split(16, 1)
        return mean, log_variance

    return one, lambda rows: bound(halves, decoder, rows)


def variational() -> list[dict[str, Any]]:
    """Rows of the comparison with Pythae."""
    train, test = (torch.from_numpy(part) for part in mnist())
    rows: list[dict[str, Any]] = []

    def tell(arm: str, seconds: float, epochs: int, value: float) -> None:
        rows.append({"arm": arm, "seconds": seconds, "epochs": epochs, "bound": value})
        print(f"{arm}: {seconds:.1f} s, {epochs} epochs, bound {value:.2f}", flush=True)

    one, value = pythae(train, 1e-4)
    began = time.perf_counter()
    for _ in range(12):
        one()
    tell("Pythae, its defaults", time.perf_counter() - began, 12, value(test))
    mark = rows[0]["bound"]

    def held_out(rate: float) -> float:
        one, value = pythae(train[:-HELD_OUT], rate)
        one()
        one()
        return value(train[-HELD_OUT:])

    rate = min(RATES, key=held_out)
    one, value = pythae(train, rate)
    seconds, epochs, reached = 0.0, 0, float("inf")
    while reached > mark and epochs < 12:
        began = time.perf_counter()
        one()
        seconds, epochs = seconds + time.perf_counter() - began, epochs + 1
        reached = value(test)
    tell(f"Pythae, rate {rate:g}", seconds, epochs, reached)
    for name, sizes in (("ours, the same widths", (512,)), ("ours, its own widths", "auto")):
        for epochs in range(1, 13):
            model = VariationalAutoencoder(
                16, likelihood="bernoulli", hidden_layer_sizes=sizes, max_epochs=epochs,
                random_state=0,
            )  # fmt: skip
            began = time.perf_counter()
            model.fit(train.numpy())
            seconds = time.perf_counter() - began
            core = model.autoencoder_

            def encode(x: Tensor, core: Any = core) -> tuple[Tensor, Tensor]:
                q = core.encode(x)
                return q.mean, 2 * q.stddev.log()

            reached = bound(encode, lambda z, core=core: core.decode(z).logits, test)  # type: ignore[misc]
            if reached <= mark:
                break
        tell(name, seconds, epochs, reached)
    return rows


def deep(epochs: int, rate: float) -> dict[str, Any]:
    """The row of the deep autoencoder after that many epochs."""
    train, test = mnist()
    model = Autoencoder(
        30, hidden_layer_sizes=(1000, 500, 250), likelihood="bernoulli", max_epochs=epochs,
        learning_rate=rate, patience=None, compile=True, random_state=0,
    )  # fmt: skip
    began = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - began
    error = float(np.square(model.reconstruct(test) - test).sum(1).mean())
    print(f"784-1000-500-250-30: {seconds:.0f} s, {epochs} epochs, error {error:.2f}", flush=True)
    arm = f"deep, {epochs} epochs"
    return {"arm": arm, "seconds": seconds, "epochs": epochs, "error": error}


def main() -> None:
    """Print a line an arm and keep them; arms that were not run stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="variational,deep")
    parser.add_argument("--epochs", default="12,100", help="of the deep autoencoder, one run each")
    parser.add_argument("--rate", type=float, default=RATE, help="its peak learning rate")
    options = parser.parse_args()
    rows = variational() if "variational" in options.only else []
    if "deep" in options.only:
        rows += [deep(int(epochs), options.rate) for epochs in options.epochs.split(",")]
    new = {row["arm"] for row in rows}
    rows = [row for row in _common.read("quality") if row["arm"] not in new] + rows
    _common.write("quality", rows, {row["arm"]: row["seconds"] for row in rows})


if __name__ == "__main__":
    main()
