"""Sections on the model: learning curves, latents, error per feature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.evaluation.health import NO_EFFECT
from isthmus.evaluation.latents import ACTIVE
from isthmus.evaluation.reconstruction import LIVELY
from isthmus.report import figures
from isthmus.report.blocks import Cell, Chart, Grid, Section, Set
from isthmus.report.reading import MOST_FEATURES, Reading
from isthmus.report.words import number, percent, plural
from isthmus.runs.directory import Run

Array = NDArray[Any]


def learning(reading: Reading, run: Run) -> Section | None:
    """Held-out error and loss while it trained, with PCA's line."""
    history = run.history
    if len(history) < 2:
        return None
    step, error, pca, loss, held_out = (
        np.array([row.get(key, math.nan) for row in history], dtype=np.float64)
        for key in ("step", "squared_error", "pca_squared_error", "loss", "validation")
    )
    fit = run.config.get("fit") or {}
    kept = fit.get("n_steps_")
    charts, title = [], f"Training ran for {plural(int(step[-1]), 'step')}"
    if np.isfinite(error).any():
        at = int(np.nanargmin(np.abs(step - kept))) if kept is not None else len(step) - 1
        line = float(np.nanmin(pca)) if np.isfinite(pca).any() else math.nan
        against = f"; PCA stands at {number(line)}" if math.isfinite(line) else ""
        title = (
            "Training found nothing better than its linear start, so that was kept"
            if fit.get("stayed_linear_")
            else f"Training left the held-out error at {number(float(error[at]))}{against}"
            if number(float(error[0])) == number(float(error[at]))
            else f"Training brought the held-out error from {number(float(error[0]))} to "
            f"{number(float(error[at]))}{against}"
        )
        charts.append(_error_chart(reading, step, error, pca, at, title))
    if np.isfinite(held_out).any() or np.isfinite(loss).any():
        charts.append(_loss_chart(step, loss, held_out))
    if not charts:
        return None
    words = _training_words(run)
    return Section("learning", "Learning curves", title, words, [Set("", charts)])


def _error_chart(
    reading: Reading, step: Array, error: Array, pca: Array, at: int, title: str
) -> Chart:
    there = np.isfinite(error)
    data = [figures.line("this model", step[there], error[there], "model")]
    if np.isfinite(pca).any():
        level = pca[np.isfinite(pca)]
        data.insert(
            0,
            figures.line(
                "PCA",
                [step[0], step[-1]],
                [level[0], level[-1]],
                "pca",
                dash="dash",
            ),
        )
    if np.isfinite(error[at]):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "kept",
                "x": [float(step[at])],
                "y": figures.rounded([error[at]]),
                "marker": {
                    "color": "ink",
                    "size": 11,
                    "symbol": "circle-open",
                    "line": {"width": 2},
                },
            }
        )
    spec = {
        "data": data,
        "layout": figures.layout(
            "training step", "squared error", yaxis={"rangemode": _from(error)}
        ),
    }
    rows = [
        (f"{int(step[k]):,}", [Cell(number(float(error[k]))), Cell(number(float(pca[k])))])
        for k in _few(there)
    ]
    numbers = Grid("", ("step", "this model", "PCA"), rows)
    alt = f"Line chart of held-out squared error over {int(step[-1]):,} training steps. {title}."
    return Chart("learning", alt, spec, numbers=numbers, title=f"Held-out error, {reading.unit}")


def _loss_chart(step: Array, loss: Array, held_out: Array) -> Chart:
    data = []
    for name, values, colour, dash in (
        ("training rows", loss, "soft", "dot"),
        ("held-out rows", held_out, "model", "solid"),
    ):
        there = np.isfinite(values)
        if there.any():
            data.append(figures.line(name, step[there], values[there], colour, dash=dash))
    best = (
        f"; the lowest on held-out rows is {number(float(np.nanmin(held_out)))}"
        if np.isfinite(held_out).any()
        else ""
    )
    alt = f"Line chart of the loss in nats per row over training steps{best}."
    spec = {"data": data, "layout": figures.layout("training step", "loss (nats per row)")}
    return Chart("loss", alt, spec, title="Loss, penalties included")


