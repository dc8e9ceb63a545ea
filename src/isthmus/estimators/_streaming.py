"""Material of rows that are many: surveyed in one pass, scaled batch by batch.

Rows of an array stay where they are and are drawn at random; those of another source are read again
for every epoch, ahead of the training, and shuffled through a pool.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from isthmus.core.likelihoods import Likelihood
from isthmus.core.pca import Spectrum, spectrum_of
from isthmus.data.arrays.source import Arrays
from isthmus.data.batches import Batch, Batches, RawBatches, TensorBatches
from isthmus.data.rows.scaling import Scaling, rounding_of
from isthmus.data.rows.stream import StreamBatches
from isthmus.data.rows.survey import Survey, principal_axes, survey
from isthmus.data.source import Source, n_rows
from isthmus.engine.plan import Plan
from isthmus.estimators import _input
from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._material import Material, Start
from isthmus.estimators._parameters import MOST_CATEGORIES
from isthmus.estimators._settling import nats_of_scaling, scaling_of, settle
from isthmus.random import Seeds


def material(estimator: Blueprint, source: Source, seeds: Seeds) -> tuple[Material, Plan]:
    """Survey the source, settle the estimator's scaling and sizes.

    Raises:
        DataError: the rows cannot be read, or lie outside the likelihood's support.
    """
    n = n_rows(source)
    plan, selection = estimator._plan(n)
    n_held_out = selection.n_held_out or (n // selection.n_folds if selection.n_folds else 0)
    probe = estimator._likelihood(torch.tensor([MOST_CATEGORIES - 1.0]))
    found = survey(
        source,
        n_held_out,
        seeds.order,
        check=None if probe.support == "real" else lambda rows: probe.check(_tensor(rows)),
    )
    held_out = found.held_out.astype(np.float64)
    highest = np.fmax(found.high, np.fmax.reduce(held_out, axis=0, initial=-np.inf))
    _settle(estimator, estimator._likelihood(torch.from_numpy(highest)), found)

    complete = found.complete

    def ready(rows: _input.Rows) -> Batch:
        x, mask = estimator._scaled(_input.writable(rows), torch.float32)
        batch = (x,) if mask is None and complete else (x, _whole(x, mask))
        return tuple(t.to(estimator._device) for t in batch)

    sample = TensorBatches(*ready(found.sample))
    start = Start(sample, _spectrum(estimator, source, found), _box(estimator, found))
    made = Material(
        starts=[start],
        whole=start,
        batches=_batches(source, ready, found),
        held_out=[TensorBatches(*ready(found.held_out))] if n_held_out else [],
        places=torch.from_numpy(found.held_out_rows),
        n_rows=n,
        nats=_nats(estimator, found),
        held_out_nats=nats_of_scaling(estimator, found.held_out),
    )
    return made, plan


def _settle(estimator: Blueprint, head: Likelihood, found: Survey) -> None:
    mean, deviation = torch.from_numpy(found.mean), torch.from_numpy(found.variance).sqrt()
    kind, only = scaling_of(estimator, head)
    scaling = Scaling.of(mean, deviation, rounding_of(mean, found.rounding), kind, only)
    estimator._fingerprint = found.fingerprint
    settle(estimator, head, scaling, found.n_rows, mean)


def _nats(estimator: Blueprint, found: Survey) -> float:
    """Exact for the scaling, of a sample for the logarithms of positive columns."""
    log_scale = estimator.scaling_.scale.log().numpy()
    exact = float((found.there / found.n_train * log_scale).sum())
    if estimator.encoding_ is None:
        return exact
    return exact - float(np.nansum(estimator.encoding_.log_jacobian(found.sample), axis=1).mean())


def _batches(source: Source, ready: Callable[[_input.Rows], Batch], found: Survey) -> Batches:
    resident = source.resident if isinstance(source, Arrays) else None
    if resident is None:
        return StreamBatches(source, ready, found.held_out_rows)
    return RawBatches(resident.reshape(len(resident), -1), ready, np.sort(found.held_out_rows))


def _spectrum(estimator: Blueprint, source: Source, found: Survey) -> Spectrum | None:
    """Principal axes of the scaled training rows, missing entries at the mean.

    All of them where there is a covariance; else, by more passes, as many as there are components.
    None where the encoder does not see the rows as they are.
    """
    if estimator.encoding_ is not None:
        return None
    scale, shift = estimator.scaling_.scale, estimator.scaling_.shift
    mean = (torch.from_numpy(found.mean) - shift) / scale
    if found.covariance is not None:
        covariance = torch.from_numpy(found.covariance) / torch.outer(scale, scale)
        s = spectrum_of(mean, covariance, max(1, min(found.n_train - 1, len(mean))))
    else:
        total = float((found.there / found.n_train * found.variance / scale.numpy() ** 2).sum())
        axes, values = principal_axes(source, found, scale.numpy(), estimator.n_components_)
        s = Spectrum(mean, torch.from_numpy(axes), torch.from_numpy(values), total)
    mean, axes_, values_ = (t.to(estimator._device) for t in (s.mean, s.axes, s.eigenvalues))
    return Spectrum(mean, axes_, values_, s.total_variance)


def _box(estimator: Blueprint, found: Survey) -> tuple[Tensor, Tensor]:
    low, high = (
        (torch.from_numpy(each.astype(np.float64)) - estimator.scaling_.shift)
        / estimator.scaling_.scale
        for each in (found.low, found.high)
    )
    return low.float().to(estimator._device), high.float().to(estimator._device)


def _tensor(rows: _input.Rows) -> Tensor:
    return torch.from_numpy(_input.writable(rows))


def _whole(x: Tensor, mask: Tensor | None) -> Tensor:
    return torch.ones_like(x, dtype=torch.bool) if mask is None else mask
