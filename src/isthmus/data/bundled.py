"""Four small tables that come with scikit-learn, so that a first try needs no file.

The values are those of ``sklearn.datasets.load_*`` (float64, the target left out). The names of the
digits are ``pixel_<row>_<column>``.
"""

from __future__ import annotations

import numpy as np

from isthmus.data.tables import Table, quoted
from isthmus.errors import DataError

BUNDLED = ("breast_cancer", "diabetes", "digits", "wine")


def load(name: str) -> Table:
    """The bundled table of this name.

    Args:
        name: one of :data:`BUNDLED`.

    Returns:
        breast_cancer (569, 30), diabetes (442, 10), digits (1797, 64) or wine (178, 13).

    Raises:
        DataError: no bundled table has this name.

    >>> load("digits").names[:2]
    ('pixel_0_0', 'pixel_0_1')
    """
    if name not in BUNDLED:
        raise DataError(f"{name!r}", f"must be one of {quoted(BUNDLED)}")
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = tuple(str(feature) for feature in bunch.feature_names)
    return Table(np.ascontiguousarray(bunch.data, dtype=np.float64), names, name)


def target(name: str) -> np.ndarray:
    """scikit-learn's target of a bundled table, (N,): class numbers, or measurements of diabetes.

    Raises:
        DataError: no bundled table has this name.

    >>> target("digits").shape
    (1797,)
    """
    if name not in BUNDLED:
        raise DataError(f"{name!r}", f"must be one of {quoted(BUNDLED)}")
    from sklearn import datasets

    return np.asarray(getattr(datasets, f"load_{name}")().target)
