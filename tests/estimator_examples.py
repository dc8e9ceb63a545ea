"""Small tables and fitted estimators that the tests of the estimators share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from isthmus.core.likelihoods import LIKELIHOODS, likelihood

CLASSES = (Autoencoder, DenoisingAutoencoder, ContractiveAutoencoder, VariationalAutoencoder)
BY_NAME = {cls.__name__: cls for cls in CLASSES}
# Trained to the end, so that the networks are not those of the linear start.
SMALL: dict[str, Any] = {
    "max_epochs": 3,
    "batch_size": 32,
    "hidden_layer_sizes": (8,),
    "early_stopping": False,
    "random_state": 0,
}
N, D = 120, 6


def curved(n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    """(n, d) float64 rows around a curved surface, deviations from 0.6 to 3, means not 0."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, (n, 2))
    bent = np.tanh(t @ rng.normal(size=(2, d)) * 2) + np.square(t @ rng.normal(size=(2, d)))
    scales = np.geomspace(1.0, 4.0, d)
    return (bent + 0.05 * rng.normal(size=(n, d))) * scales + rng.normal(size=d)


def supported(name: str, n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    """(n, d) float64 values in the support of the likelihood of that name."""
    support = likelihood(name, (d,), 3).support
    rng = np.random.default_rng(seed)
    x = curved(n, d, seed)
    x = (x - x.min(0)) / np.ptp(x, axis=0)
    if name == "bernoulli":
        return (rng.uniform(size=x.shape) < x).astype(float)
    if support == "unit":
        return x
    if support == "category":
        return np.floor(2.999 * x)
    return rng.poisson(5 * x).astype(float) if support == "count" else curved(n, d, seed)


def options(cls: type, name: str = "gaussian") -> dict[str, Any] | None:
    """Parameters with which that class takes that likelihood; None where it is refused."""
    extra: dict[str, Any] = {"likelihood": name}
    if name == "categorical" and cls is ContractiveAutoencoder:
        return None
    if cls is DenoisingAutoencoder and likelihood(name, (D,), 3).support != "real":
        extra |= {"noise": "swap", "noise_level": 0.25}
    return SMALL | extra


COMBINATIONS = [
    (cls, name) for cls in CLASSES for name in LIKELIHOODS if options(cls, name) is not None
]


@cache
def fitted(cls: type, name: str = "gaussian") -> Any:
    """The class fitted with that likelihood on suitable rows; not to be changed by a test."""
    return cls(2, **options(cls, name)).fit(supported(name))


def with_holes(x: np.ndarray, share: float = 0.2, seed: int = 0) -> np.ndarray:
    """The same rows with that share of entries missing."""
    holes = np.random.default_rng(seed).uniform(size=x.shape) < share
    return np.where(holes, np.nan, x)


def same_bits(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
