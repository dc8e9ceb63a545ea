"""A fitted detector ↔ a run directory: the run of its autoencoder, and what it adds to it.

    config.json   "detector": parameters, seeds, sizes; "autoencoder": the configuration of its run
    tensors       "autoencoder/…" those of its run; "detector/…" rows, covariances, tails, scores

The autoencoder's part is written and opened by its own module, which checks it field by field.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.errors import RunError
from isthmus.estimators._loading import load as load_autoencoder
from isthmus.estimators._persistence import as_json
from isthmus.estimators._written import remember, remembered
from isthmus.estimators.outliers.views import VIEWS, Views
from isthmus.evaluation.outlyingness import POWER, Gaussian, Tail
from isthmus.runs import directory

SECTION = "detector"
_MODEL, _OWN = "autoencoder/", "detector/"
# How views are combined: the power of the mean of their p-values, and how many there are. Runs from
# before this was recorded have four and the smallest p-value. All score as they did, with the mean
# distance to ``n_neighbors`` rows in all features where there are five.
_COMBINATIONS = {"smallest": (-math.inf, 4), "harmonic": (-1.0, 5), "power mean": (POWER, 6)}
_NUMBERS = ("threshold", "level", "scale")
Floats = NDArray[np.float64]
Detector = TypeVar("Detector")


def save(
    detector: Any,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    provenance: Mapping[str, Any],
) -> Path:
    """Write the run; see :meth:`isthmus.estimators.outliers.OutlierDetector.save`."""
    directory.check_destination(path, force=force)
    with tempfile.TemporaryDirectory() as folder:
        inner = detector.autoencoder_.save(Path(folder) / "run", provenance=provenance)
        model = directory.read(inner)
    views = detector._views
    parameters = detector.get_params(deep=False)
    given = parameters.pop("autoencoder")
    names = getattr(detector, "feature_names_in_", None)
    config: dict[str, Any] = {
        "versions": directory.versions(),
        SECTION: {
            "parameters": {name: as_json(value) for name, value in parameters.items()},
            "autoencoder": None if given is None else "as fitted",
            "n_features": int(detector.n_features_in_),
            "feature_names": None if names is None else [str(name) for name in names],
            "combination": next(
                name
                for name, kind in _COMBINATIONS.items()
                if kind == (views.power, len(views.names))
            ),
            "inflation": views.inflation,
            "tails": [{name: getattr(tail, name) for name in _NUMBERS} for tail in views.tails],
        },
        "autoencoder": model.config,
    }
    own = {
        "reference": views.reference,
        "codes": views.codes,
        "directions": views.directions,
        "deviation": views.deviation,
        "residual": views.residual.covariance,
        "code": views.code.covariance,
        "centre": views.centre,
        "calibration_scores": detector.calibration_scores_,
        "decision_scores": detector.decision_scores_,
    }
    if views.whitening is not None:
        own["whitening"] = views.whitening
    for name, tail in zip(views.names, views.tails, strict=True):
        own |= {f"{name}.scores": tail.scores, f"{name}.surprise": tail.surprise}
    tensors = {_MODEL + name: tensor for name, tensor in model.tensors.items()}
    for name, array in own.items():
        tensors[_OWN + name] = torch.from_numpy(np.array(array, dtype=np.float64))
    return directory.write(path, directory.Run(config, tensors, model.history), force=force)


def recorded(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the run says of the rows of the fit: how they were read; see :func:`save`.

    Raises:
        RunError: it is no run of a detector.
    """
    found = directory.read_config(path).get("autoencoder")
    data = found.get("data") if isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise RunError(f"{path}", "does not say how the rows of the fit were read", "Fit again.")
    return data


def is_detector(path: str | os.PathLike[str]) -> bool:
    """Whether the run there is a detector's.

    Raises:
        RunError: it is no run.
    """
    return SECTION in directory.read_config(path)


def load(path: str | os.PathLike[str], create: Callable[..., Detector]) -> Detector:
    """Open a run that :func:`save` wrote, as what ``create`` makes of its parameters.

    Raises:
        RunError: missing, foreign, truncated, newer, or of an autoencoder alone.
    """
    if not is_detector(path):
        raise RunError(f"{path}", "is the run of an autoencoder alone", "Open it with load.")
    run = directory.read(path)
    try:
        model = {n.removeprefix(_MODEL): t for n, t in run.tensors.items() if n.startswith(_MODEL)}
        with tempfile.TemporaryDirectory() as folder:
            nested = directory.Run(run.config["autoencoder"], model, run.history)
            autoencoder = load_autoencoder(directory.write(Path(folder) / "run", nested))
        return _restore(run, autoencoder, create)
    except RunError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise RunError(
            f"{path}",
            f"does not hold what its schema promises ({type(error).__name__}: {error})",
            "The run was altered or written by an incompatible version; fit again.",
        ) from error


def _restore(run: directory.Run, autoencoder: Any, create: Callable[..., Detector]) -> Detector:
    about = run.config[SECTION]
    given = None if about["autoencoder"] is None else autoencoder
    made = create(given, **about["parameters"])
    detector: Any = made
    detector.n_features_in_ = int(about["n_features"])
    detector.sample_shape_ = autoencoder.sample_shape_
    detector.encoding_ = autoencoder.encoding_
    remember(detector, remembered(autoencoder))
    if autoencoder.n_features_in_ != detector.n_features_in_:
        raise ValueError(f"n_features is {detector.n_features_in_}, and the autoencoder's is not")
    if about["feature_names"] is not None:
        detector.feature_names_in_ = np.asarray(about["feature_names"], dtype=object)

    def own(name: str) -> Floats:
        tensor: Tensor = run.tensors[_OWN + name]
        return np.asarray(tensor.numpy(), dtype=np.float64)

    power, n_views = _COMBINATIONS[about.get("combination", "smallest")]
    names = VIEWS[:n_views]
    tails = tuple(
        Tail(own(f"{name}.scores"), own(f"{name}.surprise"), *(float(tail[n]) for n in _NUMBERS))
        for name, tail in zip(names, about["tails"], strict=True)
    )
    detector._check()
    detector.autoencoder_ = autoencoder
    detector._views = Views(
        model=autoencoder,
        reference=own("reference"),
        codes=own("codes"),
        directions=own("directions"),
        deviation=own("deviation"),
        residual=Gaussian.of(own("residual")),
        code=Gaussian.of(own("code")),
        centre=own("centre"),
        whitening=own("whitening") if "whitened" in names else None,
        inflation=float(about["inflation"]),
        names=names,
        tails=tails,
        n_neighbors=detector.n_neighbors,
        n_whole=1 if names == VIEWS else detector.n_neighbors,
        power=power,
    )
    detector.calibration_scores_ = own("calibration_scores")
    detector.decision_scores_ = own("decision_scores")
    detector._decide()
    return made
