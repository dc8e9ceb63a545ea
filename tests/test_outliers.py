"""Outliers: scores against closed forms, what thresholds and p-values promise, the faces."""

from __future__ import annotations

import json
import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
import torch
from scipy.special import logsumexp
from scipy.stats import pmean
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.estimator_examples import CLASSES, curved, same_bits, with_holes

import isthmus
from isthmus import Autoencoder, OutlierDetector, RunError, VariationalAutoencoder
from isthmus.cli import main as door
from isthmus.cli._dispatch import run
from isthmus.errors import IsthmusError
from isthmus.estimators.outliers import RULES, rows
from isthmus.estimators.outliers.views import VIEWS, default_autoencoder
from isthmus.estimators.pyod_face import PyODFace
from isthmus.evaluation.detection_thresholds import (
    clopper_pearson,
    conformal_p_values,
    conformal_threshold,
    extreme_value_threshold,
)
from isthmus.evaluation.outlyingness import (
    Gaussian,
    Neighbours,
    Tail,
    combined,
    leading_directions,
    shares,
    tail_surprise,
    weights,
    whitening,
)
from isthmus.runs import directory

SMALL: dict[str, Any] = {"max_epochs": 3, "hidden_layer_sizes": (8,), "early_stopping": False}


def small(**more: Any) -> OutlierDetector:
    return OutlierDetector(VariationalAutoencoder(2, **SMALL), **more)


