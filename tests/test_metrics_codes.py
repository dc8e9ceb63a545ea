"""Laws of the metrics of a code: neighbourhoods, probes, factors, outliers, walks, noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import entropy, mannwhitneyu
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness as theirs
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus.errors import DataError
from isthmus.evaluation import (
    detection,
    disentanglement,
    neighbourhood,
    probes,
    robustness,
    smoothness,
)
from isthmus.evaluation.pca_line import PcaLine

RNG = np.random.default_rng(0)
WINE = load_wine()
X = StandardScaler().fit_transform(WINE.data)
CODES = PCA(3).fit_transform(X)

# ------------------------------------------------------------------ neighbourhoods


def by_definition(rows: np.ndarray, codes: np.ndarray, k: int) -> float:
    """Venna & Kaski's sum, entry by entry."""
    n = len(rows)

    def order(points: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(distance, -1.0)
        return np.argsort(distance, axis=1)

    rank, near = np.argsort(order(rows), axis=1), order(codes)[:, 1 : k + 1]
    penalty = sum(max(0, int(rank[i, j]) - k) for i in range(n) for j in near[i])
    return 1.0 - 2.0 / (n * k * (2 * n - 3 * k - 1)) * penalty


@pytest.mark.parametrize("k", [1, 5, 20])
def test_trustworthiness_and_continuity_are_their_definitions(k: int) -> None:
    assert neighbourhood.trustworthiness(X, CODES, k) == theirs(X, CODES, n_neighbors=k)
    assert neighbourhood.trustworthiness(X, CODES, k) == pytest.approx(by_definition(X, CODES, k))
    assert neighbourhood.continuity(X, CODES, k) == pytest.approx(by_definition(CODES, X, k))


def test_a_projection_keeps_neighbours_and_brings_strangers_near() -> None:
    flat = X[:, :1]
    assert neighbourhood.continuity(X, flat) > neighbourhood.trustworthiness(X, flat)


def test_too_few_rows_have_no_neighbourhood() -> None:
    with pytest.raises(DataError, match="more than 10"):
        neighbourhood.trustworthiness(X[:10], CODES[:10])


# ------------------------------------------------------------------ probes


def test_the_linear_probe_is_scikit_learns() -> None:
    found = probes.probe(CODES, WINE.target, seed=3)
    folds = StratifiedKFold(5, shuffle=True, random_state=3)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    assert found.linear == pytest.approx(
        cross_val_score(model, CODES, WINE.target, cv=folds).mean()
    )
    assert (found.n, found.n_classes, found.measured) == (178, 3, False)
    assert found.chance == np.bincount(WINE.target).max() / 178


def test_a_code_without_the_label_does_no_better_than_chance() -> None:
    found = probes.probe(RNG.normal(size=(178, 3)), WINE.target)
    assert max(found.linear, found.neighbours) < found.chance + 0.08


def test_words_are_classes_and_their_names_do_not_matter() -> None:
    words = np.array(["a", "b", "c"])[WINE.target]
    assert probes.probe(CODES, words) == probes.probe(CODES, WINE.target)


def test_measurements_are_judged_by_r2() -> None:
    data = load_diabetes()
    found = probes.probe(data.data, data.target)
    assert found.measured
    assert found.chance == 0.0
    assert 0.4 < found.linear < 0.6  # published R² of this table is about 0.5


def test_missing_labels_and_classes_of_one_row_are_left_out() -> None:
    y = WINE.target.astype(float)
    y[:10] = np.nan
    words = np.array(["a", "b", "c"])[WINE.target].astype(object)
    words[:10] = ""
    words[10] = "alone"
    assert probes.probe(CODES, y).n == 168
    assert probes.probe(CODES, words).n == 167


@pytest.mark.parametrize("labels", [np.zeros(178), np.arange(178).astype(str)])
def test_labels_that_tell_nothing_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="classes"):
        probes.probe(CODES, labels)


# ------------------------------------------------------------------ disentanglement

FACTORS = np.array([[i, j, k] for i in range(4) for j in range(5) for k in range(3)] * 10)
ROTATION = np.eye(3) - 2 / 3  # orthogonal, every latent a mixture of all factors


