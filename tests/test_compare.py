"""Comparing sizes: warm starts, the sweep, what estimators and the command line make of it."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import make_swiss_roll
from sklearn.decomposition import PCA

import isthmus
from isthmus import presets
from isthmus.cli import main as door
from isthmus.core.linear_start import linear_start
from isthmus.data.batches import TensorBatches
from isthmus.errors import CombinationError, DataError, InvalidParameterError
from isthmus.estimators import _sheet
from isthmus.estimators._expectations import deviates, deviates_by_row
from isthmus.estimators.compare import compare
from isthmus.estimators.sizes.growth import grow, shrink
from isthmus.estimators.sizes.rivals import MOST_AGAIN, Rivals
from isthmus.estimators.sizes.short_fits import Judged, Size
from isthmus.estimators.sizes.starts import Before
from isthmus.estimators.sizes.sweep import Sweep
from isthmus.estimators.sizes.warm_start import take_mean
from isthmus.random import fork
from isthmus.runs.directory import attached

QUICK = {"max_epochs": 3, "hidden_layer_sizes": (8,)}


def subspace(n: int, d: int, n_features: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n_features, d)))[0]
    signal = rng.normal(size=(n, d)) @ axes.T * math.sqrt(n_features / d)
    return signal + noise * rng.normal(size=(n, n_features))


def curve(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, size=(n, 2))
    return np.hstack([np.sin(2 * t), t**2, t, t[:, :1] * t[:, 1:]]) + 0.1 * rng.normal(size=(n, 7))


def quick(**more):
    return isthmus.VariationalAutoencoder(**QUICK, **more)


@pytest.mark.parametrize("k", [1, 3, 11])
def test_the_bound_of_probabilistic_pca_is_exact_by_either_deviates(k):
    x = torch.from_numpy(subspace(60, 5, 12, 0.3)).float()
    module = variational(k, x)
    shared, own = deviates(module), deviates_by_row(module, len(x))
    assert own.std(1).min() > 0.1
    rows = x.double().numpy()
    values, axes = np.linalg.eigh(np.cov(rows.T, bias=True))
    values[:-k] = values[:-k].mean()  # Tipping & Bishop 1999, equation 8
    exact = stats.multivariate_normal(rows.mean(0), axes * values @ axes.T).logpdf(rows)
    for noise in (shared, own):
        with torch.no_grad():
            found = module.evidence(module.trace(x, noise=noise.float()))
        np.testing.assert_allclose(found.numpy(), exact, atol=1e-3)


# ------------------------------------------------------------------ warm starts


def variational(k: int, x: torch.Tensor, likelihood: str = "gaussian"):
    with fork(k):
        module = presets.build((x.shape[1],), k, (16,), beta=1.0, likelihood=likelihood)
    linear_start(module, x)
    return module.eval()


@torch.no_grad()
def bound(module, x: torch.Tensor, mask: torch.Tensor | None = None) -> float:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(256, module.n_components, generator=generator)
    noise = torch.cat([half, -half])
    return float(module.evidence(module.trace(x, mask, noise=noise)).mean())


def trained(module, x: torch.Tensor, mask: torch.Tensor | None = None):
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    with fork(0):
        for _ in range(60):
            loss = torch.stack(list(module.train()(x, mask).values())).sum(0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return module.eval()


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_feature", "gaussian_fixed"])
@pytest.mark.parametrize("more", [1, 3])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_grown_model_is_not_worse_before_its_first_step(likelihood, more, missing):
    x = torch.from_numpy(curve(200)).float()
    mask = None
    if missing:
        with fork(0):
            mask = torch.rand_like(x) > missing
        x = x * mask
    small = trained(variational(1, x, likelihood), x, mask)
    large = variational(1 + more, x, likelihood)
    assert grow(small, large, x, mask)
    assert bound(large, x, mask) > bound(small, x, mask) - 0.01


@pytest.mark.parametrize(("k", "more"), [(1, 1), (2, 1), (1, 3)])
def test_probabilistic_pca_grows_into_probabilistic_pca(k, more):
    # what is left over is described by the next axes; only σ is still that of the smaller model
    x = torch.from_numpy(subspace(300, 4, 8, 0.3)).float()
    small, large, best = (variational(n, x) for n in (k, k + more, k + more))
    assert grow(small, large, x)
    a, b = (m.decoder.net.linear.weight.detach().double() for m in (large, best))
    angles = torch.linalg.svdvals(torch.linalg.qr(a)[0].T @ torch.linalg.qr(b)[0])
    torch.testing.assert_close(angles, torch.ones_like(angles), rtol=0, atol=1e-4)
    assert bound(small, x) < bound(large, x) <= bound(best, x) + 1e-3


def test_noise_grows_no_latent():
    with fork(0):
        x = torch.randn(2000, 6)
    small, large = (variational(k, x, "gaussian_fixed") for k in (1, 3))
    grow(small, large, 0.9 * x)
    assert bool((large.decoder.net.linear.weight[:, 1:] == 0).all())
    assert bound(large, x) == pytest.approx(bound(small, x), abs=0.02)


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_sample", "laplace"])
def test_new_latents_that_say_nothing_leave_the_model_as_it_is(likelihood):
    x = torch.from_numpy(curve(200)).float()
    small, large = trained(variational(1, x, likelihood), x), variational(3, x, likelihood)
    assert grow(small, large, x, add=False)
    with torch.no_grad():
        z = torch.randn(5, 3)
        found, expected = large.decoder.raw(z), small.decoder.raw(z[:, :1])
        torch.testing.assert_close(found, expected)
        q, q_small = large.encode(x), small.encode(x)
        torch.testing.assert_close(q.mean[:, :1], q_small.mean)
        torch.testing.assert_close(q.stddev[:, :1], q_small.stddev)
        # the prior, at no price
        assert bool((q.mean[:, 1:] == 0).all() and (q.stddev[:, 1:] == 1).all())


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_sample", "laplace"])
def test_the_part_of_a_grown_model_is_the_model_that_it_grew_from(likelihood):
    x = torch.from_numpy(curve(200)).float()
    small, large, part = (variational(k, x, likelihood) for k in (2, 5, 2))
    trained(small, x)
    assert grow(small, large, x, add=False)
    shrink(large, part, TensorBatches(x))
    for name, value in small.state_dict().items():
        torch.testing.assert_close(part.state_dict()[name], value, msg=name)


def test_the_part_of_probabilistic_pca_is_that_of_its_first_axes():
    x = torch.from_numpy(subspace(300, 4, 8, 0.3) * np.linspace(1, 2, 8)).float()
    large, part = variational(4, x), variational(2, x)
    with torch.no_grad():  # the order of the latents says nothing
        mixed = torch.tensor([2, 0, 3, 1])
        for linear in (large.encoder.net.linear, large.encoder.net.layers[-1]):
            for values in (linear.weight, linear.bias):
                values.copy_(values.unflatten(0, (2, 4))[:, mixed].flatten(0, 1))
        for linear in (large.decoder.net.linear, large.decoder.net.layers[0]):
            linear.weight.copy_(linear.weight[:, mixed])
    shrink(large, part, TensorBatches(x))
    found = torch.linalg.qr(part.decoder.net.linear.weight.detach().double())[0]
    axes = torch.from_numpy(PCA(2).fit(x.double().numpy()).components_)
    torch.testing.assert_close(
        torch.linalg.svdvals(axes @ found), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-4
    )


def test_what_cannot_grow_says_so():
    x = torch.from_numpy(curve(100)).float()
    small, large = (variational(k, x) for k in (1, 2))
    large.encoder.net = torch.nn.Linear(7, 4)  # no linear path to put a direction in
    assert not grow(small, large, x)


def test_the_mean_is_taken_as_a_code():
    x = torch.from_numpy(curve(100)).float()
    module = trained(variational(2, x), x)
    plain = presets.build((7,), 2, (16,))
    take_mean(module, plain)
    with torch.no_grad():
        torch.testing.assert_close(plain.encode(x).mean, module.encode(x).mean)


# ------------------------------------------------------------------ the sweep


@pytest.mark.parametrize("n", [90, 400])
def test_pca_is_that_of_scikit_learn_on_the_same_rows(n):
    X = subspace(n, 2, 5, 0.4)
    sweep = Sweep(quick(scaling="common"), X, 0)
    assert sum(len(held) for _, held in sweep.parts) == (n if n == 90 else n // 4)
    for k in (1, 2, 4):
        error, total = [], []
        for train, held in sweep.parts:
            pca = PCA(k).fit(X[train.numpy()])
            rows = X[held.numpy()]
            error.append(((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(1))
            total.append(((rows - pca.mean_) ** 2).sum(1))
        assert sweep.pca_error[k - 1] == pytest.approx(np.concatenate(error).mean(), rel=1e-4)
        assert sweep.total == pytest.approx(np.concatenate(total).mean(), rel=1e-4)


def test_the_figures_of_a_linear_subspace():
    X = subspace(600, 3, 8, 0.3)
    found = compare(X, [2, 3, 4], model=quick(), random_state=0)
    assert found.recommended == found.linear_dimension == found.pca_mle == 3
    assert "no further" in found.reason
    assert found.intrinsic_dimension == pytest.approx(3, abs=0.6)
    assert (found.error <= found.pca_error * 1.001).all(), "it starts at PCA"
    held = Sweep(quick(), X, 0).parts[0]
    pca = PCA(3).fit(X[held[0].numpy()])
    exact = pca.score_samples(X[held[1].numpy()]).mean()
    assert found.pca_log_likelihood[1] == pytest.approx(exact, abs=0.02)
    assert found.log_likelihood[1] == pytest.approx(exact, abs=0.1)
    assert found.log_likelihood[1] > found.log_likelihood[0] + 1
    assert found.active_units.tolist() == [2, 3, 4]
    assert found.n_held_out == 150
    assert [row["n_components"] for row in found.table()] == [2, 3, 4]
    assert found.table()[1]["error"] == found.error[1]
    assert json.loads(json.dumps(found.as_facts()))["recommended"] == 3


def test_independent_features_do_not_compress():
    X = np.random.default_rng(0).normal(size=(600, 8)) * np.linspace(0.5, 1.5, 8)
    found = compare(X, [1, 2], model=quick(), random_state=0)
    assert found.recommended == 8
    assert not found.compresses
    assert found.reason.startswith("Nothing compresses")


def test_a_swiss_roll_has_two_dimensions():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(20, 3)))[0]
    X = make_swiss_roll(600, random_state=0)[0] @ axes.T + 0.05 * rng.normal(size=(600, 20))
    model = isthmus.VariationalAutoencoder(hidden_layer_sizes=(64, 64))
    found = compare(X, [2, 3], model=model, random_state=0)
    assert found.recommended == 2
    assert found.linear_dimension == found.pca_mle == 3
    assert "curved sheet" in found.reason
    assert found.error[0] < 0.2 * found.pca_error[0]


def test_the_same_seed_gives_the_same_and_nothing_global_moves():
    X = curve(320)
    states = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    found = [compare(X, [1, 2], model=quick(), random_state=seed) for seed in (0, 0, 1)]
    assert (np.random.get_state()[1] == states[0]).all()  # noqa: NPY002
    assert (torch.random.get_rng_state() == states[1]).all()
    np.testing.assert_array_equal(found[0].log_likelihood, found[1].log_likelihood)
    assert (found[0].log_likelihood != found[2].log_likelihood).all()


@pytest.mark.parametrize("likelihood", ["poisson", "bernoulli", "laplace"])
def test_other_likelihoods_and_missing_entries(likelihood):
    X = np.random.default_rng(0).poisson(np.exp(subspace(120, 1, 4, 0.1))).astype(float)
    X = np.minimum(X, 1.0) if likelihood == "bernoulli" else X
    X[::9, 1] = np.nan
    found = compare(X, [1, 2], model=quick(likelihood=likelihood), random_state=0)
    assert np.isfinite(found.log_likelihood).all()
    assert np.isfinite(found.error).all()
    assert np.isnan(found.pca_log_likelihood).all()


@functools.cache
def mixed(n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Three hidden numbers behind four numbers and three categories; 5% of the entries missing."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    numbers = z @ np.linalg.qr(rng.normal(size=(4, 4)))[0][:, :3].T * 2.5
    table = {f"n{j}": numbers[:, j] + 0.5 * rng.normal(size=n) for j in range(4)}
    for j, size in enumerate((2, 3, 4)):
        logits = 2.0 * z @ rng.normal(size=(3, size)) + rng.gumbel(size=(n, size))
        table[f"c{j}"] = np.array(list("abcd"))[logits.argmax(1)]
    return pd.DataFrame(table).mask(rng.random((n, 7)) < 0.05)


def twins(n: int = 1000) -> pd.DataFrame:
    """Two pairs of equal categories of four levels, and three numbers of their own."""
    rng = np.random.default_rng(0)
    table = {f"n{j}": rng.normal(size=n) for j in range(3)}
    for name in "ab":
        table[name] = table[f"{name}_again"] = rng.choice(list("abcd"), n)
    return pd.DataFrame(table)


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """The same columns, independent of each other."""
    rng = np.random.default_rng(1)
    return table.apply(lambda column: rng.permutation(column.to_numpy()))


NARROW = isthmus.VariationalAutoencoder(hidden_layer_sizes=(32,))


def test_a_mixed_table_of_three_factors_has_three():
    found = compare(mixed(), [1, 2, 3, 4, 5], NARROW, random_state=0)
    assert found.recommended == 3, found.reason
    assert "3 components gain " in found.reason
    assert found.unit == "squared standard deviations and Brier scores"
    assert (found.linear_dimension, found.pca_mle, found.intrinsic_dimension) == (None, None, None)
    assert np.isnan(found.pca_log_likelihood).all()
    assert (found.error < 1.01 * found.pca_error).all()
    assert json.loads(json.dumps(found.as_facts()))["linear"] is None


def test_independent_columns_of_a_mixed_table_do_not_compress():
    found = compare(shuffled(mixed()), [1, 2], NARROW, random_state=0)
    assert (found.recommended, found.compresses) == (7, False)
    assert found.reason.startswith("Nothing compresses: held-out rows are as likely if the 7 col")


def test_each_size_of_a_mixed_table_starts_no_worse_than_the_size_before():
    sweep = Sweep(NARROW, twins(400), 0)
    plan, train = sweep._plan(), sweep.parts[0][0]
    before, rows = sweep._silent(plan), sweep.source.subset(train)
    for k in (1, 2, 3):
        starts = sweep.starts.variational(k, before)
        was, now = (
            sweep.bench.judge_rows(m, rows).bound.mean() for m in (before.modules[0], starts[0])
        )
        assert now > was - 0.01
        before = Before(sweep.bench.train(starts, plan, "bound")[0], k)


def test_equal_categories_are_one_component_a_pair_and_compress_at_any_size():
    # alone, without the sizes before it, and never much worse than they
    assert compare(twins(), [3], NARROW, random_state=0).compresses
    found = compare(twins(), [1, 2, 3, 4], NARROW, random_state=0)
    assert found.recommended == 2, found.reason
    assert np.diff(found.log_likelihood).min() > -0.1


def test_precise_columns_do_not_hide_a_factor_of_categories():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(800, 2))
    table = {f"n{j}": z[:, 0] + 0.03 * rng.normal(size=800) for j in range(8)}
    for j in range(3):
        logits = 3 * z[:, 1:] @ rng.normal(size=(1, 3)) + rng.gumbel(size=(800, 3))
        table[f"c{j}"] = np.array(list("abc"))[logits.argmax(1)]
    found = compare(pd.DataFrame(table), [1, 2, 3], NARROW, random_state=0)
    assert found.recommended == 2, found.reason


def test_the_nats_of_independent_columns_are_those_of_their_frequencies():
    table = shuffled(mixed(400)).drop(columns=["n0", "n1", "n2", "n3"])
    sweep = Sweep(quick(), table, 0)
    (train, held), = sweep.parts  # fmt: skip
    expected = 0.0
    for name in table:
        share = table[name].iloc[train.numpy()].value_counts(normalize=True)
        nats = table[name].iloc[held.numpy()].map(share).astype(float).map(np.log)
        expected += nats.fillna(0.0).mean()
    sweep._silent(sweep._plan())
    assert sweep.independent.mean() == pytest.approx(expected, abs=0.01)


def features(X: pd.DataFrame, train: np.ndarray) -> pd.DataFrame:
    """Numbers by their deviation in the training rows, categories one-hot, two of them as one."""
    numbers = X[[f"n{j}" for j in range(4)]]
    numbers = (numbers - numbers.iloc[train].mean()) / numbers.iloc[train].std(ddof=0)
    hot = pd.get_dummies(X[["c0", "c1", "c2"]], dtype=float).drop(columns="c0_a")
    for name in ("c0", "c1", "c2"):
        hot.loc[X[name].isna(), [c for c in hot if c.startswith(name)]] = np.nan
    return pd.concat([numbers, hot], axis=1)


def test_pca_of_a_mixed_table_is_that_of_one_hot_and_standardised_columns():
    X = mixed()
    sweep = Sweep(quick(), X, 0)
    train, held = (rows.numpy() for rows in sweep.parts[0])
    seen = features(X, train)
    given = seen.fillna(seen.iloc[train].mean()).to_numpy()
    for k in (1, 3, 6):
        pca = PCA(k).fit(given[train])
        made = pca.inverse_transform(pca.transform(given[held]))
        error = np.nansum((seen.to_numpy()[held] - made) ** 2, axis=1).mean()
        assert sweep.pca_error[k - 1] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize(
    ("X", "given", "error", "said"),
    [
        (curve(60), [0], InvalidParameterError, "from 1 to 6"),
        (curve(60), [7], InvalidParameterError, "from 1 to 6"),
        (curve(60), [], InvalidParameterError, "from 1 to 6"),
        (curve(60), "some", InvalidParameterError, "'auto' or a list"),
        (curve(60), [1.5], InvalidParameterError, "whole numbers"),
        (curve(60)[:, :1], "auto", DataError, "1 feature"),
        (np.ones((20, 3)), "auto", DataError, "equal rows"),
        (curve(9), "auto", ValueError, "at least 10 rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(X, given, error, said):
    with pytest.raises(error, match=said):
        compare(X, given, model=quick())


# ------------------------------------------------------------------ estimators


def test_auto_takes_the_recommendation():
    X = subspace(400, 3, 8, 0.3)
    model = isthmus.Autoencoder("auto", random_state=0, **QUICK)
    assert clone(model).get_params()["n_components"] == "auto"
    assert model.fit(X) is model
    assert model.n_components_ == 3
    assert model.n_components == "auto"
    assert model.transform(X).shape == (400, 3)
    assert len(model.get_feature_names_out()) == 3
    same = isthmus.Autoencoder(3, random_state=0, **QUICK).fit(X)
    np.testing.assert_array_equal(model.transform(X), same.transform(X))
    model.partial_fit(X[:50])
    assert model.transform(X).shape == (400, 3)


@functools.cache
def roll(n: int = 1000) -> np.ndarray:
    """A Swiss roll in 20 dimensions."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(20, 3)))[0]
    return make_swiss_roll(n, random_state=0)[0] @ axes.T + 0.05 * rng.normal(size=(n, 20))