def plane(n: int, seed: int = 0) -> np.ndarray:
    """(n, 5) rows near a plane: features 0 and 1 are free, 2 to 4 follow them."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, size=(n, 2))
    follow = t @ np.array([[1.0, 1.0, 0.5], [1.0, -1.0, 0.5]])
    return np.hstack([t, follow]) + 0.05 * rng.normal(size=(n, 5))


@cache
def fitted(rule: str = "contamination") -> OutlierDetector:
    """Not to be changed by a test."""
    return small(threshold=rule, false_alarm_rate=0.05).fit(plane(800))


# The mathematics


def test_tails_of_a_normal_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    reference = np.sort(rng.normal(size=(200_000, 1)), axis=0)
    x = np.array([[-2.5], [-1.0], [0.3], [2.0]])
    expected = -np.log(2 * scipy.stats.norm.sf(np.abs(x)))
    assert np.allclose(tail_surprise(reference, x), expected, atol=0.05)


def test_distances_are_scikit_learns_with_and_without_the_row_itself() -> None:
    x, new = curved(60), curved(20, seed=1)
    index = NearestNeighbors(n_neighbors=5).fit(x)
    ours = Neighbours(x, 5)
    assert np.allclose(ours.distance(x), index.kneighbors()[0].mean(1))
    assert np.allclose(ours.distance(new), index.kneighbors(new)[0].mean(1))


def test_a_row_is_not_its_own_neighbour_after_rounding() -> None:
    x = curved(60)
    ours = Neighbours(x, 3)
    assert np.allclose(ours.distance(x * (1 + 1e-15)), ours.distance(x))


def test_size_is_the_mahalanobis_distance_of_scikit_learn() -> None:
    x, new = curved(80) - curved(80).mean(0), curved(10, seed=1)
    expected = LedoitWolf(assume_centered=True).fit(x).mahalanobis(new)
    assert np.allclose(Gaussian.fit(x)(new), expected, rtol=1e-6)
    assert np.allclose(Gaussian.fit(x).contributions(new).sum(1), expected, rtol=1e-6)


def test_size_by_variances_alone() -> None:
    x = np.array([[1.0, 4.0], [3.0, 2.0]])
    assert np.allclose(Gaussian.of(np.array([1.0, 4.0]))(x), [1 + 4, 9 + 1])


@pytest.mark.parametrize("distribution", [scipy.stats.expon, scipy.stats.gumbel_r])
def test_surprise_continues_exponential_tails(distribution: Any) -> None:
    calibration = distribution.rvs(size=100_000, random_state=0)
    score = distribution.isf([0.5, 0.05, 1e-5, 1e-8])
    surprise = Tail.fit(calibration)(score)
    assert np.allclose(surprise, -distribution.logsf(score), rtol=0.05)


def test_surprise_rises_without_a_jump() -> None:
    tail = Tail.fit(np.random.default_rng(0).normal(size=50))
    s = np.linspace(-5, 8, 20_001)
    steps = np.diff(tail(s))
    assert steps.min() >= 0
    assert steps.max() < 0.1


@pytest.mark.parametrize("scores", [[1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 5.0]])
def test_surprise_of_ties_is_finite(scores: list[float]) -> None:
    surprise = Tail.fit(np.array(scores))(np.array([-1.0, 0.5, 1.0, 2.0, 6.0]))
    assert np.isfinite(surprise).all()
    assert (np.diff(surprise) >= 0).all()


def test_p_values_of_exchangeable_rows_are_uniform() -> None:
    rng = np.random.default_rng(0)
    p = [
        conformal_p_values(np.sort(rng.normal(size=99)), rng.normal(size=1))[0] for _ in range(3000)
    ]
    _, significance = scipy.stats.kstest(np.array(p) - rng.uniform(0, 0.01, 3000), "uniform")
    assert significance > 0.01
    for alpha in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.array(p) <= alpha) < alpha + 3 * np.sqrt(alpha / 3000)


@pytest.mark.parametrize(("m", "rate"), [(99, 0.01), (150, 0.01), (400, 0.05), (12, 0.3)])
def test_the_conformal_threshold_keeps_its_rate_and_is_the_lowest(m: int, rate: float) -> None:
    calibration = np.arange(float(m))
    tau = conformal_threshold(calibration, rate)
    assert tau is not None
    above = m - int(tau)  # rank from the top: a new row is above it with that over m + 1
    assert above / (m + 1) <= rate < (above + 1) / (m + 1)


@pytest.mark.parametrize(
    "distribution",
    [scipy.stats.norm(), scipy.stats.expon(), scipy.stats.t(4), scipy.stats.uniform()],
    ids=["normal", "exponential", "heavy", "bounded"],
)
def test_extreme_value_threshold_is_the_quantile(distribution: Any) -> None:
    calibration = np.sort(distribution.rvs(size=50_000, random_state=0))
    tau = extreme_value_threshold(calibration, 1e-3)
    assert 0.7e-3 < distribution.sf(tau) < 1.4e-3


def test_extreme_value_threshold_of_common_rates_and_of_ties() -> None:
    calibration = np.arange(1.0, 101.0)
    assert extreme_value_threshold(calibration, 0.3) == pytest.approx(70.5, abs=1)
    assert extreme_value_threshold(np.ones(20), 0.01) == 1.0


@pytest.mark.parametrize(("count", "n"), [(0, 30), (1, 30), (15, 30), (30, 30)])
def test_intervals_are_scipys(count: int, n: int) -> None:
    expected = scipy.stats.binomtest(count, n).proportion_ci(method="exact")
    assert clopper_pearson(count, n) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("planted", [1, 2, 4])
def test_directions_that_stand_out_are_as_many_as_were_planted(planted: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, planted)) @ rng.normal(size=(planted, 30))
    directions, _ = leading_directions(x + rng.normal(size=x.shape))
    assert directions.shape[1] == planted
    assert np.allclose(directions.T @ directions, np.eye(planted))


def test_noise_alone_leaves_one_direction() -> None:
    x = np.random.default_rng(0).normal(size=(3000, 12))
    assert leading_directions(x)[0].shape == (12, 1)


def test_whitening_is_the_root_of_scipys_inverse_of_scikit_learns_covariance() -> None:
    x = curved(200)[:, :4] @ np.diag([1.0, 5.0, 0.2, 1e3])
    deviation = x.std(0)
    shrunk = LedoitWolf().fit((x - x.mean(0)) / deviation).covariance_
    root = scipy.linalg.sqrtm(np.linalg.inv(shrunk))
    assert np.allclose(deviation[:, None] * whitening(x), root, rtol=1e-6)


def test_distances_of_whitened_rows_are_mahalanobis_distances_of_scipy() -> None:
    x, new = curved(200)[:, :4], curved(20, seed=1)[:, :4]
    inverse = np.linalg.inv(np.cov(x.T, bias=True))
    expected = scipy.spatial.distance.cdist(new, x, "mahalanobis", VI=inverse).min(1)
    w = whitening(x)
    # the covariance of few rows is shrunk
    assert np.allclose(Neighbours(x @ w, 1).distance(new @ w), expected, rtol=0.1)


def test_directions_that_do_not_vary_count_as_varying_little() -> None:
    a = np.tile([-1.0, 1.0], 25)
    x = np.column_stack([a, 2 * a, np.full(50, 1e6)])
    # nothing to shrink; correlations of two features that are one: 2 and 0; of a constant: 0
    by = np.diag([1.0, 2.0, 1.0]) @ whitening(x)
    assert np.allclose(np.linalg.eigvalsh(by), [2**-0.5, 100, 100])


def test_above_the_most_features_whitening_is_by_deviations_alone() -> None:
    wide = np.random.default_rng(0).normal(size=(5, 2049))
    assert np.array_equal(whitening(wide), 1 / wide.std(0))
    x = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(2,), random_state=0)
    detector = OutlierDetector(x).fit(np.random.default_rng(1).normal(size=(12, 2049)))
    surprises = detector.surprises(wide)
    np.testing.assert_allclose(surprises[:, 5], surprises[:, 4])


@pytest.mark.parametrize(("n", "n_features"), [(300, 40), (60, 200)])
def test_leading_directions_are_the_singular_vectors_that_stand_out(n, n_features) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)) @ rng.normal(size=(4, n_features))
    x += rng.normal(size=x.shape)
    directions, deviation = leading_directions(x)
    _, s, vt = np.linalg.svd((x - x.mean(0)) / x.std(0), full_matrices=False)
    k = int((s**2 / n > (1 + np.sqrt(n_features / n)) ** 2).sum())
    assert directions.shape == (n_features, k)
    np.testing.assert_allclose(deviation, x.std(0))
    np.testing.assert_allclose(np.abs(directions.T @ vt[:k].T), np.eye(k), atol=1e-9)


def test_scores_do_not_depend_on_how_many_rows_are_looked_at_together(monkeypatch) -> None:
    x = np.random.default_rng(0).normal(size=(150, 6))
    quick = VariationalAutoencoder(2, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    whole = OutlierDetector(quick).fit(x)
    monkeypatch.setattr(rows, "_SCORED", 60)
    monkeypatch.setattr(rows, "_FEW", 10)
    parts = OutlierDetector(quick).fit(x)
    np.testing.assert_allclose(parts.decision_scores_, whole.decision_scores_, rtol=1e-9)
    np.testing.assert_allclose(-parts.score_samples(x), whole.decision_scores_, rtol=1e-9)


def test_wide_rows_are_compared_with_fewer(monkeypatch) -> None:
    x = np.random.default_rng(0).normal(size=(150, 6))
    monkeypatch.setattr(rows, "_VALUES", 300)
    monkeypatch.setattr(rows, "_FEWEST", 20)
    quick = VariationalAutoencoder(2, max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    detector = OutlierDetector(quick).fit(x)
    assert detector._views.reference.shape == (50, 6)
    np.testing.assert_array_equal(-detector.score_samples(x), detector.decision_scores_)


def test_shares_sum_to_one_whatever_the_size() -> None:
    parts = np.array([[1e-300, 3e-300], [1e300, 1e300], [0.0, 0.0], [-1.0, 2.0]])
    assert np.allclose(shares(parts), [[0.25, 0.75], [0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])


# The detector


@parametrize_with_checks([OutlierDetector(Autoencoder(1, **(SMALL | {"max_epochs": 1})))])
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# A row, the view that sees it, and the feature that made it an outlier (None: any).
ODD = {
    "value": ([0.0, 9.0, 0.0, 0.0, 0.0], None, 1),
    "combination": ([1.0, 1.0, 2.0, 0.0, -1.0], "combination", 4),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_rows_are_found_and_explained(name: str) -> None:
    row, view, feature = ODD[name]
    detector, x = fitted(), np.array([row])
    assert detector.predict(x) == [-1]
    assert detector.p_values(x)[0] == 1 / (1 + len(detector.calibration_scores_))
    assert detector.explain(x).argmax() == feature
    if view is not None:
        assert VIEWS[detector.surprises(x).argmax()] == view


def test_a_gap_is_found_though_every_value_is_usual() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.normal(size=(600, 2))
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(ring)
    assert detector.predict(np.zeros((1, 2))) == [-1]


def test_known_outliers_are_told_better_than_by_reconstruction_error() -> None:
    rng = np.random.default_rng(1)
    normal, odd = plane(400, seed=2), plane(100, seed=3)
    odd[:, 2] = rng.permutation(odd[:, 2])
    x, y = np.vstack([normal, odd]), np.repeat([0, 1], [400, 100])
    assert roc_auc_score(y, -fitted().score_samples(x)) > 0.9


@pytest.mark.parametrize("power", [-0.25, -0.5, -1.0, -3.0])
def test_power_means_of_p_values_are_scipys(power: float) -> None:
    p = np.random.default_rng(0).uniform(1e-6, 1.0, size=(200, 6))
    expected = -np.log(pmean(p, power, axis=1))
    np.testing.assert_allclose(combined(-np.log(p), power=power), expected, atol=1e-12)
    np.testing.assert_array_equal(combined(-np.log(p), power=-np.inf), -np.log(p.min(1)))
    assert np.isfinite(combined(np.array([[1e4, 0.0]]), power=power)).all()


@pytest.mark.parametrize("power", [-0.5, -1.0, -np.inf])
def test_weights_of_views_are_the_slopes_of_the_score(power: float) -> None:
    s, step = np.random.default_rng(1).uniform(0.5, 6.0, size=(20, 5)), 1e-6
    for j in range(5):
        up, down = s.copy(), s.copy()
        up[:, j] += step
        down[:, j] -= step
        slope = combined(up, power=power) - combined(down, power=power)
        want = weights(s, power=power)[:, j]
        np.testing.assert_allclose(slope / (2 * step), want, atol=1e-6)


# Which combination a run of former views records (None: it was not recorded), and their score.
FORMER = {
    4: (None, lambda s: s.max(1)),
    5: ("harmonic", lambda s: logsumexp(s, axis=1) - np.log(5)),
}


@pytest.mark.parametrize("n", FORMER)
def test_a_detector_of_fewer_views_scores_as_it_did(n: int, tmp_path: Path) -> None:
    detector, x = fitted(), np.vstack([plane(50, seed=4), 3 * plane(50, seed=5)])
    recorded, score = FORMER[n]
    run = directory.read(detector.save(tmp_path / "now"))
    about = run.config["detector"]
    del about["combination"], about["tails"][n:]
    if recorded is not None:
        about["combination"] = recorded
    gone = ("detector/whitening", *(f"detector/{name}." for name in VIEWS[n:]))
    kept = {name: t for name, t in run.tensors.items() if not name.startswith(gone)}
    former = directory.Run(run.config, kept, run.history)
    again = OutlierDetector.load(directory.write(tmp_path / "former", former))
    assert list(again._views._near) == list(VIEWS[2:n])
    surprises = again.surprises(x)
    np.testing.assert_array_equal(surprises[:, :4], detector.surprises(x)[:, :4])
    if n == 5:
        views = again._views
        near = NearestNeighbors(n_neighbors=5).fit(views.reference / views.deviation)
        placed = again.autoencoder_.scaling_.apply(torch.from_numpy(x), torch.float64)
        distance = near.kneighbors(placed.numpy() / views.deviation)[0].mean(1)
        np.testing.assert_allclose(surprises[:, 4], views.tails[4](distance), atol=1e-9)
    np.testing.assert_allclose(again.score_samples(x), -score(surprises), atol=1e-12)
    np.testing.assert_allclose(again.explain(x).sum(1), score(surprises))
    resaved = OutlierDetector.load(again.save(tmp_path / "resaved"))
    np.testing.assert_array_equal(resaved.score_samples(x), again.score_samples(x))


def test_a_run_of_other_views_than_it_records_is_refused(tmp_path: Path) -> None:
    config = fitted().save(tmp_path / "run") / "config.json"
    altered = json.loads(config.read_text(encoding="utf-8"))
    altered["detector"]["combination"] = "harmonic"
    config.write_text(json.dumps(altered), encoding="utf-8")
    with pytest.raises(RunError, match="does not hold what its schema promises"):
        OutlierDetector.load(tmp_path / "run")


def test_a_small_step_off_a_plane_is_seen_by_the_whitened_view() -> None:
    # the third feature is the sum of the others: all values are usual, and rows are close by
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, size=(800, 2))
    x = np.column_stack([t, t.sum(1) + 0.01 * rng.normal(size=800)])
    detector = OutlierDetector(VariationalAutoencoder(2, **SMALL)).fit(x)
    odd = np.array([[0.3, 0.2, 0.65]])
    surprises = dict(zip(VIEWS, detector.surprises(odd)[0], strict=True))
    assert surprises["whitened"] > 3 * surprises["distance"]
    assert detector.predict(odd) == [-1]


def test_scores_decisions_and_predictions_agree() -> None:
    detector, x = fitted(), np.vstack([plane(50, seed=4), 3 * plane(50, seed=5)])
    score = detector.score_samples(x)
    assert (score <= 0).all()
    surprises = detector.surprises(x)
    assert surprises.shape == (len(x), len(VIEWS))
    np.testing.assert_allclose(score, np.log(pmean(np.exp(-surprises), -0.5, axis=1)), atol=1e-12)
    assert np.array_equal(detector.decision_function(x), score - detector.offset_)
    assert np.array_equal(detector.predict(x), np.where(score < detector.offset_, -1, 1))
    assert np.allclose(detector.explain(x).sum(1), -score)
    assert (detector.explain(x) >= 0).all()
    order = score.argsort()
    assert (np.diff(detector.p_values(x)[order]) >= 0).all()


def test_contamination_flags_that_share_of_the_rows_of_the_fit() -> None:
    x = plane(300)
    flagged = small(contamination=0.07).fit_predict(x) == -1
    assert flagged.sum() == 21


def test_false_alarms_stay_within_the_interval() -> None:
    rates = []
    for seed in range(4):
        x = plane(3000, seed=10 + seed)
        detector = small(threshold="false_alarms", false_alarm_rate=0.05, random_state=seed)
        rate = float((detector.fit(x[:1000]).predict(x[1000:]) == -1).mean())
        low, high = detector.false_alarm_interval_
        assert low < 0.05 < high
        rates.append(low <= rate <= high)
    assert sum(rates) >= 3


def test_p_values_of_new_normal_rows_are_uniform_on_average() -> None:
    p = []
    for seed in range(6):
        x = plane(700, seed=20 + seed)
        p.append(small(random_state=seed).fit(x[:400]).p_values(x[400:]))
    for alpha in (0.1, 0.3, 0.5):
        assert np.mean(np.array(p) <= alpha) < alpha + 0.07


@pytest.mark.slow
def test_p_values_of_fresh_normal_rows_are_uniform_over_many_small_fits() -> None:
    # one row a fit, so that they are independent; spread evenly between the steps of 1/(m + 1)
    rng, p = np.random.default_rng(6), []
    for seed in range(150):
        x = rng.normal(size=(41, 3)) @ [[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 1.0]]
        model = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), early_stopping=False)
        detector = OutlierDetector(model, calibration_fraction=0.5, random_state=seed).fit(x[:40])
        step = 1 / (len(detector.calibration_scores_) + 1)
        p.append(float(detector.p_values(x[40:])[0]) - step * rng.random())
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
    shifted = np.clip(np.array(p) * 0.75, 0, 1)
    assert scipy.stats.kstest(shifted, "uniform").pvalue < 0.01


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_gives_a_threshold_with_its_interval(rule: str) -> None:
    detector = fitted(rule)
    low, high = detector.false_alarm_interval_
    alarms = (detector.calibration_scores_ < detector.offset_).sum()
    n = len(detector.calibration_scores_)
    assert (low, high) == clopper_pearson(int(alarms), n)
    assert detector.labels_.sum() == (detector.predict(plane(800)) == -1).sum()


def test_few_rows_fall_back_on_the_tail() -> None:
    few = small(threshold="false_alarms", false_alarm_rate=0.001).fit(plane(100))
    tail = small(threshold="extreme_value", false_alarm_rate=0.001).fit(plane(100))
    assert few.offset_ == tail.offset_ < few.calibration_scores_.min()


def test_fits_repeat_and_leave_global_state_alone() -> None:
    x = plane(120)
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = small().fit(x)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    again = clone(first).fit(x)
    assert same_bits(first.score_samples(x), again.score_samples(x))
    other = small(random_state=1).fit(x)
    assert not same_bits(first.score_samples(x), other.score_samples(x))


def test_a_row_is_scored_alone() -> None:
    x = plane(40, seed=6)
    detector = fitted()
    one_by_one = np.concatenate([detector.score_samples(row[None]) for row in x])
    assert np.allclose(one_by_one, detector.score_samples(x), rtol=1e-9)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_autoencoder_serves(cls: type) -> None:
    detector = OutlierDetector(cls(2, **SMALL)).fit(plane(150))
    assert isinstance(detector.autoencoder_, cls)
    assert detector.predict(np.full((1, 5), 20.0)) == [-1]


def test_missing_entries_are_no_surprise_and_hide_none() -> None:
    x = with_holes(plane(200), 0.1)
    detector = small().fit(x)
    odd = np.array([[np.nan, 30.0, np.nan, 0.0, 0.0], [np.nan] * 5])
    assert np.isfinite(detector.score_samples(x)).all()
    assert detector.predict(odd).tolist() == [-1, 1]
    assert detector.explain(odd)[0].argmax() == 1


def test_constant_features_and_tables_with_names() -> None:
    frame = pd.DataFrame(plane(100), columns=list("abcde"))
    frame["f"] = 1.0
    detector = small().fit(frame)
    assert detector.feature_names_in_.tolist() == list("abcdef")
    frame.loc[0, "f"] = 5.0
    assert detector.predict(frame.iloc[:1]) == [-1]


def test_the_default_holds_most_of_the_variance() -> None:
    x = plane(300)
    model = default_autoencoder(x, 0)
    assert isinstance(model, VariationalAutoencoder)
    assert model.n_components == 2
    assert default_autoencoder(with_holes(x), 0).n_components <= 4
    assert default_autoencoder(x[:, :1], 0).n_components == 1


def test_a_column_that_is_empty_in_the_first_rows_does_not_choose_the_default() -> None:
    x = np.random.default_rng(0).normal(size=(5_010, 4))
    x[:5_000, 2] = np.nan
    found = default_autoencoder(x, 0)
    assert found.n_components == default_autoencoder(np.delete(x, 2, axis=1), 0).n_components + 1


def test_an_offset_of_a_feature_explains_nothing() -> None:
    """Without scaling too, where PCA is not moved by an offset."""
    still = Autoencoder(2, **(SMALL | {"max_epochs": 1, "learning_rate": 1e-12, "scaling": "none"}))
    offset, odd = np.array([0.0, 0.0, 100.0, 0.0, 0.0]), 3 * plane(5, 1)
    plain, moved = (OutlierDetector(still).fit(plane(200) + by) for by in (0.0, offset))
    found = moved.explain(odd + offset)
    np.testing.assert_allclose(found, plain.explain(odd), rtol=1e-3, atol=2e-3)


def test_the_detector_minds_no_set_output() -> None:
    x = plane(100)
    frame = pd.DataFrame(x, columns=list("abcde"))
    model = VariationalAutoencoder(2, **SMALL).set_output(transform="pandas")
    detector = OutlierDetector(model).fit(frame)
    np.testing.assert_array_equal(detector.explain(frame), small().fit(x).explain(x))


@pytest.mark.parametrize("seed", range(8))
def test_a_column_of_few_values_is_fitted_whatever_rows_are_drawn(seed: int) -> None:
    x = plane(60)
    x[2:, 3] = np.nan
    detector = small(calibration_fraction=0.5, random_state=seed).fit(x)
    assert np.isfinite(detector.score_samples(x)).all()
    assert len(detector.calibration_scores_) == 15


def test_columns_of_too_few_values_are_told_as_that() -> None:
    x = np.full((40, 60), np.nan)
    x[np.arange(60) % 40, np.arange(60)] = 1.0
    with pytest.raises(IsthmusError, match=r"no value in the 32 rows that are drawn for the fit"):
        small().fit(x)


def test_a_failed_fit_changes_nothing() -> None:
    detector = small().fit(plane(100))
    before = detector.score_samples(plane(5))
    with pytest.raises(ValueError, match="at least 6 rows"):
        detector.fit(plane(5))
    assert same_bits(detector.score_samples(plane(5)), before)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"threshold": "guess"}, "threshold='guess'"),
        ({"contamination": 0.0}, "contamination=0.0"),
        ({"contamination": 0.6}, "contamination=0.6"),
        ({"contamination": "auto"}, "contamination='auto'"),
        ({"false_alarm_rate": float("nan")}, "false_alarm_rate=nan"),
        ({"calibration_fraction": 1.0}, "calibration_fraction=1.0"),
        ({"n_neighbors": 0}, "n_neighbors=0"),
        ({"autoencoder": "vae"}, "autoencoder='vae'"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        small().set_params(**given).fit(plane(50))
    assert named in str(caught.value)


# Files and faces


@pytest.mark.parametrize("rule", RULES)
def test_a_saved_detector_is_the_same(rule: str, tmp_path: Any) -> None:
    detector, x = fitted(rule), plane(30, seed=8)
    again = OutlierDetector.load(detector.save(tmp_path / "run"))
    for method in ("score_samples", "p_values", "predict", "explain", "surprises"):
        assert np.allclose(getattr(again, method)(x), getattr(detector, method)(x), rtol=1e-12)
    assert again.offset_ == detector.offset_
    assert again.false_alarm_interval_ == detector.false_alarm_interval_
    assert np.array_equal(again.labels_, detector.labels_)
    with pytest.raises(RunError, match="exists"):
        detector.save(tmp_path / "run")
    detector.save(tmp_path / "run", force=True)


def test_a_run_of_another_kind_or_altered_is_refused(tmp_path: Any) -> None:
    model = Autoencoder(1, random_state=0, **SMALL).fit(plane(30))
    model.save(tmp_path / "model")
    with pytest.raises(RunError, match="autoencoder alone"):
        OutlierDetector.load(tmp_path / "model")
    config = fitted().save(tmp_path / "run") / "config.json"
    altered = json.loads(config.read_text(encoding="utf-8"))
    altered["detector"]["n_features"] = 4
    config.write_text(json.dumps(altered), encoding="utf-8")
    with pytest.raises(RunError, match="does not hold what its schema promises"):
        OutlierDetector.load(tmp_path / "run")


def test_pyods_conventions() -> None:
    x, new = plane(200), np.vstack([plane(10, seed=9), np.full((2, 5), 20.0)])
    face = PyODFace(small(contamination=0.05)).fit(x)
    assert face.labels_.sum() == 10 == (face.decision_scores_ > face.threshold_).sum()
    assert np.allclose(face.decision_function(x), face.decision_scores_)
    assert np.array_equal(face.predict(new), (face.decision_function(new) > face.threshold_))
    assert face.predict(new)[-2:].tolist() == [1, 1]
    assert np.allclose(face.predict_proba(new).sum(1), 1)
    assert np.array_equal(PyODFace(small(contamination=0.05)).fit_predict(x), face.labels_)
    assert face.contamination == 0.05


def test_the_face_is_cloned_and_set_as_pyods_detectors_are() -> None:
    face = PyODFace(small(contamination=0.05))
    assert clone(face).get_params()["detector__contamination"] == 0.05
    assert face.set_params(contamination=0.2).detector.contamination == 0.2
    assert PyODFace(contamination=0.03).get_params(deep=False)["contamination"] == 0.03


def test_confidence_of_a_prediction_is_the_binomials() -> None:
    x = plane(200)
    face = PyODFace(small(contamination=0.05)).fit(x)
    new = np.vstack([x, np.full((1, 5), 20.0)])
    labels, sure = face.predict(new, return_confidence=True)
    n, o = 200, 10
    below = (face.decision_scores_[None] <= face.decision_function(new)[:, None]).sum(1)
    for label, m, found in zip(labels, below, sure, strict=True):
        p = (1 + m) / (2 + n)
        more = sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n - o + 1, n + 1))
        assert found == pytest.approx(more if label else 1 - more, abs=1e-9)
    assert sure[-1] > 0.999
    assert sure[:-1][below[:-1] < 100].min() > 0.999
    assert sure.min() < 0.7  # at the threshold


def test_a_row_without_any_value_has_no_reason() -> None:
    assert fitted().reasons(np.full((1, 5), np.nan)) == [[]]


def test_it_is_a_public_name() -> None:
    assert isthmus.OutlierDetector is OutlierDetector


# The command line


QUICK = ("--max-epochs", "2", "--hidden-layer-sizes", "8", "--no-early-stopping")


def command(*words: str) -> int:
    return run(["outliers", *words], door.VERBS)


@pytest.fixture
def table(tmp_path: Any) -> str:
    x = np.vstack([plane(120), [[0.0, 40.0, 0.0, 0.0, 0.0]]])
    frame = pd.DataFrame(x, columns=list("abcde"))
    frame["odd"] = np.repeat([0, 1], [120, 1])
    frame.to_csv(tmp_path / "table.csv", index=False)
    return str(tmp_path / "table.csv")


def test_the_command_names_the_row_and_its_feature(table: str, tmp_path: Any, capsys: Any) -> None:
    out, save = str(tmp_path / "scores.csv"), str(tmp_path / "run")
    code = command(
        *(table, "--label", "odd", "--contamination", "0.05", "--seed", "0"),
        *("--top", "1", "--out", out, "--save", save, *QUICK),
    )
    said = capsys.readouterr().out
    assert code == 0
    assert "6 of 121 rows" in said
    assert "b = 40" in said
    assert "AUROC for odd: 1 " in said
    written = pd.read_csv(out)
    assert written.columns.tolist() == ["odd", "score", "p_value", "outlier"]
    assert written["outlier"].sum() == 6
    assert written["score"].idxmin() == 120
    assert OutlierDetector.load(save).n_features_in_ == 5


def test_the_command_judges_new_rows_and_gives_an_object(table: str, capsys: Any) -> None:
    words = ("--new", table, "--drop", "odd", "--false-alarm-rate", "0.02", "--json")
    assert command(table, *words, "--model", "undercomplete", *QUICK) == 0
    facts = json.loads(capsys.readouterr().out)
    first = facts["outliers"][0]
    assert (first["row"], first["features"][0]["feature"]) == (120, "b")
    assert facts["threshold"] == "false_alarms"
    assert 0 <= facts["false_alarm_interval"][0] <= facts["false_alarm_interval"][1] <= 1


def test_a_label_in_the_judged_file_is_enough(table: str, tmp_path: Any, capsys: Any) -> None:
    bare = str(tmp_path / "bare.csv")
    pd.read_csv(table).drop(columns="odd").to_csv(bare, index=False)
    assert command(bare, "--new", table, "--label", "odd", *QUICK) == 0
    assert "AUROC for odd" in capsys.readouterr().out
    assert command(table, "--new", bare, "--label", "odd", *QUICK) == 0
    assert "No AUROC: " in capsys.readouterr().out
    assert command(bare, "--new", bare, "--label", "odd", *QUICK) == 2
    assert "--label 'odd' must name a column of" in capsys.readouterr().err


def test_a_saved_detector_is_opened_and_told(table: str, tmp_path: Any, capsys: Any) -> None:
    save, out = str(tmp_path / "run"), str(tmp_path / "scores.csv")
    words = ("--label", "odd", "--seed", "0", "--json")
    assert command(table, *words, "--save", save, "--out", out, *QUICK) == 0
    first = json.loads(capsys.readouterr().out)
    again_out = str(tmp_path / "again.csv")
    assert command(table, *words[:2], "--json", "--detector", save, "--out", again_out) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["outliers"] == first["outliers"]
    assert again["auroc"] == first["auroc"]
    pd.testing.assert_frame_equal(pd.read_csv(out), pd.read_csv(again_out))
    assert run(["info", save, "--json"], door.VERBS) == 0
    facts = json.loads(capsys.readouterr().out)
    kept = OutlierDetector.load(save)
    assert facts["kind"] == "detector"
    assert facts["offset"] == kept.offset_ == first["offset"]
    assert facts["n_rows"] == 121
    assert facts["feature_names"] == list("abcde")
    for verb in (["score", save, table], ["transform", save, table, "--out", out, "--force"]):
        assert run(verb, door.VERBS) == 2
        assert "isthmus outliers DATA --detector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        (np.ones((30, 4)), (), "Every column of"),
        (plane(60), ("--n-components", "40"), "40 components are not fewer than the 5 features"),
    ],
)
def test_what_teaches_little_is_told(
    rows: np.ndarray, words: tuple[str, ...], said: str, tmp_path: Any, capsys: Any
) -> None:
    path = str(tmp_path / "x.csv")
    pd.DataFrame(rows).add_prefix("c").to_csv(path, index=False)
    assert command(path, *words, *QUICK) == 0
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_plain_code_as_wide_as_the_rows_is_refused(table: str, capsys: Any) -> None:
    words = ("--label", "odd", "--model", "undercomplete", "--n-components", "5")
    assert command(table, *words) == 2
    assert "n_components=5 must be between 1 and 4" in capsys.readouterr().err


def test_the_command_refuses_two_rules(table: str, capsys: Any) -> None:
    code = command(table, "--contamination", "0.1", "--extreme-value", "0.01")
    assert code != 0
    assert "exclude one another" in capsys.readouterr().err
