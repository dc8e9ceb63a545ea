"""Two charts as inline SVG: lines over steps, and labelled points in a plane.

Colours are classes of the page's style sheet (``line-<name>``, ``label-<name>``), so that one file
serves light and dark; what they tell is also told by words (the line's name at its end, the
point's label), so that it does not rest on colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
WIDTH, HEIGHT = 520.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 122.0, 12.0, 44.0


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within low and high, steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0.0, 470.0)
    [0.0, 100.0, 200.0, 300.0, 400.0]
    """
    size = (high - low) / max(about, 1)
    if not size > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(size))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= 0.999 * size)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    levels: Mapping[str, float],
    *,
    title: str,
    x_label: str,
    y_label: str,
) -> str:
    """Curves with their names at their right end, and horizontal dashed lines.

    Args:
        curves: x and y of each; points that are not finite are left out.
        levels: height of each horizontal line.
        title: what it shows, for those who do not see it.
        x_label: quantity and unit along the bottom.
        y_label: quantity and unit along the left.
    """
    points = {
        name: [(float(x), float(y)) for x, y in zip(*xy, strict=True) if math.isfinite(y)]
        for name, xy in curves.items()
    }
    points = {name: some for name, some in points.items() if some}
    highs = [y for some in points.values() for _, y in some] + list(levels.values())
    x_high = max([x for some in points.values() for x, _ in some] + [1.0])
    y_high = 1.04 * max([*highs, 1e-12])

    def px(x: float) -> float:
        return LEFT + x / x_high * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - y / y_high * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(title, quote=True)}">'
    ]
    right = WIDTH - RIGHT
    for y in ticks(0.0, y_high):
        parts.append(f'<path class="grid" d="M{LEFT:g} {py(y):.1f}H{right:g}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6:g}" y="{py(y) + 4:.1f}">{y:g}</text>')
    for x in ticks(0.0, x_high):
        place = f'x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 17:g}"'
        parts.append(f'<text class="tick middle" {place}>{x:g}</text>')
    parts.append(
        f'<text class="axis" x="{(LEFT + right) / 2:g}" y="{HEIGHT - 6:g}">{escape(x_label)}</text>'
        f'<text class="axis" transform="rotate(-90)" x="{-(TOP + HEIGHT - BOTTOM) / 2:g}" y="12">'
        f"{escape(y_label)}</text>"
    )
    ends: list[tuple[str, float]] = []
    for name, y in levels.items():
        parts.append(f'<path class="level line-{name}" d="M{LEFT:g} {py(y):.1f}H{right:g}"/>')
        ends.append((name, py(y)))
    for name, some in points.items():
        path = "L".join(f"{px(x):.1f} {py(y):.1f}" for x, y in some)
        parts.append(f'<path class="line line-{name}" d="M{path}"/>')
        ends.append((name, py(some[-1][1])))
    for name, y in apart(ends, 16.0):
        place = f'x="{right + 6:g}" y="{y + 4:.1f}"'
        parts.append(f'<text class="name fill-{name}" {place}>{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def apart(ends: Sequence[tuple[str, float]], least: float) -> list[tuple[str, float]]:
    """The names from top to bottom, moved down until they are ``least`` apart, then up again
    together so that the group stays where it was.

    >>> apart([("a", 10.0), ("b", 12.0)], 4.0)
    [('a', 9.0), ('b', 13.0)]
    """
    groups: list[list[tuple[str, float]]] = []
    for end in sorted(ends, key=lambda item: item[1]):
        groups.append([end])
        while len(groups) > 1 and _top(groups[-1], least) - _bottom(groups[-2], least) < least:
            last = groups.pop()
            groups[-1] = groups[-1] + last
    return [
        (name, _top(group, least) + k * least)
        for group in groups
        for k, (name, _) in enumerate(group)
    ]


def _top(group: Sequence[tuple[str, float]], least: float) -> float:
    return sum(y for _, y in group) / len(group) - least * (len(group) - 1) / 2


def _bottom(group: Sequence[tuple[str, float]], least: float) -> float:
    return _top(group, least) + least * (len(group) - 1)


def plane(points: Array, labels: Sequence[str], extent: Sequence[float], *, title: str) -> str:
    """Each point as its label, in a square.

    Args:
        points: (N, 2).
        labels: N short words; the colour is that of class ``label-<word>``.
        extent: left, right, bottom, top of the square; points outside it are left out.
        title: what it shows, for those who do not see it.
    """
    left, right, bottom, top = extent
    size = 320.0
    parts = [
        # a word at the edge reaches over it, so that its place stays that of the decoded images
        '<svg class="plane" style="overflow: visible" '
        f'viewBox="0 0 {size:g} {size:g}" role="img" '
        f'aria-label="{escape(title, quote=True)}">'
    ]
    for (x, y), label in zip(points, labels, strict=True):
        if left <= x <= right and bottom <= y <= top:
            px = (float(x) - left) / (right - left) * size
            py = size - (float(y) - bottom) / (top - bottom) * size
            word = escape(label)
            parts.append(f'<text class="label-{word}" x="{px:.1f}" y="{py + 3:.1f}">{word}</text>')
    return "".join([*parts, "</svg>"])


def square(points: Array, share: float = 0.98) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a rectangle around the middle ``share`` of the points (N, 2)."""
    tail = (1.0 - share) / 2
    low, high = np.quantile(points, tail, axis=0), np.quantile(points, 1.0 - tail, axis=0)
    margin = 0.04 * (high - low) + 1e-9
    low, high = low - margin, high + margin
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])
