"""What held-out rows say: of the autoencoder in training, and of PCA on the same task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from isthmus.core import pca
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.likelihoods import Likelihood
from isthmus.core.trace import Trace, sum_features
from isthmus.data.batches import TensorBatches
from isthmus.engine.ensemble import Ensemble
from isthmus.estimators._material import Start
from isthmus.random import fork

# A pass over held-out rows, and which entries are there, None for all.
Seen = tuple[Trace, Tensor | None]

_CHUNK = 4096
# PCA's errors at every size are costly where entries are missing: up to so many components.
_MOST_SIZES = 64


class Validation:
    """Losses of held-out rows: the loss at the optimal free scale, and the squared error.

    A learned σ follows the training error; on held-out rows the likelihood is judged at the σ
    that suits them, so that the choice of the state does not punish a falling training error.

    Args:
        parts: one source of held-out rows for each autoencoder that is judged.
        unit: (*F,) unit of each feature in which errors are reported (``Scaling.unit``).
        noise_seed: noise and corruption are the same at every call.

    Attributes:
        residual: (*F,) mean residual of the last call, what a free scale is set from.
    """

    def __init__(self, parts: list[TensorBatches], unit: Tensor, noise_seed: int) -> None:
        self.parts = parts
        self.unit = unit
        self.noise_seed = noise_seed
        self.residual: Tensor | None = None

    def __call__(self, module: nn.Module) -> dict[str, Tensor]:
        """{"loss": (n,), "squared_error": (n,)} of all held-out rows, part after part."""
        judged = list(zip(members_of(module), self.parts, strict=False))
        residuals, losses = [], []
        for member, part in judged:
            head = member.likelihood
            seen = partial(self._traces, member, part)
            if not head.free_scale:
                losses.append(self._losses(member, seen()))
                continue
            if part.n_rows <= _CHUNK:  # one pass, of which all is kept
                seen = partial(iter, list(seen()))
            before = {name: value.clone() for name, value in head.state_dict().items()}
            residuals.append(_mean_residual(head, seen()))
            head.calibrate(residuals[-1])
            losses.append(self._losses(member, seen()))
            head.load_state_dict(before)
        if residuals:
            sizes = [part.n_rows / self.n_rows for part in self.parts]
            self.residual = torch.stack(
                [residual * size for residual, size in zip(residuals, sizes, strict=True)]
            ).sum(0)
        return {name: torch.cat([each[name] for each in losses]) for name in losses[0]}

    @property
    def n_rows(self) -> int:
        """Held-out rows in all."""
        return sum(part.n_rows for part in self.parts)

    def _traces(self, module: Autoencoder, part: TensorBatches) -> Iterator[Seen]:
        with fork(self.noise_seed):
            for x, *mask in part.batches(_CHUNK):
                yield module.trace(x, *mask, corrupt=True), mask[0] if mask else None

    def _losses(self, module: Autoencoder, seen: Iterable[Seen]) -> dict[str, Tensor]:
        head = module.likelihood
        losses, errors = [], []
        for trace, mask in seen:
            rescaled = head.rescaled(trace.p)
            if rescaled is None:
                rescaled = module.decoder(trace.z, n_lead=2)
            now = replace(trace, p=rescaled)
            with fork(self.noise_seed):  # an estimated penalty draws
                losses.append(torch.stack(list(module.terms(now).values())).sum(0))
            p = now.p if module.deterministic else module.decoder(now.q.mean[None], 2)
            residual = (head.expected_features(p)[0] - head.features(now.x)).double()
            # float64: units may be 1e30
            error = (residual * head.by_feature(self.unit)).square()
            there = None if mask is None else head.by_feature(mask).double()
            errors.append(sum_features(error, now.x.ndim - 1, there))
        return {"loss": torch.cat(losses), "squared_error": torch.cat(errors)}


def _mean_residual(head: Likelihood, seen: Iterable[Seen]) -> Tensor:
    total: Tensor | float = 0.0
    count: Tensor | float = 0.0
    for trace, mask in seen:
        residual = (head.expectation(trace.p) - trace.x).abs().pow(head.power).mean(0)
        there = torch.ones_like(trace.x, dtype=torch.bool) if mask is None else mask
        total = total + residual.masked_fill(~there, 0.0).sum(0)
        count = count + there.sum(0)
    assert isinstance(total, Tensor)  # noqa: S101  (no part is empty)
    assert isinstance(count, Tensor)  # noqa: S101
    if head.shares_scale:  # every entry counts alike
        total, count = total.sum().expand_as(total), count.sum().expand_as(count)
    return total / count.clamp(min=1)


def pca_errors(
    starts: list[Start], modules: list[Autoencoder], validation: Validation | None
) -> tuple[Tensor, Tensor] | None:
    """Held-out squared errors of PCA on the same task, each part's by its own training rows.

    PCA is given the same corrupted rows as the autoencoder and judged against the clean ones. It is
    PCA of the likelihood's features: of numbers the numbers, of a mixed table one-hot columns and
    the like (:meth:`isthmus.core.likelihoods.Likelihood.features`), a missing one at its mean.

    Returns:
        (n,) of each row with as many components as the autoencoder, and (R,) of the mean row
        with 1 … R components; None without held-out rows.
    """
    if validation is None:
        return None
    sizes, errors = [], []
    for module, start, part in zip(modules, starts, validation.parts, strict=False):
        head = module.likelihood
        seen = features_of(module, start.rows.x, start.rows.mask)
        mean = seen.nanmean(0).nan_to_num(0.0) if module.sees_missing else None
        seen = filled(seen, mean)
        n, n_features = len(seen), seen[0].numel()
        every = min(n, n_features) <= pca.EXACT_SIZE
        known = None if head.support == "mixed" else start.spectrum
        s = known or pca.spectrum(seen, n_features if every else module.n_components)
        most = len(s.axes) if part.mask is None else max(_MOST_SIZES, module.n_components)
        with fork(validation.noise_seed):
            for x, *mask in part.batches(_CHUNK):
                whole = x if not module.sees_missing else _holed(x, *mask)
                given = filled(head.features(module.corruption(whole).x_tilde), mean)
                by_size = pca.errors_by_size(
                    s,
                    given,
                    head.features(x),
                    head.by_feature(validation.unit),
                    head.by_feature(mask[0]) if mask else None,
                    most,
                )
                errors.append(by_size[:, min(module.n_components, by_size.shape[1]) - 1])
                sizes.append(by_size)
    least = min(each.shape[1] for each in sizes)
    curve = torch.cat([each[:, :least] for each in sizes]).mean(0)
    return torch.cat(errors), curve


def _holed(x: Tensor, mask: Tensor | None = None) -> Tensor:
    return x if mask is None else x.masked_fill(~mask, math.nan)


def features_of(module: Autoencoder, x: Tensor, mask: Tensor | None) -> Tensor:
    """T(x) of rows; NaN where an entry is missing, for an encoder that sees it."""
    return module.likelihood.features(_holed(x, mask) if module.sees_missing else x)


def filled(seen: Tensor, mean: Tensor | None) -> Tensor:
    """Features with missing ones at their mean; as they are where there is none."""
    return seen if mean is None else torch.where(seen.isnan(), mean, seen)


def members_of(module: nn.Module) -> list[Autoencoder]:
    members = module.members if isinstance(module, Ensemble) else [module]
    return [member for member in members if isinstance(member, Autoencoder)]
