"""What a fitted autoencoder computes: codes, reconstructions, scores, samples."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.distributions import Distribution

from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.corruption import corruption
from isthmus.core.jacobian import squared_jacobian
from isthmus.core.joint import Joint
from isthmus.core.trace import sum_features
from isthmus.data import handed
from isthmus.data.columns import frames
from isthmus.data.columns.encoding import Encoded, Encoding
from isthmus.data.rows.scaling import Scaling
from isthmus.engine.loop import Training
from isthmus.engine.products import half_products
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.estimators import _input, _samples, _sources, _written
from isthmus.estimators._checks import whole
from isthmus.estimators._expectations import deviates
from isthmus.estimators._settings import Settings
from isthmus.evaluation.record import HeldOut
from isthmus.nets.inference import MANY, Inference, takes
from isthmus.random import Seeds, fork

Array = NDArray[Any]
_CHUNK = 8192
# Values of a piece that is mapped: what is computed of it stays in the processor's cache.
_VALUES = 1 << 20
CODES_KEPT = 5000


class _Derived:
    """What is computed from the fitted weights when it is first needed."""

    double: Core | None = None
    mixture: GaussianMixture | None = None


class Fitted(TransformerMixin, BaseEstimator, Settings):
    """Methods of a fitted :class:`Estimator`; see :class:`isthmus.Autoencoder`.

    Apart from the estimator's parameters, so that its attributes are no parameters. A transformer
    itself, because scikit-learn's ``set_output`` wraps methods only where they are defined.
    """

    n_components_: int
    n_features_in_: int
    # of one sample: (C, H, W), (C, T) or None for plain rows; and as it was given, None for flat
    sample_shape_: tuple[int, ...] | None = None
    input_shape_: tuple[int, ...] | None = None
    scaling_: Scaling
    encoding_: Encoding | None = None
    likelihood_: str
    autoencoder_: Core
    held_out_: HeldOut | None
    pca_curve_: Array | None
    _fingerprint: str
    written_ = property(_written.known)  # how the columns of the fit were, where they were text
    _fill: Tensor
    _starts: bool  # whether the networks have a linear path that training starts from
    _codes: Tensor
    _derived: _Derived
    # what partial_fit goes on with
    _training: Training | None = None
    _partial_seed: Seeds | None = None
    _architecture: dict[str, Any]
    _device: torch.device
    # rows and codes of the machine that saved the model
    _probed: tuple[Tensor, Tensor] | None = None

    @_sources.by_blocks
    def transform(self, X: Any) -> Array:
        """Codes E[z|x], (N, K), in the floating type of X; deterministic, row by row.

        A missing entry is seen as its feature's mean. float64 rows are computed in float64, float32
        rows in float32, or with products in bfloat16 or float16 (relative error 3e-3, 4e-4) where
        that ``precision`` was asked for.
        """
        data, module = self._ready(X)

        def code(x: Tensor, mask: Tensor) -> Tensor:
            return module.encode(x, mask).mean

        net, scaling = module.encoder.net, self.scaling_
        dtype = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        plain = data.dtype != np.float32 or self.precision == "float16"
        plain |= len(data) < MANY and dtype == torch.float32
        if plain or not takes(net, scaling.scale):
            return self._map(data, code)
        known = Inference(net, self.n_components_, scaling.shift, scaling.scale, dtype)
        codes = known(torch.from_numpy(data)).numpy()
        # infinity has been refused; a missing entry makes its row's codes NaN, whatever the weights
        holed = np.isnan(codes).any(1)
        if holed.any():
            codes[holed] = self._map(data[holed], code)
        return codes

    def inverse_transform(self, Z: Any) -> Any:
        """Decode codes (N, K) to E[x|z], (N, D), in the units of the data.

        Of a mixed table: a table like that of the fit, with its types and the most probable
        categories.
        """
        check_is_fitted(self)
        codes = _input.writable(handed.codes(Z))
        if codes.shape[1] != self.n_components_:
            raise InvalidParameterError(
                f"Z with {codes.shape[1]} columns",
                f"must have {self.n_components_}, the number of components",
            )
        module = self._module(codes.dtype)
        parts = [self._decode(module, z) for z in torch.split(torch.from_numpy(codes), _CHUNK)]
        return self._given_back(torch.cat(parts).numpy().astype(codes.dtype), None)

    @_sources.by_blocks
    def reconstruct(self, X: Any) -> Any:
        """E[x|z] at z = E[z|x], (N, D), in the units of the data; missing entries are imputed.

        Of a mixed table: a table of the same form and types, with the most probable categories.
        """
        data, module = self._ready(X)
        return self._given_back(self._reconstructed(data, module), X)

    def _reconstructed(self, data: _input.Floats, module: Core) -> Array:
        return self._map(data, lambda x, mask: self._decode(module, module.encode(x, mask).mean))

    @_sources.by_blocks
    def impute(self, X: Any) -> Any:
        """X with its missing entries, and those alone, taken from :meth:`reconstruct`.

        Returns:
            An array (N, D) for numbers, a table of the form and types of X for a mixed one.
        """
        data, module = self._ready(X)
        found = self._reconstructed(data, module)
        filled = np.where(np.isnan(data), found, data)
        if self.encoding_ is None or isinstance(X, Encoded):
            return _samples.like(self, filled, X)
        flavour = frames.flavour(X)
        if flavour == "array":
            return self.encoding_.decode(filled, flavour)
        return _input.like(self.encoding_.fill(X, found, flavour), X)

    @_sources.by_blocks
    def squared_errors(self, X: Any, clean: Any = None) -> Array:
        """Squared error of each row's reconstruction, (N,), over the entries that are there.

        In the squared units of ``Scaling.unit``, of the features that PCA is compared by: of
        numbers the numbers; of a mixed table the columns in standard deviations, and the
        probabilities of categories against one-hot columns (:mod:`isthmus.core.joint`).

        Args:
            X: (N, D) rows that are encoded.
            clean: (N, D) rows to judge by; X itself where None.
        """
        data, module = self._ready(X)
        wanted = data if clean is None else self._ready(clean)[0]
        head = module.likelihood
        unit = self.scaling_.unit
        errors = []
        for start in range(0, len(data), _CHUNK):
            part = slice(start, start + _CHUNK)
            x, mask = self._scaled(data[part], unit.dtype)
            target, there = self._scaled(wanted[part], unit.dtype)
            with torch.no_grad():
                core = self._module(np.dtype(np.float64))
                p = core.decode(core.encode(x, mask).mean)
                residual = core.likelihood.expected_features(p) - core.likelihood.features(target)
            weight = None if there is None else head.by_feature(there).double()
            errors.append(sum_features((residual * head.by_feature(unit)).square(), 1, weight))
        return torch.cat(errors).numpy()

    @_sources.by_blocks
    def score_samples(self, X: Any) -> Array:
        """Evidence bound of each row, (N,), nats in the units of the data, higher is better.

        E_q[log p(x|z)] − KL(q ‖ p), over the entries that are there; log p(x|E[z|x]) where the
        encoder is deterministic. Weights and penalties of the training loss do not enter.
        Expectations use 16 fixed deviates, the same for every row.
        """
        data, module = self._ready(X)
        noise = deviates(module)
        jacobian = self.scaling_.log_jacobian

        def evidence(x: Tensor, mask: Tensor) -> Tensor:
            bound = module.evidence(module.trace(x, mask, noise=noise.to(x), corrupt=False))
            return bound.double() + (mask * jacobian).sum(1)

        nats = self._map(data, evidence, rows=max(256, _CHUNK // len(noise)))
        if self.encoding_ is not None:
            nats = nats + np.nansum(self.encoding_.log_jacobian(data), axis=1)
        return nats

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`: nats per row, higher is better."""
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def sample(self, n_samples: int = 1, *, noise: bool = False, random_state: Any = None) -> Any:
        """New rows, (n_samples, D), in the units of the data; of a mixed table a table like it.

        Codes come from the prior of a variational autoencoder, otherwise from a Gaussian
        mixture fitted on the codes of training rows (Ghosh et al. 2020, *From Variational to
        Deterministic Autoencoders*, section 4).

        Args:
            n_samples: at least 1.
            noise: whether rows are drawn from p(x|z); by default they are its means.
            random_state: seed or generator of the draw.
        """
        check_is_fitted(self)
        whole("n_samples", n_samples, 1)
        rng = _input.random_state_of(random_state)
        module = self._module(np.dtype(np.float32))
        with fork(int(rng.randint(2**31 - 1))), torch.no_grad():
            if module.prior is not None:
                z = module.prior().sample((n_samples,))
            else:
                mixture = self._fit_mixture()
                mixture.random_state = rng
                z = torch.from_numpy(rng.permutation(mixture.sample(n_samples)[0])).float()
            p = module.decode(z)
            x = self.scaling_.invert(p.sample()) if noise else self._mean(module, p)
        return self._given_back(x.numpy(), None)

    def corrupt(
        self,
        X: Any,
        noise: str | None = None,
        noise_level: float | None = None,
        *,
        random_state: Any = None,
    ) -> Any:
        """X as a corruption leaves it, (N, D), in the units of the data; masked entries of a mixed
        table are missing.

        Args:
            X: (N, D) rows, or samples as in the fit.
            noise: name of the corruption, by default the model's own, or else "gaussian".
            noise_level: its level, by default the model's own for its own corruption, else the
                kind's default.
            random_state: seed or generator of the draw.
        """
        check_is_fitted(self)
        X = _sources.held(X, self)
        data, _ = self._ready(X)
        own = self._architecture["noise"]
        mixed = self.encoding_ is not None
        kind = noise or own or ("masking" if mixed else "gaussian")
        if noise_level is None and kind == own:
            noise_level = self.noise_level
        head = self.autoencoder_.likelihood
        given = corruption(
            kind,
            noise_level,
            (self.n_features_in_,),
            masked=math.nan if mixed else 0.0,
            where=head.continuous if isinstance(head, Joint) else None,
        )
        x, mask = self._scaled(data, torch.float64)
        if kind == own:  # what it learned, it learned from training rows
            given.load_state_dict(self.autoencoder_.corruption.state_dict())
        else:
            given.prepare(x)
        with fork(int(_input.random_state_of(random_state).randint(2**31 - 1))):
            noisy = self.scaling_.invert(given(x).x_tilde)
        if mask is not None:
            noisy[~mask] = torch.nan
        return self._given_back(noisy.numpy().astype(data.dtype), X)

    @_sources.by_blocks
    def jacobian_norm(self, X: Any) -> Array:
        """‖∂E[z|x]/∂x‖_F of each row, (N,), units of code per unit of the scaled data; exact."""
        data, module = self._ready(X)
        if module.likelihood.support in ("category", "mixed"):
            raise CombinationError(
                f"jacobian_norm with likelihood={self._architecture['likelihood']!r}",
                "is not defined: a category has no derivative",
            )

        def norm(x: Tensor, _: Tensor) -> Tensor:
            encoder = module.encoder
            return squared_jacobian(
                encoder.net, x, self.n_components_, encoder.n_outputs, "exact"
            ).sqrt()

        return self._map(data, norm, rows=512)

    def scaled(self, X: Any) -> tuple[Tensor, Tensor | None]:
        """Rows as the module sees them: (N, D) float32, scaled, a missing entry at its stand-in.

        The second is (N, D) bool, where entries are there, or None for everywhere.
        """
        check_is_fitted(self)
        data, _ = self._ready(_sources.held(X, self))
        x, there = self._scaled(data, torch.float32)
        given = torch.from_numpy(data)
        return (x.clone() if x.data_ptr() == given.data_ptr() else x), there

    def _scaled(self, data: _input.Rows, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        x = torch.from_numpy(data)
        # one pass tells whether the others are needed: a sum with a missing entry is none
        holed = bool(x.sum().isnan())
        there = ~x.isnan() if holed else None
        x = self.scaling_.apply(x, dtype)
        if there is None or bool(there.all()):
            return x, None
        return torch.where(there, x, self._fill.to(dtype)), there

    def _ready(self, X: Any) -> tuple[_input.Floats, Core]:
        check_is_fitted(self)
        data = _input.rows(self, X, reset=False)
        self.autoencoder_.likelihood.check(torch.from_numpy(data))
        return data, self._module(data.dtype)

    def _module(self, dtype: np.dtype[Any]) -> Core:
        """The autoencoder in the precision of the rows."""
        if dtype == np.float32:
            return self.autoencoder_
        if self._derived.double is None:
            self._derived.double = copy.deepcopy(self.autoencoder_).double()
        return self._derived.double

    def _encode_scaled(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        parts = torch.split(x, _CHUNK)
        masks = [None] * len(parts) if mask is None else torch.split(mask, _CHUNK)
        encode = self.autoencoder_.encode
        with torch.no_grad():
            return torch.cat([encode(x, m).mean for x, m in zip(parts, masks, strict=True)])

    def _decode(self, module: Core, z: Tensor) -> Tensor:
        with torch.no_grad():
            return self._mean(module, module.decode(z))

    def _mean(self, module: Core, p: Distribution) -> Tensor:
        """E[x|z] unscaled; of positive columns its logarithm, log E[x|z]."""
        head = module.likelihood
        found = self.scaling_.invert(head.expectation(p))
        if isinstance(head, Joint):
            found = found + 0.5 * head.log_variance() * self.scaling_.scale.square()
        return found

    @torch.no_grad()
    def _map(
        self,
        data: _input.Floats,
        function: Callable[[Tensor, Tensor], Tensor],
        rows: int | None = None,
    ) -> Array:
        dtype = torch.float32 if data.dtype == np.float32 else torch.float64
        rows = rows or max(256, min(_CHUNK, _VALUES // max(1, data.shape[1])))
        precision = self.precision if dtype == torch.float32 else "float32"

        def parts() -> Iterator[Tensor]:
            for start in range(0, len(data), rows):
                x, mask = self._scaled(data[start : start + rows], dtype)
                there = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
                with half_products("cpu", precision):
                    yield function(x, there)

        return torch.cat(list(parts())).numpy().astype(data.dtype)

    def _given_back(self, values: Array, X: Any) -> Any:
        """Rows (N, D) in the form of X, or of the rows of the fit where X is None."""
        if self.encoding_ is not None:
            return _input.restored(self.encoding_, values, X)
        if X is None:
            return _samples.shaped(values, self.sample_shape_, self.input_shape_)
        return _samples.like(self, values, X)

    def _fit_mixture(self) -> GaussianMixture:
        """Ten Gaussians, fewer for few codes, with full covariance."""
        if self._derived.mixture is None:
            n, k = self._codes.shape
            n_clusters = max(1, min(10, n // (5 * (k + 1))))
            spread = float(self._codes.var(correction=0)) or 1.0
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._derived.mixture = GaussianMixture(
                    n_clusters, reg_covar=1e-4 * spread, random_state=0
                ).fit(self._codes.double().numpy())
        return self._derived.mixture

    def _forget(self) -> None:
        """Drop what was derived from the weights."""
        self._derived = _Derived()