def test_a_code_of_the_factors_themselves_is_perfect() -> None:
    order = FACTORS[:, [2, 0, 1]] * np.array([1.0, -3.0, 0.1])
    assert disentanglement.mig(order, FACTORS) == pytest.approx(1.0)
    found = disentanglement.dci(order, FACTORS)
    assert found.disentanglement > 0.95
    assert found.completeness > 0.95
    assert found.informativeness > 0.99
    # all of one latent, chance from the next: (1 − 1/4), (1 − 1/5), (1 − 1/3) on average
    assert disentanglement.sap(order, FACTORS) == pytest.approx(
        (3 / 4 + 4 / 5 + 2 / 3) / 3, abs=0.1
    )


def test_a_rotated_code_is_not() -> None:
    z = (FACTORS - FACTORS.mean(0)) / FACTORS.std(0) @ ROTATION
    found = disentanglement.dci(z, FACTORS)
    assert disentanglement.mig(z, FACTORS) < 0.35
    assert disentanglement.sap(z, FACTORS) < 0.35
    assert found.disentanglement < 0.5
    assert found.informativeness > 0.8  # it is all there, only mixed


def test_a_code_of_noise_knows_nothing() -> None:
    z = RNG.normal(size=(len(FACTORS), 3))
    assert disentanglement.mig(z, FACTORS) < 0.03
    assert disentanglement.sap(z, FACTORS) < 0.1
    assert disentanglement.dci(z, FACTORS).disentanglement < 0.2


