"""Laws of `isthmus demo`: a page that needs nothing else, honest words, no foreign file lost."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from isthmus import load
from isthmus.cli import _demo_study, demo
from isthmus.cli.main import main
from isthmus.errors import RunError
from isthmus.estimators import Progress
from isthmus.report import charts, pictures
from isthmus.report.claims import FAILS, HOLDS, OPEN, claims
from isthmus.report.demo_page import MARK, render
from isthmus.report.study import MEASURES, Study

QUICK = {"max_epochs": 2, "hidden_layer_sizes": (16,)}


@contextmanager
def silent(name: str) -> Iterator[None]:
    yield None


@pytest.fixture(scope="module")
def ran() -> tuple[Study, dict[str, Any]]:
    return _demo_study.run(0, "isthmus demo", silent, QUICK)


@pytest.fixture
def quick(ran: tuple[Study, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_demo_study, "run", lambda *_: ran)


class Reader(HTMLParser):
    """Addresses, pictures without words, and what is left open."""

    VOID = ("meta", "img", "path", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.wordless: list[str] = []
        self.stack: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.addresses += [value or "" for key, value in attrs if key in ("src", "href")]
        if (tag == "img" and not given.get("alt")) or (
            tag == "svg" and not given.get("aria-label")
        ):
            self.wordless.append(tag)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag


def test_the_page_needs_nothing_but_itself(ran: tuple[Study, dict[str, Any]]) -> None:
    page = render(ran[0])
    reader = Reader()
    reader.feed(page)
    assert reader.stack == []
    assert reader.wordless == []
    assert {a for a in reader.addresses if not a.startswith("data:image/png;base64,")} == {
        "results.json"
    }
    assert reader.tags.isdisjoint({"script", "link", "iframe"})
    assert "//" not in re.sub(r'"data:[^"]*"', "", page)
    assert not re.search(r"url\(|@import", page)
    for word in ("prefers-color-scheme: dark", "max-width: 640px", "@media print"):
        assert word in page


def test_the_page_says_the_figures_of_the_study(ran: tuple[Study, dict[str, Any]]) -> None:
    study = ran[0]
    page = render(study)
    for claim in study.claims:
        assert claim.sentence in page.replace("&#39;", "'")
    for result in study.results:
        assert result.name in page
        for measure in MEASURES:
            assert measure.words(result.figure(measure.key)) in page


def test_a_study_is_the_same_for_the_same_seed(ran: tuple[Study, dict[str, Any]]) -> None:
    again, _ = _demo_study.run(0, "isthmus demo", silent, QUICK)

    def figures(study: Study) -> Any:
        found = study.as_dict()
        del found["seconds"]
        for model in found["models"].values():
            del model["figures"]["seconds"]
        return found

    assert figures(again) == figures(ran[0])


def test_figures_are_those_of_the_estimators(ran: tuple[Study, dict[str, Any]]) -> None:
    study, models = ran
    data = _demo_study.digits(0)
    for result in study.results[1:]:
        model = models[result.name]
        np.testing.assert_allclose(result.figure("nats"), model.score(data.test))
        np.testing.assert_allclose(
            result.rows["jacobian_norm"],
            model.jacobian_norm(data.test.astype(np.float32)),
            rtol=1e-4,
        )
        error = np.square(model.reconstruct(data.test) - data.test).sum(1).mean()
        np.testing.assert_allclose(result.figure("squared_error"), error)


def test_test_images_are_not_trained_on() -> None:
    data = _demo_study.digits(3)
    assert len(data.train) + len(data.test) == 1797
    both = np.concatenate([data.train, data.test])
    whole = _demo_study.bundled.load("digits").values
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(whole, axis=0))


def test_the_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with _demo_study._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_ctrl_c_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def impatient(name: str, quiet: bool) -> Iterator[Any]:
        def tell(progress: Progress) -> None:
            raise KeyboardInterrupt

        yield tell

    monkeypatch.setattr(demo, "_bar", impatient)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 130
    assert capsys.readouterr().err == "Interrupted: nothing was written.\n"
    assert not (tmp_path / "demo").exists()


# ------------------------------------------------------------------------------- what is written


@pytest.mark.usefixtures("quick")
def test_all_of_it_is_written_and_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a" / "demo"
    assert main(["demo", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"index.html", "results.json", "runs"}
    assert {p.name for p in (out / "runs").iterdir()} == set(demo.RUN_NAMES)
    told = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    for claim in results["claims"]:
        assert claim["sentence"] in told
    for name, model in results["models"].items():
        assert name in told
        assert set(model["figures"]) == set(results["measures"])
    test = _demo_study.digits(0).test
    for name in demo.RUN_NAMES[:-1]:
        loaded = load(out / "runs" / name)
        error = np.square(loaded.reconstruct(test) - test).sum(1).mean()
        np.testing.assert_allclose(error, results["models"][name]["figures"]["squared_error"])


@pytest.mark.usefixtures("quick")
def test_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "isthmus-demo"


@pytest.mark.usefixtures("quick")
def test_what_is_there_is_replaced_only_when_asked_and_only_ours(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo.demo(str(out), quiet=True)
    with pytest.raises(RunError, match="exists"):
        demo.demo(str(out), quiet=True)
    (out / "mine.txt").write_text("mine")
    (out / "runs" / "mine").mkdir()
    (out / "index.html").write_text(f"{MARK} old")
    demo.demo(str(out), force=True, quiet=True)
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "runs" / "mine").is_dir()
    assert (out / "index.html").read_text().startswith("<!DOCTYPE html>")


FOREIGN = {
    "a page": ("index.html", "<html>mine</html>"),
    "results": ("results.json", '{"format": "mine"}'),
    "a list": ("results.json", "[]"),
    "no JSON": ("results.json", "mine"),
    "a file for runs": ("runs", "mine"),
    "a file for a run": ("runs/denoising", "mine"),
    "a folder for a run": ("runs/denoising/mine.txt", "mine"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_others_made_is_never_replaced(what: str, tmp_path: Path) -> None:
    name, text = FOREIGN[what]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(RunError):
        demo.check_place(str(tmp_path), force=True)
    assert path.read_text() == text


@pytest.mark.parametrize("out", ["", "file", "file/demo", "broken"])
def test_impossible_places_are_refused_before_any_work(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError):
        demo.check_place(str(tmp_path / out) if out else out, force=True)


def test_the_runs_that_are_checked_are_those_that_are_written(
    ran: tuple[Study, dict[str, Any]],
) -> None:
    assert tuple(ran[1]) == demo.RUN_NAMES


# ------------------------------------------------------------------------------------- the words


def rows(**changes: dict[str, float]) -> dict[str, dict[str, np.ndarray]]:
    """Figures of five models, all 1 with some spread, but for ``changes``."""
    keys = ("squared_error", "noisy_error", "jacobian_norm", "scaled_jacobian_norm")
    spread = np.random.default_rng(0).normal(0.0, 0.1, 100)
    names = ("PCA", "undercomplete", "denoising", "contractive", "variational")
    return {
        name: {
            key: np.full(100, changes.get(name, {}).get(key, 1.0)) + (k * spread)
            for key in (*keys, "neighbour_change")
        }
        for k, name in enumerate(names)
    }


LESS = {
    "better than PCA": {
        name: {"squared_error": 0.5}
        for name in ("undercomplete", "denoising", "contractive", "variational")
    },
    "denoising cleans better": {"denoising": {"noisy_error": 0.5}},
    "contractive code is steadier": {
        "contractive": {"jacobian_norm": 0.5, "scaled_jacobian_norm": 0.5}
    },
    "neighbouring codes decode alike": {"variational": {"neighbour_change": 0.5}},
}


@pytest.mark.parametrize("name", LESS)
@pytest.mark.parametrize(("factor", "state"), [(1, HOLDS), (2, OPEN), (3, FAILS)])
def test_each_claim_is_judged_by_its_figures(name: str, factor: int, state: str) -> None:
    changed = {
        model: {key: value * factor for key, value in figures.items()}
        for model, figures in LESS[name].items()
    }
    (claim,) = (c for c in claims(rows(**changed), 8) if c.name == name)
    assert claim.state == state
    if state != HOLDS:
        assert re.search(r"not|close to call", claim.sentence)


def test_a_code_that_only_shrinks_is_not_called_steadier() -> None:
    changed = {"contractive": {"jacobian_norm": 0.1, "scaled_jacobian_norm": 1.5}}
    (claim,) = (c for c in claims(rows(**changed), 8) if "contractive" in c.name)
    assert claim.state == FAILS
    assert "only by being smaller" in claim.sentence


# ---------------------------------------------------------------------------------- the pictures


def test_a_picture_keeps_every_pixel() -> None:
    images = np.arange(4 * 64, dtype=float).reshape(4, 8, 8) % 17
    uri = pictures.data_uri(pictures.mosaic(images, 3, ink=16.0))
    png = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert png.mode == "LA"
    assert png.size == (3 * 9 - 1, 2 * 9 - 1)
    shown = np.asarray(png)
    np.testing.assert_array_equal(shown[9:17, :8, 0], np.rint(255 * (1 - images[3] / 16)))
    assert shown[..., 1].sum() == 4 * 64 * 255
    assert (shown[9:, 9:, 1] == 0).all()


def test_values_outside_the_range_are_cut() -> None:
    image = np.array([[[-5.0, 0.0], [16.0, 99.0]]])
    grey = pictures.mosaic(image, 1, ink=16.0)[..., 0]
    np.testing.assert_array_equal(grey, [[255, 255], [0, 0]])


def test_curves_of_odd_values_are_drawn() -> None:
    nan = float("nan")
    curves = {"a<b": ([0.0, 1.0], [nan, 2.0]), "none": ([], []), "flat": ([0.0], [0.0])}
    chart = charts.lines(curves, {}, title='"', x_label="x", y_label="y")
    assert "nan" not in chart
    assert "a&lt;b" in chart
    Reader().feed(chart)


@pytest.mark.parametrize("heights", [[10, 10, 10], [0, 100, 101, 102], [5, 18, 20]])
def test_names_of_curves_keep_their_order_and_distance(heights: list[float]) -> None:
    placed = charts.apart([(str(k), y) for k, y in enumerate(heights)], 15.0)
    assert [name for name, _ in placed] == [str(k) for k in range(len(heights))]
    assert (np.diff([y for _, y in placed]) >= 15.0 - 1e-9).all()
    np.testing.assert_allclose(np.mean([y for _, y in placed]), np.mean(heights))