def _from(values: Array) -> str:
    """Lines begin at 0 unless that would press them into the upper half."""
    return "tozero" if np.nanmin(values) < 0.5 * np.nanmax(values) else "normal"


def _few(there: Array, most: int = 12) -> list[int]:
    positions = np.flatnonzero(there)
    at = np.linspace(0, len(positions) - 1, min(most, len(positions))).round().astype(int)
    return [int(k) for k in positions[np.unique(at)]]


def _training_words(run: Run) -> list[str]:
    fit = run.config.get("fit") or {}
    seconds = run.history[-1].get("seconds", math.nan)
    words = []
    if fit.get("n_steps_") is not None:
        words.append(f"The state of step {int(fit['n_steps_']):,} was kept.")
    if math.isfinite(seconds):
        words.append(f"Training took {number(seconds)} s.")
    if fit.get("interrupted_"):
        words.append("It was interrupted, and the best state until then was kept.")
    return [" ".join(words)] if words else []


def busy(reading: Reading) -> tuple[int, int] | None:
    """How many latents are in use, of how many."""
    found = _use(reading)
    return None if found is None else (int((found[0] > found[1]).sum()), len(found[0]))


def _use(reading: Reading) -> tuple[Array, float] | None:
    """(K,) by how much each latent is in use, and the level from which it counts as busy."""
    activity, effect = reading.array("activity"), reading.array("effect")
    if reading.array("kl") is not None and activity is not None:
        return activity, ACTIVE
    if effect is not None and np.nansum(effect) > 0:
        return effect / np.nansum(effect), NO_EFFECT
    return None


def latents(reading: Reading) -> Section | None:
    """KL and activity of each latent; of a model without a posterior, its effect."""
    found, used, kl = _use(reading), busy(reading), reading.array("kl")
    if found is None or used is None:
        return None
    values, level = found
    count, of = used
    title = (
        f"The code keeps {'all' if count == of else f'{count} of'} {plural(of, 'latent')} busy"
        if count
        else "The code says nothing: no latent is in use"
    )
    if kl is None:
        about = "share of the decoder’s response"
        text = [f"A latent is busy where it makes more than {percent(level)} of it."]
        chart = _columns("effect", values, level, about, f"Effect: {about}")
        return Section("latents", "Latents", title, text, [chart])
    total = float(np.nansum(kl))
    about = "variance of its mean"
    text = [
        f"The code of a row costs {number(total)} nats ({number(total / math.log(2))} bits), an "
        "upper bound of what it tells about the row. A latent is busy where the variance of its "
        f"mean is above {number(level)}."
    ]
    pair = [
        _columns(
            "kl", kl, None, "nats per row", f"KL from the prior: {number(total)} nats per row"
        ),
        _columns("activity", values, level, about, f"Activity: {about} over the rows"),
    ]
    return Section("latents", "Latents", title, text, [Set("", pair)])


def _columns(slug: str, values: Array, level: float | None, unit: str, title: str) -> Chart:
    """One column a latent, pale where it is not busy."""
    names = [f"{k + 1}" for k in range(len(values))]
    known = np.nan_to_num(values)
    colours = ["model" if level is None or v > level else "idle" for v in known]
    rows = [(f"latent {n}", [Cell(number(float(v)))]) for n, v in zip(names, values, strict=True)]
    alt = (
        f"Columns, one for each of {plural(len(names), 'latent')}. {title}. From "
        f"{number(float(known.min()))} (latent {int(known.argmin()) + 1}) to "
        f"{number(float(known.max()))} (latent {int(known.argmax()) + 1})."
    )
    return Chart(
        slug,
        alt,
        figures.bars(names, values, colours, y_title=unit, level=level),
        height=280,
        numbers=Grid("", ("latent", unit), rows),
        title=title,
    )


