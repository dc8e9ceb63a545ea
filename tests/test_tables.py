"""Mixed tables: kinds, encoding and back, and what an estimator makes of them."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
    load,
    open_data,
)
from isthmus.data.columns.encoding import Encoding
from isthmus.data.columns.kinds import infer
from isthmus.data.readers import read
from isthmus.data.writers import write_frames
from isthmus.errors import CombinationError, DataError, InvalidParameterError, RunError
from isthmus.evaluation.evaluate import evaluate

SMALL = {"max_epochs": 4, "hidden_layer_sizes": (16,), "random_state": 0}


def frame(n: int = 240, holes: float = 0.15, seed: int = 0) -> pd.DataFrame:
    """Three groups seen through seven kinds of columns."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, 3, n)
    when = pd.Timestamp("2020-01-01", tz="Europe/Rome") + pd.to_timedelta(
        100 * g + rng.integers(0, 9, n), unit="D"
    )
    table = pd.DataFrame(
        {
            "city": pd.Categorical(np.array(["rome", "bonn", "oslo"])[g]),
            "size": 2.0 * g + rng.normal(size=n),
            "income": np.exp(2.0 * g + rng.normal(size=n)),
            "member": pd.array(rng.random(n) < 0.1 + 0.4 * g, dtype="boolean"),
            "visits": pd.array(rng.poisson(0.5 + 2 * g**2), dtype="Int64"),
            "grade": pd.Categorical.from_codes(
                np.clip(g + rng.integers(0, 2, n), 0, 3), list("dcba"), ordered=True
            ),
            "since": when,
        }
    )
    return table.mask(rng.random(table.shape) < holes)


KINDS = {
    "city": "categorical",
    "size": "real",
    "income": "positive",
    "member": "binary",
    "visits": "count",
    "grade": "ordinal",
    "since": "date",
}

# ------------------------------------------------------------------------------------- kinds

