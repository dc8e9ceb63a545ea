"""Large and odd inputs: a finite result of the right shape whatever the array, or our own error."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from isthmus.errors import IsthmusError

MODELS = (Autoencoder, DenoisingAutoencoder, ContractiveAutoencoder, VariationalAutoencoder)
DTYPES = ("float64", "float32", "float16", "int8", "uint8", "int16", "int64", "uint64", "bool")
LAYOUTS = ("plain", "fortran", "every second", "reversed", "read-only", "broadcast")
STRUCTURES = ("noise", "duplicates", "collinear", "constant", "one column varies", "ties", "holes")


def matrix(structure, n, d, rng):
    x = rng.normal(size=(n, d))
    if structure == "duplicates":
        x = x[rng.integers(0, max(1, n // 4), n)]
    elif structure == "collinear":
        x = x[:, :1] @ rng.normal(size=(1, d))
    elif structure == "constant":
        x[:] = 1.0
    elif structure == "one column varies":
        x[:, 1:] = 3.0
    elif structure == "ties":
        x = np.round(x)
    elif structure == "holes":
        x[rng.random(x.shape) < 0.2] = np.nan
        x[0] = 0.0
    return x


def laid_out(x, layout):
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "every second":
        wide = np.zeros((2 * len(x), 2 * x.shape[1]), dtype=x.dtype)
        wide[::2, ::2] = x
        return wide[::2, ::2]
    if layout == "reversed":
        return np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
        return x
    if layout == "broadcast":
        return np.broadcast_to(x[:1], x.shape)
    return x


@st.composite
def cases(draw):
    n, d = draw(st.integers(2, 40)), draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = matrix(draw(st.sampled_from(STRUCTURES)), n, d, rng)
    power = draw(st.sampled_from((0, 0, 0, -30, -10, 10, 30)))
    dtype = draw(st.sampled_from(DTYPES))
    most = {"float64": 30, "float32": 10}.get(dtype, 0)
    if abs(power) <= most:
        x = x * 10.0**power
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = np.nan_to_num(x).astype(dtype) if np.dtype(dtype).kind != "f" else x.astype(dtype)
    return {
        "model": draw(st.sampled_from(MODELS)),
        "k": draw(st.integers(1, d - 1)),
        "x": laid_out(x, draw(st.sampled_from(LAYOUTS))),
        "batch_size": draw(st.sampled_from(("auto", 1, 7, 1000))),
    }


def fitted(case):
    return case["model"](
        case["k"],
        hidden_layer_sizes=(4,),
        max_epochs=1,
        batch_size=case["batch_size"],
        random_state=0,
    ).fit(case["x"])


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(cases())
def test_a_finite_result_or_our_own_error(case):
    x = case["x"]
    before = np.array(x)
    try:
        model = fitted(case)
    except (IsthmusError, ValueError) as error:
        assert len(str(error)) > 20  # noqa: PT017
        assert "inf" in str(error) or isinstance(error, IsthmusError)  # noqa: PT017
        return
    n, d = x.shape
    codes, back, scores = model.transform(x), model.reconstruct(x), model.score_samples(x)
    assert codes.shape == (n, case["k"])
    assert back.shape == (n, d)
    assert scores.shape == (n,)
    for result in (codes, back, scores):
        assert np.isfinite(result).all()
    np.testing.assert_array_equal(x, before)
    # neither the memory's layout nor the company of other rows matters
    np.testing.assert_array_equal(model.transform(np.ascontiguousarray(x)), codes)
    np.testing.assert_allclose(model.transform(x[:1]), codes[:1], rtol=1e-3, atol=1e-3)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(cases())
def test_the_same_seed_gives_the_same_bits_whatever_was_run_before(case):
    try:
        first = fitted(case)
    except (IsthmusError, ValueError):
        return
    MODELS[0](1, hidden_layer_sizes=(3,), max_epochs=1).fit(np.eye(5))
    second = fitted(case)
    np.testing.assert_array_equal(first.transform(case["x"]), second.transform(case["x"]))


@pytest.mark.parametrize("power", [-30, -20, -8, 8, 20, 30])
@pytest.mark.parametrize("model", MODELS)
def test_units_do_not_matter(model, power):
    x = np.random.default_rng(0).normal(size=(60, 3)) @ np.ones((3, 6))
    x += 0.1 * np.random.default_rng(1).normal(size=x.shape)
    settings = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}
    plain, scaled = model(2, **settings).fit(x), model(2, **settings).fit(x * 10.0**power)
    np.testing.assert_allclose(
        plain.transform(x), scaled.transform(x * 10.0**power), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(
        scaled.reconstruct(x * 10.0**power) / 10.0**power,
        plain.reconstruct(x),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical", "poisson", "negative_binomial"])
def test_one_category_only(likelihood):
    x = np.zeros((30, 4))
    model = Autoencoder(
        2, likelihood=likelihood, hidden_layer_sizes=(4,), max_epochs=2, random_state=0
    ).fit(x)
    assert np.isfinite(model.score_samples(x)).all()
    assert np.abs(model.reconstruct(x)).max() < 0.5
