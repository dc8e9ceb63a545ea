"""The scikit-learn face of one autoencoder: parameters, fit, and what the fitted model computes."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from isthmus import presets
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.likelihoods import Likelihood, likelihood
from isthmus.core.linear_start import set_box
from isthmus.data.scaling import Scaling
from isthmus.data.source import TensorSource
from isthmus.data.tables import fingerprint
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.engine.threads import suitable_threads
from isthmus.errors import DataError
from isthmus.estimators import _input, _parameters
from isthmus.estimators._defaults import recipe
from isthmus.estimators._fitted import Fitted
from isthmus.estimators._fitting import Fit, Listener, Progress, Selection, fit
from isthmus.random import Seeds, fork

Array = NDArray[Any]
_CODES_KEPT = 5000
MOST_CATEGORIES = 1000


@dataclass(eq=False, repr=False)
class Estimator(Fitted, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Parameters and methods that the four autoencoders share; see :class:`Autoencoder`."""

    n_components: int = 2
    _: KW_ONLY
    hidden_layer_sizes: str | Sequence[int] = "auto"
    activation: str = "silu"
    likelihood: str = "gaussian"
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

    def fit(self, X: Any, y: Any = None, callback: Listener | None = None) -> Self:
        """Learn scaling, code and decoder from rows.

        Args:
            X: (N, D) array, DataFrame, torch tensor or sparse matrix, N ≥ 2. NaN is a missing
                entry: it is left out of the loss.
            y: ignored, for pipelines.
            callback: called after every round of steps with a
                :class:`~isthmus.estimators.Progress`.

        Returns:
            The estimator itself.

        Raises:
            ValueError: the data or a parameter break a rule, which the message names.
            DivergedError: the loss is not finite before the first step.

        Ctrl-C ends training and keeps the best state so far (``interrupted_`` is then True).
        """
        with self._unchanged_on_error():
            self._fit(X, callback)
        return self

    def _fit(self, X: Any, callback: Listener | None) -> None:
        data = _input.rows(self, X, reset=True, min_rows=2)
        _parameters.check(self, data.shape[1])
        self._fingerprint = fingerprint(data)
        seeds = self._seeds(self.random_state)
        plan, selection = self._plan(len(data))
        parts = selection.parts(len(data), seeds.order)
        source = self._prepare(data, parts[-1][0])
        result = fit(
            self._build,
            source,
            plan,
            seeds,
            parts=parts,
            unit=self.scaling_.unit.to(self._device),
            offset=self._offset(source),
            start=self.linear_start,
            jitter=_parameters.jitter(self, source.n_rows),
            listener=self._listeners(callback),
        )
        self._keep(result, source)
        if result.interrupted:
            warnings.warn("Training was interrupted; the best state so far is kept.", stacklevel=3)
        if result.diverged:
            warnings.warn(
                f"The loss is no finite number after step {result.history[-1]['step']}; the state "
                f"of step {self.n_steps_} is kept. Try a lower learning_rate.",
                stacklevel=3,
            )

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Nothing is lost: a fit that fails leaves the estimator as it was."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One pass over these rows at a constant learning rate.

        The first call on an unfitted estimator fixes scaling and the linear start from its
        rows; later calls, also after :meth:`fit` or :func:`load`, keep them.

        Args:
            X: (N, D) rows, N ≥ 2 at the first call.
            y: ignored.

        Returns:
            The estimator itself.
        """
        first = not hasattr(self, "autoencoder_")
        data = _input.rows(self, X, reset=first, min_rows=2 if first else 1)
        if not first:
            self.autoencoder_.likelihood.check(torch.from_numpy(data))
        if first:
            _parameters.check(self, data.shape[1])
            source = self._prepare(data, torch.arange(len(data)))
            seeds = self._seeds(self.random_state)
            plan, _ = self._plan(source.n_rows)
            nothing = Plan(steps=0, batch_size=plan.batch_size, averaging=0)
            result = fit(
                self._build,
                source,
                nothing,
                seeds,
                parts=Selection().parts(source.n_rows, seeds.order),
                unit=self.scaling_.unit.to(self._device),
                start=self.linear_start,
            )
            self._fingerprint = fingerprint(data)
            self._keep(result, source)
            self._partial_seed = seeds
        source = TensorSource(*self._scaled(data, torch.float32)).to(self._device)
        training = self._continue(source.n_rows)
        steps = math.ceil(source.n_rows / training.plan.batch_size)
        assert self._partial_seed is not None  # noqa: S101  (set by _continue)
        # another order at every call, so that the rows left over by whole batches change
        seeds = Seeds.derive(self._partial_seed.order + training.step_count)
        self.autoencoder_.to(self._device)
        set_box(self.autoencoder_, source.x, widen=True)
        work = (training.plan.batch_size, max(p.numel() for p in self.autoencoder_.parameters()))
        try:
            with suitable_threads(*work), fork(seeds.noise):
                self.autoencoder_.train()
                batches = source.shuffled(training.plan.batch_size, seeds.order)
                for _ in range(steps):
                    training.step(next(batches))
                    self.n_steps_ += 1
        finally:
            self.autoencoder_.cpu().eval()
            self._forget()
            self._unjudged()
        codes = self._encode_scaled(source.x[:_CODES_KEPT].cpu())
        known = codes[:0] if first else self._codes
        self._codes = torch.cat([known, codes])[-_CODES_KEPT:]
        return self

    def save(
        self, path: str | Path, *, force: bool = False, provenance: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the fitted model to a run directory: JSON and safetensors, no pickle.

        Args:
            path: the folder; it must not exist unless ``force`` is given.
            force: whether a run that is there is replaced.
            provenance: what JSON can hold of where the rows are from: ``origin``, as ``evaluate``
                and ``report`` can read it again, ``drop`` and ``command``.

        Raises:
            RunError: the folder exists, or cannot be written; nothing is changed then.
        """
        from isthmus.estimators._persistence import save

        check_is_fitted(self)
        return save(self, path, force=force, provenance=provenance or {})

    def _continue(self, n_rows: int) -> Training:
        training = self._training
        if training is None:
            if self._partial_seed is None:
                self._partial_seed = self._seeds(self.random_state)
            plan, _ = self._plan(n_rows)
            constant = Plan(
                steps=0,
                batch_size=plan.batch_size,
                learning_rate=plan.learning_rate / 10,
                weight_decay=plan.weight_decay,
                slow=plan.slow,
                slow_factor=plan.slow_factor,
                clip_norm=plan.clip_norm,
                averaging=0,
                precision=plan.precision,
                constant=True,
            )
            self.autoencoder_.to(self._device)
            training = Training(self.autoencoder_, constant)
            self._training = training
        return training

    def _prepare(self, data: _input.Floats, train: Tensor) -> TensorSource:
        """Fit the scaling on the training rows, scale all rows."""
        x = torch.from_numpy(data)
        head = self._likelihood(x)
        head.check(x)
        self._device = _parameters.device(self.device)
        kind = _parameters.scaling(self.scaling, head, self.likelihood)
        self.scaling_ = Scaling.fit(x if len(train) == len(x) else x[train], kind)
        self._fill = torch.zeros(x.shape[1], dtype=torch.float64)
        if head.support != "real" and bool(x.isnan().any()):
            mean = x.double().nanmean(0)
            self._fill = mean if head.support == "unit" else mean.round()
        self.n_components_ = int(self.n_components)
        self._n_features_out = self.n_components_
        sizes = self.hidden_layer_sizes
        hidden = (
            recipe(len(x), x.shape[1], self.n_components_).hidden_layer_sizes
            if isinstance(sizes, str)
            else tuple(int(n) for n in sizes)
        )
        self._training = None
        self._partial_seed = None
        self._architecture = self._describe(hidden, head.n_raw if head.support == "category" else 2)
        return TensorSource(*self._scaled(data, torch.float32)).to(self._device)

    def _likelihood(self, x: Tensor) -> Likelihood:
        n_categories = 2
        if self.likelihood == "categorical":
            highest = x.nan_to_num(0).amax(0)
            n_categories = max(2, int(highest.max()) + 1)
            if n_categories > MOST_CATEGORIES:
                raise DataError(
                    f"column {int(highest.argmax())} of X with the category {n_categories - 1}",
                    f"has more than {MOST_CATEGORIES} categories, 0 to {MOST_CATEGORIES - 1}",
                    "Number the categories from 0, or use another likelihood.",
                )
        return likelihood(self.likelihood, (x.shape[1],), n_categories)

    def _plan(self, n_rows: int) -> tuple[Plan, Selection]:
        auto = recipe(n_rows, self.n_features_in_, int(self.n_components))
        return _parameters.plan(self, auto, n_rows)

    def _describe(self, hidden: Sequence[int], n_categories: int) -> dict[str, Any]:
        """Arguments of :func:`isthmus.presets.build`, networks of the user's own apart."""
        return {
            "feature_shape": [self.n_features_in_],
            "n_components": self.n_components_,
            "hidden_layer_sizes": list(hidden),
            "activation": self.activation,
            "likelihood": self.likelihood,
            "n_categories": n_categories,
            "linear_path": bool(self.linear_start),
            "noise": self.noise,
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
            encoder=copy.deepcopy(self.encoder),
            decoder=copy.deepcopy(self.decoder),
        ).float()  # whatever torch's default type is
        _parameters.check_networks(core, self.n_features_in_)
        return core.to(self._device)

    def _keep(self, result: Fit, source: TensorSource) -> None:
        self.autoencoder_ = result.autoencoder.cpu().eval()
        self.n_samples_ = source.n_rows
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
        kept = torch.randperm(source.n_rows, generator=torch.Generator().manual_seed(0))[
            :_CODES_KEPT
        ]
        x = source.x.cpu()[kept.sort().values]
        self._codes = self._encode_scaled(x)

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
        return Seeds.derive(int(check_random_state(random_state).randint(2**31 - 1)))

    def _offset(self, source: TensorSource) -> float:
        """Mean nats per row by which scaling lowers the density."""
        log_scale = self.scaling_.scale.log()
        if source.mask is None:
            return float(log_scale.sum())
        return float((source.mask.cpu().double().mean(0) * log_scale).sum())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")