@pytest.mark.slow
def test_auto_reaches_what_the_comparison_reached():
    X, tried = roll(), {}

    def note(progress):
        if hasattr(progress, "n_components"):
            tried[progress.n_components] = progress.squared_error

    model = isthmus.Autoencoder("auto", random_state=0).fit(X, callback=note)
    assert model.n_components_ == 2
    assert model.squared_error_ < 1.3 * tried[2]
    assert model.squared_error_ == pytest.approx(model.held_out_.squared_error.mean())
    assert model.squared_error_ < 0.1 * model.pca_squared_error_
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 3)))[0]
    noise = 0.05 * np.random.default_rng(1).normal(size=(500, 20))
    new = make_swiss_roll(500, random_state=1)[0] @ axes.T + noise
    error = float(np.square(model.reconstruct(new) - new).sum(1).mean())
    assert error < 1.3 * tried[2]
    steps = [row["step"] for row in model.history_]
    assert steps == sorted(steps)
    assert model.n_steps_ in steps


SECOND = {"max_epochs": 20, "hidden_layer_sizes": (64, 64), "random_state": 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n"),  # cross-validated, and with rows held out
    [("Autoencoder", 320), ("VariationalAutoencoder", 1100), ("DenoisingAutoencoder", 1100)],
)
def test_a_second_start_is_kept_only_if_it_is_better(name, n, tmp_path):
    X = roll(n)
    first, model, again = (getattr(isthmus, name)(2, **SECOND).fit(X) for _ in range(3))
    _sheet.retry(model, X, None)
    _sheet.retry(again, X, None)
    np.testing.assert_array_equal(model.held_out_.rows, first.held_out_.rows)
    gain = first.held_out_.loss - model.held_out_.loss
    assert gain.mean() > gain.std(ddof=1) / np.sqrt(n) or not gain.any()
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    opened = isthmus.load(model.save(tmp_path / "run"))
    np.testing.assert_array_equal(opened.transform(X), model.transform(X))
    assert opened.squared_error_ == model.squared_error_