RNG = np.random.default_rng(1)
COLUMNS = {
    "text": (["a", "b", "c"] * 10, "categorical"),
    "two words": (["a", "b"] * 15, "binary"),
    "constant text": (["a"] * 30, "categorical"),
    "boolean": ([True, False, None] * 10, "binary"),
    "two numbers": ([1.5, 2.5] * 15, "binary"),
    "normal": (RNG.normal(size=30), "real"),
    "skewed": (np.exp(RNG.normal(size=30)), "positive"),
    "skewed with zero": (np.append(np.exp(RNG.normal(size=29)), 0.0), "real"),
    "counts": (np.append(RNG.poisson(2, size=29), 40), "count"),
    "negative": (np.append(RNG.poisson(2, size=29), -1), "real"),
    "rating": ([3, 4, 5] * 10, "real"),
    "constant": ([7.0] * 30, "real"),
    "days": (pa.array(range(30), pa.date32()), "date"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_kind_is_inferred(name):
    values, kind = COLUMNS[name]
    assert infer(pa.table({"x": values})) == {"x": kind}


def test_all_kinds_of_a_frame_and_those_that_are_stated():
    assert Encoding.fit(frame()).kinds == KINDS
    assert Encoding.fit(frame(), {"visits": "real"}).kinds == {**KINDS, "visits": "real"}


REFUSED = {
    "identifier": ({"x": [f"id{i}" for i in range(30)]}, None, "drop="),
    "empty": ({"x": pa.array([None, None], pa.string())}, None, "no value"),
    "time of day": ({"x": pa.array([1, 2], pa.time32("s"))}, None, "drop="),
    "duration": ({"x": pa.array([1, 2], pa.duration("s"))}, None, "such as its seconds"),
    "free text": ({"x": ["a" * 1001, "b"] * 9}, None, "up to 1,001 characters.*drop="),
    "free text, stated": ({"x": ["a" * 1001, "b"]}, {"x": "binary"}, "at most 1,000"),
    "free text, listed": (
        {"x": pa.DictionaryArray.from_arrays([0, 0], ["a", "b" * 1001])},
        None,
        "free text",
    ),
    "infinite": ({"x": [1.0, np.inf]}, None, "infinite"),
    "positive": ({"x": [0.0, 1.0]}, {"x": "positive"}, "above 0"),
    "count": ({"x": [0.5, 1.0]}, {"x": "count"}, "whole numbers"),
    "real": ({"x": ["a", "b"]}, {"x": "real"}, "numbers"),
    "binary": ({"x": ["a", "b", "c"]}, {"x": "binary"}, "two distinct"),
    "date": ({"x": [1, 2]}, {"x": "date"}, "dates"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_kind_takes_is_refused_with_the_rule(name):
    columns, kinds, words = REFUSED[name]
    with pytest.raises(DataError, match=words):
        Encoding.fit(pa.table(columns), kinds)


def test_core_and_data_know_the_same_kinds():
    from isthmus.core import joint
    from isthmus.data.columns import kinds

    assert joint.KINDS == kinds.KINDS
    coded = [kind for kind in kinds.KINDS if kind not in (*joint._REAL, "count")]
    assert coded == list(kinds.CODED)


@pytest.mark.parametrize("kinds", [{"x": "word"}, {"y": "real"}])
def test_unknown_kind_or_column_is_refused(kinds):
    with pytest.raises(InvalidParameterError, match="must"):
        Encoding.fit(pa.table({"x": [1.0, 2.0]}), kinds)


def test_one_pass_over_parts_equals_the_whole():
    whole = pa.Table.from_pandas(frame(300), preserve_index=False)
    parts = (whole.slice(start, 100) for start in range(0, 300, 100))
    assert Encoding.fit(parts) == Encoding.fit(whole)


# ---------------------------------------------------------------------------------- encoding


def cells(inner):
    return st.lists(st.one_of(st.none(), inner), min_size=12, max_size=12)


TYPES = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "int64": (pa.int64(), st.integers(-(2**50), 2**50)),
    "uint16": (pa.uint16(), st.integers(0, 2**16 - 1)),
    "float32": (pa.float32(), st.floats(-1e6, 1e6, width=32)),
    "float64": (pa.float64(), st.floats(-1e150, 1e150)),
    "bool": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.sampled_from(["a", "b", "a b", "ü"])),
    "date": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("ms", "UTC"), st.integers(-(10**12), 4 * 10**12)),
    "category": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["x", "y", "z"])),
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.data())
def test_round_trip_keeps_values_and_types(name, data):
    kind, inner = TYPES[name]
    values = data.draw(cells(inner).filter(lambda v: any(x is not None for x in v)))
    table = pa.table({"x": pa.array(values, kind)})
    encoding = Encoding.fit(table)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again == encoding
    matrix = again.encode(table)
    assert matrix.dtype == np.float64
    assert [v is None for v in values] == np.isnan(matrix[:, 0]).tolist()
    back = again.decode(matrix)
    if again.kinds["x"] == "positive":
        np.testing.assert_allclose(*(t["x"].to_pandas() for t in (back, table)), rtol=1e-12)
    else:
        assert back["x"].to_pylist() == table["x"].to_pylist()
    assert pa.types.is_dictionary(back["x"].type) == pa.types.is_dictionary(kind)


def test_round_trip_of_a_dataframe():
    X = frame()
    encoding = Encoding.fit(X)
    pd.testing.assert_frame_equal(encoding.decode(encoding.encode(X), "pandas"), X)


def test_polars_and_arrow_come_back_as_themselves():
    pl = pytest.importorskip("polars")
    X = pl.from_pandas(frame().drop(columns="grade"))
    encoding = Encoding.fit(X)
    back = encoding.decode(encoding.encode(X), "polars")
    assert back.schema == X.schema
    assert encoding.decode(encoding.encode(X)).num_rows == len(X)


