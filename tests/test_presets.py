"""Presets: what stands in every slot, and that they are compositions of build."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from core_examples import rows, total
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.corruption import Corruption, GaussianNoise, Identity
from isthmus.core.likelihoods import LIKELIHOODS, Gaussian, Poisson
from isthmus.core.objectives import EvidenceBound, ImportanceBound
from isthmus.core.posteriors import Delta, DiagonalGaussian
from isthmus.core.priors import StandardNormal
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.nets.views import Viewed
from isthmus.presets import build, contractive, denoising, undercomplete, variational
from isthmus.random import fork

# preset, the same in words of build, corruption, encoder's head, penalties
TABLE: list[
    tuple[Callable[..., Autoencoder], dict[str, object], type[Corruption], type, list[str]]
] = [
    (undercomplete, {}, Identity, Delta, []),
    (denoising, {"noise": "gaussian", "noise_level": 0.5}, GaussianNoise, Delta, []),
    (contractive, {"contraction": 1.0}, Identity, Delta, ["contraction"]),
    (variational, {"beta": 1.0}, Identity, DiagonalGaussian, ["kl"]),
]
EVERY = pytest.mark.parametrize(
    ("preset", "options", "noise", "head", "names"), TABLE, ids=[row[0].__name__ for row in TABLE]
)


@EVERY
def test_the_slots_are_those_of_the_design(
    preset: Callable[..., Autoencoder],
    options: dict[str, object],
    noise: type[Corruption],
    head: type,
    names: list[str],
) -> None:
    x = rows(10, 5, dtype=torch.float32)
    with fork(0):
        model = preset((5,), 2, (8,))
        terms = model(x)
    assert type(model.corruption) is noise
    assert type(model.encoder.head) is head
    assert isinstance(model.likelihood, Gaussian)
    assert isinstance(model.objective, EvidenceBound)
    assert [penalty.name for penalty in model.active_penalties] == names
    assert (model.prior is None) == (head is Delta)
    assert model.deterministic == (head is Delta)
    assert (model.n_components, model.feature_shape) == (2, (5,))
    with fork(0):
        same = total(build((5,), 2, (8,), **options)(x))  # type: ignore[arg-type]
    torch.testing.assert_close(total(terms), same)


@pytest.mark.parametrize("preset", [row[0] for row in TABLE])
@pytest.mark.parametrize("likelihood", [n for n in LIKELIHOODS if n != "categorical"])
def test_every_preset_takes_every_likelihood_of_numbers(
    preset: Callable[..., Autoencoder], likelihood: str
) -> None:
    model = preset((1, 2, 3), 2, (8, 4), likelihood=likelihood)
    terms = model(torch.randint(0, 2, (6, 1, 2, 3)).float())
    assert total(terms).isfinite().all()


def test_a_mixture_fills_the_slots_of_both() -> None:
    model = build(
        (5,),
        7,
        (8,),
        beta=2.0,
        noise="swap",
        noise_level=0.2,
        contraction=1.0,
        sparsity=0.3,
        n_draws=3,
    )
    assert isinstance(model.prior, StandardNormal)
    assert list(model(rows(6, 5).float())) == ["reconstruction", "kl", "contraction", "sparsity"]
    assert model.trace(rows(6, 5).float()).z.shape == (3, 6, 7)


def test_an_importance_bound_takes_the_place_of_the_divergence() -> None:
    model = build((5,), 2, (8,), beta=1.0, objective="importance", n_draws=4)
    assert isinstance(model.objective, ImportanceBound)
    assert list(model(rows(6, 5).float())) == ["importance"]


def test_the_decoder_mirrors_the_encoder() -> None:
    model = build((5,), 2, (8, 6), beta=1.0, likelihood="gaussian_sample", linear_path=False)
    sizes = [
        [layer.out_features for layer in net.layers]
        for net in (model.encoder.net, model.decoder.net)
    ]
    assert sizes == [[8, 6, 4], [6, 8, 10]]


def test_counts_and_categories_are_viewed() -> None:
    counts = build((5,), 2, likelihood=Poisson())
    categories = build((5,), 2, likelihood="categorical", n_categories=4)
    assert isinstance(counts.encoder.net, Viewed)
    assert isinstance(categories.encoder.net, Viewed)
    assert categories.encoder.net.net.linear.in_features == 20
    assert categories.decoder.n_outputs == 20


def test_a_users_own_networks_are_taken_as_they_are() -> None:
    encoder = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4))
    decoder = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 5))
    model = build((5,), 2, encoder=encoder, decoder=decoder, beta=1.0)
    assert model.encoder.net is encoder
    assert model.decoder.net is decoder
    assert total(model(rows(6, 5).float())).isfinite().all()


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"objective": "elbo"}, "objective='elbo'"),
        ({"likelihood": "normal"}, "likelihood='normal'"),
        ({"activation": "swish"}, "activation='swish'"),
        ({"noise": "salt"}, "noise='salt'"),
        ({"noise": "masking", "noise_level": 2.0}, "noise_level=2.0"),
        ({"contraction": -1.0}, "contraction=-1.0"),
        ({"contraction": float("nan")}, "contraction=nan"),
        ({"contraction": 1.0, "contraction_method": "fast"}, "contraction_method='fast'"),
        ({"sparsity": -1.0}, "sparsity=-1.0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"beta": 1.0, "kl_warmup": 2.0}, "kl_warmup=2.0"),
        ({"beta": 1.0, "free_bits": -1.0}, "free_bits=-1.0"),
        ({"n_draws": 0}, "n_draws=0"),
        ({"emphasis": -1.0}, "emphasis=-1.0"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(options: dict[str, object], given: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        build((5,), **{"n_components": 2, **options})  # type: ignore[arg-type]
    assert caught.value.given == given
    assert caught.value.rule.startswith("must ")


def test_an_importance_bound_without_a_density_is_refused() -> None:
    with pytest.raises(CombinationError, match="ImportanceBound with a Delta"):
        build((5,), 2, objective="importance")
