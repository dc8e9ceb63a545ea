"""The command line: what it prints, writes and refuses, and with which exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from command_line import call, done
from isthmus.cli import _config, _parameters
from isthmus.cli._answer import as_json, number
from isthmus.cli._options import verb
from isthmus.cli._progress import doing, figures, time_left
from isthmus.cli._reading import names_of
from isthmus.cli._words import in_bytes, verdict
from isthmus.cli.fit import MODELS
from isthmus.cli.main import VERBS, main
from isthmus.core.corruption import CORRUPTIONS
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.data.readers import read
from isthmus.data.tables import Table, as_list
from isthmus.errors import InvalidParameterError
from isthmus.estimators import Autoencoder, Progress, load
from isthmus.estimators.models import MODELS as CLASSES
from isthmus.nets.activations import ACTIVATIONS

PROGRAM = [sys.executable, "-c", "import sys; from isthmus.cli.main import main; sys.exit(main())"]
HEAVY = {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "torch"}
NAMES = ("a", "b", "c", "d", "e")
QUICK = ("--max-epochs", "2", "--hidden-layer-sizes", "8", "--seed", "0")


def csv(path: Path, values: np.ndarray, names: tuple[str, ...] = NAMES) -> Path:
    rows = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in values]
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    return path


def numbers(n_rows: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(n_rows, 5))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with table.csv and a run fitted to it."""
    folder = tmp_path_factory.mktemp("cli")
    table = csv(folder / "table.csv", numbers())
    done("fit", table, "--n-components", "2", "--out", folder / "run", *QUICK)
    return folder