NUMBERS = [
    pa.int8(), pa.uint16(), pa.int64(), pa.float16(), pa.float32(), pa.float64(),
    pa.decimal128(6, 3), pa.bool_(),
]  # fmt: skip
WORDS = [pa.string(), pa.large_string(), *(
    pa.dictionary(index, text) for index in (pa.int8(), pa.int64())
    for text in (pa.string(), pa.large_string())
)]  # fmt: skip
DATES = [
    pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC"),
    pa.timestamp("ms", "Europe/Rome"),
]  # fmt: skip
FILLED = [
    (kind, fit, now)
    for kinds, family in (
        (("real", "positive", "count", "categorical", "ordinal"), NUMBERS),
        (("categorical", "ordinal"), WORDS),
        (("date",), DATES),
    )
    for kind in kinds
    for fit in family
    for now in family
    if fit != pa.bool_() or kind in ("categorical", "ordinal")
]


def some(kind: pa.DataType, now: bool) -> pa.Array:
    """Three values, of which those of the fit are whole, and those now are not where they can."""
    if pa.types.is_boolean(kind):
        values = [True, False, True] if not now else [True, True, True]
    elif pa.types.is_dictionary(kind) or kind in WORDS:
        values = ["a", "b", "c"]
    elif kind in DATES:
        values = pa.array([10**9, 1, 86_400 * 365], pa.timestamp("s"))
        return values.cast(pa.timestamp("us")).cast(kind, safe=False)
    elif pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        values = [1, 2, 5]
    else:
        values = np.array([1.0, 2.0, 5.0], kind.to_pandas_dtype())
    return pa.array(values, kind)


@pytest.mark.filterwarnings("ignore:.*(did not see|taken for)")
@pytest.mark.parametrize(("kind", "fit", "now"), FILLED, ids=str)
def test_what_is_known_stays_and_its_type_tells_that_of_what_is_filled(kind, fit, now):
    encoding = Encoding.fit(pa.table({"x": some(fit, now=False)}), {"x": kind})
    given = some(now, now=True)
    if kind in ("real", "positive") and pa.types.is_floating(now):
        given = pa.array(np.array([1.75, 2.5, 3.25], now.to_pandas_dtype()))
    holed = given.take(pa.array([0, None, 2]))
    made = np.array([[0.4], [1.4], [0.4]])
    whole, filled = (
        encoding.fill(pa.table({"x": x}), made)["x"].combine_chunks() for x in (given, holed)
    )
    assert whole.type == filled.type
    assert filled.null_count == 0
    known = encoding.encode(pa.table({"x": given}))[:, 0]
    for i in (0, 1, 2):
        if not np.isnan(known[i]):
            assert whole[i].as_py() == given[i].as_py()
    if not np.isnan(known[2]):
        assert filled[2] == whole[2]
    coded = kind in ("categorical", "ordinal")
    widened = now == pa.bool_() or (coded and (pa.types.is_decimal(now) or fit == pa.bool_()))
    assert filled.type == now or widened


def test_entries_beyond_the_types_of_the_fit_stay():
    rows = {"a": [1.75, None, 3.25], "b": [2**60 + 1, None, -7], "c": [True, None, True]}
    small = pa.table({"a": [1, 2, 30], "b": pa.array([1, 2, 3], pa.int8()), "c": [1.5, 2.0, 0.5]})
    encoding = Encoding.fit(small, dict.fromkeys("abc", "real"))
    filled = encoding.fill(pa.table(rows), np.full((3, 3), 12.6))
    assert filled.to_pydict() == {
        "a": [1.75, 13.0, 3.25], "b": [2**60 + 1, 13, -7], "c": [1.0, 12.6, 1.0]
    }  # fmt: skip


FRAMES = ["int8", "int64", "Int16", "Int64", "float32", "Float64", "float64", "object", "boolean",
          "int32[pyarrow]", "double[pyarrow]"]  # fmt: skip


@pytest.mark.parametrize("now", FRAMES)
@pytest.mark.parametrize("fit", [dtype for dtype in FRAMES if dtype != "boolean"])
def test_a_dataframe_that_is_filled_has_its_own_types(fit, now):
    X = pd.DataFrame({"x": pd.Series([1, 2, 9], dtype=fit)})
    encoding = Encoding.fit(X, {"x": "real"})
    Y = pd.DataFrame({"x": pd.Series([1, 1, 0], dtype=now)})
    made = np.full((3, 1), 3.0)
    whole = encoding.fill(Y, made, "pandas")
    if now == "boolean" or now == "object":
        assert whole["x"].tolist() == [1, 1, 0]
    else:
        pd.testing.assert_frame_equal(whole, Y)
    if not now.startswith("int") or "pyarrow" in now:
        filled = encoding.fill(Y.mask([[False], [True], [False]]), made, "pandas")
        assert filled["x"].tolist() == [1, 3, 0]
        assert now == "object" or filled.dtypes.equals(whole.dtypes)


