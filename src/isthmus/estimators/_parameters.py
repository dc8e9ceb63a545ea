"""Rules for the parameters, and what they and "auto" come to for given data."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, cast

import torch

from isthmus.core.autoencoder import Autoencoder as Core
from isthmus.core.jacobian import METHODS
from isthmus.core.likelihoods import Likelihood
from isthmus.data.rows.scaling import KINDS, Kind
from isthmus.engine.plan import RULES, Plan, Rule
from isthmus.engine.products import PRECISIONS, Precision
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.estimators._checks import is_whole, number, one_of, whole
from isthmus.estimators._defaults import (
    FEW_EVALUATIONS,
    MOST_HELD_OUT,
    SLOW,
    SLOW_FACTOR,
    Recipe,
    auto_jitter,
)
from isthmus.estimators._fitted import Fitted
from isthmus.estimators._fitting import Progress
from isthmus.estimators._material import Selection
from isthmus.nets.activations import ACTIVATIONS
from isthmus.nets.conv import SMALLEST

MOST_CATEGORIES = 1000
# Rounds of a long training are no longer than this: Ctrl-C and checkpoints keep the last one.
MOST_STEPS_A_ROUND = 500
NETWORKS = ("auto", "mlp", "conv")


def check(estimator: Fitted, n_features: int) -> None:
    """Refuse parameters that are wrong in themselves or for that many features.

    Raises:
        InvalidParameterError: what was given, the rule, the remedy.
    """
    width = 0 if is_chosen(estimator.n_components) else int(estimator.n_components)
    for name in ("weight_decay", "emphasis", "contraction", "sparsity", "free_bits"):
        number(name, getattr(estimator, name))
    for name in ("beta", "noise_level"):
        if getattr(estimator, name) is not None:
            number(name, getattr(estimator, name))
    one_of("handle_unknown", estimator.handle_unknown, ("missing", "error"))
    one_of("contraction_method", estimator.contraction_method, METHODS)
    one_of("objective", estimator.objective, ("evidence", "importance"))
    if estimator.objective == "importance" and estimator.beta is None:
        raise CombinationError(
            "objective='importance' with a deterministic encoder",
            "is not defined: the bound weighs codes by their density",
            "Use VariationalAutoencoder, or give beta=1.0.",
        )
    if width >= n_features and not _regularised(estimator):
        rule = (
            f"must be between 1 and {n_features - 1}, one less than n_features={n_features}, "
            "the number of features of X"
            if n_features > 1
            else "leaves nothing to compress: X has n_features=1, and a bottleneck is narrower"
        )
        raise InvalidParameterError(
            f"n_components={estimator.n_components}",
            rule,
            f"{'Ask for fewer components' if n_features > 1 else 'Give more columns'}, or use a "
            "denoising, contractive, sparse or variational autoencoder, which may be as wide as "
            "its input.",
        )
    for name in ("max_epochs", "batch_size"):
        value = getattr(estimator, name)
        if value != "auto":
            whole(name, value, 1)
    if estimator.patience not in ("auto", None):
        whole("patience", estimator.patience, 1)
    whole("n_draws", estimator.n_draws, 1)
    if estimator.jitter != "auto":
        number("jitter", estimator.jitter)
    if estimator.learning_rate != "auto":
        number("learning_rate", estimator.learning_rate, above=True)
    fraction = estimator.validation_fraction
    if not isinstance(fraction, Real) or not 0 < float(fraction) < 1:
        raise InvalidParameterError(
            f"validation_fraction={fraction!r}", "must lie between 0 and 1, both excluded"
        )
    one_of("early_stopping", estimator.early_stopping, ("auto", True, False))
    one_of("precision", estimator.precision, ("auto", *PRECISIONS))
    one_of("compile", estimator.compile, ("auto", True, False))
    one_of("optimizer", estimator.optimizer, RULES)
    one_of("scaling", estimator.scaling, KINDS)
    one_of("activation", estimator.activation, tuple(ACTIVATIONS))
    one_of("network", estimator.network, NETWORKS)
    if estimator.network == "conv" and estimator.sample_shape_ is None:
        raise CombinationError(
            "network='conv' with flat rows",
            "is not defined: nothing says what an image or a series is",
            "Give X as (N, H, W) or (N, C, T), or say sample_shape=(28, 28).",
        )
    warmup = estimator.kl_warmup
    if not isinstance(warmup, Real) or not 0 <= float(warmup) <= 1:
        raise InvalidParameterError(
            f"kl_warmup={warmup!r}", "must lie between 0 and 1, a share of the training"
        )
    for name in ("encoder", "decoder"):
        network = getattr(estimator, name)
        if network is not None and not isinstance(network, torch.nn.Module):
            raise InvalidParameterError(f"{name}={network!r}", "must be None or a torch.nn.Module")
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, str):
        one_of("hidden_layer_sizes", sizes, ("auto",))
    elif not isinstance(sizes, Iterable) or not all(is_whole(n) and n >= 1 for n in sizes):
        raise InvalidParameterError(
            f"hidden_layer_sizes={sizes!r}", "must be 'auto' or a sequence of widths of at least 1"
        )


def is_chosen(n_components: Any) -> bool:
    """Whether the number is chosen from the rows: "auto", or a share of variance."""
    if isinstance(n_components, str) and n_components == "auto":
        return True
    if isinstance(n_components, Real) and not isinstance(n_components, Integral | bool):
        if 0 < float(n_components) < 1:
            return True
    elif is_whole(n_components) and n_components >= 1:
        return False
    raise InvalidParameterError(
        f"n_components={n_components!r}",
        "must be a whole number of at least 1, 'auto', or a share of variance between 0 and 1, "
        "both excluded",
    )


def n_components(estimator: Fitted) -> int:
    """K: what was given, or what the fit chose.

    Raises:
        CombinationError: it is to be chosen and there was no fit.
    """
    if not is_chosen(estimator.n_components):
        return int(estimator.n_components)
    if not hasattr(estimator, "n_components_"):
        raise CombinationError(
            f"partial_fit with n_components={estimator.n_components!r}",
            "has too few rows to choose from",
            "Call fit first, or give a whole number.",
        )
    return estimator.n_components_


def _regularised(estimator: Fitted) -> bool:
    """Whether something else than the bottleneck keeps the code from being a copy of the input."""
    return (
        (estimator.noise is not None and estimator.noise_level != 0)
        or estimator.contraction > 0
        or estimator.sparsity > 0
        or (estimator.beta is not None and estimator.beta > 0)
    )


def network(estimator: Fitted, sample_shape: tuple[int, ...] | None) -> str:
    """Which network: "mlp" or "conv".

    "auto" is "conv" for images with sides of at least 8 and for series of at least 8 points. Two
    exceptions: widths that are given are a perceptron's, and a contraction is much cheaper
    with one.
    """
    if estimator.network != "auto":
        return str(estimator.network)
    if sample_shape is None or not isinstance(estimator.hidden_layer_sizes, str):
        return "mlp"
    fits = min(sample_shape[1:]) >= SMALLEST and estimator.likelihood != "categorical"
    return "conv" if fits and not estimator.contraction else "mlp"


def jitter(estimator: Fitted, n_rows: int, starts_linear: bool) -> float:
    """Noise on the encoder's input in training; "auto" spares models with a regulariser."""
    if estimator.jitter != "auto":
        return float(estimator.jitter)
    own = estimator.encoder is not None or estimator.decoder is not None
    if _regularised(estimator) or own or not starts_linear:
        return 0.0
    return auto_jitter(n_rows)