def test_what_ends_the_second_start_keeps_the_better_of_the_two():
    def stop(progress):
        raise KeyboardInterrupt

    X = roll(320)
    first, model = (isthmus.Autoencoder(2, **SECOND).fit(X) for _ in range(2))
    _sheet.retry(model, X, stop)
    assert model.interrupted_
    assert model.squared_error_ <= first.squared_error_


def test_rows_on_no_sheet_are_fitted_once():
    X = subspace(320, 2, 6, 0.2)
    first, model = (isthmus.Autoencoder(2, **SECOND).fit(X) for _ in range(2))
    _sheet.retry(model, X, None)
    np.testing.assert_array_equal(model.transform(X), first.transform(X))


def test_auto_is_kept_with_the_run(tmp_path):
    X = subspace(300, 2, 6, 0.2)
    model = isthmus.VariationalAutoencoder("auto", random_state=0, **QUICK).fit(X)
    again = isthmus.load(model.save(tmp_path / "run"))
    assert (again.n_components, again.n_components_) == ("auto", 2)


def test_auto_warns_where_nothing_compresses():
    X = np.random.default_rng(0).normal(size=(500, 6))
    model = isthmus.Autoencoder("auto", random_state=0, **QUICK)
    with pytest.warns(UserWarning, match="Nothing compresses"):
        model.fit(X)
    assert model.n_components_ == 5


