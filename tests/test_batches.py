"""Sources and splits: every row where it belongs, in an order that a seed decides."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from isthmus import Autoencoder
from isthmus.data.batches import TensorBatches
from isthmus.data.rows.split import folds, hold_out

SIZES = [(1, 1), (2, 1), (10, 3), (10, 10), (10, 99), (64, 32), (101, 7)]


def numbered(n: int, *, mask: bool = False) -> TensorBatches:
    x = torch.arange(2.0 * n).view(n, 2)
    return TensorBatches(x, x % 3 > 0 if mask else None)


@pytest.mark.parametrize(("n", "size"), SIZES)
@pytest.mark.parametrize("mask", [False, True])
def test_batches_are_all_rows_once_in_order(n: int, size: int, mask: bool) -> None:
    source = numbered(n, mask=mask)
    batches = list(source.batches(size))
    assert torch.equal(torch.cat([b[0] for b in batches]), source.x)
    assert {len(b) for b in batches} == {2 if mask else 1}
    if source.mask is not None:
        assert torch.equal(torch.cat([b[1] for b in batches]), source.mask)


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_an_epoch_of_shuffled_batches_has_no_row_twice(n: int, size: int) -> None:
    source = numbered(n)
    size = min(size, n)
    a_round = n // size
    stream = source.shuffled(size, seed=0)
    for _ in range(3):
        batches = [x for (x,) in islice(stream, a_round)]
        assert all(len(b) == size for b in batches)
        firsts = torch.cat(batches)[:, 0]
        assert len(firsts.unique()) == a_round * size


@pytest.mark.parametrize(("n", "size"), [(10, 3), (101, 7), (64, 40)])
def test_over_epochs_every_row_has_its_turn(n: int, size: int) -> None:
    stream = numbered(n).shuffled(size, seed=1)
    seen = torch.cat([x for (x,) in islice(stream, 20 * (n // size))])[:, 0]
    assert len(seen.unique()) == n


def test_shuffled_keeps_rows_and_masks_together() -> None:
    source = numbered(30, mask=True)
    for x, mask in islice(source.shuffled(7, seed=0), 12):
        assert torch.equal(mask, x % 3 > 0)


def test_the_seed_decides_the_order_and_epochs_differ() -> None:
    def first(seed: int) -> torch.Tensor:
        return torch.cat([x for (x,) in islice(numbered(40).shuffled(8, seed), 10)])

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))
    assert not torch.equal(first(0)[:40], first(0)[40:])


def test_the_order_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    next(numbered(10).shuffled(3, 0))
    hold_out(10, 3, 0)
    folds(10, 3, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_subset_takes_rows_and_mask() -> None:
    source = numbered(10, mask=True)
    rows = torch.tensor([7, 2])
    part = source.subset(rows)
    assert part.n_rows == 2
    assert torch.equal(part.x, source.x[rows])
    assert part.mask is not None
    assert source.mask is not None
    assert torch.equal(part.mask, source.mask[rows])
    assert numbered(10).subset(rows).mask is None
    moved = source.to(torch.device("cpu"))
    assert torch.equal(moved.x, source.x)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (10, 3), (100, 99)])
def test_held_out_and_training_rows_are_a_partition(n: int, k: int) -> None:
    train, held_out = hold_out(n, k, seed=5)
    assert len(held_out) == k
    assert torch.equal(torch.cat([train, held_out]).sort().values, torch.arange(n))
    assert torch.equal(train, train.sort().values)
    assert torch.equal(held_out, hold_out(n, k, seed=5)[1])


@pytest.mark.parametrize(("n", "k"), [(2, 2), (10, 3), (11, 5), (100, 5)])
def test_folds_hold_every_row_out_once(n: int, k: int) -> None:
    pairs = folds(n, k, seed=3)
    assert len(pairs) == k
    everything = torch.arange(n)
    assert torch.equal(torch.cat([held for _, held in pairs]).sort().values, everything)
    for train, held_out in pairs:
        assert torch.equal(torch.cat([train, held_out]).sort().values, everything)
    sizes = [len(held) for _, held in pairs]
    assert max(sizes) - min(sizes) <= 1
    assert not torch.equal(pairs[0][1], folds(n + 20, k, seed=4)[0][1])


@pytest.mark.parametrize("n", [10, 70_000])
@pytest.mark.parametrize("masked", [False, True])
def test_dividing_in_place_gives_the_two_subsets_in_their_order(n: int, masked: bool) -> None:
    x = torch.rand(n, 3)
    source = TensorBatches(x.clone(), x > 0.2 if masked else None)
    first, others = hold_out(n, n // 5, seed=1)
    wanted = [source.subset(first), source.subset(others)]
    for got, want in zip(source.divide(first), wanted, strict=True):
        assert torch.equal(got.x, want.x)
        assert got.x.untyped_storage().data_ptr() == source.x.untyped_storage().data_ptr()
        assert (got.mask is None) == (want.mask is None)
        assert got.mask is None or torch.equal(got.mask, want.mask)


@pytest.mark.parametrize("scaling", ["none", "standard"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_leaves_the_rows_of_its_caller_in_their_order(scaling: str, dtype: type) -> None:
    x = np.random.default_rng(0).normal(size=(600, 5)).astype(dtype)
    before = x.copy()
    Autoencoder(2, scaling=scaling, max_epochs=1, early_stopping=True, random_state=0).fit(x)
    assert np.array_equal(x, before)
