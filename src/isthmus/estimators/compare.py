"""How many components: PCA and the autoencoder over a range of sizes, and one that is recommended.

The rule is that of :mod:`isthmus.evaluation.dimensions`, the fits are those of
:mod:`isthmus.estimators.sizes.sweep`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.errors import InvalidParameterError
from isthmus.estimators._base import Estimator
from isthmus.estimators._fitting import Listener
from isthmus.estimators.sizes.sweep import Sweep
from isthmus.evaluation.dimensions import standard_error
from isthmus.evaluation.versus_pca import MIXED_UNIT

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found; C sizes, all figures on held-out rows.

    Attributes:
        n_components: (C,) int64, rising.
        error, error_se: (C,) mean squared error of the autoencoder and its standard error, in
            squared units of the data, or squared standard deviations (``unit``).
        pca_error: (C,) of PCA on the same rows.
        log_likelihood, log_likelihood_se: (C,) evidence bound of the autoencoder, nats a row in the
            units of the data, higher is better.
        pca_log_likelihood: (C,) exact log-likelihood of probabilistic PCA; NaN where it cannot be
            compared: with missing entries, and for a likelihood that is no density of residuals.
        active_units: (C,) how many latents move with the rows; a mean over cross-validated models.
        recommended: number of components; the number of features where nothing compresses.
        reason: why, in a sentence.
        compresses: False where nothing compresses.
        intrinsic_dimension: two-NN within the linear dimensions, None where it cannot be told.
        linear_dimension: number of linear factors, 0 for independent features; None for a mixed
            table, whose one-hot columns have factors of their own.
        pca_mle: number chosen by Minka's criterion (``PCA(n_components="mle")``), None for fewer
            rows than features and for a mixed table.
        n_features, n_held_out: D, and the rows that were judged.
        unit: of the errors.
        unrolled: size whose model did better from an unrolled sheet than from PCA, if any did.
    """

    n_components: Array
    error: Array
    error_se: Array
    pca_error: Array
    log_likelihood: Array
    log_likelihood_se: Array
    pca_log_likelihood: Array
    active_units: Array
    recommended: int
    reason: str
    compresses: bool
    intrinsic_dimension: float | None
    linear_dimension: int | None
    pca_mle: int | None
    n_features: int
    n_held_out: int
    unit: str
    unrolled: int | None = None

    def table(self) -> list[dict[str, float]]:
        """One dict a size: n_components, error, pca_error, log_likelihood, … ."""
        columns = self.arrays()
        return [
            {
                name: int(values[i]) if name == "n_components" else float(values[i])
                for name, values in columns.items()
            }
            for i in range(len(self.n_components))
        ]

    def arrays(self) -> dict[str, Array]:
        """The arrays by name, each (C,)."""
        return {
            "n_components": self.n_components,
            "error": self.error,
            "error_se": self.error_se,
            "pca_error": self.pca_error,
            "log_likelihood": self.log_likelihood,
            "log_likelihood_se": self.log_likelihood_se,
            "pca_log_likelihood": self.pca_log_likelihood,
            "active_units": self.active_units,
        }

    def as_facts(self) -> dict[str, Any]:
        """What JSON can hold: the recommendation and what it rests on, without the arrays."""
        return {
            "recommended": self.recommended,
            "reason": self.reason,
            "compresses": self.compresses,
            "intrinsic": self.intrinsic_dimension,
            "linear": self.linear_dimension,
            "pca_mle": self.pca_mle,
            "n_features": self.n_features,
            "n_held_out": self.n_held_out,
            "unit": self.unit,
        }


def compare(
    X: Any,
    n_components: str | Sequence[int] = "auto",
    model: Estimator | None = None,
    random_state: Any = None,
    callback: Listener | None = None,
) -> Comparison:
    """Compare numbers of components and recommend one.

    Args:
        X: (N, D) rows as for ``fit``, N ≥ 10, D ≥ 2, mixed tables and missing entries included.
        n_components: sizes to compare, each 1 to D − 1; "auto" for all up to one above the linear
            dimension where they are few, else a ladder.
        model: an unfitted estimator whose likelihood, scaling, widths and training settings are
            used, by default a :class:`isthmus.VariationalAutoencoder`. The sweep is variational
            whatever it is, with β = 1 and without corruption: a likelihood is what sizes are
            compared by.
        random_state: seed or generator, by default the model's.
        callback: called before and after every size with a
            :class:`~isthmus.estimators.Progress` that has ``n_components`` as well.

    Returns:
        A :class:`Comparison`.

    Raises:
        ValueError: the data or a size break a rule, which the message names.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(
        ...     size=(200, 6)
        ... )
        >>> compare(X, [1, 2, 3], random_state=0).recommended
        2
    """
    if isinstance(n_components, str) and n_components != "auto":
        raise InvalidParameterError(
            f"n_components={n_components!r}", "must be 'auto' or a list of whole numbers"
        )
    sweep = Sweep(Estimator(beta=1.0) if model is None else model, X, random_state)
    sizes = sweep.sizes() if isinstance(n_components, str) else _sizes(n_components, sweep)
    found = sweep.run(sizes, callback)
    recommended, reason = sweep.recommend(sizes, found)
    d = math.nan if sweep.local is None else sweep.local.linear.value
    last = len(sweep.pca_log_likelihood) - 1
    pca = [sweep.pca_log_likelihood[min(k, last)].mean() + sweep.offset for k in sizes]
    unit = "squared data units"
    if sweep.mixed:
        unit = MIXED_UNIT
    elif sweep.model.scaling_.kind == "standard":
        unit = "squared standard deviations"
    bound = np.stack([size.bound for size in found])
    return Comparison(
        n_components=np.asarray(sizes, dtype=np.int64),
        error=np.array([size.squared_error.mean() for size in found]),
        error_se=np.array([standard_error(size.squared_error) for size in found]),
        pca_error=np.array([sweep.pca_error_of(k) for k in sizes]),
        log_likelihood=bound.mean(1) + sweep.offset,
        log_likelihood_se=np.array([standard_error(size.bound) for size in found]),
        pca_log_likelihood=np.array(pca if sweep.comparable else [math.nan] * len(sizes)),
        active_units=np.array([size.active for size in found]),
        recommended=recommended,
        reason=reason,
        compresses=recommended < sweep.n_features,
        intrinsic_dimension=d if math.isfinite(d) else None,
        linear_dimension=sweep.linear,
        pca_mle=None if sweep.mixed else _pca_mle(sweep.source.x),
        n_features=sweep.n_features,
        n_held_out=bound.shape[1],
        unit=unit,
        unrolled=sweep.unrolled,
    )


def _sizes(given: Sequence[int], sweep: Sweep) -> list[int]:
    sizes = list(given)
    whole = all(isinstance(k, Integral) and not isinstance(k, bool) for k in sizes)
    if not sizes or not whole or not all(1 <= k < sweep.n_features for k in sizes):
        raise InvalidParameterError(
            f"n_components={list(given)!r}",
            f"must be whole numbers from 1 to {sweep.n_features - 1}, one less than the number of "
            "features of X",
        )
    return sorted({int(k) for k in sizes})


def _pca_mle(x: torch.Tensor) -> int | None:
    from sklearn.decomposition import PCA

    n, n_features = x.shape
    if n <= n_features:
        return None
    try:
        return int(PCA(n_components="mle").fit(x.cpu().double().numpy()).n_components_)
    except ValueError:  # a spectrum with zeros has no such likelihood
        return None
