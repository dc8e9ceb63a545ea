"""What "auto" means: widths, batch size, steps and held-out rows from the size of the data."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.engine.plan import Precision

# The linear paths start at their optimum: they follow at a fraction of the rate, undecayed.
SLOW = (".linear.",)
SLOW_FACTOR = 0.1
EVALUATIONS = 40
PATIENCE = 10


@dataclass(frozen=True)
class Recipe:
    """The defaults for n rows of D features and K components."""

    hidden_layer_sizes: tuple[int, ...]
    batch_size: int
    steps: int
    learning_rate: float
    n_folds: int
    precision: Precision = "float32"


def recipe(n_rows: int, n_features: int, n_components: int) -> Recipe:
    """Chosen by experiment on the validation parts of tables, digits and images (docs/LOG.md)."""
    width = 128 if n_rows < 1000 else 256
    return Recipe(
        hidden_layer_sizes=(width, width),
        batch_size=64,
        steps=1000 if n_rows < 1500 else 2000,
        learning_rate=5e-3,
        n_folds=5 if n_rows <= 1500 else 0,
    )