def test_the_gap_is_one_less_the_entropy_that_a_second_latent_shares() -> None:
    f = np.repeat(np.arange(4), 25)[:, None]
    # the second latent knows one of the factor's two bits
    z = np.hstack([f, f // 2]).astype(float)
    assert disentanglement.mig(z, f) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "importance", [np.eye(4), RNG.uniform(size=(4, 4)), RNG.uniform(size=(6, 3))]
)
def test_concentration_is_scipys_entropy(importance: np.ndarray) -> None:
    k, f = importance.shape
    by_latent = 1 - entropy(importance, axis=1) / math.log(f)
    by_factor = 1 - entropy(importance, axis=0) / math.log(k)
    weight = importance.sum(1) / importance.sum()
    expected = (weight @ by_latent, by_factor.mean())
    np.testing.assert_allclose(disentanglement.concentration(importance), expected, atol=1e-12)


def test_measured_factors_are_predicted_by_a_line() -> None:
    t = RNG.normal(size=(400, 2))
    z = np.hstack([t[:, :1] + t[:, 1:], t[:, 1:]])
    # R² of the first factor is ½ and 0, of the second ½ and 1
    assert disentanglement.sap(z, t) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("codes", "factors", "said"),
    [
        (FACTORS[:, :1], FACTORS, "second"),
        (FACTORS, FACTORS[:5], "row for each"),
        (FACTORS, np.zeros((len(FACTORS), 1)), "vary"),
        (FACTORS, np.full((len(FACTORS), 1), np.nan), "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    codes: np.ndarray, factors: np.ndarray, said: str
) -> None:
    for figure in (disentanglement.mig, disentanglement.sap, disentanglement.dci):
        with pytest.raises(DataError, match=said):
            figure(codes, factors)


# ------------------------------------------------------------------ detection


def test_auroc_is_the_mann_whitney_statistic() -> None:
    marks = RNG.uniform(size=200) < 0.2
    score = np.round(RNG.normal(size=200) + marks, 1)  # with ties
    u = mannwhitneyu(score[marks], score[~marks]).statistic
    assert detection.auroc(marks, score) == pytest.approx(u / (marks.sum() * (~marks).sum()))
    assert detection.auroc(marks, -score) == pytest.approx(1 - detection.auroc(marks, score))
    assert detection.average_precision(marks, score) == average_precision_score(marks, score)


def test_a_score_that_knows_nothing_has_a_half_and_the_share() -> None:
    marks = np.arange(1000) % 10 == 0
    assert detection.auroc(marks, np.zeros(1000)) == 0.5
    assert detection.average_precision(marks, np.zeros(1000)) == pytest.approx(0.1)


@pytest.mark.parametrize("given", [[0, 1], [0.0, 1.0], ["no", "yes"], [False, True], ["0", "1"]])
def test_flags_are_read_in_words_and_numbers(given: list[object]) -> None:
    assert detection.flags(np.array(given)).tolist() == [False, True]


@pytest.mark.parametrize("given", [[0, 0], [1, 1], [0, 2], ["a", "b"], [0.0, np.nan]])
def test_other_flags_are_refused(given: list[object]) -> None:
    with pytest.raises(DataError):
        detection.flags(np.array(given))


# ------------------------------------------------------------------ walks and noise


def test_walks_of_a_linear_decoder_are_straight_and_even() -> None:
    ends = RNG.normal(size=(5, 2, 3))
    t = np.linspace(0, 1, 9)[None, :, None]
    paths = (ends[:, :1] * (1 - t) + ends[:, 1:] * t) @ RNG.normal(size=(3, 4))
    np.testing.assert_allclose(smoothness.detour(paths), 1.0)
    np.testing.assert_allclose(smoothness.jump(paths), 1.0)


def test_a_half_circle_is_longer_than_its_diameter() -> None:
    angle = np.linspace(0, np.pi, 2001)
    path = np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    np.testing.assert_allclose(smoothness.detour(path), np.pi / 2, rtol=1e-6)


def test_all_at_once_is_the_largest_jump() -> None:
    path = np.repeat([0.0, 1.0], 5)[None, :, None]
    assert smoothness.jump(path)[0] == 9
    assert smoothness.detour(path)[0] == 1
    still = np.zeros((1, 4, 2))
    assert np.isnan([smoothness.jump(still)[0], smoothness.detour(still)[0]]).all()


@pytest.mark.parametrize("level", [0.0, 0.3, 2.0])
def test_a_linear_map_passes_its_frobenius_norm(level: float) -> None:
    digits = load_digits().data[:1500]
    pca = PCA(8).fit(digits)

    def project(x: np.ndarray) -> np.ndarray:
        return np.asarray(pca.inverse_transform(pca.transform(x)))

    def corrupt(s: float) -> np.ndarray:
        return digits + s * np.random.default_rng(0).standard_normal(digits.shape)

    found = robustness.noise(project, corrupt, digits, np.array([level]), np.ones(64))
    clean = np.square(digits - project(digits)).sum(1).mean()
    # E‖x − R(x+ε)‖² = E‖x − Rx‖² + s²‖R‖²_F exactly, and ‖R‖²_F = 8 for a projector
    assert found.error[0] == pytest.approx(clean + level**2 * 8, rel=0.01)
    if level:
        assert found.passed[0] == pytest.approx(8 / 64, rel=0.03)
    else:
        assert np.isnan(found.passed[0])


def test_missing_entries_neither_err_nor_pass() -> None:
    x = X.copy()
    x[:, 0] = np.nan

    def corrupt(s: float) -> np.ndarray:
        return x + s

    found = robustness.noise(np.nan_to_num, corrupt, x, np.array([1.0]), np.ones(13))
    assert found.error[0] == pytest.approx(12.0)
    assert found.passed[0] == pytest.approx(1.0)


@pytest.mark.parametrize("k", [1, 4])
def test_the_line_to_beat_is_scikit_learns_pca(k: int) -> None:
    line, pca = PcaLine(X[:150], k), PCA(k).fit(X[:150])
    new = X[150:]
    expected = pca.inverse_transform(pca.transform(new))
    np.testing.assert_allclose(line.reconstruct(new), expected, atol=1e-9)
    curve = [
        np.square(new - p.inverse_transform(p.transform(new))).sum(1).mean()
        for p in (PCA(j).fit(X[:150]) for j in range(1, 14))
    ]
    np.testing.assert_allclose(line.curve(new), curve, atol=1e-8)
    np.testing.assert_allclose(np.abs(line.codes(new)), np.abs(pca.transform(new)), atol=1e-9)
