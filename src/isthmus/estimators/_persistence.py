"""A fitted estimator ↔ a run directory."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from isthmus import presets
from isthmus._mark import TENSORS
from isthmus.data.columns.encoding import Encoding
from isthmus.data.rows.scaling import Scaling
from isthmus.errors import RunError
from isthmus.estimators import _samples
from isthmus.estimators._schema import check_size, most_bytes, validated
from isthmus.evaluation.record import HeldOut
from isthmus.random import fork
from isthmus.runs import directory

if TYPE_CHECKING:
    from isthmus.estimators._base import Estimator

_CORE = "autoencoder."
_MOST_SAID = 300
# Codes of two machines agree if they are no further apart, in standard deviations of the codes:
# float32 sums in another order give 1e-6, bfloat16 products 3e-3.
AGREE = 1e-3
_PROBE, _PROBES = "probe.", 8
_HELD_OUT, _PCA_CURVE = "held_out.", "pca_curve"
_FIGURES = ("n_steps_", "n_epochs_", "validation_", "squared_error_", "pca_squared_error_")
# Of how the rows were read, written only where it was said: a run without it opens in versions that
# do not know of it.
_SAID = ("layout", "max_skipped", "text", "na_values", "read_shape")


def save(
    estimator: Estimator,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    provenance: Mapping[str, Any],
) -> Path:
    """Write the run; see :meth:`isthmus.estimators.Autoencoder.save`."""
    parameters = {name: as_json(value) for name, value in estimator.get_params(deep=False).items()}
    names = getattr(estimator, "feature_names_in_", None)
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
            **{key: provenance[key] for key in _SAID if provenance.get(key) is not None},
            "input_shape": None if estimator.input_shape_ is None else list(estimator.input_shape_),
        },
        "fit": {
            **{name: _finite(getattr(estimator, name)) for name in _FIGURES},
            "interrupted_": estimator.interrupted_,
            "diverged_": estimator.diverged_,
            "stayed_linear_": estimator.stayed_linear_,
        },
    }
    tensors = {
        **{_CORE + name: t for name, t in estimator.autoencoder_.state_dict().items()},
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


def load(
    path: str | os.PathLike[str],
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Estimator:
    """Open a run directory that ``save`` or ``isthmus fit`` wrote, on any machine.

    Nothing in the folder is executed or imported. A model with networks of the user's own opens
    when they are given again.

    Args:
        path: the run directory.
        encoder: the user's own encoder, untrained, if the model was fitted with one.
        decoder: the same for the decoder.

    Returns:
        The fitted estimator, of the class that was saved.

    Raises:
        RunError: missing, foreign, truncated, newer; or a network of the user's own is missing.

    >>> import tempfile, numpy as np
    >>> from isthmus import Autoencoder, load
    >>> X = np.random.default_rng(0).normal(size=(20, 4))
    >>> model = Autoencoder(2, max_epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load(model.save(folder + "/run"))
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    from isthmus.estimators.models import MODELS

    config = directory.read_config(path)
    if "detector" in config:
        raise RunError(
            f"{path}", "holds an outlier detector", "Open it with isthmus.OutlierDetector.load."
        )
    try:
        most = most_bytes(path, validated(path, config), encoder, decoder)
        check_size(Path(path) / TENSORS, most)
        run = directory.read(path)
        model = run.config["model"]
        cls = MODELS[model["class"]]
        parameters = dict(model["parameters"])
        for name, given in (("encoder", encoder), ("decoder", decoder)):
            parameters[name] = _network(name, parameters.get(name), given, run)
        sizes = parameters.get("hidden_layer_sizes")
        parameters["hidden_layer_sizes"] = tuple(sizes) if isinstance(sizes, list) else sizes
        stated = parameters.get("sample_shape")
        parameters["sample_shape"] = tuple(stated) if isinstance(stated, list) else stated
        estimator: Estimator = cls(**parameters)
        names = run.config["data"]["feature_names"]
        estimator.n_features_in_ = int(run.config["data"]["n_features"])
        if names is not None:
            if len(names) != estimator.n_features_in_:
                raise ValueError(f"{len(names)} names for {estimator.n_features_in_} features")
            estimator.feature_names_in_ = np.asarray(names, dtype=object)
        _restore(estimator, model, run)
    except RunError:
        raise
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        RuntimeError,
        AttributeError,
    ) as error:
        said = " ".join(str(error).split())
        said = said if len(said) < _MOST_SAID else f"{said[:_MOST_SAID]} ..."
        raise RunError(
            f"{path}",
            f"does not hold what its schema promises ({type(error).__name__}: {said})",
            "The run was altered or written by an incompatible version; fit again.",
        ) from error
    return estimator


