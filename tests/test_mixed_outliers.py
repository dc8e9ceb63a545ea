"""Outliers in mixed tables: planted ones are found and explained; numbers score as they did."""

from __future__ import annotations

import copy
import json
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder
from tests.command_line import done
from tests.estimator_examples import same_bits

from isthmus import Autoencoder, OutlierDetector, VariationalAutoencoder
from isthmus.cli import main as door
from isthmus.cli._dispatch import run
from isthmus.errors import DataError
from isthmus.estimators.outliers import RULES, Reason
from isthmus.estimators.outliers.views import default_components
from isthmus.evaluation.outlyingness import category_surprise, combined, tail_surprise, whitening

JOBS = np.array(["clerk", "smith", "nurse", "judge"])
PLACES = np.array(["office", "forge", "clinic", "court"])
TOOLS = np.array(["pen", "hammer", "needle", "book"])
LEVELS = np.array([7.6, 7.2, 7.9, 9.0])


def people(n: int, seed: int) -> pd.DataFrame:
    """Job, place, tool, pay and hours go together; 5% of the entries are missing."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, 4, n)
    place, tool = (np.where(rng.random(n) < p, job, rng.integers(0, 4, n)) for p in (0.97, 0.95))
    table = pd.DataFrame(
        {
            "job": JOBS[job],
            "place": PLACES[place],
            "tool": pd.Categorical(TOOLS[tool]),
            "town": rng.choice(["Bonn", "Oslo", "Rome", "Lund"], n, p=[0.4, 0.3, 0.25, 0.05]),
            "age": np.clip(rng.normal(42, 10, n), 18, 75).round(),
            "pay": np.exp(LEVELS[job] + 0.12 * rng.normal(size=n)),
            "hours": rng.normal(np.array([38.0, 48.0, 40.0, 55.0])[job], 2.0),
            "kids": rng.poisson(1.4, n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        }
    )
    return table.mask(np.random.default_rng(seed + 1000).random(table.shape) < 0.05)


@cache
def planted(k: int = 60) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """400 usual rows, then k of each sort: which sort they are (0: none), and its column."""
    rng = np.random.default_rng(5)
    x = people(400 + 3 * k, 3)
    job = rng.integers(0, 4, len(x))
    odd = np.arange(400, len(x))
    other = (job + rng.integers(1, 4, len(x))) % 4
    far = np.where(job == 3, 0, 3)  # the judges' pay for others, the clerks' for judges
    whole = people(2000, 4).dropna()[: len(odd)]
    x.loc[odd] = whole.to_numpy()
    x.loc[odd, "job"], x.loc[odd, "tool"] = JOBS[job[odd]], TOOLS[job[odd]]
    x.loc[odd, "place"] = PLACES[job[odd]]
    x.loc[odd, "pay"] = np.exp(LEVELS[job[odd]] + 0.12 * rng.normal(size=len(odd)))
    x.loc[odd, "hours"] = rng.normal(np.array([38.0, 48.0, 40.0, 55.0])[job[odd]], 2.0)
    first, second, third = np.split(odd, 3)
    x.loc[first, "place"] = PLACES[other[first]]
    x.loc[second, "pay"] = np.exp(LEVELS[far[second]] + 0.12 * rng.normal(size=k))
    x.loc[third, "age"] = rng.choice([-40.0, 160.0, 250.0], k)
    sort = np.repeat([0, 1, 2, 3], [400, k, k, k])
    return x, sort, [("", "place", "pay", "age")[s] for s in sort]


def small(**more: Any) -> OutlierDetector:
    model = VariationalAutoencoder(5, max_epochs=15, hidden_layer_sizes=(32,), scaling="standard")
    return OutlierDetector(model, **more)


@cache
def fitted(rule: str = "contamination") -> OutlierDetector:
    """Not to be changed by a test. A rule does not touch the views: one fit is enough."""
    if rule == "contamination":
        return small().fit(people(1200, 1))
    detector = copy.copy(fitted()).set_params(threshold=rule, false_alarm_rate=0.05)
    detector._decide()
    return detector


def forest(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Scores of scikit-learn's isolation forest on one-hot rows, holes at the median."""
    words = [name for name in train if train[name].dtype.kind not in "fiu"]
    words = [name for name in words if name != "since"]
    numbers = [name for name in train if name not in [*words, "since"]]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    def plain(x: pd.DataFrame) -> pd.DataFrame:
        return x[words].astype(object).where(x[words].notna(), "")

    def encoded(x: pd.DataFrame) -> np.ndarray:
        filled = x[numbers].fillna(train[numbers].median())
        return np.hstack([encoder.transform(plain(x)), filled])

    encoder.fit(plain(train))
    model = IsolationForest(n_estimators=300, random_state=0).fit(encoded(train))
    return -model.score_samples(encoded(test))


