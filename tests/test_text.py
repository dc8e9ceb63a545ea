"""Separated text: what its columns are taken for, whatever the size; what is written back of it."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import isthmus
from command_line import call, done
from isthmus import Autoencoder, open_data
from isthmus.cli import _rows
from isthmus.data import labels, words
from isthmus.data.columns.encoding import Encoding
from isthmus.data.readers import read
from isthmus.data.source import TableSource, in_memory
from isthmus.data.telling import HANDFUL
from isthmus.data.text import blocks, sniff
from isthmus.errors import DataError

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
QUICK = ("--max-epochs", "1", "--n-components", "2", "--seed", "0", "--quiet")

# Entries, of which the last comes last in the file as well, and the kind of the column.
KINDS: dict[str, tuple[list[str], str]] = {
    "postal codes": (["12345", "90210", "00033"], "string"),
    "one code": (["1", "2", "007"], "string"),
    "two zeros": (["0", "1", "00"], "string"),
    "a code with a point": (["10.20", "1.5", "01.10"], "string"),
    "a code in exponents": (["1", "2", "01e3"], "string"),
    "hexadecimal": (["1", "2", "0x1F"], "string"),
    "a code with blanks": (["1", "2", " 007 "], "string"),
    "a code among words": (["1", "Bern", "007"], "string"),
    "whole numbers": (["1", "2", "0"], "int64"),
    "negative ones": (["1", "-2", "-05"], "int64"),
    "fractions": (["1", "2", "0.5"], "double"),
    "negative fractions": (["1", "2", "-0.5"], "double"),
    "a sign": (["1", "2", "+05"], "double"),
    "exponents": (["1", "2", "1e3"], "double"),
    "an exponent of 0": (["1", "2", "0e5"], "double"),
    "nothing and numbers": (["", "NA", "5"], "int64"),
    "days": (["2024-01-05", "2024-02-06", "2023-12-31"], "date32[day]"),
    "days and moments": (["2024-01-05", "2024-02-06", "2024-01-05 08:00:00"], "timestamp[s]"),
    "moments of a zone": (
        ["2024-01-05T08:00:00+01:00", "2024-01-05T08:00:00Z", "2024-01-05T08:00:00-02:00"],
        "timestamp[s, tz=UTC]",
    ),
    "times": (["10:15", "12:30", "08:15"], "time32[s]"),
    "days with a slash": (["10/11/2024", "12/30/2024", "05/06/2024"], "string"),
    "Booleans": (["true", "false", "true"], "bool"),
    "words": (["Bern", "Rome", "Oslo"], "string"),
    "half words": (["1", "A", "B"], "string"),
}
WAYS = ["whole", "source", "small blocks", "spooled", "two files"]


def schema(folder: Path, entries: list[str], way: str, patch: pytest.MonkeyPatch) -> pa.Schema:
    """The kinds of a column of these entries, the last one last, and of one of numbers."""
    many = [*(e for _ in range(60) for e in entries[:-1]), entries[-1]]
    lines = [f"{entry},{i + 0.5}" for i, entry in enumerate(many)]
    if way == "small blocks":
        patch.setattr(sniff, "HEAD", 256)
    if way == "spooled":
        patch.setattr(blocks, "HELD", 0)
    path = folder / "x.csv"
    if way == "two files":
        path = folder / "f"
        path.mkdir()
        for name, part in (("1.csv", lines[:-1]), ("2.csv", lines[-1:])):
            (path / name).write_text("\n".join(["a,b", *part]) + "\n")
    else:
        path.write_text("\n".join(["a,b", *lines]) + "\n")
    if way == "whole":
        frame = read(path, mixed=True).frame
        assert isinstance(frame, pa.Table)
        return frame.schema
    source = isthmus.open_data(path)
    assert isinstance(source, TableSource)
    found = [t for piece in range(len(source.lengths)) for t in source.tables(piece)]
    if str(source.schema.field("a").type) == "string" and entries[-1].strip():
        assert pa.concat_tables(found).column("a")[-1].as_py() == entries[-1]
    return source.schema


@pytest.mark.parametrize("case", KINDS)
def test_a_column_is_the_same_however_it_is_read(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, kind = KINDS[case]
    for way in WAYS:
        # what differs from file to file is refused there, unless it is for a code
        if way == "two files" and case in ("a code among words", "half words"):
            continue
        (tmp_path / way).mkdir()
        with monkeypatch.context() as patch:
            found = schema(tmp_path / way, entries, way, patch)
        assert (way, str(found.field("a").type)) == (way, kind)
        assert str(found.field("b").type) == "double"


@pytest.mark.parametrize("n", [1500, 300_000])
@pytest.mark.parametrize("share", [1, 2])
def test_numbers_that_go_on_as_words_are_refused_whatever_the_size(
    n: int, share: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    words = (f"w{i % 7},1" for i in range(n * share))
    path.write_text("\n".join(["a,b", *(f"{i},1" for i in range(n)), *words]))
    for reader in (read, isthmus.open_data):
        with pytest.raises(DataError) as caught:
            reader(path)
        assert f"line {n + 2} of" in str(caught.value)
        assert "column 'a'; it holds 'w0'" in str(caught.value)
        assert "text=['a'] (on the command line --text a)" in str(caught.value)
    assert isthmus.open_data(path, text=["a"]).lengths


@pytest.mark.parametrize(
    ("cycle", "text"), [(["1", "A", "B"], True), (["1", "A"], True), (["1", "2", "A"], False)]
)
def test_words_from_the_beginning_are_categories_where_they_are_half(
    cycle: list[str], text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    entries = itertools.islice(itertools.cycle(cycle), 6000)
    path.write_text("\n".join(["a,b", *(f"{entry},1" for entry in entries)]))
    for head in (1 << 20, 256):
        monkeypatch.setattr(sniff, "HEAD", head)
        if text:
            assert str(isthmus.open_data(path).schema.field("a").type) == "string"  # type: ignore[attr-defined]
        else:
            with pytest.raises(DataError, match=r"line 4 of .* it holds 'A'"):
                isthmus.open_data(path)


def test_line_breaks_in_quotes_are_read_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    rows = [f'"one\ntwo {i}",{i}' for i in range(500)]
    for head in (1 << 20, 256):
        monkeypatch.setattr(sniff, "HEAD", head)
        path.write_text("\n".join(["a,b", *rows]) + "\n")
        table = next(isthmus.open_data(path).tables(0))  # type: ignore[attr-defined]
        assert table.column("a")[7].as_py() == "one\ntwo 7"
        path.write_text("\n".join(["a,b", *rows, "x,oops"]) + "\n")
        with pytest.raises(DataError, match=r"line 1002 of .*column 'b'; it holds 'oops'"):
            isthmus.open_data(path)


def test_a_line_of_another_length_with_another_byte_is_told_by_the_byte(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 200 + b"3,\xd1x,4\n")  # not within the first lines
    for reader in (read, isthmus.open_data):
        with pytest.raises(DataError, match=r"line 202 of .*UTF-8; it holds the byte 0xd1"):
            reader(path)
    assert capfd.readouterr().err == ""


def test_padded_numbers_are_numbers_where_it_is_said() -> None:
    table = pa.table({"w": ["007.5", None, "012.0"], "x": [1.0, 2.0, 3.0]})
    encoding = Encoding.fit(table, {"w": "real"})
    np.testing.assert_array_equal(encoding.encode(table)[:, 0], [7.5, np.nan, 12.0])
    with pytest.raises(DataError, match="takes numbers"):
        Encoding.fit(pa.table({"w": ["007", "x"]}), {"w": "real"})


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        (["007", "7", "12"], ["007", "7", "12"]),
        (["7", "12", ""], [7.0, 12.0, np.nan]),
        (["1", "2", "A"], ["1", "2", "A"]),
        (["true", "false", "true"], [1, 0, 1]),
        (["1", "0", "1"], [1, 0, 1]),
    ],
)
def test_labels_are_numbers_or_words_by_the_same_rule(
    entries: list[str], wanted: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["a,y", *(f"{i}.5,{entry}" for i, entry in enumerate(entries))]))
    found = labels.column(path, "y")
    assert (found.dtype.kind == "U") == isinstance(wanted[0], str)
    np.testing.assert_array_equal(found, wanted)


# words for what is missing -------------------------------------------------------------------


def test_the_words_that_are_documented_are_missing(tmp_path: Path) -> None:
    for page, start in (
        ("tables.md", "an entry is missing that is"),
        ("data.md", "Missing in CSV"),
    ):
        text = (ROOT / "docs" / page).read_text().partition(start)[2]
        listed = re.findall(r"`([^`]*)`", re.split(r"`None`", text)[0] + "`None`")
        assert ("", *listed) == words.MISSING_TOKENS
    path = tmp_path / "x.csv"
    tokens = [*words.MISSING_TOKENS, *(f" {token}" for token in words.MISSING_TOKENS)]
    path.write_text("\n".join(["a,b", *(f"{token},1" for token in tokens), "x,1"]))
    for way in (lambda **more: read(path, mixed=True, words=words.Words(**more)).frame,
                lambda **more: next(isthmus.open_data(path, **more).tables(0))):  # fmt: skip
        assert way().column("a").null_count == len(tokens)
        kept = way(na_values=()).column("a")
        assert kept.to_pylist() == [t if t.strip() else None for t in tokens] + ["x"]
        assert way(na_values=("x",)).column("a").null_count == 3


def test_other_tables_have_words_for_missing_entries_where_it_is_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["NA", "x", None], "c": pd.Categorical(["NA", "y", "y"])})
    frame.to_parquet(tmp_path / "x.parquet")
    for data in (tmp_path / "x.parquet", frame, str(tmp_path / "*.parquet")):
        kept = next(isthmus.open_data(data).tables(0))  # type: ignore[attr-defined]
        assert (kept.column("a").null_count, kept.column("c").null_count) == (1, 0)
        gone = next(isthmus.open_data(data, na_values=["NA"]).tables(0))  # type: ignore[attr-defined]
        assert (gone.column("a").null_count, gone.column("c").null_count) == (2, 1)


@pytest.mark.parametrize("form", ["array", "frame"])
def test_na_of_pandas_is_missing(form: str) -> None:
    x = RNG.normal(size=(50, 4))
    objects, holed = x.astype(object), x.copy()
    objects[3, 2], objects[4, 1] = pd.NA, None
    holed[[3, 4], [2, 1]] = np.nan
    given = pd.DataFrame(objects) if form == "frame" else objects
    model = Autoencoder(2, max_epochs=1, random_state=0)
    wanted = model.fit(holed).impute(holed)
    np.testing.assert_array_equal(model.fit(given).impute(given), wanted)
    assert (given.iloc[3, 2] if form == "frame" else given[3, 2]) is pd.NA


# the command line ----------------------------------------------------------------------------


def rows(n: int = 150) -> list[list[str]]:
    """Columns id, zip, x, e, flag, when, note, k: numbers in several spellings, with holes."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 3, n)
    found = []
    for i, g in enumerate(group):
        row = [
            f"{i:05d}",
            ["00033", "01234", "12345"][g],
            f"{g + rng.normal():+.3f}",
            f"{2 * g + 1}e0",
            ["True", "False"][g % 2],
            f"2024-01-{1 + i % 28:02d}T00:00:00+01:00",
            ['a,"b"', "x", "y\nz"][g],
            str(3 * g + rng.integers(0, 3)),
        ]
        holes = rng.random(len(row)) < 0.15
        found.append(
            [
                ["", "NA"][i % 2] if h and j else e
                for j, (e, h) in enumerate(zip(row, holes, strict=True))
            ]
        )
    return found


