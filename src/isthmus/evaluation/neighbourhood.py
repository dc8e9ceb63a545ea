"""Whether neighbours stay neighbours between rows and codes.

With r(n, m) the rank of row m among the neighbours of row n in one space, and U_k(n) the k nearest
in the other that are not among the k nearest in the first,

    T(k) = 1 − 2 / (N k (2N − 3k − 1)) Σ_n Σ_{m ∈ U_k(n)} (r(n, m) − k)

(Venna & Kaski 2001, *Neighborhood Preservation in Nonlinear Projection Methods*). *Trustworthiness*
ranks in the space of the rows: low where codes are neighbours of rows that were far away.
*Continuity* is the same with the roles swapped: low where neighbours were torn apart. Both are
scikit-learn's ``trustworthiness``.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from isthmus.errors import DataError

Array = NDArray[Any]
NEIGHBOURS = 5


def trustworthiness(rows: Array, codes: Array, n_neighbors: int = NEIGHBOURS) -> float:
    """Share of a code's neighbourhood that is to be trusted.

    Args:
        rows: (N, D) without missing entries, in the units in which distances are meant.
        codes: (N, K).
        n_neighbors: k, below N / 2.

    Returns:
        0 to 1, higher is better; 1 if every code's k neighbours are the row's.

    Raises:
        DataError: N is not above 2k.

    >>> import numpy as np
    >>> x = 1.5 ** np.arange(12.0)[:, None]
    >>> trustworthiness(x, 3.0 * x)
    1.0
    """
    from sklearn import manifold

    if len(rows) <= 2 * n_neighbors:
        raise DataError(
            f"{len(rows)} rows",
            f"have no neighbourhoods of {n_neighbors}; more than {2 * n_neighbors} are needed",
        )
    return float(manifold.trustworthiness(rows, codes, n_neighbors=n_neighbors))


def continuity(rows: Array, codes: Array, n_neighbors: int = NEIGHBOURS) -> float:
    """Share of a row's neighbourhood that the code keeps; arguments and range as above.

    >>> import numpy as np
    >>> x = 1.5 ** np.arange(12.0)[:, None]
    >>> continuity(x, -x)
    1.0
    """
    return trustworthiness(codes, rows, n_neighbors)
