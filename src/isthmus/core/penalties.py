"""Penalties R_j(x): functions of a trace, (N,) nats per sample, added to the reconstruction term.

- :class:`KL`: β KL(q(z|x) ‖ p(z)), the rate. β = 1 is the evidence bound, β > 1 asks for a
  smaller code (Higgins et al. 2017). Closed form where torch has one, otherwise the
  one-sample estimate log q(z|x) − log p(z).
- :class:`Contraction`: λ ‖∂E[z]/∂x‖²_F at the clean input (Rifai et al. 2011, equation 4).
- :class:`Sparsity`: λ Σ_k |E[z_k]|, the negative log-density of a Laplace prior on the code,
  up to its constant.

No penalty is ever averaged over features or latents, so weights mean the same at every size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

from isthmus.core.jacobian import METHODS, Method, squared_jacobian
from isthmus.core.trace import Trace
from isthmus.errors import InvalidParameterError


class Penalty(nn.Module):
    """Maps a :class:`Trace` to (N,), nats per sample, lower is better.

    Attributes:
        name: key of the term in the history.
        needs_density: whether q must have a density (a Delta encoder is then refused).
    """

    name: str
    needs_density = False

    def set_progress(self, progress: float) -> None:
        """Told before every step which share of training (0 to 1) has passed."""

    @property
    def is_scheduled(self) -> bool:
        """Whether :meth:`set_progress` changes anything."""
        return type(self).set_progress is not Penalty.set_progress

    def forward(self, trace: Trace) -> Tensor:
        raise NotImplementedError


def kl_per_latent(trace: Trace) -> Tensor:
    """KL(q(z_k|x) ‖ p(z_k)), (N, K), nats; at least 0 where the closed form exists.

    For Gaussians ½(m² + v − 1 − ln v) (Kingma & Welling 2014, appendix B).
    """
    assert trace.prior is not None  # noqa: S101  (guaranteed by the autoencoder's checks)
    try:
        return kl_divergence(trace.q, trace.prior)
    except NotImplementedError:
        return (trace.q.log_prob(trace.z) - trace.prior.log_prob(trace.z)).mean(0)


class KL(Penalty):
    """β Σ_k max(KL_k, free_bits), with β growing linearly over the warm-up.

    Args:
        beta: β ≥ 0, the final weight.
        warmup: share of training over which the weight grows from 0 to β, 0 to 1
            (Sønderby et al. 2016, section 2.3).
        free_bits: nats per latent and sample that cost no more than their floor
            (Kingma et al. 2016, appendix C.8, per sample instead of per batch).

    In evaluation mode the weight is β and nothing is free of charge.
    """

    name = "kl"
    needs_density = True
    weight: Tensor

    def __init__(self, beta: float = 1.0, warmup: float = 0.0, free_bits: float = 0.0) -> None:
        super().__init__()
        self.beta = _at_least_zero("beta", beta)
        self.free_bits = _at_least_zero("free_bits", free_bits)
        if not 0.0 <= warmup <= 1.0:
            raise InvalidParameterError(
                f"kl_warmup={warmup!r}", "must lie between 0 and 1, a share of the training"
            )
        self.warmup = float(warmup)
        # a tensor, so that a compiled step does not recompile when it changes
        self.register_buffer("weight", torch.tensor(self.beta), persistent=False)

    def set_progress(self, progress: float) -> None:
        share = min(1.0, progress / self.warmup) if self.warmup > 0 else 1.0
        self.weight.fill_(self.beta * share)

    @property
    def is_scheduled(self) -> bool:
        """Whether the weight grows."""
        return self.warmup > 0

    def forward(self, trace: Trace) -> Tensor:
        kl = kl_per_latent(trace)
        if not self.training:
            return self.beta * kl.sum(-1)
        if self.free_bits > 0:
            kl = kl.clamp(min=self.free_bits)
        return self.weight * kl.sum(-1)


class Contraction(Penalty):
    """λ ‖∂E[z]/∂x‖²_F, by the method of :mod:`isthmus.core.jacobian`.

    Args:
        weight: λ ≥ 0, nats per squared unit of code per squared unit of scaled input.
        method: "auto", "closed_form", "exact" or "hutchinson".
        n_probes: probes of Hutchinson's estimate, at least 1.
    """

    name = "contraction"

    def __init__(self, weight: float, method: Method = "auto", n_probes: int = 1) -> None:
        super().__init__()
        self.weight = _at_least_zero("contraction", weight)
        if method not in METHODS:
            raise InvalidParameterError(
                f"contraction_method={method!r}", f"must be one of {', '.join(METHODS)}"
            )
        if n_probes < 1:
            raise InvalidParameterError(f"n_probes={n_probes}", "must be at least 1")
        self.method: Method = method
        self.n_probes = n_probes

    def forward(self, trace: Trace) -> Tensor:
        encoder = trace.encoder
        norm = squared_jacobian(
            encoder.net,
            trace.x,
            encoder.shape[0],
            encoder.n_outputs,
            self.method,
            self.n_probes,
            trace.slopes,
        )
        return self.weight * norm


class Sparsity(Penalty):
    """λ Σ_k |E[z_k]|; λ ≥ 0 in nats per unit of code."""

    name = "sparsity"

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = _at_least_zero("sparsity", weight)

    def forward(self, trace: Trace) -> Tensor:
        return self.weight * trace.q.mean.abs().sum(-1)


def _at_least_zero(name: str, value: float) -> float:
    if not 0.0 <= value < float("inf"):
        raise InvalidParameterError(f"{name}={value!r}", "must be a finite number of at least 0")
    return float(value)