def auroc(sort: np.ndarray, score: np.ndarray, which: int) -> float:
    of = (sort == 0) | (sort == which)
    return float(roc_auc_score(sort[of] > 0, score[of]))


# The mathematics


def test_the_surprise_of_a_category_is_the_share_of_rows_as_rare() -> None:
    rng = np.random.default_rng(0)
    columns = np.repeat([3, 7], [5, 4])
    counts = np.r_[rng.integers(0, 30, 5), [10, 10, 40, 0]].astype(float)
    found = category_surprise(counts, columns, 60.0)
    for j in range(9):
        of = counts[columns == columns[j]]
        p = (1 + of[of <= counts[j]].sum()) / 61
        assert found[j] == pytest.approx(-np.log(min(p, 1.0)))


def test_whitening_by_columns_gives_those_that_are_features_what_it_gave() -> None:
    x = np.random.default_rng(0).normal(size=(300, 4)) @ np.diag([1.0, 5.0, 0.2, 9.0])
    assert same_bits(whitening(x, np.arange(4)), whitening(x))


def test_whitened_categories_have_the_covariance_of_a_projection() -> None:
    # of C categories C − 1 directions vary, each then by 1; that of their sum does not
    hot = np.eye(3)[np.random.default_rng(0).integers(0, 3, 60_000)]
    w = whitening(hot, np.zeros(3, dtype=int))
    assert np.allclose(np.cov((hot @ w).T), np.eye(3) - 1 / 3, atol=0.01)


# Numbers


@pytest.mark.parametrize("holes", [False, True])
def test_numbers_are_scored_by_the_numbers_themselves_to_the_last_bit(holes: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(300, 5))
    if holes:
        x[rng.random(x.shape) < 0.1] = np.nan
    model = Autoencoder(2, max_epochs=3, hidden_layer_sizes=(8,), early_stopping=False)
    detector = OutlierDetector(model).fit(x)
    views, inner = detector._views, detector.autoencoder_

    def scaled(rows: np.ndarray) -> np.ndarray:
        return inner.scaling_.apply(torch.from_numpy(rows), torch.float64).numpy()

    there, fitted, codes = scaled(x), scaled(inner.reconstruct(x)), inner.transform(x)
    filled = np.where(np.isnan(there), fitted, there)
    residual = views.residual(np.nan_to_num(there - fitted)) / views.inflation
    row = filled / views.deviation
    scores = [
        tail_surprise(np.sort(views.reference, axis=0), there).sum(1),
        residual + views.code(codes - views.centre),
        views._near["code"].distance(codes),
        views._near["outline"].distance(row @ views.directions),
        views._near["distance"].distance(row),
        views._near["whitened"].distance(filled @ views.whitening),
    ]
    surprises = np.stack([t(s) for t, s in zip(views.tails, scores, strict=True)], axis=1)
    assert same_bits(detector.surprises(x), surprises)
    assert same_bits(detector.score_samples(x), -combined(surprises))
    frame = pd.DataFrame(x, columns=list("abcde"))
    assert same_bits(OutlierDetector(model).fit(frame).score_samples(frame), -combined(surprises))


def test_the_outline_blames_what_differs_and_not_what_goes_with_it() -> None:
    # five features say one thing; a row that is far out in one of them is far out along it
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1)) + 0.3 * rng.normal(size=(400, 5))
    model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(8,), early_stopping=False)
    views = OutlierDetector(model).fit(x)._views
    odd = np.array([[0.0, 0.0, 30.0, 0.0, 0.0]])
    parts = views._apart("outline", views.rows.seen(odd))[0]
    assert parts[2] > 0.9 * parts.sum()
    distance = views._near["outline"].nearest(views._placed("outline", views.rows.seen(odd)))[1]
    assert parts.sum() == pytest.approx(np.square(distance).mean())


# The detector


@pytest.mark.parametrize(("which", "least"), [(1, 0.93), (2, 0.97), (3, 0.99)])
def test_planted_outliers_are_found_and_their_column_is_the_first_reason(
    which: int, least: float
) -> None:
    x, sort, column = planted()
    detector = fitted()
    found = auroc(sort, -detector.score_samples(x), which)
    assert found > least
    assert found > auroc(sort, forest(people(1200, 1), x), which) + 0.05
    odd = np.flatnonzero(sort == which)
    first = [why[0].column for why in detector.reasons(x.iloc[odd])]
    assert np.mean([name == column[i] for name, i in zip(first, odd, strict=True)]) > 0.75


