"""One pass says what many would: every figure against NumPy on the whole array."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tests.sources import Pieces, random_lengths

from isthmus.data.rows import survey as module
from isthmus.data.rows.survey import positions, survey
from isthmus.data.tables import fingerprint
from isthmus.errors import DataError

N, D = 501, 6


def rows(kind: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(N, 3)) @ generator.normal(size=(3, D)) + [0, 1, 1e4, -5, 0, 2]
    if kind == "holes":
        x[generator.random(x.shape) < 0.2] = np.nan
        x[:7, 0] = np.nan  # the first block says nothing of the first column
    if kind == "bytes":
        return generator.integers(0, 255, (N, D)).astype(np.uint8)
    return x.astype(np.float32) if kind == "single" else x


@pytest.mark.parametrize("kind", ["plain", "holes", "single", "bytes"])
@pytest.mark.parametrize("n_held_out", [0, 50])
def test_figures_are_those_of_the_whole_array(kind: str, n_held_out: int) -> None:
    x = rows(kind)
    found = survey(Pieces(x, random_lengths(N, 9)), n_held_out, seed=1)
    train = np.delete(x, found.held_out_rows, axis=0).astype(np.float64)
    there = ~np.isnan(train)
    mean = np.nanmean(train, axis=0)
    filled = np.where(there, train, mean) - mean
    assert (found.n_rows, found.n_train) == (N, N - n_held_out)
    np.testing.assert_array_equal(found.there, there.sum(0))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.variance, np.nanvar(train, axis=0), rtol=1e-9)
    np.testing.assert_array_equal(found.low, np.nanmin(train, axis=0))
    np.testing.assert_array_equal(found.high, np.nanmax(train, axis=0))
    assert found.covariance is not None
    expected = filled.T @ filled / len(train)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-9 * expected.max())
    np.testing.assert_array_equal(found.held_out, x[found.held_out_rows])
    np.testing.assert_array_equal(found.sample, x[found.sample_rows])
    assert not set(found.held_out_rows) & set(found.sample_rows)
    assert found.fingerprint == fingerprint(x)
    assert found.complete == bool(there.all())


def test_pieces_and_blocks_do_not_matter() -> None:
    x = rows("holes")
    one, other = (
        survey(s, 20, seed=5) for s in (Pieces(x, (N,), N), Pieces(x, (0, 1, N - 1), 100))
    )
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-13)
    np.testing.assert_array_equal(one.held_out_rows, other.held_out_rows)
    assert one.fingerprint == other.fingerprint


def test_held_out_rows_are_a_fair_draw() -> None:
    """Each position is drawn equally often: a chi-square statistic of 99 degrees of freedom."""
    counts = np.zeros(100)
    for seed in range(400):
        counts[positions(100, 10, 5, seed)[0]] += 1
    assert ((counts - 40) ** 2 / 40).sum() < 150  # p = 0.0007


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.array([[1.0, 2.0], [3.0, np.inf]]), r"row 2, column 'x1'"),
        (np.array([[1.0, -np.inf], [3.0, np.inf]]), r"row 1, column 'x1'"),
        (np.array([[1.0, 2.0], [1e200, 3.0]]), r"1e\+200 in row 2, column 'x0' of rows is out of"),
        (np.array([[1.0, np.nan], [3.0, np.nan]]), r"column 'x1' of rows has no value"),
    ],
)
def test_what_is_refused(x: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        survey(Pieces(x, (1, 1)))


def test_large_finite_values_are_not_taken_for_infinite_ones() -> None:
    for x in (np.full((4, 2), 1e150), np.full((4, 2), 1e38, np.float32)):
        x[0] *= -1
        assert survey(Pieces(x, (4,))).n_train == 4


def test_a_source_that_gives_other_rows_than_it_promised() -> None:
    source = Pieces(np.zeros((10, 2)), (4, 6))
    source.lengths = (5, 5)
    source.values = np.zeros((9, 2))
    with pytest.raises(DataError, match="other rows than it promised"):
        survey(source)


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_ROWS", 100)

    class Endless(Pieces):
        def read(self, piece: int):  # type: ignore[no-untyped-def]
            for _ in range(self.lengths[piece] // 1000):
                yield np.random.default_rng(0).normal(size=(1000, D))

    def peak(n: int) -> int:
        source = Endless(np.zeros((0, D)), ())
        source.lengths = (n,)
        tracemalloc.start()
        survey(source, 10)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)
    assert peak(100_000) < 1.3 * peak(10_000)
