"""The estimators: shapes, types, units, inputs, randomness, missing entries, likelihoods."""

from __future__ import annotations

import copy
import math
import pickle
import random
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from estimator_examples import (
    BY_NAME,
    CLASSES,
    COMBINATIONS,
    SMALL,
    D,
    N,
    curved,
    fitted,
    options,
    same_bits,
    supported,
    with_holes,
)
from isthmus import Autoencoder, DenoisingAutoencoder, VariationalAutoencoder, load
from isthmus.core.likelihoods import likelihood
from isthmus.errors import DataError

X = curved()
K = 2
each_class = pytest.mark.parametrize("cls", CLASSES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@each_class
@each_dtype
def test_shapes_and_types(cls: type, dtype: type) -> None:
    model, x = fitted(cls), X[:7].astype(dtype)
    codes = model.transform(x)
    for out, shape in (
        (codes, (7, K)),
        (model.inverse_transform(codes), (7, D)),
        (model.reconstruct(x), (7, D)),
        (model.score_samples(x), (7,)),
        (model.jacobian_norm(x), (7,)),
        (model.corrupt(x, random_state=0), (7, D)),
    ):
        assert out.shape == shape
        assert out.dtype == dtype
        assert np.isfinite(out).all()
    assert model.sample(5, random_state=0).shape == (5, D)
    assert isinstance(model.score(x), float)
    assert model.score(x) == pytest.approx(model.score_samples(x).mean(), rel=1e-6)
    assert model.n_components_ == K
    assert model.n_features_in_ == D


@each_class
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_rows_are_computed_by_themselves(cls: type, dtype: type, tolerance: float) -> None:
    """No result depends on the other rows of its batch, or on their order."""
    model, x = fitted(cls), with_holes(X, 0.1).astype(dtype)
    order = np.random.default_rng(0).permutation(N)
    for name in ("transform", "reconstruct", "score_samples", "jacobian_norm"):
        f = getattr(model, name)
        whole = f(x)
        assert same_bits(whole, f(x)), name
        alone = np.concatenate([f(x[i : i + 1]) for i in range(0, N, 10)])
        size = np.abs(whole).max()
        for a, b in ((f(x[order]), whole[order]), (alone, whole[::10]), (f(x[40:]), whole[40:])):
            np.testing.assert_allclose(a / size, b / size, rtol=tolerance, atol=tolerance)


@each_class
def test_reconstruct_is_the_decoded_code(cls: type) -> None:
    model = fitted(cls)
    np.testing.assert_allclose(
        model.reconstruct(X), model.inverse_transform(model.transform(X)), rtol=1e-10
    )


@each_class
def test_units_are_those_of_the_data(cls: type) -> None:
    """A power of two scales without rounding, so that training is the same to the bit."""
    model = fitted(cls)
    scaled = cls(K, **options(cls)).fit(1024 * X)
    assert same_bits(scaled.transform(1024 * X), model.transform(X))
    assert same_bits(scaled.reconstruct(1024 * X), 1024 * model.reconstruct(X))
    assert same_bits(scaled.sample(5, random_state=0), 1024 * model.sample(5, random_state=0))
    np.testing.assert_allclose(
        scaled.score_samples(1024 * X), model.score_samples(X) - D * math.log(1024), rtol=1e-9
    )


@each_class
def test_units_may_be_shifted_too(cls: type) -> None:
    model, y = fitted(cls), 1000 * X + 5
    other = cls(K, **options(cls)).fit(y)
    np.testing.assert_allclose(other.transform(y), model.transform(X), atol=2e-3)
    np.testing.assert_allclose(
        (other.reconstruct(y) - 5) / 1000, model.reconstruct(X), atol=2e-3 * X.std()
    )
    shift = other.score(y) - model.score(X)
    assert shift == pytest.approx(-D * math.log(1000), abs=1e-3)


FORMS = {
    "list of lists": lambda x: x.tolist(),
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "reversed twice": lambda x: x[::-1].copy()[::-1],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "DataFrame": pd.DataFrame,
    "tensor": torch.tensor,
    "tensor with gradient": lambda x: torch.tensor(x, requires_grad=True),
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
    "coo": sparse.coo_array,
    "csr matrix": sparse.csr_matrix,
    "object": lambda x: x.astype(object),
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_gives_the_same_model(form: str) -> None:
    given = FORMS[form](X)
    model, expected = Autoencoder(K, **SMALL).fit(given), fitted(Autoencoder)
    assert same_bits(model.transform(X), expected.transform(X))
    for name in ("transform", "reconstruct", "score_samples"):
        assert same_bits(getattr(expected, name)(given), getattr(expected, name)(X)), name
    codes = expected.transform(X)
    if not sparse.issparse(FORMS[form](codes)):
        assert same_bits(
            expected.inverse_transform(FORMS[form](codes)), expected.inverse_transform(codes)
        )


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64, np.float16, np.float32])
def test_other_types_are_read_by_value(dtype: type) -> None:
    x = (X.mean(0) < X).astype(dtype) if dtype is bool else np.abs(X).round().astype(dtype)
    model = Autoencoder(K, **SMALL).fit(x)
    expected = Autoencoder(K, **SMALL).fit(x.astype(float))
    np.testing.assert_allclose(model.transform(x), expected.transform(x.astype(float)), atol=1e-4)
    wide = np.dtype(dtype).itemsize > 4
    assert model.transform(x).dtype == (np.float64 if wide else np.float32)
    tensor = torch.tensor(x)
    assert same_bits(model.transform(tensor), model.transform(x))


