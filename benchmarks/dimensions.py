"""How often the recommended number of components is right, on mixed tables of known dimension.

    python -m benchmarks.dimensions [--seeds 0,1,2,3,4] [--only WORD] [--processes 2]

Every table is made of k hidden standard normal numbers (of equal categories: of k hidden
categories), with entries missing at random where it says so:

- ``kinds k``: 3 + k numbers, each a random combination of the hidden ones (of scale 2) with noise
  of half a deviation, 1 + k categories of three levels whose logits are random combinations (of
  scale 2) plus Gumbel noise, two columns of yes and no whose logits are combinations of deviation
  3, and two of counts, Poisson with a rate of exp(1 + a combination of deviation 0.7);
  ``kinds k, holes`` has 5% holes, and ``kinds 0`` is ``kinds 3`` with each column shuffled by
  itself (nothing compresses);
- ``rare``: one hidden number behind four numbers and two categories made alike, and in 4 rows of
  100 four other numbers are moved by four deviations (k = 2);
- ``factors k``: 4 + k numbers and 3 + k categories made alike; 5% holes;
- ``precise``: ten numbers that are one hidden number each, with noise of 0.02, and three categories
  of another one (k = 2);
- ``groups``: eight numbers of one hidden number, with noise of 0.05, and six categories of two
  others (k = 3);
- ``copies``: two pairs of equal categories of four levels and three independent numbers (k = 2);
- ``alike``: two columns of yes and no that agree in 92 rows of 100, three independent numbers
  (k = 1);
- ``independent``: the columns of ``factors 3``, each shuffled by itself (nothing compresses).

Each is compared with ``VariationalAutoencoder()``, some also with one narrow hidden layer, in one
thread, with nothing said of sizes, so the sweep chooses those too. Right is the recommended number,
or that nothing compresses, which counts as 0 where the distance is told. The seconds of a row are
those of one thread among others.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

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


def numbers(rng: Random, z: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """So many combinations of z (N, k) with noise of half a deviation."""
    n, k = z.shape
    return {f"n{j}": 2 * z @ rng.normal(size=k) + 0.5 * rng.normal(size=n) for j in range(count)}


def direction(rng: Random, k: int) -> np.ndarray:
    """(k,) of length 1."""
    w = rng.normal(size=k)
    return w / np.linalg.norm(w)


def holed(rng: Random, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """The table with entries missing at random."""
    frame = pd.DataFrame(columns)
    return frame.mask(rng.random(frame.shape) < HOLES)


def kinds(k: int, *, holes: bool = False) -> Callable[[Random, int], pd.DataFrame]:
    """k hidden numbers behind numbers, categories, truth values and counts."""

    def made(rng: Random, n: int) -> pd.DataFrame:
        z = rng.normal(size=(n, k or 3))
        table = numbers(rng, z, 3 + z.shape[1])
        table |= {f"c{j}": words(rng, z, 2.0) for j in range(1 + z.shape[1])}
        for j in range(2):
            logit = 3 * z @ direction(rng, z.shape[1])
            table[f"b{j}"] = np.where(logit + rng.logistic(size=n) > 0, "yes", "no")
        for j in range(2):
            table[f"k{j}"] = rng.poisson(np.exp(1 + 0.7 * z @ direction(rng, z.shape[1])))
        if k == 0:
            table = {name: rng.permutation(column) for name, column in table.items()}
        return holed(rng, table) if holes else pd.DataFrame(table)

    return made


def rare(rng: Random, n: int) -> pd.DataFrame:
    """One hidden number, and few rows in which other columns are moved together."""
    z = rng.normal(size=(n, 1))
    table = numbers(rng, z, 4) | {f"c{j}": words(rng, z, 2.0) for j in range(2)}
    moved = 4.0 * (rng.random(n) < 0.04)
    return pd.DataFrame(table | {f"m{j}": moved + rng.normal(size=n) for j in range(4)})


def factors(k: int) -> Callable[[Random, int], pd.DataFrame]:
    """k hidden numbers behind 4 + k numbers and 3 + k categories."""

    def made(rng: Random, n: int) -> pd.DataFrame:
        z = rng.normal(size=(n, k))
        table = numbers(rng, z, 4 + k)
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


class Arm(NamedTuple):
    """What is made, of how many rows, the right number (None: nothing compresses), and networks."""

    make: Callable[[Random, int], pd.DataFrame]
    rows: tuple[int, ...]
    right: int | None
    networks: tuple[str, ...] = ("default", "narrow")


TABLES = {
    **{f"kinds {k}": Arm(kinds(k), (250, 2000), k or None, ("default",)) for k in (0, 1, 2, 3, 5)},
    **{
        f"kinds {k}, holes": Arm(kinds(k, holes=True), (500,), k or None, ("default",))
        for k in (0, 1, 2, 3, 5)
    },
    "factors 1": Arm(factors(1), (300, 1000), 1),
    "factors 2": Arm(factors(2), (300, 1000), 2),
    "factors 3": Arm(factors(3), (300, 1000), 3),
    "factors 5": Arm(factors(5), (1000,), 5),
    "precise": Arm(precise, (1000,), 2),
    "groups": Arm(groups, (1000,), 3),
    "rare": Arm(rare, (1000,), 2),
    "copies": Arm(copies, (1000,), 2),
    "alike": Arm(alike, (200, 1000), 1),
    "independent": Arm(independent, (300, 1000), None),
}
Task = tuple[str, int, int, str]


def judged(task: Task) -> dict[str, Any]:
    """What is recommended for one table."""
    import torch

    import isthmus

    torch.set_num_threads(1)
    name, n, seed, network = task
    arm = TABLES[name]
    table = arm.make(np.random.default_rng([seed, n]), n)
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
        "right": arm.right,
        "recommended": found.recommended if found.compresses else None,
        "sizes": [int(k) for k in found.n_components],
        "log_likelihood": [float(v) for v in found.log_likelihood],
        "seconds": time.perf_counter() - began,
    }


def table_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many are right and one off, for each kind of table, number of rows and network."""
    summary = {}
    for name, arm in TABLES.items():
        for n in arm.rows:
            for network in arm.networks:
                place = (name, n, network)
                said = [
                    row["recommended"]
                    for row in rows
                    if (row["what"], row["rows"], row["network"]) == place
                ]
                off = [abs((each or 0) - (arm.right or 0)) for each in said]
                summary[f"{name}, {n} rows, {network}"] = {
                    "right": off.count(0),
                    "one off": off.count(1),
                    "recommended": said,
                }
                found = f"{off.count(0)} of {len(said)}, {off.count(1)} one off"
                print(f"{name:15} {n:5} rows {network:8} {found}  {said}")
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
        for n in TABLES[name].rows
        for network in TABLES[name].networks
    ]
    rows = [
        row
        for row in _common.read("dimensions")
        if row["what"] not in names or row["seed"] not in {task[2] for task in tasks}
    ]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for row in pool.map(judged, tasks):
            rows.append({**row, "threads": 1})
            what = f"{row['what']:15} {row['rows']:5} rows {row['network']:8} seed {row['seed']}"
            said = f"{row['recommended']} ({row['right']})"
            print(f"{what}: {said}  {row['seconds']:.0f} s", flush=True)
    _common.write("dimensions", rows, table_of(rows))


if __name__ == "__main__":
    main()
