"""Laws of packed text and of text in UTF-16: it is the table that the text is, and no more."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.command_line import call, done

from isthmus import DataError, InvalidParameterError, open_data
from isthmus.cli import _rows
from isthmus.data import labels
from isthmus.data.columns import choosing
from isthmus.data.files import packed
from isthmus.data.source import in_memory
from isthmus.data.words import Words

RNG = np.random.default_rng(0)
ROWS = [f"r{i},{x:.4f},{x * 2:.3f},0{i:03}" for i, x in enumerate(RNG.normal(size=40))]
TEXT = "\n".join(["id,a,b,zip", *ROWS]).encode()
KEEP = {"drop": ["id", "zip"]}


def zst(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


def members(data: bytes) -> bytes:
    return gzip.compress(data[:100], mtime=0) + gzip.compress(data[100:])


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (".csv.gz", gzip.compress),
    "gzip of two members": (".csv.gz", members),
    "bzip2": (".CSV.BZ2", bz2.compress),
    "zstd": (".csv.zst", zst),
    "tabs, packed": (".tsv.gz", lambda text: gzip.compress(text.replace(b",", b"\t"))),
    "tabs": (".tab", lambda text: text.replace(b",", b"\t")),
    "txt": (".txt", lambda text: text),
    "txt, semicolons": (".txt", lambda text: text.replace(b",", b";")),
    "UTF-16": (".csv", lambda text: text.decode().encode("utf-16")),
    "UTF-16, big end first": (".csv", lambda t: b"\xfe\xff" + t.decode().encode("utf-16-be")),
    "UTF-16, packed": (".txt.gz", lambda text: gzip.compress(text.decode().encode("utf-16"))),
}


@pytest.mark.parametrize("case", PACKERS)
def test_it_is_the_table_that_the_text_is(case: str, tmp_path: Path) -> None:
    ending, pack = PACKERS[case]
    (tmp_path / "plain.csv").write_bytes(TEXT)
    path = tmp_path / "x" / f"t{ending}"
    path.parent.mkdir()
    path.write_bytes(pack(TEXT))
    expected = in_memory(open_data(tmp_path / "plain.csv", **KEEP))
    places: list[Any] = [path, tmp_path / "x" / f"*{ending}", [path]]
    for place in places if "txt" in ending else [*places, path.parent]:
        np.testing.assert_array_equal(in_memory(open_data(place, **KEEP)), expected)
    many = open_data([tmp_path / "plain.csv", path], label="zip", drop=["id"])
    assert many.labels is not None
    assert many.labels[:40].tolist() == many.labels[40:].tolist()
    assert labels.column(path, "zip")[0] == "0000"
    assert labels.holds(path, "a")


@pytest.mark.parametrize("whole", [0, 1 << 28])
@pytest.mark.parametrize("case", ["gzip", "zstd", "txt", "UTF-16"])
def test_verbs_read_it_and_carry_what_is_beside(
    case: str, whole: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_rows, "READ_WHOLE", whole)
    ending, pack = PACKERS[case]
    Path(f"t{ending}").write_bytes(pack(TEXT))
    Path("plain.csv").write_bytes(TEXT)
    fit = ("--drop", "id,zip", "--n-components", "1", "--max-epochs", "1", "--seed", "0")
    written = {}
    for name in ("plain.csv", f"t{ending}"):
        done("fit", name, *fit, "--out", f"run-{name}", "-q")
        done("transform", f"run-{name}", name, "--out", "codes.csv", "--force")
        done("reconstruct", f"run-{name}", name, "--fill", "--out", "full.csv", "--force")
        words = ("--drop", "id,zip", "--max-epochs", "1", "--seed", "0", "--out", "odd.csv")
        done("outliers", name, *words, "--force", "-q")
        assert "40 rows" in done("info", name)
        written[name] = [Path(p).read_text() for p in ("codes.csv", "full.csv", "odd.csv")]
    assert written["plain.csv"] == written[f"t{ending}"]
    assert Path("full.csv").read_text().splitlines()[1].startswith("r0,")


def test_what_unpacks_to_too_much_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "ALWAYS", 1 << 20)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * (1 << 22)))
    with pytest.raises(DataError, match=r"unpacks to more than 200 times its \d+ bytes"):
        open_data(path)
    with pytest.raises(DataError, match=r"unpacks to more than 200 times its \d+ bytes"):
        packed.plain(path, "t.csv.gz", Words(encoding="cp1252", remembered=True))
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv.gz"]
    path.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 1000, mtime=0))
    assert sum(open_data(path).lengths) == 1000


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.csv.gz", gzip.compress(TEXT, mtime=0)[:-30], "cannot be unpacked"),
        ("t.csv.gz", TEXT, "cannot be unpacked"),
        ("t.csv.bz2", TEXT, "cannot be unpacked"),
        ("t.csv.zst", TEXT, "cannot be unpacked"),
        ("t.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("t.csv", b"\xff\xfea", "is taken for text in utf-16, and is not"),
        ("t.csv", "a,b\né,1\n".encode("cp1252"), "--encoding cp1252"),
        ("t.txt", b"Dear all\nthis is a note\n", "must be a table"),
        ("t.parquet.gz", b"x", "Unpack it first"),
    ],
)
def test_what_is_none_is_refused_in_words(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said):
        open_data(tmp_path / name)
    code, _, err = call("info", tmp_path / name)
    assert (code, said in err) == (2, True)


def test_notes_beside_data_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("Dear all, and others\n")
    (tmp_path / "t.csv").write_bytes(TEXT)
    for place in (tmp_path, tmp_path / "*"):
        assert sum(open_data(place, **KEEP).lengths) == 40


def test_a_packed_file_of_nothing_among_others_is_passed_over_as_a_plain_one_is(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT, mtime=0))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"\n", mtime=0))
    assert len(open_data(tmp_path).lengths) == 1


def test_notes_go_with_chosen_columns(tmp_path):
    path = tmp_path / "a.csv.gz"
    lines = "".join(f"{i % 3},{i % 5},{i},$1.50\n" for i in range(40))
    path.write_bytes(gzip.compress(b"a,b,c,d\n" + lines.encode(), mtime=0))
    source = open_data(path)
    assert "Read as numbers" in source.notes[0]
    chosen = choosing.of_fit(source, ["a", "d"], "A", 2, more=True)
    assert chosen.notes == source.notes


CITIES = "Stadt,Größe,y\n" + "".join(
    f"{['Zürich', 'Genève', 'Bern'][i % 3]},{i % 7}.5,{i % 5 if i != 4 else ''}\n"
    for i in range(60)
)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_text_in_a_stated_encoding_is_that_text(tmp_path: Path, encoding: str, ending: str) -> None:
    plain, other = tmp_path / "plain.csv", tmp_path / f"other.{ending}"
    plain.write_text(CITIES, encoding="utf-8")
    held = CITIES.encode(encoding)
    other.write_bytes(gzip.compress(held) if ending.endswith("gz") else held)
    here, there = (
        open_data(path, encoding=how) for path, how in ((plain, None), (other, encoding))
    )
    assert next(there.tables(0)).equals(next(here.tables(0)))


@pytest.mark.parametrize("name", ["none", "hex", "idna", "punycode", "a\0", ""])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CITIES, encoding="cp1252")
    with pytest.raises(InvalidParameterError, match="must be an encoding of text"):
        open_data(path, encoding=name)
    for other in ("wine", np.eye(3)):
        with pytest.raises(InvalidParameterError, match="encoding='cp1252' has no meaning"):
            open_data(other, encoding="cp1252")
    with pytest.raises(DataError, match="must be text in UTF-8"):
        open_data(path, encoding="ascii")
    with pytest.raises(DataError, match="is taken for text in cp932, and is not"):
        open_data(path, encoding="cp932")


def test_a_run_remembers_the_encoding_of_its_fit(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-8", "utf-16"):
        (tmp_path / f"{encoding}.csv").write_text(CITIES, encoding=encoding)
    run, first = tmp_path / "run", tmp_path / "cp1252.csv"
    options = ["--encoding", "cp1252", "--n-components", "1", "--max-epochs", "1", "--quiet"]
    done("fit", first, *options, "--out", run)
    made = []
    for encoding in ("cp1252", "utf-8", "utf-16"):
        path, codes, filled = (tmp_path / f"{encoding}.{end}" for end in ("csv", "npy", "out.csv"))
        done("transform", run, path, "--out", codes)
        done("reconstruct", run, path, "--fill", "--out", filled)
        made.append((codes.read_bytes(), filled.read_bytes()))
    assert made[0] == made[1] == made[2]
    assert "Zürich,0.5,0\n" in made[0][1].decode()
    frame = pd.read_csv(first, encoding="cp1252")
    frame.to_parquet(tmp_path / "t.parquet")
    done("transform", run, tmp_path / "t.parquet", "--out", tmp_path / "parquet.npy")
    assert (tmp_path / "parquet.npy").read_bytes() == made[0][0]
    scores = tmp_path / "o.csv"
    done("outliers", first, "--encoding", "cp1252", "--drop", "Stadt", "--out", scores)
    assert list(pd.read_csv(scores)["Stadt"]) == list(frame["Stadt"])


def test_a_folder_may_hold_utf8_beside_what_is_stated(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CITIES, encoding="cp1252")
    (tmp_path / "b.csv").write_text(CITIES, encoding="utf-8")
    (tmp_path / "c.csv").write_text(CITIES, encoding="utf-16")
    source = open_data(tmp_path, encoding="cp1252")
    words = {word for i in range(3) for t in source.tables(i) for word in t["Stadt"].to_pylist()}
    assert words == {"Zürich", "Genève", "Bern"}
    (note,) = source.notes
    assert note == f"{tmp_path}: b.csv is in UTF-8 and read so, not in cp1252."


def test_an_encoding_of_pairs_of_bytes_is_taken_at_its_word(tmp_path: Path) -> None:
    """Two letters of GBK may be two of UTF-8 by chance."""
    path = tmp_path / "t.csv"
    path.write_bytes("a,w\n1,盲\n2,x\n".encode("gbk"))
    assert path.read_bytes().decode("utf-8") != "a,w\n1,盲\n2,x\n", "it is UTF-8 as well"
    source = open_data(path, encoding="gbk")
    assert next(source.tables(0))["w"].to_pylist() == ["盲", "x"]
    assert not source.notes
