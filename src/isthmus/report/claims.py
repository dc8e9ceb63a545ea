"""What the figures say: sentences computed from them, also where they say the opposite.

A claim is about one figure of two models on the same test rows, and is judged by the paired
difference: it holds, or fails, where the mean difference is more than two standard errors from 0,
and is open in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.reconstruction import Difference, difference

Array = NDArray[Any]
Rows = Mapping[str, Mapping[str, Array]]
HOLDS, OPEN, FAILS = "holds", "too close to call", "does not hold"
PCA, PLAIN = "PCA", "undercomplete"


@dataclass(frozen=True)
class Claim:
    """One claim and what became of it.

    Args:
        name: short, the same in every run.
        state: "holds", "too close to call" or "does not hold".
        sentence: the outcome in words, with the figures.
        differences: model minus the other, for each figure that the claim is about.
    """

    name: str
    state: str
    sentence: str
    differences: Mapping[str, Difference]


def claims(rows: Rows, n_components: int) -> list[Claim]:
    """The claims that these models allow to judge.

    Args:
        rows: by model, by measure, (N,) figures of the same test rows; lower is better.
        n_components: K.
    """
    return [
        _against_pca(rows, n_components),
        _cleaning(rows),
        _contraction(rows),
        _neighbours(rows),
    ]


def _against_pca(rows: Rows, n_components: int) -> Claim:
    others = [name for name in rows if name != PCA]
    diffs = {name: _between(rows, "squared_error", name, PCA) for name in others}
    state = _state(list(diffs.values()))
    base = _mean(rows, PCA, "squared_error")
    parts = ", ".join(
        f"{name} {_change(_mean(rows, name, 'squared_error'), base)}" for name in others
    )
    head = {
        HOLDS: "every autoencoder reconstructs test images better than PCA",
        OPEN: "not every autoencoder clearly reconstructs test images better than PCA",
        FAILS: "an autoencoder that does not reconstruct test images better than PCA is among them",
    }[state]
    sentence = (
        f"With {n_components} components, {head}. "
        f"Squared error compared with that of PCA, {base:.0f}: {parts}."
    )
    return Claim("better than PCA", state, sentence, diffs)


def _cleaning(rows: Rows) -> Claim:
    diff = _between(rows, "noisy_error", "denoising", PLAIN)
    state = _state([diff])
    ours, other = _mean(rows, "denoising", "noisy_error"), _mean(rows, PLAIN, "noisy_error")
    head = {
        HOLDS: "The denoising autoencoder cleans noisy images better than the undercomplete one",
        OPEN: "Whether the denoising autoencoder cleans better than the undercomplete one "
        "is too close to call",
        FAILS: "The denoising autoencoder does not clean better than the undercomplete one",
    }[state]
    sentence = (
        f"{head}: the squared error that is left is {ours:.0f} against {other:.0f} "
        f"({_change(ours, other)})."
    )
    return Claim("denoising cleans better", state, sentence, {"noisy_error": diff})


def _contraction(rows: Rows) -> Claim:
    keys = ("jacobian_norm", "scaled_jacobian_norm")
    diffs = {key: _between(rows, key, "contractive", PLAIN) for key in keys}
    states = {key: _state([diff]) for key, diff in diffs.items()}
    ours = {key: _mean(rows, "contractive", key) for key in keys}
    other = {key: _mean(rows, PLAIN, key) for key in keys}
    raw, fair = keys
    state = states[raw] if states[raw] != HOLDS else states[fair]
    figures = f"‖∂z/∂x‖ {ours[raw]:.2f} against {other[raw]:.2f} ({_change(ours[raw], other[raw])})"
    scaled = f"{ours[fair]:.2f} against {other[fair]:.2f} ({_change(ours[fair], other[fair])})"
    if states[raw] != HOLDS:
        sentence = (
            "The contractive code does not clearly move less with its input than the "
            f"undercomplete one: {figures}; with every latent at standard deviation 1, {scaled}."
        )
    else:
        why = {
            HOLDS: "and not only by being smaller: with every latent at standard deviation 1",
            OPEN: "but whether by more than being smaller is too close to call: with every latent "
            "at standard deviation 1",
            FAILS: "but only by being smaller: with every latent at standard deviation 1",
        }[states[fair]]
        sentence = (
            "The contractive code moves less with its input than the undercomplete one, "
            f"{figures}, {why}, {scaled}."
        )
    return Claim("contractive code is steadier", state, sentence, diffs)


def _neighbours(rows: Rows) -> Claim:
    diff = _between(rows, "neighbour_change", "variational", PLAIN)
    state = _state([diff])
    ours = _mean(rows, "variational", "neighbour_change")
    other = _mean(rows, PLAIN, "neighbour_change")
    head = {
        HOLDS: "Neighbouring codes of the variational autoencoder decode more alike than those of "
        "the undercomplete one",
        OPEN: "Whether neighbouring codes of the variational autoencoder decode more alike than "
        "those of the undercomplete one is too close to call",
        FAILS: "Neighbouring codes of the variational autoencoder do not decode more alike than "
        "those of the undercomplete one",
    }[state]
    sentence = (
        f"{head}: a small step changes the image {ours:.2f} against {other:.2f} times as much as "
        f"it would under a linear decoder ({_change(ours, other)})."
    )
    return Claim("neighbouring codes decode alike", state, sentence, {"neighbour_change": diff})


def _between(rows: Rows, key: str, ours: str, other: str) -> Difference:
    return difference(rows[ours][key], rows[other][key])


def _mean(rows: Rows, model: str, key: str) -> float:
    return float(np.mean(rows[model][key]))


def _state(differences: Sequence[Difference]) -> str:
    """Of claims that all differences are below 0."""
    signs = [d.sign for d in differences]
    if 1 in signs:
        return FAILS
    return OPEN if 0 in signs else HOLDS


def _change(ours: float, other: float) -> str:
    """Relative difference in words.

    >>> _change(75.0, 100.0), _change(110.0, 100.0)
    ('25% less', '10% more')
    """
    percent = round(100 * (ours / other - 1)) if other else 0
    if percent == 0:
        return "the same"
    return f"{abs(percent)}% {'more' if percent > 0 else 'less'}"
