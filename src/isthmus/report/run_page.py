"""A run and its evaluation → one HTML file for a person: the verdict first, then what supports it.

The page needs no network and asks for none (its Content-Security-Policy forbids it). Plotly's own
script, from the installed package, lies in it compressed and is unpacked by the browser, so that
text and pictures are there before it runs.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from isthmus.evaluation.record import Evaluation
from isthmus.report import gallery, making, odd_rows, sections
from isthmus.report.blocks import Chart, Section, Set
from isthmus.report.making import Comparison
from isthmus.report.reading import Reading
from isthmus.report.templating import template
from isthmus.report.views import view
from isthmus.report.words import number, percent, plural
from isthmus.runs.directory import Run

# In the head of every page made here; by it a page of ours is told from another's.
MARK = '<meta name="generator" content="isthmus report">'
SIGNS = {"good": "✓", "note": "i", "warning": "!"}
MODELS = {
    "Autoencoder": "undercomplete autoencoder",
    "DenoisingAutoencoder": "denoising autoencoder",
    "ContractiveAutoencoder": "contractive autoencoder",
    "VariationalAutoencoder": "variational autoencoder",
}
SPELT = {
    "r2": "R²",
    "elbo": "evidence lower bound (ELBO)",
    "kl": "KL from the prior",
    "aggregate_kl": "aggregate KL",
    "marginal_kl": "marginal KL",
    "auroc": "AUROC",
    "auroc_nats": "AUROC, by nats",
    "average_precision_nats": "average precision, by nats",
    "mig": "mutual information gap (MIG)",
    "sap": "SAP",
    "jacobian_norm": "Jacobian norm",
    "jacobian_norm_scaled": "Jacobian norm, scaled",
}


@dataclass(frozen=True)
class Tile:
    """A figure at the head of the page."""

    value: str
    name: str
    note: str = ""


def render(run: Run, evaluation: Evaluation, comparison: Comparison | None = None) -> str:
    """The page.

    Args:
        run: of which the report is.
        evaluation: of its model.
        comparison: facts and arrays of a comparison over dimensions, where one was made.

    Returns:
        HTML, the same for the same arguments, under 6 MB.
    """
    reading = Reading(evaluation)
    how = view(reading)
    used = sections.busy(reading)
    of_code: Sequence[Callable[[], Section | None]] = (
        lambda: gallery.latent_map(reading),
        lambda: gallery.traversals(reading, how),
        lambda: gallery.interpolations(reading, how),
    )
    makers: Sequence[Callable[[], Section | None]] = (
        lambda: sections.learning(reading, run),
        lambda: gallery.reconstructions(reading, how),
        *(() if used is not None and used[0] == 0 else of_code),  # a code that says nothing
        lambda: gallery.noise(reading, how),
        lambda: sections.latents(reading),
        lambda: sections.features(reading),
        lambda: odd_rows.outliers(reading, how),
        lambda: making.dimensions(comparison),
    )
    parts = [part for part in (make() for make in makers) if part is not None]
    versus = reading.facts.get("versus_pca") or {}
    model = str(reading.facts.get("model", "Autoencoder"))
    rows = reading.facts.get("rows") or {}
    return template("run.html").render(
        mark=MARK,
        model=MODELS.get(model, model),
        origin=rows.get("origin"),
        reading=reading,
        plural=plural,
        verdict=versus.get("sentence") or "There is no comparison with PCA for this model.",
        outcome=versus.get("outcome", "level"),
        rows=rows.get("words", ""),
        tiles=_tiles(reading, versus),
        health=reading.facts.get("health") or [],
        signs=SIGNS,
        sections=parts,
        metrics=[
            _metric(m, reading.facts.get("pca") or {}) for m in reading.facts.get("metrics") or []
        ],
        provenance=making.provenance(reading, run),
        parameters=making.parameters(run),
        figures=_in_script({c.slug: {**c.spec, "height": c.height} for c in _charts(parts)}),
        plotly=_plotly(),
        notice=_notice(),
    )


def _tiles(reading: Reading, versus: dict[str, Any]) -> list[Tile]:
    tiles = []
    if versus.get("share") is not None:
        share, low, high = (float(versus[key]) for key in ("share", "low", "high"))
        word = "less"
        if share < 0:
            word, share, low, high = "more", -share, -high, -low
        note = f"95% interval {_signed(low)} to {_signed(high)}"
        tiles.append(Tile(percent(share), f"{word} squared error than PCA", note))
        tiles.append(
            Tile(
                number(float(versus["error"])),
                "squared error per row",
                f"PCA {number(float(versus['pca_error']))}; {reading.unit}",
            )
        )
        if versus.get("n_to_match"):
            same = f"this model has {reading.n_components}"
            needed = int(versus["n_to_match"])
            word = "component" if needed == 1 else "components"
            tiles.append(Tile(str(needed), f"{word} PCA needs to match", same))
    used = sections.busy(reading)
    if used is not None:
        tiles.append(Tile(f"{used[0]} of {used[1]}", "latents busy"))
    return tiles


def _signed(share: float) -> str:
    return percent(share).replace("-", "−")


def _metric(metric: dict[str, Any], pca: dict[str, Any]) -> dict[str, str]:
    low, high = metric.get("low"), metric.get("high")
    ends = ("−∞" if low is None else number(low)), ("∞" if high is None else number(high))
    direction = {"higher": "higher is better", "lower": "lower is better"}
    return {
        "name": SPELT.get(metric["name"], str(metric["name"]).replace("_", " ")),
        "value": number(float(metric["value"])),
        "pca": number(float(pca[metric["name"]])) if metric["name"] in pca else "",
        "unit": str(metric.get("unit") or ""),
        "range": f"{ends[0]} to {ends[1]}",
        "direction": direction.get(str(metric.get("better")), ""),
        "text": str(metric.get("text") or ""),
        "source": str(metric.get("source") or ""),
    }


def _charts(parts: Sequence[Section]) -> Iterator[Chart]:
    for part in parts:
        for block in part.blocks:
            inside = block.items if isinstance(block, Set) else [block]
            yield from (one for one in inside if isinstance(one, Chart))


def _in_script(value: Any) -> str:
    """JSON that no text in it can end the script element of."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@cache
def _plotly() -> str:
    """Plotly's script, compressed and in base64."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _notice() -> str:
    """The copyright lines at the head of Plotly's script, which its licence wants kept."""
    from plotly.offline import get_plotlyjs

    found = re.match(r"\s*/\*+(.*?)\*/", get_plotlyjs(), re.DOTALL)
    lines = found.group(1).splitlines() if found else ["plotly.js"]
    return " ".join(line.strip(" *") for line in lines if line.strip(" *"))
