"""Material of rows that are many: surveyed in one pass, scaled batch by batch.

Rows of an array stay where they are and are drawn at random; those of another source are read again
for every epoch, ahead of the training, and shuffled through a pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from isthmus.core.likelihoods import Likelihood
from isthmus.core.pca import Spectrum, spectrum_of
from isthmus.data.arrays import Arrays
from isthmus.data.batches import Batch, Batches, RawBatches, TensorBatches
from isthmus.data.scaling import Scaling, rounding_of
from isthmus.data.source import Source, n_rows
from isthmus.data.stream import StreamBatches
from isthmus.data.survey import Survey, survey
from isthmus.engine.plan import Plan
from isthmus.estimators import _input
from isthmus.estimators._material import Material, Start
from isthmus.estimators._parameters import MOST_CATEGORIES
from isthmus.random import Seeds

if TYPE_CHECKING:
    from isthmus.estimators._base import Estimator


def material(estimator: Estimator, source: Source, seeds: Seeds) -> tuple[Material, Plan]:
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
    head = estimator._likelihood(torch.from_numpy(found.high))
    _settle(estimator, head, found)

    def ready(rows: _input.Rows) -> Batch:
        x, mask = estimator._scaled(_input.writable(rows), torch.float32)
        batch = (x,) if mask is None and found.complete else (x, _whole(x, mask))
        return tuple(t.to(estimator._device) for t in batch)

    sample = TensorBatches(*ready(found.sample))
    start = Start(sample, _spectrum(estimator, found), _box(estimator, found))
    held_out = [TensorBatches(*ready(found.held_out))] if n_held_out else []
    made = Material(
        starts=[start],
        whole=start,
        batches=_batches(source, ready, found),
        held_out=held_out,
        places=torch.from_numpy(found.held_out_rows),
        n_rows=n,
    )
    return made, plan


def _settle(estimator: Estimator, head: Likelihood, found: Survey) -> None:
    mean, deviation = torch.from_numpy(found.mean), torch.from_numpy(found.variance).sqrt()
    kind, only = estimator._scaling_of(head)
    scaling = Scaling.of(mean, deviation, rounding_of(mean, found.rounding), kind, only)
    estimator._fingerprint = found.fingerprint
    estimator._settle(head, scaling, found.n_rows)
    if not found.complete:
        estimator._set_fill(head, mean)
    there = None if found.complete else torch.from_numpy(found.there / found.n_train)
    estimator._set_offset(there, _input.writable(found.sample))


def _batches(source: Source, ready: Callable[[_input.Rows], Batch], found: Survey) -> Batches:
    resident = source.resident if isinstance(source, Arrays) else None
    if resident is not None:
        rows = torch.from_numpy(_input.writable(resident.reshape(len(resident), -1)))
        chosen = None
        if len(found.held_out_rows):
            keep = np.ones(found.n_rows, bool)
            keep[found.held_out_rows] = False
            chosen = torch.from_numpy(np.flatnonzero(keep))
        return RawBatches(rows, lambda x: ready(x.numpy()), chosen)
    return StreamBatches(source, ready, found.held_out_rows)


def _spectrum(estimator: Estimator, found: Survey) -> Spectrum | None:
    """Principal axes of the scaled training rows, missing entries at the mean."""
    if found.covariance is None:
        return None
    scale, shift = estimator.scaling_.scale, estimator.scaling_.shift
    covariance = torch.from_numpy(found.covariance) / torch.outer(scale, scale)
    mean = (torch.from_numpy(found.mean) - shift) / scale
    s = spectrum_of(mean, covariance, min(found.n_train - 1, len(mean)))
    mean, axes, values = (t.to(estimator._device) for t in (s.mean, s.axes, s.eigenvalues))
    return Spectrum(mean, axes, values, s.total_variance)


def _box(estimator: Estimator, found: Survey) -> tuple[Tensor, Tensor]:
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