def test_blocks_that_are_filled_are_one_file(tmp_path):
    encoding = Encoding.fit(pa.table({"x": [1, 2, 30], "y": ["a", "b", "c"]}), {"x": "real"})
    dictionary = pa.array(["c", "a"]).dictionary_encode()
    blocks = [
        pa.table({"x": [1.5, 2.5], "y": dictionary}),
        pa.table({"x": [1.5, None], "y": dictionary.take(pa.array([0, None]))}),
    ]
    file = tmp_path / "x.parquet"
    write_frames(file, (encoding.fill(block, np.ones((2, 2))) for block in blocks))
    found = pq.read_table(file).to_pydict()
    assert found == {"x": [1.5, 2.5, 1.5, 1.0], "y": ["c", "a", "c", "b"]}


def test_unknown_categories_are_missing_or_an_error():
    encoding = Encoding.fit(pa.table({"x": ["a", "b", "c"]}))
    other = pa.table({"x": ["a", "d", "d", None, "?"]})
    with pytest.warns(UserWarning, match=r"2 entries .*'x' \('d'\)"):
        found = encoding.encode(other)
    np.testing.assert_array_equal(found[:, 0], [0, np.nan, np.nan, np.nan, np.nan])
    with pytest.raises(DataError, match="'d'"):
        encoding.encode(other, "error")


def test_density_of_logarithms_in_the_units_of_the_data():
    from scipy.stats import lognorm, norm

    encoding = Encoding.fit(pa.table({"x": [1.0, 2.0]}), {"x": "positive"})
    x = np.array([0.5, 3.0])
    z = encoding.encode(pa.table({"x": x}))
    found = norm.logpdf(z) + encoding.log_jacobian(z)
    np.testing.assert_allclose(found[:, 0], lognorm(1.0).logpdf(x))


TAMPERED = [
    {},
    {"columns": []},
    {"columns": [{"name": "x", "kind": "word", "type": "double", "categories": []}]},
    {"columns": [{"name": "x", "kind": "binary", "type": "double", "categories": []}]},
    {"columns": [{"name": "x", "kind": "real", "type": "string", "categories": []}]},
    {"columns": [{"name": "x", "kind": "real", "type": "pickle", "categories": []}]},
    {"columns": [{"name": "x", "kind": "binary", "type": "int64", "categories": [1, 1]}]},
    {"columns": [{"name": "x", "kind": "binary", "type": "int64", "categories": ["a"]}]},
    {"columns": [{"name": "x", "kind": "binary", "type": "int8", "categories": [1, 1000]}]},
    *(
        {"columns": [{"name": "x", "kind": "real", "type": "double", "categories": []}], "axis": a}
        for a in (
            {"labels": [0, 1], "levels": [None]},
            {"labels": [["a", "b"]], "levels": [None]},
            {"labels": ["a"], "levels": []},
            {"labels": [{}], "levels": [None]},
            {"labels": [0]},
        )
    ),
    *(
        {"columns": [{"name": "x", "kind": kind, "type": name, "categories": []} | more]}
        for kind, name, more in [
            ("date", "timestamp[us]", {"zone": "Nowhere/Land"}),
            ("date", "timestamp[us]", {"zone": "../../etc/passwd"}),
            ("date", "date32", {"zone": "UTC"}),
            ("real", "halffloat", {"pandas": "int64"}),
            ("real", "double", {"pandas": "float128"}),
            ("real", "int64", {"pandas": "Int8"}),
            ("real", "double", {"pandas": "string[os.system]"}),
        ]
    ),
]


