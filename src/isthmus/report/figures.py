"""Charts as Plotly draws them: data and layout as plain values.

A colour is a word, the name of a colour of the style sheet without its two dashes, so that the page
can draw the same chart in light, in dark and on paper. Text from the data is escaped, because
Plotly reads some HTML in it. Numbers are rounded to four digits, which no screen can show more of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Told apart by shape as well as by colour.
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x", "star")
N_COLOURS = 6
DIVERGING = [[0.0, "low"], [0.5, "neutral"], [1.0, "high"]]
SEQUENTIAL = [[k / 4, f"seq-{k}"] for k in range(5)]


def rounded(values: Array | Sequence[float], digits: int = 4) -> list[float | None]:
    """For JSON: so many significant digits, None where there is no number.

    >>> rounded([1.23456, float("nan"), 200.0])
    [1.235, None, 200.0]
    """
    return [
        float(f"{float(v):.{digits}g}") if math.isfinite(float(v)) else None
        for v in np.ravel(values)
    ]


def said(text: str) -> str:
    """Text from the data, so that Plotly shows it as it is.

    >>> said("<b>a</b>")
    '&lt;b&gt;a&lt;/b&gt;'
    """
    return escape(text, quote=False)


def line(
    name: str,
    x: Array | Sequence[float],
    y: Array | Sequence[float],
    colour: str,
    *,
    dash: str = "solid",
    markers: bool = False,
    error: Array | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A curve, with error bars of one standard error where they are given."""
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if markers else "lines",
        "name": said(name),
        "x": rounded(x, 6),
        "y": rounded(y),
        "line": {"color": colour, "width": 2.2, "dash": dash},
        "marker": {"color": colour, "size": 7},
        **more,
    }
    if error is not None:
        trace["error_y"] = {"array": rounded(error), "color": colour, "thickness": 1.2, "width": 3}
    return trace


def _room(names: Sequence[str]) -> int:
    """Pixels that the longest of the names takes beside an axis, at 6.5 a letter."""
    return 18 + math.ceil(6.5 * max(len(name) for name in names))


def layout(x_title: str, y_title: str, **more: Any) -> dict[str, Any]:
    """Axes with titles; the rest of the look is the page's."""
    parts: dict[str, Any] = {
        "xaxis": {"title": {"text": said(x_title)}},
        "yaxis": {"title": {"text": said(y_title)}},
    }
    for key, value in more.items():
        parts[key] = parts[key] | value if key in parts else value
    return parts


def dumbbells(
    names: Sequence[str], ours: Array, other: Array, *, x_title: str, our_name: str, other_name: str
) -> dict[str, Any]:
    """Two dots a name on one line: how far they are apart is what is to be seen.

    Args:
        names: (n,) from top to bottom.
        ours: (n,) the full dots.
        other: (n,) the open ones.
        x_title: quantity and unit.
        our_name: of the full dots.
        other_name: of the open ones.
    """
    n = len(names)
    at = list(range(n))
    between_x: list[float | None] = []
    between_y: list[float | None] = []
    for k, (a, b) in enumerate(zip(rounded(ours), rounded(other), strict=True)):
        between_x += [a, b, None]
        between_y += [float(k), float(k), None]
    hover = "%{text}: %{x:.4g}"
    texts = [said(name) for name in names]
    dots = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": rounded(values),
            "y": at,
            "text": texts,
            "hovertemplate": hover,
            "marker": {"color": colour, "size": 10, "symbol": symbol},
        }
        for name, values, colour, symbol in (
            (other_name, other, "pca", "diamond-open"),
            (our_name, ours, "model", "circle"),
        )
    ]
    bar = {
        "type": "scatter",
        "mode": "lines",
        "x": between_x,
        "y": between_y,
        "line": {"color": "rule", "width": 3},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return {
        "data": [bar, *dots],
        "layout": layout(
            x_title,
            "",
            xaxis={"rangemode": "tozero"},
            yaxis={
                "tickvals": at,
                "ticktext": texts,
                "autorange": False,
                "range": [n - 0.4, -0.6],
                "showgrid": False,
            },
            margin={"l": _room(names)},
        ),
    }


def bars(
    names: Sequence[str],
    values: Array,
    colours: Sequence[str],
    *,
    y_title: str,
    level: float | None,
) -> dict[str, Any]:
    """Columns, one a name, and a dashed level across them."""
    n = len(names)
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": list(range(n)),
            "y": rounded(values),
            "marker": {"color": list(colours)},
            "text": [said(name) for name in names],
            "textposition": "none",
            "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
            "showlegend": False,
        }
    ]
    shapes = []
    if level is not None:
        shapes.append(
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": level,
                "y1": level,
                "line": {"color": "soft", "width": 1.5, "dash": "dash"},
            }
        )
    every = max(1, math.ceil(n / 16))
    ticks = list(range(0, n, every))
    return {
        "data": data,
        "layout": layout(
            "latent",
            y_title,
            xaxis={"tickvals": ticks, "ticktext": [said(names[k]) for k in ticks]},
            yaxis={"rangemode": "tozero"},
            shapes=shapes,
            bargap=0.25,
        ),
    }


