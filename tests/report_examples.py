"""Runs and evaluations that the tests of the report share: one of each kind, and odd ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_wine

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from isthmus.data.tables import Table
from isthmus.estimators._persistence import save
from isthmus.evaluation.evaluate import evaluate
from isthmus.evaluation.record import Evaluation
from isthmus.runs import directory
from isthmus.runs.directory import Run

QUICK: dict[str, Any] = {"max_epochs": 2, "hidden_layer_sizes": (16,), "random_state": 0}
HOSTILE = ("</script><script>alert(1)</script>", "<!--", "<b>x</b>", 'a"b', "var(--pca)", "%{x}")


def beats(n: int = 160, d: int = 60) -> np.ndarray:
    """(n, d) smooth curves with two bumps that move."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, d)
    first, second = 0.25 + 0.1 * rng.uniform(size=(2, n, 1)) + [[[0.0]], [[0.4]]]
    height = rng.uniform(0.5, 1.5, (n, 1))
    curves = np.exp(-(((t - first) / 0.06) ** 2)) - height * np.exp(-(((t - second) / 0.1) ** 2))
    return curves + 0.02 * rng.normal(size=(n, d))


def wide(n: int = 70, d: int = 1500) -> np.ndarray:
    """(n, d) rows near a plane, columns in no order."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + 0.1 * rng.normal(size=(n, d))


def _wine(holes: bool) -> tuple[Table, np.ndarray]:
    found = load_wine()
    values, names = found.data.copy(), [str(name) for name in found.feature_names]
    if holes:
        values[np.random.default_rng(0).uniform(size=values.shape) < 0.1] = np.nan
        names[: len(HOSTILE)] = HOSTILE
    return Table(values, tuple(names), "wine"), np.array(["<i>", "&amp;", "c"])[found.target]


def _parts(name: str) -> tuple[Any, Any, Any]:
    """Estimator, rows, labels."""
    if name == "images":
        digits = load_digits()
        names = tuple(str(feature) for feature in digits.feature_names)
        rows = Table(digits.data[:300], names, "digits")
        return VariationalAutoencoder(4, **QUICK), rows, digits.target[:300]
    if name == "series":
        return DenoisingAutoencoder(3, **QUICK), beats(), None
    if name == "wide":
        return Autoencoder(2, **QUICK), wide(), None
    rows, labels = _wine(holes=name == "hostile")
    if name == "hostile":
        return ContractiveAutoencoder(1, **QUICK), rows, labels
    return Autoencoder(3, **QUICK), rows, None


NAMES = ("images", "series", "table", "wide", "hostile")


@cache
def example(name: str) -> tuple[Run, Evaluation]:
    """A run and what evaluate found; not to be changed by a test."""
    import tempfile

    model, rows, labels = _parts(name)
    model.fit(rows)
    more = {} if labels is None else {"labels": labels, "label_column": "kind"}
    found = evaluate(model, rows, kind="training", origin=name, n_importance=20, **more)
    with tempfile.TemporaryDirectory() as folder:
        provenance = {"origin": name, "drop": [], "command": f"isthmus fit {name}"}
        run = directory.read(save(model, f"{folder}/run", provenance=provenance))
    return run, found


def comparison() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a comparison over dimensions leaves in a run."""
    k = np.array([1, 2, 4, 8])
    error = 100.0 / (k + 1.0)
    facts = {"recommended": 4, "reason": "Four is enough.", "intrinsic": 3.6, "pca_mle": 7}
    arrays = {
        "n_components": k,
        "error": error,
        "error_se": 0.05 * error,
        "pca_error": 1.5 * error,
        "log_likelihood": -error,
        "active_units": np.minimum(k, 3),
    }
    return facts, arrays