def features(reading: Reading) -> Section | None:
    """Where the error is."""
    error = reading.array("feature_error")
    if error is None:
        return None
    pca, variance = reading.array("pca_feature_error"), reading.array("feature_variance")
    total = float(np.nansum(error))
    order = reading.most_important(error, len(error))
    running = np.cumsum(np.nan_to_num(error[order]))
    half = int(np.searchsorted(running, 0.5 * total)) + 1
    noun = reading.noun
    of = f"{half:,} of {plural(len(error), noun)}"
    title = f"{of} hold{'s' if half == 1 else ''} half of the error"
    text = []
    if pca is not None:
        better = int((error < pca).sum())
        text.append(f"The error is below PCA’s on {better:,} of {plural(len(error), noun)}.")
    if variance is not None and np.nanmin(variance) >= 0:
        lively = variance > LIVELY * float(np.nanmean(variance))
        lost = error / np.where(lively, variance, np.nan)
        if np.isfinite(lost).any():
            worst = int(np.nanargmax(lost))
            text.append(
                f"The least well kept is {reading.feature(worst)}: "
                f"{percent(min(float(lost[worst]), 1.0))} of its variance is lost."
            )
    draw = {"image": _pixels, "series": _over_time}.get(reading.kind, _dumbbells)
    blocks = draw(reading, error, pca, title)
    return Section("features", "Error per feature", title, text, blocks)


def _pixels(reading: Reading, error: Array, pca: Array | None, title: str) -> list[Any]:
    charts = []
    for slug, name, values in (("pixels", "this model", error), ("pixels-pca", "PCA", pca)):
        if values is None:
            continue
        both = np.concatenate([error, error if pca is None else pca])
        spec = figures.heat(
            values.reshape(-1, *reading.shape).sum(0),
            x=None,
            y=None,
            title="squared error",
            diverging=False,
        )
        sums = both.reshape(-1, reading.channels, *reading.shape).sum(1)
        spec["data"][0]["zmax"] = float(np.nanmax(sums))
        worst = reading.feature(int(np.nanargmax(values)))
        alt = f"Squared error of each pixel, {name}; it is largest at {worst}. {title}."
        charts.append(Chart(slug, alt, spec, height=320, title=f"Squared error per pixel: {name}"))
    return [Set("", charts)]


def _over_time(reading: Reading, error: Array, pca: Array | None, title: str) -> list[Any]:
    at = np.arange(len(error))
    data = [figures.line("this model", at, error, "model")]
    if pca is not None:
        data.insert(0, figures.line("PCA", at, pca, "pca", dash="dash"))
    spec = {
        "data": data,
        "layout": figures.layout("point", "squared error", yaxis={"rangemode": "tozero"}),
    }
    peak = int(np.nanargmax(error))
    alt = f"Squared error over the points of a series, largest at point {peak}. {title}."
    return [Chart("over-time", alt, spec)]


def _dumbbells(reading: Reading, error: Array, pca: Array | None, title: str) -> list[Any]:
    order = reading.most_important(error, MOST_FEATURES)
    names = [reading.feature(int(j)) for j in order]
    other = np.full(len(error), np.nan) if pca is None else pca
    spec = figures.dumbbells(
        names,
        error[order],
        other[order],
        x_title="mean squared error",
        our_name="this model",
        other_name="PCA",
    )
    rows = [
        (n, [Cell(number(float(error[j]))), Cell(number(float(other[j])))])
        for n, j in zip(names, order, strict=True)
    ]
    shown = f"Mean squared error, {reading.unit}"
    if len(order) < len(error):
        shown += f": the {len(order)} largest of {len(error):,}"
    alt = (
        f"Dots: mean squared error of {plural(len(order), 'feature')}, this model and PCA, largest "
        f"first: {names[0]} with {number(float(error[order[0]]))}. {title}."
    )
    return [
        Chart(
            "features",
            alt,
            spec,
            height=110 + 24 * len(order),
            numbers=Grid("", ("feature", "this model", "PCA"), rows),
            title=shown,
        )
    ]
