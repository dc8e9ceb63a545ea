"""What the latents of a variational autoencoder carry, in nats.

For codes q(z|x_n) = N(m_n, v_n) of N rows, a prior p and the aggregate posterior
q(z) = (1/N) Σ_n q(z|x_n), the mean rate splits (Hoffman & Johnson 2016, *ELBO surgery*):

    (1/N) Σ_n KL(q(z|x_n) ‖ p)  =  I(n; z)  +  KL(q(z) ‖ p)

The first part is what the code tells about the row, at most ln N; the second is how far the codes
as a whole are from what the model samples from. With N rows the first is a lower bound of I(x; z)
(Poole et al. 2019, *On Variational Bounds of Mutual Information*, with a known encoder) and so the
second an upper bound; the sum of the marginals' divergences bounds it from below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[Any]
Floats = NDArray[np.float64]
ACTIVE = 0.01
"""Burda's threshold on Var_x E[z|x], in squared units of a code whose prior has variance 1."""
_LOG_2PI = math.log(2 * math.pi)
_CHUNK = 2_000_000


def kl_normal(mean: Array, variance: Array) -> Floats:
    """KL(N(m, v) ‖ N(0, 1)) = ½ (m² + v − 1 − ln v), each entry.

    Args:
        mean: m, (N, K).
        variance: v > 0, (N, K).

    Returns:
        (N, K), nats, at least 0 (Kingma & Welling 2014, appendix B).

    >>> kl_normal(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]))
    array([[0.5, 0. ]])
    """
    m, v = mean.astype(np.float64), variance.astype(np.float64)
    kl: Floats = 0.5 * (m**2 + v - 1.0 - np.log(v))
    return kl


def activity(mean: Array) -> Floats:
    """Var_x(E[z_k|x]) of each latent (Burda et al. 2016).

    Args:
        mean: (N, K) codes, N ≥ 1.

    Returns:
        (K,), squared units of the code, at least 0. A latent is active above :data:`ACTIVE`.

    >>> activity(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([1., 0.])
    """
    spread: Floats = np.asarray(mean, dtype=np.float64).var(0)
    return spread


def n_active(activities: Array, threshold: float = ACTIVE) -> int:
    """Active units: how many latents have an activity above the threshold, 0 to K.

    >>> n_active(np.array([1.0, 0.009, 0.011]))
    2
    """
    return int((np.asarray(activities) > threshold).sum())


def mutual_information(mean: Array, variance: Array, *, n_draws: int = 4, seed: int = 0) -> float:
    """I(n; z) = E_n E_q(z|x_n) [ln q(z|x_n) − ln (1/N) Σ_m q(z|x_m)], by draws of z.

    Args:
        mean: m, (N, K).
        variance: v > 0, (N, K).
        n_draws: of each row's code.
        seed: of the draws.

    Returns:
        Nats, 0 to ln N up to the error of the draws: a lower bound of I(x; z).

    >>> m = np.array([[-50.0], [50.0]])
    >>> round(mutual_information(m, np.ones((2, 1))), 4), round(math.log(2), 4)
    (0.6931, 0.6931)
    """
    m, v = mean.astype(np.float64), variance.astype(np.float64)
    own = []
    aggregate = []
    for z in _draws(m, v, n_draws, seed):
        own.append(-0.5 * ((z - m) ** 2 / v + np.log(v) + _LOG_2PI).sum(1))
        aggregate.append(log_aggregate(z, m, v))
    return float(np.mean(own) - np.mean(aggregate))


def log_aggregate(z: Array, mean: Array, variance: Array) -> Floats:
    """ln q(z) of the aggregate posterior at given codes.

    Args:
        z: (M, K).
        mean: m, (N, K).
        variance: v > 0, (N, K).

    Returns:
        (M,), nats.

    >>> log_aggregate(np.zeros((1, 1)), np.zeros((3, 1)), np.ones((3, 1))).round(4)
    array([-0.9189])
    """
    precision = 1.0 / variance
    constant = (mean**2 * precision + np.log(variance) + _LOG_2PI).sum(1)
    size = max(1, _CHUNK // len(mean))
    parts = []
    for start in range(0, len(z), size):
        part = z[start : start + size]
        squares = part**2 @ precision.T - 2.0 * part @ (mean * precision).T + constant
        parts.append(logsumexp(-0.5 * squares, axis=1))
    return np.concatenate(parts) - math.log(len(mean))


def marginal_divergence(mean: Array, variance: Array, *, n_draws: int = 2, seed: int = 0) -> Floats:
    """KL(q(z_k) ‖ N(0, 1)) of each latent's own aggregate posterior, by draws of z.

    Returns:
        (K,), nats, at least 0 up to the error of the draws, lower is closer to the prior. Their
        sum is at most KL(q(z) ‖ p(z)): the rest is dependence between latents (Chen et al. 2018,
        *Isolating Sources of Disentanglement*, equation 2).

    >>> bool(marginal_divergence(np.zeros((4, 1)), np.ones((4, 1)))[0] == 0.0)
    True
    """
    m, v = mean.astype(np.float64), variance.astype(np.float64)

    def one(k: int) -> float:
        found = []
        for z in _draws(m[:, [k]], v[:, [k]], n_draws, seed):
            prior = -0.5 * (z[:, 0] ** 2 + _LOG_2PI)
            found.append(log_aggregate(z, m[:, [k]], v[:, [k]]) - prior)
        return float(np.mean(found))

    return np.array([one(k) for k in range(m.shape[1])])


def _draws(mean: Floats, variance: Floats, n_draws: int, seed: int) -> list[Floats]:
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(variance)
    return [mean + deviation * rng.standard_normal(mean.shape) for _ in range(n_draws)]


def effect(decode: Callable[[Array], Array], codes: Array, weight: Array) -> Floats:
    """By how much the decoded row changes when one latent moves by its standard deviation.

        e_k = E_n ‖g(z_n + s_k 1_k) − g(z_n)‖² ,    s_k the standard deviation of latent k

    Args:
        decode: (N, K) → (N, D).
        codes: (N, K).
        weight: (D,) by which each feature counts.

    Returns:
        (K,), squared units of the weighted features, at least 0: λ_k for PCA. Neither the scale of
        a latent nor of the others enters.

    >>> effect(lambda z: z @ np.array([[2.0, 0.0]]), np.array([[-1.0], [1.0]]), np.ones(2))
    array([4.])
    """
    start = decode(codes).astype(np.float64)
    deviation = codes.std(0, dtype=np.float64)
    changes = []
    for k, s in enumerate(deviation):
        moved = codes.copy()
        moved[:, k] += s
        changes.append(float(np.square((decode(moved) - start) * weight).sum(1).mean()))
    return np.array(changes)
