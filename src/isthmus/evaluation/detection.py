"""How well a score tells known outliers from the other rows.

AUROC is the chance that an outlier scores higher than another row (ties count half): the
Mann-Whitney statistic over its largest value (Hanley & McNeil 1982). Average precision is
Σ_i (R_i − R_i−1) P_i over the rows in falling order of their score, precision P and recall R; a
score that knows nothing has the share of outliers. Both are scikit-learn's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.errors import DataError

Array = NDArray[Any]


def auroc(outlier: Array, score: Array) -> float:
    """Area under the receiver operating characteristic.

    Args:
        outlier: (N,) 0 or 1, 1 for an outlier, both present.
        score: (N,) finite, higher is more unusual.

    Returns:
        0 to 1, higher is better, ½ for a score that knows nothing.

    Raises:
        DataError: ``outlier`` holds other values, or only one of the two.

    >>> auroc(np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.2, 0.15]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(flags(outlier), score))


def average_precision(outlier: Array, score: Array) -> float:
    """Area under precision against recall, in steps; arguments as those of :func:`auroc`.

    Returns:
        0 to 1, higher is better, the share of outliers for a score that knows nothing.

    >>> average_precision(np.array([0, 1, 0]), np.array([0.1, 0.9, 0.2]))
    1.0
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(flags(outlier), score))


def flags(outlier: Array) -> NDArray[np.bool_]:
    """(N,) booleans of 0 and 1 (or of "0", "1", "no", "yes", "false", "true").

    Also of 1 and −1, as scikit-learn's detectors predict: −1 is an outlier then, 1 is none.

    Raises:
        DataError: other values, or only one of the two.

    >>> flags(np.array(["no", "yes"]))
    array([False,  True])
    >>> flags(np.array([1, -1]))
    array([False,  True])
    """
    words = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "no": 0, "yes": 1, "false": 0, "true": 1}
    given = np.asarray(outlier).tolist()
    found = [str(value).strip().lower() for value in given]
    if not {"-1", "-1.0"}.isdisjoint(found) and set(found) <= {"-1", "-1.0", "1", "1.0"}:
        words = {"1": 0, "1.0": 0, "-1": 1, "-1.0": 1}
    odd = next((was for was, value in zip(given, found, strict=True) if value not in words), None)
    if odd is not None:
        raise DataError(
            f"outlier label {odd!r}",
            "must be 0 (not an outlier) or 1 (an outlier)",
            "Write them so; no and yes, false and true, or 1 and -1 (an outlier) are taken too. "
            "None may be missing.",
        )
    marks = np.array([words[value] for value in found], dtype=bool)
    if marks.all() or not marks.any():
        raise DataError(
            f"outlier labels that are all {int(marks[0]) if len(marks) else 'absent'}",
            "cannot tell a good score from a bad one; both 0 and 1 must occur",
        )
    return marks
