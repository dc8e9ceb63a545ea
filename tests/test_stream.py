"""Streams: every row once an epoch, an order that is the seed's, errors told, fits that resume."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from tests.sources import Pieces, random_lengths

from isthmus import Autoencoder, VariationalAutoencoder, open_data
from isthmus.data.batches import Batch, RawBatches, TensorBatches
from isthmus.data.rows import survey as survey_module
from isthmus.data.rows.stream import StreamBatches
from isthmus.data.tables import Table
from isthmus.errors import DataError
from isthmus.estimators import _sources
from isthmus.estimators._base import Estimator

N = 1000


def plain(rows: np.ndarray) -> Batch:
    return (torch.from_numpy(rows.copy()),)


def numbers(n: int = N) -> np.ndarray:
    return np.arange(float(n))[:, None]


def stream(pool_bytes: int = 800, held_out: np.ndarray | None = None) -> StreamBatches:
    return StreamBatches(
        Pieces(numbers(), random_lengths(N, 12)), plain, held_out, pool_bytes=pool_bytes
    )


@pytest.mark.parametrize("pool_bytes", [1, 800, 10**6])
@pytest.mark.parametrize("batch_size", [1, 32, N, 2 * N])
def test_an_epoch_has_every_training_row_once(pool_bytes: int, batch_size: int) -> None:
    held_out = np.array([0, 5, 6, 999])
    batches = stream(pool_bytes, held_out)
    size = min(batch_size, N - 4)
    seen = batches.shuffled(batch_size, seed=0)
    for _ in range(2):
        epoch = torch.cat([x for (x,) in islice(seen, (N - 4) // size)]).flatten().tolist()
        assert len(set(epoch)) == len(epoch) == (N - 4) // size * size
        assert not set(epoch) & set(held_out)


def test_the_order_is_the_seeds_and_no_other() -> None:
    def first(seed: int) -> list[float]:
        return torch.cat([x for (x,) in islice(stream().shuffled(64, seed), 30)]).flatten().tolist()

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("skip", [0, 1, 14, 15, 16, 47])
def test_skipping_leaves_out_the_first_batches(skip: int) -> None:
    whole = [x for (x,) in islice(stream().shuffled(64, 3), 60)]
    rest = [x for (x,) in islice(stream().shuffled(64, 3, skip=skip), 60 - skip)]
    assert all(torch.equal(a, b) for a, b in zip(whole[skip:], rest, strict=True))


def test_rows_mix_across_pieces() -> None:
    """The mean position in a batch is that of a random draw where the pool holds many pieces."""
    lengths = (50,) * 20
    batches = StreamBatches(Pieces(numbers(), lengths), plain, pool_bytes=8 * 400)
    means = [float(x.mean()) for (x,) in islice(batches.shuffled(50, 0), 400)]
    # a pool of 400 rows is eight pieces: wider spread than independent rows, far from sorted
    assert np.std(means) < 0.5 * stats.uniform(0, N).std()


def test_in_order_without_the_held_out_rows() -> None:
    held_out = np.array([3, 500])
    x = torch.cat([x for (x,) in stream(held_out=held_out).batches(33)]).flatten().numpy()
    np.testing.assert_array_equal(x, np.delete(numbers(), held_out))


def test_an_error_of_the_source_is_raised_and_no_thread_is_left() -> None:
    source = Pieces(numbers(), (N,), fails_after=40)
    with pytest.raises(DataError, match="cannot be read any more"):
        for _ in StreamBatches(source, plain, pool_bytes=800).shuffled(10, 0):
            pass
    assert not [t for t in threading.enumerate() if t.name == "isthmus-reader"]


def test_leaving_in_the_middle_leaves_no_thread() -> None:
    seen = stream().shuffled(8, 0)
    next(seen)
    seen.close()
    assert not [t for t in threading.enumerate() if t.name == "isthmus-reader"]


def test_raw_batches_are_those_of_scaled_rows() -> None:
    raw = np.arange(90, dtype=np.uint8).reshape(30, 3)
    left_out = np.array([0, 1, 7, 20, 29])
    chosen = np.setdiff1d(np.arange(30), left_out)
    lazy = RawBatches(raw, lambda x: (torch.from_numpy(x) / 7,), left_out)
    eager = TensorBatches(torch.from_numpy(raw) / 7).subset(torch.from_numpy(chosen))
    for method in (lambda b: b.shuffled(4, 9, skip=2), lambda b: b.batches(4)):
        for (a,), (b,) in islice(zip(method(lazy), method(eager), strict=False), 20):
            assert torch.equal(a, b)


# ------------------------------------------------------------------ fits


def table(n: int = 3000, holes: bool = False) -> np.ndarray:
    generator = np.random.default_rng(0)
    x = np.sin(generator.normal(size=(n, 2)) @ generator.normal(size=(2, 7))) + 3
    if holes:
        x[generator.random(x.shape) < 0.1] = np.nan
    return x


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large."""
    monkeypatch.setattr(_sources, "LARGE", 0)


