"""Small data and modules that the tests of the core share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import likelihood
from isthmus.presets import build
from isthmus.random import fork

N_CATEGORIES = 3


def rows(
    n: int, d: int, seed: int = 0, *, last: float = 0.3, dtype: torch.dtype = torch.float64
) -> Tensor:
    """(n, d) correlated Gaussian rows, standard deviations from 2 down to ``last``, mean not 0."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    x = rng.standard_normal((n, d)) * np.geomspace(2.0, last, d) @ rotation + rng.standard_normal(d)
    return torch.tensor(x, dtype=dtype)


def supported(
    name: str, n: int, shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """(n, *shape) values in the support of the likelihood of that name."""
    rng = np.random.default_rng(seed)
    support = likelihood(name, shape, N_CATEGORIES).support
    if name == "bernoulli":
        x = rng.integers(0, 2, (n, *shape))
    elif support == "unit":
        x = rng.uniform(size=(n, *shape))
    elif support == "category":
        x = rng.integers(0, N_CATEGORIES, (n, *shape))
    elif support == "count":
        x = rng.poisson(3.0, (n, *shape))
    else:
        x = rng.standard_normal((n, *shape)) * 1.5 + 0.5
    return torch.tensor(x, dtype=dtype)


def perturbed(model: nn.Module, scale: float = 0.3, seed: int = 0) -> nn.Module:
    """The same module in float64, all parameters moved, so that no gradient is 0 by design."""
    model.double()
    with fork(seed), torch.no_grad():
        for name, parameter in model.named_parameters():
            # a head's scale is ten times its parameter
            size = 0.1 * scale if name.endswith("theta") else scale
            parameter.add_(size * torch.randn_like(parameter))
    return model


def small(shape: tuple[int, ...] = (4,), k: int = 2, **options: object) -> Autoencoder:
    """A float64 autoencoder of the presets with moved parameters."""
    with fork(1):
        model = build(shape, k, (5,), n_categories=N_CATEGORIES, **options)  # type: ignore[arg-type]
    perturbed(model)
    return model


def total(terms: dict[str, Tensor]) -> Tensor:
    """The loss, (N,)."""
    return torch.stack(list(terms.values())).sum(0)


def digits() -> Tensor:
    """(1797, 64) float64, divided by 16; three of its columns are constant."""
    return torch.tensor(load_digits().data / 16.0)


def mnist(n: int) -> Tensor:
    """The first n test images of MNIST, (n, 784) float64 in [0, 1]; skips without them."""
    folder = os.environ.get("ISTHMUS_DATA")
    if not folder:
        pytest.skip("ISTHMUS_DATA is not set: the folder with mnist.npz")
    path = Path(folder) / "mnist.npz"
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    with np.load(path) as arrays:
        return torch.tensor(arrays["x_test"][:n].reshape(n, -1) / 255.0)
