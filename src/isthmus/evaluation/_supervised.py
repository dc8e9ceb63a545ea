"""The parts of an evaluation that rest on more than the rows: labels, factors, outliers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError
from isthmus.evaluation import detection, disentanglement, exhibits, probes
from isthmus.evaluation._ground import Ground, Sheet

Array = NDArray[Any]


def labels(g: Ground, out: Sheet, given: Array) -> None:
    """Linear and neighbour probes of the code; PCA's code beside it."""
    y = given[g.some]
    out.facts["labels"] = None
    if not probes.is_measured(y):
        there = probes.present(y)
        names, place = np.unique(y[there], return_inverse=True)
        index = np.full(len(y), -1, dtype=np.int64)
        index[there] = place
        out.facts["labels"] = [_label(name) for name in names.tolist()]
        out.arrays["label"] = index[np.searchsorted(g.some, g.shown)]
    try:
        found = probes.probe(g.codes, y, seed=g.seed)
    except DataError as error:
        out.facts["not_probed"] = str(error)
        return
    line = None
    if g.pca is not None:
        line = probes.probe(g.pca.codes(g.filled), y, seed=g.seed)
    more: dict[str, Any] = {"n": g.rows(found.n), "chance": f"{found.chance:.3g}"}
    if found.measured:
        more |= {"unit": "R²", "low": -math.inf}
    out.add("linear_probe", found.linear, pca=None if line is None else line.linear, **more)
    out.add(
        "neighbour_probe", found.neighbours, pca=None if line is None else line.neighbours, **more
    )


def _label(name: Any) -> str:
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    return str(name)


def factors(g: Ground, out: Sheet, given: Array) -> None:
    """MIG, DCI and SAP of known factors; PCA's code beside it."""
    f = given[g.some]
    n = g.rows(len(f))
    spaces = [g.codes] if g.pca is None else [g.codes, g.pca.codes(g.filled)]
    found = []
    for z in spaces:
        figures = {"mig": disentanglement.mig(z, f), "sap": disentanglement.sap(z, f, seed=g.seed)}
        if f.shape[1] > 1:
            dci = disentanglement.dci(z, f, seed=g.seed)
            figures |= {f"dci_{name}": value for name, value in vars(dci).items()}
        found.append(figures)
    measured = {probes.is_measured(column) for column in f.T}
    told = {True: "R²", False: "accuracy"}[measured.pop()] if len(measured) == 1 else "accuracy, R²"
    for name, value in found[0].items():
        unit = told if name == "dci_informativeness" else None
        out.add(name, value, pca=found[1][name] if len(found) > 1 else None, unit=unit, n=n)


def outliers(g: Ground, out: Sheet, marks: Array | None) -> None:
    """The worst reconstructed rows; how well errors and bounds rank known outliers."""
    own = g.own

    def residual(rows: Array) -> Array:
        u = g.u(g.x[rows]).astype(np.float64)
        difference = u - g.u(g.reconstruct(g.x[rows]))
        return np.square(np.nan_to_num(difference, nan=0.0))

    found = exhibits.outliers(own.row, residual, own.feature)
    worst = found["row"]
    out.arrays |= {
        "outlier_rows": g.positions[worst],
        "outlier_x": g.x[worst],
        "outlier_p": found["p"],
        "outlier_contribution": found["contribution"],
        "outlier_reconstruction": g.reconstruct(g.x[worst]),
    }
    if marks is None:
        return
    n, line = g.rows(g.n), g.line
    share = {"share": f"{marks.mean():.3g}"}
    for name, of, words in (
        ("auroc", detection.auroc, {}),
        ("average_precision", detection.average_precision, share),
    ):
        pca = None if line is None else of(marks, line.row)
        out.add(name, of(marks, own.row), pca=pca, n=n, **words)
    if g.variational:
        score = -np.asarray(g.model.score_samples(g.wrap(g.x)), dtype=np.float64)
        out.add("auroc_nats", detection.auroc(marks, score), n=n)
        out.add("average_precision_nats", detection.average_precision(marks, score), n=n)
