"""Convolutional networks: shapes, the linear start, independence of samples."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from core_examples import perturbed
from isthmus import presets
from isthmus.core.jacobian import squared_jacobian
from isthmus.core.linear_start import HasLinearPath, linear_start
from isthmus.engine.ensemble import Ensemble
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.estimators._defaults import FEW_ROWS, MANY_ROWS, conv_recipe, recipe
from isthmus.nets.conv import LARGEST, ConvDecoder, ConvEncoder, Patches

IMAGES = [(1, 8, 8), (1, 9, 31), (2, 31, 9), (1, 28, 20), (3, 28, 28), (4, 64, 64)]
SERIES = [(1, 8), (1, 140), (3, 501)]
SHAPES = [*IMAGES, *SERIES]
SIZES = (6, 6, 10)
SMALL = (1, 9, 31)


def _grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])


def _samples(shape: tuple[int, ...], n: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(n, 5, generator=generator) @ torch.randn(
        5, math.prod(shape), generator=generator
    )
    return low + 0.1 * torch.randn(low.shape, generator=generator)


def _build(shape: tuple[int, ...], **more: object) -> presets.Autoencoder:
    torch.manual_seed(0)
    return presets.build(
        (math.prod(shape),),
        2,
        SIZES,
        network="conv",
        sample_shape=shape,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_patches_are_put_back_where_they_were(shape: tuple[int, ...]) -> None:
    patches = Patches(_grid(shape))
    x = _samples(shape)
    grid = patches(x)
    assert grid.shape == (12, patches.n_channels, *patches.grid)
    assert math.prod(patches.grid) <= 121
    torch.testing.assert_close(patches.back(grid), x, rtol=0, atol=0)
    twice = torch.cat([grid, 2 * grid], 1)
    torch.testing.assert_close(patches.back(twice, 2), torch.cat([x, 2 * x], 1), rtol=0, atol=0)


def test_a_patch_is_a_window_of_the_image() -> None:
    image = torch.arange(3 * 8 * 16.0).reshape(1, 3, 8, 16)
    grid = Patches((3, 8, 16))(image.flatten(1))
    assert grid.shape == (1, 3 * 2 * 2, 4, 8)
    torch.testing.assert_close(grid[0, :, 1, 5].reshape(3, 2, 2), image[0, :, 2:4, 10:12])


@pytest.mark.parametrize("n_raw", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_flat_rows_go_in_and_come_out(shape: tuple[int, ...], n_raw: int) -> None:
    encoder = ConvEncoder(_grid(shape), SIZES, 3)
    decoder = ConvDecoder(3, SIZES[::-1], _grid(shape), n_raw)
    x = _samples(shape)
    assert encoder(x).shape == (12, 3)
    assert encoder(x.view(12, *shape)).shape == (12, 3)
    assert decoder(encoder(x)).shape == (12, n_raw * math.prod(shape))
    assert isinstance(encoder, HasLinearPath)
    assert isinstance(decoder, HasLinearPath)


@pytest.mark.parametrize("n_raw", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_pixel_has_weights_of_its_own_up_to_a_size(
    shape: tuple[int, ...], n_raw: int
) -> None:
    decoder = ConvDecoder(3, SIZES[::-1], _grid(shape), n_raw, linear_path=False)
    n_out = n_raw * math.prod(shape)
    assert (decoder.beside is None) == (n_out > LARGEST)
    z = torch.randn(12, 3)
    with torch.no_grad():
        decoder.last.weight.zero_()
        alone = decoder(z)
    if decoder.beside is None:
        assert not alone.any()
    else:  # without the last convolution it is a perceptron of two hidden layers
        net = nn.Sequential(decoder.hidden, nn.SiLU(), decoder.deeper, nn.SiLU(), decoder.beside)
        torch.testing.assert_close(alone, net(z))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_start_at_unit_scale(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    decoder = ConvDecoder(8, (64, 16, 64), _grid(shape), linear_path=False)
    spread = float(decoder(torch.randn(200, 8)).detach().std())
    assert 0.1 < spread < 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_start_is_pca(shape: tuple[int, ...]) -> None:
    x = _samples(shape)
    model = _build(shape)
    linear_start(model, x)
    ours = model.decode(model.encode(x).mean).mean
    pca = PCA(2).fit(x.double().numpy())
    theirs = pca.inverse_transform(pca.transform(x.double().numpy()))
    np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-5 * float(x.abs().max()))


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_sample", "bernoulli", "poisson"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_parameter_has_a_gradient(shape: tuple[int, ...], likelihood: str) -> None:
    model = _build(shape, likelihood=likelihood, beta=1.0)
    perturbed(model, 0.05)
    x = _samples(shape).double()
    x = {"bernoulli": x.sigmoid(), "poisson": x.abs().round()}.get(likelihood, x)
    torch.stack(list(model(x).values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_row_depends_on_nothing_but_itself(shape: tuple[int, ...]) -> None:
    model = _build(shape).eval()
    perturbed(model)
    x = _samples(shape).double()
    together = model.decode(model.encode(x).mean).mean
    alone = torch.cat([model.decode(model.encode(row).mean).mean for row in x.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_the_jacobian_is_autograds() -> None:
    model = _build(SMALL, contraction=1.0).double()
    perturbed(model)
    net = model.encoder.net
    x = _samples(SMALL, 3).double()
    ours = squared_jacobian(net, x, 2, 2)
    rows = [torch.autograd.functional.jacobian(lambda r: net(r[None])[0], row) for row in x]
    torch.testing.assert_close(ours, torch.stack([row.square().sum() for row in rows]))
    terms = model(x)
    terms["contraction"].sum().backward()
    assert net.last.weight.grad is not None


def test_members_of_an_ensemble_are_mapped_with_equal_losses() -> None:
    members = [_build(SMALL) for _ in range(3)]
    for member in members:
        perturbed(member)
    x = _samples(SMALL).double()
    alone = [copy.deepcopy(member)(x)["reconstruction"] for member in members]
    ensemble = Ensemble(members)
    together = ensemble(x.expand(3, -1, -1))["reconstruction"]
    assert ensemble._mapped
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-10, atol=1e-8)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"network": "dense"}, "network='dense' must be 'mlp' or 'conv'"),
        ({"sample_shape": None}, r"sample_shape=None .* must be \(C, H, W\) or \(C, T\)"),
        ({"sample_shape": (1, 9, 30)}, "with a product of 279"),
        ({"sample_shape": (31, 9, 1)}, "sides, or a length, of at least 8"),
        ({"sample_shape": (9, 1, 31), "hidden_layer_sizes": (8,)}, "at least one convolution"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(more: dict[str, object], words: str) -> None:
    given = {"hidden_layer_sizes": SIZES, "network": "conv", "sample_shape": SMALL, **more}
    with pytest.raises(InvalidParameterError, match=words):
        presets.build((279,), 2, **given)  # type: ignore[arg-type]


def test_categories_are_no_brightness() -> None:
    with pytest.raises(CombinationError, match="network='conv' with likelihood='categorical'"):
        _build(SMALL, likelihood="categorical")


@pytest.mark.parametrize("n_rows", [2, 150, FEW_ROWS, FEW_ROWS + 1, MANY_ROWS, 20_000, 10**7])
def test_more_rows_are_worth_more_convolutions_and_larger_batches(n_rows: int) -> None:
    plain = recipe(n_rows, 784, 8)
    found = conv_recipe(plain, n_rows)
    *channels, width = found.hidden_layer_sizes
    assert len(channels) == (3 if n_rows > MANY_ROWS else 1)
    assert width > max(channels)
    assert found.batch_size <= 128
    series = conv_recipe(plain, n_rows, series=True).hidden_layer_sizes
    assert len(series) == 4
    assert found.steps <= plain.steps
    assert (found.n_folds > 0) == (n_rows <= FEW_ROWS)
