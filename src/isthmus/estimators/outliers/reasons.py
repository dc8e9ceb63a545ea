"""What made rows outliers, in the words of the data: columns, and the values that they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from isthmus.data.columns import frames
from isthmus.data.tables import entry_name
from isthmus.data.telling import untold
from isthmus.estimators import _input

# The least share of a row's surprise that is named, of the largest and of the others: where it lies
# in hundreds of pixels, none of them is a reason.
LARGEST_SHARE, LEAST_SHARE = 0.01, 0.1


class Reason(NamedTuple):
    """A column, what the row holds there, None where it is missing, and its share of the score."""

    column: str
    value: Any
    share: float


def reasons(
    parts: np.ndarray, detector: Any, X: Any, n: int, shape: tuple[int, ...] | None = None
) -> list[list[Reason]]:
    """The columns that count most for each row, largest first.

    None of a row with no surprise, or with one in so many columns that none has 1 % of it. What is
    missing is no reason.

    Args:
        parts: (N, D) of the detector's ``explain``, flat.
        detector: fitted.
        X: the rows, in memory, as the detector took them.
        n: most that are named of a row.
        shape: of one row, where it has entries without names; by default as in the fit.
    """
    shape = shape or detector.sample_shape_ or parts.shape[1:]
    known = _input.names_of_fit(detector) or frames.names_of(X)
    names = known or [entry_name(j, shape) for j in range(parts.shape[1])]
    value = _values(detector, X)
    total = parts.sum(1, keepdims=True)
    shares = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
    found = []
    for i, share in enumerate(shares):
        largest = [int(j) for j in (-share).argsort(kind="stable")[:n]]
        least = dict.fromkeys(largest[1:], LEAST_SHARE)
        kept = [j for j in largest if total[i] > 0 and share[j] >= least.get(j, LARGEST_SHARE)]
        held = [(j, value(i, j)) for j in kept]
        # a row without any value has a score, of what was filled in, and no reason
        found.append([Reason(names[j], v, float(share[j])) for j, v in held if v is not None])
    return found


def _values(detector: Any, X: Any) -> Callable[[int, int], Any]:
    """What a row holds in a column: as the table has it, or a number."""
    encoding = detector.encoding_
    if encoding is None:
        with untold():  # what is to be told of these rows was, with their scores
            x = detector._rows(X)
        return lambda i, j: None if np.isnan(x[i, j]) else float(x[i, j])
    table = frames.arrow(X)
    named = set(encoding.names) <= set(table.column_names)
    columns = [table.column(name if named else j) for j, name in enumerate(encoding.names)]

    def held(i: int, j: int) -> Any:
        value = columns[j][i].as_py()
        return None if value != value else value  # NaN is missing too

    return held
