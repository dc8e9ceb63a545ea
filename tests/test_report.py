"""Laws of `isthmus report`: a page complete in itself that says what was measured."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import io
import json
import re
from functools import cache
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from isthmus import VariationalAutoencoder
from isthmus.cli import report as verb
from isthmus.errors import InvalidParameterError, RunError
from isthmus.evaluation.evaluate import evaluate
from isthmus.evaluation.record import Evaluation
from isthmus.report import figures, panels
from isthmus.report.run_page import render
from isthmus.report.words import shortened
from isthmus.runs import directory
from report_examples import HOSTILE, NAMES, comparison, example

QUICK = {"max_epochs": 2, "hidden_layer_sizes": (8,), "random_state": 0}
CLI_QUICK = ("--max-epochs", "2", "--hidden-layer-sizes", "8", "--seed", "0", "--quiet")


class Page(HTMLParser):
    """What a page holds: text, headings, addresses, scripts, pictures without words."""

    VOID = ("meta", "img", "path", "br", "wbr", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.wordless: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.sections: list[str] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self._stack: list[str] = []
        self.feed(text)
        self.close()
        assert self._stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not any(name.startswith("on") for name in given), "a handler in the markup"
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        drawing = tag == "svg" or given.get("class") == "plot"
        if (tag == "img" and not given.get("alt")) or (drawing and not given.get("aria-label")):
            self.wordless.append(tag)
        if tag == "img":
            self.images.append((given["src"] or "", given["alt"] or ""))
        if tag == "section":
            self.sections.append(given["id"] or "")
        if tag == "script":
            self.scripts.append("")
        if tag in ("h1", "h2"):
            self.headings.append("")
        if tag not in self.VOID:
            self._stack.append(tag)
        if tag != "wbr":  # anything else ends a word
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._stack.pop() == tag
        self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self._stack and self._stack[-1] == "script":
            self.scripts[-1] += data
        elif "style" not in self._stack:
            self.words.append(data)
            if self._stack and self._stack[-1] in ("h1", "h2"):
                self.headings[-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def charts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


@cache
def text_of(name: str, compared: bool = False) -> str:
    return render(*example(name), comparison() if compared else None)


@cache
def page(name: str, compared: bool = False) -> Page:
    return Page(text_of(name, compared))


# ------------------------------------------------------------------------------- every kind of row


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_but_itself(name: str) -> None:
    text, found = text_of(name, compared=True), page(name, compared=True)
    assert found.wordless == []
    inside = ("data:image/png;base64,", "#")
    assert [a for a in found.addresses if not a.startswith(inside)] == []
    assert {a[1:] for a in found.addresses if a.startswith("#")} <= set(found.sections)
    assert "default-src 'none'" in text
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)
    for word in ("prefers-color-scheme: dark", "max-width: 640px", "@media print"):
        assert word in style
    assert len(text.encode()) < 6e6


@pytest.mark.parametrize("name", NAMES)
def test_the_same_arguments_give_the_same_page(name: str) -> None:
    assert render(*example(name)) == text_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_verdict_and_findings_come_first_and_whole(name: str) -> None:
    _, evaluation = example(name)
    found = page(name)
    facts = evaluation.facts
    assert found.headings[0] == facts["versus_pca"]["sentence"]
    assert found.sections[0] == "health"
    text = found.text
    for item in facts["health"]:
        assert " ".join(item["finding"].split()) in text
        assert " ".join(item["remedy"].split()) in text
    for metric in facts["metrics"]:
        assert metric["text"] in text
    assert facts["rows"]["words"] in text


@pytest.mark.parametrize("name", NAMES)
def test_how_it_was_made_is_told(name: str) -> None:
    run, _ = example(name)
    text = page(name).text
    data = run.config["data"]
    for word in (run.config["command"], data["fingerprint"], run.config["checksum"], "seed 0"):
        assert word in text
    for parameter in run.config["model"]["parameters"]:
        assert parameter in text


@pytest.mark.parametrize("name", NAMES)
def test_no_number_is_nan(name: str) -> None:
    found = page(name, compared=True)
    assert not re.search(r"\b(nan|inf|None)\b", found.text)
    assert "NaN" not in found.scripts[0]
    assert "Infinity" not in found.scripts[0]


def test_plotly_is_that_of_the_package() -> None:
    script = page("table").scripts[1]
    assert gzip.decompress(base64.b64decode(script)).decode() == get_plotlyjs()


# ---------------------------------------------------------------------------- text from the data


def test_names_from_the_data_are_text() -> None:
    found = page("hostile")
    assert len(found.scripts) == 3
    text = found.text
    for name in ("<!--", "<b>x</b>", 'a"b', "var(--pca)", "%{x}", "<i>", "&amp;"):
        assert name in text
    drawn = json.dumps(found.charts)
    assert "</" not in found.scripts[0]
    assert "<" not in drawn.replace("<extra></extra>", "")
    assert figures.said(HOSTILE[2]) in drawn


# ------------------------------------------------------------------------ figures that are shown


def test_curves_are_those_of_the_history() -> None:
    run, _ = example("table")
    traces = {trace["name"]: trace for trace in page("table").charts["learning"]["data"]}
    ours = [(row["step"], row["squared_error"]) for row in run.history]
    np.testing.assert_allclose(traces["this model"]["x"], [step for step, _ in ours])
    np.testing.assert_allclose(traces["this model"]["y"], [y for _, y in ours], rtol=1e-3)
    line = traces["PCA"]["y"]
    np.testing.assert_allclose(line, run.history[0]["pca_squared_error"], rtol=1e-3)


def test_errors_per_feature_are_sorted_and_paired_with_pca() -> None:
    _, evaluation = example("table")
    error = evaluation.arrays["feature_error"]
    order = np.argsort(-error)
    _, pca, ours = page("table").charts["features"]["data"]
    np.testing.assert_allclose(ours["x"], error[order], rtol=1e-3)
    np.testing.assert_allclose(pca["x"], evaluation.arrays["pca_feature_error"][order], rtol=1e-3)
    assert ours["text"] == [shortened(evaluation.facts["feature_names"][j]) for j in order]


def test_of_many_features_thirty_are_drawn_and_it_says_so() -> None:
    found = page("wide")
    assert len(found.charts["features"]["data"][1]["x"]) == 30
    assert "the 30 largest of 1,500" in found.text
    assert "of 1,500" in found.text


def test_images_are_pictures_of_best_median_and_worst() -> None:
    _, evaluation = example("images")
    x, error = evaluation.arrays["x"], evaluation.arrays["squared_error"]
    order = np.argsort(error, kind="stable")
    uri, alt = page("images").images[0]
    assert alt.startswith("8 images: row ")
    png = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    best = x[order[0]].reshape(8, 8)
    np.testing.assert_array_equal(png[:, :8, 0], np.rint(255 * (1 - best / 16)))
    worst = int(evaluation.arrays["rows"][order[-1]])
    assert f"row {worst:,}" in page("images").images[4][1].replace("images: row", "row")


def test_the_map_has_all_rows_and_the_ways_to_colour_them() -> None:
    _, evaluation = example("hostile")
    cloud = page("hostile").charts["map"]["cloud"]
    plane = evaluation.arrays["map"]
    np.testing.assert_allclose(cloud["x"], plane[:, 0], rtol=1e-3, atol=1e-6)
    first = cloud["colourings"][0]
    assert first["title"] == "kind"
    names = [first["names"][code] for code in first["codes"]]
    given = [evaluation.facts["labels"][code] for code in evaluation.arrays["label"]]
    assert names == [figures.said(name) for name in given]
    assert "squared error" in [c["title"] for c in cloud["colourings"]]
    assert all(len(c.get("codes", c.get("values"))) == len(plane) for c in cloud["colourings"])


def test_a_variational_model_has_kl_and_others_have_none() -> None:
    _, evaluation = example("images")
    drawn = page("images").charts
    np.testing.assert_allclose(drawn["kl"]["data"][0]["y"], evaluation.arrays["kl"], rtol=1e-3)
    total = evaluation.arrays["kl"].sum()
    assert f"{total:.3g} nats" in page("images").text
    assert "kl" not in page("table").charts


def test_outliers_carry_their_reason() -> None:
    _, evaluation = example("table")
    row = int(evaluation.arrays["outlier_rows"][0])
    part = evaluation.arrays["outlier_contribution"][0]
    top = evaluation.facts["feature_names"][int(part.argmax())]
    share = round(100 * float(part.max() / part.sum()))
    text = page("table").text
    assert f"Row {row} is the least like the others: {top} accounts for {share}% of why" in text


def test_a_comparison_is_shown_only_where_there_is_one() -> None:
    assert "dimensions" not in page("table").sections
    found = page("table", compared=True)
    assert "dimensions" in found.sections
    assert "4 components are recommended" in found.text
    assert "Four is enough." in found.text
    for name, array in (("likelihood", "log_likelihood"), ("error", "error")):
        ours = found.charts[f"dimensions-{name}"]["data"][-1]
        np.testing.assert_allclose(ours["y"], comparison()[1][array], rtol=1e-3)


def test_a_comparison_may_say_that_nothing_compresses() -> None:
    facts, arrays = comparison()
    text = Page(render(*example("table"), ({**facts, "compresses": False}, arrays))).text
    assert "No number of components compresses these rows" in text
    assert "are recommended" not in text


# --------------------------------------------------------------------------- what may be missing

NEEDS = {
    "reconstructions": ("reconstruction",),
    "map": ("map",),
    "traversals": ("traversal",),
    "interpolations": ("interpolation",),
    "noise": ("noise_in",),
    "latents": ("activity", "effect"),
    "features": ("feature_error",),
    "outliers": ("outlier_rows",),
}


@pytest.mark.parametrize("name", ["images", "series", "table"])
@pytest.mark.parametrize("section", NEEDS)
def test_a_section_without_its_arrays_is_left_out(section: str, name: str) -> None:
    run, evaluation = example(name)
    arrays = {k: v for k, v in evaluation.arrays.items() if k not in NEEDS[section]}
    found = Page(render(run, Evaluation(evaluation.facts, arrays)))
    assert section not in found.sections
    assert len(found.sections) == len(page(name).sections) - 1


def test_pca_may_be_unknown() -> None:
    run, evaluation = example("table")
    arrays = {k: v for k, v in evaluation.arrays.items() if not k.startswith("pca_")}
    facts = {**evaluation.facts, "versus_pca": None, "pca": {}}
    found = Page(render(run, Evaluation(facts, arrays)))
    assert found.headings[0].startswith("There is no comparison")
    assert found.sections == page("table").sections


def test_almost_nothing_may_be_known() -> None:
    run, evaluation = example("table")
    kept = {k: evaluation.facts[k] for k in ("model", "n_components", "n_features")}
    bare = dataclasses.replace(run, history=[], config={})
    found = Page(render(bare, Evaluation(kept, {})))
    assert found.sections == ["making"]


# -------------------------------------------------------------------------------- colours, panels


def _colours(dark: bool) -> dict[str, str]:
    style = resources.files("isthmus.report").joinpath("templates/run.css").read_text()
    light, _, rest = style.partition("@media screen and (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    if dark:
        found |= dict(re.findall(r"--([\w-]+): (#\w{6})", rest[: rest.index("img")]))
    return found


def _contrast(a: str, b: str) -> float:
    """Contrast ratio of WCAG 2.1: (L₁ + 0.05) / (L₂ + 0.05) of the relative luminances."""

    def luminance(colour: str) -> float:
        v = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_words_and_marks_stand_out(dark: bool, ground: str) -> None:
    colours = _colours(dark)
    for word in ("ink", "soft", "good", "note", "warning", "link"):
        assert _contrast(colours[word], colours[ground]) >= 4.5, word
    for mark in ("model", "pca", *(f"c{k}" for k in range(figures.N_COLOURS))):
        assert _contrast(colours[mark], colours[ground]) >= 3.0, mark


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_of_a_chart_is_one_of_the_style_sheet(dark: bool) -> None:
    known = _colours(dark)

    def check(value: Any, speaks: bool) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                check(entry, key.endswith(("color", "colorscale", "scale")))
        elif isinstance(value, list):
            for entry in value:
                check(entry, speaks)
        elif isinstance(value, str) and speaks:
            assert value in known

    for name in NAMES:
        for chart in page(name, compared=True).charts.values():
            check(chart["data"], False)
            check(chart.get("cloud", {}).get("scale"), True)
            check(chart["layout"].get("shapes"), False)


def test_a_panel_breaks_where_a_value_is_missing() -> None:
    svg = panels.lines([("given", np.array([1.0, 2.0, np.nan, 4.0]))], alt='"<')
    (path,) = re.findall(r'class="curve given" d="([^"]*)"', svg)
    assert path.count("M") == 2
    assert "nan" not in svg
    assert 'aria-label="&quot;&lt;"' in svg


def test_a_flat_or_empty_panel_is_drawn() -> None:
    for values in (np.zeros(5), np.full(5, np.nan), np.ones(1)):
        assert "nan" not in panels.lines([("given", values)], alt="flat")


# ------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from isthmus.cli.main import main

    folder = tmp_path_factory.mktemp("report")
    run = folder / "wine.1"
    assert main(["fit", "wine", "--n-components", "2", "--out", str(run), *CLI_QUICK]) == 0
    return run


def test_a_run_becomes_a_page_beside_it(fitted: Path) -> None:
    first = verb.report(str(fitted))
    target = fitted.parent / "wine.1.html"
    assert first.facts["out"] == str(target)
    assert first.facts["bytes"] == target.stat().st_size
    assert first.facts["evaluated"] is True
    assert str(target) in first.text
    assert [entry.name for entry in fitted.parent.iterdir() if entry.name.startswith(".")] == []
    with pytest.raises(RunError, match="exists"):
        verb.report(str(fitted))
    before = target.read_bytes()
    again = verb.report(f"{fitted}/", force=True)
    assert again.facts["evaluated"] is False
    assert target.read_bytes() == before
    assert directory.attached(fitted, "evaluation") is not None


def test_a_label_colours_the_map(fitted: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"
    assert verb.report(str(fitted), label="target", out=str(out)).facts["evaluated"] is True
    cloud = Page(out.read_text()).charts["map"]["cloud"]
    assert cloud["colourings"][0]["title"] == "target"
    assert cloud["colourings"][0]["names"] == ["0", "1", "2"]


@pytest.mark.parametrize("out", ["page.pdf", "page", ""])
def test_a_page_ends_in_html(fitted: Path, out: str) -> None:
    with pytest.raises((InvalidParameterError, RunError)):
        verb.report(str(fitted), out=out)


def test_what_is_no_run_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        verb.report(str(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_an_altered_evaluation_is_one_sentence(tmp_path, capsys):
    from isthmus.cli.main import main
    from isthmus.runs import directory

    run = str(tmp_path / "run")
    words = ["fit", "wine", "--n-components", "2", "--max-epochs", "1", "--seed", "0", "--quiet"]
    assert main([*words, "--out", run]) == 0
    directory.attach(run, "evaluation", {"metrics": "none"}, {})
    assert main(["report", run]) == 2
    said = capsys.readouterr().err
    assert "no page can be made of" in said
    assert "isthmus evaluate" in said
    assert not (tmp_path / "run.html").exists()


def test_of_a_code_that_says_nothing_the_page_shows_no_walks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 1)) @ np.ones((1, 5)) + 0.3 * rng.normal(size=(150, 5))
    model = VariationalAutoencoder(2, beta=1e6, **QUICK).fit(x)
    run = directory.read(model.save(tmp_path / "run"))
    page = Page(render(run, evaluate(model, x, kind="training")))
    assert not {"map", "traversals", "interpolations"} & set(page.sections)
    assert {"learning", "reconstructions", "latents"} <= set(page.sections)
    tile = re.search(r"more squared error than PCA\s+95% interval (\S+)% to (\S+)%", page.text)
    assert tile, page.text[:600]
    low, high = (float(end) for end in tile.groups())
    assert 0 < low <= high  # as the words say: so much more
