"""An evaluation as a whole: what it holds, that it holds, and `isthmus evaluate`."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from command_line import call, done
from estimator_examples import CLASSES, D, curved, supported
from isthmus import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.data.labels import column
from isthmus.errors import DataError, InvalidParameterError, IsthmusError
from isthmus.estimators import load
from isthmus.evaluation.catalogue import CATALOGUE
from isthmus.evaluation.evaluate import evaluate
from isthmus.evaluation.record import Evaluation
from isthmus.runs.directory import attached

QUICK: dict[str, Any] = {"max_epochs": 2, "hidden_layer_sizes": (16,), "random_state": 0}
DIGITS = load_digits()
LATE = DIGITS.data[:1200]


@cache
def held_out(name: str = "Autoencoder") -> Any:
    """A model of 1,200 digits, a tenth of them held out."""
    cls = {one.__name__: one for one in CLASSES}[name]
    return cls(4, **QUICK).fit(LATE)


@cache
def found(name: str = "Autoencoder") -> Evaluation:
    return evaluate(
        held_out(name), LATE, kind="held out", labels=DIGITS.target[:1200], n_importance=50
    )


def metrics(evaluation: Evaluation) -> dict[str, float]:
    return {one["name"]: one["value"] for one in evaluation.facts["metrics"]}


# ------------------------------------------------------------------ what it holds


def test_held_out_rows_are_those_of_the_fit() -> None:
    model, evaluation = held_out(), found()
    rows = model.held_out_.rows
    assert evaluation.facts["rows"]["n"] == len(rows) == 120
    np.testing.assert_array_equal(evaluation.arrays["rows"], rows)
    error = np.square(LATE[rows] - model.reconstruct(LATE[rows])).sum(1)
    np.testing.assert_allclose(evaluation.arrays["squared_error"], error, rtol=1e-5)
    assert metrics(evaluation)["squared_error"] == pytest.approx(error.mean())
    np.testing.assert_allclose(model.held_out_.squared_error, error, rtol=1e-4)


def test_pca_beside_it_is_scikit_learns_of_the_other_rows() -> None:
    model, evaluation = held_out(), found()
    rows = model.held_out_.rows
    others = np.delete(LATE, rows, axis=0)
    pca = PCA(4).fit(others)
    error = np.square(LATE[rows] - pca.inverse_transform(pca.transform(LATE[rows]))).sum(1)
    assert evaluation.facts["pca"]["squared_error"] == pytest.approx(error.mean())
    np.testing.assert_allclose(evaluation.arrays["pca_squared_error"], error, rtol=1e-4)
    assert evaluation.facts["versus_pca"]["pca_error"] == pytest.approx(error.mean(), rel=1e-4)
    line = evaluation.arrays["pca_noise_error"]
    assert line[0] == pytest.approx(error.mean(), rel=1e-4)


def test_set_output_changes_no_figure() -> None:
    frame = pd.DataFrame(curved(), columns=list(map(str, range(D))))
    model = Autoencoder(2, max_epochs=2, hidden_layer_sizes=(8,), random_state=0).fit(frame)
    facts = evaluate(model, frame, kind="training").facts
    told = evaluate(model.set_output(transform="pandas"), frame, kind="training").facts
    assert told["metrics"] == facts["metrics"]


@pytest.mark.parametrize("name", [cls.__name__ for cls in CLASSES])
def test_the_record_is_whole(name: str) -> None:
    evaluation = found(name)
    facts, a = evaluation.facts, evaluation.arrays
    json.dumps(facts, allow_nan=False)
    m, d, k = len(a["rows"]), 64, 4
    shapes = {
        "x": (m, d),
        "reconstruction": (m, d),
        "code": (m, k),
        "squared_error": (m,),
        "pca_squared_error": (m,),
        "nats": (m,),
        "label": (m,),
        "map": (m, 2),
        "feature_error": (d,),
        "pca_feature_error": (d,),
        "feature_variance": (d,),
        "r2": (d,),
        "activity": (k,),
        "code_deviation": (k,),
        "effect": (k,),
        "traversal": (k, 9, d),
        "traversal_value": (k, 9),
        "interpolation": (6, 9, d),
        "interpolation_rows": (6, 2),
        "noise_clean": (8, d),
        "noise_in": (8, d),
        "noise_out": (8, d),
        "outlier_x": (12, d),
        "outlier_p": (12,),
        "outlier_contribution": (12, d),
        "outlier_reconstruction": (12, d),
    }
    assert {key: a[key].shape for key in shapes} == shapes
    whole = {"rows", "label", "traversal_latent", "interpolation_rows", "outlier_rows"}
    for key, values in a.items():
        assert values.dtype == (np.int64 if key in whole else np.float32), key
        assert np.isfinite(values).all() or key == "r2", key
    for one in facts["metrics"]:
        assert math.isfinite(one["value"])
        assert one["name"] in CATALOGUE
        low = -math.inf if one["low"] is None else one["low"]
        high = math.inf if one["high"] is None else one["high"]
        assert low - 1e-9 <= one["value"] <= high + 1e-9, one
        assert "{" not in one["text"] + one["source"] + one["unit"], one
    variational = {"elbo", "importance_bound", "kl", "active_units", "mutual_information"}
    assert (name == "VariationalAutoencoder") == variational.issubset(metrics(evaluation))
    assert ("kl" in a) == (name == "VariationalAutoencoder")
    assert facts["picture"] == {"kind": "image", "shape": [8, 8], "low": 0.0, "high": 16.0}
    assert facts["labels"] == [str(i) for i in range(10)]
    assert facts["health"]
    np.testing.assert_array_equal(a["label"], DIGITS.target[a["rows"]])


def test_noise_is_the_models_own_where_it_has_one() -> None:
    model = DenoisingAutoencoder(2, noise="masking", noise_level=0.2, **QUICK).fit(curved())
    noise = evaluate(model, curved(), kind="training").facts["noise"]
    assert noise == {"kind": "masking", "unit": "of the entries", "reference": 0.2}
    assert found().facts["noise"]["kind"] == "gaussian"


def test_bounds_are_in_order_and_in_the_units_of_the_data() -> None:
    evaluation = found("VariationalAutoencoder")
    model, values = held_out("VariationalAutoencoder"), metrics(evaluation)
    rows = model.held_out_.rows
    nats = model.score_samples(LATE[rows])
    np.testing.assert_allclose(evaluation.arrays["nats"], nats, rtol=1e-5)
    assert values["elbo"] == pytest.approx(nats.mean())
    assert values["elbo"] < values["importance_bound"]
    assert values["bits_per_dimension"] == pytest.approx(-nats.mean() / 64 / math.log(2))
    assert values["kl"] == pytest.approx(
        values["mutual_information"] + values["aggregate_kl"], rel=1e-6
    )
    assert values["marginal_kl"] <= values["aggregate_kl"] + 0.1


def test_the_bound_of_an_importance_objective_is_the_evidence_bound() -> None:
    model = VariationalAutoencoder(2, objective="importance", n_draws=5, **QUICK).fit(curved())
    values = metrics(evaluate(model, curved(), kind="training", n_importance=200))
    # both are estimates: 16 draws a row leave an error of some hundredths of a nat
    assert values["elbo"] < values["importance_bound"] + 0.05
    assert values["elbo"] < model.score(curved()) + 0.05  # which is the bound of 16 draws


def test_cross_validated_rows_are_the_training_rows_and_it_says_so() -> None:
    model = Autoencoder(2, **QUICK).fit(curved())
    evaluation = evaluate(model, curved(), kind="held out")  # every row was held out once
    assert evaluation.facts["rows"]["n"] == len(curved())
    evaluation = evaluate(model, curved(), kind="training")
    assert "rows of the fit" in evaluation.facts["rows"]["words"]
    assert evaluation.facts["versus_pca"]["error"] == pytest.approx(
        model.held_out_.squared_error.mean()
    )
    assert evaluation.facts["generalisation"]["held_out"] == pytest.approx(
        model.held_out_.squared_error.mean()
    )


def test_new_rows_have_pca_only_with_the_rows_of_the_fit() -> None:
    model, new = Autoencoder(2, **QUICK).fit(curved()), curved(seed=0)[:50] + 0.01
    alone = evaluate(model, new)
    assert alone.facts["versus_pca"] is None
    assert alone.facts["pca"] == {}
    assert not {name for name in alone.arrays if name.startswith("pca")}
    beside = evaluate(model, new, reference=curved())
    assert beside.facts["versus_pca"]["sentence"]
    assert beside.facts["generalisation"]["training"] > 0
    assert metrics(alone)["squared_error"] == metrics(beside)["squared_error"]


def test_rows_on_another_scale_are_noticed() -> None:
    model = Autoencoder(2, **QUICK).fit(curved())
    names = {
        one["name"]
        for one in evaluate(model, curved() * 100).facts["health"]
        if one["level"] == "warning"
    }
    assert "scale" in names


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_every_likelihood_can_be_evaluated(likelihood: str, missing: float) -> None:
    x = supported(likelihood)
    x[np.random.default_rng(0).uniform(size=x.shape) < missing] = np.nan
    model = VariationalAutoencoder(2, likelihood=likelihood, **QUICK).fit(x)
    evaluation = evaluate(model, x, kind="training", n_importance=20)
    assert {"squared_error", "elbo", "noise_error", "trustworthiness"} <= set(metrics(evaluation))
    assert ("jacobian_norm" in metrics(evaluation)) == (likelihood != "categorical")
    json.dumps(evaluation.facts, allow_nan=False)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_small_codes_and_few_rows(k: int) -> None:
    x = curved(12)
    model = VariationalAutoencoder(k, **QUICK).fit(x)
    evaluation = evaluate(model, x[:5], n_importance=10, factors=None)
    assert evaluation.arrays["map"].shape == (5, 2)
    assert "trustworthiness" not in metrics(evaluation)
    assert evaluate(model, x[:2], n_importance=0).facts["rows"]["n"] == 2


def test_labels_factors_and_outliers_bring_their_metrics() -> None:
    x = curved(200)
    model = Autoencoder(2, **QUICK).fit(x)
    odd = np.arange(200) < 20
    y = x + 5 * odd[:, None] * np.random.default_rng(0).normal(size=x.shape)
    f = np.stack([np.arange(200) % 3, np.arange(200) // 100], axis=1)
    evaluation = evaluate(model, y, labels=f[:, 0], factors=f, outliers=odd)
    values = metrics(evaluation)
    names = {"linear_probe", "neighbour_probe", "mig", "sap", "auroc", "average_precision"}
    assert names | {"dci_disentanglement", "dci_completeness"} <= set(values)
    error = np.square(
        (y - model.reconstruct(y)) * (model.scaling_.unit / model.scaling_.scale).numpy()
    )
    assert values["auroc"] == pytest.approx(roc_auc_score(odd, error.sum(1)))
    assert evaluation.arrays["outlier_rows"][0] == error.sum(1).argmax()
    assert evaluation.arrays["outlier_contribution"][0].argmax() in range(D)
    measured = evaluate(model, x, labels=x[:, 0])
    assert measured.facts["labels"] is None
    assert "label" not in measured.arrays
    assert {one["unit"] for one in measured.facts["metrics"] if "probe" in one["name"]} == {"R²"}
    alone = evaluate(model, x, labels=np.arange(200).astype(str))
    assert "classes" in alone.facts["not_probed"]


def test_equal_seeds_give_equal_figures_and_leave_the_callers_state() -> None:
    model = VariationalAutoencoder(2, **QUICK).fit(curved())
    before, state = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    x = curved()
    kept = x.copy()
    one, two = (evaluate(model, x, kind="training", n_importance=30, seed=3) for _ in range(2))
    assert {**one.facts, "created": ""} == {**two.facts, "created": ""}
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, two.arrays[name])
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(state, torch.random.get_rng_state())


def test_tables_with_names_are_taken_and_other_names_refused() -> None:
    wine = load_wine(as_frame=True).data
    model = Autoencoder(2, **QUICK).fit(wine)
    assert evaluate(model, wine).facts["feature_names"] == list(wine.columns)
    other = wine.rename(columns={"ash": "dust"})
    with pytest.raises(ValueError, match=r"ash|dust"):
        evaluate(model, other)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        same = evaluate(model, torch.tensor(wine.to_numpy()))
    assert metrics(same) == metrics(evaluate(model, wine))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "test"},
        {"rows": [0]},
        {"rows": [0, 500]},
        {"rows": [0.5, 1.5]},
        {"labels": [1, 2]},
        {"factors": np.zeros((3, 2))},
        {"outliers": np.zeros(120)},
        {"n_importance": -1},
        {"n_rows_importance": 0},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    model = Autoencoder(2, **QUICK).fit(curved())
    with pytest.raises(IsthmusError):
        evaluate(model, curved(), **wrong)
    with pytest.raises(DataError, match="X must have at least 1 row; it has 0"):
        evaluate(model, curved()[:0])


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
def test_few_rows_are_measured_as_far_as_they_go(cls: type, n: int) -> None:
    model = cls(2, **QUICK).fit(curved())
    found = evaluate(model, curved()[:n])
    named = {one["name"]: one for one in found.facts["metrics"]}
    assert "squared_error" in named
    assert ("r2" in named) == (n > 1)
    for name in {"elbo", "importance_bound", "importance_gap"} & {*named}:
        assert ("no standard error, which takes two rows" in named[name]["text"]) == (n == 1)


def test_positions_may_be_a_mask() -> None:
    model = Autoencoder(2, **QUICK).fit(curved())
    mask = np.arange(120) % 3 == 0
    one = evaluate(model, curved(), rows=mask, kind="held out")
    two = evaluate(model, curved(), rows=np.flatnonzero(mask), kind="held out")
    assert metrics(one) == metrics(two)
    with pytest.raises(InvalidParameterError):
        evaluate(model, curved(), kind="other")  # type: ignore[arg-type]


# ------------------------------------------------------------------ the command


FAST = ("--max-epochs", "2", "--hidden-layer-sizes", "8", "--seed", "0")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of six features, a word, a flag and a factor, and a run of it."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(curved(150), columns=list("abcdef"))
    frame["kind"] = np.where(np.arange(150) % 2 == 0, "even", "odd")
    frame["flag"] = (np.arange(150) < 15).astype(int)
    frame["level"] = np.arange(150) % 4
    frame.to_csv("table.csv", index=False)
    frame.iloc[:60].assign(a=lambda t: t.a + 0.1).to_csv("new.csv", index=False)
    done(
        "fit",
        "table.csv",
        "--drop",
        "kind,flag,level",
        "--n-components",
        "2",
        "--out",
        "run",
        *FAST,
    )
    return tmp_path


def test_the_run_remembers_its_rows_and_keeps_the_evaluation(place: Path) -> None:
    said = done("evaluate", "run")
    for words in ("squared_error", "PCA", "Health", "rows of the fit", "Written into run"):
        assert words in said
    kept = attached("run", "evaluation")
    assert kept is not None
    facts, arrays = kept
    model = load("run")
    expected = evaluate(
        model, pd.read_csv("table.csv")[list("abcdef")], kind="training", origin="table.csv"
    )
    assert {**facts, "created": ""} == {**json.loads(json.dumps(expected.facts)), "created": ""}
    for name, values in expected.arrays.items():
        np.testing.assert_array_equal(arrays[name].numpy(), values)


def test_labels_outliers_and_factors_are_columns(place: Path) -> None:
    more = ("--label", "kind", "--outlier-label", "flag", "--factors", "level,flag")
    for data in ((), ("table.csv",), ("new.csv",)):
        facts = json.loads(done("evaluate", "run", *data, *more, "--json"))
        names = {one["name"] for one in facts["metrics"]}
        assert {"linear_probe", "auroc", "mig", "dci_completeness"} <= names
        assert facts["labels"] == ["even", "odd"]
        assert facts["label_column"] == "kind"
        assert facts["rows"]["kind"] == ("new" if data == ("new.csv",) else "training")
        assert facts["pca"]["squared_error"] > 0


def test_the_targets_of_bundled_tables_are_labels(place: Path) -> None:
    done("fit", "wine", "--n-components", "2", "--out", "w", *FAST)
    facts = json.loads(done("evaluate", "w", "--label", "target", "--json"))
    assert facts["labels"] == ["0", "1", "2"]


def test_held_out_rows_only_where_a_part_was(place: Path) -> None:
    done("fit", "digits", "--n-components", "2", "--out", "d", *FAST)
    facts = json.loads(done("evaluate", "d", "--json"))
    assert facts["rows"]["kind"] == "held out"
    assert facts["rows"]["n"] == 180
    assert facts["picture"]["kind"] == "image"


def test_what_is_gone_or_changed_is_told(place: Path) -> None:
    table = Path("table.csv").read_text()
    Path("table.csv").write_text(table.replace("even", "even", 1).replace("0.", "1.", 1))
    code, _, err = call("evaluate", "run")
    assert code == 2
    assert "has changed since the fit" in err
    assert "isthmus evaluate run DATA" in err
    Path("table.csv").unlink()
    code, _, err = call("evaluate", "run")
    assert code == 2
    assert "cannot be read" in err
    facts = json.loads(done("evaluate", "run", "new.csv", "--drop", "kind,flag,level", "--json"))
    assert facts["versus_pca"] is None


def test_an_evaluation_with_labels_is_not_replaced_by_one_without(place: Path) -> None:
    done("evaluate", "run", "--label", "kind", "--outlier-label", "flag")
    for words in (("evaluate", "run"), ("report", "run", "table.csv")):
        code, _, err = call(*words)
        assert code == 2
        assert "--label kind and --outlier-label" in err
        assert "--force" in err
    assert attached("run", "evaluation")[0]["label_column"] == "kind"  # type: ignore[index]
    done("evaluate", "run", "--label", "kind", "--outlier-label", "flag", "--factors", "level")
    done("evaluate", "run", "--force")
    assert attached("run", "evaluation")[0]["label_column"] is None  # type: ignore[index]
    done("evaluate", "run")


@pytest.mark.parametrize("damage", ["cut", "gone", "words", "newer"])
def test_a_damaged_evaluation_is_no_matter_of_the_model(place: Path, damage: str) -> None:
    done("evaluate", "run")
    arrays, words = Path("run/evaluation.safetensors"), Path("run/evaluation.json")
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:100])
    elif damage == "gone":
        arrays.unlink()
    elif damage == "words":
        words.write_text("{")
    else:
        words.write_text(words.read_text().replace('"schema": 2', '"schema": 99'))
    code, _, err = call("report", "run")
    assert code == 2
    assert "evaluate it again" in err
    assert "evaluate it again" in done("info", "run")
    done("transform", "run", "new.csv", "--drop", "kind,flag,level", "--out", "codes.csv")
    done("evaluate", "run")
    done("report", "run", "--force")


def test_info_lists_what_is_attached(place: Path) -> None:
    assert json.loads(done("info", "run", "--json"))["attached"] == []
    done("evaluate", "run", "new.csv", "--label", "kind")
    said = done("info", "run")
    assert "with the label 'kind', 60 new rows of new.csv, 20" in said
    drop = ("--drop", "kind,flag,level")
    done("compare", "table.csv", *drop, "--n-components", "1,2", "--into", "run", "--seed", "0")
    facts = json.loads(done("info", "run", "--json"))
    assert facts["attached"] == ["evaluation", "comparison"]
    assert "150 rows of table.csv" in done("info", "run")


def test_the_advice_names_the_verb_that_was_called(place: Path) -> None:
    Path("table.csv").rename("moved.csv")
    for verb in ("evaluate", "report"):
        code, _, err = call(verb, "run")
        assert code == 2
        assert f"isthmus {verb} run DATA" in err


def test_one_row_and_rows_without_a_value_are_measured(place: Path) -> None:
    frame = pd.read_csv("new.csv").drop(columns=["kind", "flag", "level"])
    frame.iloc[:1].to_csv("one.csv", index=False)
    facts = json.loads(done("evaluate", "run", "one.csv", "--json"))
    assert facts["versus_pca"] is None
    two = frame.iloc[:3].copy()
    two.iloc[1:] = np.nan
    two.to_csv("three.csv", index=False)
    facts = json.loads(done("evaluate", "run", "three.csv", "--json"))
    assert facts["versus_pca"]["high"] < 0.9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--label", "nothing"), "'nothing'"),
        (("run", "--label", "a"), "is a feature of the model"),
        (("run", "--outlier-label", "kind"), "outlier label"),
        (("run", "--factors", ","), "must name columns"),
        (("nowhere",), "does not exist"),
        (("run", "nowhere.csv"), "does not exist"),
    ],
)
def test_mistakes_are_told(place: Path, words: tuple[str, ...], said: str) -> None:
    code, _, err = call("evaluate", *words)
    assert code == 2, err
    assert said in err
    assert attached("run", "evaluation") is None


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("evaluate", "run", "--label", "a"), "--label 'a'"),
        (("evaluate", "run", "new.csv", "--label", "a"), "--label 'a'"),
        (("evaluate", "run", "new.csv", "--outlier-label", "a"), "--outlier-label 'a'"),
        (("evaluate", "run", "new.csv", "--factors", "kind,a"), "--factors 'a'"),
        (("report", "run", "new.csv", "--label", "a"), "--label 'a'"),
        (("outliers", "new.csv", "--detector", "detector", "--label", "a"), "--label 'a'"),
        (("outliers", "new.csv", "--detector", "detector", "--drop", "a"), "--drop 'a'"),
        (("transform", "run", "new.csv", "--drop", "a", "--out", "z.npy"), "--drop 'a'"),
        (("score", "run", "new.csv", "--drop", "kind,a"), "--drop 'a'"),
    ],
)
def test_a_feature_is_neither_a_label_nor_to_be_left_out(
    place: Path, words: tuple[str, ...], flag: str
) -> None:
    """Whatever the verb: it is not said that the rows lack the column."""
    frame = pd.read_csv("new.csv")
    (frame.assign(a=(frame["a"] > frame["a"].median()).astype(int))).to_csv("new.csv", index=False)
    if words[0] == "outliers":
        small = ("--drop", "kind,flag,level", "--max-epochs", "1", "--n-components", "1")
        done("outliers", "table.csv", *small, "--save", "detector")
    code, _, err = call(*words)
    said = " ".join(err.split())
    assert code == 2
    assert f"{flag} is a feature of the model" in said
    assert "--drop a" in said
    assert "lacks" not in said


# ------------------------------------------------------------------ columns of labels


def test_a_column_is_the_same_from_every_kind_of_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "word": ["x", None, "z"], "n": [3, 1, 2]})
    frame["yes"] = [True, False, True]
    for name in ("t.csv", "t.tsv", "t.parquet"):
        path = tmp_path / name
        if name.endswith("parquet"):
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
        assert column(path, "word").tolist() == ["x", "", "z"]
        assert column(path, "n").tolist() == [3, 1, 2]
        assert column(path, "yes").tolist() in ([1, 0, 1], ["True", "False", "True"])
        with pytest.raises(DataError, match="'a', 'word', 'n'"):
            column(path, "m")
    np.savez(tmp_path / "t.npz", X=np.ones((3, 2)), y=np.array([1, 0, 2]), two=np.ones((3, 2)))
    assert column(tmp_path / "t.npz", "y").tolist() == [1, 0, 2]
    with pytest.raises(DataError, match="one dimension"):
        column(tmp_path / "t.npz", "two")
    np.save(tmp_path / "t.npy", np.arange(6.0).reshape(3, 2))
    assert column(tmp_path / "t.npy", "x1").tolist() == [1.0, 3.0, 5.0]
    assert column("wine", "target").tolist() == load_wine().target.tolist()
    assert column("wine", "ash").tolist() == load_wine().data[:, 2].tolist()
    with pytest.raises(DataError, match="target"):
        column("wine", "colour")


def test_every_metric_is_explained_in_the_documents() -> None:
    page = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    cells = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    rows = {name: row for row in cells for name in CATALOGUE if f"`{name}`" in row[1]}
    assert set(rows) == set(CATALOGUE)
    for name, row in rows.items():
        assert row[5].strip() == CATALOGUE[name].better, name
