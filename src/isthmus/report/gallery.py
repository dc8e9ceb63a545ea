"""Sections on rows: reconstructions, the map of the code, walks through it, noise.

Each returns None where the evaluation has nothing to show for it, so that the page leaves it out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.report import figures
from isthmus.report.blocks import Cell, Chart, Grid, Section, Set
from isthmus.report.reading import Reading
from isthmus.report.views import Series, Tables, View
from isthmus.report.words import number, percent, plural

Array = NDArray[Any]
MOST_LATENTS, MOST_WALKS = 16, 4
COLOURED_FEATURES = 8


def reconstructions(reading: Reading, view: View) -> Section | None:
    """The best, the median and the worst rows."""
    found = reading.all("x", "reconstruction", "squared_error")
    if found is None:
        return None
    x, y, error = found
    order = np.argsort(np.nan_to_num(error, nan=np.inf), kind="stable")
    n = min(view.n_pairs, max(1, len(order) // 3))
    middle = (len(order) - n) // 2
    picks = {
        "Best": order[:n],
        "Median": order[middle : middle + n],
        "Worst": order[len(order) - n :][::-1],
    }
    blocks = []
    for word, picked in picks.items():
        low, high = float(error[picked].min()), float(error[picked].max())
        ends = dict.fromkeys((number(low), number(high)))
        span = " to ".join(ends)
        blocks.append(
            view.pairs(
                f"{word}: squared error {span}", _names(reading, picked), x[picked], y[picked]
            )
        )
    typical, worst = float(np.nanmedian(error)), float(np.nanmax(error))
    times = worst / typical if typical > 0 else np.inf
    how = f"{number(times, 2)} times" if np.isfinite(times) else "far more than"
    return Section(
        "reconstructions",
        "Reconstructions",
        f"Half of the rows come back with a squared error below {number(typical)}; "
        f"the worst has {how} that",
        [f"{plural(len(error), 'row')} ranked by squared error ({reading.unit} per row)."],
        blocks,
    )


def latent_map(reading: Reading) -> Section | None:
    """Where rows lie in the code, coloured by what the reader chooses."""
    found = reading.all("map", "code", "squared_error")
    if found is None:
        return None
    plane, code, error = found
    axes = reading.facts.get("map") or {}
    x_title, y_title = str(axes.get("x", "axis 1")), str(axes.get("y", "axis 2"))
    if plane.shape[1] == 1:
        plane, y_title = np.column_stack([plane[:, 0], error]), "squared error"
    colourings: list[dict[str, Any]] = []
    labels, names = reading.array("label"), reading.label_names
    column = str(reading.facts.get("label_column") or "label")
    if labels is not None and names:
        colourings.append(figures.by_label(column, labels.astype(np.int64), names))
    colourings.append(figures.by_value("squared error", error))
    nats = reading.array("nats")
    if nats is not None:
        colourings.append(figures.by_value("nats (log-likelihood)", nats))
    x, variance = reading.array("x"), reading.array("feature_variance")
    if x is not None:
        weight = (
            np.nanvar(code, axis=0).sum() * np.ones(x.shape[1]) if variance is None else variance
        )
        colourings += [
            figures.by_value(reading.feature(int(j)), x[:, j])
            for j in reading.most_important(weight, COLOURED_FEATURES)
        ]
    if labels is not None and names:
        title, note = _separation(plane, labels.astype(np.int64), column)
    else:
        total, shown = float(np.nanvar(code, axis=0).sum()), float(np.nanvar(plane, axis=0).sum())
        share = min(shown / total, 1.0) if total > 0 else 1.0
        what = plural(reading.n_components, "latent")
        title = (
            "The whole code fits in one plane"
            if reading.n_components <= 2
            else f"The plane below holds {percent(share)} of what varies in the {what}"
        )
        note = ""
    positions = reading.array("rows")
    called = (
        [reading.row(int(r)) for r in positions]
        if positions is not None
        else [reading.row(k) for k in range(len(plane))]
    )
    chart = Chart(
        "map",
        f"Scatter plot of {plural(len(plane), 'row')} in the plane of {x_title} and {y_title}. "
        f"{title}.",
        figures.cloud(plane[:, 0], plane[:, 1], called, colourings, x_title, y_title),
        height=520,
        choices=[_plain(c["title"]) for c in colourings],
    )
    text = [note] if note else []
    return Section("map", "Latent map", title, text, [chart])


def _separation(plane: Array, labels: Array, column: str) -> tuple[str, str]:
    """How often the nearest neighbour in the map has the same label, beside guessing."""
    from sklearn.neighbors import NearestNeighbors

    known = labels >= 0
    plane, labels = plane[known], labels[known]
    _, neighbours = NearestNeighbors(n_neighbors=2).fit(plane).kneighbors(plane)
    same = float((labels[neighbours[:, 1]] == labels).mean())
    share = np.bincount(labels) / len(labels)
    chance = float(np.square(share).sum())
    gain = (same - chance) / max(1.0 - chance, 1e-9)  # 0 by guessing, 1 at best (Cohen 1960)
    word = "share" if gain > 0.2 else "hardly share"
    return (
        f"Neighbours in the map {word} their {column}: {percent(same)} of rows, "
        f"{percent(chance)} of any two rows",
        f"The model was not told the {column}. The whole code may tell more than this plane of it.",
    )


def traversals(reading: Reading, view: View) -> Section | None:
    """What each latent does when it alone is moved."""
    found = reading.all("traversal", "traversal_latent", "traversal_value")
    if found is None:
        return None
    decoded, latents, values = (a[:MOST_LATENTS] for a in found)
    moved = np.square((decoded[:, -1] - decoded[:, 0]) / reading.metric).sum(axis=-1)
    total = float(moved.sum())
    top = int(np.argmax(moved))
    items = []
    for k, latent in enumerate(latents):
        low, high = number(values[k, 0], 2), number(values[k, -1], 2)
        share = percent(float(moved[k]) / total) if total > 0 else "0%"
        name = f"latent {int(latent) + 1}, {low} to {high}"
        alt = f"Decoded while latent {int(latent) + 1} goes from {low} to {high}; {share} of all."
        items.append(view.walk(name, decoded[k], [number(v, 2) for v in values[k]], alt))
    title = (
        f"Latent {int(latents[top]) + 1} moves the rows most: "
        f"{percent(float(moved[top]) / total)} of all change"
        if total > 0
        else "No latent moves the decoded rows"
    )
    text = [f"{view.walk_words} The other latents stay at their means."]
    if reading.n_components > len(latents):
        text.append(f"The {len(latents)} most active of {reading.n_components} latents are shown.")
    blocks: list[Any] = [Set("", items, legend=_walk_legend(view))]
    if isinstance(view, Tables):
        blocks.insert(0, _effects(reading, decoded, latents))
    return Section("traversals", "Traversals", title, text, blocks)


def _effects(reading: Reading, decoded: Array, latents: Array) -> Chart:
    """All latents and features at once: by how much one moves the other."""
    effect = (decoded[:, -1] - decoded[:, 0]) / reading.deviation
    order = np.sort(reading.most_important(np.abs(effect).max(axis=0)))
    names = [reading.feature(int(j)) for j in order]
    rows = [f"latent {int(k) + 1}" for k in latents]
    k, j = np.unravel_index(int(np.argmax(np.abs(effect[:, order]))), (len(rows), len(order)))
    word = "raises" if effect[k, order[j]] > 0 else "lowers"
    alt = (
        f"Heat map of {plural(len(rows), 'latent')} by {plural(len(order), 'feature')}: the "
        f"strongest is that {rows[k]} {word} {names[j]} by "
        f"{number(abs(float(effect[k, order[j]])), 2)} standard deviations from its low to its "
        "high end."
    )
    spec = figures.heat(
        effect[:, order].T,
        x=[str(int(k) + 1) for k in latents],
        y=names,
        title="change, standard deviations",
        diverging=True,
        x_title="latent",
    )
    rest = reading.n_features - len(order)
    title = "What a feature does while a latent goes from its low to its high end" + (
        f" (the {len(order)} features that move most, of {reading.n_features:,})" if rest else ""
    )
    return Chart("effects", alt, spec, height=130 + 22 * len(order), title=title)


def _walk_legend(view: View) -> tuple[tuple[str, str], ...]:
    return (("step-0", "low"), ("step-8", "high")) if isinstance(view, Series) else ()


def interpolations(reading: Reading, view: View) -> Section | None:
    """Straight lines between the codes of two rows."""
    found = reading.all("interpolation", "interpolation_rows")
    if found is None:
        return None
    decoded, pairs = (a[:MOST_WALKS] for a in found)
    items = []
    for k, (start, end) in enumerate(pairs):
        a, b = reading.row(int(start)), reading.row(int(end))
        steps = [percent(t) for t in np.linspace(0, 1, decoded.shape[1])]
        alt = f"{decoded.shape[1]} decoded steps from {a} to {b}."
        items.append(view.walk(f"{a} to {b}", decoded[k], [a, *steps[1:-1], b], alt))
    closer = _halfway(reading, decoded)
    title = "Half-way between two rows the decoder gives rows in their own right"
    text = ["Straight lines between the codes of two rows, decoded on the way."]
    if closer is not None:
        word = f"{percent(abs(closer))} {'nearer to' if closer > 0 else 'further from'}"
        title = f"Half-way between two rows, what is decoded is {word} a real row than their mean"
        text.append(
            "Measured by the squared distance to the nearest shown row, beside that of the plain "
            "mean of the two decoded ends."
        )
    legend = (("step-0", "first row"), ("step-8", "second row"))
    shown = legend if isinstance(view, Series) else ()
    return Section("interpolations", "Interpolations", title, text, [Set("", items, legend=shown)])


def _halfway(reading: Reading, decoded: Array) -> float | None:
    x = reading.array("x")
    if x is None or bool(np.isnan(x).any()) or decoded.shape[1] < 3:
        return None
    from isthmus.evaluation.reconstruction import nearest_squared_distance

    scale = reading.metric
    middle = decoded[:, decoded.shape[1] // 2] / scale
    mean = 0.5 * (decoded[:, 0] + decoded[:, -1]) / scale
    ours = float(nearest_squared_distance(middle, x / scale).mean())
    plain = float(nearest_squared_distance(mean, x / scale).mean())
    return 1.0 - ours / plain if plain > 0 else None


def noise(reading: Reading, view: View) -> Section | None:
    """Noisy rows in, what comes out, and the error by the amount of noise."""
    found = reading.all("noise_clean", "noise_in", "noise_out")
    if found is None:
        return None
    clean, noisy, out = (a[: view.n_cleaned] for a in found)
    title, text = "What comes out when noise goes in", "Rows as they are, with noise, and after."
    names = [f"example {k + 1}" for k in range(len(clean))]
    blocks: list[Any] = [view.cleaned(names, clean, noisy, out)]
    curves = reading.all("noise_level", "noise_error")
    kind = reading.facts.get("noise") or {}
    if curves is not None and len(curves[0]) > 1:
        level, ours = curves
        chart, title = _noise_curve(reading, level, ours, reading.array("pca_noise_error"), kind)
        blocks.append(chart)
    if kind.get("kind"):
        word = str(kind["kind"]).replace("_", " and ").capitalize()
        size = f" of {number(float(kind['reference']))}" if kind.get("reference") else ""
        text = f"{word} noise{size} {kind.get('unit') or ''}: rows as they are, noisy, and after."
    return Section("noise", "Noise", title, [text], blocks)


def _noise_curve(
    reading: Reading, level: Array, ours: Array, pca: Array | None, kind: dict[str, Any]
) -> tuple[Chart, str]:
    """Error against the clean rows by the amount of noise, and what it says."""
    at = int(np.argmin(np.abs(level - float(kind.get("reference") or level[-1]))))
    title = (
        f"Noise of {number(float(level[at]))} raises the error from {number(float(ours[0]))} to "
        f"{number(float(ours[at]))}"
    )
    data = [figures.line("this model", level, ours, "model", markers=True)]
    columns = [ours]
    if pca is not None:
        title += f"; PCA’s from {number(float(pca[0]))} to {number(float(pca[at]))}"
        data.insert(0, figures.line("PCA", level, pca, "pca", dash="dash", markers=True))
        columns.append(pca)
    axes = figures.layout(
        f"noise ({kind.get('unit') or 'level'})", "squared error", yaxis={"rangemode": "tozero"}
    )
    rows = [
        (number(float(x)), [Cell(number(float(y[k]))) for y in columns])
        for k, x in enumerate(level)
    ]
    head = ("noise", "this model", "PCA")[: 1 + len(columns)]
    chart = Chart(
        "noise",
        f"Lines of squared error over {len(level)} levels of noise. {title}.",
        {"data": data, "layout": axes},
        numbers=Grid("", head, rows),
        title=f"Squared error to the clean row, {reading.unit}",
    )
    return chart, title


def _names(reading: Reading, picked: Array) -> list[str]:
    """Rows and, where they have one, their labels."""
    positions, labels = reading.array("rows"), reading.array("label")
    names = reading.label_names
    called = []
    for k in picked:
        name = reading.row(int(k if positions is None else positions[k]))
        if labels is not None and names and labels[k] >= 0:
            name += f" ({names[int(labels[k])]})"
        called.append(name)
    return called


def _plain(title: str) -> str:
    from html import unescape

    return unescape(title)
