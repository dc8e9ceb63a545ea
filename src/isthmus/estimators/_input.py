"""What users pass in → a NumPy array of rows, checked; scikit-learn's checks and sentences."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from isthmus.errors import DataError

Floats = NDArray[np.float32] | NDArray[np.float64]


def rows(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1) -> Floats:
    """X as a float32 or float64 array (N, D); NaN stays, infinity is refused.

    Arrays, DataFrames, torch tensors and sparse matrices (made dense). float64 stays float64,
    integers of at most 16 bits and float16 become float32, other integers float64.

    Args:
        estimator: remembers or compares the number and names of features.
        X: the input.
        reset: whether this is the fit.
        min_rows: fewest rows allowed.

    Raises:
        ValueError: scikit-learn's, for a wrong shape, number or names of features, or infinity.
        DataError: a feature is missing in every row of the fit.
    """
    if isinstance(X, torch.Tensor):
        X = X.detach().cpu().numpy()
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse=("csr", "csc", "coo"),
        dtype="numeric",
        ensure_all_finite="allow-nan",
        ensure_min_samples=min_rows,
    )
    if sparse.issparse(X):
        X = X.toarray()
    small = X.dtype.itemsize <= 2 or X.dtype == np.float32
    data = cast(Floats, np.ascontiguousarray(X, dtype=np.float32 if small else np.float64))
    if reset:
        empty = np.isnan(data).all(0)
        if empty.any():
            first = int(empty.argmax())
            names = getattr(estimator, "feature_names_in_", None)
            name = repr(names[first]) if names is not None else str(first)
            raise DataError(
                f"column {name} of X", "has no value in any row", "Drop it, or fill it."
            )
    return data
