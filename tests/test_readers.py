"""Laws of `isthmus.data.readers.read`: what comes in, and what every refusal says."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sklearn import datasets

from isthmus.data import readers
from isthmus.data.bundled import BUNDLED
from isthmus.data.opening import open_data
from isthmus.data.readers import read
from isthmus.data.tables import fingerprint
from isthmus.data.text import parsing
from isthmus.errors import DataError

NAN = np.nan
AB = ("a", "b")
ROWS = [[1.0, 2.0], [3.0, 4.5]]


def equal(actual: np.ndarray, expected: Any) -> None:
    np.testing.assert_array_equal(actual, np.asarray(expected))


# text ------------------------------------------------------------------------------------------

TEXTS: dict[str, tuple[bytes, tuple[str, ...] | None, list[list[float]]]] = {
    "header": (b"a,b\n1,2\n3,4.5\n", AB, ROWS),
    "no header": (b"1,2\n3,4.5\n", None, ROWS),
    "one row, no header": (b"1,2\n", None, [[1, 2]]),
    "no line end": (b"a,b\n1,2\n3,4.5", AB, ROWS),
    "semicolons": (b"a;b\n1;2\n3;4.5\n", AB, ROWS),
    "tabs": (b"a\tb\n1\t2\n3\t4.5\n", AB, ROWS),
    "decimal commas": (b"a;b\n1;2\n3;4,5\n", AB, ROWS),
    "decimal commas before exponents": (
        b"a;b\n1,1E+00;2E+00\n3;45,00E-01\n",
        ("a", "b"),
        [[1.1, 2], [3, 4.5]],
    ),
    "decimal commas, no header": (b"1,0;2,0\n3,0;4,5\n", None, ROWS),
    "BOM": (b"\xef\xbb\xbfa,b\n1,2\n3,4.5\n", AB, ROWS),
    "BOM, no header": (b"\xef\xbb\xbf1,2\n3,4.5\n", None, ROWS),
    "CRLF": (b"a,b\r\n1,2\r\n3,4.5\r\n", AB, ROWS),
    "CR": (b"a,b\r1,2\r3,4.5\r", AB, ROWS),
    "blank lines": (b"\n\na,b\n\n1,2\n\n3,4.5\n\n", AB, ROWS),
    "quoted header": (b'"a","b, c"\n1,2\n3,4.5\n', ("a", "b, c"), ROWS),
    "quoted numbers as names": (b'"1","2"\n1,2\n3,4.5\n', ("1", "2"), ROWS),
    "everything quoted": (b'"a","b"\n"1","2"\n"3","4.5"\n', AB, ROWS),
    "blanks around": (b" a, b\n 1, 2\n 3, 4.5\n", AB, ROWS),
    "numbers among names": (b"id,2020,2021\n1,2,3\n", ("id", "2020", "2021"), [[1, 2, 3]]),
    "names counted by pandas": (b"0,1,2\n5,6,7\n", ("0", "1", "2"), [[5, 6, 7]]),
    "numbers that count on": (b"0,1,2\n3,4,5\n", None, [[0, 1, 2], [3, 4, 5]]),
    "names like a file": (b"PAR1,PAR2\n1,2\n3,4.5\n", ("PAR1", "PAR2"), ROWS),
    "names left out": (b" , \n1,2\n3,4.5\n", ("x0", "x1"), ROWS),
    "a nameless column": (b"a,\n1,2\n3,4.5\n", ("a", "x1"), ROWS),
    "one column": (b"a\n1\n3\n", ("a",), [[1], [3]]),
    "exponents and signs": (b"-1e-3,+2\n.5,3.\n", None, [[-1e-3, 2], [0.5, 3]]),
    "truth values": (b"a,b\ntrue,1\nFalse,2\n", AB, [[1, 1], [0, 2]]),
    "missing first row": (b"?,2\n3,\n", None, [[NAN, 2], [3, NAN]]),
    "missing, one column": (b'a\n1\n""\n3\n', ("a",), [[1], [NAN], [3]]),
    "beyond 64 bits": (b"a\n1\n100000000000000000000\n", ("a",), [[1], [1e20]]),
    **{
        f"missing {token!r}": (
            f"a,b\n1,{token}\n{token},4.5\n".encode(),
            AB,
            [[1, NAN], [NAN, 4.5]],
        )
        for token in ("", "NA", "N/A", "NaN", "nan", "?", "null", "NULL", "None", " NA", " ?")
    },
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_becomes_numbers(case: str, tmp_path: Path) -> None:
    text, names, rows = TEXTS[case]
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    table = read(path)
    assert table.names == names
    assert table.values.dtype == np.float64
    assert table.origin == str(path)
    equal(table.values, rows)


BAD_TEXTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "x.csv is empty"),
    "blank": (b"\n \n\n", "x.csv is empty"),
    "only a header": (b"a,b\n", "has a header but no rows"),
    "ragged": (
        b"a,b\n1,2\n\n3,4,5\n",
        "line 4 of .*x.csv must have 2 fields separated by commas.* it has 3",
    ),
    "a title": (b"\nA title\n\na,b\n1,2\n3,4\n", "line 2 of .*name 2 columns, as many as line 4"),
    "a longer title": (
        b"Title, of it\na,b,c\n1,2,3\n4,5,6\n",
        "line 1 of .*; it has 2. Delete what",
    ),
    "a comment": (b"# x\na;b\n1;2\n3;4\n", "line 1 of .*name 2 columns.*separated by semicolons"),
    "a name too few": (b"a,b\n1,2,3\n4,5,6\n", "line 1 of .*name every column"),
    "ragged, no header": (
        b"1;2\n3\n",
        "line 2 of .*must have 2 fields separated by semicolons.*it has 1",
    ),
    "text": (
        b"sex,age,city\nF,1,Bern\nM,2,Rome\n",
        r"columns 'sex' \(text, such as 'F'\), 'city' \(text, such as 'Bern'\)\. Leave out with "
        r"drop=\['sex', 'city'\] \(on the command line --drop sex,city\)\. Or encode",
    ),
    "text, no header": (b"M,0.4,0.3\nF,0.5,0.2\n", r"column 'x0' \(text, such as 'M'\)"),
    "dates": (b"a,b\n1,2020-01-01\n", r"column 'b' \(date32\[day\], such as 2020-01-01\)"),
    "one stray word": (
        b"a,b\n1,2\n3,oops\n\n5,6\n7,8\n",
        "line 3 of .* number in column 'b'; it holds 'oops'",
    ),
    "two stray words": (b"a\n1\n2\n\n3\nx\ny\n", r"line 6 of .*holds 'x' \(and 1 more like it\)"),
    "not UTF-8": ("größe,b\n1,2\n".encode("latin-1"), "must be text in UTF-8; .* byte 0xf6"),
    "not UTF-8, below": ("a,b\n1,zürich\n".encode("latin-1"), "must be text in UTF-8|'zürich'"),
    "UTF-16 without its mark": (
        "a,b\n1,2\n".encode("utf-16-le"),
        "must be text in UTF-8; it holds zero bytes",
    ),
    "blanks separate": (
        b"1 2 3\n4 5 6\n",
        "separated by commas, semicolons or tabs; a row is '4 5 6'",
    ),
    "bars separate": (
        b"a|b\n1|2\n3|4\n",
        r"semicolons or tabs; a row is '1\|2'\. Add a first line sep=\|, or save it",
    ),
    "packed": (gzip.compress(b"a,b\n1,2\n"), "it is packed by gzip.*rows.csv.gz"),
    "a workbook": (b"PK\x03\x04" + bytes(60), "a workbook.*pandas.read_excel"),
    "Parquet": (b"PAR1\x15\0\0PAR1", "it is Parquet. Name it .parquet"),
    "JSON": (b'[{"a":1,"b":2},{"a":3,"b":4}]\n', "it is JSON.*pandas.read_json"),
    "HTML": (b"<table>\n<tr><td>1</td></tr>\n</table>\n", "it is HTML.*pandas.read_html"),
    "JSON in lines": (
        b'{"a":1,"b":2}\n{"a":3,"b":4}\n',
        r"it is JSON, line.*read_json\(.*lines=True",
    ),
    "JSON, indented": (b'[\n  {"a": 1,\n   "b": 2}\n]\n', r"it is JSON\. .*pandas.read_json"),
    "HTML in capitals": (b"<HTML>\n<BODY>\n<TABLE>1,2\n</TABLE>\n", "it is HTML"),
    "a part of HTML": (b'<div class="x">\n<table border=1><tr><td>1</td>\n', "it is HTML"),
    "XML": (b'<?xml version="1.0"?>\n<rows>\n<row a="1,2"/>\n</rows>\n', "is XML.*pandas.read_xml"),
    "XML, undeclared": (b"<rows>\n  <row><a>1</a></row>\n</rows>\n", "is XML.*pandas.read_xml"),
    "a comment in XML": (b"<!-- made by x -->\n<rows>\n</rows>\n", "it is XML"),
    "PDF": (b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n", "it is a PDF document. Get its table as CSV"),
    "ARFF": (
        b"% 1. Title\n%\n\n@RELATION x\n@ATTRIBUTE a REAL\n@DATA\n1,2\n",
        "it is ARFF. Put a line of names",
    ),
    "Markdown": (b"| a | b |\n|:--|--:|\n| 1 | 2 |\n", "drawn in text, as in Markdown.*sep="),
    "Markdown, bare": (b"a | b\n--- | ---\n1 | 2\n", "as in Markdown"),
    "a table of psql": (b" a | b \n---+---\n 1 | 2\n(1 row)\n", "as in Markdown"),
    "a table of MySQL": (b"+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n", "as in Markdown"),
    "reStructuredText": (b"=== ===\na   b\n=== ===\n1   2\n", "it is a table drawn in text"),
    "LaTeX": (b"\\begin{tabular}{ll}\na & b\n\\end{tabular}\n", "it is LaTeX"),
    "RTF": (b"{\\rtf1\\ansi a,b\\par 1,2}\n", "it is a document"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "it is HDF5. Name it .h5"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(60), "it is an image. Name it .png"),
    "a pickle": (b"\x80\x04\x95" + bytes(60), "it is a pickle"),
    "SQLite": (b"SQLite format 3\0" + bytes(60), "a database of SQLite.*pandas.read_sql"),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n",
        "a pointer of Git LFS.*git lfs pull",
    ),
    "units below the names": (b"a,b\ncm,kg\n1,2\n3,4\n", "line 2 .*or delete the line where it is"),
    "a total": (b"a,b\n1,2\n3,4\nTotal,6\n", "line 4 .*holds 'Total'.*or delete the line"),
    "commas in numbers between commas": (
        b"a,b\n1,5,2,5\n3,5,4,5\n4,5,6,5\n",
        "Where commas are decimal signs as well, put semicolons",
    ),
    "commas at the end of rows": (
        b"a,b\n1,2,\n3,4,\n5,6,\n",
        "Or delete the separator at the end of the lines",
    ),
    "infinite": (
        b"a,b\n1,2\n3,inf\n-inf,1\n",
        "2 entries are infinite, the first in row 2, column 'b'",
    ),
    "infinite, no header": (
        b"1,2\n3,1e999\n",
        "1 entry is infinite, the first in row 2, column 'x1'",
    ),
    "a column without values": (
        b"a,b,c\n1,,2\n2,NA,3\n",
        r"column 'b' of .* every entry is missing.*drop=\['b'\]",
    ),
    "a name twice": (b"a,b,a\n1,2,3\n", "more than one column named 'a'"),
    "an index of pandas": (
        b",a\n0,5\n1,7\n",
        r"first column .* counts the rows from 0. Leave out with drop=\['x0'\]",
    ),
    "an index of R": (b'"","a"\n"1",5\n"2",7\n', "first column .* counts the rows from 1"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_text_that_is_no_table_is_refused(case: str, tmp_path: Path) -> None:
    text, sentence = BAD_TEXTS[case]
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    with pytest.raises(DataError, match=sentence):
        read(path)


@pytest.mark.parametrize(
    "head",
    [
        "<DATE>,<OPEN>",
        "<DATE>\t<OPEN>",
        "%,b",
        "@a,b",
        "PAR1,b",
        "BZh,b",
        "-a-|b-,c",
        "[a],[b]",
        "{a},{b}",
        "$FL,b",
        "=a,=b",
        "+-,b",
    ],
)
def test_names_that_look_like_other_files_are_names(head: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{head}\n" + "1,2\n3,4\n".replace(",", "\t" if "\t" in head else ","))
    found = read(path)
    assert found.names is not None
    assert re.split("[,\t]", head) == list(found.names)


def test_missing_entries_are_refused_where_they_may_not_be(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n3,\n,1\n")
    with pytest.raises(DataError, match="2 missing, the first in row 2, column 'b'"):
        read(path, allow_missing=False)


def test_a_line_longer_than_a_block_is_read(tmp_path: Path) -> None:
    row = ",".join(f"{j}.{'0' * 3000}" for j in range(500))  # 1.5 MB; pyarrow's blocks have 1 MiB
    path = tmp_path / "wide.csv"
    path.write_text(f"{row}\n" * 3)
    equal(read(path).values, np.tile(np.arange(500.0), (3, 1)))


def test_a_ragged_line_far_down_is_counted(tmp_path: Path) -> None:
    lines = ["1,2"] * 600_000  # more than two blocks
    lines[512_344] = "1,2,3"
    path = tmp_path / "x.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="line 512345 of"):
        read(path)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    separator=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4)),
)
def test_text_of_pandas_reads_back(
    data: st.DataObject, separator: str, ending: str, shape: tuple[int, int]
) -> None:
    n, d = shape
    finite = st.floats(allow_nan=False, allow_infinity=False)
    cells = data.draw(st.lists(st.lists(finite, min_size=d, max_size=d), min_size=n, max_size=n))
    frame = pd.DataFrame(cells, columns=[f"c {j}" for j in range(d)])
    with pytest.MonkeyPatch.context() as patch, _folder() as folder:
        patch.chdir(folder)
        frame.to_csv("x.csv", sep=separator, lineterminator=ending, index=False)
        table = read("x.csv")
    assert table.names == tuple(frame.columns)
    equal(table.values, frame.to_numpy())


def _folder() -> Any:
    import tempfile

    return tempfile.TemporaryDirectory()


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a,b\n", "a,b\n1,2\n3\n", "a,b\n1,inf\n"])
def test_threads_get_nothing_of_pythons(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that lets go of it while the interpreter ends would abort the program."""
    calls: list[tuple[bool, bool]] = []

    def spied(name: str) -> Any:
        original = getattr(parsing.pacsv, name)

        def spy(path: Any, **options: Any) -> Any:
            handler = options["parse_options"].invalid_row_handler is not None
            threads = options["read_options"].use_threads
            calls.append((threads, handler or not isinstance(path, Path)))
            return original(path, **options)

        return spy

    for name in ("read_csv", "open_csv"):
        monkeypatch.setattr(parsing.pacsv, name, spied(name))
    (tmp_path / "x.csv").write_text(text)
    for reader in (read, open_data):
        with suppress(DataError):
            reader(tmp_path / "x.csv")
    assert calls
    assert (True, True) not in calls


