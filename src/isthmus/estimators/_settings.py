"""The parameters of an autoencoder, and what they are where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from torch import nn


@dataclass(eq=False, repr=False)
class Settings:
    """What a fit is asked for; see :class:`isthmus.Autoencoder` for each of them."""

    n_components: int | float | str = 2
    _: KW_ONLY
    network: str = "auto"
    sample_shape: Sequence[int] | None = None
    hidden_layer_sizes: str | Sequence[int] = "auto"
    activation: str = "silu"
    likelihood: str = "auto"
    kinds: Mapping[str, str] | None = None
    handle_unknown: str = "missing"
    scaling: str = "auto"
    linear_start: bool = True
    noise: str | None = None
    noise_level: float | None = None
    emphasis: float = 1.0
    contraction: float = 0.0
    contraction_method: str = "auto"
    sparsity: float = 0.0
    beta: float | None = None
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    objective: str = "evidence"
    n_draws: int = 1
    jitter: str | float = "auto"
    max_epochs: str | int = "auto"
    batch_size: str | int = "auto"
    learning_rate: str | float = "auto"
    weight_decay: float = 0.3
    optimizer: str = "adamw"
    early_stopping: str | bool = "auto"
    validation_fraction: float = 0.1
    patience: str | int | None = "auto"
    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: str | bool = "auto"
    random_state: Any = None
    verbose: int = 0
