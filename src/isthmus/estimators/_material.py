"""What a fit is made of: rows to start from, batches to train on, rows to be judged by.

Rows in memory are scaled once. Rows that are many, or that stay where they are, are surveyed in one
pass (:mod:`isthmus.data.rows.survey`) and scaled batch by batch: there, what the start needs beside
the exact means and principal axes (the scale of a likelihood, links other than the identity) is
taken from a sample of training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isthmus.core.autoencoder import Autoencoder
from isthmus.core.linear_start import has_view
from isthmus.core.pca import EXACT_SIZE, Spectrum, spectrum
from isthmus.data.batches import Batches, TensorBatches
from isthmus.data.rows.split import folds, hold_out
from isthmus.engine.ensemble import EnsembleBatches

# Indices of the rows one autoencoder is trained on, and of those it is judged by.
Part = tuple[Tensor, Tensor | None]


def shares_memory(x: Tensor, given: NDArray[Any]) -> bool:
    """Whether a tensor may hold entries of an array, as one that is a view of the other does.

    Told by where both begin and end, so that it is never denied where it is so.

    >>> rows = np.zeros((4, 2), np.float32)
    >>> [shares_memory(torch.from_numpy(rows[i:]), rows) for i in (0, 2)]
    [True, True]
    >>> shares_memory(torch.zeros(4, 2), rows)
    False
    """
    return x.device.type == "cpu" and bool(np.may_share_memory(x.detach().numpy(), given))


@dataclass(frozen=True)
class Selection:
    """How the state to keep is chosen: ``n_folds`` ≥ 2, or ``n_held_out`` rows, or neither (0)."""

    n_folds: int = 0
    n_held_out: int = 0

    def parts(self, n_rows: int, seed: int) -> list[Part]:
        """(training rows, held-out rows) of each autoencoder; the last one is kept."""
        everything = torch.arange(n_rows)
        if self.n_folds > 1:
            return [*folds(n_rows, self.n_folds, seed), (everything, None)]
        if self.n_held_out > 0:
            return [hold_out(n_rows, self.n_held_out, seed)]
        return [(everything, None)]


@dataclass
class Start:
    """What an autoencoder starts from.

    Attributes:
        rows: scaled training rows, all or a sample.
        spectrum: of all of them; None until :meth:`known` has found it.
        box: their extremes, each (D,), where these are a sample.
    """

    rows: TensorBatches
    spectrum: Spectrum | None = None
    box: tuple[Tensor, Tensor] | None = None

    def known(self, module: Autoencoder) -> Spectrum | None:
        """The spectrum, once for the linear start and for the line of PCA.

        None where the autoencoder starts from something else than the rows as they are, or where
        the axes would fill the memory.
        """
        x, mask = self.rows.x, self.rows.mask
        n, n_features = len(x), x[0].numel()
        if (
            self.spectrum is None
            and max(n_features, module.n_components) <= EXACT_SIZE
            and not has_view(module.encoder.net)
            and module.likelihood.support != "mixed"
            and not (mask is not None and module.sees_missing)
        ):
            self.spectrum = spectrum(x, min(n, n_features))
        return self.spectrum


@dataclass(frozen=True)
class Material:
    """Of M autoencoders, the last of which is kept.

    Attributes:
        starts: what each of them starts from.
        whole: all rows, or a sample: what a result that stays linear is made from.
        batches: what they are trained on, as one ensemble if M > 1.
        held_out: rows by which each is judged; the last of an ensemble has none.
        places: positions of the held-out rows, part after part, in the rows of the fit.
        n_rows: N of the fit.
        nats, held_out_nats: mean nats a row that scaling adds to a loss, of all rows and of the
            held-out ones.
    """

    starts: list[Start]
    whole: Start
    batches: Batches
    held_out: list[TensorBatches]
    places: Tensor
    n_rows: int
    nats: float = 0.0
    held_out_nats: float = 0.0

    @classmethod
    def of(
        cls,
        rows: TensorBatches,
        parts: list[Part],
        nats: Callable[[Tensor | None], float] | None = None,
        own: bool = False,
    ) -> Material:
        """Of scaled rows in memory.

        Args:
            rows: all of them.
            parts: of :meth:`Selection.parts`.
            nats: mean nats that scaling adds to the loss of the rows at some positions, or of all.
            own: whether they may be brought into another order, which saves a copy of those that
                are trained on.
        """
        held_out = [part for _, part in parts if part is not None]
        judges: list[TensorBatches] | None = None
        if len(parts) > 1:
            trained = [rows.subset(train) for train, _ in parts[:-1]] + [rows]
            batches: Batches = EnsembleBatches(rows, [train for train, _ in parts])
        elif held_out and own:
            front, back = rows.divide(parts[0][0])
            trained, batches, judges = [front], front, [back]
        else:
            trained = [rows.subset(parts[0][0]) if held_out else rows]
            batches = trained[0]
        places = torch.cat(held_out) if held_out else torch.arange(0)
        return cls(
            starts=[Start(each) for each in trained],
            whole=Start(rows),
            batches=batches,
            held_out=judges or [rows.subset(part) for part in held_out],
            places=places,
            n_rows=rows.n_rows,
            nats=0.0 if nats is None else nats(None),
            held_out_nats=0.0 if nats is None else nats(places),
        )