def noise(estimator: Fitted) -> str | None:
    """The corruption; "auto" is Gaussian noise for numbers and masking for mixed tables."""
    if estimator.noise != "auto":
        return estimator.noise
    return "gaussian" if getattr(estimator, "encoding_", None) is None else "masking"


def device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        InvalidParameterError: the name means nothing, or no such device is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InvalidParameterError(
            f"device={name!r}",
            "is not a device of this machine",
            "Use device='auto', or 'cpu'.",
        ) from error
    return found


def scaling(kind: str, head: Likelihood, name: str) -> Kind:
    """The kind of scaling for that likelihood: only real data may be rescaled."""
    if head.support == "real":
        return cast(Kind, kind)
    if head.support == "mixed" and kind in ("auto", "standard"):
        return "standard"
    if kind in ("auto", "none"):
        return "none"
    raise CombinationError(
        f"scaling={kind!r} with likelihood={name!r}",
        "moves the data out of the support of the likelihood",
        "Use scaling='auto' or 'none'.",
    )


def plan(estimator: Fitted, auto: Recipe, n_rows: int) -> tuple[Plan, Selection]:
    """How long, at which rate, and how the state to keep is chosen."""
    selection = _selection(estimator, auto, n_rows)
    n_train = n_rows - selection.n_held_out
    size = auto.batch_size if estimator.batch_size == "auto" else int(estimator.batch_size)
    a_round = max(1, n_train // min(size, n_train))
    steps = auto.steps if estimator.max_epochs == "auto" else int(estimator.max_epochs) * a_round
    rate = auto.learning_rate if estimator.learning_rate == "auto" else estimator.learning_rate
    evaluations = _evaluations(auto, steps * size, selection.n_held_out)
    patience = auto.patience(evaluations) if estimator.patience == "auto" else estimator.patience
    every = share = max(1, steps // evaluations)
    if every > MOST_STEPS_A_ROUND:  # a stop finds a recent state; patience stays as long as it was
        every = MOST_STEPS_A_ROUND
        patience = None if patience is None else round(int(patience) * share / every)
    precision = auto.precision if estimator.precision == "auto" else estimator.precision
    return (
        Plan(
            steps=steps,
            batch_size=size,
            evaluate_every=every,
            learning_rate=float(rate),
            slow=SLOW,
            slow_factor=SLOW_FACTOR,
            weight_decay=float(estimator.weight_decay),
            optimizer=cast(Rule, estimator.optimizer),
            patience=None if patience is None else int(patience),
            precision=cast(Precision, precision),
            compile=cast(Any, estimator.compile),
        ),
        selection,
    )


def _evaluations(auto: Recipe, n_trained: int, n_held_out: int) -> int:
    """How often held-out rows are looked at: in at most a tenth of the time of a short training."""
    # a look takes half the time of a step over as many rows
    affordable = 0.2 * n_trained / max(1, n_held_out)
    return max(min(FEW_EVALUATIONS, auto.evaluations), min(auto.evaluations, round(affordable)))


def _selection(estimator: Fitted, auto: Recipe, n_rows: int) -> Selection:
    if estimator.early_stopping is False:
        return Selection()
    if estimator.early_stopping == "auto" and auto.n_folds > 1 and n_rows >= 2 * auto.n_folds:
        return Selection(n_folds=auto.n_folds)
    held_out = max(1, round(estimator.validation_fraction * n_rows))
    return Selection(n_held_out=min(held_out, MOST_HELD_OUT, n_rows - 1))


_OUTPUTS = {
    "encoder": "A Gaussian encoder needs two outputs a latent, means first, then log-variances; "
    "any other one.",
    "decoder": "A decoder gives what the likelihood asks for: {n_outputs} numbers for "
    "{n_features} features.",
}


def to_train(network: Any) -> Any:
    """A copy of a network of the user's own, in training mode.

    One that is in evaluation mode as a whole was used before; parts of one in training mode that
    are in evaluation mode, such as frozen batch norms, stay so.
    """
    copied = copy.deepcopy(network)
    return copied if copied is None or copied.training else copied.train()


def check_networks(core: Core, n_features: int) -> None:
    """Run one row of zeros through the user's own networks and compare sizes.

    Raises:
        InvalidParameterError: a network cannot take its input or gives another number of outputs.
    """
    n_components = core.n_components
    for name, part, n_in in (
        ("encoder", core.encoder, n_features),
        ("decoder", core.decoder, n_components),
    ):
        was_training = part.net.training
        part.net.eval()
        try:
            with torch.no_grad():
                out = part.net(torch.zeros(2, n_in, dtype=torch.float32))
        except RuntimeError as error:
            raise InvalidParameterError(
                f"{name}={type(part.net).__name__}",
                f"cannot take rows of {n_in} values: {error}",
            ) from error
        part.net.train(was_training)
        if not isinstance(out, torch.Tensor) or out[0].numel() != part.n_outputs:
            given = out[0].numel() if isinstance(out, torch.Tensor) else type(out).__name__
            raise InvalidParameterError(
                f"{name}={type(part.net).__name__}",
                f"gives {given} outputs for a row and must give {part.n_outputs}",
                _OUTPUTS[name].format(n_outputs=part.n_outputs, n_features=n_features),
            )


def line(name: str, progress: Progress) -> str:
    """One line of a verbose fit."""
    return (
        f"[{name}] step {progress.step}/{progress.steps} "
        f"validation {progress.validation:.4f} nats, "
        f"squared error {progress.squared_error:.5g} (PCA {progress.pca_squared_error:.5g})"
    )
