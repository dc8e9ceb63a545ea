"""Heart beats: normal ones train, the score tells the others; dense networks and 1-D convolutions.

    ISTHMUS_DATA=folder python -m benchmarks.ecg [--seeds 3]

ECG5000 with the published split of HFuoc/ECG5000-Anomaly: 2,335 normal beats of 140 points train,
584 normal and 2,081 others test. No labels and no choice by test rows; defaults everywhere, 8
components. The score is −``score_samples`` of the estimator and of the detector. AUROC is that of
scikit-learn; "error" the mean squared error of a normal test beat, summed over its points.
Published on this split: VAE 0.962, IsolationForest 0.952.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from benchmarks import _common
from isthmus import Autoencoder, OutlierDetector, VariationalAutoencoder

K = 8


def beats() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training beats, test beats, and which of these are not normal."""
    with np.load(_common.need_data() / "ecg5000.npz", allow_pickle=False) as archive:
        x, y = archive["x"].astype(np.float32), archive["y"]
        train, test = archive["train_index"], archive["test_index"]
    return x[train], x[test], y[test] != 0


def methods(seed: int, length: int) -> dict[str, Any]:
    """Unfitted models by name."""
    series = {"sample_shape": (length,), "random_state": seed}
    found: dict[str, Any] = {}
    for network in ("mlp", "conv"):
        of = {"network": network, **series}
        found[f"Autoencoder {network}"] = Autoencoder(K, **of)
        found[f"VariationalAutoencoder {network}"] = VariationalAutoencoder(K, **of)
        inner = VariationalAutoencoder(K, scaling="standard", **of)
        found[f"OutlierDetector(VariationalAutoencoder) {network}"] = OutlierDetector(
            inner, random_state=seed
        )
    found["OutlierDetector"] = OutlierDetector(random_state=seed)
    found["IsolationForest"] = IsolationForest(random_state=seed)
    return found


def main() -> None:
    """Print one line a fit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, test, odd = beats()
    rows: list[dict[str, Any]] = []

    def note(name: str, seed: int, score: np.ndarray, error: float | None, began: float) -> None:
        row = {
            "method": name,
            "seed": seed,
            "auroc": float(roc_auc_score(odd, score)),
            "error": error,
            "cpu_seconds": time.process_time() - began,
        }
        rows.append(row)
        print(row, flush=True)

    began = time.process_time()
    pca = PCA(K).fit(train)
    left = np.square(pca.inverse_transform(pca.transform(test)) - test).sum(1)
    note("PCA, squared error", 0, left, float(left[~odd].mean()), began)
    began = time.process_time()
    far = NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]
    note("distance to the 5th neighbour", 0, far, None, began)
    for seed in range(options.seeds):
        for name, model in methods(seed, train.shape[1]).items():
            began = time.process_time()
            model.fit(train)
            error = None
            if hasattr(model, "reconstruct"):
                error = float(np.square(model.reconstruct(test) - test).sum(1)[~odd].mean())
            note(name, seed, -model.score_samples(test), error, began)
    summary = {
        name: {
            "auroc": statistics.fmean(r["auroc"] for r in rows if r["method"] == name),
            "worst": min(r["auroc"] for r in rows if r["method"] == name),
            "seeds": sum(r["method"] == name for r in rows),
        }
        for name in dict.fromkeys(r["method"] for r in rows)
    }
    _common.write("ecg", rows, summary)
    for name, figures in summary.items():
        print(f"{name:50s} {figures['auroc']:.4f} (worst {figures['worst']:.4f})")


if __name__ == "__main__":
    main()
