"""Corruptions: laws over one table; a new corruption adds a row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core_examples import small
from isthmus.core.corruption import (
    CORRUPTIONS,
    Corruption,
    Identity,
    MaskingNoise,
    SaltAndPepper,
    SwapNoise,
    corruption,
)
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.random import fork

# name, a level inside the range, share of entries touched at that level
TABLE = [
    ("gaussian", 0.5, 1.0),
    ("masking", 0.3, 0.3),
    ("salt_and_pepper", 0.3, 0.3),
    ("swap", 0.3, 0.3),
]
NAMES = [name for name, _, _ in TABLE]
SHAPES = [(7,), (1, 3, 4)]


def data(n: int, shape: tuple[int, ...] = (7,), dtype: torch.dtype = torch.float64) -> Tensor:
    with fork(7):
        return torch.randn(n, *shape, dtype=dtype)


def prepared(name: str, level: float, x: Tensor) -> Corruption:
    noise = corruption(name, level)
    noise.prepare(x)
    return noise


def test_the_table_is_complete() -> None:
    assert set(NAMES) == set(CORRUPTIONS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_level_zero_is_the_identity(name: str, shape: tuple[int, ...]) -> None:
    x = data(20, shape)
    corrupted = prepared(name, 0.0, x)(x)
    assert torch.equal(corrupted.x_tilde, x)
    assert corrupted.touched is not None
    assert not corrupted.touched.any()


def test_no_noise_is_the_identity() -> None:
    x = data(5)
    corrupted = corruption(None)(x)
    assert isinstance(corruption(None), Identity)
    assert corrupted.x_tilde is x
    assert corrupted.touched is None


@pytest.mark.parametrize(("name", "level"), [row[:2] for row in TABLE])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_shape_dtype_and_input_are_kept(
    name: str, level: float, shape: tuple[int, ...], dtype: torch.dtype, n: int
) -> None:
    x = data(n, shape, dtype)
    before = x.clone()
    corrupted = prepared(name, level, x)(x)
    assert corrupted.x_tilde.shape == x.shape
    assert corrupted.x_tilde.dtype == dtype
    assert corrupted.touched is not None
    assert corrupted.touched.shape == x.shape
    assert corrupted.touched.dtype == torch.bool
    assert torch.equal(x, before)


@pytest.mark.parametrize(("name", "level"), [row[:2] for row in TABLE])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_not_touched_is_bit_equal(name: str, level: float, shape: tuple[int, ...]) -> None:
    x = data(200, shape)
    corrupted = prepared(name, level, x)(x)
    assert corrupted.touched is not None
    assert torch.equal(corrupted.x_tilde[~corrupted.touched], x[~corrupted.touched])
    assert not torch.equal(corrupted.x_tilde[corrupted.touched], x[corrupted.touched])


@pytest.mark.parametrize(("name", "level", "share"), TABLE)
def test_the_touched_share_is_binomial(name: str, level: float, share: float) -> None:
    x = data(5000)
    with fork(0):
        touched = prepared(name, level, x)(x).touched
    assert touched is not None
    n = touched.numel()
    assert abs(int(touched.sum()) - share * n) <= 5 * math.sqrt(n * share * (1 - share))
    # and no column has more than its part of it
    spread = 5 * math.sqrt(share * (1 - share) / len(x))
    assert (touched.double().mean(0) - share).abs().max() <= spread


@pytest.mark.parametrize(("name", "level"), [row[:2] for row in TABLE])
def test_the_same_global_seed_gives_the_same_noise(name: str, level: float) -> None:
    x = data(50)
    noise = prepared(name, level, x)
    drawn = []
    for seed in (3, 3, 4):
        with fork(seed):
            drawn.append(noise(x).x_tilde)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_gaussian_noise_has_the_level_as_its_standard_deviation() -> None:
    x = data(20000)
    with fork(0):
        e = corruption("gaussian", 0.5)(x).x_tilde - x
    assert abs(float(e.mean())) < 5 * 0.5 / math.sqrt(e.numel())
    assert abs(float(e.std()) - 0.5) < 5 * 0.5 / math.sqrt(2 * e.numel())


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_masking_puts_its_value(value: float) -> None:
    x = data(100)
    corrupted = MaskingNoise(0.4, value)(x)
    assert corrupted.touched is not None
    assert (corrupted.x_tilde[corrupted.touched] == value).all()


def test_salt_and_pepper_puts_the_extremes_of_the_training_rows() -> None:
    train, x = data(3000), data(3000) / 10
    noise = prepared("salt_and_pepper", 0.5, train)
    with fork(0):
        corrupted = noise(x)
    assert corrupted.touched is not None
    low, high = train.min(0).values.expand_as(x), train.max(0).values.expand_as(x)
    salt = corrupted.touched & (corrupted.x_tilde == high)
    pepper = corrupted.touched & (corrupted.x_tilde == low)
    assert torch.equal(salt | pepper, corrupted.touched)
    n = int(corrupted.touched.sum())
    assert abs(int(salt.sum()) - n / 2) < 5 * math.sqrt(n / 4)


def test_salt_and_pepper_before_training_rows_is_black_and_white() -> None:
    corrupted = SaltAndPepper(1.0)(data(100))
    assert set(corrupted.x_tilde.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("n", [2, 3, 50])
@pytest.mark.parametrize("shape", SHAPES)
def test_swap_keeps_the_values_of_each_column_and_moves_every_one(
    n: int, shape: tuple[int, ...]
) -> None:
    x = data(n, shape)
    corrupted = SwapNoise(1.0)(x).x_tilde
    assert torch.equal(corrupted.sort(0).values, x.sort(0).values)
    assert (corrupted != x).all()


def test_swap_draws_a_different_row_for_each_column() -> None:
    x = torch.arange(100.0)[:, None].expand(-1, 20)
    with fork(0):
        corrupted = SwapNoise(1.0)(x).x_tilde
    assert len({tuple(column) for column in corrupted.T.tolist()}) > 10


def test_swap_of_one_row_leaves_it() -> None:
    x = data(1)
    assert torch.equal(SwapNoise(1.0)(x).x_tilde, x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [-0.1, math.nan, math.inf, -math.inf, 1.1])
def test_a_level_outside_its_range_is_refused(name: str, level: float) -> None:
    if name == "gaussian" and level == 1.1:
        assert corruption(name, level) is not None
        return
    with pytest.raises(InvalidParameterError) as caught:
        corruption(name, level)
    assert caught.value.given == f"noise_level={level!r}"
    assert caught.value.rule.startswith("must ")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidParameterError, match=r"noise='salt' must be None or one of .*swap"):
        corruption("salt", 0.1)


@pytest.mark.parametrize(("name", "level"), [row[:2] for row in TABLE])
def test_an_autoencoder_corrupts_in_training_mode_only(name: str, level: float) -> None:
    model = small(noise=name, noise_level=level)
    x = data(30, (4,))
    model.eval()
    trace = model.trace(x)
    assert trace.x_tilde is x
    assert trace.touched is None
    model.train()
    trace = model.trace(x)
    assert trace.touched is not None
    assert not torch.equal(trace.x_tilde, x)
    assert trace.x is x


@pytest.mark.parametrize(("name", "level"), [row[:2] for row in TABLE])
@pytest.mark.parametrize("emphasis", [0.0, 1.0, 4.0])
def test_emphasis_is_the_weight_of_the_touched_entries(
    name: str, level: float, emphasis: float
) -> None:
    if emphasis == 0 and name == "gaussian":  # it touches every entry, so nothing would be left
        with pytest.raises(CombinationError, match="emphasis=0 with GaussianNoise"):
            small(noise=name, noise_level=level, emphasis=emphasis)
        return
    model = small(noise=name, noise_level=level, emphasis=emphasis).train()
    x = data(30, (4,))
    mask = data(30, (4,)) > -1
    trace = model.trace(x, mask)
    assert trace.touched is not None
    weight = torch.where(trace.touched, emphasis, 1.0) * mask
    expected = (trace.p.log_prob(x) * weight).sum(-1)
    torch.testing.assert_close(trace.log_likelihood(), expected, rtol=1e-12, atol=1e-12)
    assert model.eval().trace(x).weight is None


@pytest.mark.parametrize("emphasis", [-1.0, math.nan, math.inf])
def test_a_weight_below_zero_is_refused(emphasis: float) -> None:
    with pytest.raises(InvalidParameterError, match="emphasis="):
        small(noise="masking", noise_level=0.1, emphasis=emphasis)