def test_bfloat16_tensors_are_read_as_float32() -> None:
    x = torch.tensor(X).bfloat16()
    model = fitted(Autoencoder)
    assert same_bits(model.transform(x), model.transform(x.float().numpy()))


def test_arguments_are_not_changed() -> None:
    x = with_holes(X)
    before, codes = x.copy(), np.ones((3, K))
    model = VariationalAutoencoder(K, **SMALL).fit(x)
    parameters = copy.copy(model.get_params())
    for name in ("transform", "reconstruct", "score_samples", "corrupt", "partial_fit"):
        getattr(model, name)(x)
    model.inverse_transform(codes)
    np.testing.assert_array_equal(x, before)
    assert (codes == 1).all()
    assert model.get_params() == parameters


# ------------------------------------------------------------------ scikit-learn's company


def test_a_pipeline_with_pandas_output_and_names() -> None:
    frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(N) + 7)
    line = make_pipeline(StandardScaler(), Autoencoder(K, **SMALL)).set_output(transform="pandas")
    codes = line.fit_transform(frame)
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    assert (codes.index == frame.index).all()
    assert line.inverse_transform(codes).shape == X.shape
    model = Autoencoder(K, **SMALL).set_output(transform="pandas").fit(frame)
    assert (model.transform(frame).index == frame.index).all()
    assert list(model.feature_names_in_) == list("abcdef")
    assert list(model.get_feature_names_out()) == ["autoencoder0", "autoencoder1"]
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[list("bacdef")])


TWO = pytest.param(2, marks=pytest.mark.slow, id="two processes")  # which import torch, each


@pytest.mark.parametrize("n_jobs", [1, TWO])
def test_grid_search_over_components_by_score(n_jobs: int) -> None:
    search = GridSearchCV(
        Autoencoder(**SMALL), {"n_components": [1, 3]}, cv=2, n_jobs=n_jobs, error_score="raise"
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.n_components_ == search.best_params_["n_components"]
    assert best.score(X) == search.score(X)


@each_class
def test_clone_and_set_params_leave_the_fitted_one_alone(cls: type) -> None:
    model = fitted(cls)
    again = clone(model)
    assert not hasattr(again, "autoencoder_")
    assert same_bits(again.fit(X).transform(X), model.transform(X))
    again.set_params(n_components=3)
    assert again.transform(X).shape == (N, 2)  # what was fitted, until it is fitted anew
    assert again.fit(X).transform(X).shape == (N, 3)
    with pytest.raises(ValueError, match="Invalid parameter"):
        again.set_params(components=3)


@each_class
def test_fit_transform_is_fit_and_transform(cls: type) -> None:
    codes = cls(K, **options(cls)).fit_transform(X)
    assert same_bits(codes, fitted(cls).transform(X))


@each_class
def test_pickles_compute_the_same(cls: type) -> None:
    model = copy.deepcopy(fitted(cls)).partial_fit(X)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301  (our own)
    for name in ("transform", "reconstruct", "score_samples"):
        assert same_bits(getattr(again, name)(X), getattr(model, name)(X))
    assert same_bits(again.partial_fit(X).transform(X), model.partial_fit(X).transform(X))
    unfitted = pickle.loads(pickle.dumps(cls(3)))  # noqa: S301
    assert unfitted.get_params() == cls(3).get_params()


# ----------------------------------------------------------------------------- randomness


def weights(model: Any) -> bytes:
    return b"".join(t.numpy().tobytes() for t in model.autoencoder_.state_dict().values())


@each_class
def test_a_seed_decides_everything(cls: type) -> None:
    first, again = fitted(cls), cls(K, **options(cls)).fit(X)
    other = cls(K, **(options(cls) | {"random_state": 1})).fit(X)
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)
    drop = {"seconds"}
    for a, b in zip(first.history_, again.history_, strict=True):
        assert {k: str(v) for k, v in a.items() if k not in drop} == {
            k: str(v) for k, v in b.items() if k not in drop
        }
    for seed in (0, 1):
        draws = [m.sample(4, random_state=seed) for m in (first, again)]
        assert same_bits(*draws)
    assert not same_bits(first.sample(4, random_state=0), first.sample(4, random_state=1))
    generators = [np.random.RandomState(3) for _ in range(2)]
    fits = [cls(K, **(options(cls) | {"random_state": g})).fit(X) for g in generators]
    assert weights(fits[0]) == weights(fits[1])


