"""The report in a real browser: nothing asked of the network, no error, everything drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser import chromium
from isthmus.report.run_page import render
from report_examples import NAMES, comparison, example

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESK = {"width": 400, "height": 800}, {"width": 1100, "height": 900}
MARKS = ".trace path, .points path, .heatmaplayer image"
COUNT = f"""[...document.querySelectorAll(".plot")].map(
    (plot) => [plot.dataset.chart, plot.querySelectorAll("{MARKS}").length])"""
EMPTY = "[...document.querySelectorAll('svg.panel')].filter((s) => !s.querySelector('.curve'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Page]:
    """A page with all its charts drawn, opened at the width of a phone, and once only."""
    folder = tmp_path_factory.mktemp("pages")
    pages: dict[str, Page] = {}

    def get(name: str) -> Page:
        if name not in pages:
            path = folder / f"{name}.html"
            path.write_text(render(*example(name), comparison()))
            page = browser.new_page(viewport=PHONE, color_scheme="light")
            page.set_default_timeout(120_000)
            TROUBLE[page] = trouble = []
            page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
            page.on("request", lambda request: trouble.extend(_elsewhere(request.url)))
            page.goto(path.as_uri())
            page.wait_for_selector("html.drawn", state="attached")
            pages[name] = page
        return pages[name]

    return get


TROUBLE: dict[Page, list[str]] = {}


def _elsewhere(url: str) -> list[str]:
    return [] if url.startswith(("file:", "data:")) else [f"asked for {url}"]


def settled(page: Page) -> None:
    """After two frames, what follows the size of the window has followed it; nothing went wrong."""
    page.evaluate("new Promise((f) => requestAnimationFrame(() => setTimeout(f, 100)))")
    assert TROUBLE[page] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_chart_is_drawn_without_an_error(opened: Callable[[str], Page], name: str) -> None:
    page = opened(name)
    for look in ("phone", "desk", "dark"):
        if look != "phone":
            page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="dark" if look == "dark" else "light")
        settled(page)
        marks = dict(page.evaluate(COUNT))
        assert {"learning", "loss", "map", "noise", "dimensions-error"} <= set(marks)
        assert [chart for chart, count in marks.items() if count == 0] == []
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= (PHONE if look == "phone" else DESK)["width"]
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert page.evaluate(f"{EMPTY}.length") == 0


def colour(page: Page, selector: str, what: str = "fill") -> str:
    script = "([s, w]) => getComputedStyle(document.querySelector(s))[w]"
    return str(page.evaluate(script, [selector, what]))


def test_charts_follow_the_colour_scheme(opened: Callable[[str], Page]) -> None:
    page, found = opened("images"), {}
    for scheme in ("light", "dark", "light"):
        page.emulate_media(color_scheme=scheme)
        settled(page)
        was = found.setdefault(scheme, colour(page, "#plot-kl .bars path"))
        assert colour(page, "#plot-kl .bars path") == was
    assert found["light"] == "rgb(0, 103, 168)"
    assert found["dark"] == "rgb(92, 184, 240)"


def test_the_map_is_coloured_as_the_reader_chooses(opened: Callable[[str], Page]) -> None:
    page = opened("hostile")
    select = page.locator("select")
    n_choices = select.locator("option").count()
    assert n_choices > 3
    points = "document.querySelectorAll('#plot-map .points path').length"
    n_points = page.evaluate(points)
    for choice in reversed(range(n_choices)):
        select.select_option(str(choice))
        assert page.evaluate(points) == n_points
        # a number has a scale of colours, a name has none
        assert page.locator("#plot-map .colorbar").count() == (choice > 0)
    settled(page)


def test_text_from_the_data_is_no_markup(opened: Callable[[str], Page]) -> None:
    page = opened("hostile")
    legend = page.locator("#plot-map .legendtext").all_text_contents()
    assert legend == ["&amp;", "<i>", "c"]
    ticks = page.locator("#plot-features .ytick text").all_text_contents()
    assert {"<!--", "<b>x</b>", 'a"b', "var(--pca)", "%{x}"} <= set(ticks)
    assert page.evaluate("document.scripts.length") == 3  # Plotly's packed one has left


def test_paper_is_light_and_wide_enough(opened: Callable[[str], Page]) -> None:
    page = opened("images")
    page.emulate_media(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert colour(page, "body", "backgroundColor") == "rgb(255, 255, 255)"
    assert colour(page, "#plot-kl .bars path") == "rgb(0, 103, 168)"
    width = "(s) => s.clientWidth"
    widths = page.evaluate(f"[...document.querySelectorAll('.plot .main-svg')].map({width})")
    assert max(widths) <= 700
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert len(page.pdf(format="A4")) > 10_000
    settled(page)


def test_without_scripts_words_and_pictures_are_there(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "images.html"
    path.write_text(render(*example("images")))
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert page.locator("h1").inner_text().strip()
    assert page.locator("img").first.is_visible()
    assert "need JavaScript" in page.locator("noscript").inner_text()
