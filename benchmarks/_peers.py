"""Pythae's trainer on networks of our choice, one epoch at a time, without its logging."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def _modules() -> Any:
    """Pythae, or the end of the program with a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pythae.data.datasets
            import pythae.models
            import pythae.models.base.base_utils
            import pythae.models.nn
            import pythae.trainers
    except ImportError:
        raise SystemExit("skipped: pip install -c constraints.txt -e '.[bench]'") from None
    logging.disable(logging.INFO)  # its trainers set their own levels
    return pythae


def pythae_model(
    encoder: nn.Module,
    decoder: nn.Module,
    shape: tuple[int, ...],
    n_components: int,
    variational: bool = True,
    loss: str = "bce",
) -> nn.Module:
    """Pythae's VAE or AE of those networks: (N, *shape) → (N, 2K) or (N, K), and back to logits."""
    pythae = _modules()
    base, output = pythae.models.nn, pythae.models.base.base_utils.ModelOutput

    class Encoder(base.BaseEncoder):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            base.BaseEncoder.__init__(self)
            self.net = encoder

        def forward(self, x: Tensor) -> Any:
            raw = self.net(x)
            if not variational:
                return output(embedding=raw)
            return output(embedding=raw[:, :n_components], log_covariance=raw[:, n_components:])

    class Decoder(base.BaseDecoder):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            base.BaseDecoder.__init__(self)
            self.net = decoder

        def forward(self, z: Tensor) -> Any:
            raw = self.net(z).reshape(len(z), *shape)
            return output(reconstruction=raw.sigmoid() if loss == "bce" else raw)

    models = pythae.models
    if variational:
        config = models.VAEConfig(
            input_dim=shape, latent_dim=n_components, reconstruction_loss=loss
        )
        model = models.VAE(config, encoder=Encoder(), decoder=Decoder())
    else:
        config = models.AEConfig(input_dim=shape, latent_dim=n_components)
        model = models.AE(config, encoder=Encoder(), decoder=Decoder())
    found: nn.Module = model
    return found


def pythae_trainer(
    model: nn.Module, x: Tensor, batch_size: int, learning_rate: float = 1e-4
) -> Callable[[], None]:
    """A function that trains one epoch with Pythae's own trainer."""
    pythae = _modules()
    data = pythae.data.datasets.BaseDataset(x, torch.zeros(len(x)))
    config = pythae.trainers.BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=batch_size,
        learning_rate=learning_rate,
        num_epochs=1,
    )
    trainer = pythae.trainers.BaseTrainer(model, data, training_config=config)
    trainer.prepare_training()
    # its progress bar writes to the terminal at every step
    trainer.callback_handler.callbacks = []
    epoch = 0

    def one() -> None:
        nonlocal epoch
        epoch += 1
        trainer.train_step(epoch)

    return one
