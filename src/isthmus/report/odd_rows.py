"""The rows that the model explains worst, each with its reason in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.report.blocks import Cell, Grid, Section, Set
from isthmus.report.reading import Reading
from isthmus.report.views import GIVEN, Images, Series, View
from isthmus.report.words import listed, number, percent

Array = NDArray[Any]
MOST_OUTLIERS, FEATURES_OF_OUTLIER = 8, 5
# A feature or a stretch of a series is a reason from this share of the surprise.
STANDS_OUT = 0.1
STRETCH = 8


def outliers(reading: Reading, view: View) -> Section | None:
    """The rows that the model explains worst, and which features make them so."""
    found = reading.all(
        "outlier_rows", "outlier_x", "outlier_reconstruction", "outlier_contribution"
    )
    if found is None:
        return None
    rows, x, y, part = (a[:MOST_OUTLIERS] for a in found)
    p = reading.array("outlier_p")
    n = int((reading.facts.get("rows") or {}).get("n") or 0)
    share = np.abs(np.nan_to_num(part))
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-30)
    items = []
    for k, position in enumerate(rows):
        order = reading.most_important(share[k], FEATURES_OF_OUTLIER)
        reason = _reason(reading, x[k], y[k], share[k], order)
        rare = "" if p is None else f" {_rare(float(p[k]), n)}."
        name = reading.row(int(position))
        items.append(
            Set(
                name.capitalize(),
                _outlier(reading, view, name, x[k], y[k], share[k], order),
                note=f"{reason}.{rare}",
            )
        )
    top = reading.most_important(share[0], 1)
    first = _reason(reading, x[0], y[0], share[0], top)
    title = f"{reading.row(int(rows[0])).capitalize()} is the least like the others: " + (
        f"{reading.feature(int(top[0]))} accounts for {percent(float(share[0, top[0]]))} of why"
        if share[0, top[0]] >= STANDS_OUT and reading.kind != "series"
        else first[0].lower() + first[1:]
    )
    legend = GIVEN if isinstance(view, Series) else ()
    text = [
        "The rows that come back worst, with their reasons: what was given, what came back, and "
        f"the share of each {reading.noun} in the surprise, its squared error over its usual one. "
        "Rows are counted from 0."
    ]
    return Section("outliers", "Outliers", title, text, [Set("", items, legend=legend)])


def _reason(reading: Reading, x: Array, y: Array, share: Array, order: Array) -> str:
    """In words: the features that make a row stand out, with their values."""
    if reading.kind == "series":
        return _stretch(share)
    top = [int(j) for j in order[:2] if share[j] >= STANDS_OUT]
    if not top:
        return f"Spread over many {reading.noun}s, none with more than {percent(STANDS_OUT)} of it"
    words = [
        f"{reading.feature(j)} is {number(float(x[j]))} and not {number(float(y[j]))}" for j in top
    ]
    both = percent(float(share[top].sum()))
    return f"{listed(words)}: {both} of the surprise"


def _stretch(share: Array) -> str:
    """The eighth of a series that holds most of the surprise."""
    width = max(1, len(share) // STRETCH)
    held = np.convolve(share, np.ones(width), mode="valid")
    first = int(held.argmax())
    most = percent(float(held[first]))
    return f"Points {first} to {first + width - 1} make up {most} of the surprise"


def _rare(p: float, n: int) -> str:
    """In words: the share of the n rows that are at least as bad, the row itself included."""
    return "No other row is as bad" if p * n < 1.5 else f"{percent(p)} of rows are as bad"


def _outlier(
    reading: Reading, view: View, name: str, x: Array, y: Array, share: Array, order: Array
) -> list[Any]:
    rows = [
        (
            reading.feature(int(j)),
            [
                Cell(number(float(x[j]))),
                Cell(number(float(y[j]))),
                Cell(percent(float(share[j])), share=float(share[j])),
            ],
        )
        for j in order
    ]
    grid = Grid("", (reading.noun, "given", "came back", "share"), rows)
    if isinstance(view, Images):
        alt = f"{name}: the image given, what came back, and where the surprise is."
        return [view.triple("given, came back, surprise", x, y, share, alt)]
    if isinstance(view, Series):
        alt = f"{name}: the line given and what came back."
        return [view.panel("", [("given", x), ("back", y)], alt)]
    return [grid]