def test_auto_and_a_share_of_a_mixed_table():
    X = mixed(400)
    model = isthmus.Autoencoder("auto", random_state=0, **QUICK).fit(X)
    narrow = isthmus.VariationalAutoencoder(**QUICK)
    assert model.n_components_ == compare(X, model=narrow, random_state=0).recommended
    model = isthmus.Autoencoder(0.6, random_state=0, **QUICK).fit(X)
    k = model.n_components_

    def explained(k: int) -> float:
        fitted = isthmus.Autoencoder(k, random_state=0, **QUICK).fit(X)
        seen = features(X, np.arange(len(X))).to_numpy()[fitted.held_out_.rows]
        total = np.nansum((seen - np.nanmean(seen, axis=0)) ** 2, axis=1).mean()
        return 1 - fitted.squared_error_ / total

    assert explained(k) > 0.598
    assert k == 1 or explained(k - 1) < 0.602


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_a_share_takes_the_smallest_number_that_explains_it(share):
    X = subspace(300, 3, 8, 0.2)
    model = isthmus.Autoencoder(share, random_state=0, **QUICK).fit(X)
    k = model.n_components_

    def explained(k: int) -> float:
        fitted = isthmus.Autoencoder(k, random_state=0, **QUICK).fit(X)
        rows = X[fitted.held_out_.rows]
        return 1 - fitted.squared_error_ / ((rows - rows.mean(0)) ** 2).sum(1).mean()

    assert explained(k) >= share
    assert k == 1 or explained(k - 1) < share
    assert k <= (PCA().fit(X).explained_variance_ratio_.cumsum() < share).sum() + 2