def state() -> tuple[bytes, Any, Any]:
    numpy = np.random.get_state()  # noqa: NPY002  (the state that must not change)
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(numpy), random.getstate()


@each_class
def test_the_global_state_of_every_generator_is_left_alone(cls: type, tmp_path: Any) -> None:
    model = cls(K, **options(cls))
    bad = cls(K, **(options(cls) | {"activation": "nonsense"}))

    def fail(progress: Any) -> None:
        raise ZeroDivisionError

    before = state()
    for call in (
        lambda: model.fit(X),
        lambda: model.set_params(early_stopping=True).fit(X),
        lambda: model.set_params(early_stopping="auto").fit(X),
        lambda: model.transform(X),
        lambda: model.score(X),
        lambda: model.sample(3, noise=True, random_state=0),
        lambda: model.corrupt(X, random_state=0),
        lambda: model.partial_fit(X),
        lambda: model.save(tmp_path / "run"),
    ):
        call()
        assert state() == before
    for error, call in (
        (ZeroDivisionError, lambda: clone(model).fit(X, callback=fail)),
        (ValueError, lambda: bad.fit(X)),
        (ValueError, lambda: model.transform(X[:, :2])),
    ):
        with pytest.raises(error):
            call()
        assert state() == before


@each_class
def test_models_are_float32_whatever_torchs_default_is(cls: type, tmp_path: Any) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = cls(K, **options(cls)).fit(X)
        again = load(model.save(tmp_path / "run"))
        assert same_bits(again.transform(np.float32(X)), model.transform(np.float32(X)))
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in again.autoencoder_.parameters()} == {torch.float32}


# ------------------------------------------------------------------------- missing entries


@each_class
@pytest.mark.filterwarnings("ignore:Column 'x3' of X has no entry in all 20 rows")
def test_a_missing_entry_is_coded_as_the_mean_scored_without_and_imputed(cls: type) -> None:
    model = fitted(cls)
    x = X[:20].copy()
    x[:, 3] = np.nan
    filled = np.where(np.isnan(x), model.scaling_.shift.numpy(), x)
    np.testing.assert_allclose(model.transform(x), model.transform(filled), atol=1e-12)
    np.testing.assert_allclose(model.reconstruct(x), model.reconstruct(filled), atol=1e-12)
    assert np.isfinite(model.reconstruct(x)).all()
    if model.autoencoder_.deterministic:  # features are independent given the code
        scale = model.autoencoder_.likelihood.scale(torch.zeros(1, 1)).item()
        sigma = scale * model.scaling_.scale[3].item()
        term = stats.norm.logpdf(filled[:, 3], model.reconstruct(x)[:, 3], sigma)
        np.testing.assert_allclose(
            model.score_samples(x), model.score_samples(filled) - term, rtol=1e-6
        )
    noisy = model.corrupt(x, "gaussian", 0.5, random_state=0)
    assert (np.isnan(noisy) == np.isnan(x)).all()


