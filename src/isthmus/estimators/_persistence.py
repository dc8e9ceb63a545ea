"""A fitted estimator to a run directory, and what both sides of a run call its parts."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._written import remembered
from isthmus.evaluation.record import HeldOut
from isthmus.runs import directory

CORE = "autoencoder."
# Codes of two machines agree if they are no further apart, in standard deviations of the codes:
# float32 sums in another order give 1e-6, bfloat16 products 3e-3.
AGREE = 1e-3
PROBE, _PROBES = "probe.", 8
_HELD_OUT, _PCA_CURVE = "held_out.", "pca_curve"
FIGURES = ("n_steps_", "n_epochs_", "validation_", "squared_error_", "pca_squared_error_")
# Of how the rows were read, written only where it was said: a run without it opens in versions that
# do not know of it.
_SAID = ("layout", "max_skipped", "text", "na_values", "encoding", "read_shape")


def save(
    estimator: Blueprint,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    provenance: Mapping[str, Any],
) -> Path:
    """Write the run; see :meth:`isthmus.estimators.Autoencoder.save`."""
    parameters = {name: as_json(value) for name, value in estimator.get_params(deep=False).items()}
    names = getattr(estimator, "feature_names_in_", None)
    spelling, na_values = remembered(estimator)
    said = {key: provenance[key] for key in _SAID if provenance.get(key) is not None}
    if na_values is not None:
        said["na_values"] = list(na_values)
    config: dict[str, Any] = {
        "versions": directory.versions(),
        "command": provenance.get("command"),
        "model": {
            "class": type(estimator).__name__,
            "parameters": parameters,
            "architecture": estimator._architecture,
            "scaling": estimator.scaling_.kind,
            "encoding": None if estimator.encoding_ is None else estimator.encoding_.to_json(),
        },
        "data": {
            "n_features": int(estimator.n_features_in_),
            "n_rows": int(estimator.n_samples_),
            "feature_names": None if names is None else [str(name) for name in names],
            "fingerprint": estimator._fingerprint,
            "origin": provenance.get("origin"),
            "drop": provenance.get("drop"),
            **said,
            **({} if spelling is None else {"spelling": spelling.recorded()}),
            "input_shape": None if estimator.input_shape_ is None else list(estimator.input_shape_),
        },
        "fit": {
            **{name: _finite(getattr(estimator, name)) for name in FIGURES},
            "interrupted_": estimator.interrupted_,
            "diverged_": estimator.diverged_,
            "stayed_linear_": estimator.stayed_linear_,
        },
    }
    tensors = {
        **{CORE + name: t for name, t in estimator.autoencoder_.state_dict().items()},
        "scaling.shift": estimator.scaling_.shift,
        "scaling.scale": estimator.scaling_.scale,
        "fill": estimator._fill,
        "codes": estimator._codes,
        **_probe(estimator),
    }
    if estimator.held_out_ is not None:
        for field in dataclasses.fields(estimator.held_out_):
            value = getattr(estimator.held_out_, field.name)
            tensors[_HELD_OUT + field.name] = torch.from_numpy(value)
    if estimator.pca_curve_ is not None:
        tensors[_PCA_CURVE] = torch.from_numpy(estimator.pca_curve_)
    return directory.write(path, directory.Run(config, tensors, estimator.history_), force=force)


def _probe(estimator: Blueprint) -> dict[str, torch.Tensor]:
    """A few decoded rows and their codes here, by which another machine's can be compared."""
    module = estimator.autoencoder_
    with torch.no_grad():
        rows = module.likelihood.expectation(module.decode(estimator._codes[:_PROBES]))
        if module.likelihood.support in ("count", "category"):
            rows = rows.round()
        # of a mixed table expected counts may stay: log(1 + x) takes them
        return {PROBE + "rows": rows, PROBE + "codes": module.encode(rows).mean}


def drift(estimator: Blueprint) -> float:
    """How far codes computed here are from those of the machine that saved the model.

    The largest difference of a few recorded rows' codes, in standard deviations of the codes;
    0 is bit for bit, float32 arithmetic in another order gives about 1e-6. NaN where the run holds
    no such rows: it was written before they were recorded, or not read from a run.
    """
    if estimator._probed is None:
        return math.nan
    rows, codes = estimator._probed
    with torch.no_grad():
        here = estimator.autoencoder_.encode(rows).mean
    spread = float(estimator._codes.std()) or 1.0
    return float((here - codes).abs().max()) / spread


def curve_of(tensors: Mapping[str, torch.Tensor]) -> NDArray[np.float64] | None:
    """PCA's errors at every size that a run holds, if any."""
    curve = tensors.get(_PCA_CURVE)
    if curve is not None and curve.ndim != 1:
        raise ValueError(f"pca_curve has shape {tuple(curve.shape)} and must have one dimension")
    return None if curve is None else curve.numpy()


def held_out_of(tensors: Mapping[str, torch.Tensor]) -> HeldOut | None:
    """The figures of held-out rows that a run holds, if any."""
    names = [field.name for field in dataclasses.fields(HeldOut)]
    if _HELD_OUT + names[0] not in tensors:
        return None
    values = {name: tensors[_HELD_OUT + name].numpy() for name in names}
    shapes = {name: value.shape for name, value in values.items()}
    if len({*shapes.values()}) > 1 or len(next(iter(shapes.values()))) != 1:
        raise ValueError(f"the figures of held-out rows have the shapes {shapes}")
    return HeldOut(**values)


def as_json(value: Any) -> Any:
    """A parameter as JSON holds it; a network by its name, a random generator as null."""
    if isinstance(value, nn.Module):
        return {"network": f"{type(value).__module__}.{type(value).__qualname__}"}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [as_json(v) for v in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(v) for key, v in value.items()}
    if isinstance(value, torch.device):
        return str(value)
    return None  # a random generator: its state is not a parameter of the model


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
