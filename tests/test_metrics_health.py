"""What is found to be wrong with a model: each finding at its threshold, with its number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.evaluation._finding import Finding
from isthmus.evaluation.health import health

HISTORY = [{"step": float(s), "validation": 10.0 + 90.0 * 0.9**s} for s in range(0, 101, 5)]
FALLING = [{"step": float(s), "validation": 100.0 - s} for s in range(0, 101, 5)]
SCALE = {
    "largest_share": 0.1,
    "largest_feature": 1,
    "shift": 0.0,
    "shifted_feature": 0,
    "worst_share": 0.05,
    "constant": 0,
}
RESIDUALS = {
    "values": "real",
    "n_entries": 10.0,
    "kurtosis": 5.0,
    "gain_feature": 0.1,
    "gain_laplace": -0.3,
}
GAP = {"training": 1.0, "held_out": 1.1, "pca_training": 2.0, "pca_held_out": 2.1}
SOUND: dict[str, Any] = {
    "metrics": [{"name": "relative_squared_error", "value": 0.2}],
    "likelihood": "gaussian",
    "beta": None,
    "scaling": "common",
    "feature_names": ["a", "b", "c"],
    "n_features": 3,
    "fit": {"stayed_linear": False, "interrupted": False, "diverged": False},
    "generalisation": GAP,
    "residuals": RESIDUALS,
    "scale": SCALE,
}
EFFECT = {"effect": np.array([3.0, 2.0, 1.0])}
VARIATIONAL = {"kl": np.array([2.0, 1.0]), "activity": np.array([0.9, 0.5])}


def with_metric(name: str, value: float) -> dict[str, Any]:
    return {"metrics": [{"name": name, "value": value}]}


def test_a_sound_model_has_good_findings_only() -> None:
    for arrays in (EFFECT, VARIATIONAL):
        found = health(SOUND, arrays, HISTORY)
        assert {one.level for one in found} == {"good"}
        names = [one.name for one in found]
        assert {"overfitting", "underfitting", "stopped-early", "likelihood", "scale"} <= set(names)
        assert len(set(names)) == len(names)


CASES: list[tuple[str, str, str, dict[str, Any], dict[str, Any], Any]] = [
    # level, name, number in the sentence, changed facts, arrays, history
    ("note", "dead-latents", "1 of 3", {}, {"effect": np.array([1.0, 0.5, 1e-9])}, HISTORY),
    (
        "note",
        "dead-latents",
        "1 of 2",
        {},
        {"kl": np.array([2.0, 0.0]), "activity": np.array([0.9, 0.0])},
        HISTORY,
    ),
    (
        "warning",
        "kl-collapse",
        "0.003 nats",
        {"beta": 4.0},
        {"kl": np.array([0.001, 0.002]), "activity": np.array([1e-4, 1e-3])},
        HISTORY,
    ),
    ("note", "prior", "3.2 nats", with_metric("marginal_kl", 3.2), VARIATIONAL, HISTORY),
    (
        "warning",
        "overfitting",
        "3 times",
        {"generalisation": {**GAP, "held_out": 3.0}},
        EFFECT,
        HISTORY,
    ),
    (
        "note",
        "overfitting",
        "1.8 times",
        {"generalisation": {**GAP, "held_out": 1.8}},
        EFFECT,
        HISTORY,
    ),
    (
        "warning",
        "underfitting",
        "1.1 times PCA's",
        {"generalisation": {**GAP, "training": 2.2, "held_out": 2.3}},
        EFFECT,
        HISTORY,
    ),
    (
        "warning",
        "underfitting",
        "5% of the variance",
        with_metric("relative_squared_error", 0.95),
        EFFECT,
        HISTORY,
    ),
    ("note", "linear", "PCA", {"fit": {"stayed_linear": True}}, EFFECT, HISTORY),
    ("warning", "stopped-early", "interrupted", {"fit": {"interrupted": True}}, EFFECT, HISTORY),
    ("warning", "stopped-early", "finite", {"fit": {"diverged": True}}, EFFECT, HISTORY),
    ("warning", "stopped-early", "50%", {}, EFFECT, FALLING),
    (
        "warning",
        "likelihood",
        "0 or 1",
        {"residuals": {**RESIDUALS, "values": "binary"}},
        EFFECT,
        HISTORY,
    ),
    (
        "note",
        "likelihood",
        "4 nats",
        {"residuals": {**RESIDUALS, "gain_laplace": 4.0}},
        EFFECT,
        HISTORY,
    ),
    (
        "note",
        "likelihood",
        "2 nats",
        {"residuals": {**RESIDUALS, "gain_feature": 2.0}},
        EFFECT,
        HISTORY,
    ),
    (
        "note",
        "likelihood",
        "'poisson'",
        {"residuals": {**RESIDUALS, "values": "counts", "gain_poisson": 7.0, "dispersion": 1.0}},
        EFFECT,
        HISTORY,
    ),
    (
        "note",
        "likelihood",
        "45.53 nats",
        {
            "likelihood": "bernoulli",
            "residuals": {**RESIDUALS, "values": "grey", "grey_floor": 45.534},
        },
        EFFECT,
        HISTORY,
    ),
    (
        "warning",
        "likelihood",
        "2.5 times",
        {
            "likelihood": "poisson",
            "residuals": {**RESIDUALS, "values": "counts", "dispersion": 2.5},
        },
        EFFECT,
        HISTORY,
    ),
    (
        "warning",
        "scale",
        "'b' alone holds 80%",
        {"scale": {**SCALE, "largest_share": 0.8}},
        EFFECT,
        HISTORY,
    ),
    ("warning", "scale", "'a' lies 12 dev", {"scale": {**SCALE, "shift": 12.0}}, EFFECT, HISTORY),
    ("note", "scale", "make 70%", {"scale": {**SCALE, "worst_share": 0.7}}, EFFECT, HISTORY),
    ("note", "scale", "2 of 3 features", {"scale": {**SCALE, "constant": 2}}, EFFECT, HISTORY),
    ("note", "importance", "1.2 draws", with_metric("effective_draws", 1.2), VARIATIONAL, HISTORY),
]


@pytest.mark.parametrize(("level", "name", "number", "changed", "arrays", "history"), CASES)
def test_each_finding_has_its_number_and_a_remedy(
    level: str,
    name: str,
    number: str,
    changed: dict[str, Any],
    arrays: dict[str, np.ndarray],
    history: list[dict[str, float]],
) -> None:
    found = health({**SOUND, **changed}, arrays, history)
    worst = found[0]
    assert (worst.level, worst.name) == (level, name), worst
    assert number in worst.finding
    assert worst.remedy
    assert [one.level for one in found] == sorted(
        (one.level for one in found), key=["warning", "note", "good"].index
    )


def test_a_gap_that_pca_has_as_well_is_no_overfitting() -> None:
    facts = {**SOUND, "generalisation": {**GAP, "held_out": 1.9, "pca_held_out": 3.7}}
    assert all(one.level == "good" for one in health(facts, EFFECT, HISTORY))


def test_another_likelihood_must_gain_five_hundredths_of_a_nat_per_entry() -> None:
    for gain, level in ((0.49, "good"), (0.51, "note")):
        facts = {**SOUND, "residuals": {**RESIDUALS, "gain_laplace": gain}}
        (found,) = [one for one in health(facts, EFFECT, HISTORY) if one.name == "likelihood"]
        assert found.level == level


def test_nothing_known_is_nothing_said() -> None:
    assert health({"metrics": []}, {}, []) == []


def test_a_finding_is_json() -> None:
    assert Finding("good", "a", "b").as_dict() == {
        "level": "good",
        "name": "a",
        "finding": "b",
        "remedy": "",
    }


def names_of(facts: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Finding]:
    return {f"{one.level} {one.name}": one for one in health({**SOUND, **facts}, arrays, HISTORY)}


def test_a_collapsed_code_is_told_once_and_nothing_good_is_said_of_it() -> None:
    dead = {"kl": np.array([1e-6, 1e-7]), "activity": np.array([1e-8, 0.0])}
    metrics = {
        "relative_squared_error": 1.0 + 2e-16,
        "marginal_kl": 0.0,
        "squared_error": 30.1,
    }
    facts = {
        "metrics": [{"name": name, "value": value} for name, value in metrics.items()],
        "pca": {"squared_error": 6.83},
        "beta": 1e4,
    }
    for stayed in (True, False):
        found = names_of({**facts, "fit": {"stayed_linear": stayed}}, dead)
        assert set(found) <= {
            "warning kl-collapse",
            "warning underfitting",
            "good overfitting",
            "good scale",
        }
        assert "nothing of the variance" in found["warning underfitting"].finding
        assert found["warning underfitting"].remedy == "Lower beta."


def test_a_linear_model_whose_error_is_not_pcas_is_not_called_pca() -> None:
    for error, word in ((2.0, "2 times PCA's error"), (1.02, "it is PCA")):
        facts = {
            "metrics": [{"name": "squared_error", "value": error}],
            "pca": {"squared_error": 1.0},
            "fit": {"stayed_linear": True},
        }
        assert word in names_of(facts, EFFECT)["note linear"].finding


def test_few_rows_say_nothing_of_how_latents_and_features_vary() -> None:
    facts = {
        "metrics": [{"name": "relative_squared_error", "value": 7.0}],
        "scale": {**SCALE, "constant": 3, "shift": 4.0},
    }
    dead = {"effect": np.array([1.0, 0.0, 0.0])}
    few = names_of({**facts, "rows": {"n": 1}}, dead)
    assert "1 row says little" in few["note rows"].finding
    assert not {"note dead-latents", "note scale", "warning scale", "warning underfitting"} & set(
        few
    )
    many = names_of({**facts, "rows": {"n": 400}}, dead)
    assert {"note dead-latents", "note scale", "warning scale", "warning underfitting"} <= set(many)
    assert "good underfitting" not in many  # one says that it explains nothing
    away = {**facts, "rows": {"n": 1}, "scale": {**SCALE, "shift": 40.0}}
    assert "warning scale" in names_of(away, dead)  # other units are told of one row, too


def test_a_wide_gap_is_told_where_pca_has_it_as_well() -> None:
    gap = {"training": 1.0, "held_out": 2.75, "pca_training": 2.0, "pca_held_out": 5.5}
    found = names_of({"generalisation": gap}, EFFECT)
    assert "as PCA does" in found["note overfitting"].finding
    assert "good overfitting" not in found


def test_the_likelihood_is_judged_of_the_features_that_it_names() -> None:
    told = names_of({"residuals": {**RESIDUALS, "n_features": 1}}, EFFECT)["good likelihood"]
    assert "of the 1 features of 3" not in told.finding
    assert "of the 1 feature of 3 that holds the variance" in told.finding
    told = names_of({"residuals": {**RESIDUALS, "n_features": 3}}, EFFECT)["good likelihood"]
    assert "that hold" not in told.finding