@each_class
@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "continuous_bernoulli", "poisson"])
def test_a_fit_with_a_fifth_missing_and_a_row_without_any(cls: type, name: str) -> None:
    x = with_holes(supported(name))
    x[5] = np.nan
    model = cls(K, **(options(cls, name) | {"early_stopping": True})).fit(x)
    assert all(math.isfinite(row["validation"]) for row in model.history_)
    for out in (model.transform(x), model.reconstruct(x), model.score_samples(x)):
        assert np.isfinite(out).all()
    if model.autoencoder_.deterministic:
        assert model.score_samples(x)[5] == 0.0  # nothing to explain


def test_what_stands_in_for_a_missing_entry_has_no_influence_on_the_loss() -> None:
    model = fitted(Autoencoder)
    mask = torch.ones(N, D, dtype=torch.bool)
    mask[:, 2] = False
    x = torch.tensor(X, dtype=torch.float32)
    losses = []
    for value in (0.0, 1e6):
        trace = model.autoencoder_.trace(x, mask)
        changed = torch.where(mask, x, value)
        losses.append(type(trace)(**{**vars(trace), "x": changed}).log_likelihood())
    assert torch.equal(*losses)


# ----------------------------------------------------------------------------- likelihoods

INSIDE = {
    "real": lambda x: np.isfinite(x),
    "unit": lambda x: (x >= 0) & (x <= 1),
    "count": lambda x: x >= 0,
    "category": lambda x: np.isin(x, (0, 1, 2)),
}


