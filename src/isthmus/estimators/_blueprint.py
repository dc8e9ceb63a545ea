"""From settings, and what is known of the rows, to a network; and from a training to attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from isthmus import presets
from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.joint import Joint
from isthmus.core.likelihoods import Likelihood, likelihood
from isthmus.data.batches import TensorBatches
from isthmus.engine.plan import Plan
from isthmus.errors import DataError
from isthmus.estimators import _input, _parameters
from isthmus.estimators._defaults import Recipe, conv_recipe, recipe
from isthmus.estimators._fitted import CODES_KEPT, Fitted
from isthmus.estimators._fitting import Fit, Listener, Progress
from isthmus.estimators._material import Selection
from isthmus.random import Seeds


class Blueprint(Fitted):
    """What is decided before a training and kept after it."""

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