@pytest.mark.parametrize("given", TAMPERED)
def test_a_tampered_encoding_is_refused(given):
    with pytest.raises(DataError, match="is not one"):
        Encoding.from_json(given)


# --------------------------------------------------------------------------------- estimator


OTHERS: dict[str, tuple[list, str]] = {
    "days": ([datetime.date(2024, 1, 1 + i % 28) for i in range(60)], ""),
    "numbers": ([Decimal(i) for i in range(60)], ""),
    "periods": (list(pd.period_range("2020-01", periods=60, freq="M")), "Or give it as dates"),
    "durations": ([datetime.timedelta(seconds=i) for i in range(60)], "such as its seconds"),
    "times": ([datetime.time(i % 24) for i in range(60)], "such as its minutes"),
    "lists": ([[1, i] for i in range(60)], "must hold numbers, text"),
    "bytes": ([b"a", b"b"] * 30, "must hold numbers, text"),
    "dicts": ([{"a": i} for i in range(60)], "must hold numbers, text"),
    "objects": ([object() for _ in range(60)], "must hold values of one type"),
    "numbers and days": ([1, datetime.date(2024, 1, 1)] * 30, "must hold values of one type"),
}


@pytest.mark.parametrize("numbers", ["auto", "gaussian"])
@pytest.mark.parametrize("form", ["pandas", "polars"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_frame_of_numbers_and_others_is_taken_or_refused_with_the_remedy(name, form, numbers):
    values, said = OTHERS[name]
    columns = {"a": np.arange(60.0), "b": np.sin(np.arange(60)), "z": values}
    if form == "polars":
        pl = pytest.importorskip("polars")
        if name in ("periods", "objects", "numbers and days"):  # which polars does not take
            return
        X = pl.DataFrame(columns)
    else:
        X = pd.DataFrame(columns)
    fit = Autoencoder(1, likelihood=numbers, **SMALL).fit
    if name == "numbers" or (name == "days" and numbers == "auto"):
        found = fit(X).impute(X)
        assert name == "numbers" or list(found["z"]) == values
        return
    with pytest.raises(DataError, match=said if numbers == "auto" else "must hold numbers") as told:
        fit(X)
    assert "column 'z' of X" in str(told.value)
    assert len(str(told.value)) < 400


LABELS = {
    "numbers": pd.Index([2, 0, 1]),
    "a range": pd.RangeIndex(3),
    "a name": pd.Index(["a", "b", "c"], name="what"),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["u", None]),
    "levels of words": pd.MultiIndex.from_product([["a"], ["x", "y", "z"]]),
    "of all sorts": pd.Index(["a", 1.5, True], dtype=object),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_columns_come_back(case, tmp_path):
    X = pd.DataFrame({"a": np.arange(60.0), "b": ["x", "y"] * 30, "c": np.sin(np.arange(60))})
    X.columns = LABELS[case]
    model = Autoencoder(1, **SMALL).fit(X)
    model.save(tmp_path / "run")
    for each in (model, load(tmp_path / "run")):
        made = [each.inverse_transform(each.transform(X)), each.sample(3, random_state=0)]
        for Y in (*made, each.reconstruct(X), each.impute(X)):
            pd.testing.assert_index_equal(Y.columns, X.columns, exact="equiv")


@pytest.fixture(scope="module")
def fitted():
    return DenoisingAutoencoder(3, **SMALL).fit(frame(600))


def test_a_mixed_frame_gets_the_joint_likelihood(fitted):
    assert fitted.likelihood_ == "joint"
    assert fitted.encoding_.kinds == KINDS
    assert fitted.autoencoder_.corruption.__class__.__name__ == "MaskingNoise"
    assert list(fitted.feature_names_in_) == list(KINDS)


def test_tables_come_back_with_their_types_and_labels(fitted):
    X = frame(20, seed=3).set_index(np.arange(20) + 100)
    for Y in (fitted.reconstruct(X), fitted.impute(X)):
        assert not Y.isna().any().any()
        assert list(Y.index) == list(X.index)
        assert Y.dtypes.equals(X.dtypes)
    assert fitted.sample(4, random_state=0).dtypes.equals(X.dtypes)
    assert fitted.inverse_transform(fitted.transform(X)).dtypes.equals(X.dtypes)
    hidden = fitted.corrupt(X, "masking", 0.5, random_state=0)
    assert 0.4 < hidden.isna().mean().mean() < 0.8


def test_imputing_leaves_what_is_there_to_the_last_bit(fitted):
    X = frame(50, seed=4)
    filled = fitted.impute(X)
    pd.testing.assert_frame_equal(filled.where(X.notna()), X, check_dtype=False)
    arrow = pa.Table.from_pandas(X, preserve_index=False)
    assert fitted.impute(arrow).schema.types == arrow.schema.types


def test_it_imputes_better_than_the_most_frequent(fitted):
    whole = frame(400, holes=0.0, seed=5)
    holed = whole.mask(np.random.default_rng(0).random(whole.shape) < 0.3)
    filled = fitted.impute(holed)
    gone = holed["city"].isna()
    right = (filled["city"].astype(str) == whole["city"].astype(str))[gone].mean()
    assert right > 0.6  # a third by chance


def test_order_batches_and_holes_do_not_change_a_row(fitted):
    X = frame(30, seed=6)
    z = fitted.transform(X)
    np.testing.assert_allclose(fitted.transform(X[::-1])[::-1], z, atol=1e-9)
    np.testing.assert_allclose(fitted.transform(X[3:4]), z[3:4], atol=1e-9)


def test_a_saved_mixed_model_is_the_same(fitted, tmp_path):
    again = load(fitted.save(tmp_path / "run"))
    X = frame(20, seed=3)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    pd.testing.assert_frame_equal(again.reconstruct(X), fitted.reconstruct(X))


def test_a_run_whose_encoding_does_not_fit_is_refused(fitted, tmp_path):
    run = fitted.save(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["model"]["encoding"]["columns"].pop()
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError):
        load(run)


def test_scores_are_in_the_units_of_the_data():
    X = frame(300, holes=0.0)[["size", "income", "city"]]
    a = Autoencoder(2, **SMALL).fit(X)
    b = Autoencoder(2, **SMALL).fit(X.assign(income=1000 * X["income"], size=X["size"] / 10))
    change = np.log(10) - np.log(1000)
    np.testing.assert_allclose(b.score(X.assign(income=1000 * X["income"], size=X["size"] / 10)),
                               a.score(X) + change, atol=0.02)  # fmt: skip


@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_other_presets_take_mixed_tables(cls):
    model = cls(2, **SMALL).fit(frame(150))
    assert np.isfinite(model.score(frame(20, seed=2)))
    assert model.validation_ <= model.history_[0]["validation"] + 1e-6 or model.stayed_linear_


def test_numbers_stay_as_they_were():
    X = np.random.default_rng(0).normal(size=(60, 4))
    auto, plain = (Autoencoder(2, likelihood=name, **SMALL).fit(X) for name in ("auto", "gaussian"))
    np.testing.assert_array_equal(auto.transform(X), plain.transform(X))
    assert auto.encoding_ is None
    assert isinstance(auto.reconstruct(pd.DataFrame(X)), np.ndarray)


def test_kinds_make_a_mixed_table_of_numbers():
    X = np.random.default_rng(0).poisson(3, size=(80, 3)).astype(float)
    model = Autoencoder(1, kinds={"x0": "count"}, **SMALL).fit(X)
    assert model.encoding_.kinds["x0"] == "count"
    found = model.reconstruct(X)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found[:, 0], found[:, 0].round())


CLASHES = {
    "kinds": lambda X: Autoencoder(2, kinds={"size": "real"}, likelihood="laplace").fit(X),
    "contraction": lambda X: ContractiveAutoencoder(2).fit(X),
    "jacobian": lambda X: Autoencoder(2, **SMALL).fit(X).jacobian_norm(X),
}


@pytest.mark.parametrize("name", CLASHES)
def test_what_does_not_go_with_a_mixed_table_says_so(name):
    with pytest.raises(CombinationError):
        CLASHES[name](frame(60))


@pytest.mark.parametrize("kind", ["held out", "training", "new"])
def test_evaluation_of_a_mixed_model(kind):
    X = frame(1200)
    model = VariationalAutoencoder(2, **SMALL).fit(X)
    found = evaluate(model, X, kind=kind, reference=X if kind == "new" else None,
                     labels=np.arange(len(X)) % 2)  # fmt: skip
    names = {one["name"] for one in found.facts["metrics"]}
    assert {"squared_error", "elbo", "kl", "linear_probe", "trustworthiness"} <= names
    assert found.facts["versus_pca"]["sentence"]
    assert found.facts["left_out"]
    error = next(m["value"] for m in found.facts["metrics"] if m["name"] == "squared_error")
    if kind != "held out":
        np.testing.assert_allclose(error, model.squared_errors(X).mean(), rtol=1e-5)


# ------------------------------------------------------------------------------ command line


def test_verbs_take_a_mixed_file(tmp_path, capsys):
    from isthmus.cli.main import main

    X = frame(200)
    csv, run = tmp_path / "x.csv", str(tmp_path / "run")
    X.to_csv(csv, index=False)
    out = [str(tmp_path / name) for name in ("z.csv", "r.csv", "f.parquet", "s.csv", "r.html")]
    fit = ["fit", str(csv), "--n-components", "2", "--max-epochs", "2", "--seed", "0", "-o", run]
    commands = [
        [*fit, "--kinds", "visits=count,size=real", "--model", "denoising"],
        ["transform", run, str(csv), "-o", out[0]],
        ["reconstruct", run, str(csv), "-o", out[1]],
        ["reconstruct", run, str(csv), "--fill", "-o", out[2]],
        ["score", run, str(csv)],
        ["sample", run, "-n", "5", "-o", out[3]],
        ["info", run],
        ["evaluate", run],
        ["report", run, "--out", out[4]],
    ]
    for words in commands:
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(main(words))
        assert ended.value.code in (0, None), (words, capsys.readouterr().err)
    filled = pd.read_parquet(out[2])
    assert not filled.isna().any().any()
    assert list(pd.read_csv(out[1]).columns) == list(X.columns)
    table = read(csv, mixed=True)
    assert table.frame.num_columns == 7
    with pytest.raises(DataError, match="numbers only"):
        read(csv)


def test_an_array_is_evaluated_by_the_places_of_the_columns() -> None:
    X = frame(60)
    model = Autoencoder(2, max_epochs=2, random_state=0).fit(X)
    named = evaluate(model, X, kind="new").facts["metrics"]
    with pytest.warns(UserWarning, match="columns are taken by position"):
        by_place = evaluate(model, X.to_numpy(), kind="new").facts["metrics"]
    assert by_place == named
    with pytest.raises(DataError, match=f"must have {X.shape[1]}, as the data of the fit"):
        evaluate(model, X.to_numpy()[:, 1:], kind="new")


ARROW_TYPES = {
    "string": pa.string(),
    "large string": pa.large_string(),
    "day": pa.date32(),
    "moment": pa.timestamp("us"),
    "whole": pa.int64(),
    "Boolean": pa.bool_(),
}


@pytest.mark.parametrize("case", [*ARROW_TYPES, "object"])
def test_columns_of_pandas_on_arrow_and_of_objects_come_back_as_they_were(case: str) -> None:
    days = pd.date_range("2024-01-01", periods=40)
    values: dict[str, Any] = {
        "day": days.date,
        "moment": days,
        "whole": range(40),
        "Boolean": [i % 2 == 0 for i in range(40)],
    }
    dtype = object if case == "object" else pd.ArrowDtype(ARROW_TYPES[case])
    column = pd.Series(values.get(case, ["a", "b", "c", "d"] * 10), dtype=dtype)
    frame = pd.DataFrame({"x": np.arange(40) / 7, "city": ["u", "v"] * 20, "it": column})
    frame.loc[3, "it"] = None
    model = DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    model.fit(frame)
    for made in (model.impute(frame), model.inverse_transform(model.transform(frame))):
        assert made["it"].dtype == column.dtype
        assert not made["it"].isna().any()
    known = frame["it"].notna()
    assert model.impute(frame)["it"][known].tolist() == frame["it"][known].tolist()


@pytest.mark.parametrize("kind", ["object", "category", "arrow dictionary"])
def test_unknown_categories_stay_where_holes_are_filled(kind: str) -> None:
    frame = pd.DataFrame({"x": np.arange(60) / 7, "city": ["Bern", "Rome", "Oslo"] * 20})
    model = DenoisingAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    model.fit(frame)
    new = pd.DataFrame({"x": [1.0, np.nan, 2.0], "city": ["Wien", "Bern", None]})
    new = new.astype({"city": "category"}) if kind == "category" else new
    given: Any = new
    if kind == "arrow dictionary":
        table = pa.Table.from_pandas(new)
        given = table.set_column(1, "city", table.column("city").dictionary_encode())
    with pytest.warns(UserWarning, match="did not see"):
        made = model.impute(given)
    city = made["city"].to_pylist() if kind == "arrow dictionary" else made["city"].tolist()
    assert city[:2] == ["Wien", "Bern"]
    assert city[2] in {"Bern", "Rome", "Oslo"}
    assert model.encoding_.holes(given).tolist() == [[False, False], [True, False], [False, True]]


def test_ways_to_store_text_and_sparse_columns_come_back(tmp_path):
    rng = np.random.default_rng(0)
    words = pd.Series(rng.choice(list("xyz"), 60))
    some = np.where(rng.random(60) < 0.5, 0.0, rng.normal(size=60))
    given = pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "python": words.astype(pd.StringDtype("python")),
            "pyarrow": words.astype(pd.StringDtype("pyarrow")),
            "arrow": words.astype(pd.ArrowDtype(pa.string())),
            "sparse": pd.Series(some, dtype="Sparse[float]"),
            "counts": pd.Series(rng.integers(0, 3, 60), dtype="Sparse[int]"),
            "flags": pd.Series(rng.integers(0, 2, 60).astype(bool), dtype="Sparse[bool]"),
        }
    )
    model = Autoencoder(2, likelihood="auto", max_epochs=1, random_state=0).fit(given)
    model.save(tmp_path / "run")
    other = load(tmp_path / "run")
    made = [model.reconstruct(given), model.impute(given), other.sample(5, random_state=0)]
    made.append(other.inverse_transform(other.transform(given)))
    for frame_made in made:
        kinds = [repr(kind) for kind in frame_made.dtypes]
        assert kinds == [repr(kind) for kind in given.dtypes]
    pd.testing.assert_frame_equal(made[1], given)