@pytest.mark.parametrize(("cls", "name"), COMBINATIONS)
def test_every_likelihood_fits_and_stays_in_its_support(cls: type, name: str) -> None:
    model, x = fitted(cls, name), supported(name)
    assert len(model.history_) > 1
    losses = [row["loss"] for row in model.history_[1:]]
    assert np.isfinite(losses).all()
    inside = INSIDE[likelihood(name, (D,), 3).support]
    for out in (
        model.reconstruct(x),
        model.inverse_transform(10 * model.transform(x)),
        model.sample(20, random_state=0),
        model.sample(20, noise=True, random_state=0),
    ):
        assert inside(out).all()
    assert np.isfinite(model.score_samples(x)).all()
    far = model.score_samples(x.astype(np.float32))
    np.testing.assert_allclose(far, model.score_samples(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["gaussian", "gaussian_fixed", "gaussian_feature", "laplace"])
def test_the_score_of_a_code_without_spread_is_the_density_of_the_residual(name: str) -> None:
    model = fitted(Autoencoder, name)
    scale = model.autoencoder_.likelihood.scale(torch.zeros(1, D, 1)).detach().double().numpy()
    density = stats.laplace if name == "laplace" else stats.norm
    by_hand = density.logpdf(X, model.reconstruct(X), scale * model.scaling_.scale.numpy()).sum(1)
    np.testing.assert_allclose(model.score_samples(X), by_hand, rtol=1e-6, atol=1e-6)


def test_the_linear_variational_one_scores_as_probabilistic_pca() -> None:
    """Its bound is tight: the posterior of probabilistic PCA is in the family of q."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)) * [3, 2, 1, 0.5, 0.5, 0.5] @ rng.normal(size=(6, 6))
    model = VariationalAutoencoder(3, max_epochs=1, random_state=0).fit(x)
    assert model.stayed_linear_
    # its σ is the one of held-out rows, a little above that of the rows themselves
    pca = PCA(3).fit(x)  # its covariance divides by N − 1, ours by N
    expected = stats.multivariate_normal(pca.mean_, pca.get_covariance() * 399 / 400).logpdf(x)
    np.testing.assert_allclose(model.score_samples(x), expected, rtol=0.02, atol=0.05)
    assert model.score(x) == pytest.approx(pca.score(x), abs=0.02)


# ------------------------------------------------------------------------- sizes and shapes


@pytest.mark.parametrize("cls", CLASSES[1:])
def test_regularised_ones_may_be_overcomplete(cls: type) -> None:
    model = cls(D + 3, **options(cls)).fit(X)
    assert model.transform(X).shape == (N, D + 3)
    assert np.isfinite(model.score(X))
    assert model.sample(3, random_state=0).shape == (3, D)


@pytest.mark.parametrize(
    ("cls", "early_stopping"),
    [*((cls, False) for cls in CLASSES), (Autoencoder, "auto"), (VariationalAutoencoder, True)],
)
@pytest.mark.parametrize(
    "x",
    [
        pytest.param(np.where(np.arange(D) == 2, 4.0, X), id="one constant column"),
        pytest.param(np.full((20, D), 3.0), id="all constant"),
        pytest.param(np.repeat(X[:4], 10, axis=0), id="few different rows"),
        pytest.param(X[:2], id="two rows"),
        pytest.param(X[:3], id="three rows"),
        pytest.param(np.repeat(X[:, :1], D, axis=1), id="rank one"),
        pytest.param(np.repeat(X[:12], 20, axis=1), id="more features than rows"),
        pytest.param(X * 1e-30, id="tiny"),
        pytest.param(X * 1e30, id="huge"),
    ],
)
def test_degenerate_tables_give_finite_results(
    cls: type, early_stopping: Any, x: np.ndarray
) -> None:
    model = cls(K, **(options(cls) | {"early_stopping": early_stopping})).fit(x)
    size = np.abs(x).max()
    for out in (model.transform(x), model.reconstruct(x) / size, model.score_samples(x)):
        assert np.isfinite(out).all()
    assert np.isfinite(model.sample(3, random_state=0)).all()
    constant = np.ptp(x, axis=0) == 0
    np.testing.assert_allclose(
        model.reconstruct(x)[:, constant], x[:, constant], rtol=0.05 if not early_stopping else 1e-3
    )


def test_without_a_linear_start_there_is_no_linear_path() -> None:
    model = Autoencoder(K, linear_start=False, **SMALL).fit(X)
    assert model.autoencoder_.encoder.net.linear is None
    assert not model.stayed_linear_
    assert np.isfinite(model.score(X))


def test_classes_are_one_class_with_other_defaults() -> None:
    expected = VariationalAutoencoder(K, noise="gaussian", noise_level=0.5, **SMALL).fit(X)
    same = DenoisingAutoencoder(K, beta=1.0, **SMALL).fit(X)
    assert same_bits(same.transform(X), expected.transform(X))
    names = [set(cls().get_params()) for cls in BY_NAME.values()]
    assert all(n == names[0] for n in names)


def test_samples_look_like_the_data() -> None:
    model = fitted(Autoencoder)
    drawn = model.sample(2000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.25 * X.std())
    assert np.cov(drawn.T).trace() == pytest.approx(np.cov(model.reconstruct(X).T).trace(), rel=0.2)


def test_salt_and_pepper_are_those_of_the_training_rows() -> None:
    change = {"noise": "salt_and_pepper", "noise_level": 1.0}
    model = DenoisingAutoencoder(K, **(SMALL | change)).fit(X)
    one = model.corrupt(X[:1], random_state=0)  # one row is its own minimum and maximum
    ends = np.stack([X.min(0), X.max(0)])
    np.testing.assert_allclose(np.abs(ends - one).min(0), 0, atol=1e-5)


@each_class
def test_the_norm_of_the_jacobian_is_that_of_finite_differences(cls: type) -> None:
    model, step = fitted(cls), 1e-6
    x = 0.9 * X[:3] + 0.1 * X.mean(0)  # inside the box of the training rows
    scale = model.scaling_.scale.numpy()
    columns = [
        (model.transform(x + e) - model.transform(x - e)) / (2 * step)
        for e in np.eye(D) * scale * step
    ]
    inside = np.sqrt(np.square(columns).sum((0, 2)))
    np.testing.assert_allclose(model.jacobian_norm(x), inside, rtol=1e-4)


def test_a_column_of_text_is_named():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "city": ["x", "y", "z"], "c": [1, 2, 3]})
    with pytest.raises(DataError, match="column 'city' of X with the value 'x' must hold numbers"):
        Autoencoder(1, likelihood="gaussian").fit(X)


def test_a_generator_is_a_seed():
    X = np.random.default_rng(0).normal(size=(30, 4))
    a, b = (
        Autoencoder(2, max_epochs=1, random_state=np.random.default_rng(3)).fit(X) for _ in range(2)
    )
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    samples = [a.sample(3, random_state=np.random.default_rng(1)) for _ in range(2)]
    np.testing.assert_array_equal(*samples)
