"""PCA of the rows a model was fitted to, in the units of its errors: the line to beat.

Rows are u = (x − shift) · unit / scale, with a missing entry at 0, as the model's own linear start
sees them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.core.pca import spectrum

Array = NDArray[Any]
MOST = 256
"""Components up to which the curve of PCA's error is told."""


class PcaLine:
    """PCA with K components; axes as of :func:`isthmus.core.pca.spectrum`.

    Args:
        u: (R, D) rows of the fit, NaN where an entry is missing, R ≥ 2.
        n_components: K.

    >>> u = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])
    >>> PcaLine(u, 1).reconstruct(np.array([[1.0, 3.0]])).round(6)
    array([[2., 2.]])
    """

    def __init__(self, u: Array, n_components: int) -> None:
        rows = torch.from_numpy(np.nan_to_num(u, nan=0.0))
        found = spectrum(rows, max(n_components, MOST))
        self.n_components = n_components
        self.mean: Array = found.mean.numpy()
        self.axes: Array = found.axes.numpy()

    def codes(self, u: Array) -> Array:
        """Principal components (N, K) of rows (N, D)."""
        return self._all(u)[:, : self.n_components]

    def reconstruct(self, u: Array) -> Array:
        """(N, D), float64."""
        z = self.codes(u)
        made: Array = self.mean + z @ self.axes[: z.shape[1]]
        return made

    def curve(self, u: Array) -> Array:
        """Mean squared error per row of PCA with 1 … R components on rows without missing entries.

        Returns:
            (R,), falling; R at most 256, or K where that is more.
        """
        centred = np.nan_to_num(u, nan=0.0) - self.mean
        total = np.square(centred).sum(1).mean()
        explained = np.square(self._all(u)).mean(0).cumsum()
        left: Array = np.maximum(total - explained, 0.0)
        return left

    def _all(self, u: Array) -> Array:
        z: Array = (np.nan_to_num(u, nan=0.0) - self.mean) @ self.axes.T
        return z
