"""Activations with their derivatives, both ordinary forward computations.

The derivative is needed to propagate a Jacobian without differentiating twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from isthmus.errors import InvalidParameterError


@dataclass(frozen=True)
class Activation:
    """σ and σ', both element by element."""

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


def _silu_derivative(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 + a * (1 - s))


def _gelu_derivative(a: Tensor) -> Tensor:
    cdf = 0.5 * (1 + torch.erf(a / math.sqrt(2)))
    return cdf + a * torch.exp(-0.5 * a * a) / math.sqrt(2 * math.pi)


def _sigmoid_derivative(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 - s)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("silu", functional.silu, _silu_derivative),
        Activation("gelu", functional.gelu, _gelu_derivative),
        Activation("relu", functional.relu, lambda a: (a > 0).to(a.dtype)),
        Activation("tanh", torch.tanh, lambda a: 1 - torch.tanh(a).square()),
        Activation("sigmoid", torch.sigmoid, _sigmoid_derivative),
        Activation("softplus", functional.softplus, torch.sigmoid),
        Activation("identity", lambda a: a, torch.ones_like),
    )
}


def activation(name: str) -> Activation:
    """The activation of that name.

    Raises:
        InvalidParameterError: unknown name.

    >>> activation("tanh").derivative(torch.zeros(1))
    tensor([1.])
    """
    if name not in ACTIVATIONS:
        raise InvalidParameterError(
            f"activation={name!r}", f"must be one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]
