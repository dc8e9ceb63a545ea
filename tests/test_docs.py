"""What the documents say is so: examples run, commands work, what they name is there."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from isthmus import open_data
from isthmus.cli._options import DataFile
from isthmus.cli.main import main
from isthmus.data.files.paths import ENDINGS, KINDS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
WITH_EXAMPLES = [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A path of the repository in backticks, and the test in it if one is named.
NAMED = re.compile(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)(?:::(\w+))?`")
CONFIG = re.compile(r"# (\w+\.toml)\n")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for tag, text in found if tag == language]


def anchors(page: Path) -> set[str]:
    """The names that a page's headings get: lower case, hyphens for spaces, punctuation dropped."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name_of)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)
    assert tried > 0
    assert failed == 0, "the report is in the captured output"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    for path, test in NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def test_the_commands_of_the_guide_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guide = ROOT / "docs" / "guide.md"
    for text in blocks(guide, "toml"):
        (tmp_path / CONFIG.findall(text)[0]).write_text(text, encoding="utf-8")
    commands = [
        shlex.split(line, comments=True)[1:]
        for text in blocks(guide, "sh")
        for line in text.splitlines()
        if line.startswith("isthmus ")
    ]
    assert {words[0] for words in commands} >= {"fit", "info", "transform", "reconstruct", "score"}
    for words in commands:
        assert main(words) == 0, shlex.join(words)


def test_all_endings_are_listed_and_no_others() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    table = page.partition("## What can be opened")[2].partition("HDF5 needs")[0]
    listed = [e for found in re.findall(r"\((`\.[^)]*)\)", table) for e in found.split(", ")]
    assert sorted(e.strip("`") for e in listed) == list(ENDINGS)
    told = re.findall(
        r"(?<![\w`])\.[a-z][\w.]*\b", (open_data.__doc__ or "").partition("- an arr")[0]
    )
    assert sorted(set(told)) == list(ENDINGS)
    help_text = str(get_args(DataFile)[1].help).lower()
    assert "csv" in help_text  # which is text
    assert {kind for kind in (*KINDS.values(), "Zarr") if kind.lower() not in help_text} == {"text"}
