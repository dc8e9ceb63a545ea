"""Small line charts as inline SVG: many on a page, each a few lines over the same axis.

Colours are classes of the style sheet, so that one file serves light and dark. Lines are told apart
by the legend beside the panels and by their dashes, not by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.report.words import number

Array = NDArray[Any]
WIDTH, HEIGHT = 300.0, 132.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 6.0, 8.0, 18.0
MOST_POINTS = 240
STEPS = 9


def step_class(k: int, n: int) -> str:
    """The class of the k-th of n lines that go from low to high.

    >>> [step_class(k, 3) for k in range(3)]
    ['step-0', 'step-4', 'step-8']
    """
    return f"step-{round(k * (STEPS - 1) / max(n - 1, 1))}"


def lines(
    curves: Sequence[tuple[str, Array]],
    *,
    alt: str,
    span: tuple[float, float] | None = None,
    ends: tuple[str, str] = ("", ""),
    middle: float | None = None,
) -> str:
    """Curves over the position in the row.

    Args:
        curves: style-sheet class and (D,) heights, NaN where there is none; the last is on top.
        alt: what it shows, for those who do not see it.
        span: lowest and highest value drawn; that of the curves where None.
        ends: words at the left and right end of the axis below.
        middle: height of a horizontal line.
    """
    n = max(len(values) for _, values in curves)
    kept = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int))
    low, high = span if span is not None else extent([values for _, values in curves])

    def px(position: int) -> float:
        return LEFT + (position / max(n - 1, 1)) * (WIDTH - LEFT - RIGHT)

    def py(value: float) -> float:
        inside = min(max((value - low) / (high - low), 0.0), 1.0)
        return HEIGHT - BOTTOM - inside * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="panel" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(alt, quote=True)}">'
    ]
    for value in (low, high):
        y = py(value)
        parts.append(f'<path class="grid" d="M{LEFT:g} {y:.1f}H{WIDTH - RIGHT:g}"/>')
        parts.append(
            f'<text class="end" x="{LEFT - 5:g}" y="{y + 4:.1f}">{escape(number(value, 2))}</text>'
        )
    if middle is not None and low < middle < high:
        parts.append(f'<path class="middle" d="M{LEFT:g} {py(middle):.1f}H{WIDTH - RIGHT:g}"/>')
    for style, values in curves:
        parts.append(f'<path class="curve {style}" d="{_path(values, kept, px, py)}"/>')
    foot = HEIGHT - 4
    for anchor, x, word in (("start", LEFT, ends[0]), ("end", WIDTH - RIGHT, ends[1])):
        if word:
            parts.append(f'<text class="{anchor}" x="{x:g}" y="{foot:g}">{escape(word)}</text>')
    return "".join([*parts, "</svg>"])


def extent(many: Sequence[Array]) -> tuple[float, float]:
    """Lowest and highest finite value, apart by more than nothing.

    >>> extent([np.array([1.0, np.nan]), np.array([3.0])])
    (1.0, 3.0)
    """
    every = np.concatenate([np.ravel(values) for values in many])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _path(values: Array, kept: Array, px: Any, py: Any) -> str:
    """Straight lines between neighbours, broken where a value is missing."""
    parts, pen = [], "M"
    for position in kept:
        value = float(values[position])
        if not np.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{px(int(position)):.1f} {py(value):.1f}")
        pen = "L"
        lone = not np.isfinite(values[kept[kept > position][:1]]).any()
        if parts[-1].startswith("M") and lone:  # a point between gaps is drawn as a dot
            parts.append("h.1")
    return "".join(parts)