@pytest.mark.parametrize("kind", ["words", "numbers", "fractions"])
@pytest.mark.parametrize("large", [False, True])
def test_categories_are_categories_whichever_way_they_come_in(kind, large, tmp_path):
    rng = np.random.default_rng(0)
    values = {"words": list("xyz"), "numbers": [7, 3, 5], "fractions": [0.5, 1.5, 2.5]}[kind]
    given = pd.DataFrame(
        {
            "a": rng.normal(size=60),
            "b": rng.normal(size=60),
            "c": pd.Categorical(rng.choice(values, 60)),
        }
    )
    parquet, feather = tmp_path / "rows.parquet", tmp_path / "rows.feather"
    given.to_parquet(parquet, row_group_size=20 if large else None)
    given.to_feather(feather)
    ways = [given, pa.Table.from_pandas(given), open_data(given), open_data(parquet)]
    ways += [open_data(feather), read(parquet, mixed=True)]
    models = [
        Autoencoder(1, likelihood="auto", max_epochs=1, random_state=0).fit(way) for way in ways
    ]
    known = models[0].transform(given)
    for model in models:
        assert [column.kind for column in model.encoding_.columns] == [
            "real",
            "real",
            "categorical",
        ]
        np.testing.assert_allclose(model.transform(given), known, atol=1e-6)
        np.testing.assert_allclose(model.transform(open_data(parquet)), known, atol=1e-6)
