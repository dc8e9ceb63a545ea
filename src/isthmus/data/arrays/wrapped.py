"""Numbers in the wrappings of other packages as NumPy and SciPy hold them.

========================  ==========================================================
masked array of NumPy     an array with NaN, which is missing, for a masked entry
matrix of NumPy           an array
tensor of torch           an array; bfloat16, which NumPy has not, as float32; a quantised
                          tensor as the numbers it stands for
sparse tensor of torch    a sparse array of SciPy, of the same entries
========================  ==========================================================
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from isthmus.errors import DataError


def unwrapped(X: Any, name: str) -> Any:
    """The same numbers as an array of NumPy or SciPy; anything else as it is.

    Args:
        X: of any kind.
        name: by which errors speak of it.

    Raises:
        DataError: a sparse tensor has more than two axes.

    >>> unwrapped(np.ma.masked_array([[1, 2]], mask=[[False, True]]), "X")
    array([[ 1., nan]])
    """
    if isinstance(X, np.ma.MaskedArray):
        wide = X.dtype if X.dtype.kind in "fc" else np.float64
        return np.ma.filled(X.astype(wide), np.nan)
    if isinstance(X, np.matrix):
        return np.asarray(X)
    if not is_tensor(X):
        return X
    X = X.detach().cpu()
    if X.is_quantized:
        X = X.dequantize()
    if str(X.dtype) == "torch.bfloat16":
        X = X.float()
    return X.numpy() if str(X.layout) == "torch.strided" else _sparse(X, name)


def is_tensor(X: Any) -> bool:
    """Whether it is a tensor of torch, which whoever made it has imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def _sparse(X: Any, name: str) -> Any:
    from scipy.sparse import coo_array, csr_array

    if X.ndim != 2 or X.dense_dim():
        raise DataError(
            f"{name}, a sparse tensor of shape {tuple(X.shape)}",
            "must have two axes, both of them sparse",
            "Give X.to_dense().",
        )
    if str(X.layout) == "torch.sparse_csr":
        parts = (X.values(), X.col_indices(), X.crow_indices())
        return csr_array(tuple(part.numpy() for part in parts), shape=tuple(X.shape))
    X = X.to_sparse_coo().coalesce()
    return coo_array((X.values().numpy(), tuple(X.indices().numpy())), shape=tuple(X.shape))
