"""Numbers and dates as people write them: what is read, what is only told of, how it is filled."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import isthmus
from command_line import call, done
from isthmus import Autoencoder
from isthmus.data.columns.encoding import Encoding
from isthmus.data.text import filling, sniff
from isthmus.data.text.spelled import Reading, Spelled
from isthmus.errors import DataError

RNG = np.random.default_rng(0)
FIT = ("--max-epochs", "1", "--n-components", "1", "--hidden-layer-sizes", "4", "--seed", "0")

# Entries, the separator, an entry of a column beside them, and the numbers; None where it is text.
READ: dict[str, tuple[list[str], str, str, list[float] | None]] = {
    "groups and a fraction": (["1,234.50", "12", "-3.25"], ",", "0.5", [1234.5, 12, -3.25]),
    "of the other sign": (["1.234,50", "12", "-3,25"], ",", "0.5", [1234.5, 12, -3.25]),
    "among decimal commas": (["1.234,50", "12", "3,25"], ";", "0,5", [1234.5, 12, 3.25]),
    "points among commas": (["1,234.50", "12", "3.25"], ";", "0,5", [1234.5, 12, 3.25]),
    "apostrophes": (["1'234.50", "12", "3.25"], ",", "0.5", [1234.5, 12, 3.25]),
    "narrow blanks": (["1\u202f234,50", "12", "3,25"], ";", "0,5", [1234.5, 12, 3.25]),
    "dollars": (["$1,234.50", "-$12", "$-3"], ",", "0.5", [1234.5, -12, -3]),
    "euros": (["1.234,50 €", "12 €", "3,5€"], ",", "0.5", [1234.5, 12, 3.5]),
    "millions": (["$1,350,000", "$99,500", "$1,000"], ",", "7", [1350000, 99500, 1000]),
    "below one": (["€0.459", "€1.789", "€2.001"], ",", "7", [0.459, 1.789, 2.001]),
    "percent": (["12%", "5 %", "-0.5%"], ",", "0.5", [12, 5, -0.5]),
    "a minus of its own": (["\u22123 €", "4 €", "5 €"], ",", "0.5", [-3, 4, 5]),
    "letters of a currency": (
        ["EUR 1.234,50", "-EUR 12", "EUR 3,5"],
        ",",
        "0.5",
        [1234.5, -12, 3.5],
    ),
    "letters behind": (["1,234.50 USD", "12 USD", "3.5 USD"], ",", "0.5", [1234.5, 12, 3.5]),
    "a minus behind": (["7.00-", "1,234.50", "3.25"], ",", "0.5", [-7, 1234.5, 3.25]),
    "a minus behind a unit": (["7,00- EUR", "1.234,50 EUR", "3 EUR"], ";", "0,5", [-7, 1234.5, 3]),
    "two currencies": (["EUR 1.50", "USD 2.50", "EUR 3.50"], ",", "0.5", None),
    "letters beside whole numbers": (["TOP 10", "TOP 20", "TOP 50"], ",", "0.5", None),
    "letters without a blank": (["EUR150", "EUR250", "EUR350"], ",", "0.5", None),
    "grades": (["2-", "1", "3-"], ",", "0.5", None),
    "grades with a fraction": (["1.5-", "2.0-", "2.5-"], ",", "0.5", None),
    "amounts with a minus behind": (["1.5-", "2.0-", "2.5"], ",", "0.5", [-1.5, -2, 2.5]),
    "thousands or fractions": (["$350,000", "$99,500", "$1,000"], ",", "7", None),
    "whatever others have": (["$350,000", "$99,500", "$1,000"], ",", "0.5", None),
    "price of fuel": (["€1.459", "€1.789", "€2.001"], ",", "0.5", None),
    "price of fuel among commas": (["€1.459", "€1.789", "€2.001"], ";", "0,5", None),
    "two signs": (["$1.50", "€2.50", "$3.50"], ",", "0.5", None),
    "some without": (["12%", "5", "7%"], ",", "0.5", None),
    "groups alone": (["1,234,567", "12,000", "999"], ",", "0.5", None),
    "numbers of persons": (["12.345.678", "1.234.567", "9.876.543"], ",", "0.5", None),
    "lists of two codes": (["1,5", "2,4", "3,1"], ",", "0.5", None),
    "lists of long codes": (["101,205", "101,333", "205,333"], ",", "0.5", None),
    "a day and a month": (["24.12", "31.10", "11.11"], ";", "0,5", None),
    "ragged groups": (["12,34.50", "1,234.50", "1.5"], ",", "0.5", None),
    "groups here and there": (["1,234.50", "1234.50", "2,000.00"], ",", "0.5", None),
    "zeros before": (["$007", "$008", "$009"], ",", "0.5", None),
    "addresses": (["10.0.0.1", "10.0.0.2", "10.0.0.3"], ",", "0.5", None),
    "versions": (["1.2.3", "1.2.4", "1.2.5"], ",", "0.5", None),
    "German days": (["05.06.2024", "1.2.2023", "31.12.2022"], ",", "0.5", None),
}


def rows(entries: list[str], separator: str, beside: str) -> str:
    lines = [f'"{entry}"{separator}{beside}{separator}{i}' for i, entry in enumerate(entries * 40)]
    return "\n".join([separator.join("abc"), *lines]) + "\n"


@pytest.mark.parametrize("way", ["whole", "small blocks", "with a code"])
@pytest.mark.parametrize("name", READ)
def test_amounts_are_numbers_and_codes_are_none(name, way, tmp_path, monkeypatch):
    entries, separator, beside, numbers = READ[name]
    if way == "small blocks":
        monkeypatch.setattr(sniff, "HEAD", 256)
    path = tmp_path / "x.csv"
    text = rows(entries, separator, beside)
    path.write_text(
        text if way != "with a code" else text.replace(f"{separator}39\n", f"{separator}007\n")
    )
    source = isthmus.open_data(path)
    column = pa.concat_tables(t for p in range(len(source.lengths)) for t in source.tables(p))["a"]
    if numbers is None:
        assert pa.types.is_string(column.type)
        assert not source.notes
    else:
        np.testing.assert_allclose(column, numbers * 40)
        (note,) = source.notes
        assert note.startswith(f"Read as numbers in {path}: 'a' (")
    plain = isthmus.open_data(path, text=["a"])
    assert next(plain.tables(0))["a"].slice(0, 3).to_pylist() == entries
    assert not plain.notes


@pytest.mark.parametrize("name", READ)
def test_numbers_that_are_written_are_those_that_are_read(name):
    found = Spelled()
    found.add(pa.array(READ[name][0]))
    reading = found.reading()
    if reading is None:
        return
    values = np.array([-1234567.25, 0.5, 12.0, 999.75, 1000.0])
    told = pa.array(reading.spell(values, READ[name][0]))
    digits = max(
        len(word.strip("€% EUSDR-").partition(reading.decimal)[2]) for word in READ[name][0]
    )
    np.testing.assert_allclose(reading.numbers(told), values, atol=0.51 * 10.0**-digits)
    found.add(told)
    assert found.possible


# Entries, what they look like, and what mends it.
LOOKS = {
    "groups": (["1,234,567", "1,234"], "like numbers, written '1,234,567'", "without a unit"),
    "either": (["1,234", "12,345", "999"], "thousands or with a fraction", "without a unit"),
    "bare commas": (["1,5", "2,4", "3,1"], "like numbers, written '1,5'", "without a unit"),
    "points": (["05.06.2024", "1.2.2023"], "like dates, written '05.06.2024'", "as 2024-12-31"),
    "slashes": (["5/6/2024 10:00", "1/2/2023 9:00"], "like dates", "as 2024-12-31"),
    "months": (["5 Jan 2024", "6 May 2023"], "like dates", "as 2024-12-31"),
    "words": (["a", "b"], "", ""),
    "digits as text": (["12345", "90210"], "", ""),
}  # fmt: skip


@pytest.mark.filterwarnings("default:.*is taken for categories")
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("name", LOOKS)
def test_what_text_looks_like_is_told_by_info_and_fit(name, distinct, tmp_path):
    entries, look, remedy = LOOKS[name]
    many = entries * 40
    if distinct and name in ("points", "either"):
        look = look.partition(", written")[0]
        many = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.{1900 + i}" for i in range(80)]
        many = many if name == "points" else [f"{1 + i},{100 + i}" for i in range(80)]
    path = tmp_path / "x.csv"
    X = pd.DataFrame({"a": many, "b": RNG.normal(size=len(many)), "c": RNG.normal(size=len(many))})
    X.to_csv(path, index=False)
    text = ("--text", "a") if name == "digits as text" else ()
    advice = json.loads(done("info", path, *text, "--json"))["suggestion"]
    said = " ".join(done("info", path, *text).split())
    assert (f"'a' looks {look}" in said) if look.startswith("like") else (look in said)
    assert remedy in said
    assert ("' looks like " in said) == bool(look)
    code, _, err = call("fit", path, *text, "--out", tmp_path / "run", *FIT)
    assert look.removeprefix("like ")[:11] in err
    assert remedy in err
    assert code == (2 if "a" in advice["drop"] else 0)
    if code == 0 and look:
        assert err.startswith(f"Warning: column 'a' of {path} is taken for categories")
        with pytest.warns(UserWarning, match="column 'a' of X is taken for categories"):
            Encoding.fit(X)
        Encoding.fit(X, {"a": "categorical" if len(set(many)) > 2 else "binary"})  # no warning


def test_no_row_is_read_by_its_neighbours():
    """What may be 1234 or 1.234 is refused as a number, also beside entries that would tell."""
    X = pd.DataFrame({"a": ["1,234", "2,500.50", None], "b": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r"takes numbers; its entries look like numbers"):
        Encoding.fit(X, {"a": "real"})
    plain = Encoding.fit(X.assign(a=["007.5", "1234", None]), {"a": "real"})
    with pytest.raises(DataError, match=r"'1,234'.* must be a number"):
        plain.encode(X[:1])


def test_files_of_one_table_are_read_alike(tmp_path):
    """What can be read in several ways is, in any order of files, read as where it cannot."""
    for first, second in ("ab", "ba"):
        for name, entries in (
            (first, ["1.234,50 €", "2.000,00 €"]),
            (second, ["1.234 €", "2.000 €"]),
        ):
            lines = [f"{entries[i % 2]};{i}.5;{i % 7}" for i in range(40)]
            (tmp_path / f"{name}.csv").write_text("\n".join(["v;w;x", *lines]) + "\n")
        source = isthmus.open_data(tmp_path)
        found = {v for p in range(2) for t in source.tables(p) for v in t["v"].to_pylist()}
        assert found == {1234.5, 2000, 1234}


def test_a_first_line_states_the_separator(tmp_path):
    for sign, spoken in ((";", "semicolons"), ("|", "bars"), ("\t", "tabs"), (",", "commas")):
        for header in ("a,b,c\n", ""):
            path = tmp_path / "x.csv"
            body = header + "".join(f"{i},{i + 0.5},x y\n" for i in range(20))
            path.write_text(f"\ufeffsep={sign}\n" + body.replace(",", sign))
            source = isthmus.open_data(path)
            assert source.lengths == (20,)
            assert source.names == (tuple("abc") if header else None)
            assert source.notes == (f"{path}: its first line states that {spoken} separate it.",)
            assert source.notes[0] in " ".join(done("info", path).split())
            path.write_text(path.read_text() + f"1{sign}2\n")
            with pytest.raises(DataError, match=f"line {22 + bool(header)} of .* {spoken}"):
                isthmus.open_data(path)


def test_many_files_are_told_of_once(tmp_path):
    for i in range(3):
        body = "".join(f"${i + 1},200.50;{j}\n" for j in range(9))
        (tmp_path / f"{i}.csv").write_text(f"sep=;\na;b\n{body}")
    assert isthmus.open_data(tmp_path).notes == (
        f"{tmp_path}: its first line states that semicolons separate it.",
        f"Read as numbers in {tmp_path}: 'a' ($1,200.50 is 1200.5).",
    )


def test_bars_are_shown_as_they_are(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a|b\n1|2\n3|4\n")
    with pytest.raises(DataError, match=r"a row is '1\|2'.*Add a first line sep=\|"):
        isthmus.open_data(path)
    path.write_text("sep=|\n" + path.read_text())
    assert isthmus.open_data(path).names == ("a", "b")


@pytest.mark.parametrize("code", [False, True])
def test_a_decimal_sign_that_is_another_is_told_by_line_and_column(code, tmp_path):
    path = tmp_path / "x.csv"
    lines = [f"{i},5;{i},25;{i}" for i in range(200)]
    lines[150] = "1,5;0.782;1"
    if code:
        lines[20] = "1,5;2,5;007"
    path.write_text("\n".join(["a;b;c", *lines]) + "\n")
    with pytest.raises(DataError) as told:
        isthmus.open_data(path)
    assert str(told.value).startswith(
        f"line 152 of {path} must hold a number in column 'b'; it holds '0.782', and numbers of "
        "the file have a decimal comma, such as '0,5' in line 2. Write all numbers of the file"
    )


def test_thousands_do_not_make_a_decimal_comma(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a;b\n" + "".join(f"{i + 1},250;{i}.5\n" for i in range(40)))
    assert isthmus.open_data(path).schema.types == [pa.string(), pa.float64()]
    path.write_text("a;b\n" + "".join(f"{i + 1},250;{i}\n" for i in range(40)))
    assert isthmus.open_data(path).schema.types == [pa.string(), pa.int64()]
    path.write_text("a;b\n" + "".join(f"{i},250;{i}\n" for i in range(40)))
    assert isthmus.open_data(path).schema.types == [pa.float64(), pa.int64()]


def test_only_what_is_stated_is_missing(tmp_path):
    path = tmp_path / "x.csv"
    for word in ("nan", "NaN", "-nan"):
        path.write_text("a,b\n" + "".join(f"{i}.5,{word if i == 30 else i}.\n" for i in range(60)))
        path.write_text(path.read_text().replace(f"{word}.", word))
        with pytest.raises(DataError, match=f"line 32 .* column 'b'; it holds '{word}'"):
            isthmus.open_data(path, na_values=[])
        holed = next(isthmus.open_data(path, na_values=[word]).tables(0))["b"]
        assert (holed.null_count, holed[30].as_py()) == (1, None)
    path.write_text("a,b\n" + "".join(f"{i}.5,{'nan' if i % 3 else 'b'}\n" for i in range(60)))
    assert next(isthmus.open_data(path, na_values=[]).tables(0))["b"].null_count == 0


@pytest.mark.parametrize("blank", ["\t", " ", " \t", "\t\t"])
def test_a_code_after_blanks_is_a_code(blank, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{i}.5,{blank}{i + 10_000}\n" for i in range(60)))
    assert isthmus.open_data(path).schema.types[1] == pa.int64()
    path.write_text(path.read_text().replace(f"{blank}10030", f"{blank}00033"))
    assert isthmus.open_data(path).schema.types[1] == pa.string()


# Entries of a column with a hole, what is made for it, and how that is written.
FILLED = {
    "a day": (["2024-01-05"], pa.scalar(19_000 * 86400, pa.timestamp("s")), "2022-01-08"),
    "minutes": (["2024-01-05 08:00"], pa.scalar(90, pa.timestamp("s")), "1970-01-01 00:01"),
    "seconds": (["2024-01-05T08:00:00"], pa.scalar(90, pa.timestamp("s")), "1970-01-01T00:01:30"),
    "fractions": (
        ["2024-01-05 08:00:00.250"],
        pa.scalar(90_125_000, pa.timestamp("us")),
        "1970-01-01 00:01:30.125",
    ),
    "a zone": (
        ["2024-01-05T08:00+02:00"],
        pa.scalar(0, pa.timestamp("s", "UTC")),
        "1970-01-01T02:00+02:00",
    ),
    "Z": (["2024-01-05T08:00:00Z"], pa.scalar(0, pa.timestamp("s", "UTC")), "1970-01-01T00:00:00Z"),
    "short zone": (
        ["2024-01-05 08:00:00-0330"],
        pa.scalar(0, pa.timestamp("s", "UTC")),
        "1969-12-31 20:30:00-0330",
    ),
    "capitals": (["TRUE", "FALSE"], pa.scalar(False), "FALSE"),
    "points": (["1.5", "2"], pa.scalar(0.25), "0.25"),
    "dollars": (["$1,500.00", "$2.50"], pa.scalar(-1234.567), "-$1,234.57"),
    "percent": (["5 %", "7 %"], pa.scalar(6.4), "6 %"),
    "letters": (["EUR 1.500,00", "EUR 2,50"], pa.scalar(-1234.567), "-EUR 1.234,57"),
    "a minus behind": (["7.00-", "1,500.00"], pa.scalar(-1234.567), "1,234.57-"),
    "words": (["a", "b"], pa.scalar("b"), "b"),
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", FILLED)
def test_what_is_filled_is_written_as_the_column_is(name, chunked):
    entries, made, expected = FILLED[name]
    given = pa.array(["", *entries, ""])
    column = pa.array([made.as_py()] * len(given), made.type)
    gone = np.array([True, *[False] * len(entries), True])
    if chunked:
        given = pa.chunked_array([given[:1], given[1:]])
        column = pa.chunked_array([column[:1], column[1:]])
    spelled = Spelled()
    spelled.add(pa.array(entries))
    how = spelled.reading()
    way = filling.Way(how if how and spelled.sure() else Reading())
    found = filling.filled(given, column, gone, way)
    assert found.to_pylist() == [expected, *entries, expected]


def test_a_file_is_filled_in_the_way_that_it_is_written(tmp_path):
    lines = []
    for i in range(120):
        when = f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}T{i % 24:02d}:30+02:00"
        line = [f"{i % 7},5", when, f"{1 + i % 9}.{100 + i},50 €", "x" if i % 3 else "y"]
        line[i % 4] = "" if i % 5 == 0 else line[i % 4]
        lines.append(";".join(line))
    text = "\r\n".join(["\ufeffsep=;", "a;when;cost;kind", *lines, ""])
    path, out = tmp_path / "x.csv", tmp_path / "out.csv"
    path.write_bytes(text.encode())
    done("fit", path, "--out", tmp_path / "run", *FIT)
    told = done("reconstruct", tmp_path / "run", path, "--fill", "--out", out)
    assert "Read as numbers in " in told
    made = out.read_bytes().decode()
    assert made.count("\r\n") == text.count("\r\n") == made.count("\n")
    assert made.startswith("\ufeffsep=;\r\na;when;cost;kind\r\n")
    for was, now in zip(text.split("\r\n")[2:-1], made.split("\r\n")[2:-1], strict=True):
        for j, (a, b) in enumerate(zip(was.split(";"), now.split(";"), strict=True)):
            assert a in ("", b)
            form = (r"-?\d+(,\d+)?", r"\d{4}-\d\d-\d\dT\d\d:\d\d\+02:00", r"[\d.]+,\d\d €", "x|y")[
                j
            ]
            assert pd.Series([b]).str.fullmatch(form).all(), b


@pytest.mark.filterwarnings("default:.*have (no|a) currency")
def test_a_model_of_amounts_takes_files_that_spell_them(tmp_path):
    cost = RNG.lognormal(7, 1, 80)
    X = pd.DataFrame({"a": RNG.normal(size=80), "b": RNG.normal(size=80), "cost": cost.round(2)})
    X.to_csv(tmp_path / "plain.csv", index=False)
    X.assign(cost=[f"${value:,.2f}" for value in cost]).to_csv(
        tmp_path / "dollars.csv", index=False
    )
    for name in ("plain", "dollars"):
        told = done("fit", tmp_path / f"{name}.csv", "--out", tmp_path / name, *FIT)
        assert ("Read as numbers" in told) == (name == "dollars")
        assert Autoencoder.__name__ in told
    out = []
    for run in ("plain", "dollars"):
        for data in ("plain", "dollars"):
            path = tmp_path / f"{run}-{data}.npy"
            code, _, err = call(
                "transform", tmp_path / run, tmp_path / f"{data}.csv", "--out", path
            )
            lost = "Warning: Numbers in column 'cost' of" if run != data else ""
            assert (code, err[: len(lost) or None]) == (0, lost)
            out.append(np.load(path))
    for codes in out[1:]:
        np.testing.assert_array_equal(out[0], codes)


QUOTE = '"'
SWALLOWED = {
    "never closed": 'a,b\n1,"x\n2,y\n3,z\n',
    "closed by the next": "i,a,b\n"
    + "".join(f"{i},{i % 5},{QUOTE * (i in (60, 150))}ok\n" for i in range(200)),
}


@pytest.mark.parametrize("name", SWALLOWED)
def test_a_quote_that_is_not_closed_swallows_no_rows(name, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(SWALLOWED[name])
    with pytest.raises(DataError, match=r"like rows of their own\. A quote is opened there"):
        isthmus.open_data(path)


def test_lines_in_quotes_are_text(tmp_path):
    for entry in ('"dear, sir,\nI am, well, now\nok"', '"x\ny"', '5" pipe'):
        path = tmp_path / "x.csv"
        path.write_text("a,b,c\n" + "".join(f"{i % 3},{i % 5},{entry}\n" for i in range(40)))
        assert isthmus.open_data(path).lengths == (40,)


def test_thousands_in_a_file_of_tabs_are_no_fractions(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("city\tpeople\n" + "A\t1,234\nB\t987\nC\t12,345\n" * 20)
    assert "'people' looks like numbers" in " ".join(done("info", path).split())


def test_files_with_two_decimal_signs_are_no_table(tmp_path):
    (tmp_path / "a.csv").write_text("x;y\n1;0,5\n2;3,0\n")
    (tmp_path / "b.csv").write_text("x;y\n1;1.234\n2;5.678\n")
    with pytest.raises(DataError, match=r"'y' of .*b\.csv, written '1\.234', may be thous.*'0,5'"):
        isthmus.open_data(tmp_path)
    (tmp_path / "b.csv").write_text("x;y\n1;1.234\n2;5.6\n")  # which can be a point alone
    source = isthmus.open_data(tmp_path)
    assert [t["y"].to_pylist() for p in range(2) for t in source.tables(p)] == [
        [0.5, 3],
        [1.234, 5.6],
    ]


def test_whole_numbers_beyond_all_types_are_codes(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("i,x\n" + "".join(f"{12345678901234560000 + i},{i % 3}.5\n" for i in range(60)))
    (table,) = isthmus.open_data(path).tables(0)
    assert table["i"].to_pylist()[59] == "12345678901234560059"
    path.write_text("i,x\n" + "".join(f"{i}e20,{i % 3}\n" for i in range(60)))
    (table,) = isthmus.open_data(path).tables(0)
    assert table["i"].to_pylist()[3] == 3e20


def test_inflation_is_the_name_of_a_column(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("country,inf,year\n" + "A,2.5,2020\nB,4.1,2021\n" * 20)
    assert isthmus.open_data(path).names == ("country", "inf", "year")
    path.write_text("1,inf\n" + "2,3\n" * 20)
    assert isthmus.open_data(path).names is None