# arrays ----------------------------------------------------------------------------------------

DTYPES = {
    "bool": np.float32,
    "uint8": np.float32,
    "int16": np.float32,
    "float16": np.float32,
    "float32": np.float32,
    ">f4": np.float32,
    "int32": np.float64,
    "int64": np.float64,
    "uint64": np.float64,
    "float64": np.float64,
    ">f8": np.float64,
    "longdouble": np.float64,
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_become_floats_without_loss(dtype: str, order: Any, tmp_path: Path) -> None:
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", x)
    np.savez_compressed(tmp_path / "x.npz", x)
    for name in ("x.npy", "x.npz"):
        table = read(tmp_path / name)
        assert table.values.dtype == DTYPES[dtype]
        assert table.values.dtype.isnative
        assert table.values.flags.c_contiguous
        assert table.names is None
        equal(table.values, x)


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def array(x: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, x)
    return buffer.getvalue()


ONE, TWO = np.full((3, 2), 1.0), np.full((3, 2), 2.0)
ARCHIVES = {
    "X first": archive(x_train=ONE, x=ONE, X=TWO),
    "then x": archive(x_train=ONE, x=TWO, other=ONE),
    "then x_train": archive(x_train=TWO, x_test=ONE),
    "else the only 2-D one": archive(rows=TWO, labels=np.arange(3), images=np.ones((2, 2, 2))),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_gives_one_array(case: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(ARCHIVES[case])
    equal(read(path).values, TWO)


HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + (b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s, 1000), }" % b"99999999999").ljust(
        117
    )
    + b"\n"
)


