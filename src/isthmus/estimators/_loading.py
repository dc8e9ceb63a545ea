"""A run directory to a fitted estimator; nothing in it is executed or imported."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from isthmus import presets
from isthmus._mark import TENSORS
from isthmus.data.columns.encoding import Encoding
from isthmus.data.rows.scaling import Scaling
from isthmus.data.text.agreeing import Spelling
from isthmus.errors import RunError
from isthmus.estimators import _samples, _written
from isthmus.estimators._base import Estimator
from isthmus.estimators._persistence import CORE, FIGURES, PROBE, curve_of, held_out_of
from isthmus.estimators._schema import check_size, most_bytes, validated
from isthmus.estimators.models import MODELS
from isthmus.random import fork
from isthmus.runs import directory

_MOST_SAID = 300


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
    state = {name.removeprefix(CORE): t for name, t in run.tensors.items() if name.startswith(CORE)}
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
    for name in FIGURES:
        setattr(estimator, name, float("nan") if fit[name] is None else fit[name])
    estimator.interrupted_ = bool(fit["interrupted_"])
    estimator.stayed_linear_ = bool(fit["stayed_linear_"])
    # runs written before these were recorded lack them
    estimator.diverged_ = bool(fit.get("diverged_", False))
    estimator._fingerprint = str(run.config["data"].get("fingerprint", ""))
    spelling, words = (run.config["data"].get(name) for name in ("spelling", "na_values"))
    _written.remember(
        estimator,
        _written.Remembered(
            None if spelling is None else Spelling.of_record(spelling),
            None if words is None else tuple(words),
        ),
    )
    estimator.held_out_ = held_out_of(run.tensors)
    estimator.pca_curve_ = curve_of(run.tensors)
    rows, codes = (run.tensors.get(PROBE + name) for name in ("rows", "codes"))
    estimator._probed = None
    if rows is not None and codes is not None:
        shapes = (tuple(rows.shape[1:]), tuple(codes.shape))
        if shapes != (tuple(core.feature_shape), (len(rows), core.n_components)):
            raise ValueError(f"the rows and codes to compare have the shapes {shapes}")
        estimator._probed = (rows, codes)
    estimator._forget()


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
    prefix = f"{CORE}{name}.net."
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
