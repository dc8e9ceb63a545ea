"""Training samples a second beside Pythae: the same networks, loss and batch, in one run.

    python -m benchmarks.training [--only mlp-128,tiny-64] [--blocks 9]

Each block is a second or so of one side, then of the other; a ratio is the median over pairs of
blocks with its quartiles. Pythae runs as it comes (float32: it has no mixed precision on a
processor), in a process of its own, because a compiled training changes how its process keeps
memory, which helps Pythae too; its loader is in that process: one more made it slower on two cores.
Ours runs as
the estimators do (compiled, bfloat16 products where the recipe takes them), uncompiled, and in
float32. The share is that of the rate of bfloat16 products of the layers' own shapes, in the same
run.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from benchmarks import _common, _peers
from isthmus import presets
from isthmus.core.autoencoder import Autoencoder
from isthmus.data.batches import TensorBatches
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.engine.products import Precision
from isthmus.engine.threads import largest_layer, suitable_threads


def dense(*sizes: int) -> nn.Module:
    """A perceptron with ReLU."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers += ([nn.ReLU()] if i else []) + [nn.Linear(n_in, n_out)]
    return nn.Sequential(*layers)


def conv_encoder(n_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, n_out),
    )  # fmt: skip


def conv_decoder(n_in: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_in, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Flatten(),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Networks, their size, and the batch."""

    encoder: Callable[[], nn.Module]
    decoder: Callable[[], nn.Module]
    n_features: int
    n_components: int
    batch_size: int
    variational: bool
    products: tuple[tuple[int, int], ...]
    n_rows: int
    precision: Precision = "bfloat16"

    @property
    def loss(self) -> str:
        return "bce" if self.variational else "mse"

    @property
    def flops(self) -> int:
        """Multiply-adds of a sample's products, twice, forward and back; none to the input."""
        first, *rest = (i * o for i, o in self.products)
        return 2 * (2 * first + 3 * sum(rest))


# Epochs of a block of ours for one of Pythae's, so that both take about as long.
OURS = 3
_MLP = ((784, 512), (512, 32), (16, 512), (512, 784))


def _mlp(batch_size: int) -> Case:
    return Case(
        lambda: dense(784, 512, 32), lambda: dense(16, 512, 784), 784, 16, batch_size, True, _MLP,
        16384,
    )  # fmt: skip


CASES = {
    "mlp-128": _mlp(128),
    "mlp-1024": _mlp(1024),
    "conv-128": Case(
        lambda: conv_encoder(32), lambda: conv_decoder(16), 784, 16, 128, True, (), 4096
    ),
    "tiny-64": Case(
        lambda: dense(64, 32, 8), lambda: dense(8, 32, 64), 64, 8, 64, False, (), 8192, "float32"
    ),
}


def ours(case: Case, x: Tensor, compiled: bool, precision: Precision) -> Callable[[], None]:
    """A function that trains one epoch of rows in the estimators' loop."""
    torch.manual_seed(0)
    module: Autoencoder = presets.build(
        (case.n_features,),
        case.n_components,
        likelihood="bernoulli" if case.variational else "gaussian_fixed",
        beta=1.0 if case.variational else None,
        encoder=case.encoder(),
        decoder=case.decoder(),
    )
    steps = len(x) // case.batch_size
    plan = Plan(
        steps=1_000_000, batch_size=case.batch_size, evaluate_every=steps, learning_rate=1e-4,
        precision=precision, compile=compiled,
    )  # fmt: skip
    rounds = Training(module, plan).rounds(TensorBatches(x), order_seed=0)
    work = (case.batch_size, largest_layer(module.parameters()))
    next(rounds)

    def one() -> None:
        with suitable_threads(*work):
            next(rounds)

    one()  # compiled here, outside the time
    return one


def rows_of(case: Case) -> Tensor:
    """(N, D) in [0, 1]."""
    return torch.rand(case.n_rows, case.n_features, generator=torch.Generator().manual_seed(0))


def elsewhere(name: str) -> Callable[[], None]:
    """A function that has another process train one epoch of Pythae, and waits for it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=_serve, args=(name, there), daemon=True).start()

    def one() -> None:
        here.send(True)
        here.recv()

    return one


def _serve(name: str, pipe: Connection) -> None:
    warnings.simplefilter("ignore")
    case = CASES[name]
    torch.manual_seed(0)
    model = _peers.pythae_model(
        case.encoder(), case.decoder(), (case.n_features,), case.n_components,
        case.variational, case.loss,
    )  # fmt: skip
    one = _peers.pythae_trainer(model, rows_of(case), case.batch_size)
    with contextlib.suppress(EOFError):  # nobody asks any more
        while pipe.recv():
            one()
            pipe.send(True)


def product_rate(case: Case) -> float:
    """FLOP/s of bfloat16 products of the layers' shapes, weighted as a step does them."""
    seconds, flops = 0.0, 0
    n = case.batch_size
    for i, (n_in, n_out) in enumerate(case.products):
        x, w = torch.rand(n, n_in).bfloat16(), torch.rand(n_out, n_in).bfloat16()
        g = torch.rand(n, n_out).bfloat16()
        for a, b in ((x, w.T), (g.T, x), *(((g, w),) if i else ())):
            a @ b
            best = min(_seconds(lambda a=a, b=b: a @ b) for _ in range(5))  # type: ignore[misc]
            seconds += best
            flops += 2 * n * n_in * n_out
    return flops / seconds


def _seconds(call: Callable[[], object], repeats: int = 10) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - began) / repeats


def measure(name: str, blocks: int) -> dict[str, object]:
    """One line of the table."""
    case = CASES[name]
    x = rows_of(case)
    arms = {
        "pythae": elsewhere(name),
        "isthmus": ours(case, x, True, case.precision),
        "isthmus uncompiled": ours(case, x, False, case.precision),
        "isthmus float32": ours(case, x, True, "float32"),
    }
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    shares = []
    for arm in arms.values():
        arm()
    for _ in range(blocks):
        for arm, one in arms.items():
            rates[arm].append(len(x) / _seconds(one, 1 if arm == "pythae" else OURS))
        if case.products:
            shares.append(rates["isthmus"][-1] * case.flops / product_rate(case))
    medians = {arm: statistics.median(found) for arm, found in rates.items()}
    ratios = [a / b for a, b in zip(rates["isthmus"], rates["pythae"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    row: dict[str, object] = {
        "case": name,
        "ratio": middle,
        "quartiles": [low, high],
        "samples_per_second": medians,
        "share_of_product_rate": statistics.median(shares) if shares else None,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    share = f", {100 * statistics.median(shares):.0f}% of the product rate" if shares else ""
    print(f"{name}: {middle:.2f} x Pythae ({low:.2f} to {high:.2f}){share}")
    for arm, rate in medians.items():
        print(f"    {arm:42s} {rate / 1000:8.1f} thousand samples/s", flush=True)
    return row


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--blocks", type=int, default=9)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [measure(name, options.blocks) for name in options.only.split(",")]
    measured = {row["case"] for row in rows}
    rows = [row for row in _common.read("training") if row["case"] not in measured] + rows
    rows.sort(key=lambda row: list(CASES).index(str(row["case"])))
    _common.write("training", rows, {str(row["case"]): row["ratio"] for row in rows})


if __name__ == "__main__":
    main()
