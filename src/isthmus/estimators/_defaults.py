"""What "auto" means: widths, batch size, steps and held-out rows from the size of the data.

Chosen by experiment on held-out parts of tables, digits and images; docs/LOG.md has the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from isthmus.engine.products import Precision, fast_precision

# The linear paths start at their optimum: they follow at a fraction of the rate, undecayed.
SLOW = (".linear.",)
SLOW_FACTOR = 0.3
# Held-out rows are looked at 60 times in a full run; 0.3 of it without a gain ends it.
EVALUATIONS = 60
PATIENCE = 18
# Of convolutions: 2,000 held-out images take as long as 15 steps.
FEW_EVALUATIONS = 12
# More held-out rows than this measure no better and only take from training.
MOST_HELD_OUT = 2000
# Up to this many rows the number of steps is cross-validated.
FEW_ROWS = 1000
FEW_COMPONENTS = 3
WIDE = 512
# Channels of a convolution, and the width of the dense layers beside them.
CHANNELS, DENSE = 32, 256
# More images than this are worth three convolutions, fewer are worth more steps.
MANY_ROWS = 5000
# Weights of a layer from which products in half the bits pay for their casts.
HEAVY = 1e5
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Recipe:
    """The defaults for N rows of D features and K components."""

    hidden_layer_sizes: tuple[int, ...]
    batch_size: int
    steps: int
    learning_rate: float
    n_folds: int
    precision: Precision = "float32"
    evaluations: int = EVALUATIONS

    def patience(self, evaluations: int) -> int:
        """Rounds without a gain that end training, of that many in a full run."""
        return round(PATIENCE * evaluations / EVALUATIONS)


def recipe(n_rows: int, n_features: int, n_components: int, device: torch.device = CPU) -> Recipe:
    """The recipe for that size, and the precision that suits the device.

    Width grows with the number of values in the data. Few components ask for a more curved map:
    there, and where the rows suffice, a third hidden layer does more than width. The rate falls
    with the width and rises with the root of the batch, and is low on few rows, where the best
    step comes early; the steps are 30 passes, at least 1,500 and at most 4,000.
    """
    values = n_rows * n_features
    heavy, light = fast_precision(device)
    deep = n_components <= FEW_COMPONENTS and n_rows > FEW_ROWS
    limits = ((4e3, 64), (4e5 if deep else 1e5, 128), (1e7, 256), (math.inf, 512))
    width = next(width for most, width in limits if values < most)
    batch = min(256, max(64, 2 ** round(math.log2(max(1.0, n_rows / 128)))))
    rate = min(1e-2, 1.28 / width * math.sqrt(batch / 64))
    if n_rows <= FEW_ROWS:
        rate = 2.5e-3
    elif width >= WIDE:
        rate = 8e-3
    return Recipe(
        hidden_layer_sizes=(width,) * (3 if deep else 2),
        batch_size=batch,
        steps=int(min(4000, max(1500, 30 * n_rows / batch))),
        learning_rate=rate,
        n_folds=5 if n_rows <= FEW_ROWS else 0,
        precision=heavy if width * n_features >= HEAVY else light,
    )


def conv_recipe(
    plain: Recipe, n_rows: int, *, series: bool = False, device: torch.device = CPU
) -> Recipe:
    """The recipe of convolutional networks, from that of perceptrons for the same rows.

    Convolutions of 32 channels, one for up to 5,000 images and three for more and for series, and a
    dense layer of 256; the steps are those of a perceptron, at most 3,000, at about twice the time
    each. Variational models of series overshoot with one convolution and batches of 64.
    """
    few = n_rows <= FEW_ROWS
    deep = series or n_rows > MANY_ROWS
    return Recipe(
        hidden_layer_sizes=(CHANNELS,) * (3 if deep else 1) + (DENSE,),
        batch_size=128 if deep and not few else min(128, plain.batch_size),
        steps=min(plain.steps, 3000),
        learning_rate=plain.learning_rate if few else 8e-3,
        n_folds=plain.n_folds,
        precision=fast_precision(device)[0],
        evaluations=EVALUATIONS if few else FEW_EVALUATIONS,
    )


def conv_starts_linear(n_rows: int) -> bool:
    """Whether convolutional networks have a linear path: on few rows only.

    On more, a path beside the decoder's convolutions costs a tenth of the error and more.
    """
    return n_rows <= FEW_ROWS


def auto_jitter(n_rows: int) -> float:
    """Jitter for that many rows, in units of what PCA leaves over."""
    return min(0.4, 8 / math.sqrt(n_rows))
