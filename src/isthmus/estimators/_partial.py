"""``partial_fit``: one pass over more rows at a constant rate, weights and moments kept between."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from isthmus.core.linear_start import set_box
from isthmus.data.batches import TensorBatches
from isthmus.data.tables import fingerprint
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.engine.threads import largest_layer, suitable_threads
from isthmus.errors import DivergedError
from isthmus.estimators import _input, _parameters, _settling, _sources, _written
from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._fitted import CODES_KEPT
from isthmus.estimators._fitting import fit
from isthmus.estimators._material import Material, Selection
from isthmus.random import Seeds, fork


def one_pass(estimator: Blueprint, X: Any) -> None:
    """Train on the rows X once; see :meth:`isthmus.Autoencoder.partial_fit`.

    What it raises may leave attributes behind; the caller puts them back.

    Raises:
        DivergedError: the loss is no finite number; the weights are as they were.
    """
    first = not hasattr(estimator, "autoencoder_")
    data = _input.rows(
        estimator,
        _sources.held(X, None if first else estimator),
        reset=first,
        min_rows=2 if first else 1,
    )
    if not first:
        estimator.autoencoder_.likelihood.check(torch.from_numpy(data))
    if first:
        _written.remember(estimator, X)
        _parameters.check(estimator, data.shape[1])
        source = _settling.prepare(estimator, data, torch.arange(len(data)))
        seeds = estimator._seeds(estimator.random_state)
        plan, _ = estimator._plan(source.n_rows)
        nothing = Plan(steps=0, batch_size=plan.batch_size, averaging=0)
        result = fit(
            estimator._build,
            Material.of(source, Selection().parts(source.n_rows, seeds.order)),
            nothing,
            seeds,
            unit=estimator.scaling_.unit.to(estimator._device),
            start=estimator._starts,
        )
        estimator._fingerprint = fingerprint(data)
        estimator._keep(result, source.n_rows, source)
        estimator._partial_seed = seeds
    source = TensorBatches(*estimator._scaled(data, torch.float32)).to(estimator._device)
    training = _continue(estimator, source.n_rows)
    steps = math.ceil(source.n_rows / training.plan.batch_size)
    assert estimator._partial_seed is not None  # noqa: S101  (set by _continue)
    # another order at every call, so that the rows left over by whole batches change
    seeds = Seeds.derive(estimator._partial_seed.order + training.step_count)
    try:
        codes = _train(estimator, training, source, steps, seeds)
    finally:
        estimator.autoencoder_.cpu().eval()
    estimator._forget()
    estimator._unjudged()
    estimator.n_steps_ += steps
    known = codes[:0] if first else estimator._codes
    estimator._codes = torch.cat([known, codes])[-CODES_KEPT:]


def _train(
    estimator: Blueprint, training: Training, source: TensorBatches, steps: int, seeds: Seeds
) -> Tensor:
    """The steps of the pass, and codes (n, K) of its rows.

    What ends it early, Ctrl-C too, leaves no trace in the weights.
    """
    core = estimator.autoencoder_.to(estimator._device)
    work = (training.plan.batch_size, largest_layer(core.parameters()))
    with suitable_threads(*work), fork(seeds.noise):
        good, terms = training.state(), {}
        training.forget()
        try:
            set_box(core, source.x, widen=True)
            core.train()
            batches = source.shuffled(training.plan.batch_size, seeds.order)
            for _ in range(steps):
                terms = training.step(next(batches))
            # in float16 a step that cannot be taken leaves the weights as they are
            if not all(bool(t.isfinite().all()) for t in (*core.parameters(), *terms.values())):
                raise DivergedError(
                    f"the loss on these {source.n_rows} rows",
                    "grew without bound",
                    "Look for values of extreme size in X, or lower the learning_rate; "
                    "the model is as it was.",
                )
            core.cpu().eval()
            mask = None if source.mask is None else source.mask[:CODES_KEPT].cpu()
            return estimator._encode_scaled(source.x[:CODES_KEPT].cpu(), mask)
        except BaseException:
            training.restore(good)  # sets torch's generators, which ``fork`` puts back
            raise


def _continue(estimator: Blueprint, n_rows: int) -> Training:
    training = estimator._training
    if training is None:
        if estimator._partial_seed is None:
            estimator._partial_seed = estimator._seeds(estimator.random_state)
        plan, _ = estimator._plan(n_rows)
        constant = Plan(
            steps=0,
            batch_size=plan.batch_size,
            learning_rate=plan.learning_rate / 10,
            weight_decay=plan.weight_decay,
            optimizer=plan.optimizer,
            slow=plan.slow,
            slow_factor=plan.slow_factor,
            clip_norm=plan.clip_norm,
            averaging=0,
            precision=plan.precision,
            constant=True,
        )
        estimator.autoencoder_.to(estimator._device)
        training = Training(estimator.autoencoder_, constant)
        estimator._training = training
    return training
