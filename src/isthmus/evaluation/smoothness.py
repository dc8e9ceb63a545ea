"""Whether neighbouring codes decode alike.

The decoder g is asked at a code z and at a neighbour, a random step away:

    c(z) = E_u ‖g(z + δ s∘u) − g(z)‖² / (δ² V) ,   u ~ N(0, I)

with s the standard deviation of each latent and V = mean ‖g(z) − ḡ‖² the spread of what is decoded,
both over the codes at hand. Neither the scale of the code nor a decoder that hardly varies can
lower it. A linear decoder of uncorrelated codes, PCA's, has a mean of 1 at every δ; above 1 the
decoder is rougher than linear at that distance. (Compare the pull-back metric of Arvanitidis et
al. 2018, *Latent Space Oddity*, whose trace is the limit δ → 0, up to s and V.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Decode = Callable[[Array], Array]
STEP = 0.25


def neighbour_change(
    decode: Decode, codes: Array, *, step: float = STEP, n_draws: int = 8, seed: int = 0
) -> Array:
    """c(z) of each code.

    Args:
        decode: maps (N, K) to (N, D).
        codes: (N, K) codes of rows, N ≥ 2.
        step: δ > 0, in standard deviations of each latent.
        n_draws: neighbours of each code, at least 1.
        seed: of the draw.

    Returns:
        (N,), a ratio without unit, at least 0; lower is smoother, a linear decoder has mean 1.

    >>> rng = np.random.default_rng(0)
    >>> c = neighbour_change(lambda z: z @ np.ones((1, 3)), rng.normal(size=(2000, 1)))
    >>> round(float(c.mean()), 1)
    1.0
    """
    rng = np.random.default_rng(seed)
    images = decode(codes).astype(np.float64)
    spread = np.square(images - images.mean(0)).sum(1).mean()
    s = codes.std(0, dtype=np.float64)
    total = np.zeros(len(codes))
    for _ in range(n_draws):
        near = (codes + step * s * rng.standard_normal(codes.shape)).astype(codes.dtype)
        total += np.square(decode(near) - images).sum(1)
    return total / (n_draws * step**2 * max(float(spread), np.finfo(float).tiny))


def walk(start: Array, end: Array, n_points: int) -> Array:
    """Evenly spaced points of the straight line between two codes (K,), both included.

    Returns:
        (n_points, K).

    >>> walk(np.array([0.0]), np.array([1.0]), 3).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    t = np.linspace(0.0, 1.0, n_points)[:, None]
    return (1.0 - t) * start + t * end


def detour(paths: Array) -> Array:
    """Length of each decoded path over the distance of its ends: Σ_t ‖g_t+1 − g_t‖ / ‖g_T − g_0‖.

    Args:
        paths: (P, T, D) what the points of P walks decode to, T ≥ 2.

    Returns:
        (P,), at least 1, lower is smoother; 1 for every linear decoder. NaN where the ends decode
        alike. The length is the discrete form of the curve length of Shao et al. 2018, *The
        Riemannian Geometry of Deep Generative Models*.

    >>> detour(np.array([[[0.0], [2.0], [1.0]], [[0.0], [1.0], [2.0]]]))
    array([3., 1.])
    """
    steps = np.linalg.norm(np.diff(paths.astype(np.float64), axis=1), axis=2)
    chord = np.linalg.norm(paths[:, -1].astype(np.float64) - paths[:, 0], axis=1)
    apart = chord > 0
    ratio: Array = np.full(len(paths), np.nan)
    ratio[apart] = steps.sum(1)[apart] / chord[apart]
    return ratio


def jump(paths: Array) -> Array:
    """Largest step of each decoded path over its mean step: max_t ‖g_t+1 − g_t‖ / mean_t.

    Args:
        paths: (P, T, D), T ≥ 2.

    Returns:
        (P,), 1 to T − 1, lower is smoother; 1 for every linear decoder, T − 1 where everything
        happens at once. NaN for a path that stays where it is.

    >>> jump(np.array([[[0.0], [3.0], [4.0]]]))
    array([1.5])
    """
    steps = np.linalg.norm(np.diff(paths.astype(np.float64), axis=1), axis=2)
    mean = steps.mean(1)
    moves = mean > 0
    ratio: Array = np.full(len(paths), np.nan)
    ratio[moves] = steps.max(1)[moves] / mean[moves]
    return ratio
