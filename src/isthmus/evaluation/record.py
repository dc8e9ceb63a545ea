"""What is said of a fitted model: held-out figures of its fit, metrics, and their collection."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder
from isthmus.data.columns.encoding import Encoding
from isthmus.data.rows.scaling import Scaling
from isthmus.data.text.agreeing import Written

Array = NDArray[Any]


class Model(Protocol):
    """What is asked of a fitted estimator here: all shapes (N, D) of rows, (N, K) of codes."""

    beta: float | None
    likelihood_: str
    encoding_: Encoding | None
    n_components_: int
    n_features_in_: int
    sample_shape_: tuple[int, ...] | None
    scaling_: Scaling
    autoencoder_: Autoencoder
    history_: list[dict[str, float]]
    stayed_linear_: bool
    held_out_: HeldOut | None
    pca_curve_: Array | None

    @property
    def written_(self) -> Written: ...

    def scaled(self, X: Any) -> tuple[Tensor, Tensor | None]: ...
    def transform(self, X: Any) -> Array: ...
    def inverse_transform(self, Z: Any) -> Array: ...
    def reconstruct(self, X: Any) -> Array: ...
    def score_samples(self, X: Any) -> Array: ...
    def jacobian_norm(self, X: Any) -> Array: ...
    def corrupt(
        self,
        X: Any,
        noise: str | None = None,
        noise_level: float | None = None,
        *,
        random_state: Any = None,
    ) -> Array: ...
    def sample(
        self, n_samples: int = 1, *, noise: bool = False, random_state: Any = None
    ) -> Array: ...


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Figures of the rows that were held out of a fit, by the state that it kept.

    Above 1,000 rows a random part; for fewer, where the number of steps is cross-validated, every
    row once, judged by the one of the autoencoders that did not see it. These rows chose the
    state, so that their figures flatter it a little.

    Attributes:
        rows: (n,) int64, positions in the rows given to ``fit``.
        loss, start_loss: (n,) loss at the kept state and at the start, nats of scaled data.
        squared_error, pca_squared_error: (n,) of the model and of PCA with as many components
            from the same (corrupted) rows, in squared units of ``Scaling.unit``.
    """

    rows: Array
    loss: Array
    start_loss: Array
    squared_error: Array
    pca_squared_error: Array


@dataclass(frozen=True)
class Metric:
    """One figure with what is needed to read it.

    Attributes:
        name: a slug.
        value: finite.
        unit: "" for a pure number.
        low, high: the range it can lie in.
        better: which direction is good.
        source: definition, with author and year.
        text: one plain line on what it says.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    better: Literal["higher", "lower", "neither"]
    source: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON: an infinite end of the range is None.

        >>> Metric("mse", 1.0, "", 0.0, math.inf, "lower", "", "").as_dict()["high"]
        """
        facts = dataclasses.asdict(self)
        for end in ("low", "high"):
            facts[end] = facts[end] if math.isfinite(facts[end]) else None
        return facts


@dataclass(frozen=True)
class Evaluation:
    """Facts (what JSON can hold) and arrays by name; both end up beside the model in its run."""

    facts: dict[str, Any]
    arrays: dict[str, Array]
