"""PCA of the rows a model was fitted to, in the units of its errors: the line to beat.

Rows are u = (x − shift) · unit / scale, with a missing entry at 0, as the model's own linear start
sees them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from isthmus.core.pca import errors_by_size, spectrum

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
        self._spectrum = spectrum(rows, max(n_components, MOST))
        self.n_components = n_components
        self.mean: Array = self._spectrum.mean.numpy()
        self.axes: Array = self._spectrum.axes[:n_components].numpy()

    def codes(self, u: Array) -> Array:
        """Principal components (N, K) of rows (N, D)."""
        z: Array = (np.nan_to_num(u, nan=0.0) - self.mean) @ self.axes.T
        return z

    def reconstruct(self, u: Array) -> Array:
        """(N, D), float64."""
        made: Array = self.mean + self.codes(u) @ self.axes
        return made

    def curve(self, u: Array) -> Array:
        """Mean squared error per row of PCA with 1 … R components on rows without missing entries.

        Returns:
            (R,), falling; R at most 256, or K where that is more.
        """
        rows = torch.from_numpy(np.nan_to_num(u, nan=0.0))
        errors = errors_by_size(self._spectrum, rows, rows, torch.ones(rows.shape[1]))
        mean: Array = errors.mean(0).numpy()
        return mean