NAMES = ["id", "zip", "x", "e", "flag", "when", "note", "k"]


def save(path: Path, lines: list[list[str]], names: list[str] | None, separator: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([names] if names else [])
        writer.writerows(lines)


def lines_of(path: Path, separator: str = ",") -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=separator))


@pytest.mark.parametrize("how", ["whole", "stream"])
@pytest.mark.parametrize("case", ["mixed", "numbers", "semicolons", "no names"])
def test_what_is_filled_in_is_all_that_changes(
    case: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "stream":
        monkeypatch.setattr(_rows, "READ_WHOLE", 0)
        monkeypatch.setattr(blocks, "HELD", 0)
    given, names, separator = rows(), list(NAMES), ","
    if case != "mixed":
        keep = [0, 2, 3, 7]
        given, names = [[row[j] for j in keep] for row in given], [names[j] for j in keep]
    if case == "semicolons":
        given, separator = [[e.replace(".", ",") for e in row] for row in given], ";"
    save(Path("t.csv"), given, None if case == "no names" else names, separator)
    done("fit", "t.csv", "--drop", "x0" if case == "no names" else "id", "--out", "r", *QUICK)
    told = done("reconstruct", "r", "t.csv", "--fill", "--out", "o.csv")
    assert "as they were" in told
    assert "'x0'" in told if case == "no names" else "'id'" in told
    before, after = lines_of(Path("t.csv"), separator), lines_of(Path("o.csv"), separator)
    assert len(before) == len(after)
    holes = 0
    for old, new in zip(before, after, strict=True):
        for a, b in zip(old, new, strict=True):
            holes += a in ("", "NA")
            assert a == b or a in ("", "NA")
            assert b not in ("", "NA")
    assert holes > 30
    frame = read("o.csv", mixed=True).frame
    assert frame.schema.field(frame.num_columns - 1).type == pa.int64()  # k stays whole
    if case == "mixed":
        assert {row[4] for row in after[1:]} == {"True", "False"}
        assert {row[1] for row in after[1:]} == {"00033", "01234", "12345"}


@pytest.mark.parametrize("mixed", [True, False])
def test_types_stay_in_what_is_filled(
    mixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    n, gone = 120, RNG.random((120, 4)) < 0.2
    columns = {
        "k": pd.Series(RNG.poisson(3, n), dtype="Int64").mask(gone[:, 0]),
        "x": pd.Series(RNG.normal(size=n)).mask(gone[:, 1]),
        "y": pd.Series(RNG.normal(size=n).astype("float32")).mask(gone[:, 1]),
        "b": pd.Series(RNG.random(n) < 0.5, dtype="boolean").mask(gone[:, 2]),
        "s": pd.Series(RNG.choice(["u", "v", "w"], n), dtype="string").mask(gone[:, 3]),
    }
    if not mixed:
        del columns["b"], columns["s"]
    frame = pd.DataFrame({"id": [f"{i:04d}" for i in range(n)], **columns})
    frame.index = pd.Index(np.arange(n) * 3, name="row")
    frame.to_parquet("t.parquet")
    done("fit", "t.parquet", "--drop", "id", "--out", "r", *QUICK)
    done("reconstruct", "r", "t.parquet", "--fill", "--out", "o.parquet")
    filled = pd.read_parquet("o.parquet")
    assert filled.dtypes.to_dict() == frame.dtypes.to_dict()
    assert filled.index.equals(frame.index)
    assert not filled.isna().any().any()
    pd.testing.assert_frame_equal(filled.where(frame.notna()), frame)
    assert parquet.read_schema("o.parquet").types == parquet.read_schema("t.parquet").types


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("data", ["csv", "parquet"])
def test_scores_of_outliers_tell_rows_apart(
    data: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=(80, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(bad=(np.arange(80) % 20 == 0) * 1)
    frame.insert(1, "id", [f"{i:04d}" for i in range(80)])
    frame.to_csv("t.csv", index=False)
    frame.to_parquet("t.parquet")
    words = ["outliers", f"t.{data}", "--drop", "id", "--label", "bad", "--max-epochs", "1"]
    told = done(*words, "--out", f"s.{ending}")
    assert "after 'id', 'bad' as in" in told
    found = (
        pd.read_csv("s.csv", dtype={"id": str}) if ending == "csv" else pd.read_parquet("s.parquet")
    )
    assert list(found.columns) == ["id", "bad", "score", "p_value", "outlier"]
    assert found["id"].tolist() == frame["id"].tolist()
    assert found["bad"].tolist() == frame["bad"].tolist()
    done(*words, "--out", "s.npy")
    np.testing.assert_array_equal(np.load("s.npy"), found[["score", "p_value", "outlier"]])


@pytest.mark.parametrize("how", ["whole", "stream"])
def test_a_run_remembers_what_is_text(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "stream":
        monkeypatch.setattr(_rows, "READ_WHOLE", 0)
    zips = RNG.choice(["00033", "12345", "90210"], 120)
    kind, alley = RNG.choice(["1", "2"], 120), RNG.choice(["NA", "None", "Pave"], 120)
    frame = pd.DataFrame({"zip": zips, "kind": kind, "alley": alley, "x": RNG.normal(size=120)})
    frame.to_csv("t.csv", index=False)
    frame[zips != "00033"].to_csv("new.csv", index=False)
    done("fit", "t.csv", "--text", "kind", "--na-values", "", "--out", "r", *QUICK)
    config = json.loads(Path("r/config.json").read_text())
    assert (config["data"]["text"], config["data"]["na_values"]) == (["kind"], [])
    categories = {c["name"]: c["categories"] for c in config["model"]["encoding"]["columns"]}
    assert categories["kind"] == ["1", "2"]
    assert categories["alley"] == ["NA", "None", "Pave"]
    done("transform", "r", "t.csv", "--out", "all.npy")
    code, _, err = call("transform", "r", "new.csv", "--out", "new.npy")
    assert (code, err) == (0, "")  # no category is another
    np.testing.assert_allclose(
        np.load("new.npy"), np.load("all.npy")[zips != "00033"], rtol=1e-5, atol=1e-6
    )
    assert "the model was fitted to" in done("score", "r", "t.csv")
    Path("fit.toml").write_text('text = ["kind"]\nna_values = []\n')
    done("fit", "t.csv", "--config", "fit.toml", "--out", "again", *QUICK)
    assert "the model was fitted to" in done("score", "again", "t.csv")
    assert "--text 'nope' must name columns of t.csv" in call("info", "t.csv", "--text", "nope")[2]
    assert "--text kind --na-values ''" in done(
        "info", "t.csv", "--text", "kind", "--na-values", ""
    )


@pytest.mark.parametrize("data", ["wine", "t.parquet", "t.npy", "f"])
def test_columns_are_said_to_be_text_of_text_alone(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"a": [1, 2], "b": [2, 3]}).to_parquet("t.parquet")
    np.save("t.npy", np.eye(3))
    Path("f").mkdir()
    pd.DataFrame({"a": [1, 2], "b": [2, 3]}).to_parquet("f/t.parquet")
    for verb in (["info"], ["fit", "--out", "r"]):
        code, _, err = call(verb[0], data, *verb[1:], "--text", "a")
        assert code == 2
        assert f"--text a has no meaning for {data}, which is no separated text" in err


@pytest.mark.filterwarnings("ignore:.*does not have valid feature names")
def test_what_a_run_remembers_of_words_is_no_bar_to_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(RNG.normal(size=(50, 3)), columns=["a", "b", "c"])
    frame.to_csv("t.csv", index=False)
    frame.to_parquet("t.parquet")
    np.save("t.npy", frame.to_numpy())
    done("fit", "t.csv", "--na-values=-999", "--out", "r", *QUICK)
    for name in ("t.csv", "t.parquet", "t.npy"):
        done("transform", "r", name, "--out", f"{name}.npy")
        np.testing.assert_allclose(np.load(f"{name}.npy"), np.load("t.csv.npy"), atol=1e-6)


N = 60
WORD = np.array(["only"] * N)
COUNTS = {"n": RNG.negative_binomial(2, 0.2, N), "m": RNG.negative_binomial(2, 0.2, N)}
BITS = {"a": RNG.integers(0, 2, N), "b": RNG.integers(0, 2, N), "c": RNG.integers(0, 2, N)}
ODD: dict[str, dict[str, Any]] = {
    "counts and a constant word": {**COUNTS, "w": WORD},
    "counts and a constant fraction": {**COUNTS, "w": 0.5},
    "counts and a constant below 0": {**COUNTS, "w": -1},
    "counts and a constant count": {**COUNTS, "w": 7},
    "bits and a constant 7": {**BITS, "w": 7},
    "bits and a constant 1": {**BITS, "w": 1},
    "bits and a constant word": {**BITS, "w": WORD},
    "numbers and a constant truth": {**COUNTS, "w": True},
    "numbers and a constant day": {**COUNTS, "w": pd.Timestamp("2024-01-05")},
    "codes": {**COUNTS, "zip": RNG.choice(["00033", "12345"], N)},
    "an identifier": {**COUNTS, "id": [f"{i:05d}" for i in range(N)], "x": RNG.normal(size=N)},
    "holes": {**COUNTS, "x": np.where(RNG.random(N) < 0.3, np.nan, RNG.normal(size=N))},
    "an empty column": {**COUNTS, "x": np.nan, "y": RNG.normal(size=N)},
    "two columns": {"x": RNG.normal(size=N), "y": RNG.normal(size=N)},
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("case", ODD)
def test_what_info_suggests_fit_takes(
    case: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(ODD[case])
    frame.to_csv("t.csv", index=False) if ending == "csv" else frame.to_parquet("t.parquet")
    command = json.loads(done("info", f"t.{ending}", "--json"))["suggestion"]["command"]
    done(*shlex.split(command)[1:], "--max-epochs", "1", "--quiet")


# what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, HANDFUL, HANDFUL + 1, 40])
def test_a_column_of_unknown_categories_alone_is_refused(n: int) -> None:
    encoding = Encoding.fit(pa.table({"c": ["a", "b", "c"] * 9, "x": np.arange(27.0)}))
    blocks = [pa.table({"c": ["z"] * part, "x": np.ones(part)}) for part in (n // 2, n - n // 2)]

    def encoded(*more: pa.Table) -> None:
        from isthmus.data.telling import told_once

        with told_once():
            for block in (*blocks, *more):
                encoding.encode(block)

    if n > HANDFUL:
        with pytest.raises(
            DataError, match=f"column 'c' of X .*'a', 'b', 'c'; all {n} .* 'z'.*mend"
        ):
            encoded()
    else:
        with pytest.warns(UserWarning, match="did not see"):
            encoded()
    with pytest.warns(UserWarning, match="did not see"):
        encoded(pa.table({"c": ["a"], "x": [1.0]}))
    empty = pa.table({"c": pa.nulls(n, pa.string()), "x": np.ones(n)})
    if n > HANDFUL:
        with pytest.warns(UserWarning, match=f"Column 'c' of X has no entry in all {n} rows"):
            encoding.encode(empty)
    else:
        encoding.encode(empty)


def test_nothing_is_written_of_rows_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"c": RNG.choice(["a", "b", "c"], 60), "x": RNG.normal(size=60)})
    frame.assign(y=frame["x"] ** 2).to_csv("t.csv", index=False)
    frame.assign(y=frame["x"] ** 2, c="z").to_csv("new.csv", index=False)
    done("fit", "t.csv", "--out", "r", *QUICK)
    for verb in (("transform",), ("score",), ("reconstruct",), ("reconstruct", "--fill")):
        code, _, err = call(verb[0], "r", "new.csv", *verb[1:], "--out", "o.csv")
        assert code == 2
        assert "column 'c' of new.csv must hold categories that the fit saw" in err
        assert not Path("o.csv").exists()


def test_files_that_are_skipped_for_their_name_are_named(tmp_path: Path) -> None:
    for name in ("_x.csv", ".y.parquet", "_SUCCESS"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"holds '.y.parquet', '_x.csv', skipped for the _ or \."):
        isthmus.open_data(tmp_path)
    assert "'_x.csv', skipped" in call("info", str(tmp_path))[2]


@pytest.mark.parametrize(
    ("sizes", "given", "others"),
    [({"decoder": (2, 7)}, "decoder", "ncoder"), ({"encoder": (4, 3)}, "encoder", "ecoder")],
)
def test_a_network_of_another_size_is_told_of_alone(sizes: Any, given: str, others: str) -> None:
    from torch import nn

    networks = {name: nn.Linear(*size) for name, size in sizes.items()}
    with pytest.raises(ValueError, match=f"{given}=Linear gives") as caught:
        Autoencoder(2, max_epochs=1, **networks).fit(RNG.normal(size=(30, 4)))
    assert others not in str(caught.value).replace(given, "").replace(given.capitalize(), "")


def tables_of(path: Path) -> pa.Table:
    source = isthmus.open_data(path)
    assert isinstance(source, TableSource)
    return pa.concat_tables(source.tables(0))


@pytest.mark.parametrize("word", ["25:10:00", "08:75"])
def test_times_that_are_none_are_text(tmp_path: Path, word: str) -> None:
    file = tmp_path / "t.csv"
    rows = ["08:15:00" if i % 5 else word for i in range(40)]
    file.write_text("a,b\n" + "".join(f"{row},{i}.5\n" for i, row in enumerate(rows)))
    seen = tables_of(file)
    assert seen.column(0).to_pylist() == rows


def test_labels_of_times_are_read_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,y\n" + "".join(f"{i}.5,08:1{i}\n" for i in range(5)))
    assert list(labels.column(file, "y")) == [f"08:1{i}" for i in range(5)]


@pytest.mark.parametrize("beside", ["0.5", "007"])
@pytest.mark.parametrize("ones", [2, 40])
def test_truth_values_do_not_depend_on_other_columns(
    tmp_path: Path, beside: str, ones: int
) -> None:
    words = ["true", "False"] * 25 + ["1"] * ones
    file = tmp_path / "t.csv"
    file.write_text("a,b\n" + "".join(f"{word},{beside}\n" for word in words))
    assert tables_of(file).column(0).to_pylist() == words


@pytest.mark.parametrize("width", [1, 2, 4])
def test_named_columns_of_another_number_are_refused(width: int) -> None:
    model = Autoencoder(2, max_epochs=1, random_state=0).fit(RNG.normal(size=(60, 3)))
    frame = pd.DataFrame(RNG.normal(size=(20, width)), columns=list("abcd")[:width])
    with pytest.raises(DataError, match="must have 3, as the data of the fit"):
        model.transform(isthmus.open_data(frame))


TRUTHS: dict[str, list[Any]] = {
    "Booleans": [True, False],
    "words": ["true", "false"],
    "capitals": ["True", "False"],
}


@pytest.mark.parametrize("fitted", TRUTHS)
@pytest.mark.parametrize("given", TRUTHS)
def test_truth_values_are_known_again_as_words(fitted: str, given: str) -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 2))
    frames = {
        kind: pd.DataFrame(numbers, columns=["x", "y"]).assign(b=values * 20)
        for kind, values in TRUTHS.items()
    }
    model = Autoencoder(1, max_epochs=1, random_state=0).fit(frames[fitted])
    if "Booleans" in (fitted, given) or fitted == given:
        known = model.transform(frames[fitted])
        np.testing.assert_array_equal(model.transform(frames[given]), known)
    else:  # words are told apart by their letters
        with pytest.raises(DataError, match="must hold categories that the fit saw, '"):
            model.transform(frames[given])


def test_truth_values_beside_numbers_are_words_in_one_file_and_in_several(tmp_path: Path) -> None:
    truths, numbers, empty = "a,b\ntrue,1\nfalse,2\n", "a,b\n1,3\n0,4\n", "a,b\n,5\n"
    one = tmp_path / "one.csv"
    one.write_text(truths + numbers.partition("\n")[2])
    assert str(isthmus.open_data(one).schema.field("a").type) == "string"
    names = [tmp_path / f"{i}.csv" for i in range(3)]
    for name, text in zip(names, (truths, empty, numbers), strict=True):
        name.write_text(text)
    with pytest.raises(DataError, match=r"is bool in .*0.csv and int64 in .*2.csv.*--text a"):
        isthmus.open_data(names)
    together = next(isthmus.open_data(names, text=["a"]).tables(0))
    assert together.column("a").to_pylist() == ["true", "false"]
    assert str(isthmus.open_data(names[:2]).schema.field("a").type) == "bool"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_stay_in_what_is_filled(tmp_path: Path, end: str) -> None:
    rows = [f"{i % 7},{i / 4},{'' if i == 4 else i % 3}" for i in range(20)]
    lines = ["", "", "a,b,c", *rows[:3], "", *rows[3:9], "", "", *rows[9:], "", ""]
    path, out, run = (tmp_path / name for name in ("t.csv", "filled.csv", "run"))
    path.write_bytes(end.join([*lines, ""]).encode())
    done("fit", path, "--n-components", "1", "--max-epochs", "1", "--out", run, "--quiet")
    done("reconstruct", run, path, "--fill", "--out", out)
    written = out.read_bytes().decode().split(end)
    changed = [i for i, (a, b) in enumerate(zip(lines, written, strict=False)) if a != b]
    assert len(written) == len(lines) + 1
    assert changed == [lines.index("4,1.0,")]


FIRST_LINES = {
    "years above numbers": ("2019,2020,2021\n1.5,2,3\n2,3,4\n", None, 3, "taken for a row"),
    "rows that rise alike": ("1,2,3\n4,5,6\n7,8,9\n", None, 3, ""),
    "a row of words and numbers": ("39,State,77516\n50,Self,83311\n", "39", 1, "names the columns"),
    "years beside a name": ("name,2019,2020\na,1,2\n", "name", 1, "names the columns"),
    "amounts": ("1.218,50 €;1 %;Köln\n2.218,50 €;2 %;Köln\n", None, 2, "Read as numbers"),
    "percentiles above numbers": ("25%,50%\n1,2\n3,4\n", "25%", 2, ""),
    "positions above numbers": ("0,1,2\n1.5,2.5,3\n", "0", 1, ""),
    "names in quotes": ('"2019","2020","2021"\n1.5,2,3\n', "2019", 1, ""),
}


@pytest.mark.parametrize("case", FIRST_LINES)
def test_a_first_line_that_may_be_names_or_a_row_is_told_of(tmp_path: Path, case: str) -> None:
    text, first, n, said = FIRST_LINES[case]
    (tmp_path / "t.csv").write_text(text)
    source = open_data(tmp_path / "t.csv")
    assert (source.names or [None])[0] == first
    assert sum(source.lengths) == n
    assert said in " ".join(source.notes)
    assert bool(said) == bool(source.notes)


def test_one_column_of_decimal_commas_opens_as_the_error_says(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("v\n1,5\n2,5\n")
    with pytest.raises(DataError, match="put the line sep=; first"):
        open_data(path)
    path.write_text("sep=;\nv\n1,5\n2,5\n")
    assert in_memory(open_data(path)).tolist() == [[1.5], [2.5]]


def test_a_number_of_thousands_of_digits_is_told_of_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n" + "9" * 5000 + ",3\n")
    (note,) = open_data(path).notes
    assert "999..., have more digits" in note
    assert len(note) < 400
