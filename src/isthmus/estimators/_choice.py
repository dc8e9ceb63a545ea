"""Fits that choose ``n_components`` from the rows: "auto", or a share of variance.

Either ends with an ordinary fit of a whole number, whose results the estimator takes over.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from isthmus import presets
from isthmus.core import pca
from isthmus.data.rows import taking
from isthmus.data.source import Source
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.estimators import _input, _settling, _sheet, _sources
from isthmus.estimators._base import Estimator
from isthmus.estimators._fitting import Listener
from isthmus.estimators._validation import features_of, filled
from isthmus.estimators.compare import compare

Array = NDArray[Any]
# Rows of a source that does not fit into memory by which "auto" chooses.
MOST_COMPARED = 20_000


def choose(
    estimator: Estimator,
    X: Any,
    callback: Listener | None,
    checkpoint: str | Path | None,
    resume_from: str | Path | None,
) -> None:
    """Fit with the number of components that the parameter asks for.

    Raises:
        InvalidParameterError: the share of variance cannot be reached.
        CombinationError: it needs held-out rows and there are none, or it is to be resumed.
    """
    streamed = isinstance(X, Source) and not _sources.fits(X)
    if isinstance(X, Source) and not streamed:
        X = taking.whole(X)
    if isinstance(estimator.n_components, str):
        few = taking.sample(X, MOST_COMPARED) if streamed else X
        k, unrolled = _recommended(estimator, few, callback)
        winner = _with(estimator, k, estimator.random_state)
        winner.fit(X, callback=callback, checkpoint=checkpoint, resume_from=resume_from)
        if unrolled and not streamed:
            _sheet.retry(winner, X, callback)
    elif streamed:
        raise CombinationError(
            f"n_components={estimator.n_components!r} with rows that are read from {X.origin}",
            "would read all of them for several fits",
            "Give a whole number, or 'auto', which chooses by a sample.",
        )
    else:
        if resume_from is not None:  # a checkpoint is of one fit, so that none is written here
            raise CombinationError(
                f"resume_from with n_components={estimator.n_components!r}",
                "has nothing to go on from: a share of variance takes several fits",
                "Give a whole number, or 'auto'.",
            )
        winner = _by_share(estimator, X, callback)
    parameters = estimator.get_params(deep=False)
    fitted = {name: value for name, value in vars(winner).items() if name not in parameters}
    estimator.__dict__.update(fitted)


def _with(estimator: Estimator, k: int, random_state: Any) -> Estimator:
    given = estimator.get_params(deep=False)
    return type(estimator)(**{**given, "n_components": k, "random_state": random_state})


def _recommended(estimator: Estimator, X: Any, callback: Listener | None) -> tuple[int, bool]:
    """The number, and whether the comparison's model of that size began at an unrolled sheet."""
    found = compare(X, model=estimator, random_state=estimator.random_state, callback=callback)
    most = found.n_features - 1
    if not found.compresses:
        warnings.warn(
            f"{found.reason} n_components={most} is the most that leaves a bottleneck.",
            stacklevel=5,
        )
    k = min(found.recommended, most)
    if estimator.verbose:
        print(f"[{type(estimator).__name__}] n_components={k}: {found.reason}")
    return k, found.unrolled == k


def _by_share(estimator: Estimator, X: Any, callback: Listener | None) -> Estimator:
    """The fit of the smallest K whose share of the held-out variance is as asked.

    PCA's number is a bound from above, up to its own spread over held-out rows; below it by
    bisection, the share taken to rise with K.
    """
    share = float(estimator.n_components)
    if estimator.early_stopping is False:
        raise CombinationError(
            f"n_components={share:g} with early_stopping=False",
            "is not possible: the share is that of held-out rows, and there are none",
            "Leave early_stopping at 'auto', or give a whole number.",
        )
    state = estimator.random_state
    if not isinstance(state, int):  # every fit must hold out the same rows
        state = int(check_random_state(state).randint(2**31 - 1))
    most = estimator.n_features_in_ - 1
    data = _input.rows(estimator, X, reset=False, min_rows=2)
    fits: dict[int, Estimator] = {}

    def reached(k: int) -> float:
        if k not in fits:
            fits[k] = _with(estimator, k, state).fit(X, callback=callback)
        return _share(fits[k], data)

    if most < 1:
        reached(1)  # says that there is nothing to compress
    high = min(max(1, _of_pca(estimator, data, share)), most)
    low = 0
    while reached(high) < share:
        if high == most:
            raise InvalidParameterError(
                f"n_components={share:g}",
                f"cannot be reached: {most} of {most + 1} components explain "
                f"{_share(fits[most], data):.4g} of the variance of held-out rows",
                "Ask for a smaller share.",
            )
        low, high = high, min(most, math.ceil(1.25 * high + 1))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= share else (middle, high)
    return fits[high]


def _share(fitted: Estimator, data: Array) -> float:
    """1 − squared error / variance, of the held-out rows."""
    assert fitted.held_out_ is not None  # noqa: S101  (early stopping holds rows out)
    head, scaling = fitted.autoencoder_.likelihood, fitted.scaling_
    scaled = scaling.apply(torch.from_numpy(data[fitted.held_out_.rows]), torch.float64)
    rows = (head.features(scaled) * head.by_feature(scaling.unit)).numpy()
    total = float(np.nansum(np.square(rows - np.nanmean(rows, axis=0)), axis=1).mean())
    return 1.0 - fitted.squared_error_ / total if total > 0 else 1.0


def _of_pca(estimator: Estimator, data: Array, share: float) -> int:
    """PCA's number of components for that share of the variance of all rows."""
    scratch = _with(estimator, 1, None)
    scratch.n_features_in_ = estimator.n_features_in_
    rows = _settling.prepare(scratch, data, torch.arange(len(data)))
    module = presets.build(**scratch._architecture).float().to(rows.x.device)
    module.prepare(rows.x, rows.mask)
    seen = features_of(module, rows.x, rows.mask)
    unit = module.likelihood.by_feature(scratch.scaling_.unit.to(seen))
    x = filled(seen, seen.nanmean(0).nan_to_num(0.0)) * unit
    s = pca.spectrum(x, x.shape[1])
    explained = s.eigenvalues.cumsum(0) / max(s.total_variance, 1e-300)
    return int((explained < share).sum()) + 1