def heat(
    z: Array,
    *,
    x: Sequence[str] | None,
    y: Sequence[str] | None,
    title: str,
    diverging: bool,
    x_title: str = "",
) -> dict[str, Any]:
    """A matrix (n, m) as colours; without names it is a picture, its first row on top.

    Args:
        z: (n, m).
        x: m names, or None.
        y: n names, or None.
        title: of the colour bar, quantity and unit.
        diverging: whether 0 is the middle.
        x_title: what the x names are.
    """
    most = float(np.nanmax(np.abs(z))) or 1.0
    low = -most if diverging else 0.0
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": [rounded(row, 3) for row in z],
        "zmin": low,
        "zmax": most,
        "colorscale": DIVERGING if diverging else SEQUENTIAL,
        "colorbar": {
            "title": {"text": said(title), "side": "right", "font": {"size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
            "exponentformat": "power",
        },
        "hovertemplate": "row %{y}, column %{x}: %{z:.3g}<extra></extra>",
    }
    bare = {"showticklabels": False, "showgrid": False, "ticks": ""}
    axes = {"xaxis": {"constrain": "domain", **bare}, "yaxis": {"autorange": "reversed", **bare}}
    if x is None or y is None:
        axes["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}
    else:
        trace |= {
            "xgap": 1,
            "ygap": 1,
            "customdata": [[f"{said(a)}, {x_title} {said(b)}" for b in x] for a in y],
            "hovertemplate": "%{customdata}: %{z:.3g}<extra></extra>",
        }
        for axis, names in (("xaxis", x), ("yaxis", y)):
            axes[axis] = {
                "tickvals": list(range(len(names))),
                "ticktext": [said(name) for name in names],
                "showgrid": False,
                "ticks": "",
            }
        axes["yaxis"]["autorange"] = "reversed"
        axes["margin"] = {"l": _room(y)}
    return {"data": [trace], "layout": layout(x_title, "", **axes)}


def cloud(
    x: Array,
    y: Array,
    rows: Sequence[str],
    colourings: Sequence[dict[str, Any]],
    x_title: str,
    y_title: str,
) -> dict[str, Any]:
    """Points of a plane and the ways in which the page may colour them (see :func:`by_value`)."""
    return {
        "cloud": {
            "x": rounded(x),
            "y": rounded(y),
            "rows": list(rows),
            "colourings": list(colourings),
            "symbols": list(SYMBOLS),
            "n_colours": N_COLOURS,
            "scale": SEQUENTIAL,
        },
        "data": [],
        "layout": layout(x_title, y_title),
    }


def by_value(title: str, values: Array) -> dict[str, Any]:
    """Points coloured by a number; the colours span what 96% of the points have."""
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, (0.02, 0.98)) if len(known) else (0.0, 1.0)
    if not high > low:
        low, high = float(low) - 0.5, float(low) + 0.5
    return {
        "title": said(title),
        "values": rounded(values, 3),
        "low": float(f"{low:.4g}"),
        "high": float(f"{high:.4g}"),
    }


def by_label(title: str, labels: Array, names: Sequence[str], most: int = 20) -> dict[str, Any]:
    """Points coloured by a name; the rarest of more than ``most`` share one."""
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    kept = np.sort(np.argsort(-counts, kind="stable")[: most if len(names) > most else len(names)])
    place = np.full(len(names) + 1, len(kept))
    place[kept] = np.arange(len(kept))
    codes = place[np.where(labels < 0, len(names), labels)]
    shown = [said(names[k]) for k in kept]
    if bool((codes == len(kept)).any()):
        shown.append("other")
    return {"title": said(title), "codes": codes.tolist(), "names": shown}
