"""What ``--fill`` writes is the file with its holes filled, and is read again as what it says."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import isthmus
from command_line import call, done

FIT = ("--max-epochs", "2", "--n-components", "1", "--hidden-layer-sizes", "4", "--seed", "0")
HEAD = ["a", "b", "k", "x"]


def english(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def german(value: float, digits: int) -> str:
    return english(value, digits).translate(str.maketrans(",.", ".,"))


def behind(value: float, digits: int) -> str:
    return f"{abs(value):,.{digits}f}" + "-" * bool(value < 0)


def plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def comma(value: float, digits: int) -> str:
    return plain(value, digits).replace(".", ",")


Write = Callable[[float, int], str]
WAYS: dict[str, tuple[Write, str]] = {
    "plain": (plain, ";"),
    "plain, commas": (plain, ","),
    "comma": (comma, ";"),
    "english": (english, ";"),
    "english, commas": (english, ","),
    "german": (german, ";"),
    "euros": (lambda v, n: german(v, n) + " €", ";"),
    "dollars": (lambda v, n: ("-" * bool(v < 0)) + "$" + english(abs(v), n), ","),
    "letters": (lambda v, n: "CHF " + f"{v:,.{n}f}".replace(",", "'"), "\t"),
    "english, tabs": (english, "\t"),
    "german, tabs": (german, "\t"),
    "percent": (lambda v, n: comma(v, n) + " %", ";"),
    "minus behind": (behind, ";"),
}


def numbers(n: int = 80, seed: int = 0) -> pd.DataFrame:
    """a: hundreds to thousands, two decimals; b: around 0, three; k: counts; x: words."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return pd.DataFrame(
        {
            "a": (1500 + 700 * z + rng.normal(size=n)).round(2),
            "b": (z + 0.1 * rng.normal(size=n)).round(3),
            "k": rng.poisson(np.exp(1 + 0.5 * z)),
        }
    )


def entries(X: pd.DataFrame, how: Write, words: bool) -> list[list[str]]:
    """Column a in the way, b plain with its decimal sign, k whole."""
    sign = comma if "," in how(0.5, 1) else plain
    rows = [[how(a, 2), sign(b, 3), str(int(k))] for a, b, k in X.to_numpy()]
    return [[*row, "uv"[i % 2] * (1 + i % 3)] for i, row in enumerate(rows)] if words else rows


def save(path: Path, rows: list[list[str]], sep: str) -> Path:
    quoted = [['"' + e + '"' if sep in e else e for e in row] for row in rows]
    head = HEAD[: len(rows[0])]
    path.write_text("\n".join(sep.join(row) for row in [head, *quoted]) + "\n")
    return path


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)


def holed(rows: list[list[str]], holes: str) -> list[list[str]]:
    """The first rows with holes: some entries, or some entries and a whole column."""
    new = [list(row) for row in rows[:12]]
    for i, row in enumerate(new):
        row[i % len(row)] = ""
        if holes.startswith("empty"):
            row[HEAD.index(holes[-1])] = ""
    return new


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(way: str, words: bool) -> Path:
        if (way, words) not in made:
            how, sep = WAYS[way]
            name = f"{len(made)}"
            path = save(folder / f"{name}.csv", entries(numbers(), how, words), sep)
            code, _, err = call("fit", path, "--out", folder / name, *FIT, "--quiet")
            assert code == 0, err
            made[way, words] = folder / name
        return made[way, words]

    return run


