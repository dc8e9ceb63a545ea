"""How rows reach a fitted model: by the names of their columns, in whatever order and company."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.command_line import call, done

from isthmus import Autoencoder, OutlierDetector, VariationalAutoencoder, open_data
from isthmus.cli import _rows
from isthmus.data.advice import advise
from isthmus.data.carrying import carried
from isthmus.data.columns import choosing
from isthmus.data.describe import describe
from isthmus.data.tables import Table, entry_name
from isthmus.errors import DataError
from isthmus.estimators import _sources
from isthmus.estimators.compare import compare
from isthmus.evaluation.evaluate import evaluate

N = 120
SMALL = {"max_epochs": 1, "hidden_layer_sizes": (8,), "random_state": 0}
FIT = ("--max-epochs", "1", "--n-components", "2", "--seed", "0", "--quiet")


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(N, 4))
    return pd.DataFrame(x.round(4), columns=list("abcd"))


def mixed() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = numbers()
    frame["city"] = rng.choice(["Rome", "Oslo", "Bonn"], N)
    frame["visits"] = rng.negative_binomial(2, 0.3, N)
    return frame


def identified(frame: pd.DataFrame) -> pd.DataFrame:
    frame.insert(0, "id", np.random.default_rng(2).permutation(N) + 1001)
    return frame


def otherwise(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with their columns the other way round."""
    return frame[list(frame.columns)[::-1]]


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        "numbers": Autoencoder(2, **SMALL).fit(numbers()),
        "mixed": Autoencoder(2, **SMALL).fit(mixed()),
    }


MAKE = {"numbers": numbers, "mixed": mixed}


