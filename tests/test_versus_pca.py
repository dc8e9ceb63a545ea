"""What a fit records of its held-out rows, and what is said of them beside PCA."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA

from isthmus import Autoencoder, VariationalAutoencoder, load
from isthmus.core import pca
from isthmus.errors import DataError, RunError
from isthmus.evaluation.versus_pca import interval, verdict
from isthmus.runs import directory

X = load_breast_cancer().data
X = (X - X.mean(0)) / X.std(0)


@pytest.fixture(scope="module")
def cross_validated():
    return Autoencoder(3, max_epochs=4, random_state=0).fit(X)


@pytest.fixture(scope="module")
def held_out():
    return Autoencoder(3, early_stopping=True, max_epochs=4, random_state=0).fit(X)


def test_every_row_is_judged_once_by_a_model_that_did_not_see_it(cross_validated):
    assert sorted(cross_validated.held_out_.rows) == list(range(len(X)))


def test_held_out_rows_are_a_part(held_out):
    rows = held_out.held_out_.rows
    assert len(np.unique(rows)) == len(rows) == round(0.1 * len(X))


@pytest.mark.parametrize("name", ["cross_validated", "held_out"])
def test_means_over_rows_are_the_figures_of_the_fit(name, request):
    model = request.getfixturevalue(name)
    judged = model.held_out_
    assert judged.squared_error.mean() == pytest.approx(model.squared_error_, rel=1e-9)
    assert judged.pca_squared_error.mean() == pytest.approx(model.pca_squared_error_, rel=1e-9)
    assert model.pca_curve_[2] == pytest.approx(model.pca_squared_error_, rel=1e-9)


def test_the_curve_is_that_of_scikit_learn(held_out):
    rows = held_out.held_out_.rows
    train, test = np.delete(X, rows, axis=0), X[rows]
    for k in (1, 3, 10, 29, 30):
        other = PCA(k).fit(train)
        error = np.square(test - other.inverse_transform(other.transform(test))).sum(1)
        assert held_out.pca_curve_[k - 1] == pytest.approx(error.mean(), rel=1e-4, abs=1e-6)
        if k == 3:
            np.testing.assert_allclose(held_out.held_out_.pca_squared_error, error, rtol=1e-3)


def test_the_models_own_rows_are_those_recorded(held_out):
    rows = held_out.held_out_.rows
    error = np.square(X[rows] - held_out.reconstruct(X[rows])).sum(1)
    np.testing.assert_allclose(held_out.held_out_.squared_error, error, rtol=1e-3)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("corrupted", [False, True])
def test_errors_by_size_are_those_of_each_size(missing, corrupted):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=rng) @ torch.randn(6, 6, generator=rng)
    given = x + torch.randn(x.shape, generator=rng) if corrupted else x
    there = torch.rand(x.shape, generator=rng) < 0.7 if missing else None
    unit = torch.full((6,), 3.0, dtype=torch.float64)
    s = pca.spectrum(x, 6)
    found = pca.errors_by_size(s, given, x, unit, there)
    for k in range(1, 7):
        other = PCA(k).fit(x.double().numpy())
        left = 3.0 * (x.double().numpy() - other.inverse_transform(other.transform(given.double())))
        expected = np.square(left) if there is None else np.square(left) * there.numpy()
        np.testing.assert_allclose(found[:, k - 1], expected.sum(1), rtol=1e-5, atol=1e-8)


def test_features_of_different_units_are_weighed_one_by_one():
    rng = torch.Generator().manual_seed(0)
    x, unit = torch.randn(40, 4, generator=rng), torch.tensor([1.0, 2.0, 3.0, 4.0])
    s = pca.spectrum(x, 4)
    other = PCA(2).fit(x.double().numpy())
    left = unit.numpy() * (x.numpy() - other.inverse_transform(other.transform(x.double().numpy())))
    found = pca.errors_by_size(s, x, x, unit)[:, 1]
    np.testing.assert_allclose(found, np.square(left).sum(1), rtol=1e-5)


def test_what_was_held_out_outlives_saving(held_out, tmp_path):
    again = load(held_out.save(tmp_path / "run", provenance={"origin": "x.csv"}))
    for name in ("rows", "loss", "start_loss", "squared_error", "pca_squared_error"):
        np.testing.assert_array_equal(
            getattr(again.held_out_, name), getattr(held_out.held_out_, name)
        )
    np.testing.assert_array_equal(again.pca_curve_, held_out.pca_curve_)
    assert directory.read(tmp_path / "run").config["data"]["origin"] == "x.csv"


def test_without_held_out_rows_there_is_nothing_to_say():
    model = Autoencoder(2, early_stopping=False, max_epochs=1, random_state=0).fit(X)
    assert model.held_out_ is None
    assert model.pca_curve_ is None


def test_new_rows_make_what_was_said_of_the_old_weights_stale(held_out, tmp_path):
    model = load(held_out.save(tmp_path / "run")).partial_fit(X[:64])
    assert model.held_out_ is None
    assert np.isnan(model.squared_error_)
    assert not model.stayed_linear_


def test_a_variational_model_has_losses_at_both_ends():
    model = VariationalAutoencoder(2, max_epochs=2, random_state=0).fit(load_wine().data)
    judged = model.held_out_
    assert judged.loss.shape == judged.start_loss.shape == (178,)
    assert judged.loss.mean() <= judged.start_loss.mean()


# the verdict


def errors(n, share, seed=0):
    rng = np.random.default_rng(seed)
    pca_errors = rng.gamma(3.0, 1.0, n)
    return (1 - share) * pca_errors * rng.gamma(30.0, 1 / 30.0, n), pca_errors


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, -0.3])
def test_the_interval_is_scipys(share):
    e, p = errors(400, share)
    found = interval(e, p, n_draws=8000)
    other = stats.bootstrap(
        (e, p),
        lambda a, b, axis: 1 - a.mean(axis) / b.mean(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=8000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    np.testing.assert_allclose(found, other, atol=0.003)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        low, high = interval(*errors(150, 0.2, seed), n_draws=400)
        covered += low <= 0.2 <= high
    assert stats.binomtest(covered, 200, 0.95).pvalue > 0.001


@pytest.mark.parametrize(
    ("share", "outcome"), [(0.5, "better"), (0.0, "level"), (-0.5, "worse"), (0.1, "better")]
)
def test_the_outcome_is_what_the_interval_says(share, outcome):
    found = verdict(*errors(2000, share), 4)
    assert found.outcome == outcome
    assert found.low <= found.share <= found.high
    assert ("use PCA" in found.sentence) == (outcome != "better")


def test_how_many_components_pca_needs():
    e, p = np.full(10, 3.0), np.full(10, 5.0)
    assert verdict(e, p, 2, curve=np.array([6.0, 5.0, 4.0, 3.0, 2.0])).n_to_match == 4
    missed = verdict(e, p, 2, curve=np.array([6.0, 5.0]))
    assert missed.n_to_match is None
    assert "PCA with 2 does not match it" in missed.sentence


def test_what_stayed_at_pca_is_level():
    assert verdict(*errors(100, 0.5), 4, stayed_linear=True).outcome == "level"


def test_what_penalties_shrink_is_not_called_as_good_as_pca():
    shrunk = verdict(*errors(100, -1.8), 3, stayed_linear=True)
    assert shrunk.outcome == "worse"
    assert shrunk.sentence.startswith("More than twice the squared error of PCA at 3 dimensions")


@pytest.mark.parametrize("sizes", [(1, 1), (3, 4)])
def test_errors_of_other_rows_are_refused(sizes):
    with pytest.raises(DataError, match="same rows"):
        verdict(np.ones(sizes[0]), np.ones(sizes[1]), 1)


# attachments


@pytest.fixture
def run(held_out, tmp_path):
    return held_out.save(tmp_path / "run")


def test_what_is_attached_is_read_again(run):
    facts = {"a": 1.5, "b": [1, {"c": "d"}], "nan": float("nan")}
    directory.attach(run, "evaluation", facts, {"x": torch.arange(3)})
    found, arrays = directory.attached(run, "evaluation")
    assert found == {**facts, "nan": None}
    assert arrays["x"].tolist() == [0, 1, 2]
    assert directory.attached(run, "comparison") is None
    assert load(run).n_components_ == 3


def test_what_was_attached_is_replaced(run):
    for value in (1, 2):
        directory.attach(run, "evaluation", {"value": value}, {"x": torch.tensor([value])})
    assert directory.attached(run, "evaluation")[0] == {"value": 2}


def test_it_goes_with_the_model_it_is_of(run, held_out):
    directory.attach(run, "evaluation", {"a": 1}, {})
    config = (run / "config.json").read_text()
    other = config.replace(directory.read(run).config["checksum"], "0" * 64)
    (run / "config.json").write_text(other)
    assert directory.attached(run, "evaluation") is None
    held_out.save(run, force=True)
    assert not (run / "evaluation.json").exists()


def test_damage_is_told(run):
    directory.attach(run, "evaluation", {"a": 1}, {"x": torch.arange(3)})
    data = bytearray((run / "evaluation.safetensors").read_bytes())
    data[-1] ^= 1
    (run / "evaluation.safetensors").write_bytes(data)
    with pytest.raises(RunError, match="checksum"):
        directory.attached(run, "evaluation")
    (run / "evaluation.json").write_text("[]")
    with pytest.raises(RunError, match="no facts"):
        directory.attached(run, "evaluation")


def test_nothing_is_attached_to_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="no run"):
        directory.attach(tmp_path, "evaluation", {}, {})


def test_a_share_without_bound_is_told_in_words():
    errors = np.array([1.0, 2.0, 3.0])
    found = verdict(errors, np.zeros(3), 2)
    assert found.outcome == "worse"
    assert "without bound" in found.sentence
    assert "000" not in found.sentence
