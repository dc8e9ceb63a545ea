"""How much a code moves when its input does: ‖∂z/∂x‖_F, as it is and with the scale taken out.

A contraction can lower ‖∂z/∂x‖_F at no cost by shrinking the code, since a decoder undoes a
constant factor. Dividing each latent by its standard deviation s over the rows takes that away:

    ‖S⁻¹ ∂z/∂x‖_F ,  S = diag(s)        invariant to z → Az with diagonal A

and is the figure by which encoders can be compared. Neither says anything of points far from the
rows at which the derivative is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
_CHUNK = 256


def jacobian(encode: Callable[[Tensor], Tensor], x: Tensor) -> Array:
    """∂z/∂x at each row, exact, by reverse differentiation.

    Args:
        encode: maps (N, D) to (N, K), rows independent of one another.
        x: (N, D), in the units in which the derivative is wanted.

    Returns:
        (N, K, D), units of the code per unit of x.

    >>> jacobian(lambda x: 3.0 * x[:, :1], torch.ones(2, 2))[0].tolist()
    [[3.0, 0.0]]
    """

    def one(row: Tensor) -> Tensor:
        return encode(row[None])[0]

    each = torch.func.vmap(torch.func.jacrev(one))
    with torch.no_grad():
        return torch.cat([each(part) for part in torch.split(x, _CHUNK)]).numpy()


def norm(jacobians: Array, deviation: Array | None = None) -> Array:
    """‖∂z/∂x‖_F of each row, or ‖S⁻¹ ∂z/∂x‖_F.

    Args:
        jacobians: (N, K, D).
        deviation: (K,) standard deviation s of each latent; a latent with none (0) is left out.

    Returns:
        (N,), at least 0, lower is steadier. Units of the code per unit of x, or standard
        deviations of the code per unit of x.

    >>> j = np.array([[[3.0, 4.0], [0.0, 2.0]]])
    >>> norm(j, deviation=np.array([5.0, 0.0]))
    array([1.])
    """
    j = jacobians.astype(np.float64)
    if deviation is not None:
        alive = deviation > 0
        j = j[:, alive] / deviation[alive, None].astype(np.float64)
    norms: Array = np.sqrt(np.square(j).sum((1, 2)))
    return norms