class Bomb:
    """Fails the test that unpickles it."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was opened",)


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


BAD_ARRAYS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("x.npy", b"", "x.npy is empty"),
    "objects": (
        "x.npy",
        array(np.array([[Bomb()]])),
        "Python objects, which are stored as a pickle",
    ),
    "objects inside": (
        "x.npz",
        archive(X=np.array([[Bomb()]])),
        "array 'X' of .*x.npz .* a pickle",
    ),
    "a pickle": ("x.npy", pickle.dumps(Bomb()), "it is a pickle, which can run code"),
    "a renamed archive": ("x.npy", archive(X=ONE), "Rename it to end in .npz"),
    "a renamed array": ("x.npz", array(ONE), "cannot be read as .npz"),
    "rubbish": ("x.npy", b"rubbish" * 9, "cannot be read as .npy"),
    "cut short": (
        "x.npy",
        array(ONE)[:-8],
        r"must hold the 48 bytes that its shape \(3, 2\) declares; it holds 40",
    ),
    "cut in the header": ("x.npy", array(ONE)[:40], "cannot be read as .npy"),
    "declares terabytes": ("x.npy", HUGE, "bytes that its shape .* declares; it holds 0"),
    "declares terabytes inside": (
        "x.npz",
        zipped("X.npy", HUGE),
        "array 'X' of .* declares; it holds 0",
    ),
    "archive cut short": ("x.npz", archive(X=ONE)[:-30], "cannot be read as .npz"),
    "archive damaged": ("x.npz", damaged(archive(X=np.ones((99, 9)))), "cannot be read as .npz"),
    "text": ("x.npy", array(np.array([["a"]])), "real numbers; its type is <U1"),
    "complex": ("x.npy", array(ONE * 1j), "real numbers; its type is complex128"),
    "records": ("x.npy", array(np.zeros(3, "f8,i4")), "real numbers; its type is"),
    "0-D": ("x.npy", array(np.float64(1)), "must be 2-D"),
    "1-D": ("x.npy", array(np.arange(3)), r"Reshape it to \(3, 1\), one feature, or \(1, 3\)"),
    "3-D": (
        "x.npy",
        array(np.ones((5, 8, 8))),
        r"its shape is \(5, 8, 8\). Reshape it to \(5, 64\): X.reshape\(len\(X\), -1\)",
    ),
    "3-D inside": ("x.npz", archive(x_train=np.ones((5, 8, 8))), r"'x_train' of .* \(5, 64\)"),
    "two to choose from": ("x.npz", archive(a=ONE, b=TWO), r"it holds 'a' \(3, 2\), 'b' \(3, 2\)"),
    "none to choose": (
        "x.npz",
        archive(a=np.arange(3)),
        r"it holds 'a' \(3,\). Save the rows under",
    ),
    "sparse": ("x.npz", archive(data=ONE[0], indices=ONE[0], indptr=ONE[0]), "dense array"),
    "no rows": ("x.npy", array(np.ones((0, 3))), r"at least one row .* \(0, 3\)"),
    "no columns": ("x.npy", array(np.ones((3, 0))), r"one column; its shape is \(3, 0\)"),
    "infinite": (
        "x.npy",
        array([[1, np.inf]]),
        "1 entry is infinite, the first in row 1, column 'x1'",
    ),
    "an empty column": (
        "x.npy",
        array([[1, NAN], [2, NAN]]),
        "column 'x1' of .* every entry is missing",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_are_no_table_are_refused(case: str, tmp_path: Path) -> None:
    name, content, sentence = BAD_ARRAYS[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read(path)


# Parquet ---------------------------------------------------------------------------------------


REMEDIED = {
    "numbers as text": (np.array([["1", "2"], ["3", "4.5"]]), ROWS),
    "numbers as bytes": (np.array([[b"1", b"2"], [b"3", b"4.5"]]), ROWS),
    "complex": (np.array([[1 + 2j], [3 + 4.5j]]), ROWS),
    "dates": (np.array([["1970-01-02", "1970-01-03"]], dtype="M8[s]"), [[1, 2]]),
    "durations": (np.array([[1, 2]], dtype="m8[m]"), [[60, 120]]),
    "named fields": (np.array([(1, 2.0), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]), ROWS),
}


@pytest.mark.parametrize("case", REMEDIED)
def test_the_remedy_for_an_array_that_is_not_real_helps(case: str, tmp_path: Path) -> None:
    X, rows = REMEDIED[case]
    path = tmp_path / "x.npy"
    np.save(path, X)
    with pytest.raises(DataError, match=r"real numbers|2-D") as raised:
        read(path)
    (call,) = re.findall(r"np\.save\(path, .*\)(?=[.;])", raised.value.remedy)
    eval(call, {"np": np, "X": X, "path": path})
    equal(read(path).values, rows)


def test_parquet_keeps_numbers_and_names(tmp_path: Path) -> None:
    path = tmp_path / "x.PARQUET"
    columns = {
        "flag": pa.array([True, False, None]),
        "count": pa.array([1, None, 3], pa.uint8()),
        "a.b": pa.array([0.5, 1.5, 2.5], pa.float32()),
    }
    parquet.write_table(pa.table(columns), path)
    table = read(path)
    assert table.names == ("flag", "count", "a.b")
    assert table.values.dtype == np.float32
    equal(table.values, [[1, 1, 0.5], [0, NAN, 1.5], [NAN, 3, 2.5]])


def test_parquet_is_double_where_a_column_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    price = pa.array([1, 2]).cast(pa.decimal128(21, 2))
    parquet.write_table(pa.table({"i": [2**40 + 1, 2], "price": price}), path)
    table = read(path)
    assert table.values.dtype == np.float64
    equal(table.values, [[2**40 + 1, 1], [2, 2]])


def test_the_index_of_pandas_is_not_a_column(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame({"a": [1.0, 2.0, 3.0]}).iloc[[2, 0, 1]].to_parquet(path)
    assert "__index_level_0__" in parquet.read_schema(path).names
    assert read(path).names == ("a",)


BAD_PARQUET: dict[str, tuple[Any, str]] = {
    "text": ({"a": [1.0], "s": ["Bern"]}, r"column 's' \(text, such as 'Bern'\).*drop=\['s'\]"),
    "categories": ({"s": pa.array(["x"]).dictionary_encode()}, r"'s' \(text, such as 'x'\)"),
    "lists": ({"v": [[1.0, 2.0]]}, r"column 'v' \(list"),
    "many": ({f"c{j}": ["t"] for j in range(9)}, r"'c4' \(text, such as 't'\), 4 more"),
    "no rows": ({"a": pa.array([], pa.float64())}, r"its shape is \(0, 1\)"),
    "nothing": ({"a": pa.nulls(3)}, "column 'a' of .* every entry is missing"),
    "infinite": ({"a": [1.0, -np.inf]}, "row 2, column 'a'"),
}


@pytest.mark.parametrize("case", BAD_PARQUET)
def test_parquet_that_is_no_table_is_refused(case: str, tmp_path: Path) -> None:
    columns, sentence = BAD_PARQUET[case]
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=sentence):
        read(path)


def test_duplicate_parquet_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), path)
    with pytest.raises(DataError, match="more than one column named 'a'"):
        read(path)


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.999])
def test_a_truncated_parquet_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"a": np.random.default_rng(0).normal(size=5000)}), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=r"x\.parquet (is empty|cannot be read as Parquet)"):
        read(path)


def test_a_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"a": np.arange(5000.0)}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read(path)


# any source ------------------------------------------------------------------------------------


def save(path: Path, x: np.ndarray, names: list[str]) -> None:
    frame = pd.DataFrame(x, columns=names)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".tsv" | ".tab" | ".txt":
            frame.to_csv(path, index=False, sep="\t")
        case ".npy":
            np.save(path, x)
        case ".npz":
            np.savez(path, X=x)
        case _:
            frame.to_parquet(path)


@pytest.mark.parametrize("ending", readers.ENDINGS)
def test_every_format_gives_the_same_table(ending: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[4, 1] = NAN
    path = tmp_path / f"x{ending}"
    save(path, x, ["x0", "x1", "x2"])
    equal(read(path).values, x)
    equal(read(str(path), drop=["x1"], allow_missing=False).values, x[:, [0, 2]])
    with pytest.raises(DataError, match=r"drop='y', 'z' must name columns.*'x0', 'x1', 'x2'"):
        read(path, drop=["x1", "y", "z"])
    with pytest.raises(DataError, match="no column left"):
        read(path, drop=["x0", "x1", "x2"])


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_columns_of_text_can_be_dropped(ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["Ada", "Bob"], "a": [1.0, 2.0], "city": ["Rome", None]})
    path = tmp_path / f"x{ending}"
    frame.to_csv(path, index=False) if ending == ".csv" else frame.to_parquet(path)
    table = read(path, drop=("name", "city"))
    assert table.names == ("a",)
    equal(table.values, [[1], [2]])


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tables_are_those_of_scikit_learn(name: str) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    table = read(name)
    assert table.origin == name
    assert table.names == tuple(bunch.feature_names)
    assert table.values.dtype == np.float64
    equal(table.values, bunch.data)


def test_bundled_digits_are_named_by_their_pixels() -> None:
    names = read("digits").names
    assert names is not None
    assert (names[0], names[9], names[63]) == ("pixel_0_0", "pixel_1_1", "pixel_7_7")
    assert read("digits", drop=["pixel_0_0"]).values.shape == (1797, 63)


ABSENT = {
    "digit": "'digits'",
    "flowers.csv": "'flowres.csv'",
    "flowres.npy": "'flowres.csv'",
    "flowres": "'flowres.csv'",
    "no/x.csv": "nor does its folder 'no'",
    "zzz.csv": r"does not exist. Give a file or a folder \(.arrow, .*, .zarr.zip\), or a bundled",
    "notes.doc": "must end in '.csv', '.npy', '.npz', '.parquet', '.tab', '.tsv', '.txt'",
    "x.csv.xz": "must end in .* Unpack it first",
    "x.csv.gz": "is packed, and read by isthmus.open_data",
    "inner": r"must be a file; it is a folder. It holds 'part.npy'",
    "inner.csv": "must be a file; it is a folder. It holds no file",
    "pipe.csv": "must be an ordinary file",
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_no_file_is_refused_with_near_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner.csv").mkdir()
    (tmp_path / "inner" / "part.npy").touch()
    os.mkfifo(tmp_path / "pipe.csv")
    for file in ("flowres.csv", "notes.doc", "x.csv.gz", "x.csv.xz"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=ABSENT[name]) as caught:
        read(name)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied"), r"cannot be read \(Permission denied\)"),
        (MemoryError(), "does not fit into memory"),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_the_systems_refusals_are_named(
    error: Exception, sentence: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x{ending}"
    save(path, np.ones((2, 2)), ["a", "b"])

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=sentence):
        read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("ending", readers.ENDINGS)
def test_a_file_without_read_permission_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    save(path, np.ones((2, 2)), ["a", "b"])
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read(path)


# fingerprints ----------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float32)


def test_a_fingerprint_is_that_of_shape_and_values() -> None:
    whole = repr((9000, 3)).encode() + RANDOM.astype(np.float64).tobytes()
    assert fingerprint(RANDOM) == hashlib.sha256(whole).hexdigest()


SAME = {
    "itself": RANDOM.copy(),
    "double": RANDOM.astype(np.float64),
    "by columns": np.asfortranarray(RANDOM),
    "a view": np.repeat(RANDOM, 2, axis=0)[::2],
}
OTHER = {
    "another order": RANDOM[::-1],
    "a row less": RANDOM[:-1],
    "columns exchanged": RANDOM[:, ::-1],
    "another shape": RANDOM.reshape(-1, 9),
    "an entry missing": np.where(np.arange(27000).reshape(-1, 3) == 5, NAN, RANDOM),
    "a bit": np.nextafter(RANDOM, np.float32(9.0)),
}


@pytest.mark.parametrize("case", [*SAME, *OTHER])
def test_a_fingerprint_tells_rows_apart_and_not_how_they_are_stored(case: str) -> None:
    rows = SAME[case] if case in SAME else OTHER[case]
    assert (fingerprint(rows) == fingerprint(RANDOM)) == (case in SAME)


def test_zeros_and_missing_entries_are_alike_whatever_their_bits() -> None:
    rows = np.array([[0.0, NAN]])
    assert fingerprint(rows) == fingerprint(-rows)


def test_a_parquet_file_that_tells_of_more_rows_than_it_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"a": np.arange(2.0)}), path)
    content = path.read_bytes()
    footer = parquet.read_metadata(path)
    assert footer.row_group(0).num_rows == footer.num_rows == 2
    refused = 0
    for i in range(int.from_bytes(content[-8:-4], "little")):
        at = len(content) - 8 - i
        if content[at - 1] != 4:  # two rows, as a zigzag varint
            continue
        more = content[: at - 1] + b"\x7e" + content[at:]
        path.write_bytes(more)
        with contextlib.suppress(pa.ArrowInvalid, OSError):
            told = parquet.read_metadata(path)
            if told.num_rows != 2 or told.row_group(0).num_rows != 2:
                refused += 1
                with pytest.raises(DataError, match=r"it tells of|cannot be read"):
                    read(path)
    assert refused >= 2


@pytest.mark.parametrize("name", ["rows.txt", "rows.dat.txt", "rows.csv"])
@pytest.mark.parametrize("header", [True, False])
def test_the_remedy_for_blanks_between_numbers_makes_a_table(
    name: str, header: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.savetxt(name, x, header="a b c" if header else "", comments="")
    with pytest.raises(DataError) as error:
        read(name)
    found = re.search(r"pandas\.read_csv\('(.*)', sep=r'(.*)'(, header=None)?\)", str(error.value))
    assert found is not None
    assert (found[3] is None) == header
    rows = pd.read_csv(found[1], sep=found[2], header=0 if header else None)
    rows.to_csv("made.csv", index=False)
    np.testing.assert_allclose(read("made.csv").values, x)
