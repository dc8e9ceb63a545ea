"""The scikit-learn face of one autoencoder: parameters, fit, and what the fitted model computes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.data.source import Source
from isthmus.data.tables import fingerprint
from isthmus.engine.plan import Plan
from isthmus.estimators import (
    _input,
    _parameters,
    _partial,
    _samples,
    _settling,
    _sources,
    _streaming,
)
from isthmus.estimators._atomic import unchanged_on_error
from isthmus.estimators._blueprint import Blueprint
from isthmus.estimators._fitting import Listener, fit
from isthmus.estimators._material import Material, shares_memory
from isthmus.estimators._persistence import as_json, save
from isthmus.estimators._resume import keeper
from isthmus.random import Seeds
from isthmus.runs import directory

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class Estimator(Blueprint, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Parameters and methods that the four autoencoders share; see :class:`Autoencoder`."""

    # A fit whose number of components is chosen from the rows; the models have it, which are above.
    _choose: ClassVar[Callable[..., None]]

    def fit(
        self,
        X: Any,
        y: Any = None,
        callback: Listener | None = None,
        *,
        checkpoint: str | Path | None = None,
        resume_from: str | Path | None = None,
    ) -> Self:
        """Learn scaling, code and decoder from rows.

        Args:
            X: (N, D) array, DataFrame, torch tensor or sparse matrix, N ≥ 2; or images (N, H, W),
                (N, C, H, W), (N, H, W, C), or series (N, C, T); or a source of
                :func:`isthmus.open_data`, which is read piece by piece where it is large. NaN is a
                missing entry: it is left out of the loss. A DataFrame, an Arrow or a polars table
                may have columns of text, Booleans, categories and dates.
            y: ignored, for pipelines.
            callback: called after every round of steps with a
                :class:`~isthmus.estimators.Progress`.
            checkpoint: a folder in which the state of the training is kept, so that
                ``resume_from`` can go on after a crash. Between the first and the last, writes
                take at most 2% of the time.
            resume_from: such a folder: the fit with the same parameters and rows goes on where it
                stopped, and ends with the very weights of one that never stopped.

        Returns:
            The estimator itself.

        Raises:
            ValueError: the data or a parameter break a rule, which the message names.
            RunError: the checkpoint is missing, damaged, in use, or of another fit.
            DivergedError: the loss is not finite before the first step.

        Ctrl-C ends training and keeps the best state so far (``interrupted_`` is then True).
        """
        with unchanged_on_error(self):
            self._fit(X, callback, checkpoint, resume_from)
        return self

    def _fit(
        self,
        X: Any,
        callback: Listener | None,
        checkpoint: str | Path | None,
        resume_from: str | Path | None,
    ) -> None:
        given = _sources.given(self, X, min_rows=2)
        _parameters.check(self, self.n_features_in_)
        if _parameters.is_chosen(self.n_components):
            self._choose(X, callback, checkpoint, resume_from)
            return
        if self.verbose and self.sample_shape_ is not None:
            told = f"{_samples.words(self.sample_shape_)}; network={self._network()!r}"
            print(f"[{type(self).__name__}] {told}")
        with keeper(checkpoint, resume_from, self._key()) as kept:
            known = None if kept is None else kept.seeds
            seeds = known or self._seeds(self.random_state)
            material, plan = self._material(given, seeds)
            if kept is not None:
                kept.confirm(self._fingerprint)
            result = fit(
                self._build,
                material,
                plan,
                seeds,
                unit=self.scaling_.unit.to(self._device),
                start=self._starts,
                jitter=_parameters.jitter(self, material.n_rows, self._starts),
                listener=self._listeners(callback),
                keeper=kept,
            )
        self._keep(result, material.n_rows, material.whole.rows)
        if result.interrupted:
            warnings.warn("Training was interrupted; the best state so far is kept.", stacklevel=3)
        if result.diverged:
            warnings.warn(
                f"The loss is no finite number after step {result.history[-1]['step']}; the state "
                f"of step {self.n_steps_} is kept. Try a lower learning_rate.",
                stacklevel=3,
            )

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One pass over these rows at a constant learning rate.

        The first call on an unfitted estimator fixes scaling and the linear start from its
        rows; later calls, also after :meth:`fit` or :func:`load`, keep them.

        Args:
            X: (N, D) rows, N ≥ 2 at the first call.
            y: ignored.

        Returns:
            The estimator itself.

        Raises:
            DivergedError: the loss on these rows grows without bound; the model is as it was.
        """
        with unchanged_on_error(self):
            _partial.one_pass(self, X)
        return self

    def save(
        self, path: str | Path, *, force: bool = False, provenance: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the fitted model to a run directory: JSON and safetensors, no pickle.

        Args:
            path: the folder; it must not exist unless ``force`` is given.
            force: whether a run that is there is replaced.
            provenance: what JSON can hold of where the rows are from: ``origin``, as ``evaluate``
                and ``report`` read it again; ``drop``, ``text``, ``na_values``, ``encoding``,
                ``layout``, ``max_skipped``, ``command``; ``read_shape``, of images that are flat
                rows.

        Raises:
            RunError: the folder exists, or cannot be written; nothing is changed then.
        """
        check_is_fitted(self)
        return save(self, path, force=force, provenance=provenance or {})

    def _material(self, given: _input.Floats | Source, seeds: Seeds) -> tuple[Material, Plan]:
        """What the fit is made of, and its plan; scaling and sizes are settled on the way."""
        self._device = _parameters.device(self.device)  # the plan asks for it before all is settled
        if not isinstance(given, np.ndarray):
            return _streaming.material(self, given, seeds)
        self._fingerprint = fingerprint(given)
        plan, selection = self._plan(len(given))
        parts = selection.parts(len(given), seeds.order)
        rows = _settling.prepare(self, given, parts[-1][0])

        def nats(places: Tensor | None) -> float:
            return _settling.nats_of_scaling(
                self, given if places is None else given[places.numpy()]
            )

        # with scaling "none" they may be the caller's
        own = not shares_memory(rows.x, given)
        return Material.of(rows, parts, nats, own), plan

    def _key(self) -> dict[str, Any]:
        """What a fit must share with the one whose checkpoint it goes on from."""
        parameters = {
            name: as_json(value)
            for name, value in self.get_params(deep=False).items()
            if name != "verbose"
        }
        key = {"model": type(self).__name__, **parameters}
        plain: dict[str, Any] = json.loads(json.dumps({**key, **directory.versions()}))
        return plain

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")
