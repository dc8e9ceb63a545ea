"""Small images side by side, as one PNG inside the page.

Marks are drawn as ink on paper: the least value white, the most black, pixels not smoothed. What
lies between the images is transparent, so that a page with a dark background may invert them.
Photographs, grey or in colour, are drawn as light and never inverted.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
GAP = 1


def mosaic(images: Array, n_columns: int, *, ink: float, gap: int = GAP) -> Array:
    """Images in rows of ``n_columns``, as grey and alpha.

    Args:
        images: (N, H, W), 0 is white; values outside 0 to ``ink`` are cut.
        n_columns: images in a row; the last row is filled up with nothing.
        ink: the value that is black.
        gap: transparent pixels between images.

    Returns:
        (rows, columns, 2) uint8, grey and opacity.

    >>> mosaic(np.zeros((3, 8, 8)), 2, ink=16.0).shape
    (17, 17, 2)
    """
    n, height, width = images.shape
    n_rows = -(-n // n_columns)
    shape = (n_rows * (height + gap) - gap, n_columns * (width + gap) - gap, 2)
    canvas = np.zeros(shape, dtype=np.uint8)
    grey = np.rint(255.0 * (1.0 - np.clip(images / ink, 0.0, 1.0))).astype(np.uint8)
    for k in range(n):
        top, left = k // n_columns * (height + gap), k % n_columns * (width + gap)
        canvas[top : top + height, left : left + width, 0] = grey[k]
        canvas[top : top + height, left : left + width, 1] = 255
    return canvas


def photographs(images: Array, n_columns: int, *, white: float, gap: int = GAP) -> Array:
    """Images in rows of ``n_columns`` as red, green, blue and alpha.

    Args:
        images: (N, C, H, W), 0 is black; three channels and more are red, green and blue first,
            fewer their mean in grey.
        n_columns: images in a row; the last row is filled up with nothing.
        white: the value that is brightest.
        gap: transparent pixels between images.

    Returns:
        (rows, columns, 4) uint8.

    >>> photographs(np.zeros((3, 3, 8, 8)), 2, white=1.0).shape
    (17, 17, 4)
    """
    channels = images.shape[1]
    colours = images[:, :3] if channels >= 3 else images.mean(1, keepdims=True).repeat(3, axis=1)
    planes = [mosaic(white - colours[:, c], n_columns, ink=white, gap=gap) for c in range(3)]
    return np.dstack([*(plane[..., 0] for plane in planes), planes[0][..., 1]])


def data_uri(canvas: Array) -> str:
    """The (H, W, 2 or 4) uint8 image as the address of a PNG that is part of the page."""
    file = io.BytesIO()
    Image.fromarray(canvas).save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
