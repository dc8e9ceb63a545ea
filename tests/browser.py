"""A real browser for tests: the system's Chromium, without windows, by Playwright.

Without one the tests that need it are skipped and say so; where the environment variable
ISTHMUS_BROWSER is "required", as in CI, they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page: no updates, no sync, no services in the background.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, or a skip with the reason."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        _without(f"no browser was found (looked for {', '.join(PROGRAMS)})")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        _without(f"Playwright cannot be imported ({error})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


def _without(reason: str) -> None:
    if os.environ.get("ISTHMUS_BROWSER") == "required":
        pytest.fail(f"ISTHMUS_BROWSER is required, but {reason}")
    pytest.skip(reason)