def test_reasons_hold_what_the_table_holds() -> None:
    x = people(40, 7)[:3].astype({"tool": "category"})
    x.loc[0, ["age", "job"]] = [250.0, None]
    x.loc[1, "since"] = pd.Timestamp("1950-01-01")
    why = fitted().reasons(x, n=9)
    assert why[0][0][:2] == ("age", 250.0)
    assert {one.column: one.value for one in why[1]}["since"] == pd.Timestamp("1950-01-01")
    for row, reasons in enumerate(why):
        assert all(isinstance(one, Reason) for one in reasons)
        assert [one.share for one in reasons] == sorted((o.share for o in reasons), reverse=True)
        for one in reasons:
            held = x.iloc[row][one.column]
            assert one.value == held  # what is missing is no reason
    parts = fitted().explain(x)
    assert parts.shape == x.shape
    assert np.allclose(parts.sum(1), -fitted().score_samples(x))


def test_every_kind_of_frame_scores_alike_and_every_fit_too() -> None:
    x = people(200, 2)
    scores = fitted().score_samples(x)
    assert same_bits(fitted().score_samples(pl.from_pandas(x)), scores)
    assert same_bits(fitted().score_samples(pa.Table.from_pandas(x, preserve_index=False)), scores)
    few = people(300, 1)
    quick = OutlierDetector(VariationalAutoencoder(2, max_epochs=2, hidden_layer_sizes=(8,)))
    again = OutlierDetector(VariationalAutoencoder(2, max_epochs=2, hidden_layer_sizes=(8,)))
    assert same_bits(quick.fit(few).decision_scores_, again.fit(few).decision_scores_)
    assert np.array_equal(quick.fit_predict(few) == -1, quick.labels_)


def test_rates_and_p_values_hold_for_new_rows() -> None:
    new = people(2000, 8)
    low, high = fitted("false_alarms").false_alarm_interval_
    rate = (fitted("false_alarms").predict(new) == -1).mean()
    assert low <= 0.05 <= high
    assert low <= rate <= high
    p = fitted().p_values(new)
    for alpha in (0.05, 0.1, 0.3, 0.5):
        assert np.mean(p <= alpha) < alpha + 0.07
    flagged = fitted().predict(people(1200, 1)) == -1
    assert flagged.sum() == 120


@pytest.mark.parametrize("rule", RULES)
def test_a_saved_detector_is_the_same(rule: str, tmp_path: Path) -> None:
    detector, x = fitted(rule), people(100, 9)
    again = OutlierDetector.load(detector.save(tmp_path / "run"))
    for method in ("score_samples", "p_values", "predict", "explain", "surprises"):
        assert same_bits(getattr(again, method)(x), getattr(detector, method)(x))
    assert again.offset_ == detector.offset_
    assert again.reasons(x) == detector.reasons(x)


def test_what_the_fit_did_not_have_is_named_or_told() -> None:
    x = people(50, 2)
    with pytest.raises(DataError, match="now missing:\n- age"):
        fitted().predict(x.drop(columns="age"))
    with pytest.raises(DataError, match="unseen at fit time:\n- more"):
        fitted().predict(x.assign(more=1))
    with pytest.raises(DataError, match="column 'age' of X must be a number"):
        fitted().predict(x.assign(age="old"))
    x.loc[:2, "town"] = "Atlantis"
    with pytest.warns(UserWarning, match=r"3 entries are .* column 'town' \('Atlantis'\)"):
        scores = fitted().score_samples(x)
    assert np.allclose(scores, fitted().score_samples(x.replace({"town": {"Atlantis": None}})))
    strict = VariationalAutoencoder(
        2, max_epochs=1, hidden_layer_sizes=(4,), handle_unknown="error"
    )
    with pytest.raises(DataError, match="'Atlantis' in row 1, column 'town'"):
        OutlierDetector(strict).fit(people(60, 1)).predict(x)
    plain = OutlierDetector(VariationalAutoencoder(2, likelihood="gaussian"))
    with pytest.raises(DataError, match=r"column 'job' of X .* must hold numbers"):
        plain.fit(people(60, 1))


def test_a_category_that_only_held_out_rows_have_is_rare_and_known() -> None:
    x = people(200, 1)
    x.loc[0, "town"] = "Atlantis"
    quick = VariationalAutoencoder(2, max_epochs=3, hidden_layer_sizes=(8,))
    for seed in range(4):
        detector = OutlierDetector(quick, random_state=seed).fit(x)
        views = detector._views
        alone = views._alone(views.rows.seen(detector._rows(x[:1])))[0]
        assert alone[x.columns.get_loc("town")] > np.log(50)
        assert detector.reasons(x[:1])[0][0].column == "town"


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": list("xyxyxy" * 4)}),
        pd.DataFrame({"a": ["x"] * 24, "b": np.arange(24.0)}),
        pd.DataFrame({"a": list("xyz" * 2), "b": [1.5, None, 3.25, 4.5, 8.0, 1.0]}),
        pd.DataFrame({"a": ["x"] + [None] * 23, "b": np.arange(24.0) ** 2}),
    ],
    ids=["one column", "one category", "six rows", "one entry"],
)
def test_little_is_enough(table: pd.DataFrame) -> None:
    quick = VariationalAutoencoder(1, max_epochs=2, hidden_layer_sizes=(4,))
    detector = OutlierDetector(quick).fit(table)
    assert np.isfinite(detector.score_samples(table)).all()
    assert np.isfinite(detector.explain(table)).all()


