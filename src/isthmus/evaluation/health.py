"""What may be wrong with a fitted model, in words: each finding with its number and what to do.

A pure function of the facts and arrays of an evaluation and of the history of the fit. Thresholds
are stated beside each check; they are conventions chosen on real tables, not tests of significance.
"good" says that a check found nothing, "note" what one may want to know, "warning" what one would
want to change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation._finding import FEW_ROWS, Case, Finding
from isthmus.evaluation._health_rows import likelihood, scale
from isthmus.evaluation.latents import ACTIVE
from isthmus.evaluation.versus_pca import SHRUNK

Array = NDArray[Any]
NO_EFFECT = 1e-3
"""Share of the decoder's total response below which a latent is dead."""
GAP, WIDE_GAP = 1.5, 2.0
"""Held-out over training error from which a gap is told, and from which it is a concern."""
NO_GAIN = 0.98
NOTHING, LITTLE = 0.9995, 0.9
"""Shares of the variance left from which a reconstruction explains nothing, and too little."""
STILL_FALLING = 0.08
"""Share of the whole gain that the second half of a finished training brings where it was cut."""
FROM_PRIOR = 1.0


def health(
    facts: Mapping[str, Any], arrays: Mapping[str, Array], history: Sequence[Mapping[str, float]]
) -> list[Finding]:
    """Findings, warnings first.

    Args:
        facts: of an evaluation: ``metrics`` and, where they are known, ``generalisation``,
            ``residuals``, ``scale``, ``fit``.
        arrays: of the same: ``effect``, for a variational model ``kl`` and ``activity``.
        history: one row a round of training, with ``step`` and ``validation``.

    >>> facts = {"metrics": [], "fit": {"interrupted": True}}
    >>> health(facts, {}, [])[0].name
    'stopped-early'
    """
    case = Case(facts, arrays, history)
    found = [finding for check in CHECKS for finding in check(case)]
    order = {"warning": 0, "note": 1, "good": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _rows(case: Case) -> Iterator[Finding]:
    if case.few:
        yield Finding(
            "note",
            "rows",
            f"{case.n:.0f} row{' says' if case.n == 1 else 's say'} little of a model: below "
            f"{FEW_ROWS}, how latents and features vary is not judged.",
            "Evaluate more rows.",
        )


def _latents(case: Case) -> Iterator[Finding]:
    if case.few:
        return
    if case.variational:
        yield from _collapse(case)
        return
    effect = case.arrays.get("effect")
    if effect is None or not len(effect):
        return
    share = effect / max(float(effect.sum()), np.finfo(float).tiny)
    dead = [int(k) + 1 for k in np.flatnonzero(share < NO_EFFECT)]
    k = len(effect)
    if dead:
        yield Finding(
            "note",
            "dead-latents",
            f"{len(dead)} of {k} latents ({_listed(dead)}) hardly change what is decoded: the "
            f"largest of them makes {100 * float(share[np.array(dead) - 1].max()):.2g}% of the "
            "decoder's response.",
            f"n_components={max(1, k - len(dead))} would say as much.",
        )
    else:
        yield Finding(
            "good",
            "dead-latents",
            f"{_all(k)} used: the least makes {100 * float(share.min()):.2g}% of the decoder's "
            "response.",
        )


def _collapse(case: Case) -> Iterator[Finding]:
    kl, activity = case.arrays["kl"], case.arrays["activity"]
    total, k = float(kl.sum()), len(kl)
    dead = [int(i) + 1 for i in np.flatnonzero(activity <= ACTIVE)]
    if case.collapsed:
        yield Finding(
            "warning",
            "kl-collapse",
            f"The code says next to nothing: {total:.2g} nats per row, {k - len(dead)} of {k} "
            "latents active.",
            f"Lower beta (it is {case.facts.get('beta')}), warm it up (kl_warmup=0.3), or give "
            "free_bits=0.1.",
        )
    elif dead:
        yield Finding(
            "note",
            "dead-latents",
            f"{len(dead)} of {k} latents ({_listed(dead)}) equal the prior whatever the row; the "
            f"others carry {total:.3g} nats per row.",
            f"n_components={k - len(dead)} would say as much; a lower beta may wake them.",
        )
    else:
        yield Finding(
            "good",
            "kl-collapse",
            f"{_all(k)} active and carry {total:.3g} nats per row.",
        )


def _prior(case: Case) -> Iterator[Finding]:
    distance = case.metrics.get("marginal_kl")
    if distance is None or case.collapsed or case.few:
        return
    if distance > FROM_PRIOR:
        yield Finding(
            "note",
            "prior",
            f"The codes are not spread as the prior is: {distance:.2g} nats over all latents.",
            "Samples from the prior decode codes that no row has; raise beta for them.",
        )
    else:
        yield Finding(
            "good", "prior", f"The codes are spread as the prior is, to {distance:.2g} nats."
        )


def _generalisation(case: Case) -> Iterator[Finding]:
    known = case.facts.get("generalisation")
    if not known:
        return
    train, held = float(known["training"]), float(known["held_out"])
    pca_train, pca_held = known.get("pca_training"), known.get("pca_held_out")
    if train <= 0 or not math.isfinite(held / train):
        return
    gap = held / train
    pca_gap = pca_held / pca_train if pca_train and pca_held else 1.0
    told = (
        f"the error on rows that were not trained on is {gap:.3g} times that on the others "
        f"({held:.3g} against {train:.3g})"
    )
    against = f"; PCA's own gap is {pca_gap:.3g}" if pca_train else ""
    if gap > GAP and gap > 1.2 * pca_gap:
        lost = pca_held is None or held >= pca_held
        yield Finding(
            "warning" if gap > WIDE_GAP and lost else "note",
            "overfitting",
            f"It fits the training rows more closely than others: {told}{against}.",
            "Narrower hidden_layer_sizes, more jitter or noise, or more rows would close it."
            if lost
            else "The state that is best on held-out rows was kept; more rows would close the gap.",
        )
    elif gap > WIDE_GAP:
        yield Finding(
            "note",
            "overfitting",
            f"It fits the training rows more closely than others, as PCA does: {told}{against}.",
            "More rows would close the gap, fewer n_components would narrow it.",
        )
    else:
        yield Finding("good", "overfitting", f"No overfitting: {told}{against}.")
    yield from _underfitting(case, train, pca_train)


def _underfitting(case: Case, train: float, pca_train: float | None) -> Iterator[Finding]:
    if pca_train and not case.facts.get("fit", {}).get("stayed_linear") and not case.collapsed:
        ratio = train / pca_train
        if ratio > NO_GAIN:
            yield Finding(
                "warning",
                "underfitting",
                f"Even on its training rows the error is {ratio:.3g} times PCA's.",
                "Give it wider hidden_layer_sizes or more max_epochs, or use PCA.",
            )
        elif not _leaves_much(case):
            yield Finding(
                "good",
                "underfitting",
                f"No underfitting: on its training rows the error is {ratio:.3g} times PCA's.",
            )


def _leaves_much(case: Case) -> bool:
    return not case.few and case.metrics.get("relative_squared_error", 0.0) > LITTLE


def _little_explained(case: Case) -> Iterator[Finding]:
    if _leaves_much(case):
        left = case.metrics["relative_squared_error"]
        share = "nothing" if left > NOTHING else f"{100 * (1 - left):.2g}%"
        yield Finding(
            "warning",
            "underfitting",
            f"The reconstruction explains {share} of the variance.",
            "Lower beta."
            if case.collapsed
            else "Ask for more n_components, or lower beta or the penalties.",
        )


def _linear(case: Case) -> Iterator[Finding]:
    if not case.facts.get("fit", {}).get("stayed_linear") or case.collapsed:
        return
    found = "Nothing better than the linear start was found on held-out rows"
    told = f"{found}: it is PCA."
    remedy = "Use PCA, or give more rows; few rows or a linear structure leave nothing to gain."
    error = case.metrics.get("squared_error", 0.0)
    line = (case.facts.get("pca") or {}).get("squared_error", math.inf)
    if error > (1 + SHRUNK) * line:
        times = f"{error / line:.3g} times PCA's error"
        told = f"{found}, and by beta or the penalties it is {times}."
        remedy = "Lower beta or the penalties, or use PCA."
    yield Finding("note", "linear", told, remedy)


def _stopped(case: Case) -> Iterator[Finding]:
    fit = case.facts.get("fit", {})
    if fit.get("interrupted"):
        yield Finding(
            "warning",
            "stopped-early",
            "The training was interrupted.",
            "Fit again to the end.",
        )
        return
    if fit.get("diverged"):
        yield Finding(
            "warning",
            "stopped-early",
            "The training ended because the loss was no finite number any more.",
            "Fit again with a lower learning_rate.",
        )
        return
    rows = [r for r in case.history if math.isfinite(r.get("validation", math.nan))]
    if len(rows) < 4 or fit.get("stayed_linear") or case.collapsed:
        return
    step = np.array([r["step"] for r in rows], dtype=np.float64)
    loss = np.array([r["validation"] for r in rows])
    last = float(step[-1])
    best = int(loss.argmin())
    gain = float(loss[0] - loss[best])
    if gain <= 0:
        return
    half = float(np.interp(last / 2, step, np.minimum.accumulate(loss)))
    late = (half - float(loss[best])) / gain
    if step[best] >= 0.95 * last and late > STILL_FALLING:
        yield Finding(
            "warning",
            "stopped-early",
            f"The training ended while it still helped: the second half brought {100 * late:.0f}% "
            f"of the whole gain, and the best of {last:.0f} steps was step {step[best]:.0f}.",
            "Raise max_epochs, or leave it out.",
        )
    else:
        after = (float(loss[-1]) - float(loss[best])) / gain
        lost = f"; going on to {last:.0f} lost {100 * after:.0f}% of the gain"
        rise = lost if after >= 0.01 else ""
        yield Finding(
            "good",
            "stopped-early",
            f"Trained long enough: best after {step[best]:.0f} steps{rise}.",
        )


def _importance(case: Case) -> Iterator[Finding]:
    draws = case.metrics.get("effective_draws")
    if draws is not None and draws < 5:
        yield Finding(
            "note",
            "importance",
            f"The importance-weighted bound rests on {draws:.2g} draws of a row: it is loose.",
            "Take more draws, or read it as a bound only.",
        )


CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _rows,
    _latents,
    _prior,
    _generalisation,
    _little_explained,
    _linear,
    _stopped,
    likelihood,
    scale,
    _importance,
)


def _all(k: int) -> str:
    return "The one latent is" if k == 1 else f"All {k} latents are"


def _listed(numbers: Sequence[int], most: int = 8) -> str:
    words = ", ".join(str(number) for number in numbers[:most])
    return words + (", …" if len(numbers) > most else "")
