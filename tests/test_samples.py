"""Images and series in estimators: what X is taken for, what comes back, what is kept."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from isthmus import Autoencoder, OutlierDetector, VariationalAutoencoder, load, open_data
from isthmus.cli.main import main
from isthmus.data.source import in_memory
from isthmus.errors import CombinationError, DataError, InvalidParameterError
from isthmus.estimators import _samples
from isthmus.evaluation.evaluate import evaluate
from isthmus.report.pictures import photographs
from isthmus.report.run_page import render
from isthmus.runs.directory import read

# (shape of X's samples, sample_shape, sample_shape_, network)
TAKEN = [
    ((8, 8), None, (1, 8, 8), "conv"),
    ((28, 20), None, (1, 28, 20), "conv"),
    ((3, 28, 28), None, (3, 28, 28), "conv"),
    ((9, 31, 3), None, (3, 9, 31), "conv"),
    ((2, 40), None, (2, 40), "conv"),
    ((12, 40), (12, 1, 40), (12, 40), "conv"),
    ((12, 40), None, (1, 12, 40), "conv"),
    ((5, 9, 9), (5, 9, 9), (5, 9, 9), "conv"),
    ((40,), (40,), (1, 40), "conv"),
    ((64,), (8, 8), (1, 8, 8), "conv"),
    ((64,), None, None, "mlp"),
    ((64,), (4, 4, 4), (4, 4, 4), "mlp"),
]


# (shape of X's samples, what they are); None where it could be two things
TOLD: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = [
    ((8, 8), (1, 8, 8)),
    ((28, 20), (1, 28, 20)),
    ((12, 1000), (1, 12, 1000)),
    ((7, 8), (7, 8)),
    ((3, 100), (3, 100)),
    ((1, 140), (1, 140)),
    ((7, 7), None),
    ((10, 3), None),
    ((20, 6), None),
    ((100, 7), None),
    ((3, 28, 20), (3, 28, 20)),
    ((4, 5, 5), (4, 5, 5)),
    ((1, 28, 28), (1, 28, 28)),
    ((3, 9, 3), (3, 9, 3)),
    ((28, 20, 3), (3, 28, 20)),
    ((5, 6, 1), (1, 5, 6)),
    ((7, 9, 12), None),
    ((9, 12, 5), None),
]

# (shape of X's samples, layout, sample_shape): the same samples by two names
SAID = [
    ((7, 7), "NHW", (1, 7, 7)),
    ((12, 40), "NCT", (12, 1, 40)),
    ((20, 6), "NCT", (20, 1, 6)),
    ((20, 6), "NTC", (6, 1, 20)),
    ((7, 9, 12), "NCHW", (7, 9, 12)),
    ((9, 12, 5), "NHWC", (5, 9, 12)),
    ((3, 9, 3), "NHWC", (3, 3, 9)),
]


def _rows(shape: tuple[int, ...], n: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    low = rng.normal(size=(n, 3)) @ rng.normal(size=(3, size))
    return (low + 0.1 * rng.normal(size=low.shape)).reshape(n, *shape).astype(np.float32)


def _small(**more: Any) -> Autoencoder:
    given = {"max_epochs": 1, "early_stopping": False, "random_state": 0, **more}
    return Autoencoder(2, **given)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("shape", "taken"), TOLD, ids=str)
def test_estimators_and_sources_take_an_array_for_the_same(
    shape: tuple[int, ...], taken: tuple[int, ...] | None, dtype: Any
) -> None:
    X, model = np.ones((3, *shape), dtype), _small()
    if taken is None:
        with pytest.raises(DataError, match=r"could be images or series.*sample_shape="):
            _samples.flat(model, X, reset=True)
        with pytest.raises(DataError, match=r"could be images or series.*layout='N"):
            open_data(X)
        return
    _samples.flat(model, X, reset=True)
    assert model.sample_shape_ == open_data(X).feature_shape == taken


@pytest.mark.parametrize(("shape", "layout", "stated"), SAID, ids=str)
def test_what_is_said_of_an_array_goes_before_its_shape(
    shape: tuple[int, ...], layout: str, stated: tuple[int, ...]
) -> None:
    X, model = _rows(shape, 5), _small(sample_shape=stated)
    rows = _samples.flat(model, X, reset=True)
    source = open_data(X, layout=layout)
    assert model.sample_shape_ == source.feature_shape == _samples.parsed(stated)
    np.testing.assert_array_equal(rows, in_memory(source).reshape(5, -1))


@pytest.mark.parametrize(("shape", "stated", "taken", "network"), TAKEN, ids=str)
def test_samples_keep_their_shape(
    shape: tuple[int, ...],
    stated: tuple[int, ...] | None,
    taken: tuple[int, ...] | None,
    network: str,
    tmp_path: Path,
) -> None:
    X = _rows(shape)
    model = _small(sample_shape=stated).fit(X)
    assert model.sample_shape_ == taken
    assert model._architecture["network"] == network
    assert model.n_features_in_ == math.prod(shape)
    assert model.transform(X).shape == (40, 2)
    for back in (
        model.reconstruct(X),
        model.inverse_transform(model.transform(X)),
        model.sample(40, random_state=0),
        model.corrupt(X, random_state=0),
    ):
        assert back.shape == X.shape
    assert model.score_samples(X).shape == (40,)
    again = load(model.save(tmp_path / "run"))
    assert again.sample_shape_ == taken
    np.testing.assert_array_equal(again.reconstruct(X), model.reconstruct(X))
    assert again.sample(3, random_state=0).shape == (3, *shape)
    assert clone(again).get_params() == model.get_params()


@pytest.mark.parametrize("shape", [(3, 9, 31), (9, 31, 3), (9, 31), (2, 40)], ids=str)
def test_flat_rows_of_a_model_of_samples_are_the_same_samples(shape: tuple[int, ...]) -> None:
    X = _rows(shape)
    model = _small().fit(X)
    flat = _samples.flat(model, X, reset=False)
    assert flat.shape == (40, math.prod(shape))
    back = _samples.shaped(flat, model.sample_shape_, model.input_shape_)
    np.testing.assert_array_equal(back, X)
    np.testing.assert_array_equal(model.transform(flat), model.transform(X))
    assert model.reconstruct(flat).shape == flat.shape


def test_channels_last_are_the_same_images() -> None:
    X = _rows((3, 9, 12))
    first, last = _small().fit(X), _small().fit(np.moveaxis(X, 1, -1))
    np.testing.assert_array_equal(first.transform(X), last.transform(np.moveaxis(X, 1, -1)))
    np.testing.assert_array_equal(
        np.moveaxis(first.reconstruct(X), 1, -1), last.reconstruct(np.moveaxis(X, 1, -1))
    )


def test_bytes_are_the_same_as_their_values() -> None:
    X = (40 * _rows((9, 12)) + 128).clip(0, 255).astype(np.uint8)
    ours, theirs = _small().fit(X), _small().fit(X.astype(np.float32))
    np.testing.assert_array_equal(ours.reconstruct(X), theirs.reconstruct(X.astype(np.float32)))
    assert ours.scaling_.kind == "common"


@pytest.mark.parametrize("few", [True, False])
def test_a_fit_is_judged_beside_pca(few: bool) -> None:
    X = _rows((8, 8), 60 if few else 1100)
    model = VariationalAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    assert model.held_out_ is not None
    assert math.isfinite(model.pca_squared_error_)
    assert (model.autoencoder_.encoder.net.linear is not None) == few  # type: ignore[union-attr]
    if few:
        assert model.history_[0]["squared_error"] == pytest.approx(
            model.history_[0]["pca_squared_error"], rel=0.05
        )


def test_a_model_goes_on_with_more_images() -> None:
    X = _rows((8, 8))
    model = _small().partial_fit(X).partial_fit(X)
    assert model.reconstruct(X).shape == X.shape


def test_a_contraction_works_on_convolutions() -> None:
    X = _rows((8, 9))
    model = _small(network="conv", contraction=0.1, hidden_layer_sizes=(4, 6)).fit(X)
    assert model.jacobian_norm(X).shape == (40,)
    assert _small(contraction=0.1).fit(X)._architecture["network"] == "mlp"
    assert _small(hidden_layer_sizes=(6,)).fit(X)._architecture["network"] == "mlp"


def test_networks_of_ones_own_get_flat_rows() -> None:
    X = _rows((8, 8))
    encoder = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 2, 8), nn.Flatten())
    model = _small(encoder=encoder).fit(X)
    assert model.reconstruct(X).shape == X.shape


def test_torch_images_are_taken() -> None:
    X = _rows((8, 8))
    ours = _small().fit(torch.from_numpy(X))
    assert ours.reconstruct(torch.from_numpy(X)).shape == X.shape


def test_outliers_among_images() -> None:
    X = _rows((8, 8), 60)
    detector = OutlierDetector(_small()).fit(X)
    assert detector.predict(X).shape == (60,)
    assert detector.autoencoder_.sample_shape_ == (1, 8, 8)


def test_the_number_of_components_of_images() -> None:
    X = _rows((8, 8), 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Autoencoder("auto", max_epochs=2, random_state=0).fit(X)
    assert model.reconstruct(X).shape == X.shape


def test_what_was_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _small(verbose=1).fit(_rows((12, 40)))
    assert "images of 12 × 40 pixels; network='conv'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "more", "error", "words"),
    [
        ((20, 5), {}, DataError, r"samples of shape \(20, 5\) could be images or series"),
        ((9, 12, 5), {}, DataError, "could be images or series. Say what a sample is"),
        ((9, 12), {"sample_shape": (12, 9)}, InvalidParameterError, "does not fit X"),
        ((63,), {"sample_shape": (8, 8)}, InvalidParameterError, "64 entries, and a row of X has"),
        ((64,), {"sample_shape": "8x8"}, InvalidParameterError, r"sample_shape='8x8' must be None"),
        ((64,), {"network": "conv"}, CombinationError, "network='conv' with flat rows"),
        ((64,), {"network": "cnn"}, InvalidParameterError, "network='cnn' must be one of"),
        ((2, 7, 7), {"network": "conv"}, InvalidParameterError, "of at least 8"),
    ],
    ids=str,
)
def test_what_is_not_plain_is_refused(
    shape: tuple[int, ...], more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        _small(**more).fit(_rows(shape))


def test_other_samples_than_those_of_the_fit_are_refused() -> None:
    model = _small().fit(_rows((8, 9)))
    with pytest.raises(DataError, match=r"\(9, 8\) must have those of the fit, \(1, 8, 9\)"):
        model.transform(_rows((9, 8)))


@pytest.mark.parametrize(
    ("shape", "kind", "drawn", "channels"),
    [
        ((9, 12), "image", [9, 12], 1),
        ((3, 9, 12), "image", [9, 12], 3),
        ((2, 40), "series", None, 1),
    ],
    ids=str,
)
def test_a_report_draws_samples_by_their_shape(
    shape: tuple[int, ...], kind: str, drawn: list[int] | None, channels: int, tmp_path: Path
) -> None:
    X = _rows(shape, 60)
    model = _small().fit(X)
    found = evaluate(model, _samples.flat(model, X, reset=False))
    picture = found.facts["picture"]
    assert (picture["kind"], picture["shape"], picture["channels"]) == (kind, drawn, channels)
    page = render(read(model.save(tmp_path / "run")), found)
    assert ("<img" in page) == (kind == "image")
    assert ("of channel" in page) == (channels > 1)


def test_photographs_are_light_and_keep_their_colours() -> None:
    images = np.zeros((1, 3, 4, 5))
    images[0, 0], images[0, 2, 1, 2] = 1.0, 0.5
    canvas = photographs(images, 1, white=1.0)
    assert canvas.shape == (4, 5, 4)
    assert canvas[0, 0].tolist() == [255, 0, 0, 255]
    assert canvas[1, 2].tolist()[:2] == [255, 0]
    assert 126 <= canvas[1, 2, 2] <= 129


def test_the_command_line_takes_flat_images(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", _rows((72,), 60))
    given = [str(tmp_path / "x.npy"), "--n-components", "2", "--max-epochs", "1", "--quiet"]
    for stated, taken in (("8x9", (1, 8, 9)), ("1,8,9", (1, 8, 9)), ("72", (1, 72))):
        out = str(tmp_path / stated)
        shape = ["--network", "conv", "--sample-shape", stated]
        assert main(["fit", *given, *shape, "--out", out]) == 0
        assert load(out).sample_shape_ == taken
