"""Numbers in the wrappings of other packages as NumPy and SciPy hold them.

========================  ==========================================================
masked array of NumPy     an array with NaN, which is missing, for a masked entry
matrix of NumPy           an array
tensor of torch           an array; bfloat16 and floats of 8 bits, which NumPy has not, as
                          float32; a quantised tensor as the numbers it stands for
sparse tensor of torch    a sparse array of SciPy, of the same entries
========================  ==========================================================

A tensor that holds no values (of the device meta, or of a tracer), rows of several lengths (nested)
or a part of a number (types of 1 to 7 bits) is refused.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from isthmus.errors import DataError

_FLOATS = ("torch.float32", "torch.float64")
_HALF = "torch.float16"
"""Of floats NumPy has these, and SciPy's sparse arrays have those of :data:`_FLOATS`."""


def unwrapped(X: Any, name: str, *, dense: bool = False) -> Any:
    """The same numbers as an array of NumPy or SciPy; anything else as it is.

    Args:
        X: of any kind.
        name: by which errors speak of it.
        dense: whether a sparse tensor, of any shape, becomes an array.

    Raises:
        DataError: a sparse tensor has more than two axes, or a tensor has no numbers for NumPy.

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
    if X.is_nested:
        raise DataError(
            f"{name}, a nested tensor,",
            "must have rows of one length",
            "Give torch.nested.to_padded_tensor(tensor, float('nan')): what a row is short of is "
            "missing then.",
        )
    if X.is_meta:
        raise DataError(
            f"{name}, a tensor of the device meta,",
            "must hold values; such a tensor has a shape alone",
            "Give the tensor that was computed, on a device that holds it.",
        )
    strided = dense or not str(X.layout).startswith("torch.sparse")
    try:
        X = X.detach().cpu()
        if X.is_quantized:
            X = X.dequantize()
        kind = str(X.dtype)
        if X.is_floating_point() and kind not in _FLOATS and (kind != _HALF or not strided):
            X = X.float()
        if strided and str(X.layout) != "torch.strided":
            X = X.to_dense()
        return X.resolve_conj().resolve_neg().numpy() if strided else _sparse(X, name)
    except (RuntimeError, TypeError) as error:  # each is torch's of some type
        raise DataError(
            f"{name}, a {type(X).__name__} of {X.dtype},",
            f"must be a tensor of numbers that NumPy can hold ({str(error).splitlines()[0]:.80})",
            "Give a plain tensor of torch.float32.",
        ) from error


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
