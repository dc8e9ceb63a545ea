"""Outlier detection on the ADBench sets of 1,000 to 50,000 rows, beside scikit-learn's and PyOD's.

    ISTHMUS_DATA=folder python -m benchmarks.anomaly [--seeds 3] [--sets yeast,musk]
                                                     [--methods isthmus,knn] [--append]

Protocol of Livernoche et al. 2024 (*On Diffusion Modeling for Anomaly Detection*), whose figures
``PUBLISHED`` are: the first half of the normal rows trains, the rest of them and all anomalies
test, standardised by the training rows; no labels, no choice by set, every method with its
defaults. Figures are AUROC in percent. Methods without a seed run once.

False alarms: the same detector with ``threshold="false_alarms"`` (1%), on halves dealt at random,
because what it promises it promises for rows like those of the fit, and some of the sets are
sorted. "met" says that the alarms among the n held-out normal rows are within the central 95% of
the beta-binomial distribution that exchangeable rows follow, given the m rows that the threshold
was read from; "in interval" that their rate is within ``false_alarm_interval_``. With fewer than 99
such rows the threshold is the tail's, and only the second can be said.

The results file is written after every fit; ``--append`` keeps what it holds and adds what is not
there.
PyOD comes with ``pip install -c constraints.txt -e '.[bench]'``; without it, it is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from benchmarks import _common

SETS = (
    "yeast",
    "Cardiotocography",
    "musk",
    "PageBlocks",
    "SpamBase",
    "Waveform",
    "landsat",
    "satimage-2",
    "mammography",
    "InternetAds",
    "campaign",
    "ALOI",
)
# On these twelve, from the table of vicliv/DTE.
PUBLISHED = {"PCA": 73.55, "VAE": 74.39, "KNN": 75.68, "DTE-NP": 75.94}
RATE = 0.01
Scores = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows in their order, and anomalies."""
    (path,) = _common.need_data().glob(f"adbench_open/*_{name}.npz")
    with np.load(path, allow_pickle=False) as archive:
        x, y = archive["X"].astype(np.float64), archive["y"]
    return x[y == 0], x[y == 1]


