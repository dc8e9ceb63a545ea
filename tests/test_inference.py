"""Passes over many rows without gradients: the network of the scaled rows, computed otherwise."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from core_examples import perturbed, rows
from isthmus import Autoencoder, VariationalAutoencoder
from isthmus.errors import DataError
from isthmus.nets import inference
from isthmus.nets.activations import ACTIVATIONS
from isthmus.nets.inference import Inference, takes
from isthmus.nets.mlp import MLP

N, D, K = 1100, 6, 3
SHIFT = torch.tensor([0.0, 1.0, -5e4, 1e-3, 3e6, 7.0], dtype=torch.float64) + 1e-9
SCALE = torch.tensor([1.0, 0.3, 2.0, 1e-6, 1e3, 5e-2], dtype=torch.float64)
X = (rows(N, D) * SCALE + SHIFT).float()


def wanted(net: MLP, x: Tensor) -> Tensor:
    """The outputs in float64."""
    found: Tensor = copy.deepcopy(net).double()((x.double() - SHIFT) / SCALE)[:, :K].detach()
    return found


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("hidden", [(), (9,), (9, 4)], ids=len)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_results_are_those_of_the_network(
    activation: str, hidden: tuple[int, ...], linear_path: bool, boxed: bool
) -> None:
    net = MLP((D,), hidden, K + 2, activation, linear_path)
    perturbed(net).float()
    net.set_constants(gain=0.7)
    if boxed:
        net.set_constants(low=torch.full((D,), -1.0), high=torch.linspace(0.5, 2.0, D))
    before, expected = X.clone(), wanted(net, X)
    for dtype, tolerance in ((torch.float32, 2e-6), (torch.bfloat16, 1e-2)):
        found = Inference(net, K, SHIFT, SCALE, dtype)(X)
        assert found.dtype == torch.float32
        assert float((found - expected).norm() / expected.norm()) < tolerance
    assert torch.equal(X, before)


def test_unscaled_rows_are_taken_as_they_are() -> None:
    net = MLP((D,), (9,), K)
    perturbed(net).float()
    x = rows(N, D, dtype=torch.float32)
    before = x.clone()
    found = Inference(net, K, torch.zeros(D).double(), torch.ones(D).double(), torch.float32)(x)
    torch.testing.assert_close(found, net(x).detach())
    assert torch.equal(x, before)


def test_pieces_are_parts_of_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    net = MLP((D,), (9,), K)
    perturbed(net).float()
    known = Inference(net, K, SHIFT, SCALE, torch.float32)
    whole = known(X)
    monkeypatch.setattr(inference, "VALUES", 1)
    torch.testing.assert_close(known(X), whole)
    torch.testing.assert_close(torch.cat([known(x) for x in X[:5].split(1)]), whole[:5])


def test_scales_at_the_ends_of_float32_are_left_to_others() -> None:
    net = MLP((D,), (9,), K)
    assert takes(net, SCALE)
    assert not takes(net, torch.tensor([1.0, 1e-30]))
    assert not takes(net, torch.tensor([1.0, 1e30]))


def test_a_network_that_computes_something_else_is_not_taken() -> None:
    class Own(MLP):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.abs())

    assert not takes(Own((D,), (9,), K), SCALE)
    net = MLP((D,), (9,), K)
    net.dense[0].register_forward_hook(lambda module, given, found: 2 * found)
    assert not takes(net, SCALE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_codes_are_those_of_the_module_missing_entries_too(
    cls: type, precision: str, tmp_path: Path
) -> None:
    x = X.numpy()
    model = cls(K, max_epochs=2, precision=precision, random_state=0).fit(x)
    tolerance = 2e-6 if precision == "float32" else 1e-2
    holed = x.copy()
    holed[::7, 2] = np.nan
    holed[5] = np.nan
    for given in (x, holed):
        with torch.no_grad():
            expected = model.autoencoder_.encode(model.scaled(given)[0]).mean.numpy()
        found = model.transform(given)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
        np.save(tmp_path / "x.npy", given)
        for mode in ("r", "r+"):
            mapped = np.load(tmp_path / "x.npy", mmap_mode=mode)
            np.testing.assert_array_equal(model.transform(mapped), found)
        np.testing.assert_array_equal(model.transform(pd.DataFrame(given)), found)
        np.testing.assert_array_equal(model.transform(np.asfortranarray(given)), found)


def test_infinity_is_refused_by_its_place_and_large_sums_are_not() -> None:
    model = Autoencoder(K, max_epochs=2, random_state=0).fit(X.numpy())
    for value in (np.inf, -np.inf):
        bad = X.numpy().copy()
        bad[3, 1] = value
        with pytest.raises(DataError, match=r"^-?inf in row 4, column 'x1' of X must be finite"):
            model.transform(bad)
    large = X.numpy().copy()
    large[:3, 0] = 2e38  # their sum is infinite, they are not
    assert np.isfinite(model.transform(large)[3:]).all()
