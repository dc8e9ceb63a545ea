"""What a fit settles from its training rows before any network is built; in memory or streamed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from isthmus.core.joint import Joint
from isthmus.core.likelihoods import Likelihood
from isthmus.data.batches import TensorBatches
from isthmus.data.rows.scaling import Kind, Scaling, mean_of
from isthmus.estimators import _input, _parameters
from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._defaults import conv_starts_linear


def scaling_of(estimator: Blueprint, head: Likelihood) -> tuple[Kind, Tensor | None]:
    """The kind of scaling, and (D,) bool, the features that are scaled; None for all."""
    kind = _parameters.scaling(estimator.scaling, head, estimator._likelihood_name())
    shape = estimator.sample_shape_
    if kind == "auto" and shape is not None and shape[0] == 1:
        kind = "common"  # one unit, however dark the border
    return kind, head.continuous if isinstance(head, Joint) else None


def settle(
    estimator: Blueprint, head: Likelihood, scaling: Scaling, n_rows: int, mean: Tensor
) -> None:
    """Fix scaling, stand-ins, sizes and architecture.

    Args:
        estimator: changed in place.
        head: of p(x|z).
        scaling: of the training rows.
        n_rows: N of the fit.
        mean: (D,) of the training rows; where they are not centred, missing entries stand at it.
    """
    estimator._device = _parameters.device(estimator.device)
    estimator.likelihood_ = estimator._likelihood_name()
    estimator.scaling_ = scaling
    estimator._fill = torch.zeros(estimator.n_features_in_, dtype=torch.float64)
    if scaling.kind == "none":
        whole = head.support in ("count", "category")
        estimator._fill = mean.round() if whole else mean
    estimator.n_components_ = _parameters.n_components(estimator)
    estimator._n_features_out = estimator.n_components_
    sizes = estimator.hidden_layer_sizes
    hidden = (
        estimator._recipe(n_rows, estimator.n_components_).hidden_layer_sizes
        if isinstance(sizes, str)
        else tuple(int(n) for n in sizes)
    )
    estimator._training = None
    estimator._partial_seed = None
    estimator._starts = bool(estimator.linear_start) and (
        estimator._network() == "mlp" or conv_starts_linear(n_rows)
    )
    n_categories = head.n_raw if head.support == "category" else 2
    estimator._architecture = estimator._describe(hidden, n_categories)


def nats_of_scaling(estimator: Blueprint, data: _input.Rows) -> float:
    """Mean nats by which scaling, and logarithms of positive columns, lower the density of rows.

    Args:
        estimator: settled.
        data: (N, D) rows as they were given, NaN where an entry is missing.
    """
    log_scale = estimator.scaling_.scale.log()
    missing = np.isnan(data) if data.dtype.kind == "f" else np.zeros(1, bool)
    if missing.any():
        share = 1.0 - torch.from_numpy(missing.mean(0))
        nats = float((share * log_scale).sum())
    else:
        nats = float(log_scale.sum())
    if estimator.encoding_ is not None and len(data):
        nats -= float(np.nansum(estimator.encoding_.log_jacobian(data), axis=1).mean())
    return nats


def prepare(estimator: Blueprint, data: _input.Floats, train: Tensor) -> TensorBatches:
    """Fit the scaling on the training rows, scale all rows."""
    x = torch.from_numpy(data)
    known = x.nan_to_num(0) if bool(x.isnan().any()) else x
    head = estimator._likelihood(known.amax(0))
    head.check(x)
    some = x if len(train) == len(x) else x[train]
    scaling = Scaling.fit(some, *scaling_of(estimator, head))
    mean = mean_of(some) if scaling.kind == "none" else scaling.shift
    del some, known  # copies as large as the rows
    settle(estimator, head, scaling, len(x), mean)
    return TensorBatches(*estimator._scaled(data, torch.float32)).to(estimator._device)