@pytest.fixture
def place(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder, the current one, with copies of table.csv and run."""
    shutil.copy(here / "table.csv", tmp_path)
    shutil.copytree(here / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ------------------------------------------------------------------ what is offered


@pytest.mark.parametrize("words", [["--version"], ["--help"], *([v, "--help"] for v in VERBS)])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys; from isthmus.cli.main import main\n"
        "code = main(sys.argv[1:]); print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
    )
    assert set(ran.stderr.split()).isdisjoint(HEAVY)
    assert "isthmus" in ran.stdout


def test_no_option_is_cut_short_in_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert done("--help") == done("-h") == done()
    for name in VERBS:
        assert "…" not in done(name, "--help")
    for parameter in _parameters.PARAMETERS:
        assert parameter.flag in done("fit", "--help")


@pytest.mark.parametrize("name", VERBS)
def test_the_list_of_verbs_says_what_their_help_says(name: str) -> None:
    module = __import__(f"isthmus.cli.{name}", fromlist=[name])
    assert verb(getattr(module, name)).__doc__.splitlines()[0] == VERBS[name]
    assert done(name, "--help").count(f"isthmus {name}") > 1, "usage and an example"


def test_every_parameter_of_the_estimators_is_a_flag() -> None:
    (fields,) = {
        tuple(sorted(field.name for field in dataclasses.fields(cls))) for cls in CLASSES.values()
    }
    others = {"decoder", "encoder", "random_state", "verbose"}
    assert sorted(p.name for p in _parameters.PARAMETERS) == sorted(set(fields) - others)
    assert sorted(MODELS.values()) == sorted(CLASSES)


@pytest.mark.parametrize(
    ("parameter", "names"),
    [
        ("activation", ACTIVATIONS),
        ("likelihood", ("auto", "joint", *LIKELIHOODS)),
        ("noise", CORRUPTIONS),
    ],
)
def test_help_lists_all_there_are(parameter: str, names: Any) -> None:
    (text,) = (p.help for p in _parameters.PARAMETERS if p.name == parameter)
    said = text.removeprefix("Corruption of the input:").replace(" or ", ", ").rstrip(".")
    assert {word.strip() for word in said.split(",")} - {"none"} == set(names) - {"none"}


# ------------------------------------------------------------------ what the verbs do


@pytest.mark.parametrize("model", MODELS)
def test_fit_saves_the_estimator_of_that_name(place: Path, model: str) -> None:
    out = done("fit", "table.csv", "--model", model, "--out", "new", *QUICK)
    assert f"{MODELS[model]}: 40 rows of 5 features → 2 components" in out
    assert "Saved to new." in out
    assert "isthmus transform new table.csv" in out
    again = CLASSES[MODELS[model]](max_epochs=2, hidden_layer_sizes=(8,), random_state=0)
    again.fit(read("table.csv").values)
    fitted = load("new")
    assert type(fitted) is type(again)
    assert list(fitted.feature_names_in_) == list(NAMES)
    np.testing.assert_array_equal(
        fitted.transform(read("table.csv")), again.transform(read("table.csv").values)
    )


def test_the_verbs_write_what_the_estimator_computes(place: Path) -> None:
    model, table = load("run"), read("table.csv")
    done("transform", "run", "table.csv", "--out", "codes.csv")
    done("reconstruct", "run", "table.csv", "--out", "x.parquet")
    done("sample", "run", "-n", "7", "--seed", "3", "--out", "new.csv")
    done("score", "run", "table.csv", "--out", "scores.csv")
    for file, names, values in [
        ("codes.csv", tuple(model.get_feature_names_out()), model.transform(table)),
        ("x.parquet", NAMES, model.reconstruct(table)),
        ("new.csv", NAMES, model.sample(7, random_state=3)),
    ]:
        assert read(file).names == names
        np.testing.assert_array_equal(read(file).values, values)
    written = read("scores.csv")
    assert written.names == ("nats", "squared_error")
    np.testing.assert_array_equal(written.values[:, 0], model.score_samples(table))
    error = ((table.values - model.reconstruct(table)) ** 2).sum(1)
    np.testing.assert_allclose(written.values[:, 1], error)
    facts = json.loads(done("score", "run", "table.csv", "--json"))
    assert facts["score"] == pytest.approx(model.score(table))
    assert facts["squared_error"] == pytest.approx(error.mean())


def test_denoising_tells_the_error_before_and_after(place: Path) -> None:
    words = ("reconstruct", "run", "table.csv", "--noise", "masking", "--noise-level", "0.5")
    facts = json.loads(done(*words, "--seed", "1", "--out", "x.npy", "--json"))
    model, clean = load("run"), read("table.csv").values
    noisy = model.corrupt(read("table.csv"), "masking", 0.5, random_state=1)
    assert facts["noisy_squared_error"] == pytest.approx(((noisy - clean) ** 2).sum(1).mean())
    after = ((np.load("x.npy") - clean) ** 2).sum(1).mean()
    assert facts["squared_error"] == pytest.approx(after)
    told = done(*words, "--seed", "1", "--out", "x.npy", "--force")
    assert "noisy" in told
    assert "squared data units" in told


@pytest.mark.parametrize("verb_and_more", [("transform",), ("reconstruct",), ("sample",)])
def test_out_is_replaced_only_with_force(place: Path, verb_and_more: tuple[str, ...]) -> None:
    data = [] if verb_and_more == ("sample",) else ["table.csv"]
    words = [*verb_and_more, "run", *data, "--out", "out.csv"]
    (place / "out.csv").write_text("mine")
    code, _, err = call(*words)
    assert code == 2
    assert "--force" in err
    assert (place / "out.csv").read_text() == "mine"
    done(*words, "--force")
    assert (place / "out.csv").read_text() != "mine"


def test_a_run_is_replaced_only_with_force(place: Path) -> None:
    words = ("fit", "table.csv", "--out", "run", "--model", "variational", *QUICK)
    assert call(*words)[0] == 2
    assert type(load("run")).__name__ == "Autoencoder"
    done(*words, "--force")
    assert type(load("run")).__name__ == "VariationalAutoencoder"


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "table.csv", "--out", "new", *QUICK),
        ("transform", "run", "table.csv", "--out", "out.csv"),
        ("reconstruct", "run", "table.csv", "--out", "out.csv"),
        ("sample", "run", "--out", "out.csv"),
        ("score", "run", "table.csv"),
        ("info", "run"),
        ("info", "table.csv"),
        ("transform", "run", "nothing.csv", "--out", "out.csv"),
        ("transform", "run"),
        ("sing", "run"),
        ("info", "run", "--loud"),
    ],
)
def test_json_is_one_object_and_quiet_is_silent(place: Path, words: tuple[str, ...]) -> None:
    code, out, err = call(*words, "--json")
    facts = json.loads(out)
    assert out.count("\n") == 1
    assert ("error" in facts) == (code != 0)
    if code:
        assert facts["exit_code"] == code == 2
        assert facts["error"]["message"] in err
        assert not facts["error"]["message"].startswith("Error")
    shutil.rmtree("new", ignore_errors=True)
    (place / "out.csv").unlink(missing_ok=True)
    code, out, err = call(*words, "--quiet")
    assert out == ""
    assert (err == "") == (code == 0)


def test_info_tells_what_a_run_is(place: Path) -> None:
    out = done("info", "run")
    for part in ("Autoencoder", "max_epochs=2", "random_state=0", "(a, b, c, d, e)", "PCA"):
        assert part in out
    assert "n_components" not in out, "it is the default"
    facts = json.loads(done("info", "run", "--json"))
    assert facts["changed"] == {"max_epochs": 2, "hidden_layer_sizes": [8], "random_state": 0}
    assert set(facts["files"]) == {"config.json", "history.json", "model.safetensors"}


def test_info_tells_what_a_table_is(place: Path) -> None:
    columns = np.array(
        [[0, 1, 5, -1, 0.5], [1, 1, np.nan, 2, 0.25], [1, 1, 9, 0, 0.1], [0, 1, 5, 7, 1.0]]
    )
    csv(place / "kinds.csv", columns)
    facts = json.loads(done("info", "kinds.csv", "--json"))
    kinds = ["binary", "constant", "counts", "whole numbers", "shares (0 to 1)"]
    assert [column["kind"] for column in facts["columns"]] == kinds
    assert (facts["n_rows"], facts["n_columns"], facts["n_missing"]) == (4, 5, 1)
    assert "1 missing (5% of the entries)" in done("info", "kinds.csv")
    assert "and 44 more" in done("info", "digits")
    assert "pixel_7_7" in done("info", "digits", "--all")


def test_columns_can_be_left_out(place: Path) -> None:
    text = (place / "table.csv").read_text().splitlines()
    label = ["label", *("xy"[i % 2] for i in range(40))]
    (place / "labelled.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(text, label)))  # noqa: B905
    assert (
        "--drop label" in call("fit", "labelled.csv", "--likelihood", "gaussian", "--out", "new")[2]
    )
    done("fit", "labelled.csv", "--drop", "label", "--out", "new", *QUICK)
    done("transform", "new", "labelled.csv", "--drop", "label", "--out", "out.csv")


def test_names_with_commas_and_quotes_can_be_left_out(place: Path) -> None:
    names = ("a,b", 'c"d', "e", "f", "g,", "h")
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    rows = [",".join(f"{v}" for v in row) for row in np.random.default_rng(0).normal(size=(20, 6))]
    (place / "t.csv").write_text("\n".join([header, *rows]))
    kept = {
        '"a,b","c""d"': ["e", "f", "g,", "h"],
        '"a,b", e': ['c"d', "f", "g,", "h"],
        "e,f": ["a,b", 'c"d', "g,", "h"],
    }
    for drop, left in kept.items():
        facts = json.loads(done("info", "t.csv", "--drop", drop, "--json"))
        assert [column["name"] for column in facts["columns"]] == left
    facts = json.loads(done("info", "t.csv", "--drop", '"a,b"', "--drop", "e,f", "--json"))
    assert [column["name"] for column in facts["columns"]] == ['c"d', "g,", "h"]
    assert names_of(as_list(names)) == list(names)


@pytest.mark.filterwarnings("ignore:.*does not have valid feature names")
@pytest.mark.parametrize(
    "words",
    [
        ("transform", "run", "new.csv", "--out", "o.csv"),
        ("score", "run", "new.csv"),
        ("reconstruct", "run", "new.csv", "--out", "o.csv"),
        ("reconstruct", "run", "new.csv", "--fill", "--out", "o.csv"),
        ("reconstruct", "run", "new.csv", "--noise", "swap", "--seed", "0", "--out", "o.csv"),
        ("evaluate", "run", "new.csv"),
        ("outliers", "table.csv", "--new", "new.csv", *QUICK),
        ("info", "new.csv"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "npy", "npz", "parquet"])
def test_new_rows_may_lack_whole_columns(place: Path, words: tuple[str, ...], kind: str) -> None:
    row = numbers()[:1]
    row[0, 2] = np.nan
    name = f"new.{kind}"
    if kind == "csv":
        csv(place / name, row)
    elif kind == "parquet":
        pd.DataFrame(row, columns=list(NAMES)).to_parquet(place / name)
    else:
        (np.save if kind == "npy" else np.savez)(place / name, row)
    done(*(name if word == "new.csv" else word for word in words))
    if words[0] == "transform":
        written = read(place / "o.csv").values
        expected = load(place / "run").transform(Table(row, NAMES, "new"))
        np.testing.assert_allclose(written, expected, rtol=1e-6)


def test_missing_entries_are_filled(place: Path) -> None:
    values = numbers()
    values[::3, 1] = np.nan
    csv(place / "gaps.csv", values)
    done("fit", "gaps.csv", "--out", "new", *QUICK)
    done("reconstruct", "new", "gaps.csv", "--out", "full.csv")
    assert np.isfinite(read("full.csv").values).all()
    assert "nan" not in done("score", "new", "gaps.csv")


def test_constant_columns_are_fine(place: Path) -> None:
    values = numbers()
    values[:, [1, 3]] = 7.0
    done("fit", csv(place / "constant.csv", values), "--out", "new", *QUICK)
    done("reconstruct", "new", "constant.csv", "--out", "x.csv")
    np.testing.assert_allclose(read("x.csv").values[:, [1, 3]], 7.0, atol=1e-4)


@pytest.mark.parametrize("model", ["denoising", "contractive", "variational"])
def test_a_regularised_code_may_be_wider_than_the_data(place: Path, model: str) -> None:
    done("fit", "table.csv", "--model", model, "--n-components", "6", "--out", "new", *QUICK)
    assert load("new").n_components_ == 6


def test_fill_keeps_what_is_known(place: Path) -> None:
    values = numbers()
    values[::3, 1] = np.nan
    csv(place / "gaps.csv", values)
    out = done("reconstruct", "run", "gaps.csv", "--fill", "--out", "full.csv")
    assert "14 missing entries filled in" in out
    model = load("run").reconstruct(read("gaps.csv"))
    np.testing.assert_array_equal(
        read("full.csv").values, np.where(np.isnan(values), model, values)
    )
    facts = json.loads(done("reconstruct", "run", "table.csv", "--fill", "-o", "x.npy", "--json"))
    assert (facts["n_missing"], facts["filled_only"]) == (0, True)
    np.testing.assert_array_equal(np.load("x.npy"), read("table.csv").values)


@pytest.mark.filterwarnings("ignore:.*does not have valid feature names")
@pytest.mark.parametrize(
    "words", [("score", "run", "DATA"), ("reconstruct", "run", "DATA", "--out", "x.npy", "--force")]
)
def test_rows_of_the_fit_are_no_test(place: Path, words: tuple[str, ...]) -> None:
    np.save("same.npy", numbers())
    np.save("fewer.npy", numbers()[:-1])
    np.save("order.npy", numbers()[::-1])
    files = {"table.csv": True, "same.npy": True, "fewer.npy": False, "order.npy": False}
    for file, seen in files.items():
        here = [file if word == "DATA" else word for word in words]
        assert ("no test of it" in done(*here)) == seen
        assert json.loads(done(*here, "--json"))["seen"] == seen


def test_a_run_that_does_not_say_what_it_was_fitted_to_has_seen_nothing(place: Path) -> None:
    _altered(lambda config: config["data"].pop("fingerprint"))(place / "run")
    assert json.loads(done("score", "run", "table.csv", "--json"))["seen"] is False


def test_the_time_of_training_is_the_same_in_fit_and_info(place: Path) -> None:
    fitted = json.loads(done("fit", "table.csv", "--out", "new", *QUICK, "--json"))
    told = json.loads(done("info", "new", "--json"))
    assert fitted["training_seconds"] == told["training_seconds"]
    assert fitted["command_seconds"] > fitted["training_seconds"]
    assert not {"seconds"} & {*fitted, *told}
    held_out = {"squared_error", "validation", "start_validation", "unit", "n_steps", "diverged"}
    assert {key: fitted[key] for key in held_out} == {key: told[key] for key in held_out}


def test_a_loss_that_is_not_squared_is_told_beside_its_start(place: Path) -> None:
    csv(place / "counts.csv", np.floor(np.exp(numbers(200))).clip(0, 50))
    words = ("fit", "counts.csv", "--likelihood", "poisson", "--max-epochs", "40", "--seed", "0")
    out = done(*words, "--out", "new")
    model = load("new")
    start = model.history_[0]["validation"]
    assert not model.stayed_linear_
    assert f"Held-out loss {number(model.validation_)} nats per row, " in out
    assert f"{number(start - model.validation_)} less than at its linear start (poisson" in out
    assert f"Held-out loss {number(model.validation_)} nats" in done("info", "new")
    assert "Held-out loss" not in done("info", "run")


def test_copies_of_rows_are_told(place: Path) -> None:
    values = np.concatenate([numbers(20), numbers(20)[:5], numbers(20)[:2]])
    csv(place / "copies.csv", values)
    assert "7 rows (26%) the same as an earlier one" in done("info", "copies.csv")
    assert json.loads(done("info", "copies.csv", "--json"))["n_repeated"] == 7
    assert "earlier one" not in done("info", "table.csv")


def test_a_narrow_denoiser_is_told_what_it_cannot_clean(place: Path) -> None:
    words = ("fit", "table.csv", "--model", "denoising", "--out", "new", "--force", *QUICK)
    mild = done(*words, "--noise-level", "0.01")
    assert "makes rows with so little noise worse" in mild
    assert "with so little noise" not in done(*words, "--noise-level", "3")
    told = ("reconstruct", "new", "table.csv", "--noise", "gaussian", "--seed", "0", "-o", "x.npy")
    assert "nearer to the clean rows before" in done(*told, "--noise-level", "0.01")


# ------------------------------------------------------------------ what it warns of

IDLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "level": (("--noise-level", "0.2"), ("--noise-level", "--model denoising")),
    "emphasis": (("--emphasis", "2"), ("--emphasis", "--noise gaussian")),
    "level of none": (
        ("--model", "denoising", "--noise", "none", "--noise-level", "0.1"),
        ("--noise-level",),
    ),
    "warmup": (("--kl-warmup", "0.2"), ("--kl-warmup", "--model variational")),
    "free bits": (("--free-bits", "0.2"), ("--free-bits", "--beta 1")),
    "draws": (("--n-draws", "3"), ("--n-draws", "--model variational")),
    "method": (("--contraction-method", "exact"), ("--contraction-method", "--contraction 1")),
    "patience": (("--no-early-stopping", "--patience", "3"), ("--patience",)),
    "no fraction": (
        ("--no-early-stopping", "--validation-fraction", "0.3"),
        ("--validation-fraction", "no rows are held out"),
    ),
    "folds": (("--validation-fraction", "0.3"), ("--validation-fraction", "--early-stopping")),
    "activation": (("--hidden-layer-sizes", "none", "--activation", "relu"), ("--activation",)),
}
AT_WORK: tuple[tuple[str, ...], ...] = (
    ("--noise", "gaussian", "--noise-level", "0.2", "--emphasis", "2"),
    ("--model", "denoising", "--noise-level", "0.2"),
    ("--model", "variational", "--kl-warmup", "0.2", "--free-bits", "0.2", "--n-draws", "2"),
    ("--beta", "0.5", "--n-draws", "2"),
    ("--contraction", "1", "--contraction-method", "exact"),
    ("--early-stopping", "--patience", "3", "--validation-fraction", "0.3"),
    ("--emphasis", "1", "--n-draws", "1"),
)


@pytest.mark.parametrize("case", IDLE)
def test_a_setting_without_effect_is_told(place: Path, case: str) -> None:
    words, said = IDLE[case]
    code, out, err = call("fit", "table.csv", "--out", "new", *QUICK, *words, "--json")
    assert code == 0
    assert err.startswith("Warning: ")
    assert err.count("\n") == 1
    assert json.loads(out)["warnings"] == [err.removeprefix("Warning: ").strip()]
    for part in said:
        assert part in err


@pytest.mark.parametrize("words", AT_WORK)
def test_a_setting_with_an_effect_is_not(place: Path, words: tuple[str, ...]) -> None:
    done("fit", "table.csv", "--out", "new", *QUICK, *words)


def test_a_setting_of_the_file_is_told_by_its_name(place: Path) -> None:
    (place / "c.toml").write_text("noise_level = 0.3\nn_draws = 2")
    words = ("fit", "table.csv", "--config", "c.toml", "--out", "new", "--n-draws", "4", *QUICK)
    err = call(*words)[2]
    assert "Warning: noise_level in c.toml has no effect" in err
    assert "Warning: --n-draws has no effect" in err, "the flag overrides the file"


def test_training_that_diverged_is_told(place: Path) -> None:
    words = ("fit", "table.csv", "--out", "new", *QUICK, "--max-epochs", "20")
    code, out, err = call(*words, "--learning-rate", "1e30")
    assert code == 0
    assert err.startswith("Warning: Training diverged")
    assert "lower than 1e+30" in err
    assert "It stayed at PCA: training diverged." in out
    assert json.loads(done("info", "new", "--json"))["diverged"] is True
    assert "lower --learning-rate" in done("info", "new")
    assert json.loads(done(*words, "--force", "--json"))["diverged"] is False


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.ones((9, 5)), "Every column of data.csv is constant"),
        (numbers(3), "3 rows are reproduced by 2 components whatever they hold"),
    ],
)
def test_a_task_that_teaches_nothing_is_told(place: Path, values: np.ndarray, said: str) -> None:
    csv(place / "data.csv", values)
    code, _, err = call(*FIT)
    assert code == 0
    assert said in err


# ------------------------------------------------------------------ what it refuses


def _write(name: str, text: str) -> Callable[[Path], None]:
    return lambda place: [(place / name).write_text(text), None][1]


def _values(name: str, row: int, column: int, value: float) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        values = numbers()
        values[row if row >= 0 else slice(None), column] = value
        csv(place / name, values)

    return prepare


def _named(name: str, names: tuple[str, ...]) -> Callable[[Path], None]:
    return lambda place: [csv(place / name, numbers()[:, : len(names)], names), None][1]


def _saved(name: str, values: np.ndarray) -> Callable[[Path], None]:
    return lambda place: np.save(place / name, values)


def _nothing(place: Path) -> None:
    pass


def _foreign(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years of work")


FIT = ("fit", "data.csv", "--out", "new", *QUICK)
FIT_TABLE = ("fit", "table.csv", "--out", "new", *QUICK)
TRANSFORM = ("transform", "run", "data.csv", "--out", "out.csv")

REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...], tuple[str, ...]]] = {
    "missing file": (_nothing, FIT, ("data.csv does not exist",)),
    "empty file": (_write("data.csv", ""), FIT, ("data.csv is empty",)),
    "only a header": (_write("data.csv", "a,b\n"), FIT, ("data.csv",)),
    "ragged": (_write("data.csv", "a,b\n1,2\n3\n"), FIT, ("line 3",)),
    "text column": (
        _write("data.csv", "a,b\n1,x\n2,y\n"),
        (*FIT, "--likelihood", "gaussian"),
        ("'b'", "out with --drop b."),
    ),
    "empty column": (_values("data.csv", -1, 2, np.nan), FIT, ("'c'", "--drop c")),
    "infinite": (_values("data.csv", 4, 1, np.inf), FIT, ("infinite", "row 5, column 'b'")),
    "one row": (_write("data.csv", "a,b,c\n1,2,3\n"), FIT, ("at least 2 rows",)),
    "one column": (_write("data.csv", "a\n1\n2\n3\n"), FIT, ("n_features=1",)),
    "three dimensions": (
        _saved("data.npy", np.zeros((4, 3, 2))),
        ("fit", "data.npy", "--out", "new"),
        ("data.npy", "(4, 3, 2)"),
    ),
    "unknown ending": (_write("a.doc", "x"), ("fit", "a.doc", "--out", "new"), (".parquet",)),
    "unknown bundled": (_nothing, ("fit", "wien", "--out", "new"), ("Did you mean 'wine'",)),
    "unknown bundled info": (_nothing, ("info", "wien"), ("bundled tables are",)),
    "a folder as data": (_foreign, ("fit", "mine", "--out", "new"), ("mine",)),
    "unknown column": (_nothing, (*FIT_TABLE, "--drop", "z"), ("--drop 'z'", "'a', 'b'")),
    "unknown column of new rows": (
        _nothing,
        ("score", "run", "table.csv", "--drop", "z"),
        ("--drop 'z' must name columns of table.csv",),
    ),
    "unknown label": (
        _nothing,
        ("evaluate", "run", "--label", "z"),
        ("--label 'z' must name a column of", "table.csv"),
    ),
    "unknown label of outliers": (
        _nothing,
        ("outliers", "table.csv", "--label", "z"),
        ("--label 'z' must name a column of table.csv",),
    ),
    "label without outliers": (
        lambda place: [csv(place / "t.csv", np.ones((9, 2)) * [[0, 1]], ("l", "x")), None][1],
        ("outliers", "t.csv", "--label", "l"),
        ("labels that are all 0", "both 0 and 1 must occur"),
    ),
    "no detector": (
        _nothing,
        ("outliers", "table.csv", "--detector", "run"),
        ("run holds an autoencoder and no detector",),
    ),
    "detector and settings of a fit": (
        _nothing,
        ("outliers", "table.csv", "--detector", "run", "--max-epochs", "2", "--new", "table.csv"),
        ("--detector run with --new and --max-epochs",),
    ),
    "report where nothing can be made": (
        _nothing,
        ("report", "run", "--out", "/proc/none/page.html"),
        ("cannot be made", "/proc"),
    ),
    "report below a file": (
        _nothing,
        ("report", "run", "--out", "table.csv/page.html"),
        ("cannot be made",),
    ),
    "no column left": (_nothing, (*FIT_TABLE, "--drop", "a,b,c,d,e"), ("no column left",)),
    "no components": (_nothing, (*FIT_TABLE, "--n-components", "0"), ("n_components=0",)),
    "too wide": (_nothing, (*FIT_TABLE, "--n-components", "5"), ("between 1 and 4",)),
    "half a component": (_nothing, (*FIT_TABLE, "--n-components", "2.5"), ("whole number",)),
    "unknown model": (_nothing, (*FIT_TABLE, "--model", "variatonal"), ("mean variational?",)),
    "abbreviated model": (_nothing, (*FIT_TABLE, "--model", "VAE"), ("mean variational?",)),
    "class of a model": (
        _nothing,
        (*FIT_TABLE, "--model", "DenoisingAutoencoder"),
        ("mean denoising?",),
    ),
    "unknown activation": (_nothing, (*FIT_TABLE, "--activation", "rel"), ("relu",)),
    "unknown likelihood": (_nothing, (*FIT_TABLE, "--likelihood", "gauss"), ("laplace",)),
    "unsuited likelihood": (_nothing, (*FIT_TABLE, "--likelihood", "bernoulli"), ("0 and 1",)),
    "unknown noise": (_nothing, (*FIT_TABLE, "--noise", "salt"), ("salt_and_pepper",)),
    "unknown device": (_nothing, (*FIT_TABLE, "--device", "abacus"), ("'abacus'",)),
    "unknown precision": (_nothing, (*FIT_TABLE, "--precision", "half"), ("bfloat16",)),
    "sizes": (_nothing, (*FIT_TABLE, "--hidden-layer-sizes", "8,x"), ("256,128",)),
    "epochs": (_nothing, (*FIT_TABLE, "--max-epochs", "many"), ("whole number or 'auto'",)),
    "seed": (_nothing, (*FIT_TABLE, "--seed", "-1"), ("--seed -1", "4294967295")),
    "unknown option": (
        _nothing,
        (*FIT_TABLE, "--n-component", "3"),
        ("mean --n-components?", "--help"),
    ),
    "underscores": (_nothing, (*FIT_TABLE, "--n_components", "3"), ("mean --n-components?",)),
    "data and run exchanged": (
        _nothing,
        ("transform", "table.csv", "run", "--out", "o.csv"),
        ("wrong way round", "Give them as run table.csv."),
    ),
    "a run as data": (_nothing, ("fit", "run", "--out", "new"), ("it is a run",)),
    "fill and noise": (
        _nothing,
        ("reconstruct", "run", "table.csv", "--fill", "--noise", "swap", "--out", "o.csv"),
        ("--fill with --noise swap",),
    ),
    "unknown verb": (_nothing, ("fitt", "table.csv"), ("Did you mean 'fit'?",)),
    "no data": (_nothing, ("fit",), ("'DATA'", "isthmus fit --help")),
    "no out": (_nothing, ("fit", "table.csv"), ("--out",)),
    "too large": (
        _nothing,
        (*FIT_TABLE, "--hidden-layer-sizes", "4000000,4000000"),
        ("not enough memory",),
    ),
    "out is a file": (_nothing, ("fit", "table.csv", "--out", "table.csv", "--force"), ("folder",)),
    "out is foreign": (
        _foreign,
        ("fit", "table.csv", "--out", "mine", "--force"),
        ("thesis.txt", "not overwritten"),
    ),
    "out below a file": (
        _nothing,
        ("fit", "table.csv", "--out", "table.csv/run"),
        ("cannot be made", "table.csv"),
    ),
    "out where nothing can be made": (
        _nothing,
        ("fit", "table.csv", "--out", "/proc/none/run"),
        ("cannot be made in the folder '/proc'",),
    ),
    "no out at all": (_nothing, ("fit", "table.csv", "--out", ""), ("must name a folder",)),
    "codes below a file": (
        _nothing,
        ("transform", "run", "table.csv", "--out", "table.csv/codes.csv"),
        ("cannot be made",),
    ),
    "codes of no kind": (
        _nothing,
        ("transform", "run", "table.csv", "--out", "codes.xlsx"),
        (".csv", ".parquet"),
    ),
    "other columns": (
        _named("data.csv", ("a", "b", "c", "d", "f")),
        TRANSFORM,
        ("lacks 'e'", "has 'f'"),
    ),
    "fewer columns": (_named("data.csv", ("a", "b", "c", "d")), TRANSFORM, ("lacks 'e'",)),
    "other columns without names": (
        _saved("data.npy", np.zeros((4, 3))),
        ("score", "run", "data.npy"),
        ("data.npy with 3 columns must have 5",),
    ),
    "no samples": (_nothing, ("sample", "run", "-n", "0", "--out", "o.csv"), ("-n 0",)),
    "level without noise": (
        _nothing,
        ("reconstruct", "run", "table.csv", "--noise-level", "1", "--out", "o.csv"),
        ("--noise",),
    ),
    "bad level": (
        _nothing,
        ("reconstruct", "run", "table.csv", "--noise", "swap", "--noise-level", "2", "-o", "o.csv"),
        ("between 0 and 1",),
    ),
    "no run": (_nothing, ("info", "runs/none"), ("no run folder",)),
    "no run to transform": (
        _nothing,
        ("transform", "none", "table.csv", "--out", "o.csv"),
        ("none does not exist",),
    ),
    "foreign run": (_foreign, ("info", "mine"), ("is no run",)),
    "no config": (_nothing, (*FIT_TABLE, "--config", "c.toml"), ("c.toml cannot be read",)),
    "bad TOML": (
        _write("c.toml", "n_components 3"),
        (*FIT_TABLE, "--config", "c.toml"),
        ("must be TOML",),
    ),
    "binary TOML": (
        lambda place: [(place / "c.toml").write_bytes(b"\xff\xfe\x00"), None][1],
        (*FIT_TABLE, "--config", "c.toml"),
        ("must be TOML",),
    ),
}


def test_data_beside_a_foreign_config_is_data(place: Path) -> None:
    """Other programs write a config.json and a history.json too; even those are not replaced."""
    (place / "data").mkdir()
    for name in ("config.json", "history.json"):
        (place / "data" / name).write_text('{"title": "mine"}')
    code, _, err = call("fit", "table.csv", "--out", "data", "--force")
    assert (code, "not overwritten" in err) == (2, True)
    shutil.copy(place / "table.csv", place / "data")
    assert "5 columns" in done("info", "data")
    done("fit", "data", "--out", "new", "--quiet", *QUICK)


@pytest.mark.filterwarnings("ignore:.*does not have valid feature names")
def test_an_error_names_no_option_that_was_not_given(place: Path) -> None:
    done("fit", "table.csv", "--drop", "a,b", "--out", "new", "--quiet", *QUICK)
    np.save(place / "bare.npy", np.zeros((4, 5)))
    code, _, err = call("score", "new", "bare.npy")
    assert code == 2
    assert "bare.npy has 5 columns without names; the fit had 3, and left out 'a', 'b'." in err
    assert "--drop 'a'" not in err
    assert "4 rows of bare.npy" in done("score", "new", "bare.npy", "--drop", "x0,x1")


def test_info_of_a_run_with_a_network_of_ones_own(place: Path) -> None:
    net = torch.nn.Linear(5, 2)
    X = np.random.default_rng(0).normal(size=(50, 5))
    Autoencoder(2, encoder=net, max_epochs=1, random_state=0).fit(X).save(place / "own")
    said = done("info", "own")
    assert "not compared: the run has a network of your own" in said
    for name, size in json.loads(done("info", "own", "--json"))["files"].items():
        assert f"{name} ({in_bytes(size)})" in said


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_sentence_and_changes_nothing(place: Path, case: str) -> None:
    prepare, words, said = REFUSED[case]
    prepare(place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    code, out, err = call(*words)
    assert code == 2, err
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    for part in said:
        assert part in err
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def _cut(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2])

    return damage


def _altered(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        change(config)
        (run / "config.json").write_text(json.dumps(config))

    return damage


DAMAGED: dict[str, tuple[Callable[[Path], None], str]] = {
    "tensors cut short": (_cut("model.safetensors"), "model.safetensors is damaged"),
    "tensors missing": (lambda run: (run / "model.safetensors").unlink(), "is missing"),
    "config cut short": (_cut("config.json"), "config.json is damaged"),
    "history cut short": (_cut("history.json"), "history.json is damaged"),
    "newer": (_altered(lambda c: c.update(schema=99)), "has schema 99"),
    "another program's": (_altered(lambda c: c.update(format="x")), "not written by isthmus"),
    "no model": (_altered(lambda c: c.pop("model")), "schema promises"),
    "unknown class": (_altered(lambda c: c["model"].update({"class": "Os"})), "schema promises"),
}


@pytest.mark.parametrize("words", [("info", "run"), ("sample", "run", "--out", "s.csv")])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_run_is_refused(place: Path, case: str, words: tuple[str, ...]) -> None:
    damage, said = DAMAGED[case]
    damage(place / "run")
    if case == "another program's" and words[0] == "info":
        said = "is no run and holds no file of data"  # nor is it taken for one
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert not (place / "s.csv").exists()


# ------------------------------------------------------------------ the file of settings


def test_flags_override_the_file(place: Path) -> None:
    (place / "c.toml").write_text(
        'model = "contractive"\nrandom_state = 5\nmax-epochs = 1\ndrop = ["e"]\n'
        "[fit]\nn_components = 3\nhidden_layer_sizes = [8, 4]\nbatch_size = 'auto'\n"
    )
    done("fit", "table.csv", "--config", "c.toml", "--n-components", "2", "--out", "new")
    model = load("new")
    assert type(model).__name__ == "ContractiveAutoencoder"
    assert model.get_params(deep=False) == {
        **CLASSES["ContractiveAutoencoder"]().get_params(deep=False),
        "hidden_layer_sizes": (8, 4),
        "max_epochs": 1,
        "n_components": 2,
        "random_state": 5,
    }
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n_component = 3", "Did you mean n_components"),
        ("sead = 3", "Did you mean seed"),
        ("[other]\nx = 1", "is not a setting of fit"),
        ("batch_size = 2.5", "must be a whole number"),
        ("n_components = true", "must be a whole number"),
        ("n_components = '3'", "must be a whole number"),
        ("learning_rate = 'fast'", "must be a number or 'auto'"),
        ("linear_start = 1", "must be true or false"),
        ("compile = 'no'", "must be true, false or 'auto'"),
        ("hidden_layer_sizes = 256", "must be whole numbers"),
        ("hidden_layer_sizes = [256, 1.5]", "must be whole numbers"),
        ("activation = ['relu']", "must be a name"),
        ("seed = 1\nrandom_state = 1", "it is there twice"),
        ("beta = 1.0\n[fit]\nbeta = 2.0", "it is there twice"),
        ("random_state = -1", "4294967295"),
        ("fit = 3", "must be a table"),
        ("drop = 'a'", "must be a list of names"),
    ],
)
def test_a_setting_is_known_and_of_its_type(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(InvalidParameterError, match=r"c\.toml") as raised:
        _config.read(str(tmp_path / "c.toml"))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "toml", "value"),
    [
        ("n_components", "8", 8, 8),
        ("hidden_layer_sizes", "256,128", [256, 128], (256, 128)),
        ("hidden_layer_sizes", "none", "none", ()),
        ("hidden_layer_sizes", "auto", "auto", "auto"),
        ("max_epochs", "auto", "auto", "auto"),
        ("patience", "none", "none", None),
        ("noise", "none", "none", None),
        ("noise", "masking", "masking", "masking"),
        ("beta", "0.5", 0.5, 0.5),
        ("beta", "none", "none", None),
        ("learning_rate", "1e-3", 1e-3, 1e-3),
        ("contraction", "1", 1, 1.0),
    ],
)
def test_a_flag_and_a_setting_mean_the_same(name: str, text: str, toml: Any, value: Any) -> None:
    (parameter,) = (p for p in _parameters.PARAMETERS if p.name == name)
    for given in (parameter.kind.from_text(text), parameter.kind.from_toml(toml)):
        assert given == value
        assert type(given) is type(value)


# ------------------------------------------------------------------ how it ends


def test_a_bug_is_called_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("shapes do not match")

    monkeypatch.setattr("isthmus.estimators.load", broken)
    code, out, err = call("transform", "run", "table.csv", "--out", "o.csv")
    assert (code, out) == (1, "")
    assert "Internal error: ValueError: shapes do not match" in err
    assert "--debug" in err
    assert "Traceback" not in err
    code, out, err = call("transform", "run", "table.csv", "--out", "o.csv", "--debug", "--json")
    assert "Traceback" in err
    assert json.loads(out)["exit_code"] == code == 1
    monkeypatch.setenv("ISTHMUS_DEBUG", "1")
    assert "Traceback" in call("transform", "run", "table.csv", "--out", "o.csv")[2]


def test_interrupted_before_training_nothing_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isthmus.data.readers.read", interrupted)
    code, out, err = call("fit", "table.csv", "--out", "new", "--json")
    assert code == json.loads(out)["exit_code"] == 130
    assert "nothing was written" in err
    assert not (place / "new").exists()


def test_ctrl_c_on_a_terminal_saves_the_best_state(place: Path) -> None:
    terminal, end = pty.openpty()
    words = ["fit", "table.csv", "--max-epochs", "100000", "--seed", "0", "--out", "new"]
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=end, text=True
    ) as process:
        os.close(end)
        seen = b""
        with contextlib.suppress(OSError):  # the terminal is closed with the program
            while chunk := os.read(terminal, 1 << 16):
                if b"Training" in seen + chunk and b"Training" not in seen:
                    process.send_signal(signal.SIGINT)
                seen += chunk
        os.close(terminal)
        out, _ = process.communicate(timeout=60)
    shown = seen.decode()
    assert process.returncode == 130, shown
    assert "PCA" in shown
    assert "Traceback" not in shown
    assert "Interrupted: this is the best state until then." in out
    assert load("new").interrupted_
    assert "ended by Ctrl-C" in done("info", "new")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["info", "wine"], 0),
        (["info", "nothing.csv"], 2),
        (["fit"], 2),
    ],
)
def test_the_program_exits_with_the_status(words: list[str], code: int) -> None:
    ran = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert (ran.stdout == "") == (code != 0)
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("words", [["info", "digits", "--all"], ["fit", "--help"]])
def test_a_closed_pipe_is_no_error(words: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = subprocess.run(
        [*PROGRAM, *words], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write_end)
    assert ran.stderr == ""
    assert ran.returncode == 0


def test_an_old_terminal_gets_what_it_can_show(place: Path) -> None:
    shown = io.TextIOWrapper(io.BytesIO(), "latin-1")
    with contextlib.redirect_stdout(shown):
        assert main(["info", "run"]) == 0
    shown.seek(0)
    assert "5 features ? 2 components" in shown.read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*PROGRAM, "info", "wine"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 2
    assert ran.stderr.startswith("Error: stdout cannot be written (No space left")


# ------------------------------------------------------------------ words and figures


@pytest.mark.parametrize(
    ("error", "line", "stayed", "parameters", "said"),
    [
        (83.0, 100.0, False, {}, "17% less squared error than PCA at 8 dimensions"),
        (103.0, 100.0, False, {}, "3% more squared error"),
        (100.01, 100.0, False, {}, "The same squared error"),
        (0.0, 0.0, False, {}, "The same squared error"),
        (5.0, 0.0, False, {}, "More than twice"),
        (100.0, 100.0, True, {}, "It stayed at PCA: nothing better was found on held-out rows"),
        (100.0, 100.0, True, {"beta": 1.0}, "It stayed at probabilistic PCA"),
        (1.0, 1.0, True, {"likelihood": "poisson"}, "It stayed at its linear start"),
        (13.0, 4.6, True, {"beta": 1e4}, "PCA has 4.6: beta or the penalties shrink it"),
        (1.0, 2.0, False, {"likelihood": "poisson"}, "50% less squared error"),
        (None, None, False, {}, "No rows were held out"),
    ],
)
def test_the_verdict(
    error: float | None, line: float | None, stayed: bool, parameters: dict[str, Any], said: str
) -> None:
    held_out = {"squared_error": error, "pca_squared_error": line, "stayed_linear": stayed}
    assert said in verdict(held_out, 8, parameters)


def test_progress_in_words() -> None:
    progress = Progress(
        10, 40, 2.0, 3.0, {"reconstruction": 12.345, "kl": 4.5}, 1.0, 601.23, 715.0, 10
    )
    assert figures(progress) == (
        "held-out squared error 601.2 (PCA 715) · reconstruction 12.35, kl 4.5 nats"
    )
    assert time_left(progress.seconds_left) == "9 s left at most"
    assert time_left(3675.0) == "1:01:15 left at most"


def test_the_bar_tells_which_size_is_tried() -> None:
    told: list[str] = []
    model = CLASSES["Autoencoder"]("auto", max_epochs=1, random_state=0)
    model.fit(numbers(60), callback=lambda progress: told.append(doing(progress)))
    tried = list(dict.fromkeys(told))
    assert tried[0] == "Trying 1 component"
    assert tried[1:-1] == [f"Trying {k} components" for k in range(2, len(tried))]
    assert tried[-1] == "Training"


def test_what_is_not_finite_is_null() -> None:
    facts = {"a": np.float64("nan"), "b": [float("inf"), np.float32(1)], "c": Path("x"), "d": True}
    assert as_json(facts) == '{"a": null, "b": [null, "1.0"], "c": "x", "d": true}'