def split(name: str, seed: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows, test rows, and which of these are anomalies; a seed deals the rows anew."""
    normal, odd = rows_of(name)
    if seed is not None:
        normal = normal[np.random.default_rng(seed).permutation(len(normal))]
    half = len(normal) // 2
    train, test = _common.standardise(normal[:half], np.concatenate([normal[half:], odd]))
    return train, test, np.arange(len(test)) >= len(normal) - half


def _isthmus(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from isthmus import OutlierDetector

    return -OutlierDetector(random_state=seed).fit(train).score_samples(test)


def _evidence(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from isthmus.estimators.outliers.views import default_autoencoder

    return -default_autoencoder(train, seed).fit(train).score_samples(test)


def _error(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from isthmus import Autoencoder
    from isthmus.estimators.outliers.views import default_autoencoder

    k = default_autoencoder(train, seed).n_components
    model = Autoencoder(k, random_state=seed).fit(train)
    return np.square(model.reconstruct(test) - test).sum(1)


def _pca(train: np.ndarray, test: np.ndarray, _: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    pca = PCA(0.9, svd_solver="full").fit(train)
    return np.square(pca.inverse_transform(pca.transform(test)) - test).sum(1)


def _forest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def _lof(train: np.ndarray, test: np.ndarray, _: int) -> np.ndarray:
    from sklearn.neighbors import LocalOutlierFactor

    return -LocalOutlierFactor(novelty=True).fit(train).score_samples(test)


def _ocsvm(train: np.ndarray, test: np.ndarray, _: int) -> np.ndarray:
    from sklearn.svm import OneClassSVM

    return -OneClassSVM().fit(train).score_samples(test)


def _knn(train: np.ndarray, test: np.ndarray, _: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


def _pyod_autoencoder(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from pyod.models.auto_encoder import AutoEncoder

    model = AutoEncoder(random_state=seed, verbose=0)
    model.fit(train)
    return model.decision_function(test)


def _pyod_vae(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from pyod.models.vae import VAE

    model = VAE(random_state=seed, verbose=0)
    model.fit(train)
    return model.decision_function(test)


# Name: (how, whether it depends on a seed).
METHODS: dict[str, tuple[Scores, bool]] = {
    "isthmus": (_isthmus, True),
    "isthmus AE error": (_error, True),
    "isthmus VAE evidence": (_evidence, True),
    "PCA error": (_pca, False),
    "IsolationForest": (_forest, True),
    "LOF": (_lof, False),
    "OneClassSVM": (_ocsvm, False),
    "kNN": (_knn, False),
    "PyOD AutoEncoder": (_pyod_autoencoder, True),
    "PyOD VAE": (_pyod_vae, True),
}
FALSE_ALARMS = "isthmus false alarms"


def detect(name: str, method: str, seed: int) -> dict[str, Any] | None:
    """AUROC of one set, method and seed; None where the method is not installed."""
    train, test, odd = split(name)
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = METHODS[method][0](train, test, seed)
    except ModuleNotFoundError as error:
        print(f"{method} left out: {error}")
        return None
    return {
        "set": name,
        "method": method,
        "seed": seed,
        "auroc": 100 * float(roc_auc_score(odd, score)),
        "seconds": time.perf_counter() - began,
    }


def false_alarms(name: str, seed: int) -> dict[str, Any]:
    """How often normal rows that were held out are flagged where 1% is asked for."""
    from isthmus import OutlierDetector

    train, test, odd = split(name, seed)
    detector = OutlierDetector(threshold="false_alarms", false_alarm_rate=RATE, random_state=seed)
    held_out = test[~odd]
    flagged = detector.fit(train).predict(held_out) < 0
    m, n = len(detector.calibration_scores_), len(held_out)
    interval = detector.false_alarm_interval_
    rate = float(flagged.mean())
    inside = bool(interval[0] <= rate <= interval[1])
    above = int(RATE * (m + 1) + 1e-9)  # calibration rows at or above the threshold
    low, high = betabinom.interval(0.95, n, max(1, above), m + 1 - max(1, above))
    return {
        "set": name,
        "method": FALSE_ALARMS,
        "seed": seed,
        "m": m,
        "n": n,
        "rate": rate,
        "low": interval[0],
        "high": interval[1],
        "in_interval": inside,
        "met": bool(low <= flagged.sum() <= high) if above else inside,
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over seeds of each set and method, over sets where all sets are there."""
    table: dict[str, dict[str, float]] = {}
    for method in METHODS:
        for name in SETS:
            found = [r["auroc"] for r in rows if (r["set"], r["method"]) == (name, method)]
            if found:
                table.setdefault(method, {})[name] = statistics.fmean(found)
    means = {m: statistics.fmean(v.values()) for m, v in table.items() if len(v) == len(SETS)}
    alarms = [r for r in rows if r["method"] == FALSE_ALARMS]
    return {
        "auroc": table,
        "mean": means,
        "published": PUBLISHED,
        "false_alarms": {
            "sets": len(alarms),
            "met": sum(r["met"] for r in alarms),
            "in_interval": sum(r["in_interval"] for r in alarms),
        },
    }


def report(rows: list[dict[str, Any]]) -> str:
    """The two tables."""
    summary = summarise(rows)
    lines = [" " * 22 + "".join(f"{name[:9]:>10}" for name in SETS) + f"{'mean':>10}"]
    for method, found in summary["auroc"].items():
        figures = [found.get(name) for name in SETS] + [summary["mean"].get(method)]
        words = "".join(f"{'' if f is None else f'{f:.2f}':>10}" for f in figures)
        lines.append(f"{method:22}{words}")
    published = ", ".join(f"{name} {mean:.2f}" for name, mean in PUBLISHED.items())
    lines += [f"published means: {published}", ""]
    alarms = [r for r in rows if r["method"] == FALSE_ALARMS]
    if alarms:
        lines.append(f"{'false alarms, 1% asked':24}{'rate %':>8}  interval %")
    for r in alarms:
        met = ("met" if r["met"] else "not met") + (", in interval" if r["in_interval"] else "")
        interval = f"{100 * r['low']:.2f} to {100 * r['high']:.2f}"
        lines.append(f"{r['set']:24}{100 * r['rate']:8.2f}  {interval:16}{met}")
    total = summary["false_alarms"]
    if alarms:
        lines.append(
            f"met on {total['met']} of {total['sets']}, in the detector's interval on "
            f"{total['in_interval']}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default="", help="names, separated by commas; all by default")
    parser.add_argument("--methods", default="", help="the same, of methods")
    parser.add_argument("--append", action="store_true", help="add what is not there yet")
    options = parser.parse_args()
    _common.need_data()
    sets = [n for n in options.sets.split(",") if n] or list(SETS)
    methods = [m for m in options.methods.split(",") if m] or [*METHODS, FALSE_ALARMS]
    rows = _common.read("anomaly") if options.append else []
    for name in sets:
        for method in methods:
            seeded = method in METHODS and METHODS[method][1]
            for seed in range(options.seeds if seeded else 1):
                key = (name, method, seed)
                if any((r["set"], r["method"], r["seed"]) == key for r in rows):
                    continue
                if method == FALSE_ALARMS:
                    row: dict[str, Any] | None = false_alarms(name, seed)
                else:
                    row = detect(name, method, seed)
                if row is None:
                    break
                rows.append(row)
                _common.write("anomaly", rows, summarise(rows))
                figure = row.get("auroc", 100 * row.get("rate", 0.0))
                print(f"{name:18}{method:22}{seed:3}{figure:8.2f}", flush=True)
    print(report(rows))


if __name__ == "__main__":
    main()