def source_of(x: np.ndarray, **more: Any) -> Pieces:
    return Pieces(x, random_lengths(len(x), 6), block=100, **more)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("model", [Autoencoder, VariationalAutoencoder])
def test_the_start_is_that_of_rows_in_memory(
    model: type[Estimator], holes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaling, and PCA or probabilistic PCA, to 1e-5."""
    x = table(holes=holes)
    settings = {"early_stopping": False, "max_epochs": 1, "learning_rate": 1e-12}
    here = model(2, random_state=0, **settings).fit(x)
    monkeypatch.setattr(_sources, "LARGE", 0)
    streamed = model(2, random_state=0, **settings).fit(source_of(x))
    torch.testing.assert_close(here.scaling_.shift, streamed.scaling_.shift, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(here.scaling_.scale, streamed.scaling_.scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(here.transform(x), streamed.transform(x), atol=1e-5)
    np.testing.assert_allclose(here.reconstruct(x), streamed.reconstruct(x), atol=1e-5)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "bernoulli", "poisson"])
def test_a_streamed_fit_is_better_than_pca(likelihood: str) -> None:
    x = table()
    x = {"bernoulli": (x > 3).astype(float), "poisson": np.round(np.exp(x / 2))}.get(likelihood, x)
    model = VariationalAutoencoder(2, likelihood=likelihood, max_epochs=20, random_state=0)
    model.fit(source_of(x, names=tuple(f"f{j}" for j in range(7))))
    assert model.held_out_ is not None
    assert len(model.held_out_.rows) == 300
    assert list(model.feature_names_in_) == [f"f{j}" for j in range(7)]
    assert model.history_[-1]["validation"] < model.history_[0]["validation"]


@pytest.mark.usefixtures("always")
def test_the_same_source_twice_gives_the_same_bits_and_arrays_are_sources() -> None:
    x = table()
    fits = [Autoencoder(2, max_epochs=3, random_state=0).fit(source_of(x)) for _ in range(2)]
    assert np.array_equal(fits[0].transform(x), fits[1].transform(x))
    array = Autoencoder(2, max_epochs=3, random_state=0).fit(x)
    assert array._fingerprint == fits[0]._fingerprint
    assert np.array_equal(array.held_out_.rows, fits[0].held_out_.rows)  # type: ignore[union-attr]


@pytest.mark.usefixtures("always")
def test_a_source_that_fails_half_way_loses_nothing(tmp_path: Path) -> None:
    """The fit says so; when the source is whole again it goes on and ends with the same bits."""
    x = table()
    settings = {"max_epochs": 12, "random_state": 0}
    expected = VariationalAutoencoder(2, **settings).fit(source_of(x)).transform(x)
    model = VariationalAutoencoder(2, **settings)
    folder = tmp_path / "checkpoint"
    with pytest.raises(DataError, match="cannot be read any more"):
        model.fit(source_of(x, fails_after=200), checkpoint=folder)
    assert not hasattr(model, "autoencoder_")
    model.fit(source_of(x), resume_from=folder)
    assert np.array_equal(model.transform(x), expected)


@pytest.mark.usefixtures("always")
def test_rows_outside_the_support_are_refused_before_training() -> None:
    with pytest.raises(DataError, match="bernoulli"):
        Autoencoder(2, likelihood="bernoulli").fit(source_of(table()))


@pytest.mark.usefixtures("always")
def test_categories_are_counted_over_the_whole_stream() -> None:
    x = np.random.default_rng(0).integers(0, 3, (2000, 5)).astype(float)
    x[-1, 2] = 9
    model = Autoencoder(2, likelihood="categorical", max_epochs=1, random_state=0).fit(source_of(x))
    assert model.autoencoder_.likelihood.n_raw == 10


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "jacobian_norm"])
def test_methods_of_rows_take_sources_block_by_block(method: str) -> None:
    x = table(holes=True)
    names = tuple("abcdefg")
    source = Pieces(x, random_lengths(len(x), 5), block=50, names=names)
    model = VariationalAutoencoder(2, max_epochs=2, random_state=0).fit(source)
    whole = getattr(model, method)(Table(x, names, "x"))
    np.testing.assert_allclose(getattr(model, method)(source), whole, rtol=1e-12, atol=1e-12)
    other = Pieces(x, (len(x),), names=tuple("abcdefz"))
    with pytest.raises(DataError, match="lacks 'g'"):
        getattr(model, method)(other)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("likelihood", ["gaussian", "categorical", "poisson"])
def test_what_stands_only_in_a_held_out_row_is_known(likelihood: str) -> None:
    """The highest category, and a hole, of a row that is not trained on."""
    x = np.random.default_rng(0).integers(0, 3, (2000, 5)).astype(float)
    model = Autoencoder(2, likelihood=likelihood, max_epochs=1, random_state=0)
    held = model.fit(source_of(x)).held_out_.rows[0]  # type: ignore[union-attr]
    x[held, 2], x[held, 3] = 9, np.nan
    again = Autoencoder(2, likelihood=likelihood, max_epochs=1, random_state=0).fit(source_of(x))
    assert np.isfinite(again.validation_)
    if likelihood == "categorical":
        assert again.autoencoder_.likelihood.n_raw == 10
    if likelihood == "poisson":
        np.testing.assert_array_equal(again._fill, np.delete(x, held, 0).mean(0).round())


@pytest.mark.usefixtures("always")
def test_beyond_a_covariance_the_line_is_still_that_of_pca(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all training rows, not of the sample: within a hundredth of scikit-learn's."""
    monkeypatch.setattr(survey_module, "MOST_FEATURES", 16)
    monkeypatch.setattr(survey_module, "SAMPLE_ROWS", 100)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3000, 8)) @ generator.normal(size=(8, 40))
    x += 0.5 * generator.normal(size=x.shape)
    model = Autoencoder(6, max_epochs=1, random_state=0).fit(source_of(x))
    held = model.held_out_.rows  # type: ignore[union-attr]
    pca = PCA(6).fit(np.delete(x, held, axis=0))
    residual = x[held] - pca.inverse_transform(pca.transform(x[held]))
    expected = float(np.square(residual).sum(1).mean())
    assert model.pca_squared_error_ == pytest.approx(expected, rel=0.01)
    assert model.squared_error_ < 1.01 * expected


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_the_held_out_loss_is_in_nats_of_the_held_out_rows(
    holes: bool, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a mixed table with a positive column, whose logarithm counts row by row."""
    generator = np.random.default_rng(0)
    pay = np.exp(generator.normal(3, 1, 2000))
    frame = pd.DataFrame({"pay": pay, "age": generator.normal(size=2000), "late": pay > 20})
    if holes:
        frame.loc[generator.random(2000) < 0.2, "pay"] = np.nan
    if streamed:
        monkeypatch.setattr(_sources, "LARGE", 0)
    model = Autoencoder(1, max_epochs=2, random_state=0).fit(open_data(frame))
    held = frame.iloc[model.held_out_.rows]  # type: ignore[union-attr]
    assert model.validation_ == pytest.approx(-model.score(held), rel=1e-4)


def test_rows_mapped_from_a_file_stay_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sources, "LARGE", 0)
    np.save(tmp_path / "x.npy", table())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    seen: list[np.ndarray] = []
    original = RawBatches.__init__
    monkeypatch.setattr(
        RawBatches,
        "__init__",
        lambda self, x, *more: (seen.append(x), original(self, x, *more))[1],
    )
    Autoencoder(2, max_epochs=1, random_state=0).fit(open_data(mapped))
    assert np.shares_memory(seen[0], mapped)


def test_stated_kinds_do_not_depend_on_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pa.table({"a": np.arange(500) % 7, "b": np.linspace(0, 1, 500)})
    small = Autoencoder(1, likelihood="joint", max_epochs=1, random_state=0).fit(open_data(frame))
    direct = Autoencoder(1, likelihood="joint", max_epochs=1, random_state=0).fit(frame)
    monkeypatch.setattr(_sources, "LARGE", 0)
    large = Autoencoder(1, likelihood="joint", max_epochs=1, random_state=0).fit(open_data(frame))
    assert small.encoding_.kinds == direct.encoding_.kinds == large.encoding_.kinds  # type: ignore[union-attr]


def test_methods_that_need_all_rows_take_what_fits_and_say_so(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    rows = table()
    model = Autoencoder(2, random_state=0).partial_fit(source_of(rows))
    again = Autoencoder(2, random_state=0).partial_fit(rows)
    np.testing.assert_array_equal(model.transform(rows), again.transform(rows))
    monkeypatch.setattr(_sources, "LARGE", 0)
    with pytest.raises(DataError, match="where all rows are needed in memory at once"):
        Autoencoder(2).partial_fit(source_of(rows))
