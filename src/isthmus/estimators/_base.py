"""The scikit-learn face of one autoencoder: parameters, fit, and what the fitted model computes."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from isthmus import presets
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.joint import Joint
from isthmus.core.likelihoods import Likelihood, likelihood
from isthmus.data.batches import TensorBatches
from isthmus.data.rows.scaling import Scaling, mean_of
from isthmus.data.source import Source
from isthmus.data.tables import fingerprint
from isthmus.engine.plan import Plan
from isthmus.errors import DataError
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
from isthmus.estimators._defaults import Recipe, conv_recipe, recipe
from isthmus.estimators._fitted import CODES_KEPT, Fitted
from isthmus.estimators._fitting import Fit, Listener, Progress, fit
from isthmus.estimators._material import Material, Selection, shares_memory
from isthmus.estimators._persistence import as_json, save
from isthmus.estimators._resume import keeper
from isthmus.random import Seeds
from isthmus.runs import directory

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class Estimator(Fitted, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Parameters and methods that the four autoencoders share; see :class:`Autoencoder`."""

    n_components: int | float | str = 2
    _: KW_ONLY
    network: str = "auto"
    sample_shape: Sequence[int] | None = None
    hidden_layer_sizes: str | Sequence[int] = "auto"
    activation: str = "silu"
    likelihood: str = "auto"
    kinds: Mapping[str, str] | None = None
    handle_unknown: str = "missing"
    scaling: str = "auto"
    linear_start: bool = True
    noise: str | None = None
    noise_level: float | None = None
    emphasis: float = 1.0
    contraction: float = 0.0
    contraction_method: str = "auto"
    sparsity: float = 0.0
    beta: float | None = None
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    objective: str = "evidence"
    n_draws: int = 1
    jitter: str | float = "auto"
    max_epochs: str | int = "auto"
    batch_size: str | int = "auto"
    learning_rate: str | float = "auto"
    weight_decay: float = 0.3
    optimizer: str = "adamw"
    early_stopping: str | bool = "auto"
    validation_fraction: float = 0.1
    patience: str | int | None = "auto"
    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: str | bool = "auto"
    random_state: Any = None
    verbose: int = 0

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
            from isthmus.estimators import _choice  # it fits estimators itself

            _choice.fit(self, X, callback, checkpoint, resume_from)
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
                and ``report`` read it again; ``drop``, ``text``, ``na_values``, ``layout``,
                ``max_skipped``, ``command``; ``read_shape``, of images that are flat rows.

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
        rows = self._prepare(given, parts[-1][0])

        def nats(places: Tensor | None) -> float:
            return _settling.nats_of_scaling(
                self, given if places is None else given[places.numpy()]
            )

        # with scaling "none" they may be the caller's
        own = not shares_memory(rows.x, given)
        return Material.of(rows, parts, nats, own), plan

    def _prepare(self, data: _input.Floats, train: Tensor) -> TensorBatches:
        """Fit the scaling on the training rows, scale all rows."""
        x = torch.from_numpy(data)
        known = x.nan_to_num(0) if bool(x.isnan().any()) else x
        low, high = torch.aminmax(known, dim=0)
        _settling.refuse_huge(self, torch.maximum(high, -low))
        head = self._likelihood(high)
        head.check(x)
        some = x if len(train) == len(x) else x[train]
        scaling = Scaling.fit(some, *_settling.scaling_of(self, head))
        mean = mean_of(some) if scaling.kind == "none" else scaling.shift
        del some, known  # copies as large as the rows
        _settling.settle(self, head, scaling, len(x), mean)
        return TensorBatches(*self._scaled(data, torch.float32)).to(self._device)

    def _likelihood_name(self) -> str:
        """What "auto" comes to for these rows."""
        if getattr(self, "encoding_", None) is not None:
            return "joint"
        return "gaussian" if self.likelihood == "auto" else self.likelihood

    def _columns(self) -> list[list[Any]] | None:
        """For each column of a mixed table: kind, number of categories, may it be missing."""
        encoding = getattr(self, "encoding_", None)
        if encoding is None:
            return None
        hides = _parameters.noise(self) == "masking"
        return [[c.kind, len(c.categories), c.holes or hides] for c in encoding.columns]

    def _likelihood(self, highest: Tensor) -> Likelihood:
        """The head, for features whose highest values, (D,), matter where they are categories."""
        n_categories, name = 2, self._likelihood_name()
        if name == "joint":
            return Joint([(kind, n) for kind, n, _ in self._columns() or ()])
        if name == "categorical":
            n_categories = max(2, int(highest.max()) + 1)
            most = _parameters.MOST_CATEGORIES
            if n_categories > most:
                raise DataError(
                    f"column {int(highest.argmax())} of X with the category {n_categories - 1}",
                    f"has more than {most} categories, 0 to {most - 1}",
                    "Number the categories from 0, or use another likelihood.",
                )
        return likelihood(name, (self.n_features_in_,), n_categories)

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

    def _plan(self, n_rows: int) -> tuple[Plan, Selection]:
        auto = self._recipe(n_rows, _parameters.n_components(self))
        return _parameters.plan(self, auto, n_rows)

    def _network(self) -> str:
        """Which network: "mlp" or "conv"."""
        return _parameters.network(self, self.sample_shape_)

    def _recipe(self, n_rows: int, n_components: int) -> Recipe:
        plain = recipe(n_rows, self.n_features_in_, n_components, self._device)
        if self._network() != "conv":
            return plain
        series = len(self.sample_shape_ or ()) == 2
        return conv_recipe(plain, n_rows, series=series, device=self._device)

    def _describe(self, hidden: Sequence[int], n_categories: int) -> dict[str, Any]:
        """Arguments of :func:`isthmus.presets.build`, networks of the user's own apart."""
        return {
            "feature_shape": [self.n_features_in_],
            "n_components": self.n_components_,
            "network": self._network(),
            "sample_shape": None if self.sample_shape_ is None else list(self.sample_shape_),
            "hidden_layer_sizes": list(hidden),
            "activation": self.activation,
            "likelihood": self._likelihood_name(),
            "n_categories": n_categories,
            "columns": self._columns(),
            "linear_path": self._starts,
            "noise": _parameters.noise(self),
            "noise_level": self.noise_level,
            "emphasis": self.emphasis,
            "contraction": self.contraction,
            "contraction_method": self.contraction_method,
            "sparsity": self.sparsity,
            "beta": self.beta,
            "kl_warmup": self.kl_warmup,
            "free_bits": self.free_bits,
            "n_draws": self.n_draws,
            "objective": self.objective,
        }

    def _build(self) -> Core:
        core = presets.build(
            **self._architecture,
            encoder=_parameters.to_train(self.encoder),
            decoder=_parameters.to_train(self.decoder),
        ).float()  # whatever torch's default type is
        _parameters.check_networks(core, self.n_features_in_)
        return core.to(self._device)

    def _keep(self, result: Fit, n_rows: int, some: TensorBatches) -> None:
        """Take over what was trained on N rows, of which ``some`` are all or a sample."""
        self.autoencoder_ = result.autoencoder.cpu().eval()
        self.n_samples_ = n_rows
        self.history_ = result.history
        self.n_steps_ = result.best_step
        rows = [row for row in result.history if row["step"] == result.best_step]
        self.n_epochs_ = rows[0]["epoch"] if rows else 0.0
        self.validation_ = rows[0]["validation"] if rows else math.nan
        self.squared_error_ = rows[0]["squared_error"] if rows else math.nan
        self.pca_squared_error_ = rows[0]["pca_squared_error"] if rows else math.nan
        self.interrupted_ = result.interrupted
        self.diverged_ = result.diverged
        self.stayed_linear_ = result.stayed_linear
        self.held_out_ = result.held_out
        self.pca_curve_ = None if result.pca_curve is None else result.pca_curve.numpy()
        self._forget()
        kept = torch.randperm(some.n_rows, generator=torch.Generator().manual_seed(0))
        kept = kept[:CODES_KEPT].sort().values
        mask = None if some.mask is None else some.mask.cpu()[kept]
        self._codes = self._encode_scaled(some.x.cpu()[kept], mask)

    def _unjudged(self) -> None:
        """The weights have changed: what held-out rows said of the old ones is dropped."""
        self.validation_ = self.squared_error_ = self.pca_squared_error_ = math.nan
        self.stayed_linear_ = False
        self.held_out_ = self.pca_curve_ = None

    def _listeners(self, callback: Listener | None) -> Listener | None:
        if not self.verbose:
            return callback

        def tell(progress: Progress) -> None:
            print(_parameters.line(type(self).__name__, progress))
            if callback is not None:
                callback(progress)

        return tell

    def _seeds(self, random_state: Any) -> Seeds:
        return Seeds.derive(int(_input.random_state_of(random_state).randint(2**31 - 1)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")
