"""The whole product of slots: a finite loss that trains every parameter, or a refusal by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from core_examples import N_CATEGORIES, supported, total
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.conditional import Conditional, Head
from isthmus.core.corruption import CORRUPTIONS, corruption
from isthmus.core.likelihoods import LIKELIHOODS, likelihood
from isthmus.core.linear_start import linear_start
from isthmus.core.objectives import EvidenceBound, ImportanceBound, Objective
from isthmus.core.penalties import KL, Contraction, Penalty, Sparsity
from isthmus.core.posteriors import Delta, DiagonalGaussian
from isthmus.core.priors import StandardNormal
from isthmus.errors import CombinationError
from isthmus.presets import build
from isthmus.random import fork

N, D, K, HIDDEN = 7, 3, 2, 4  # an odd N: the signs of a Laplace gradient never cancel

POSTERIORS: dict[str, Callable[[], Head]] = {"Delta": Delta, "DiagonalGaussian": DiagonalGaussian}
NOISES = [None, *CORRUPTIONS]
PENALTIES: dict[str, Callable[[], Penalty]] = {
    "KL": lambda: KL(0.7),
    "Contraction": lambda: Contraction(0.1),
    "Sparsity": lambda: Sparsity(0.1),
}
SUBSETS = [s for n in range(4) for s in itertools.combinations(PENALTIES, n)]
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "EvidenceBound": EvidenceBound,
    "ImportanceBound": lambda: ImportanceBound(2),
}
ENCODERS = ["MLP", "BatchNorm"]


@dataclass(frozen=True)
class Slots:
    """One combination: what stands in every slot."""

    posterior: str
    likelihood: str
    noise: str | None
    penalties: tuple[str, ...]
    objective: str
    linear_path: bool
    encoder: str

    def refused(self) -> set[tuple[str, str]]:
        """The pairs that do not go together, as section 5 of the design has them."""
        density = [p for p in self.penalties if p == "KL"]
        density += [self.objective] if self.objective == "ImportanceBound" else []
        pairs = {(part, "Delta") for part in density if self.posterior == "Delta"}
        if len(density) == 2:
            pairs.add(("KL", "ImportanceBound"))
        if "Contraction" in self.penalties:
            pairs |= {("Contraction", "BatchNorm")} if self.encoder == "BatchNorm" else set()
            pairs |= {("Contraction", "Categorical")} if self.likelihood == "categorical" else set()
        if self.noise == "gaussian" and self.likelihood == "categorical":
            pairs.add(("GaussianNoise", "Categorical"))
        return pairs

    def build(self) -> Autoencoder:
        """The autoencoder, or the refusal."""
        head = POSTERIORS[self.posterior]()
        parts = build(
            (D,),
            K,
            (HIDDEN,),
            likelihood=likelihood(self.likelihood, (D,), N_CATEGORIES),
            linear_path=self.linear_path,
            beta=None if self.posterior == "Delta" else 1.0,
        )
        net = parts.encoder.net
        if self.encoder == "BatchNorm":
            net = nn.Sequential(
                nn.Linear(D, HIDDEN, bias=False),  # a bias before the norm would do nothing
                nn.BatchNorm1d(HIDDEN),
                nn.SiLU(),
                nn.Linear(HIDDEN, head.n_raw * K),
            )
        return Autoencoder(
            Conditional(net, head, (K,)),
            parts.decoder,
            corruption=corruption(self.noise, 0.3),
            prior=StandardNormal(K),
            penalties=[PENALTIES[name]() for name in self.penalties],
            objective=OBJECTIVES[self.objective](),
        )


def product(posterior: str, name: str) -> Iterator[Slots]:
    for noise, penalties, objective, linear_path, encoder in itertools.product(
        NOISES, SUBSETS, OBJECTIVES, (True, False), ENCODERS
    ):
        yield Slots(posterior, name, noise, penalties, objective, linear_path, encoder)


def trains_every_parameter(model: Autoencoder, x: Tensor) -> None:
    """One step from the start, where some gradients are 0 by design; none may be after it."""
    model.train()
    names, parameters = zip(*model.named_parameters(), strict=True)
    for step in range(2):
        loss = total(model(x))
        assert loss.shape == (N,)
        assert loss.isfinite().all()
        slopes = torch.autograd.grad(loss.mean(), parameters, allow_unused=True)
        for name, slope in zip(names, slopes, strict=True):
            assert slope is not None, name
            assert slope.isfinite().all(), name
            assert step == 0 or slope.any(), name
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.sub_(1e-2 * slope.sign())  # Adam's first step


# of 320: what is left after the refusals above, counted by hand in the same order
#   Delta: no KL and no ImportanceBound leave 4 subsets and 1 objective; with BatchNorm 2 subsets
#   DiagonalGaussian: 8 subsets with EvidenceBound, 4 with ImportanceBound; with BatchNorm half
#   categorical: 4 noises, no Contraction at all
ACCEPTED = {"Delta": 5 * 2 * (4 + 2), "DiagonalGaussian": 5 * 2 * (12 + 6)}
CATEGORICAL = {"Delta": 4 * 2 * (2 + 2), "DiagonalGaussian": 4 * 2 * (6 + 6)}


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_combination_trains_or_is_refused_by_name(posterior: str, name: str) -> None:
    x = supported(name, N, (D,), dtype=torch.float32)
    accepted = 0
    for slots in product(posterior, name):
        with fork(0):
            pairs = slots.refused()
            if pairs:
                with pytest.raises(CombinationError) as caught:
                    slots.build()
                text = str(caught.value)
                assert any(a in text and b in text for a, b in pairs), (slots, text)
                continue
            try:
                model = slots.build()
                linear_start(model, x)
                trains_every_parameter(model, x)
            except Exception as error:
                raise AssertionError(f"{slots}: {error}") from error
            accepted += 1
    assert accepted == (CATEGORICAL if name == "categorical" else ACCEPTED)[posterior]


PARTS = build((D,), K, (HIDDEN,), beta=1.0)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"penalties": [KL()]}, ("KL", "prior")),
        ({"objective": ImportanceBound()}, ("ImportanceBound", "prior")),
        ({"penalties": [Sparsity(1.0), Sparsity(2.0)]}, ("sparsity", "twice")),
    ],
)
def test_other_refusals_name_their_parts(
    options: dict[str, list[Penalty] | Objective], parts: tuple[str, str]
) -> None:
    with pytest.raises(CombinationError) as caught:
        Autoencoder(PARTS.encoder, PARTS.decoder, **options)  # type: ignore[arg-type]
    assert all(part in str(caught.value) for part in parts)


def test_a_decoder_without_a_likelihood_is_refused() -> None:
    decoder = Conditional(nn.Linear(K, D), Delta(), (D,))
    with pytest.raises(CombinationError, match=r"Delta is no likelihood"):
        Autoencoder(PARTS.encoder, decoder)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(HIDDEN), nn.LayerNorm(HIDDEN)])
def test_a_norm_of_each_sample_goes_with_a_contraction(norm: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(D, HIDDEN), norm, nn.Linear(HIDDEN, K))
    if isinstance(norm, nn.LayerNorm):
        model = build((D,), K, (HIDDEN,), encoder=net, contraction=0.1)
        with fork(0):
            trains_every_parameter(model, torch.randn(N, D))
    else:
        with pytest.raises(CombinationError, match="BatchNorm"):
            build((D,), K, (HIDDEN,), encoder=net, contraction=0.1)