def test_kinds_and_the_number_of_components_are_of_the_model() -> None:
    x = people(300, 1)
    model = VariationalAutoencoder(2, max_epochs=1, hidden_layer_sizes=(4,), kinds={"kids": "real"})
    assert OutlierDetector(model).fit(x).autoencoder_.encoding_.kinds["kids"] == "real"
    assert 1 <= default_components(model, x) < x.shape[1]
    independent = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 10)))
    assert default_components(model.set_params(kinds=None), independent) == 9


# Files


QUICK = ("--max-epochs", "5", "--hidden-layer-sizes", "16", "--no-early-stopping")


def test_the_command_names_columns_and_what_they_hold(
    tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    x = people(300, 1)
    x.loc[299] = people(2000, 4).dropna().iloc[0]
    x.loc[299, ["age", "town"]] = [250.0, "Lund"]
    x.insert(0, "id", [f"p{i}" for i in range(300)])
    x.to_csv("people.csv", index=False)
    words = ("--drop", "id", "--top", "1", *QUICK)
    assert (
        run(["outliers", "people.csv", *words, "--out", "s.csv", "--save", "run"], door.VERBS) == 0
    )
    said = capsys.readouterr().out
    assert "30 of 300 rows of people.csv stand out" in said
    assert "age = 250 (" in said
    written = pd.read_csv("s.csv")
    assert written.columns.tolist() == ["id", "score", "p_value", "outlier"]
    assert written["id"][written["score"].idxmin()] == "p299"
    x.loc[:2, "town"] = "Atlantis"
    x[["town", *x.columns.drop("town")]].to_csv("new.csv", index=False)
    words = ("--detector", "run", "--top", "400", "--json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["outliers", "new.csv", *words], door.VERBS) == 0
    told = capsys.readouterr()
    assert told.err.count("3 entries are of a category that the fit did not see") == 1
    facts = json.loads(told.out)
    assert facts["outliers"][0]["row"] == 299
    for one in facts["outliers"]:
        for feature in one["features"]:
            held = x[feature["feature"]][one["row"]]
            assert str(held).startswith(str(feature["value"]))


# The census table


def test_swapped_entries_of_the_census_are_told_better_than_by_a_forest() -> None:
    folder = os.environ.get("ISTHMUS_DATA")
    if not folder:
        pytest.skip("ISTHMUS_DATA is not set: the folder with adult.csv")
    table = pd.read_csv(Path(folder) / "adult.csv", na_values="?")
    # a country that only the test rows have would be told of
    table = table.drop(columns=["fnlwgt", "income", "native-country"]).sample(4000, random_state=0)
    table = table.reset_index(drop=True)
    train, test = table[:2500], table[2500:].reset_index(drop=True)
    rng = np.random.default_rng(0)
    sort = np.repeat([0, 1, 2, 3], [900, 200, 200, 200])
    for which, name in ((1, "relationship"), (2, "education")):
        for i in np.flatnonzero(sort == which):
            others = train[name][train[name] != test[name][i]]
            test.loc[i, name] = others.iloc[rng.integers(len(others))]
    test.loc[sort == 3, "hours-per-week"] = 168
    model = VariationalAutoencoder(10, max_epochs=20, hidden_layer_sizes=(64,), scaling="standard")
    detector = OutlierDetector(model).fit(train)
    ours, theirs = -detector.score_samples(test), forest(train, test)
    for which, least in ((1, 0.7), (2, 0.7), (3, 0.98)):
        assert auroc(sort, ours, which) > least
        assert auroc(sort, ours, which) > auroc(sort, theirs, which) + 0.1
    why = detector.reasons(test[sort == 3])
    assert np.mean([one[0][:2] == ("hours-per-week", 168) for one in why]) > 0.9


def test_a_surprise_in_hundreds_of_entries_has_no_reason() -> None:
    from types import SimpleNamespace

    from isthmus.estimators.outliers.reasons import reasons

    parts = np.ones((2, 400))
    parts[1, 7] = 20
    detector = SimpleNamespace(sample_shape_=(1, 20, 20), encoding_=None, _rows=np.asarray)
    none, one = reasons(parts, detector, np.zeros((2, 400)), 3)
    assert none == []
    assert [why.column for why in one] == ["row 0, column 7"]


def test_help_and_detector_agree_on_the_seed() -> None:
    assert "Seed; 0 without one" in done("outliers", "--help")
    assert OutlierDetector().random_state == 0
