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

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.dimensions import components_of, plateau, standard_error

Array = NDArray[Any]
# Of what the best code gains over independent columns, and nats a row: the smaller of the two is no
# reason for a component.
TRIFLE, TRIFLE_NATS = 0.02, 0.1
_MOST_DECIMALS = 6


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
    if best == at:
        worth, before = _nats(float(gain[at]), float(gain[at - 1]))
        after = f"; the size before gains {before}" if at > 1 else ""
        return k, (
            f"{_rise(d, sizes, at)}: {_gain(k)} {worth} a row over independent columns{after}."
        )
    worth, _ = _nats(float(gain[at]), float(gain[best]))
    loss = bound[best] - bound[at]
    if plateau(bound) == at:
        more, least = _nats(float(loss.mean()), standard_error(loss))
        within = f"less than one standard error, {least}"
    else:
        more, least = _nats(float(loss.mean()), tolerance(float(gain[best])))
        within = f"within the {least} by which short fits differ"
    return k, (
        f"{_gain(k)} {worth} a row over independent columns, the best "
        f"size, {sizes[best - 1]}, {more} more: {within}."
    )


def _rise(d: int, sizes: Sequence[int], at: int) -> str:
    k = sizes[at - 1]
    if k == d - 1:
        return f"No smaller number will do, and {k} is one less than the {d} columns"
    if at == len(sizes):
        return f"The held-out log-likelihood is highest at {k}, the largest size compared"
    return f"The held-out log-likelihood is highest at {k}"


def _gain(k: int) -> str:
    return f"{components_of(k)} {'gains' if k == 1 else 'gain'}"


def _nats(value: float, other: float) -> tuple[str, str]:
    """Both with two digits at least, and with the first decimal by which they differ.

    >>> _nats(0.5689, 0.5712), _nats(35.39, 35.002)
    (('0.569 nats', '0.571 nats'), ('35.4 nats', '35.0 nats'))
    """
    apart = -_exponent(value - other)
    return _rounded(value, apart), _rounded(other, apart)


def _rounded(value: float, decimals: int) -> str:
    decimals = min(_MOST_DECIMALS, max(0, decimals, 1 - _exponent(value)))
    return f"{value:,.{decimals}f} nats"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0