@pytest.mark.filterwarnings("ignore:.*has no entry in all")
@pytest.mark.parametrize(
    ("words", "holes"),
    [
        (words, holes)
        for words, names in ((False, "abk"), (True, "abkx"))
        for holes in ("some", *(f"empty {name}" for name in names))
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_filled_is_read_again(way, words, holes, runs, tmp_path):
    """The file with its holes filled is the file, byte by byte, once they are emptied again."""
    how, sep = WAYS[way]
    rows = entries(numbers(seed=1), how, words)
    new = save(tmp_path / "new.csv", holed(rows, holes), sep)
    out, again, parquet = (tmp_path / n for n in ("out.csv", "again.csv", "x.parquet"))
    run = runs(way, words)
    code, _, err = call("reconstruct", run, new, "--fill", "--out", out)
    assert code == 0, err
    written = list(csv.reader(out.read_text().splitlines(), delimiter=sep))
    emptied = [
        [entry if was else "" for entry, was in zip(row, given, strict=True)]
        for row, given in zip(written[1:], holed(rows, holes), strict=True)
    ]
    assert save(tmp_path / "emptied.csv", emptied, sep).read_bytes() == new.read_bytes()
    assert done("reconstruct", run, out, "--fill", "--out", again)
    assert again.read_bytes() == out.read_bytes()
    before, after = table(new), table(out)
    assert ((after == before) | (before == "")).all(axis=None)
    assert (after != "").all(axis=None)
    call("reconstruct", run, new, "--out", parquet)
    made, found = pd.read_parquet(parquet), read_by(run, out)
    for j, (name, n) in enumerate({"a": 2, "b": 3, "k": 0}.items()):
        gone, values = (before[name] == "").to_numpy(), found[:, j]
        np.testing.assert_allclose(values, values.round(n), atol=1e-9)
        near = 0.51 * 10.0**-n
        np.testing.assert_allclose(values[gone], made[name].to_numpy(float)[gone], atol=near)


def read_by(run: Path, path: Path) -> np.ndarray:
    model = isthmus.load(run)
    found = isthmus.open_data(path).as_known(model.written_)
    frame = next(found.tables(0))
    return np.stack([np.asarray(frame[name], float) for name in "abk"], axis=1)


def mixture(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    z = rng.normal(size=n)
    hours = pd.to_timedelta((z * 500 + 5000).round(), unit="h")
    return pd.DataFrame(
        {
            "when": (pd.Timestamp("2024-01-01 08:30:00") + hours).astype(str),
            "day": (pd.Timestamp("2024-01-01") + hours).strftime("%Y-%m-%d"),
            "ok": np.where(z > 0, "TRUE", "FALSE"),
            "code": [f"{c:05d}" for c in rng.integers(1, 9, n) * 111],
            "name": np.where(z > 0, 'a "q"; b', "c\nd"),
            "tiny": [f"{v:.3e}".replace(".", ",") for v in np.exp(z) * 1e-9],
            "v": [comma(v, 3) for v in z],
        }
    )


@pytest.mark.filterwarnings("ignore:.*has no entry in all")
@pytest.mark.parametrize("empty", [None, *mixture(2)])
def test_columns_of_any_kind_are_read_again(empty, tmp_path):
    X, run = mixture(), tmp_path / "run"
    X.to_csv(tmp_path / "fit.csv", sep=";", index=False)
    done("fit", tmp_path / "fit.csv", "--out", run, *FIT, "--quiet")
    new = X.head(20).mask(np.random.default_rng(3).random((20, X.shape[1])) < 0.2)
    new = new if empty is None else new.assign(**{empty: None})
    path, out, again = (tmp_path / f"{name}.csv" for name in ("new", "out", "again"))
    new.to_csv(path, sep=";", index=False)
    path.write_text(path.read_text() + "\n")  # a blank line behind
    code, _, err = call("reconstruct", run, path, "--fill", "--out", out)
    assert code == 0, err
    assert "no missing entries" in done("reconstruct", run, out, "--fill", "--out", again)
    assert again.read_bytes() == out.read_bytes()
    filled = pd.read_csv(out, sep=";", dtype=str)
    assert filled.notna().all(axis=None)
    assert ((filled == new) | new.isna()).all(axis=None)
    assert set(filled["name"]) <= set(X["name"])
    assert filled["when"].str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").all()


@pytest.mark.parametrize("ways", [("plain", "comma"), ("comma", "german")])
def test_files_of_several_ways_are_refused_before_a_file_is_written(ways, tmp_path, runs):
    folder, out = tmp_path / "folder", tmp_path / "out.csv"
    folder.mkdir()
    for name, way in zip("ab", ways, strict=True):
        save(folder / f"{name}.csv", holed(entries(numbers(), WAYS[way][0], False), "some"), ";")
    run = runs(ways[0], False)
    code, _, err = call("reconstruct", run, folder, "--fill", "--out", out)
    assert code != 0
    assert not out.exists()
    assert "in different ways" in err
    assert "Fill each file by itself" in err


def test_files_of_one_way_are_one_file(tmp_path, runs):
    folder, out = tmp_path / "folder", tmp_path / "out.csv"
    folder.mkdir()
    for name in "ab":
        save(folder / f"{name}.csv", holed(entries(numbers(), german, False), "some"), ";")
    done("reconstruct", runs("german", False), folder, "--fill", "--out", out)
    assert len(table(out)) == 24


def test_it_is_said_that_what_is_written_is_utf8(tmp_path, runs):
    path = save(tmp_path / "x.csv", holed(entries(numbers(), plain, False), "some"), ";")
    run, other = runs("plain", False), tmp_path / "other.csv"
    other.write_text(path.read_text(), encoding="utf-16")
    told = done("reconstruct", run, other, "--fill", "--out", tmp_path / "1.csv")
    assert f"1.csv in UTF-8 ({other} is in utf-16)" in " ".join(told.split())
    assert "UTF-8" not in done("reconstruct", run, path, "--fill", "--out", tmp_path / "2.csv")


def test_fractions_are_filled_where_the_file_shows_whole_numbers(tmp_path, runs):
    run, path, out = runs("plain", False), tmp_path / "x.csv", tmp_path / "out.csv"
    path.write_text("a;b;k\n1500;1;3\n1700;;2\n;0;4\n")
    done("reconstruct", run, path, "--fill", "--out", out)
    lines = [line.split(";") for line in out.read_text().splitlines()]
    assert "." in lines[2][1]
    assert "." in lines[3][0]
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["spelling"].pop("decimals") == {"a": 2, "b": 3, "k": 0}
    older = shutil.copytree(run, tmp_path / "older")
    (older / "config.json").write_text(json.dumps(config))
    done("reconstruct", older, path, "--fill", "--out", out, "--force")
    assert "." not in out.read_text()


# The fit, the new file, and its first column with the holes filled, as pandas may read it.
@pytest.mark.filterwarnings("ignore:.*has no entry in all")
@pytest.mark.parametrize(
    ("fitted", "new"),
    [
        ("german", "a;b;k\n;;2\n37.0;;3\n"),
        ("german", "a;b;k\n37.0;2,5;2\n;;3\n"),
        ("plain", "a;b;k\n37,0;;2\n;;3\n"),
        ("german", "a;b;k\n;2.5;3\n;2.75;2\n"),
        ("german", "a;b;k\n1200.5;;3\n900.25;;2\n"),
    ],
)
def test_signs_of_a_column_are_its_own(fitted, new, runs, tmp_path):
    """``37.0`` shows a point; three decimals are not written where they may be thousands."""
    path, out, again = (tmp_path / f"{name}.csv" for name in ("new", "out", "again"))
    path.write_text(new)
    run = runs(fitted, False)
    done("reconstruct", run, path, "--fill", "--out", out)
    done("reconstruct", run, out, "--fill", "--out", again)
    assert again.read_bytes() == out.read_bytes()
    model = isthmus.load(run)
    before, after = (model.impute(isthmus.open_data(each)) for each in (path, out))
    np.testing.assert_allclose(after, before, atol=0.5)


@pytest.mark.parametrize("kind", ["truth", "folders"])
def test_columns_of_folders_and_truth_values_are_filled_beside(kind, tmp_path):
    rng = np.random.default_rng(0)
    for part in ("fit", "new"):
        for month in (10, 11):
            folder = tmp_path / part / (f"month={month}" if kind == "folders" else "all")
            folder.mkdir(parents=True, exist_ok=True)
            X = pd.DataFrame(rng.normal(size=(40, 3)).round(2), columns=list("abc")).astype(object)
            if kind == "truth":
                X["ok"] = np.where(X["a"] > 0, "TRUE", "FALSE")
            if part == "new":
                X.iloc[3, 0] = None
            X.to_csv(folder / f"{month}.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "out.csv"
    done("fit", tmp_path / "fit", "--out", run, *FIT, "--quiet")
    told = done("reconstruct", run, tmp_path / "new", "--fill", "--out", out)
    assert "2 missing entries filled in" in told
    assert (table(out) != "").all(axis=None)


def test_a_folder_without_a_value_is_a_missing_entry(tmp_path):
    rng = np.random.default_rng(0)
    for part, key in (("fit", "p"), ("fit", "q"), ("new", "p"), ("new", "")):
        folder = tmp_path / part / f"k={key}"
        folder.mkdir(parents=True)
        X = pd.DataFrame(rng.normal(size=(20, 2)).round(2), columns=list("ab"))
        X.to_csv(folder / "x.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "out.csv"
    done("fit", tmp_path / "fit", "--out", run, *FIT, "--quiet")
    told = done("reconstruct", run, tmp_path / "new", "--fill", "--out", out)
    assert "20 missing entries filled in" in told
    assert set(table(out)["k"]) <= {"p", "q"}
