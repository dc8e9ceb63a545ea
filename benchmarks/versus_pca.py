"""The default autoencoder against PCA with as many components, on held-out rows.

    ISTHMUS_DATA=folder python -m benchmarks.versus_pca [--seeds 5] [--first-seed 0] [--jobs 2]
                                                        [--sets wine,digits] [--append]

The results file is written after every set; ``--append`` keeps what it holds of other sets and
seeds.

Data: scikit-learn's digits, breast_cancer, wine, diabetes, and, where ISTHMUS_DATA names a folder
with adbench_open/, the normal rows of every table there with at least 150 of them. Three quarters
train, a quarter tests, split by the seed; standardised by the training rows; 2, 8 and D/4
components. PCA is fitted on all training rows; the autoencoder gets the same rows, finds its own
held-out part among them, and knows nothing of the test rows. The figure is the test squared error
of ``isthmus.Autoencoder(k)``, nothing else set, divided by that of scikit-learn's ``PCA(k)``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA

from benchmarks import _common
from isthmus.data.readers import read

BUNDLED = ("wine", "breast_cancer", "diabetes", "digits")
LEAST_ROWS = 150


def tables() -> dict[str, str]:
    """Name and origin of every data set, small ones first."""
    found = {name: name for name in BUNDLED}
    folder = _common.data_folder()
    paths = sorted(folder.glob("adbench_open/*.npz")) if folder else []
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            if int((archive["y"] == 0).sum()) >= LEAST_ROWS:
                found[path.stem.partition("_")[2]] = str(path)
    return found


def rows_of(origin: str) -> np.ndarray:
    """(N, D) float64."""
    if Path(origin).suffix == ".npz":
        with np.load(origin, allow_pickle=False) as archive:
            return archive["X"][archive["y"] == 0].astype(np.float64)
    return read(origin).values.astype(np.float64)


def one(name: str, origin: str, seed: int, threads: int) -> list[dict[str, Any]]:
    """Ratios of one data set and seed for every number of components."""
    from isthmus import Autoencoder

    torch.set_num_threads(threads)
    X = rows_of(origin)
    order = np.random.default_rng(seed).permutation(len(X))
    n_test = len(X) // 4
    train, test = _common.standardise(X[order[n_test:]], X[order[:n_test]])
    n_features = X.shape[1]
    results = []
    for k in sorted({2, 8, max(1, n_features // 4)}):
        if k >= n_features:
            continue
        pca = PCA(k).fit(train)
        line = float(np.square(pca.inverse_transform(pca.transform(test)) - test).sum(1).mean())
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = Autoencoder(k, random_state=seed).fit(train)
        seconds = time.perf_counter() - began
        error = float(np.square(model.reconstruct(test) - test).sum(1).mean())
        results.append(
            {
                "set": name,
                "rows": len(train),
                "features": n_features,
                "components": k,
                "seed": seed,
                "error": error,
                "pca": line,
                "ratio": error / line,
                "seconds": seconds,
                "steps": model.n_steps_,
                "stayed_linear": model.stayed_linear_,
            }
        )
    return results


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over seeds of each setting."""
    settings: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        settings.setdefault((row["set"], row["components"]), []).append(row)
    return [
        {
            **{key: group[0][key] for key in ("set", "rows", "features", "components")},
            "ratio": statistics.fmean(r["ratio"] for r in group),
            "worst": max(r["ratio"] for r in group),
            "seconds": statistics.median(r["seconds"] for r in group),
            "linear": sum(r["stayed_linear"] for r in group),
            "seeds": len(group),
        }
        for group in settings.values()
    ]


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and worst of the means over seeds."""
    means = [s["ratio"] for s in summarise(rows)]
    return {
        "settings": len(means),
        "median": statistics.median(means),
        "worst": max(means),
        "above_1.01": sum(m > 1.01 for m in means),
    }


def main() -> None:
    """Print the table, the worst and the median."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="seeds from there to --seeds")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each if over 1")
    parser.add_argument("--sets", default="", help="names, separated by commas; all by default")
    parser.add_argument("--append", action="store_true", help="keep other sets and seeds")
    options = parser.parse_args()
    wanted = [name for name in options.sets.split(",") if name]
    sets = {n: o for n, o in tables().items() if not wanted or n in wanted}
    threads = 1 if options.jobs > 1 else torch.get_num_threads()
    kept = _common.read("versus_pca") if options.append else []
    seeds = range(options.first_seed, options.seeds)
    rows = [row for row in kept if row["set"] not in sets or row["seed"] not in seeds]
    print(f"{'set':18}{'rows':>8}{'D':>6}{'k':>5}{'ratio':>8}{'worst':>8}{'sec':>8}  stayed at PCA")
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        jobs = {
            name: [pool.submit(one, name, o, s, threads) for s in seeds] for name, o in sets.items()
        }
        for name in sets:
            new = [row for job in jobs[name] for row in job.result()]
            rows += new
            _common.write("versus_pca", rows, total(rows))
            for s in summarise([row for row in rows if row["set"] == name]):
                print(
                    f"{s['set']:18}{s['rows']:8}{s['features']:6}{s['components']:5}"
                    f"{s['ratio']:8.3f}{s['worst']:8.3f}{s['seconds']:8.1f}"
                    f"  {s['linear']} of {s['seeds']}",
                    flush=True,
                )
    summary = total(rows)
    print(
        f"{summary['settings']} settings: median {summary['median']:.3f} x PCA, worst mean over "
        f"seeds {summary['worst']:.3f}, above 1.01: {summary['above_1.01']}"
    )


if __name__ == "__main__":
    main()
