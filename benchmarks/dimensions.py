"""How often the recommended number of components is right, on mixed tables of known dimension.

    python -m benchmarks.dimensions [--seeds 0,1,2,3,4] [--only WORD] [--processes 2]

Every table is made of k hidden standard normal numbers (of equal categories: of k hidden
categories), with entries missing at random where it says so:

- ``factors k``: 4 + k numbers, each a random combination of the hidden ones (of scale 2) with noise
  of half a deviation, and 3 + k categories of three levels whose logits are random combinations
  (of scale 2) plus Gumbel noise; 5% holes;
- ``precise``: ten numbers that are one hidden number each, with noise of 0.02, and three categories
  of another one (k = 2);
- ``groups``: eight numbers of one hidden number, with noise of 0.05, and six categories of two
  others (k = 3);
- ``copies``: two pairs of equal categories of four levels and three independent numbers (k = 2);
- ``alike``: two columns of yes and no that agree in 92 rows of 100, three independent numbers
  (k = 1);
- ``independent``: the columns of ``factors 3``, each shuffled by itself (nothing compresses).

Each is compared with ``VariationalAutoencoder()`` and with one narrow hidden layer, in one thread,
with nothing said of sizes, so the sweep chooses those too. Right is the recommended number, or
that nothing compresses. The seconds of a row are those of one thread among others.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import _common

Random = np.random.Generator
HOLES = 0.05
NETWORKS: dict[str, dict[str, Any]] = {"default": {}, "narrow": {"hidden_layer_sizes": (32,)}}


def words(rng: Random, z: np.ndarray, scale: float) -> np.ndarray:
    """(N,) of three words, by logits that are combinations of z (N, k)."""
    logits = scale * z @ rng.normal(size=(z.shape[1], 3)) + rng.gumbel(size=(len(z), 3))
    return np.array(list("abc"))[logits.argmax(1)]


def holed(rng: Random, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """The table with entries missing at random."""
    frame = pd.DataFrame(columns)
    return frame.mask(rng.random(frame.shape) < HOLES)


def factors(k: int) -> Callable[[Random, int], pd.DataFrame]:
    """k hidden numbers behind 4 + k numbers and 3 + k categories."""

    def made(rng: Random, n: int) -> pd.DataFrame:
        z = rng.normal(size=(n, k))
        table = {
            f"n{j}": 2 * z @ rng.normal(size=k) + 0.5 * rng.normal(size=n) for j in range(4 + k)
        }
        table |= {f"c{j}": words(rng, z, 2.0) for j in range(3 + k)}
        return holed(rng, table)

    return made


def precise(rng: Random, n: int) -> pd.DataFrame:
    """One hidden number behind ten precise columns, another one behind three categories."""
    z = rng.normal(size=(n, 2))
    scale = rng.uniform(0.7, 1.5, size=10) * rng.choice([-1, 1], size=10)
    table = {f"n{j}": s * z[:, 0] + 0.02 * rng.normal(size=n) for j, s in enumerate(scale)}
    return pd.DataFrame(table | {f"c{j}": words(rng, z[:, 1:], 3.0) for j in range(3)})


def groups(rng: Random, n: int) -> pd.DataFrame:
    """One hidden number behind eight columns, two others behind six categories."""
    z = rng.normal(size=(n, 3))
    table = {f"n{j}": z[:, 0] + 0.05 * rng.normal(size=n) for j in range(8)}
    return pd.DataFrame(table | {f"c{j}": words(rng, z[:, 1:], 3.0) for j in range(6)})


def copies(rng: Random, n: int) -> pd.DataFrame:
    """Two pairs of equal categories."""
    table = {}
    for j in range(2):
        table[f"c{j}"] = table[f"d{j}"] = rng.choice(list("abcd"), n)
    return pd.DataFrame(table | {f"n{j}": rng.normal(size=n) for j in range(3)})


def alike(rng: Random, n: int) -> pd.DataFrame:
    """Two columns of yes and no that mostly agree."""
    one = rng.random(n) < 0.5
    other = np.where(rng.random(n) < 0.92, one, ~one)
    table = {name: np.where(yes, "yes", "no") for name, yes in (("c", one), ("d", other))}
    return pd.DataFrame(table | {f"n{j}": rng.normal(size=n) for j in range(3)})


def independent(rng: Random, n: int) -> pd.DataFrame:
    """Columns that have nothing to do with each other."""
    return factors(3)(rng, n).apply(lambda column: rng.permutation(column.to_numpy()))


# what is made, with how many rows, and the right number of components; None: nothing compresses
TABLES: dict[str, tuple[Callable[[Random, int], pd.DataFrame], tuple[int, ...], int | None]] = {
    "factors 1": (factors(1), (300, 1000), 1),
    "factors 2": (factors(2), (300, 1000), 2),
    "factors 3": (factors(3), (300, 1000), 3),
    "factors 5": (factors(5), (1000,), 5),
    "precise": (precise, (1000,), 2),
    "groups": (groups, (1000,), 3),
    "copies": (copies, (1000,), 2),
    "alike": (alike, (200, 1000), 1),
    "independent": (independent, (300, 1000), None),
}
Task = tuple[str, int, int, str]


def judged(task: Task) -> dict[str, Any]:
    """What is recommended for one table."""
    import torch

    import isthmus

    torch.set_num_threads(1)
    name, n, seed, network = task
    make, _, right = TABLES[name]
    table = make(np.random.default_rng([seed, n]), n)
    model = isthmus.VariationalAutoencoder(**NETWORKS[network])
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = isthmus.compare(table, model=model, random_state=0)
    return {
        "what": name,
        "rows": n,
        "columns": table.shape[1],
        "seed": seed,
        "network": network,
        "right": right,
        "recommended": found.recommended if found.compresses else None,
        "sizes": [int(k) for k in found.n_components],
        "log_likelihood": [float(v) for v in found.log_likelihood],
        "seconds": time.perf_counter() - began,
    }


def table_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many are right, for each kind of table, number of rows and network."""
    summary = {}
    for name, (_, sizes, right) in TABLES.items():
        for n in sizes:
            for network in NETWORKS:
                place = (name, n, network)
                said = [
                    row["recommended"]
                    for row in rows
                    if (row["what"], row["rows"], row["network"]) == place
                ]
                hits = sum(each == right for each in said)
                summary[f"{name}, {n} rows, {network}"] = {"right": hits, "recommended": said}
                print(f"{name:12} {n:5} rows {network:8} {hits} of {len(said)}  {said}")
    return summary


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--only", default="", help="tables with this word; others, and seeds, stay")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    names = [name for name in TABLES if options.only in name]
    tasks: list[Task] = [
        (name, n, int(seed), network)
        for seed in options.seeds.split(",")
        for name in names
        for n in TABLES[name][1]
        for network in NETWORKS
    ]
    rows = [
        row
        for row in _common.read("dimensions")
        if row["what"] not in names or row["seed"] not in {task[2] for task in tasks}
    ]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for row in pool.map(judged, tasks):
            rows.append({**row, "threads": 1})
            what = f"{row['what']:12} {row['rows']:5} rows {row['network']:8} seed {row['seed']}"
            said = f"{row['recommended']} ({row['right']})"
            print(f"{what}: {said}  {row['seconds']:.0f} s", flush=True)
    _common.write("dimensions", rows, table_of(rows))


if __name__ == "__main__":
    main()