def _restore(estimator: Estimator, model: dict[str, Any], run: directory.Run) -> None:
    architecture = model["architecture"]
    with fork(0):
        core = presets.build(
            **architecture,
            encoder=copy.deepcopy(estimator.encoder),
            decoder=copy.deepcopy(estimator.decoder),
        ).float()
    _check_shapes(run.tensors, core.feature_shape, core.n_components, estimator.n_features_in_)
    _samples.restore(estimator, architecture.get("sample_shape"), run.config["data"])
    state = {
        name.removeprefix(_CORE): t for name, t in run.tensors.items() if name.startswith(_CORE)
    }
    core.load_state_dict(state)
    estimator.autoencoder_ = core.eval()
    estimator.scaling_ = Scaling(
        model["scaling"], run.tensors["scaling.shift"], run.tensors["scaling.scale"]
    )
    encoding = model.get("encoding")
    estimator.encoding_ = None if encoding is None else Encoding.from_json(encoding)
    estimator.likelihood_ = architecture["likelihood"]
    estimator._fill = run.tensors["fill"]
    estimator._codes = run.tensors["codes"]
    estimator._device = torch.device("cpu")
    estimator._architecture = architecture
    estimator.n_components_ = estimator._n_features_out = int(architecture["n_components"])
    estimator.n_samples_ = int(run.config["data"]["n_rows"])
    estimator.history_ = run.history
    fit = run.config["fit"]
    for name in _FIGURES:
        setattr(estimator, name, float("nan") if fit[name] is None else fit[name])
    estimator.interrupted_ = bool(fit["interrupted_"])
    estimator.stayed_linear_ = bool(fit["stayed_linear_"])
    # runs written before these were recorded lack them
    estimator.diverged_ = bool(fit.get("diverged_", False))
    estimator._fingerprint = str(run.config["data"].get("fingerprint", ""))
    estimator.held_out_ = held_out_of(run.tensors)
    estimator.pca_curve_ = curve_of(run.tensors)
    rows, codes = (run.tensors.get(_PROBE + name) for name in ("rows", "codes"))
    estimator._probed = None
    if rows is not None and codes is not None:
        shapes = (tuple(rows.shape[1:]), tuple(codes.shape))
        if shapes != (tuple(core.feature_shape), (len(rows), core.n_components)):
            raise ValueError(f"the rows and codes to compare have the shapes {shapes}")
        estimator._probed = (rows, codes)
    estimator._forget()


def _probe(estimator: Estimator) -> dict[str, torch.Tensor]:
    """A few decoded rows and their codes here, by which another machine's can be compared."""
    module = estimator.autoencoder_
    with torch.no_grad():
        rows = module.likelihood.expectation(module.decode(estimator._codes[:_PROBES]))
        if module.likelihood.support in ("count", "category"):
            rows = rows.round()
        # of a mixed table expected counts may stay: log(1 + x) takes them
        return {_PROBE + "rows": rows, _PROBE + "codes": module.encode(rows).mean}


def drift(estimator: Estimator) -> float:
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


def _check_shapes(
    tensors: Mapping[str, torch.Tensor], shape: tuple[int, ...], n_components: int, n_features: int
) -> None:
    if shape != (n_features,):
        raise ValueError(f"n_features is {n_features}, and the model's rows are {shape}")
    for name in ("scaling.shift", "scaling.scale", "fill"):
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)} and must be {shape}")
    codes = tensors["codes"]
    if codes.ndim != 2 or codes.shape[1] != n_components:
        raise ValueError(f"codes has shape {tuple(codes.shape)} and must be (N, {n_components})")


def _network(
    name: str, recorded: Any, given: nn.Module | None, run: directory.Run
) -> nn.Module | None:
    if recorded is None:
        return None
    path = recorded["network"] if isinstance(recorded, dict) else str(recorded)
    if given is None:
        raise RunError(
            f"the run's {name} {path}",
            "is a network of your own, and a file may not import code",
            f"Pass it to load: load(path, {name}={path.rpartition('.')[2]}(...)).",
        )
    prefix = f"{_CORE}{name}.net."
    saved = {
        key.removeprefix(prefix): tuple(t.shape)
        for key, t in run.tensors.items()
        if key.startswith(prefix)
    }
    shapes = {key: tuple(t.shape) for key, t in given.state_dict().items()}
    if shapes != saved:
        odd = next(k for k in sorted({*shapes, *saved}) if shapes.get(k) != saved.get(k))
        raise RunError(
            f"{name}={type(given).__name__}",
            f"does not fit the network that was saved, {path}: tensor {odd!r} is "
            f"{shapes.get(odd, 'missing')} and was {saved.get(odd, 'missing')}",
            "Build it with the arguments of the one that was fitted.",
        )
    return given


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
