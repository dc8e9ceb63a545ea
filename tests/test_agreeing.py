"""New rows are read as those of the fit were written, or it is said that they cannot be."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import isthmus
from command_line import call, done
from isthmus import Autoencoder, OutlierDetector
from isthmus.data.columns.choosing import written as written_of
from isthmus.data.rows import taking
from isthmus.data.text import settling
from isthmus.data.text.agreeing import Spelling, other_sign
from isthmus.data.text.spelled import Reading, Spelled
from isthmus.errors import DataError, RunError
from isthmus.estimators._schema import Signs
from isthmus.estimators._written import remembered
from isthmus.evaluation.evaluate import evaluate

RNG = np.random.default_rng(0)
FIT = ("--max-epochs", "1", "--n-components", "1", "--hidden-layer-sizes", "4", "--seed", "0")
ROWS = pd.DataFrame(
    {
        "cost": RNG.lognormal(6, 1.2, 60).round(2),
        "size": RNG.normal(50, 12, 60).round(1),
        "count": RNG.poisson(20, 60),
    }
)


def english(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def german(value: float, digits: int) -> str:
    return english(value, digits).translate(str.maketrans(",.", ".,"))


def plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


WAYS: dict[str, Callable[[float, int], str]] = {"en": english, "de": german, "plain": plain}


def written(path: Path, how: Callable[[float, int], str], X: pd.DataFrame, unit: str = "") -> Path:
    digits = {"cost": 2, "size": 1, "count": 0}
    lines = [
        [how(row[name], n) + (unit if name == "cost" else "") for name, n in digits.items()]
        for _, row in X.iterrows()
    ]
    path.write_text("\n".join(";".join(line) for line in [list(digits), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, how in WAYS.items():
        written(folder / f"{name}.csv", how, ROWS)
        written(folder / f"{name}_eur.csv", how, ROWS, " €")
    return folder


def _quiet() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def model_of(path: Path) -> Autoencoder:
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    return model.fit(isthmus.open_data(path))


@pytest.mark.parametrize("fitted", WAYS)
def test_one_run_gives_the_same_codes_however_rows_are_written(fitted, files, tmp_path):
    model = model_of(files / f"{fitted}.csv")
    done("fit", files / f"{fitted}.csv", "--out", tmp_path / "run", *FIT)
    expected = model.transform(ROWS)
    every = []
    for way in WAYS:
        done("transform", tmp_path / "run", files / f"{way}.csv", "-o", tmp_path / f"{way}.npy")
        every.append(np.load(tmp_path / f"{way}.npy"))
        found = model.transform(isthmus.open_data(files / f"{way}.csv"))
        np.testing.assert_array_equal(found, expected)
    for codes in every[1:]:
        np.testing.assert_array_equal(codes, every[0])


# How the fit is written, the lines of a new file, and the cost there; else what is said of it.
ALONE: dict[str, tuple[str, str, float | str]] = {
    "thousands in the fit": ("de", "1.218;50;20", 1218),
    "and others as in the fit": ("de", "1.218;50,1;20", 1218),
    "others are otherwise": ("de", "1.218;50.1;20", "columns of the file have decimal points"),
    "points in the fit": ("plain", "1.218;50;20", 1.218),
    "as others here are not": ("plain", "1.218;50,1;20", "fit has decimal points, and other"),
    "English thousands": ("en", "1,218;50.1;20", 1218),
    "no groups in the fit": ("plain", "1,218;50;20", "the fit has decimal points. Write it so"),
    "clear by itself": ("de", "1,218.50;50.1;20", 1218.5),
    "clear, and plain": ("de", "1218.5;50;20", 1218.5),
    "the unit of the fit": ("de_eur", "1.218 €;50;20", 1218),
    "before the number": ("de_eur", "€ 1.218;50;20", 1218),
    "in letters": ("de_eur", "1.218 EUR;50;20", 1218),
    "another unit": ("de_eur", "1.218 $;50;20", "must be in the currency of the fit, written '"),
    "percent": ("de_eur", "12 %;50;20", "must be in the unit of the fit"),
    "a new percent sign": ("plain", "12%;50;20", "unit of the fit, without a percent sign"),
}  # fmt: skip


@pytest.mark.parametrize("case", ALONE)
def test_what_is_ambiguous_alone_is_read_as_in_the_fit(case, files, tmp_path):
    fitted, line, cost = ALONE[case]
    model, path = model_of(files / f"{fitted}.csv"), tmp_path / "new.csv"
    path.write_text(f"cost;size;count\n{line}\n")
    again = isthmus.load(model.save(tmp_path / "run"))
    for each in (model, again):
        if isinstance(cost, str):
            with pytest.raises(DataError, match=r"column 'cost' of .*new\.csv") as told:
                each.transform(isthmus.open_data(path))
            assert cost in str(told.value)
            continue
        size = 50.1 if ".1;" in line or ",1;" in line else 50.0
        expected = each.transform(pd.DataFrame({"cost": [cost], "size": [size], "count": [20]}))
        found = each.transform(isthmus.open_data(path))
        np.testing.assert_array_equal(found, expected)
    code, _, err = call("transform", tmp_path / "run", path, "--out", tmp_path / "z.npy")
    assert code == (2 if isinstance(cost, str) else 0)
    if isinstance(cost, str):
        assert cost in err
    else:
        np.testing.assert_allclose(np.load(tmp_path / "z.npy"), found, atol=1e-6)


def test_a_percent_sign_is_not_lost_in_silence(tmp_path):
    X = RNG.uniform(5, 95, (60, 2)).round(1)
    (tmp_path / "fit.csv").write_text("a,b\n" + "".join(f"{a}%,{b}\n" for a, b in X))
    (tmp_path / "new.csv").write_text("a,b\n" + "".join(f"{a / 100:.3f},{b}\n" for a, b in X))
    model = model_of(tmp_path / "fit.csv")
    with pytest.raises(DataError, match=r"'a' of .*new\.csv, without a unit, must be in the unit"):
        model.transform(isthmus.open_data(tmp_path / "new.csv"))


def test_a_currency_that_is_gone_is_told(files):
    model = model_of(files / "de_eur.csv")
    source = isthmus.open_data(files / "plain.csv")
    for _ in range(2):
        with pytest.warns(UserWarning, match="'cost' of .*plain.csv have no currency.* taken for"):
            found = model.transform(isthmus.open_data(files / "plain.csv"))
        np.testing.assert_array_equal(found, model.transform(ROWS))
    with pytest.warns(UserWarning, match="have no currency"):
        model.transform(source)


def test_each_file_of_a_folder_is_read_for_itself(files, tmp_path):
    model = model_of(files / "de.csv")
    for i, (name, how) in enumerate(WAYS.items()):
        written(tmp_path / f"{i}_{name}.csv", how, ROWS)
    (tmp_path / "9.csv").write_text("cost;size;count\n1.218;50;20\n")
    expected = pd.concat([ROWS] * 3 + [pd.DataFrame({"cost": [1218.0], "size": 50, "count": 20})])
    found = model.transform(isthmus.open_data(tmp_path))
    np.testing.assert_array_equal(found, model.transform(expected.astype({"count": float})))


def test_a_detector_remembers_too(files, tmp_path):
    (tmp_path / "new.csv").write_text("cost;size;count\n1.218;50,1;20\n")
    made = pd.DataFrame({"cost": [1218.0], "size": [50.1], "count": [20]})
    small = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,))
    detector = OutlierDetector(small).fit(isthmus.open_data(files / "de.csv"))
    again = OutlierDetector.load(detector.save(tmp_path / "detector"))
    for each in (detector, again):
        found = each.score_samples(isthmus.open_data(tmp_path / "new.csv"))
        np.testing.assert_array_equal(found, each.score_samples(made))
    out = ("--out", tmp_path / "z.csv")
    done("outliers", tmp_path / "new.csv", "--detector", tmp_path / "detector", *out)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "z.csv")["score"], found, atol=1e-6)


# ---------------------------------------------------------------- the record is not lost on the way

LATER = "cost;size;count\n1.218;50,1;20\n1.305;49,5;21\n"
SAME = pd.DataFrame({"cost": [1218.0, 1305.0], "size": [50.1, 49.5], "count": [20, 21]})
KINDS = np.where(ROWS["count"] > 20, "a", "b")


def table_at(folder: Path, where: str, mixed: bool = False) -> Path:
    """The German rows in a file, or in two files of a folder."""
    X = ROWS.assign(kind=KINDS) if mixed else ROWS
    whole = written(folder / "whole.csv", german, ROWS)
    lines = whole.read_text().splitlines()
    if mixed:
        lines = [f"{line};{k}" for line, k in zip(lines, ["kind", *X["kind"]], strict=True)]
    if where == "file":
        whole.write_text("\n".join(lines) + "\n")
        return whole
    (folder / "parts").mkdir()
    for i, part in enumerate((lines[1:31], lines[31:])):
        (folder / "parts" / f"{i}.csv").write_text("\n".join([lines[0], *part]) + "\n")
    return folder / "parts"


def later(folder: Path, mixed: bool) -> tuple[Path, pd.DataFrame]:
    lines = LATER.splitlines()
    if mixed:
        lines = [f"{line};{k}" for line, k in zip(lines, ("kind", "a", "b"), strict=True)]
    (folder / "later.csv").write_text("\n".join(lines) + "\n")
    return folder / "later.csv", SAME.assign(kind=["a", "b"]) if mixed else SAME


@pytest.mark.filterwarnings("ignore:Nothing compresses")
@pytest.mark.parametrize("n_components", [1, "auto", 0.5])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("where", ["file", "folder"])
def test_no_way_to_fit_loses_the_record(where, mixed, n_components, tmp_path):
    if mixed and n_components != 1 and where == "file":
        pytest.skip("as the folder")
    data, (new, same) = table_at(tmp_path, where, mixed), later(tmp_path, mixed)
    small = {"max_epochs": 1, "hidden_layer_sizes": (4,), "random_state": 0}
    model = Autoencoder(n_components, **small).fit(isthmus.open_data(data))
    again = isthmus.load(model.save(tmp_path / "python"))
    for each in (model, again):
        found = each.transform(isthmus.open_data(new))
        np.testing.assert_array_equal(found, each.transform(same))
    k = ("--n-components", n_components)
    code, _, err = call("fit", data, "--out", tmp_path / "run", *FIT[:2], *FIT[4:], *k)
    assert code == 0, err
    done("transform", tmp_path / "run", new, "--out", tmp_path / "z.npy")
    expected = isthmus.load(tmp_path / "run").transform(same)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), expected, atol=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_detector_of_a_folder_keeps_the_record(mixed, tmp_path):
    data, (new, same) = table_at(tmp_path, "folder", mixed), later(tmp_path, mixed)
    small = ("--max-epochs", "1", "--n-components", "1", "--hidden-layer-sizes", "4")
    done("outliers", data, "--save", tmp_path / "run", *small)
    done("outliers", new, "--detector", tmp_path / "run", "--out", tmp_path / "z.csv")
    expected = OutlierDetector.load(tmp_path / "run").score_samples(same)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "z.csv")["score"], expected, atol=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("part", ["all", "sample", "take"])
def test_rows_of_a_source_are_read_as_the_source_is(part, mixed, tmp_path):
    data, (new, same) = table_at(tmp_path, "file", mixed), later(tmp_path, mixed)
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(isthmus.open_data(data))
    source = isthmus.open_data(new)
    same = same if part == "all" else same[1:]
    if part == "sample":
        table = taking.sample(source, 1, seed=next(s for s in range(99) if _second(source, s)))
    else:
        table = taking.whole(source) if part == "all" else taking.take(source, np.array([1]))
    for method in ("transform", "score_samples", "squared_errors"):
        found = getattr(model, method)(table)
        np.testing.assert_array_equal(found, getattr(model, method)(same))
    made = model.impute(table)
    costs = made["cost"].to_numpy() if mixed else made[:, 0]
    np.testing.assert_array_equal(costs, same["cost"])
    np.testing.assert_array_equal(model.scaled(table)[0], model.scaled(same)[0])
    assert table.spelling is not None
    assert dataclasses.replace(table, origin="x").again is None


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("way", ["fit", "partial_fit", "detector"])
def test_a_fit_to_blocks_keeps_the_record_of_the_source(way, mixed, tmp_path):
    data, (new, same) = table_at(tmp_path, "file", mixed), later(tmp_path, mixed)
    new.write_text(new.read_text().replace(",1;", ";").replace(",5;", ";"))  # no comma tells
    same = same.assign(size=[50, 49])
    small = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    model = OutlierDetector(small) if way == "detector" else small
    source = isthmus.open_data(data, na_values=["-"])
    fit = model.fit if way == "detector" else getattr(model, way)
    fit(next(source.tables(0)))
    assert remembered(model) == (source.spelling, ("-",))
    later_rows = isthmus.open_data(new)
    found = model.score_samples(later_rows)
    np.testing.assert_array_equal(found, model.score_samples(same))
    with pytest.raises(DataError, match=r"'cost' of X may be thousands.*as_known\(model.written_"):
        model.score_samples(next(later_rows.tables(0)))
    (block,) = later_rows.as_known(model.written_).tables(0)
    np.testing.assert_array_equal(model.score_samples(block), found)
    if way == "partial_fit":
        with pytest.raises(DataError, match="may be thousands"):
            model.partial_fit(next(later_rows.tables(0)))
        model.partial_fit(block)
        assert remembered(model).spelling == source.spelling


@pytest.mark.filterwarnings("ignore:Numbers in column")
@pytest.mark.parametrize("case", ALONE)
def test_a_block_is_read_as_its_source_is_or_refused(case, files, tmp_path):
    fitted, line, cost = ALONE[case]
    model, path = model_of(files / f"{fitted}.csv"), tmp_path / "new.csv"
    path.write_text(f"cost;size;count\n{line}\n")
    source = isthmus.open_data(path)
    if isinstance(cost, str):
        return  # test_what_is_ambiguous_alone_is_read_as_in_the_fit
    expected = model.transform(source)
    with contextlib.suppress(DataError):
        np.testing.assert_array_equal(model.transform(next(source.tables(0))), expected)
    block = next(source.as_known(model.written_).tables(0))
    np.testing.assert_array_equal(model.transform(block), expected)


def test_a_block_of_numbers_is_no_column_of_text(tmp_path):
    (tmp_path / "fit.csv").write_text("zip,a\n" + "".join(f"0{i % 5},{i}\n" for i in range(20)))
    (tmp_path / "later.csv").write_text("zip,a\n10,3\n12,4\n")
    model = model_of(tmp_path / "fit.csv")
    with pytest.raises(DataError, match="column 'zip' of X holds numbers where the fit had text"):
        model.transform(next(isthmus.open_data(tmp_path / "later.csv").tables(0)))


def _second(source, seed: int) -> bool:
    table = taking.sample(source, 1, seed)
    return bool(table.values[0, 2] == 21)


def test_rows_to_compare_with_are_read_as_the_fit_was(tmp_path):
    data = table_at(tmp_path, "file")
    model = model_of(data)
    more = "".join(f"1.{300 + i};4{i % 10},5;{15 + i}\n" for i in range(12))
    (tmp_path / "reference.csv").write_text(LATER + more)
    rows = isthmus.open_data(data)
    found = evaluate(model, rows, reference=isthmus.open_data(tmp_path / "reference.csv"))
    known = model.written_
    reference = taking.whole(isthmus.open_data(tmp_path / "reference.csv").as_known(known))
    assert reference.values[0, 0] == 1218
    expected = evaluate(model, rows, reference=pd.DataFrame(reference.values, columns=[*ROWS]))
    assert found.facts["pca"] == expected.facts["pca"]


@pytest.mark.filterwarnings("default:.*taken by position")
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("named", [(True, False), (False, True), (False, False)])
def test_columns_without_names_are_known_by_position(named, dropped, tmp_path):
    """Where a column before the others was left out, too."""
    lines = written(tmp_path / "fit.csv", german, ROWS).read_text().splitlines()
    later = LATER.splitlines()
    drop = [("id" if has else "x0") if dropped else "" for has in named]
    for name, body, has in (("fit", lines, named[0]), ("new", later, named[1])):
        body = [f"{'id' if i == 0 else f'k{i}'};{line}" for i, line in enumerate(body)]
        body = body if dropped else [line.partition(";")[2] for line in body]
        (tmp_path / f"{name}.csv").write_text("\n".join(body[0 if has else 1 :]) + "\n")
    given = [{"drop": [name]} if name else {} for name in drop]
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(isthmus.open_data(tmp_path / "fit.csv", **given[0]))
    same = SAME if named[0] else SAME.to_numpy()
    expected = model.transform(same)
    with pytest.warns(UserWarning, match="taken by position") if any(named) else _quiet():
        found = model.transform(isthmus.open_data(tmp_path / "new.csv", **given[1]))
    np.testing.assert_array_equal(found, expected)
    flags = [["--drop", name] if name else [] for name in drop]
    done("fit", tmp_path / "fit.csv", "--out", tmp_path / "run", *FIT, *flags[0])
    out = ("-o", tmp_path / "z.npy")
    code, _, err = call("transform", tmp_path / "run", tmp_path / "new.csv", *out, *flags[1])
    assert (code, "taken by position" in " ".join(err.split())) == (0, any(named)), err
    expected = isthmus.load(tmp_path / "run").transform(same)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), expected, atol=1e-6)


def test_the_order_of_files_does_not_decide_the_sign(tmp_path):
    points, commas = "a;b;n\n0.5;1.5;1\n", "a;b;n\n0,5;2;1\n"
    for i, order in enumerate(((points, commas), (commas, points))):
        (tmp_path / str(i)).mkdir()
        for name, text in zip("xy", order, strict=True):
            (tmp_path / str(i) / f"{name}.csv").write_text(text)
        found = isthmus.open_data(tmp_path / str(i)).spelling
        assert [found.of(name).decimal for name in "abn"] == [",", ".", "."]


def test_what_a_fit_keeps_is_what_a_run_may_hold():
    assert {f.name for f in dataclasses.fields(Reading)} == set(Signs.model_fields)


def test_a_padded_example_does_not_keep_a_run_from_opening(tmp_path):
    body = "".join(f"{' ' * 1500}€ {i}.218,50;{i % 7},5\n" for i in range(1, 40))
    (tmp_path / "fit.csv").write_text("a;b\n" + body)
    model = model_of(tmp_path / "fit.csv")
    again = isthmus.load(model.save(tmp_path / "run"))
    assert remembered(again).spelling.of("a").example == "€ 1.218,50"


def test_data_are_told_how_a_fit_was_written_without_a_model():
    fit = written_of(None, Spelling(",", {"a": Reading(".", ",")}), ["a", "b"], 2)
    assert fit.of(["b", "a"], True) == {"a": Reading(".", ","), "b": Reading(",")}
    assert fit.of(["x0", "x1"], False) == {"x0": Reading(".", ","), "x1": Reading(",")}
    assert fit.of(["x0"], False) == {}
    kinds = [pa.string(), pa.date32()]
    assert written_of(kinds, Spelling(","), None, 2).columns == {"x0": None}


def test_holes_are_filled_as_the_file_is_read(files, tmp_path):
    done("fit", files / "de_eur.csv", "--out", tmp_path / "run", *FIT)
    (tmp_path / "new.csv").write_text("cost;size;count\n1.218 €;50,1;20\n;49,5;21\n2.000 €;;19\n")
    out = tmp_path / "out.csv"
    done("reconstruct", tmp_path / "run", tmp_path / "new.csv", "--fill", "--out", out)
    lines = [line.split(";") for line in out.read_text().splitlines()]
    assert lines[1] == ["1.218 €", "50,1", "20"]
    assert lines[2][0].endswith(" €")
    assert "," in lines[3][1]


def test_runs_from_before_read_as_before(files, tmp_path):
    run = model_of(files / "de.csv").save(tmp_path / "run")
    (tmp_path / "new.csv").write_text("cost;size;count\n1.218;50;20\n")
    config = json.loads((run / "config.json").read_text())
    assert config["data"]["spelling"]["columns"]["cost"]["group"] == "."
    del config["data"]["spelling"]
    (run / "config.json").write_text(json.dumps(config))
    model = isthmus.load(run)
    expected = model.transform(pd.DataFrame({"cost": [1.218], "size": [50], "count": [20]}))
    found = model.transform(isthmus.open_data(tmp_path / "new.csv"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "signs", [{"group": "5"}, {"before": "(.*)"}, {"decimal": "x"}, {"group": ","}, {"more": 1}]
)
def test_signs_that_are_none_are_refused(signs, files, tmp_path):
    run = model_of(files / "de.csv").save(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"]["spelling"]["columns"]["cost"] |= signs
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="its schema promises"):
        isthmus.load(run)


def test_the_record_is_the_same_again():
    kept = Spelling(",", {"a": Reading("", "'", before="CHF", behind=True, example="CHF 1'2")})
    assert Spelling.of_record(json.loads(json.dumps(kept.recorded()))) == kept
    assert kept.of("b") == Reading(",")


def test_columns_that_the_fit_did_not_have_do_not_tell_of_its_sign():
    shows = {name: Spelled() for name in "ab"}
    for found in shows.values():
        found.add(pa.array(["0.5"]))
    assert other_sign(shows, {"b": Reading(".")}) == ("", "")
    assert other_sign(shows, {"b": Reading(",")})[0] == "."


# ------------------------------------------------------------------ what else is said of new rows


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_column_that_is_empty_now_is_told(ending, mixed, tmp_path):
    X = ROWS.assign(kind=np.where(ROWS["count"] > 20, "a", "b")) if mixed else ROWS
    gone = X.assign(size=np.nan)
    for name, frame in (("fit", X), ("new", gone), ("few", gone[:5])):
        path = tmp_path / f"{name}.{ending}"
        frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    done("fit", tmp_path / f"fit.{ending}", "--out", tmp_path / "run", *FIT)
    for verb, more in (("transform", ("-o", tmp_path / "z.csv", "--force")), ("score", ())):
        done(verb, tmp_path / "run", tmp_path / f"few.{ending}", *more)
        here = f"Column 'size' of .*new.{ending} has no entry in all 60 rows, and had some in"
        with pytest.warns(UserWarning, match=here) as said:
            isthmus.load(tmp_path / "run").transform(isthmus.open_data(tmp_path / f"new.{ending}"))
        assert len(said) == 1


def test_what_the_fit_left_out_is_not_what_it_did_not_see(tmp_path):
    X = ROWS.assign(id=np.arange(60) * 7)
    X.to_csv(tmp_path / "fit.csv", index=False)
    X.drop(columns="size").assign(other=1).to_csv(tmp_path / "new.csv", index=False)
    done("fit", tmp_path / "fit.csv", "--drop", "id", "--out", tmp_path / "run", *FIT)
    code, _, err = call("score", tmp_path / "run", tmp_path / "new.csv")
    assert code == 2
    assert "it lacks 'size', and has 'other', which the fit did not see" in " ".join(err.split())
    assert "'id'" not in err


def test_zeros_that_the_fit_had_lost_are_told_of(tmp_path):
    X = ROWS.assign(zip=np.where(ROWS["count"] > 20, "a8001", "8001"))
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit(X)
    hint = r"'8001' where '08001' is here: zeros .* get lost in spreadsheets, here in the rows of"
    with pytest.warns(UserWarning, match=hint):
        model.transform(X.assign(zip=["08001", *X["zip"][1:]]))


def test_zeros_that_were_lost_are_told_of(tmp_path):
    X = ROWS.assign(zip=np.where(ROWS["count"] > 20, "08001", "00033"))
    X.to_csv(tmp_path / "fit.csv", index=False)
    model = model_of(tmp_path / "fit.csv")
    hint = r"The fit had '08001' where '8001' is here: zeros before numbers get lost"
    new = X.assign(zip=np.where(ROWS["count"] > 20, "8001", "33"))
    new.to_csv(tmp_path / "new.csv", index=False)
    for rows in (isthmus.open_data(tmp_path / "new.csv"), new.assign(zip=new["zip"].astype(int))):
        with pytest.raises(DataError, match="zeros before numbers get lost"):
            model.transform(rows)
    with pytest.warns(UserWarning, match=hint):
        model.transform(X.assign(zip=["8001", *X["zip"][1:]]))


BLANKS = r"column 'w' of .* by blanks around them, 'a' and 'a '.* take the blanks away"


@pytest.mark.parametrize("form", ["csv", "pandas", "arrow", "category", "stated"])
def test_categories_that_differ_by_blanks_alone_are_told_of(form, tmp_path):
    X = ROWS.assign(w=np.tile(["a", "b", "a ", "c"], 15))
    kinds = {"w": "categorical"} if form == "stated" else None
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0, kinds=kinds)
    X.to_csv(tmp_path / "x.csv", index=False)
    rows = {
        "csv": isthmus.open_data(tmp_path / "x.csv"),
        "arrow": pa.Table.from_pandas(X),
        "category": X.astype({"w": "category"}),
    }.get(form, X)
    with pytest.warns(UserWarning, match=BLANKS) as told:
        model.fit(rows)
    assert len(told) == 1
    clean = X.assign(w=X["w"].str.strip())
    model.fit(clean)  # and nothing is said
    with pytest.warns(UserWarning, match="fit had 'b' where ' b' is here: they differ by blanks"):
        model.transform(clean.assign(w=[" b", *clean["w"][1:]]))


CODES = {
    "with an e": (["12e0544", "3410922", "77e1000"], True),
    "with a small e": (["12e05", "34109", "77123"], True),
    "an e of numbers": (["1e5", "123.5", "12e5"], False),
    "all with an e": (["10e3", "25e3", "99e3"], False),
    "telephones": (["+4930123456", "+4930123457", "+33612345678"], True),
    "one without a plus": (["+4930123456", "4930123457", "4930123458"], True),
    "signed numbers": (["+1234567", "-1234567", "+7654321"], False),
    "small numbers with a plus": (["+5", "+12", "+7"], False),
}


@pytest.mark.parametrize("case", CODES)
def test_codes_that_would_be_numbers_are_text(case, tmp_path):
    entries, text = CODES[case]
    body = "".join(f"{entry},{i}.5\n" for i, entry in enumerate(entries * 20))
    (tmp_path / "x.csv").write_text(f"a,b\n{body}")
    (table,) = isthmus.open_data(tmp_path / "x.csv").tables(0)
    assert table["a"].to_pylist()[:3] == (entries if text else [float(e) for e in entries])


def test_whole_numbers_that_become_equal_are_told_of(tmp_path):
    for entries in (["9007199254740993", "9007199254740992", "1.5"], ["9007199254740993", "1"]):
        body = "".join(f"{entry},{i}.5\n" for i, entry in enumerate(entries * 20))
        (tmp_path / "x.csv").write_text(f"a,b\n{body}")
        (note,) = isthmus.open_data(tmp_path / "x.csv").notes
        assert "'a' of" in note
        assert "such as 9007199254740993, have more digits" in note
        assert "--text a" in " ".join(done("info", tmp_path / "x.csv").split())
    (tmp_path / "x.csv").write_text("a,b\n" + "9007199254740992,0.5\n" * 20)
    assert isthmus.open_data(tmp_path / "x.csv").notes == ()


def _holed(columns: list[str]) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "n": rng.integers(0, 50, 60),
            "word": rng.choice(["x", "y", "NA"], 60),
            "d": rng.normal(size=60),
        }
    )
    frame.loc[::7, "a"] = frame.loc[3::9, "n"] = -999
    frame.loc[5, "word"] = "-999"
    return frame[columns]


@pytest.mark.parametrize("columns", [["a", "n", "word", "d"], ["a", "n", "d"]])
@pytest.mark.parametrize("fitted_to", ["csv", "parquet"])
def test_what_a_fit_was_told_is_missing_is_missing_later(tmp_path, columns, fitted_to):
    frame = _holed(columns)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    fit = isthmus.open_data(tmp_path / f"a.{fitted_to}", na_values=["-999"])
    model = Autoencoder(1, max_epochs=2, hidden_layer_sizes=(4,), random_state=0).fit(fit)
    detector = OutlierDetector(model, random_state=0).fit(fit)
    codes, scores = model.transform(fit), detector.score_samples(fit)
    later = {
        "csv": isthmus.open_data(tmp_path / "a.csv"),
        "sample": taking.sample(isthmus.open_data(tmp_path / "a.csv"), 1000),
        "parquet": isthmus.open_data(tmp_path / "a.parquet"),
        "frame": isthmus.open_data(frame),
        "pandas": frame,
        "polars": pytest.importorskip("polars").from_pandas(frame),
        "arrow": pa.Table.from_pandas(frame, preserve_index=False),
    }
    again = isthmus.load(model.save(tmp_path / "run"))
    detectors = detector, OutlierDetector.load(detector.save(tmp_path / "detector"))
    for rows in later.values():
        for each in (model, again):
            np.testing.assert_array_equal(each.transform(rows), codes)
        for each in detectors:
            np.testing.assert_array_equal(each.score_samples(rows), scores)
    filled = pd.DataFrame(np.asarray(again.impute(frame)), columns=columns)
    assert not filled.isin([-999, "-999"]).any(axis=None)
    done("transform", tmp_path / "run", tmp_path / "a.csv", "--out", tmp_path / "codes.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy"), codes)


def test_what_is_said_when_rows_are_opened_goes_before_what_the_fit_was_told(tmp_path):
    frame = _holed(["a", "d"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    fit = isthmus.open_data(tmp_path / "a.csv", na_values=["-999"])
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit(fit)
    other = isthmus.open_data(tmp_path / "a.csv", na_values=["none"])
    there = model.impute(other)
    assert (there[::7, 0] == -999).all()
    with pytest.warns(UserWarning, match="valid feature names"):
        there = model.impute(frame.to_numpy())
    assert (there[::7, 0] == -999).all(), "arrays mark theirs with NaN"


def test_a_word_that_a_fit_keeps_is_kept_later(tmp_path):
    _holed(["word", "d"]).to_csv(tmp_path / "a.csv", index=False)
    fit = isthmus.open_data(tmp_path / "a.csv", na_values=[])
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit(fit)
    again = isthmus.load(model.save(tmp_path / "run"))
    given = again.impute(isthmus.open_data(tmp_path / "a.csv"))
    assert "NA" in given["word"].to_pylist()


@pytest.mark.parametrize("columns", [["a", "b"], ["a", "b", "word"]])
@pytest.mark.parametrize("form", ["csv", "frame", "arrow", "polars"])
def test_truth_values_after_numbers_are_told_of(tmp_path, columns, form):
    frame = pd.DataFrame({"a": RNG.integers(0, 5, 40), "b": RNG.normal(size=40)})
    frame["word"] = RNG.choice(["x", "y"], 40)
    frame[columns].to_csv(tmp_path / "fit.csv", index=False)
    model = model_of(tmp_path / "fit.csv")
    later = frame[columns].assign(a=frame["a"] > 2)
    later.to_csv(tmp_path / "later.csv", index=False)
    forms = {
        "csv": lambda: isthmus.open_data(tmp_path / "later.csv"),
        "frame": lambda: later,
        "arrow": lambda: pa.Table.from_pandas(later, preserve_index=False),
        "polars": lambda: pytest.importorskip("polars").from_pandas(later),
    }
    with pytest.warns(UserWarning, match="'a' of .* holds truth values, and numbers in the fit"):
        found = model.transform(forms[form]())
    expected = model.transform(later.assign(a=later["a"].astype(int)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("first", ["UTC", None])
def test_a_zone_that_comes_or_goes_is_told_of(tmp_path, first):
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=40, freq="h", tz=first)})
    frame["b"] = RNG.normal(size=40)
    frame.to_csv(tmp_path / "fit.csv", index=False)
    model = model_of(tmp_path / "fit.csv")
    later = frame.assign(t=frame["t"].dt.tz_localize(None if first else "UTC"))
    later.to_csv(tmp_path / "later.csv", index=False)
    expected = model.transform(frame)
    for rows in (later, isthmus.open_data(tmp_path / "later.csv")):
        with pytest.warns(UserWarning, match="'t' of .* they are taken for"):
            np.testing.assert_array_equal(model.transform(rows), expected)


def test_a_currency_that_comes_is_told_of(tmp_path):
    fit, later = tmp_path / "fit.csv", tmp_path / "later.csv"
    fit.write_text("a;b\n" + "".join(f"{i}.218,50;{i % 7},5\n" for i in range(1, 40)))
    later.write_text("a;b\n$1.218;2,5\n$2.218;2,5\n")
    model = model_of(fit)
    with pytest.warns(UserWarning, match="have a currency, such as '\\$1.218'") as told:
        assert model.impute(isthmus.open_data(later))[:, 0].tolist() == [1218, 2218]
    assert len(told) == 1


METHODS = [
    *("transform", "reconstruct", "impute", "score_samples", "squared_errors", "corrupt", "scaled"),
    *("partial_fit", "predict", "p_values", "surprises", "explain", "reasons"),
]


@pytest.mark.parametrize("what", ["truth values", "a currency", "no currency"])
@pytest.mark.parametrize("form", ["file", "folder", "frame"])
@pytest.mark.parametrize("method", METHODS)
def test_what_a_column_is_taken_for_is_said_once(method, form, what, tmp_path):
    """Whatever the method, and however many files there are: one warning a column."""
    X = pd.DataFrame({"a": ["1.25", "2.50"] * 20, "b": [1.5, 2.5] * 20})
    fit, new = tmp_path / "fit.csv", tmp_path / ("new" if form == "folder" else "new.csv")
    sign, later = {
        "truth values": ("", X.assign(a=[True, False] * 20)),
        "a currency": ("", X.assign(a=[f"${v}" for v in X["a"]])),
        "no currency": ("$", X),
    }[what]
    lines = [f"{sign}{1 + i % 9}.{i:02d};{i % 7}.5\n" for i in range(60)]
    fit.write_text("a;b\n" + "".join(lines))
    if form == "folder":
        new.mkdir()
    for path in [new / f"{i}.csv" for i in range(3)] if form == "folder" else [new]:
        later.to_csv(path, sep=";", index=False)
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    if not hasattr(model, method):
        model = OutlierDetector(model)
    model.fit(isthmus.open_data(fit))
    with pytest.warns(UserWarning, match=what) as told:
        getattr(model, method)(later if form == "frame" else isthmus.open_data(new))
    assert len(told) == 1
    files = form == "folder" and what != "truth values"
    assert ("in 2 more files" in str(told[0].message)) == files


def test_commas_between_fields_are_no_decimal_signs(tmp_path):
    fit, later = tmp_path / "fit.csv", tmp_path / "later.csv"
    fit.write_text("a;b\n" + "".join(f"{i}.218,50;{i % 7},5\n" for i in range(1, 40)))
    model = model_of(fit)
    later.write_text("a,b\n1.218,2\n2.218,3\n")
    with pytest.raises(DataError, match="and the file is separated by commas"):
        model.transform(isthmus.open_data(later))
    # in quotes it may, whether all are in quotes or those that need them
    for rows in ('1.218,"2,5"\n2.218,"3,5"', '"1.218","2"\n"2.218","3"'):
        later.write_text(f"a,b\n{rows}\n")
        assert model.impute(isthmus.open_data(later))[:, 0].tolist() == [1218, 2218]


@pytest.mark.parametrize(
    "text",
    [
        'a,b,word\n1.218,2,"x"\n2.218,3,"y"\n',
        '"a","b","word"\n1.218,2,x\n2.218,3,y\n',
        'word,a,b\n"x",1.218,2\n"y",2.218,3\n',
        'a,b,word\n1.218,2,"x, y"\n2.218,3,"01.02.2024"\n',
        'a,b,word\n1.218,2,"12,5 m, 3"\n2.218,3,y\n',
    ],
)
def test_words_in_quotes_say_nothing_of_numbers(tmp_path, text):
    fit, later = tmp_path / "fit.csv", tmp_path / "later.csv"
    rows = "".join(f"{i}.218,50;{i % 7},5;{'xy'[i % 2]}\n" for i in range(1, 40))
    fit.write_text("a;b;word\n" + rows)
    later.write_text(text)
    with pytest.raises(DataError, match="and the file is separated by commas"):
        model_of(fit).transform(isthmus.open_data(later))


def test_a_number_in_quotes_is_seen_wherever_the_file_is_cut(tmp_path, monkeypatch):
    later = tmp_path / "later.csv"
    later.write_text('a,b\n1.218,2\n2.218,"3,5"\n3.218,4\n')
    for size in range(1, 40):
        monkeypatch.setattr(settling, "_SCANNED", size)
        assert settling._has_quoted_number(later)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_missing_is_missing_in_names_of_folders(tmp_path, kind):
    frames = []
    for value in (3, 5, -999):  # as folders are read
        rows = pd.DataFrame({"a": RNG.normal(size=20), "b": RNG.normal(size=20)})
        at = tmp_path / "fit" / f"u={value}"
        at.mkdir(parents=True)
        getattr(rows, f"to_{kind}")(at / f"x.{kind}", index=False)
        frames.append(rows.assign(u=value))
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(isthmus.open_data(tmp_path / "fit", na_values=["-999"]))
    frame = pd.concat(frames, ignore_index=True)
    expected = model.transform(frame.replace(-999, np.nan))
    for rows in (isthmus.open_data(tmp_path / "fit"), frame):
        np.testing.assert_allclose(model.transform(rows), expected, rtol=1e-6)


def _put(root: Path, kind: str, key: str, folder: str, value: str) -> None:
    at = root / folder / f"{key}={value}"
    at.mkdir(parents=True)
    rows = pd.DataFrame({"a": RNG.normal(size=20), "b": RNG.normal(size=20)})
    getattr(rows, f"to_{kind}")(at / f"x.{kind}", index=False)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_of_folders_are_codes_as_entries_are(tmp_path, kind):
    put = partial(_put, tmp_path, kind, "plz")
    for value in ("01001", "90210", "10115"):
        put("fit", value)
    put("later", "90210")
    model = model_of(tmp_path / "fit")
    assert model.encoding_.columns[2].categories == ("01001", "10115", "90210")
    later = isthmus.open_data(tmp_path / "later")
    assert model.impute(later)["plz"].unique().to_pylist() == ["90210"]
    assert later.schema.field("plz").type == pa.int64()
    if kind == "csv":
        there = isthmus.open_data(tmp_path / "later", text=["plz"])
        assert there.schema.field("plz").type == pa.string()
    put("both", "5")
    (tmp_path / "both" / "plz=5").rename(tmp_path / "both" / "a=5")
    (note,) = isthmus.open_data(tmp_path / "both").notes
    assert "Column 'a' of " in note
    assert note.endswith("is taken from the files, not from their folders.")


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("form", ["pandas", "object", "polars", "arrow", "parquet"])
def test_numbers_that_are_text_in_a_frame_are_read_as_in_the_fit(form, words, tmp_path):
    X = ROWS.assign(word=RNG.choice(["x", "y"], len(ROWS))) if words else ROWS
    lines = [";".join(X)] + [
        ";".join([german(c, 2), german(s, 1), str(n), *more])
        for c, s, n, *more in X.itertuples(index=False)
    ]
    (tmp_path / "fit.csv").write_text("\n".join(lines) + "\n")
    later = "cost;size;count" + ";word" * words + ("\n1.218;50,1;20" + ";x" * words) * 3 + "\n"
    (tmp_path / "later.csv").write_text(later)
    model = model_of(tmp_path / "fit.csv")
    detector = OutlierDetector(model, random_state=0).fit(isthmus.open_data(tmp_path / "fit.csv"))
    later = pd.read_csv(tmp_path / "later.csv", sep=";", dtype=str)
    later.to_parquet(tmp_path / "later.parquet")
    if form == "parquet" and not words:
        with pytest.raises(DataError, match="must hold numbers only"):
            model.transform(isthmus.open_data(tmp_path / "later.parquet"))
        return
    rows = {
        "pandas": lambda: later,
        "object": lambda: later.astype(object),
        "polars": lambda: pytest.importorskip("polars").from_pandas(later),
        "arrow": lambda: pa.Table.from_pandas(later, preserve_index=False),
        "parquet": lambda: isthmus.open_data(tmp_path / "later.parquet"),
    }[form]()
    source = isthmus.open_data(tmp_path / "later.csv")
    np.testing.assert_array_equal(model.transform(rows), model.transform(source))
    np.testing.assert_array_equal(detector.score_samples(rows), detector.score_samples(source))


def test_words_of_missing_entries_are_found_in_text_as_in_files(tmp_path):
    frame = pd.DataFrame({"a": RNG.normal(size=40), "w": RNG.choice(["x", "y"], 40)})
    frame.to_csv(tmp_path / "fit.csv", index=False)
    fit = isthmus.open_data(tmp_path / "fit.csv", na_values=["-999", "none"])
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit(fit)
    cells = ["-999", "-999.0", " -999", "1.5"]
    later = pd.DataFrame({"a": cells, "w": ["x", " none", "none", "y"]})
    given = model.impute(later)
    assert (pd.to_numeric(given["a"]) != -999).all()
    assert set(given["w"]) <= {"x", "y"}
    odd = pd.DataFrame({"a": pd.Series([1, "2", -999, 2**70], dtype=object), "w": ["x"] * 4})
    numbers = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    frame.assign(b=1.0 + frame["a"])[["a", "b"]].to_csv(tmp_path / "n.csv", index=False)
    numbers.fit(isthmus.open_data(tmp_path / "n.csv", na_values=["-999"]))
    codes = numbers.transform(odd[["a"]].assign(b=1.0))
    plain = pd.DataFrame({"a": [1, 2, np.nan, 2.0**70], "b": 1.0})
    np.testing.assert_array_equal(codes, numbers.transform(plain))


def test_other_columns_tell_that_a_point_may_be_for_thousands(tmp_path):
    rows = [("1.218", "1.500,5"), ("617", "2,5"), ("944", "3,25"), ("1.100", "2.750,75")] * 5
    path = tmp_path / "x.csv"
    path.write_text("price,size\n" + "".join(f'"{a}","{b}"\n' for a, b in rows))
    with pytest.raises(DataError, match=r"numbers in column 'size' are written '1\.500,5'"):
        isthmus.open_data(path)
    assert isthmus.open_data(path, text=["price"]).schema.field("price").type == pa.string()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_months_that_were_numbers_are_numbers(tmp_path, kind):
    put = partial(_put, tmp_path, kind, "month")
    for month in ("10", "11", "12"):
        put("fit", month)
    put("later", "01")
    model = model_of(tmp_path / "fit")
    later = isthmus.open_data(tmp_path / "later")
    assert later.schema.field("month").type == pa.string()
    assert np.unique(np.asarray(model.impute(later))[:, 2]).tolist() == [1]


def test_categories_of_numbers_are_numbers_where_the_fit_had_these(tmp_path):
    frame = pd.DataFrame({"k": RNG.integers(1, 4, 60), "a": RNG.normal(size=60)})
    kept = frame.assign(k=frame["k"].astype("category"))
    frame.to_parquet(tmp_path / "numbers.parquet")
    kept.to_parquet(tmp_path / "kept.parquet")
    model = model_of(tmp_path / "numbers.parquet")
    codes = model.transform(frame)
    later = isthmus.open_data(tmp_path / "kept.parquet")
    np.testing.assert_array_equal(model.transform(later), codes)
    both = isthmus.open_data([tmp_path / "kept.parquet", tmp_path / "numbers.parquet"])
    assert both.schema.field("k").type == pa.int64()
    labels = isthmus.open_data(tmp_path / "kept.parquet", label="k").labels
    np.testing.assert_array_equal(labels, frame["k"])
    done("fit", tmp_path / "numbers.parquet", "--out", tmp_path / "run", *FIT)
    for name in ("numbers", "kept"):
        path, out = (tmp_path / f"{name}.{ending}" for ending in ("parquet", "npy"))
        done("transform", tmp_path / "run", path, "-o", out)
    assert (tmp_path / "kept.npy").read_bytes() == (tmp_path / "numbers.npy").read_bytes()


@pytest.mark.parametrize("rows", [pd.DataFrame, {"a": [1]}, "later.csv", None], ids=str)
def test_what_is_no_rows_is_refused_whatever_a_fit_remembers(tmp_path, rows):
    _holed(["a", "d"]).to_csv(tmp_path / "a.csv", index=False)
    fit = isthmus.open_data(tmp_path / "a.csv", na_values=["-999"])
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit(fit)
    for method in (model.transform, model.impute, lambda given: evaluate(model, given)):
        with pytest.raises(DataError) as told:
            method(rows)
        assert told.value.remedy
    lazy = pytest.importorskip("polars").LazyFrame({"a": [1.0], "d": [2.0]})
    with pytest.raises(DataError, match="has not been computed yet"):
        model.transform(lazy)
