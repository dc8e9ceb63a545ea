"""How many components a mixed table needs: by the likelihood of its columns alone.

Factors and neighbourhoods are of numbers: one-hot columns of one category have factors of their
own, whatever the table. What a code of k components is worth is its *gain*: held-out nats a row
over independent columns, which are the size 0.

The rule: the smallest size within one standard error of the best, paired over rows, or within a
tolerance below which two short fits do not tell sizes apart (:func:`tolerance`). A share of the
gain alone is no such tolerance: ten precise columns of one factor gain 35 nats, and 2% of that is
more than another factor's three categories gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.dimensions import components_of, plateau

Array = NDArray[Any]
# Of what the best code gains over independent columns, and nats a row: the smaller of the two is no
# reason for a component.
TRIFLE, TRIFLE_NATS = 0.02, 0.1


def tolerance(gain: float) -> float:
    """Nats a row that are no reason for a component, where the best code gains that many."""
    return min(TRIFLE * max(gain, 0.0), TRIFLE_NATS)


def smallest(bound: Array) -> int:
    """The row of the smallest size that is enough; row 0 is of independent columns.

    Args:
        bound: (C + 1, n) held-out evidence bound, nats, of sizes that rise from 0.

    >>> rows = np.linspace(-1, 1, 100)
    >>> smallest(np.stack([rows, rows + 1.99, rows + 2, rows + 2.001]))
    1
    """
    at, mean = plateau(bound), bound.mean(1)
    if at == 0:
        return 0
    enough = mean.max() - tolerance(float(mean.max() - mean[0]))
    return min(at, int(np.argmax(mean >= enough)))


def recommend_mixed(n_features: int, sizes: Sequence[int], bound: Array) -> tuple[int, str]:
    """A number of components and the reason in a sentence.

    D, nothing compresses, where independent columns are within a standard error of the best.

    Args:
        n_features: D.
        sizes: (C,) numbers of components, rising.
        bound: (C + 1, n) held-out evidence bound, nats: of independent columns, then of the sizes.

    >>> rows = np.arange(100.0)
    >>> recommend_mixed(7, [1, 2], np.stack([rows, rows + 1, rows + 3]))[0]
    2
    """
    d = n_features
    at = smallest(bound)
    if at == 0:
        return d, (
            f"Nothing compresses: held-out rows are as likely if the {d} columns are independent "
            "as with any of the codes compared."
        )
    k, gain = sizes[at - 1], bound.mean(1) - bound[0].mean()
    best = int(gain.argmax())
    worth = f"gain {_nats(gain[at])} a row over independent columns"
    if best == at:
        return k, f"{_rise(d, sizes, at)}: {components_of(k)} {worth}{_after(gain, at)}."
    more = float(gain[best] - gain[at])
    within = (
        "less than one standard error"
        if plateau(bound) == at
        else f"within the {_nats(tolerance(float(gain[best])))} by which short fits differ"
    )
    return k, (
        f"{components_of(k).capitalize()} {worth}, the best size, {sizes[best - 1]}, "
        f"{_nats(more)} more: {within}."
    )


def _rise(d: int, sizes: Sequence[int], at: int) -> str:
    k = sizes[at - 1]
    if k == d - 1:
        return f"No smaller number will do, and {k} is one less than the {d} columns"
    if at == len(sizes):
        return f"The held-out log-likelihood is highest at {k}, the largest size compared"
    return f"The held-out log-likelihood is highest at {k}"


def _after(gain: Array, at: int) -> str:
    """What the size before gains, which is clearly less."""
    return f", {_nats(float(gain[at - 1]))} the size before" if at > 1 else ""


def _nats(value: float) -> str:
    return f"{value:.2g} nats"
