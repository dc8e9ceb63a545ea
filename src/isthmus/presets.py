"""Undercomplete, denoising, contractive, variational: the same autoencoder with other slots filled.

The only place where :mod:`isthmus.core` meets :mod:`isthmus.nets`. Each preset is a docstring and
one call of :func:`build`; a mixture (a denoising variational one, a contractive sparse one) is a
call of :func:`build` with both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.conditional import Conditional, Head
from isthmus.core.corruption import corruption
from isthmus.core.jacobian import Method
from isthmus.core.joint import Joint
from isthmus.core.likelihoods import Likelihood
from isthmus.core.likelihoods import likelihood as find_likelihood
from isthmus.core.objectives import EvidenceBound, ImportanceBound
from isthmus.core.penalties import KL, Contraction, Penalty, Sparsity
from isthmus.core.posteriors import Delta, DiagonalGaussian
from isthmus.core.priors import StandardNormal
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.nets.conv import SMALLEST, ConvDecoder, ConvEncoder
from isthmus.nets.mlp import MLP
from isthmus.nets.views import Columns, Log1p, OneHot, Viewed, viewed_size


def build(
    feature_shape: Sequence[int],
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128,),
    *,
    activation: str = "silu",
    likelihood: str | Likelihood = "gaussian",
    n_categories: int = 2,
    columns: Sequence[tuple[str, int, bool]] | None = None,
    linear_path: bool = True,
    noise: str | None = None,
    noise_level: float | None = None,
    emphasis: float = 1.0,
    contraction: float = 0.0,
    contraction_method: Method = "auto",
    sparsity: float = 0.0,
    beta: float | None = None,
    kl_warmup: float = 0.0,
    free_bits: float = 0.0,
    n_draws: int = 1,
    objective: str = "evidence",
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    network: str = "mlp",
    sample_shape: Sequence[int] | None = None,
) -> Autoencoder:
    """An autoencoder for samples of ``feature_shape`` with K = ``n_components`` latents.

    Args:
        feature_shape: *F, shape of one sample.
        n_components: K ≥ 1.
        hidden_layer_sizes: widths of the encoder's hidden layers; the decoder mirrors them.
        activation: name of the activation.
        likelihood: p(x|z), a name of :data:`isthmus.core.likelihoods.LIKELIHOODS` or a head.
        n_categories: C of a categorical likelihood.
        columns: for the likelihood "joint", each column's kind, number of categories, and whether
            the encoder is told where it is missing.
        linear_path: whether a linear path stands beside the perceptrons (see ``linear_start``).
        noise: corruption, None or a name of :data:`isthmus.core.corruption.CORRUPTIONS`.
        noise_level: its level, in units of the scaled data or a probability; None for the default.
        emphasis: weight of corrupted entries in the likelihood.
        contraction: λ of ‖∂E[z]/∂x‖²_F, 0 for none.
        contraction_method: how it is computed.
        sparsity: λ of Σ|E[z_k]|, 0 for none.
        beta: None for a Delta encoder; a number for a Gaussian one with that weight of the KL.
        kl_warmup: share of training over which the KL's weight grows.
        free_bits: nats per latent that are free during training.
        n_draws: S, codes drawn for each sample.
        objective: "evidence" or "importance".
        encoder: network (N, *F) → (N, K), or (N, 2K) with ``beta`` (means, then log-variances),
            in place of the perceptron and its linear path.
        decoder: network (M, K) → (M, n_raw · prod(F)).
        network: "mlp", or "conv" for the convolutional pair of :mod:`isthmus.nets.conv`, whose
            ``hidden_layer_sizes`` are channels of convolutions and then the width of a dense layer.
        sample_shape: (C, H, W) of an image or (C, T) of a series, for "conv"; the features are its
            entries in that order.

    Raises:
        InvalidParameterError: a parameter outside its range.
        CombinationError: parts that do not go together.

    >>> build((5,), 2, (8,), beta=1.0, noise="masking", noise_level=0.2).n_components
    2
    """
    shape = tuple(int(n) for n in feature_shape)
    if n_components < 1:
        raise InvalidParameterError(f"n_components={n_components}", "must be at least 1")
    head = likelihood
    if head == "joint":
        if columns is None or shape != (len(columns),):
            raise InvalidParameterError(
                f"likelihood='joint' with columns={columns!r}", f"needs {math.prod(shape)} columns"
            )
        head = Joint([(kind, n) for kind, n, _ in columns])
    if not isinstance(head, Likelihood):
        head = find_likelihood(head, shape, n_categories)
    posterior: Head = Delta() if beta is None else DiagonalGaussian()
    grid = _grid(network, sample_shape, shape, hidden_layer_sizes, head)
    if encoder is None:
        look = _view(head, [hole for _, _, hole in columns or ()])
        n_out = posterior.n_raw * n_components
        net: MLP | ConvEncoder
        if grid is None:
            n_in = viewed_size(look, shape)
            net = MLP((n_in,), hidden_layer_sizes, n_out, activation, linear_path)
        else:
            net = ConvEncoder(grid, hidden_layer_sizes, n_out, activation, linear_path)
        encoder = net if look is None else Viewed(look, net)
    if decoder is None:
        size = head.n_outputs(shape)
        mirrored = tuple(reversed(hidden_layer_sizes))
        if grid is None:
            decoder = MLP((n_components,), mirrored, size, activation, linear_path)
        else:
            decoder = ConvDecoder(n_components, mirrored, grid, head.n_raw, activation, linear_path)
    if objective == "importance" and (beta not in (None, 1.0) or kl_warmup or free_bits):
        raise CombinationError(
            "objective='importance' with beta, kl_warmup or free_bits",
            "has no KL term of its own that they could weigh",
            "Use beta=1.0 alone, or objective='evidence'.",
        )
    penalties: list[Penalty] = []
    if beta is not None and objective == "evidence":
        penalties.append(KL(beta, kl_warmup, free_bits))
    if contraction != 0:
        penalties.append(Contraction(contraction, contraction_method))
    if sparsity != 0:
        penalties.append(Sparsity(sparsity))
    return Autoencoder(
        Conditional(encoder, posterior, (n_components,)),
        Conditional(decoder, head, shape),
        corruption=corruption(
            noise,
            noise_level,
            shape,
            masked=math.nan if getattr(encoder, "sees_missing", False) else 0.0,
            where=head.continuous if isinstance(head, Joint) else None,
        ),
        prior=None if beta is None else StandardNormal(n_components),
        penalties=penalties,
        objective=_objective(objective, n_draws),
        emphasis=emphasis,
    )


def _objective(name: str, n_draws: int) -> EvidenceBound | ImportanceBound:
    if name == "evidence":
        return EvidenceBound(n_draws)
    if name == "importance":
        return ImportanceBound(n_draws)
    raise InvalidParameterError(f"objective={name!r}", "must be 'evidence' or 'importance'")


def _grid(
    network: str,
    sample_shape: Sequence[int] | None,
    shape: tuple[int, ...],
    sizes: Sequence[int],
    head: Likelihood,
) -> tuple[int, int, int] | None:
    """(C, H, W) that convolutions see, H = 1 for a series; None for a perceptron."""
    if network == "mlp":
        return None
    if network != "conv":
        raise InvalidParameterError(f"network={network!r}", "must be 'mlp' or 'conv'")
    if head.support == "category":
        raise CombinationError(
            "network='conv' with likelihood='categorical'",
            "is not defined: a code of a category is no brightness",
            "Use network='mlp'.",
        )
    given = tuple(int(n) for n in sample_shape or ())
    if len(given) not in (2, 3) or math.prod(given) != math.prod(shape):
        raise InvalidParameterError(
            f"sample_shape={sample_shape!r} with network='conv'",
            f"must be (C, H, W) or (C, T) with a product of {math.prod(shape)}, "
            "the number of features",
        )
    c, h, w = given if len(given) == 3 else (given[0], 1, given[1])
    if w < SMALLEST or 1 < h < SMALLEST:
        raise InvalidParameterError(
            f"sample_shape={given} with network='conv'",
            f"must have sides, or a length, of at least {SMALLEST}",
            "Use network='mlp'.",
        )
    if len(sizes) < 2:
        raise InvalidParameterError(
            f"hidden_layer_sizes={tuple(sizes)!r} with network='conv'",
            "must be channels of at least one convolution, and the width of the dense layer",
            "Such as (32, 32, 256), or 'auto'.",
        )
    return c, h, w


def _view(head: Likelihood, holes: Sequence[bool]) -> nn.Module | None:
    if isinstance(head, Joint):
        return Columns(head.columns, holes or [False] * len(head.columns))
    if head.support == "count":
        return Log1p()
    return OneHot(head.n_raw) if head.support == "category" else None


def undercomplete(
    feature_shape: Sequence[int],
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128,),
    likelihood: str = "gaussian",
) -> Autoencoder:
    """−log p(x|m(x)) through a bottleneck of K < D latents: the non-linear PCA.

    >>> undercomplete((5,), 2).deterministic
    True
    """
    return build(feature_shape, n_components, hidden_layer_sizes, likelihood=likelihood)


def denoising(
    feature_shape: Sequence[int],
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128,),
    likelihood: str = "gaussian",
    noise: str = "gaussian",
    noise_level: float = 0.5,
) -> Autoencoder:
    """E_{x̃ ~ C(x̃|x)}[ −log p(x|m(x̃)) ]: the clean sample from a corrupted one (Vincent 2010).

    >>> denoising((5,), 2).corruption
    GaussianNoise()
    """
    return build(
        feature_shape,
        n_components,
        hidden_layer_sizes,
        likelihood=likelihood,
        noise=noise,
        noise_level=noise_level,
    )


def contractive(
    feature_shape: Sequence[int],
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128,),
    likelihood: str = "gaussian",
    contraction: float = 1.0,
) -> Autoencoder:
    """−log p(x|m(x)) + λ‖∂m/∂x‖²_F: a code that moves little when its input does (Rifai 2011).

    >>> [p.name for p in contractive((5,), 2).active_penalties]
    ['contraction']
    """
    return build(
        feature_shape,
        n_components,
        hidden_layer_sizes,
        likelihood=likelihood,
        contraction=contraction,
    )


def variational(
    feature_shape: Sequence[int],
    n_components: int,
    hidden_layer_sizes: Sequence[int] = (128,),
    likelihood: str = "gaussian",
    beta: float = 1.0,
) -> Autoencoder:
    """E_q[−log p(x|z)] + β KL(q(z|x) ‖ N(0, I)): a distribution over codes (Kingma 2014).

    >>> variational((5,), 2).prior
    StandardNormal()
    """
    return build(feature_shape, n_components, hidden_layer_sizes, likelihood=likelihood, beta=beta)
