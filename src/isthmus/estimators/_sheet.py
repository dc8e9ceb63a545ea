"""A second start for a fit whose rows lie on a curved sheet: unrolled, as the comparison had it.

From PCA, descent tears such a sheet and stays there. So where the comparison of sizes found that an
unrolled start does better (:func:`isthmus.estimators.sizes.warm_start.unroll`), the fit is repeated
from one: the same rows held out, the same schedule, each autoencoder unrolled from its own training
rows alone. It is kept if its held-out loss is lower by more than one standard error, paired over
rows.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus import presets
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.linear_start import linear_start
from isthmus.data.batches import TensorBatches
from isthmus.engine.plan import Plan
from isthmus.estimators import _input, _parameters, _settling
from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._fitting import Fit, Listener, Progress, fit
from isthmus.estimators._material import Material, Part, Selection
from isthmus.estimators.sizes.warm_start import SHEET_RATE, SHEET_STEPS, take_mean, unroll
from isthmus.random import Seeds, fork

# A variational autoencoder with no other slot filled: what is unrolled.
_PLAIN = {
    "noise": None,
    "noise_level": None,
    "emphasis": 1.0,
    "contraction": 0.0,
    "sparsity": 0.0,
    "beta": 1.0,
    "kl_warmup": 0.0,
    "free_bits": 0.0,
    "n_draws": 1,
    "objective": "evidence",
}


def retry(estimator: Blueprint, X: Any, callback: Listener | None) -> None:
    """Fit again from unrolled sheets, and keep it if it is better.

    Args:
        estimator: fitted to X, with held-out rows and linear paths; changed in place.
        X: the rows of its fit, none missing.
        callback: called after every round.
    """
    before = estimator.held_out_
    if before is None or not estimator.linear_start or estimator.interrupted_:
        return
    began = time.perf_counter()
    data = _input.rows(estimator, X, reset=False)
    source = TensorBatches(*estimator._scaled(data, torch.float32)).to(estimator._device)
    plan, selection = estimator._plan(len(data))
    if estimator.learning_rate == "auto":
        plan = dataclasses.replace(plan, learning_rate=SHEET_RATE)
    parts = _parts(before.rows, selection, len(data))

    def nats(places: Tensor | None) -> float:
        return _settling.nats_of_scaling(
            estimator, data if places is None else data[places.numpy()]
        )

    # those of the first fit, or others where it drew them from a generator
    known = isinstance(estimator.random_state, int)
    seeds = estimator._seeds(estimator.random_state if known else int(before.rows[0]))
    history = estimator.history_
    done, steps = history[-1]["seconds"], int(history[-1]["step"])
    passes = history[-1]["epoch"]
    listener = estimator._listeners(callback)

    def tell(progress: Progress) -> None:
        if listener is not None:
            listener(
                dataclasses.replace(
                    progress,
                    step=progress.step + steps,
                    steps=progress.steps + steps,
                    seconds=progress.seconds + done,
                )
            )

    try:
        starts = _starts(estimator, source, parts, plan, seeds)
        done += time.perf_counter() - began
        result = fit(
            lambda: next(starts),
            Material.of(source, parts, nats),
            plan,
            seeds,
            unit=estimator.scaling_.unit.to(estimator._device),
            start=False,
            jitter=_parameters.jitter(estimator, source.n_rows, False),
            listener=tell,
        )
    except KeyboardInterrupt:
        estimator.interrupted_ = True
        return
    if not _better(result, before.loss):
        estimator.interrupted_ = result.interrupted
        return
    assert result.held_out is not None  # noqa: S101  (_better)
    for row in result.history:
        row["step"] += steps
        row["epoch"] += passes
        row["seconds"] += done
    result.best_step += steps
    result.history = [*history, *result.history]
    result.held_out = dataclasses.replace(result.held_out, start_loss=before.start_loss)
    estimator._keep(result, source.n_rows, source)


def _better(result: Fit, loss: Any) -> bool:
    """Whether the held-out loss is lower than this by more than one standard error."""
    if result.held_out is None or result.diverged:
        return False
    gain = loss - result.held_out.loss
    return bool(gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)))


def _parts(rows: Any, selection: Selection, n_rows: int) -> list[Part]:
    """The parts of the fit that held out these rows, part after part."""
    everything = torch.arange(n_rows)
    held_out = list(torch.from_numpy(np.asarray(rows)).tensor_split(max(1, selection.n_folds)))
    parts: list[Part] = []
    for part in held_out:
        there = torch.ones(n_rows, dtype=torch.bool)
        there[part] = False
        parts.append((everything[there], part))
    return [*parts, (everything, None)] if selection.n_folds > 1 else parts


def _starts(
    estimator: Blueprint, source: TensorBatches, parts: list[Part], plan: Plan, seeds: Seeds
) -> Iterator[Core]:
    """One autoencoder for each part, unrolled from its rows, and one more for the result."""
    lesson = dataclasses.replace(
        plan,
        steps=SHEET_STEPS,
        evaluate_every=SHEET_STEPS,
        weight_decay=0.0,
        compile=False,
        patience=None,
    )
    made = []
    for train, _ in parts:
        x = source.x[train]
        with fork(seeds.initialisation):
            sheet = presets.build(**{**estimator._architecture, **_PLAIN}).float().to(x.device)
            module = estimator._build()
        linear_start(sheet, x)
        linear_start(module, x)
        unroll(sheet, x, lesson, seeds)
        take_mean(sheet, module)
        made.append(module)
    return iter([*made, estimator._build()])