def test_a_share_that_cannot_be_reached_is_refused():
    X = np.random.default_rng(0).normal(size=(200, 4))
    model = isthmus.Autoencoder(0.99, random_state=0, **QUICK)
    with pytest.raises(InvalidParameterError, match="cannot be reached: 3 of 4 components"):
        model.fit(X)
    assert not hasattr(model, "autoencoder_")


@pytest.mark.parametrize("given", [0, 1.0, -0.5, 2.5, "abc", True, None, math.nan, (3,)])
def test_what_is_no_number_of_components_is_refused(given):
    with pytest.raises(InvalidParameterError, match="n_components="):
        isthmus.Autoencoder(given).fit(curve(40))


def test_what_does_not_go_with_a_choice_is_refused(tmp_path):
    X = curve(40)
    with pytest.raises(CombinationError, match="partial_fit"):
        isthmus.Autoencoder("auto").partial_fit(X)
    with pytest.raises(CombinationError, match="early_stopping=False"):
        isthmus.Autoencoder(0.9, early_stopping=False).fit(X)
    with pytest.raises(CombinationError, match="encoder=Linear"):
        isthmus.Autoencoder("auto", encoder=torch.nn.Linear(7, 2)).fit(X)
    with pytest.raises(CombinationError, match="resume_from"):
        isthmus.Autoencoder(0.9).fit(X, resume_from=tmp_path / "c")


