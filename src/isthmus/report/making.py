"""How many dimensions, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.report import figures
from isthmus.report.blocks import Cell, Chart, Grid, Section, Set
from isthmus.report.reading import Reading
from isthmus.report.words import number, plural, shortened
from isthmus.runs.directory import Run

Array = NDArray[Any]
Comparison = tuple[Mapping[str, Any], Mapping[str, Any]]


def dimensions(comparison: Comparison | None) -> Section | None:
    """Held-out likelihood and error over the number of components, when ``compare`` was run."""
    if comparison is None:
        return None
    facts, given = comparison
    names = ("n_components", "log_likelihood", "pca_log_likelihood", "error", "pca_error")
    found = {name: _numbers(given.get(name)) for name in (*names, "active_units")}
    ks, error = found["n_components"], found["error"]
    if ks is None or error is None:
        return None
    chosen = facts.get("recommended")
    if facts.get("compresses") is False:
        title = "No number of components compresses these rows"
    elif chosen is None:
        title = "No number of components stands out"
    else:
        title = f"{plural(int(chosen), 'component')} {'is' if chosen == 1 else 'are'} recommended"
    pairs = (
        ("likelihood", "Held-out log-likelihood, nats per row", names[1], names[2], "normal"),
        ("error", f"Held-out error, {facts.get('unit', 'squared')}", names[3], names[4], "tozero"),
    )
    charts = []
    for slug, about, ours, pca, start in pairs:
        values = found[ours]
        if values is None:
            continue
        spread = _numbers(given.get(f"{ours}_se"))
        data = [figures.line("autoencoder", ks, values, "model", markers=True, error=spread)]
        if (line := found[pca]) is not None:
            data.insert(0, figures.line("PCA", ks, line, "pca", dash="dash", markers=True))
        axes = figures.layout("components", slug, yaxis={"rangemode": start})
        if chosen is not None:
            axes["shapes"] = [_at(float(chosen))]
        alt = f"{about}, with {int(ks[0])} to {int(ks[-1])} components. {title}."
        charts.append(Chart(f"dimensions-{slug}", alt, {"data": data, "layout": axes}, title=about))
    head = ("nats", "nats, PCA", "error", "error, PCA", "busy latents")
    columns = [(h, v) for h, v in zip(head, list(found.values())[1:], strict=True) if v is not None]
    rows = [
        (f"{int(k)}", [Cell(number(float(v[i])), bold=bool(k == chosen)) for _, v in columns])
        for i, k in enumerate(ks)
    ]
    table = Grid("", ("components", *(h for h, _ in columns)), rows)
    text = [str(facts["reason"])] if facts.get("reason") else []
    text.append(
        "Fits of a comparison are short: they tell sizes apart, and this model's own figures are "
        "above."
    )
    text.append(
        "The error falls with every component, those of pure noise included; the likelihood of "
        "rows that were held out does not."
    )
    blocks = [Set("", charts), table]
    return Section("dimensions", "Dimensions", title, [*text, *_estimates(facts)], blocks)


def _at(chosen: float) -> dict[str, Any]:
    """An upright line at the number that is recommended."""
    line = {"color": "good", "width": 1.5, "dash": "dot"}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": chosen, "x1": chosen} | {
        "line": line
    }


def _estimates(facts: Mapping[str, Any]) -> list[str]:
    """What else speaks of the number of dimensions."""
    words = {
        "linear": "linear factors held-out rows support: {}",
        "intrinsic": "dimensions of small neighbourhoods: {}",
        "pca_mle": "Minka’s criterion for PCA: {}",
    }
    known = [
        word.format(number(float(facts[key]), 2))
        for key, word in words.items()
        if facts.get(key) is not None
    ]
    return [f"Other estimates: {', '.join(known)}."] if known else []


def _numbers(values: Any) -> Array | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64).ravel()
    return array if array.size and bool(np.isfinite(array).any()) else None


def provenance(reading: Reading, run: Run) -> list[tuple[str, str]]:
    """How the model was made, by name: what it takes to make it again."""
    config = run.config
    model, data, fit = (config.get(key) or {} for key in ("model", "data", "fit"))
    rows = reading.facts.get("rows") or {}
    hidden = (model.get("architecture") or {}).get("hidden_layer_sizes") or []
    weights = sum(t.numel() for n, t in run.tensors.items() if n.startswith("autoencoder."))
    seed = (model.get("parameters") or {}).get("random_state", reading.facts.get("seed"))
    versions = {**(reading.facts.get("versions") or {}), **(config.get("versions") or {})}
    known = [
        ("command", config.get("command") or "none: it was fitted from Python"),
        (
            "model",
            f"{model.get('class', reading.facts.get('model'))}: {reading.n_features:,} → "
            f"{reading.n_components}, hidden layers {' and '.join(map(str, hidden)) or 'none'}, "
            f"{weights:,} numbers; likelihood {reading.facts.get('likelihood')}",
        ),
        ("data", data.get("origin") or rows.get("origin")),
        ("columns left out", ", ".join(map(str, data.get("drop") or []))),
        ("rows", f"{data.get('n_rows'):,} given to fit" if data.get("n_rows") else None),
        ("data fingerprint", data.get("fingerprint")),
        ("scaling", reading.facts.get("scaling")),
        ("seed", "none was set" if seed is None else str(seed)),
        ("steps", f"{int(fit['n_steps_']):,} kept" if fit.get("n_steps_") is not None else None),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
        ("model checksum", config.get("checksum")),
        ("evaluated", reading.facts.get("created")),
    ]
    return [(name, str(value)) for name, value in known if value]


def parameters(run: Run) -> Grid | None:
    """Every parameter of the estimator."""
    given = (run.config.get("model") or {}).get("parameters")
    if not given:
        return None
    rows = [
        (name, [Cell(shortened(value if isinstance(value, str) else json.dumps(value), 60))])
        for name, value in sorted(given.items())
    ]
    return Grid("", ("parameter", "value"), rows)