# ------------------------------------------------------------------ columns by name


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("method", ["transform", "score_samples", "squared_errors"])
def test_a_source_goes_by_names(method, kind, large, models, monkeypatch):
    if large:
        monkeypatch.setattr(_sources, "LARGE", 0)
    model, X = models[kind], MAKE[kind]()
    wanted = getattr(model, method)(X)
    found = getattr(model, method)(open_data(otherwise(X)))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    with pytest.raises(DataError, match="the fit did not see 'more'"):
        getattr(model, method)(open_data(X.assign(more=1.0)))
    with pytest.raises(DataError, match="it lacks 'b'"):
        getattr(model, method)(open_data(X.drop(columns="b")))


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("form", ["pandas", "polars", "arrow"])
def test_frames_keep_the_rule_of_scikit_learn_and_say_the_remedy(form, kind, models):
    model, X = models[kind], otherwise(MAKE[kind]())
    frame: Any = X
    if form == "polars":
        frame = pytest.importorskip("polars").from_pandas(X)
    elif form == "arrow":
        frame = pa.Table.from_pandas(X, preserve_index=False)
    with pytest.raises(ValueError, match="must be in the same order as they were in fit") as error:
        model.transform(frame)
    assert "list(model.feature_names_in_)" in str(error.value)
    assert "The fit had 'a', 'b', " in str(error.value)
    assert f"X has {next(iter(X.columns))!r}, " in str(error.value)
    names = list(model.feature_names_in_)
    again = frame.select(names) if form == "arrow" else frame[names]
    np.testing.assert_array_equal(model.transform(again), model.transform(MAKE[kind]()))


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "array": lambda X: X.to_numpy(),
    "frame": lambda X: X,
    "table": lambda X: Table(X.to_numpy(), tuple(X.columns), "new.csv"),
    "nameless table": lambda X: Table(X.to_numpy(), None, "new.csv"),
    "source": open_data,
    "nameless source": lambda X: open_data(X.to_numpy()),
}
LACKS = "does not have valid feature names, but {} was fitted with feature names"
HAS = "has feature names, but {} was fitted without feature names"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", ["model", "detector"])
def test_names_on_one_side_only_are_warned_of_as_scikit_learn_does(
    kind, named, form, large, monkeypatch
):
    if large:
        monkeypatch.setattr(_rows, "READ_WHOLE", 0)
    X = numbers()
    other: Any = Autoencoder(2, **SMALL)
    if kind == "detector":
        other = OutlierDetector(other)
    other.fit(X if named else X.to_numpy())
    here = form in ("frame", "table", "source")
    said = "" if named == here else (LACKS if named else HAS).format(type(other).__name__)
    methods = ["score_samples"] if kind == "detector" else ["transform", "reconstruct", "score"]
    wanted = {m: getattr(other, m)(X if named else X.to_numpy()) for m in methods}
    for method in methods:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = getattr(other, method)(FORMS[form](X))
        assert [said in str(w.message) for w in told] == [True] * bool(said)
        np.testing.assert_allclose(found, wanted[method], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("form", ["array", "frame", "source"])
@pytest.mark.parametrize("named", [False, True])
def test_so_are_those_of_columns_of_any_kind(named, form):
    X = mixed()
    model = Autoencoder(2, likelihood="joint", **SMALL).fit(X if named else X.to_numpy(object))
    wanted = model.transform(X if named else X.to_numpy(object))
    given = X.to_numpy(object) if form == "array" else FORMS[form](X)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = model.transform(given)
    said = (LACKS if named else HAS).format("Autoencoder")
    assert [said in str(w.message) for w in told] == [True] * (named != (form != "array"))
    np.testing.assert_array_equal(found, wanted)


def test_evaluate_warns_of_names_too(models):
    X = numbers()
    with pytest.warns(UserWarning, match=LACKS.format("Autoencoder")):
        evaluate(models["numbers"], X.to_numpy())


@pytest.mark.parametrize("kind", MAKE)
def test_evaluate_goes_by_names_and_takes_sources(kind, models):
    model, X = models[kind], MAKE[kind]()
    wanted = {m["name"]: m["value"] for m in evaluate(model, X).facts["metrics"]}
    for given in (otherwise(X), open_data(X), open_data(otherwise(X))):
        found = {m["name"]: m["value"] for m in evaluate(model, given).facts["metrics"]}
        assert found["squared_error"] == pytest.approx(wanted["squared_error"])


def test_columns_are_chosen_by_position_of_any_source():
    X = mixed()
    source = choosing.of_source(open_data(X), [4, 0])
    (table,) = (t for piece in range(len(source.lengths)) for t in source.tables(piece))
    assert table.column_names == ["city", "a"] == list(source.names)
    assert table.column("a").to_pylist() == X["a"].tolist()
    plain = choosing.of_source(open_data(X[["a", "b"]]), [1])
    np.testing.assert_array_equal(np.concatenate(list(plain.read(0)))[:, 0], X["b"])
    of_array = choosing.of_source(open_data(np.eye(3)), [2, 0])
    assert of_array.names == ("x2", "x0")
    table = choosing.of_table(Table(np.eye(3), ("a", "b", "c"), "x"), [2, 1])
    assert (table.names, table.values.tolist()[0]) == (("c", "b"), [0.0, 0.0])


VERBS = {
    "transform": ("--out", "out.csv", "--force"),
    "score": (),
    "reconstruct": ("--out", "out.csv", "--force"),
    "evaluate": (),
    "report": ("--out", "page.html", "--force"),
}


@pytest.fixture(params=["table", "source"])
def place(request, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    if request.param == "source":
        monkeypatch.setattr(_rows, "READ_WHOLE", 0)
    return tmp_path


@pytest.mark.parametrize("kind", MAKE)
def test_a_run_remembers_what_was_dropped_and_goes_by_names(kind, place):
    X = identified(MAKE[kind]())
    X.to_csv("x.csv", index=False)
    otherwise(X).assign(note="hi").to_csv("new.csv", index=False)
    X.drop(columns=["id", "c"]).to_csv("lacks.csv", index=False)
    X.drop(columns="id").to_csv("without.csv", index=False)
    done("fit", "x.csv", "--drop", "id", "--out", "run", *FIT)
    done("transform", "run", "x.csv", "--out", "codes.csv")
    wanted = pd.read_csv("codes.csv")
    for name, said in (("x", ""), ("without", ""), ("new", "column 'note', which the fit did not")):
        out = done("transform", "run", f"{name}.csv", "--out", "out.csv", "--force")
        assert said in out
        assert ("Left out" in out) == bool(said)
        pd.testing.assert_frame_equal(pd.read_csv("out.csv"), wanted)
    for verb, more in VERBS.items():
        assert "Left out of new.csv: column 'note'" in done(verb, "run", "new.csv", *more)
        code, _, err = call(verb, "run", "lacks.csv", *more)
        assert code == 2
        assert "it lacks 'c'" in err
    told = json.loads(done("score", "run", "new.csv", "--json"))
    assert told["left_out"] == ["note"]
    code, _, err = call("score", "run", "without.csv", "--drop", "id")
    assert (code, "--drop 'id' must name columns" in err) == (2, True)


def test_nameless_columns_that_were_dropped_are_left_out_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = identified(numbers()).to_numpy()
    np.save("x.npy", X)
    np.save("less.npy", X[:, 1:])
    done("fit", "x.npy", "--drop", "x0", "--out", "run", *FIT)
    for name in ("x", "less"):
        done("transform", "run", f"{name}.npy", "--out", f"{name}-codes.npy")
    np.testing.assert_array_equal(np.load("x-codes.npy"), np.load("less-codes.npy"))


@pytest.mark.filterwarnings("default:.*feature names")
def test_what_is_carried_is_taken_as_the_rows_are(tmp_path, monkeypatch):
    """By position where the file has no names, though those of the fit occur here as stand-ins."""
    monkeypatch.chdir(tmp_path)
    X = numbers()
    X.iloc[:, 0] += 100
    swapped = X.set_axis(["x1", "x0", *X.columns[2:]], axis=1)
    swapped.to_csv("fit.csv", index=False)
    done("fit", "fit.csv", "--out", "run", *FIT)
    holed = swapped.mask(np.arange(len(X))[:, None] % 7 == np.arange(X.shape[1]))
    holed.to_csv("named.csv", index=False)
    holed.to_csv("nameless.csv", index=False, header=False)
    filled = []
    for name in ("named", "nameless"):
        assert (
            call("reconstruct", "run", f"{name}.csv", "--fill", "--out", f"{name}-out.csv")[0] == 0
        )
        header = 0 if name == "named" else None
        filled.append(pd.read_csv(f"{name}-out.csv", header=header).to_numpy())
    np.testing.assert_array_equal(*filled)
    assert filled[0][:, 0].min() > 50


def test_what_is_carried_is_refused_where_the_columns_are_others(tmp_path):
    numbers().to_csv(tmp_path / "x.csv", index=False, header=False)
    every = carried(tmp_path / "x.csv", written=True)
    n = len(every.names)
    assert every.features(None, [], n) == every.names
    assert every.features(None, ["x0"], n - 1) == every.names[1:]
    assert every.features(["q"] * n, ["x0"], n) == every.names  # left out before
    with pytest.raises(DataError, match=f"must have {n + 1}"):
        every.features(None, ["x0"], n + 1)


@pytest.mark.filterwarnings("default:.*feature names")
@pytest.mark.parametrize("kind", MAKE)
def test_nameless_rows_are_taken_by_position_and_it_is_said(kind, place):
    X = MAKE[kind]()
    X.to_csv("named.csv", index=False)
    X.to_csv("nameless.csv", index=False, header=False)
    for name in ("named", "nameless"):
        done("fit", f"{name}.csv", "--out", name, *FIT)
    for run in ("named", "nameless"):
        for rows in ("named", "nameless"):
            code, _, err = call(
                "transform", run, f"{rows}.csv", "--out", f"{run}-{rows}.npy", "--force"
            )
            said = "" if run == rows else (LACKS if run == "named" else HAS)
            assert code == 0
            assert err.count("Warning") == bool(said)
            assert said.format("Autoencoder") in err
    codes = [np.load(f) for f in sorted(Path().glob("*-*.npy"))]
    for other in codes[1:]:
        np.testing.assert_array_equal(codes[0], other)


def test_outliers_and_compare_go_by_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = identified(numbers())
    X.to_csv("x.csv", index=False)
    otherwise(X).assign(note="hi").to_csv("new.csv", index=False)
    more = ("--drop", "id", "--max-epochs", "1", "--quiet", "--out", "scores.npy", "--force")
    call("outliers", "x.csv", "--new", "x.csv", *more)
    wanted = np.load("scores.npy")
    code, out, _ = call("outliers", "x.csv", "--new", "new.csv", "--json", *more[:4], *more[5:])
    assert (code, json.loads(out)["left_out"]) == (0, ["note"])
    np.testing.assert_allclose(np.load("scores.npy"), wanted, rtol=1e-9)
    call("outliers", "x.csv", *more[:5], "--save", "detector")
    out = done("outliers", "new.csv", "--detector", "detector")
    assert "Left out of new.csv: column 'note', which the fit did not have." in out
    done("fit", "x.csv", "--drop", "id", "--out", "run", *FIT)
    code, out, _ = call("compare", "new.csv", "--into", "run", "--n-components", "1")
    assert (code, "column 'note'" in out) == (0, True)


# ------------------------------------------------------------------ identifiers


COLUMNS = {
    "permuted": ("n", np.random.default_rng(0).permutation(N) + 7, True),
    "with gaps": ("n", np.delete(np.arange(N + 8), range(0, 80, 10)), True),
    "called so": ("userId", np.arange(N) ** 2 * 1000, True),
    "repeated": ("n", np.arange(N) // 2, False),
    "sparse": ("income", np.random.default_rng(0).permutation(N * 50)[:N], False),
    "fractions": ("n", np.arange(N) + 0.5, False),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("case", COLUMNS)
def test_identifiers_are_told_of_before_a_fit(case, streamed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if streamed:
        monkeypatch.setattr(_rows, "READ_WHOLE", 0)
    name, values, is_one = COLUMNS[case]
    numbers().assign(**{name: values}).to_csv("x.csv", index=False)
    assert (f"--drop {name}" in done("info", "x.csv")) == is_one
    code, _, err = call("fit", "x.csv", "--out", "run", *FIT)
    assert code == 0
    assert (f"'{name}' of x.csv numbers the rows" in err) == is_one
    assert (f"Leave out with --drop {name}." in err) == is_one


def test_many_numbered_rows_in_any_order_are_an_identifier():
    n = 5000
    order = np.random.default_rng(0).permutation(n) + 10_000
    frame = pd.DataFrame({"row": order, "customer_id": order**2 % 99_991, "x": np.sin(order)})
    advice = advise(describe(open_data(frame)))
    assert set(advice.drop) == {"row", "customer_id"}


# ------------------------------------------------------------------ axes of arrays


def test_a_layout_is_stated_and_remembered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(40, 7, 9, 12))
    np.save("x.npy", x)
    np.savez("x.npz", X=x)
    code, _, err = call("fit", "x.npy", "--out", "run", *FIT)
    assert (code, "--layout NCHW or NHWC" in err) == (2, True)
    for name in ("x.npy", "x.npz"):
        done("fit", name, "--layout", "channels-last", "--out", "run", "--force", *FIT)
        said = json.loads((tmp_path / "run" / "config.json").read_text())
        assert said["data"]["layout"] == "NHWC"
        assert said["model"]["architecture"]["sample_shape"] == [12, 7, 9]
        assert "the model was fitted to" in done("score", "run", name)
        np.save("flat.npy", np.moveaxis(x, -1, 1).reshape(40, -1))
        done("transform", "run", name, "--out", "a.npy", "--force")
        done("transform", "run", "flat.npy", "--out", "b.npy", "--force")
        np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))
        done("evaluate", "run")
    for layout, said in (("NXYZ", "must be one of"), ("NCT", "must name every axis of x.npy")):
        code, _, err = call("info", "x.npy", "--layout", layout)
        assert (code, f"--layout {layout} {said}" in err) == (2, True)
    numbers().to_csv("x.csv", index=False)
    code, _, err = call("fit", "x.csv", "--layout", "NHWC", "--out", "run2")
    assert (code, "--layout NHWC has no meaning for x.csv" in err) == (2, True)
    assert "--layout NHWC" in done("info", "x.npy", "--layout", "nhwc")


def test_outliers_name_pixels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for x, named in (
        (np.zeros((30, 3, 10, 8)), r"row \d, column \d, channel \d"),
        (np.zeros((30, 9, 10)), r"row \d, column \d"),
        (np.zeros((30, 2, 12)), r"point \d+, channel \d"),
    ):
        np.save("x.npy", x + np.random.default_rng(0).integers(0, 9, x.shape))
        code, out, _ = call("outliers", "x.npy", "--max-epochs", "1", "--json")
        assert code == 0
        for found in json.loads(out)["outliers"]:
            assert all(re.fullmatch(named, one["feature"]) for one in found["features"])
    for entry in (0, 147, 239):
        channel, row, column = np.unravel_index(entry, (3, 10, 8))
        assert entry_name(entry, (3, 10, 8)) == f"row {row}, column {column}, channel {channel}"


# ------------------------------------------------------------------ one warning, one sentence


@pytest.mark.parametrize("verb", ["transform", "score", "reconstruct"])
def test_unknown_categories_are_told_once(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = mixed()
    X.to_parquet("x.parquet", row_group_size=30)
    X.loc[[3, 50, 100], "city"] = ["Paris", "Lima", "Kyiv"]
    X.to_parquet("new.parquet", row_group_size=30)
    done("fit", "x.parquet", "--out", "run", *FIT)
    more = () if verb == "score" else ("--out", "out.csv", "--force")
    for whole in (1 << 28, 0):
        monkeypatch.setattr(_rows, "READ_WHOLE", whole)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            code, _, err = call(verb, "run", "new.parquet", *more)
        assert code == 0
        assert err.count("Warning") == 1
        assert "3 entries are of a category" in err


def test_a_source_of_unknown_categories_warns_once(models):
    X = mixed()
    X.loc[[3, 50, 100], "city"] = "Paris"
    with pytest.warns(UserWarning, match="3 entries are") as said:
        models["mixed"].transform(open_data(X))
    assert len(said) == 1


def _twice() -> pd.DataFrame:
    return pd.concat([numbers(), numbers()[["b"]]], axis=1)


def _lazy() -> Any:
    return pytest.importorskip("polars").from_pandas(numbers()).lazy()


def _spoilt(column: str, value: Any) -> pd.DataFrame:
    X = mixed().astype({"visits": float})
    X.loc[5, column] = value
    return X


SENTENCES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "lazy fit": (lambda m: Autoencoder(2).fit(_lazy()), "Give X.collect()"),
    "lazy transform": (lambda m: m["numbers"].transform(_lazy()), "Give X.collect()"),
    "lazy evaluate": (lambda m: evaluate(m["numbers"], _lazy()), "Give X.collect()"),
    "a name twice": (lambda m: Autoencoder(2).fit(_twice()), "named 'b' .columns 2 and 5."),
    "a name twice, Arrow": (
        lambda m: Autoencoder(1).fit(pa.table([[1.0, 2.0], [3.0, 1.0]], names=["a", "a"])),
        "named 'a'",
    ),
    "a count below 0": (
        lambda m: m["mixed"].transform(_spoilt("visits", -3.0)),
        "-3 in row 6, column 'visits' of X must be a whole number",
    ),
    "infinite": (
        lambda m: m["mixed"].transform(_spoilt("a", np.inf)),
        "inf in row 6, column 'a' of X must be finite",
    ),
    "text for a number": (
        lambda m: m["mixed"].transform(mixed().assign(a="x")),
        "'x' in row 1, column 'a' of X must be a number",
    ),
    "a source's row": (
        lambda m: m["mixed"].transform(open_data(_spoilt("visits", -3.0))),
        "row 6, column 'visits' of the DataFrame",
    ),
    "an array of other width": (lambda m: m["mixed"].impute(np.ones((3, 4))), "must have 6"),
    "text, Gaussian, Arrow": (
        lambda m: Autoencoder(2, likelihood="gaussian").fit(pa.Table.from_pandas(mixed())),
        "not so column 'city' .text, such as 'Oslo'.. Use likelihood='auto'",
    ),
    "text for numbers, source": (
        lambda m: m["numbers"].transform(open_data(numbers().assign(a="x"))),
        "must hold numbers only; not so column 'a'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SENTENCES)
def test_what_cannot_be_used_is_one_sentence(case, models):
    act, said = SENTENCES[case]
    with pytest.raises(DataError, match=said):
        act(models)


def test_several_arrays_in_one_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"] = file["b"] = np.eye(4)
    code, _, err = call("info", tmp_path / "two.h5")
    assert (code, "Say which, such as" in err, "two.h5::a" in err) == (2, True, True)


def test_text_that_names_its_row_has_both_remedies(tmp_path):
    numbers().assign(name=[f"person {i}" for i in range(N)]).to_csv(tmp_path / "x.csv", index=False)
    code, _, err = call("fit", tmp_path / "x.csv", "--out", tmp_path / "run")
    assert code == 2
    assert f"column 'name' of {tmp_path / 'x.csv'} must" in err
    assert "Leave out with --drop name. Or" in err
    assert "categories: --kinds name=categorical." in err


# ------------------------------------------------------------------ forms of rows


def test_text_views_are_text():
    plain = pa.Table.from_pandas(mixed(), preserve_index=False)
    at = plain.schema.get_field_index("city")
    holes = plain.column("city").to_pylist()
    holes[3] = None
    views = plain.set_column(at, "city", pa.array(holes, pa.string_view()))
    model = Autoencoder(2, **SMALL).fit(views)
    as_text = views.set_column(at, "city", pa.array(holes))
    np.testing.assert_array_equal(model.transform(views), model.transform(as_text))
    filled = model.impute(views)
    assert filled.schema.field("city").type == pa.string_view()
    assert filled.column("city").null_count == 0


def test_objects_come_back_as_objects(models):
    X = mixed()
    X.loc[3, "city"] = None
    objects = X.to_numpy(dtype=object)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        filled = models["mixed"].impute(objects)
    assert filled.shape == objects.shape
    assert filled[3, 4] in ("Rome", "Oslo", "Bonn")
    assert (np.delete(filled, 3, 0) == np.delete(objects, 3, 0)).all()


def test_a_source_stands_where_all_rows_are_needed(monkeypatch):
    X = numbers()
    source = open_data(X)
    wanted = Autoencoder(2, **SMALL).partial_fit(X).transform(X)
    np.testing.assert_array_equal(Autoencoder(2, **SMALL).partial_fit(source).transform(X), wanted)
    detector = OutlierDetector(Autoencoder(2, **SMALL)).fit(source)
    np.testing.assert_array_equal(detector.predict(source), detector.predict(X))
    short = VariationalAutoencoder(max_epochs=1)
    found, same = (compare(given, [1], short, 0) for given in (source, X))
    assert found.as_facts() == same.as_facts()
    monkeypatch.setattr(_sources, "LARGE", 0)
    for method in (Autoencoder(2).partial_fit, OutlierDetector().fit, compare):
        with pytest.raises(DataError, match="is too large here"):
            method(source)


@pytest.mark.parametrize("n_features", [3, 1100])
@pytest.mark.parametrize("n_rows", [2, 3])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
def test_the_fewest_rows_are_streamed(likelihood, n_rows, n_features, monkeypatch):
    monkeypatch.setattr(_sources, "LARGE", 0)
    X = np.eye(n_rows, n_features)
    model = Autoencoder(1, likelihood=likelihood, **SMALL).fit(open_data(X))
    assert np.isfinite(model.transform(X)).all()
    with pytest.raises(DataError, match="must have at least 2 rows"):
        Autoencoder(1).fit(open_data(X[:1]))
