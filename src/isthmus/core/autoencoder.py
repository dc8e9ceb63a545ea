"""The autoencoder: the one formula, with a part in every slot.

    L(x) = E_{x̃ ~ C(x̃|x), z ~ q(z|x̃)}[ −log p(x|z) ] + Σ_j R_j(x)       nats per sample

What each slot holds decides what the model is called: a Delta encoder and no penalty make it
undercomplete, a corruption denoising, a contraction penalty contractive, a Gaussian encoder
with a KL penalty variational; every mixture is the same class. See :mod:`isthmus.presets`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from isthmus.core.conditional import Conditional
from isthmus.core.corruption import Corruption, GaussianNoise, Identity
from isthmus.core.jacobian import KnowsJacobian, need_closed_form
from isthmus.core.likelihoods import Likelihood
from isthmus.core.objectives import EvidenceBound, Objective
from isthmus.core.penalties import KL, Contraction, Penalty, kl_per_latent
from isthmus.core.posteriors import Delta
from isthmus.core.priors import Prior
from isthmus.core.trace import Trace
from isthmus.errors import CombinationError, InvalidParameterError


class Autoencoder(nn.Module):
    """Encoder, decoder and what is asked of them.

    Args:
        encoder: q(z|x̃), a conditional of shape (K,).
        decoder: p(x|z), a conditional of the feature shape whose head is a likelihood.
        corruption: C(x̃|x), the identity by default; active in training mode only.
        prior: p(z), or None.
        penalties: R_j, at most one of each name.
        objective: evidence bound by default.
        emphasis: weight ≥ 0 in the likelihood of the entries that the corruption touched,
            the others having weight 1 (emphasised denoising, Vincent et al. 2010, section 3.4).

    Raises:
        CombinationError: parts that do not go together, both named.
    """

    jitter: Tensor

    def __init__(
        self,
        encoder: Conditional,
        decoder: Conditional,
        *,
        corruption: Corruption | None = None,
        prior: Prior | None = None,
        penalties: Sequence[Penalty] = (),
        objective: Objective | None = None,
        emphasis: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0.0 <= emphasis < float("inf"):
            raise InvalidParameterError(
                f"emphasis={emphasis!r}", "must be a finite number of at least 0"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.corruption = corruption or Identity()
        self.prior = prior
        self.penalties = nn.ModuleList(penalties)
        self.objective = objective or EvidenceBound()
        self.emphasis = float(emphasis)
        self.register_buffer("jitter", torch.zeros(()), persistent=False)
        self.has_jitter = False
        self._refuse()

    @property
    def n_components(self) -> int:
        """K, the number of latents."""
        return self.encoder.shape[0]

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape *F of one sample."""
        return self.decoder.shape

    @property
    def likelihood(self) -> Likelihood:
        """Head of the decoder."""
        head = self.decoder.head
        assert isinstance(head, Likelihood)  # noqa: S101  (checked in __init__)
        return head

    @property
    def deterministic(self) -> bool:
        """Whether the encoder gives one code instead of a distribution."""
        return isinstance(self.encoder.head, Delta)

    @property
    def active_penalties(self) -> list[Penalty]:
        """R_j."""
        return [penalty for penalty in self.penalties if isinstance(penalty, Penalty)]

    @property
    def sees_missing(self) -> bool:
        """Whether the encoder's network takes NaN for a missing entry, as it then is given."""
        return bool(getattr(self.encoder.net, "sees_missing", False))

    def encode(self, x: Tensor, mask: Tensor | None = None) -> Distribution:
        """q(z|x), batch shape (N, K), for clean inputs (N, *F).

        ``mask`` (N, *F), True where an entry is there, is told to an encoder that sees it.
        """
        q: Distribution = self.encoder(self._given(x, mask))
        return q

    def prepare(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Let corruption, likelihood and the encoder's view learn constants from training rows.

        Args:
            x: (N, *F), a missing entry at its stand-in.
            mask: (N, *F) bool, where entries are there; None for everywhere.
        """
        self.corruption.prepare(x)
        holed = x if mask is None else x.masked_fill(~mask, math.nan)
        self.likelihood.prepare(holed)
        look = getattr(self.encoder.net, "view", None)
        learn = getattr(look, "prepare", None)
        if learn is not None:
            learn(holed)

    def _given(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What the encoder is given of clean rows: NaN where an entry is missing, if it sees it."""
        if mask is None or not self.sees_missing:
            return x
        return x.masked_fill(~mask, math.nan)

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z), batch shape (N, *F), for codes (N, K)."""
        p: Distribution = self.decoder(z)
        return p

    def trace(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        n_draws: int | None = None,
        noise: Tensor | None = None,
        corrupt: bool | None = None,
    ) -> Trace:
        """One pass over a batch.

        Args:
            x: (N, *F) clean input.
            mask: (N, *F) bool, True where an entry is there; None for everywhere.
            n_draws: S, the objective's by default.
            noise: standard deviates, z = E[z] + sd(z)·noise, (S, K) where all samples share them,
                for results that depend on nothing but the sample, else (S, N, K); by default z is
                drawn.
            corrupt: whether x is corrupted, by default in training mode only.
        """
        given = self._given(x, mask)
        corrupts = self.training if corrupt is None else corrupt
        corrupted = self.corruption(given) if corrupts else None
        x_tilde = given if corrupted is None else corrupted.x_tilde
        touched = None if corrupted is None else corrupted.touched
        if self.training and self.has_jitter:
            x_tilde = x_tilde + self.jitter * torch.randn_like(x_tilde)
        q, slopes = self._posterior(x, x_tilde)
        if noise is None:
            z = q.rsample(torch.Size((n_draws or self.objective.n_draws,)))
        else:
            z = q.mean + q.stddev * (noise if noise.ndim == 3 else noise[:, None, :])
        return Trace(
            x=x,
            x_tilde=x_tilde,
            weight=self._weight(x, mask, touched),
            touched=touched,
            q=q,
            z=z,
            p=self.decoder(z, n_lead=2),
            prior=None if self.prior is None else self.prior(),
            encoder=self.encoder,
            slopes=slopes,
        )

    def _posterior(self, x: Tensor, x_tilde: Tensor) -> tuple[Distribution, list[Tensor] | None]:
        """q(z|x̃); where the derivative at x is wanted and x̃ is x, its slopes of the same pass."""
        net = self.encoder.net
        wanted = any(isinstance(penalty, Contraction) for penalty in self.penalties)
        if wanted and x_tilde is x and isinstance(net, KnowsJacobian):
            raw, slopes = net.with_slopes(x)
            return self.encoder.head.distribution(raw, self.encoder.shape), slopes
        q: Distribution = self.encoder(x_tilde)
        return q, None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """The terms of the loss, each (N,), nats per sample; their sum is the loss."""
        return self.terms(self.trace(x, mask))

    def terms(self, trace: Trace) -> dict[str, Tensor]:
        """The terms of the loss for a trace, each (N,), nats per sample."""
        terms: dict[str, Tensor] = self.objective(trace, self.active_penalties)
        return terms

    def evidence(self, trace: Trace) -> Tensor:
        """Evidence bound log p(x|z) − KL(q ‖ p) of a trace, (N,), nats, higher is better.

        The KL has weight 1 whatever β was in training, and other penalties are left out, so
        that models trained with different weights compare. Without a density of q or a prior
        it is log p(x|E[z]). An importance bound is evaluated as such.
        """
        if self.deterministic or trace.prior is None:
            return trace.log_likelihood().mean(0)
        if self.objective.needs_density:
            bound: Tensor = self.objective(trace, ())["importance"]
            return -bound
        return trace.log_likelihood().mean(0) - kl_per_latent(trace).sum(-1)

    def set_jitter(self, deviation: float) -> None:
        """Add Gaussian noise of that deviation (scaled units) to the encoder's input in training.

        Unlike a corruption it is no part of what the model is asked for: it smooths the map
        (Bishop 1995, *Training with Noise is Equivalent to Tikhonov Regularization*) and is
        absent from validation and scores.
        """
        self.has_jitter = deviation > 0
        self.jitter.fill_(deviation)

    def set_progress(self, progress: float) -> None:
        """Share of training (0 to 1) that has passed: drives warm-up schedules."""
        for penalty in self.penalties:
            penalty.set_progress(progress)  # type: ignore[operator]

    @property
    def is_scheduled(self) -> bool:
        """Whether :meth:`set_progress` changes anything."""
        return any(bool(penalty.is_scheduled) for penalty in self.penalties)

    def _weight(self, x: Tensor, mask: Tensor | None, touched: Tensor | None) -> Tensor | None:
        weight = None if mask is None else mask.to(x.dtype)
        if touched is None or self.emphasis == 1.0:
            return weight
        emphasised = torch.where(touched, self.emphasis, 1.0).to(x.dtype)
        return emphasised if weight is None else weight * emphasised

    def _refuse(self) -> None:
        """Section 5 of the design: where the parts stop being independent."""
        if not isinstance(self.decoder.head, Likelihood):
            raise CombinationError(
                f"a decoder with the head {type(self.decoder.head).__name__}",
                "is no likelihood",
                "Use a head of isthmus.core.likelihoods.",
            )
        if isinstance(self.corruption, GaussianNoise) and self.likelihood.support == "category":
            raise CombinationError(
                "GaussianNoise with a Categorical likelihood",
                "leaves no category",
                "Use noise='swap'.",
            )
        if self.emphasis == 0 and isinstance(self.corruption, GaussianNoise):
            raise CombinationError(
                "emphasis=0 with GaussianNoise",
                "leaves no entry in the likelihood: Gaussian noise touches all of them",
                "Use an emphasis above 0.",
            )
        names = [penalty.name for penalty in self.active_penalties]
        if len(set(names)) < len(names):
            raise CombinationError(f"penalties {names}", "name the same term twice")
        parts: list[Penalty | Objective] = [*self.active_penalties, self.objective]
        for part in parts:
            if part.needs_density and self.deterministic:
                raise CombinationError(
                    f"{type(part).__name__} with a Delta encoder",
                    "is infinite: a Delta has no density",
                    "Use a DiagonalGaussian encoder, or leave the term out.",
                )
            if part.needs_density and self.prior is None:
                raise CombinationError(
                    f"{type(part).__name__} without a prior",
                    "is not defined",
                    "Give a prior, such as StandardNormal.",
                )
            if isinstance(part, Contraction) and self._mixes_samples():
                raise CombinationError(
                    "Contraction with BatchNorm in the encoder",
                    "is not defined: each code depends on the other samples of its batch",
                    "Use LayerNorm or GroupNorm.",
                )
            if isinstance(part, Contraction) and self.likelihood.support in ("category", "mixed"):
                raise CombinationError(
                    f"Contraction with a {type(self.likelihood).__name__} likelihood",
                    "is not defined: a category has no derivative",
                    "Leave the contraction out, or use likelihood='gaussian' on encoded columns.",
                )
            if isinstance(part, Contraction) and part.method == "closed_form":
                need_closed_form(self.encoder.net)
            if isinstance(part, KL) and self.objective.needs_density:
                raise CombinationError(
                    f"KL beside {type(self.objective).__name__}",
                    "would count the rate twice: it stands inside the bound",
                    "Leave the KL penalty out.",
                )

    def _mixes_samples(self) -> bool:
        batch_norm = nn.modules.batchnorm._BatchNorm
        return any(isinstance(module, batch_norm) for module in self.encoder.modules())
