"""What is shown of a model: rows and their reconstructions, walks through the code, odd rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.smoothness import walk

Array = NDArray[Any]
Decode = Callable[[Array], Array]
MOST_ROWS, MOST_ENTRIES = 2000, 400_000
LATENTS, POINTS, PAIRS = 16, 9, 6
OUTLIERS = 12


def subset(n_rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Positions, rising, of at most so many rows drawn at random; fewer are part of more.

    >>> set(subset(100, 5, 0)) <= set(subset(100, 10, 0)), len(subset(3, 5, 0))
    (True, 3)
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    return np.sort(order[:most]).astype(np.int64)


def shown(n_rows: int, n_features: int, seed: int) -> NDArray[np.int64]:
    """Positions of the rows that are written out: at most 2,000, and 400,000 entries."""
    return subset(n_rows, min(MOST_ROWS, max(20, MOST_ENTRIES // n_features)), seed)


def plane(codes: Array) -> tuple[Array, dict[str, str]]:
    """The code as a map: (N, 2) and what its axes are.

    The code itself at K = 2, its first two principal axes above, a latent against its order among
    the rows at K = 1.

    >>> plane(np.array([[1.0, 2.0]]))[1]["x"]
    'latent 1'
    """
    z = codes.astype(np.float64)
    n_latents = z.shape[1]
    if n_latents == 2:
        return z, {"x": "latent 1", "y": "latent 2"}
    if n_latents == 1:
        rank = (np.argsort(np.argsort(z[:, 0])) + 0.5) / len(z)
        return np.stack([z[:, 0], rank], 1), {"x": "latent 1", "y": "share of rows below"}
    centred = z - z.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    two = axes[:, ::-1][:, :2]
    two = two * np.sign(two[np.abs(two).argmax(0), [0, 1]])
    share = values[::-1][:2] / max(float(values.sum()), np.finfo(float).tiny)
    words = [
        f"{place} principal axis of the code ({100 * part:.0f}% of its variance)"
        for place, part in zip(("first", "second"), share, strict=True)
    ]
    return centred @ two, {"x": words[0], "y": words[1]}


def traversal(decode: Decode, codes: Array, order: Array) -> dict[str, Array]:
    """One latent at a time from its 1st to its 99th percentile, the others at their mean.

    Args:
        decode: (N, K) → (N, D).
        codes: (N, K).
        order: latents, those to show first; at most 16 are taken.

    Returns:
        ``traversal`` (T_k, T, D), ``traversal_latent`` (T_k,), ``traversal_value`` (T_k, T).
    """
    latents = np.asarray(order[:LATENTS], dtype=np.int64)
    low, high = np.quantile(codes, [0.01, 0.99], axis=0)
    values = np.linspace(low[latents], high[latents], POINTS, axis=1)
    z = np.tile(codes.mean(0), (len(latents), POINTS, 1))
    for row, latent in enumerate(latents):
        z[row, :, latent] = values[row]
    decoded = decode(z.reshape(-1, codes.shape[1]).astype(codes.dtype))
    return {
        "traversal": decoded.reshape(len(latents), POINTS, -1),
        "traversal_latent": latents,
        "traversal_value": values,
    }


def pairs(n_rows: int, labels: Array | None, n_pairs: int, seed: int) -> NDArray[np.int64]:
    """(P, 2) positions of different rows, of different labels where there are two."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, int]] = []
    differ = labels is not None and len(np.unique(labels)) > 1
    for _ in range(50 * n_pairs):
        a, b = (int(i) for i in rng.integers(0, n_rows, 2))
        if a == b or (differ and labels is not None and labels[a] == labels[b]):
            continue
        found.append((a, b))
        if len(found) == n_pairs:
            break
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def walks(decode: Decode, codes: Array, ends: Array, n_points: int = POINTS) -> Array:
    """What the straight walks between codes decode to, (P, T, D).

    Args:
        decode: (N, K) → (N, D).
        codes: (N, K).
        ends: (P, 2) positions of their ends.
        n_points: T ≥ 2.
    """
    if not len(ends):
        return np.zeros((0, n_points, decode(codes[:1]).shape[1]))
    z = np.stack([walk(codes[a], codes[b], n_points) for a, b in ends])
    return decode(z.reshape(-1, codes.shape[1]).astype(codes.dtype)).reshape(
        len(ends), n_points, -1
    )


def outliers(
    error: Array,
    residual: Callable[[Array], Array],
    feature_error: Array,
    n: int = OUTLIERS,
) -> dict[str, Array]:
    """The rows that are reconstructed worst.

    Args:
        error: (N,) squared error of each row.
        residual: positions (O,) → squared residuals (O, D) in the unit of ``error``, 0 where an
            entry is missing.
        feature_error: (D,) mean squared residual over all rows.
        n: how many at most.

    Returns:
        ``row`` (O,) positions, worst first; ``p`` (O,) share of rows at least as bad; and
        ``contribution`` (O, D), each feature's squared residual over its mean over all rows.

    >>> squares = np.array([[1.0], [9.0], [2.0]])
    >>> outliers(squares[:, 0], lambda rows: squares[rows], np.array([4.0]), 1)["contribution"]
    array([[2.25]])
    """
    worst = np.argsort(-error, kind="stable")[:n]
    squares = residual(worst)
    contribution = np.divide(
        squares,
        feature_error,
        out=np.zeros(squares.shape),
        where=np.broadcast_to(feature_error > 0, squares.shape),
    )
    p = np.array([float((error >= error[row]).mean()) for row in worst])
    return {"row": worst.astype(np.int64), "p": p, "contribution": contribution}
