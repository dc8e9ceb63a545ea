"""Seeds: three streams from one number, and a global state that is left as it was."""

from __future__ import annotations

import itertools

import pytest
import torch

from isthmus.random import Seeds, fork


def test_equal_seeds_derive_equal_streams() -> None:
    assert Seeds.derive(5) == Seeds.derive(5)


def test_all_streams_of_all_seeds_and_ranks_differ() -> None:
    streams = [
        (s.initialisation, s.order, s.noise) for s in (Seeds.derive(seed) for seed in range(50))
    ]
    assert len(set(itertools.chain(*streams))) == 150
    assert len({Seeds.derive(0, rank).noise for rank in range(50)}) == 50


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63])
@pytest.mark.parametrize("rank", [1, 7])
def test_the_rank_separates_the_noise_and_nothing_else(seed: int, rank: int) -> None:
    first, other = Seeds.derive(seed), Seeds.derive(seed, rank)
    assert (first.initialisation, first.order) == (other.initialisation, other.order)
    assert first.noise != other.noise


@pytest.mark.parametrize("seed", [0, 123456789, 2**32 - 1])
def test_torch_takes_every_stream(seed: int) -> None:
    seeds = Seeds.derive(seed)
    for stream in (seeds.initialisation, seeds.order, seeds.noise):
        assert 0 <= stream < 2**63
        with fork(stream):
            assert torch.initial_seed() == stream
        torch.Generator().manual_seed(stream)


def test_a_fork_repeats_itself_and_restores_the_state() -> None:
    before = torch.random.get_rng_state()
    drawn = []
    for _ in range(2):
        with fork(3):
            drawn.append(torch.randn(10))
    assert torch.equal(*drawn)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_fork_restores_the_state_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), fork(3):
        torch.randn(10)
        _ = 1 // 0
    assert torch.equal(torch.random.get_rng_state(), before)


def test_forks_nest() -> None:
    with fork(1):
        plain = torch.randn(4)
    with fork(1):
        first = torch.randn(2)
        with fork(2):
            torch.randn(7)
        second = torch.randn(2)
    with fork(1):
        pair = torch.cat([torch.randn(2), torch.randn(2)])
    assert torch.equal(torch.cat([first, second]), pair)
    assert torch.equal(plain[:2], first)
