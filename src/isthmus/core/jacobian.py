"""‖∂E[z]/∂x‖²_F of an encoder, as an ordinary forward computation.

A penalty on a derivative is usually written with autograd inside autograd, which
``torch.compile`` does not support and which costs a second backward pass. Networks of this
package instead propagate rows of the Jacobian forward themselves (:class:`KnowsJacobian`):

- *closed form*, one hidden layer: J = A + W₂ diag(d) W₁ with d = σ'(W₁x + b) and a linear path A,

      ‖J‖²_F = ‖A‖²_F + 2 Σ_h d_h (W₂ᵀA W₁ᵀ)_hh + dᵀ[(W₁W₁ᵀ)∘(W₂ᵀW₂)]d ,

  whose matrices do not depend on the sample (A = 0, W₂ = I is Rifai et al. 2011,
  *Contractive Auto-Encoders*, equation 5);
- *exact*, any depth: the K rows are propagated by batched products;
- *hutchinson*: E_v‖vᵀJ‖² = ‖J‖²_F for v with independent ±1 entries; unbiased, one row a probe.

A network that is not ours takes the rows from ``torch.func.vjp`` for all three. That is exact
but differentiates twice, and it assumes that samples do not influence each other.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from isthmus.errors import CombinationError, InvalidParameterError

Method = Literal["auto", "closed_form", "exact", "hutchinson"]
METHODS = ("auto", "closed_form", "exact", "hutchinson")


@runtime_checkable
class KnowsJacobian(Protocol):
    """A network that computes products with its own Jacobian by forward operations."""

    @property
    def n_hidden_layers(self) -> int:
        """Number of hidden layers."""

    def with_slopes(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """net(x), and what the two below need of that pass."""

    def jacobian_rows(self, x: Tensor, v: Tensor, slopes: list[Tensor] | None = None) -> Tensor:
        """vᵀ∂net(x)/∂x, (N, R, D), for v of shape (R, n_out) or (N, R, n_out)."""

    def squared_jacobian(
        self, x: Tensor, n_rows: int, slopes: list[Tensor] | None = None
    ) -> Tensor:
        """Σ over the first ``n_rows`` outputs of ‖∂net_i(x)/∂x‖², (N,)."""


def squared_jacobian(
    net: nn.Module,
    x: Tensor,
    n_components: int,
    n_outputs: int,
    method: Method = "auto",
    n_probes: int = 1,
    slopes: list[Tensor] | None = None,
) -> Tensor:
    """‖∂ net(x)[:K] / ∂x‖²_F for every sample.

    Args:
        net: module (N, *F) → (N, n_outputs) whose first K outputs are E[z].
        x: (N, *F) input.
        n_components: K.
        n_outputs: number of raw outputs.
        method: "auto" is exact, by the closed form where there is one hidden layer.
        n_probes: rows of Hutchinson's estimate.
        slopes: of the network's pass over x, where there was one (:class:`KnowsJacobian`).

    Returns:
        (N,), squared units of the code per squared unit of the scaled input.

    Raises:
        CombinationError: a closed form is asked of a network that has none.
    """
    if method not in METHODS:
        raise InvalidParameterError(
            f"contraction_method={method!r}", f"must be one of {', '.join(METHODS)}"
        )
    if method == "closed_form":
        need_closed_form(net)
    known = net if isinstance(net, KnowsJacobian) else None
    if method == "hutchinson":
        v = x.new_zeros(x.shape[0], n_probes, n_outputs)
        v[..., :n_components] = 2.0 * torch.randint_like(v[..., :n_components], 2) - 1.0
        rows = known.jacobian_rows(x, v, slopes) if known else _functional_rows(net, x, v)
        rows = rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows
        return rows.square().sum((1, 2)) / n_probes
    if known is not None:
        return known.squared_jacobian(x, n_components, slopes)
    v = torch.eye(n_outputs, dtype=x.dtype, device=x.device)[:n_components]
    return _functional_rows(net, x, v.expand(x.shape[0], -1, -1)).square().sum((1, 2))


def need_closed_form(net: nn.Module) -> None:
    """Raise CombinationError unless the network has at most one hidden layer and is ours."""
    if not isinstance(net, KnowsJacobian) or net.n_hidden_layers > 1:
        raise CombinationError(
            "contraction_method='closed_form'",
            "needs an encoder of this package with at most one hidden layer",
            "Use contraction_method='exact' or 'hutchinson'.",
        )


def _functional_rows(net: nn.Module, x: Tensor, v: Tensor) -> Tensor:
    """(N, R, D) rows of a foreign network; v is (N, R, n_out)."""
    pull_back = torch.func.vjp(net, x)[1]
    rows: Tensor = torch.func.vmap(lambda row: pull_back(row)[0], in_dims=1, out_dims=1)(v)
    return rows.flatten(2)