# ------------------------------------------------------------------ the command line


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", subspace(300, 2, 5, 0.2))
    return tmp_path


SHORT = ("--max-epochs", "3", "--hidden-layer-sizes", "8", "--seed", "0")


def test_compare_prints_the_table_and_the_reason(place, capsys):
    assert door.main(["compare", "table.npy", "--n-components", "1,2,3", *SHORT]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = compare(np.load("table.npy"), [1, 2, 3], model=quick(), random_state=0)
    assert "Recommended: 2 components." in out
    assert " ".join(found.reason.split()) in " ".join(out.split())
    assert f"{found.log_likelihood[1]:.3f}" in out
    assert out.count("←") == 1
    assert "isthmus fit table.npy --n-components 2" in out


def test_pca_has_no_nats_where_entries_are_missing(place, capsys):
    X = subspace(60, 2, 5, 0.1)
    X[::7, 1] = np.nan
    np.save("holes.npy", X)
    assert door.main(["compare", "holes.npy", "--n-components", "1,2", "--seed", "0"]) == 0
    said = capsys.readouterr().out
    assert "nan" not in said
    assert "PCA has no nats here: its likelihood is that of rows without missing" in said


def test_compare_of_a_mixed_file_says_what_pca_sees(place, capsys):
    mixed(300).to_csv("mixed.csv", index=False)
    assert door.main(["compare", "mixed.csv", "--n-components", "1,2", *SHORT]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "300 rows of 7 columns" in out
    assert "categories one-hot and a missing entry at its mean" in out
    assert "None" not in out
    assert "nan" not in out
    fit = ["fit", "mixed.csv", "--n-components", "2", "--out", "mixed", *SHORT]
    assert door.main(fit) == 0
    assert door.main(["compare", "mixed.csv", "--n-components", "1", "--into", "mixed"]) == 0
    assert door.main(["report", "mixed"]) == 0
    capsys.readouterr()


def test_compare_into_a_run_is_kept_for_the_report(place, capsys):
    fit = ["fit", "table.npy", "--n-components", "auto", "--out", "run", *SHORT]
    assert door.main(fit) == 0
    assert isthmus.load("run").n_components_ == 2
    capsys.readouterr()
    words = ["compare", "table.npy", "--n-components", "1,2", "--into", "run", "--json"]
    assert door.main([*words, "--seed", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recommended"] == 2
    facts, arrays = attached("run", "comparison")
    assert (facts["recommended"], facts["pca_mle"]) == (2, told["pca_mle"])
    assert arrays["n_components"].tolist() == [1, 2]
    assert arrays["error"].tolist() == [row["error"] for row in told["sizes"]]


def test_a_share_is_a_flag(place, capsys):
    fit = ["fit", "table.npy", "--n-components", "0.5", "--out", "run", *SHORT]
    assert door.main(fit) == 0
    assert isthmus.load("run").n_components == 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--n-components", "1,x"), "whole numbers separated by commas"),
        (("--n-components", "9"), "from 1 to 4"),
        (("--into", "nowhere"), "nowhere"),
        (("--seed", "x"), "--seed x"),
    ],
)
def test_what_the_command_line_refuses(place, capsys, words, said):
    assert door.main(["compare", "table.npy", *words]) == 2
    assert said in capsys.readouterr().err


# ------------------------------------------------------------------ sizes on equal terms


class Pretended:
    """Starts and bench of models that are no more than what they gain, [(nats by size)].

    Attributes:
        step: what a training gains for the smallest size.
        trained: sizes that were trained.
    """

    def __init__(self, step: float = 0.0) -> None:
        self.bench, self.step, self.trained = self, step, []
        self.rows = np.random.default_rng(0).normal(size=400)

    def judge(self, modules):
        (by_size,) = modules
        return Judged(self.rows + by_size[-1], self.rows)

    def train(self, modules, plan, criterion):
        ((*parts, gain),) = modules
        self.trained.append(len(parts) + 1)
        better = [(*parts, gain + self.step)]
        return better, self.judge(better)

    def part_of(self, modules, k):
        return [modules[0][:k]]

    def active_units(self, modules):
        return float(len(modules[0]))

    def levelled(self, models):
        """Mean bounds of the sizes 1, 2, … by models and their parts; independent columns: 0."""
        kept = [[model] for model in models]
        found = [Size(self.judge(each).bound, self.rows, len(each[0])) for each in kept]
        sizes = range(1, len(models) + 1)
        best = Rivals(self, None, sizes, self.rows, found, kept).levelled()
        assert [size.active for size in best] == list(sizes)
        return [size.bound.mean() - self.rows.mean() for size in best]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([(5.0,), (2.0, 8.0), (2.0, 7.0, 9.0)], [5.0, 8.0, 9.0]),  # none is better as a part
        ([(5.0,), (2.0, 8.0), (2.0, 9.0, 9.0)], [5.0, 9.0, 9.0]),  # the third says nothing
        ([(5.0,), (2.0, 8.0), (9.0, 9.0, 9.0)], [9.0, 9.0, 9.0]),  # nor does the second
        ([(5.0,), (6.0, 8.0), (9.0, 7.0, 9.0)], [6.0, 8.0, 9.0]),  # a part of the better size 2
    ],
)
def test_a_size_is_a_part_of_the_next_larger_one_where_that_is_better(models, expected):
    np.testing.assert_allclose(Pretended().levelled(models), expected)


@pytest.mark.parametrize(
    ("step", "times", "reached"),
    [
        (0.5, 2, 10.0),  # it catches up with the larger size
        (0.31, 3, 9.93),  # as far as what is no reason for a component, 0.1 nats
        (0.06, MOST_AGAIN, 9.0 + 0.06 * MOST_AGAIN),
        (0.04, 1, 9.04),  # less than half of it: another training would not do
    ],
)
def test_a_smaller_size_is_trained_again_while_that_is_worth_it(step, times, reached):
    pretended = Pretended(step)
    assert pretended.levelled([(9.0,), (1.0, 10.0)]) == pytest.approx([reached, 10.0])
    assert pretended.trained == [1] * times
