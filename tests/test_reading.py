"""Laws of how data is read at the command line: every verb takes each flag, and a run keeps it."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from isthmus.cli import _config
from isthmus.cli._options import verb
from isthmus.cli._reading import AS_USUAL, FLAGS, ReadingOptions
from isthmus.errors import InvalidParameterError
from isthmus.estimators._schema import Data

VERBS = ("compare", "evaluate", "fit", "info", "outliers", "reconstruct", "report", "score")
SAID = ReadingOptions(("a", "b,c"), ("zip",), (), "cp1252", "NHW", 0.0)


@pytest.mark.parametrize("name", [*VERBS, "transform"])
def test_a_verb_that_reads_data_takes_every_flag_of_reading(name: str) -> None:
    taken = verb(getattr(import_module(f"isthmus.cli.{name}"), name))
    there = inspect.signature(taken).parameters
    assert {flag.name for flag in FLAGS} <= set(there)
    assert {field.name for field in fields(ReadingOptions)} == {flag.name for flag in FLAGS}


def test_a_run_keeps_what_was_said_and_nothing_else() -> None:
    assert set(vars(AS_USUAL)) <= set(Data.model_fields)
    assert AS_USUAL.recorded() == {}
    assert ReadingOptions.of_record(json.loads(json.dumps(SAID.recorded()))) == SAID
    assert ReadingOptions.of_record({"drop": None, "origin": "x.csv"}) == AS_USUAL


def test_the_flags_that_are_told_say_the_same() -> None:
    flags = SAID.flags()
    names = {flag.replace("-", "_").removeprefix("__") for flag in flags[::2]}
    assert names == set(vars(SAID))
    kinds = {field.name: field.metadata["kind"] for field in fields(ReadingOptions)}
    given = {
        name.removeprefix("--").replace("-", "_"): text
        for name, text in zip(flags[::2], flags[1::2], strict=True)
    }
    typed = {k: [v] if kinds[k] == list[str] else kinds[k](v) for k, v in given.items()}
    assert ReadingOptions.from_flags(typed) == SAID
    assert ReadingOptions(drop=(), text=()).flags() == []


def test_a_file_of_settings_says_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        'drop = ["a", "b,c"]\ntext = ["zip"]\nna_values = []\nencoding = "cp1252"\n'
        'layout = "NHW"\nmax_skipped = 0\n'
    )
    assert _config.read(str(path)).reading == SAID
    path.write_text("layout = 3\n")
    with pytest.raises(InvalidParameterError, match="layout = 3"):
        _config.read(str(path))
