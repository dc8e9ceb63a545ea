"""What products run in: the choice by device, and the scale of losses in float16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from isthmus import Autoencoder, presets
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from isthmus.engine.products import FIRST_SCALE, LossScale, fast_precision, tensor_cores
from isthmus.errors import DivergedError
from isthmus.estimators._defaults import conv_recipe, recipe

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
X = torch.rand(256, 64, generator=torch.Generator().manual_seed(0))
PLAN = Plan(steps=200, batch_size=32, precision="float16")


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of a compute capability."""

    def of(*capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        # what torch answers on a T4, which only emulates bfloat16
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)

    return of


@pytest.mark.parametrize(
    ("capability", "heavy", "light"),
    [
        ((9, 0), "bfloat16", "tf32"),  # H100
        ((8, 0), "bfloat16", "tf32"),  # A100
        ((7, 5), "float16", "float32"),  # T4
        ((7, 0), "float16", "float32"),  # V100
        ((6, 1), "float32", "float32"),  # P40
    ],
)
def test_a_gpu_gets_what_its_tensor_cores_do(gpu, capability, heavy, light):
    gpu(*capability)
    assert fast_precision(CUDA) == (heavy, light)
    assert recipe(60_000, 784, 30, CUDA).precision == heavy
    assert recipe(1_797, 64, 8, CUDA).precision == light
    assert conv_recipe(recipe(60_000, 784, 30, CUDA), 60_000, device=CUDA).precision == heavy


@pytest.mark.parametrize(("avx", "amx"), [(False, False), (True, False), (False, True)])
def test_a_processor_gets_what_its_instructions_do(gpu, monkeypatch, avx, amx):
    gpu(7, 5)  # a GPU beside it changes nothing for device="cpu"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    expected = "bfloat16" if avx or amx else "float32"
    assert fast_precision(CPU) == (expected, "float32")
    assert recipe(60_000, 784, 30).precision == expected


def test_tf32_holds_inside_only_and_on_a_gpu_only():
    before = torch.get_float32_matmul_precision()
    with tensor_cores("cpu", "tf32"):
        assert torch.get_float32_matmul_precision() == before
    with tensor_cores("cuda", "bfloat16"):
        assert torch.get_float32_matmul_precision() == before
    with pytest.raises(ValueError), tensor_cores("cuda", "tf32"):
        raise ValueError
    assert torch.get_float32_matmul_precision() == before


def test_the_scale_halves_and_doubles():
    scale = LossScale.first(CPU)
    scale.update(torch.tensor(True))
    assert float(scale.scale) == FIRST_SCALE / 2
    for _ in range(1999):
        scale.update(torch.tensor(False))
    assert float(scale.scale) == FIRST_SCALE / 2
    scale.update(torch.tensor(False))
    assert float(scale.scale) == FIRST_SCALE
    assert float(scale.good) == 0


def test_gradients_come_back_in_their_own_size():
    scale = LossScale.first(CPU)
    found, bad = scale.unscaled([torch.full((2,), FIRST_SCALE * 3), None])
    assert found[0].tolist() == [3.0, 3.0]
    assert found[1] is None
    assert not bad
    assert scale.unscaled([torch.tensor([1.0, torch.inf])])[1]


def trained(plan, steps=20, **slots):
    torch.manual_seed(0)
    training = Training(presets.build((64,), 4, (16, 16), **slots), plan)
    if training._scale is not None:
        training._scale.scale.fill_(128.0)  # found at once, so that no step is left out
    training.module.train()
    torch.manual_seed(1)
    for _ in range(steps):
        training.step((X[torch.randint(0, len(X), (32,))],))
    return training


@pytest.mark.parametrize("rule", ["adamw", "muon"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_float16_trains_as_float32_to_its_rounding(rule, clip):
    plan = replace(PLAN, optimizer=rule, clip_norm=clip)
    half = trained(plan, beta=1.0).module
    full = trained(replace(plan, precision="float32"), beta=1.0).module
    for a, b in zip(half.parameters(), full.parameters(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2)


class Steep(nn.Module):
    """A loss whose gradient leaves float16 at the first scales."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(64, 4)

    def forward(self, x):
        return {"loss": 1e3 * self.net(x).sum(1)}


@pytest.mark.parametrize("rule", ["adamw", "muon"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_beyond_float16_is_left_out(rule, compiled, monkeypatch):
    from torch.fx.experimental.proxy_tensor import make_fx

    from isthmus.engine import traced

    def graph(step, example):
        return make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)(*example)

    monkeypatch.setattr(traced, "_compiled", graph)
    torch.manual_seed(0)
    training = Training(Steep(), replace(PLAN, optimizer=rule, compile=compiled))
    weight = training.module.net.weight
    before, batch = weight.detach().clone(), (X[:32],)
    training.step(batch)
    assert (training._traced is not None) == compiled
    assert torch.equal(weight, before)
    assert float(training._scale.scale) == FIRST_SCALE / 2
    assert all(not slot.any() for each in training._optimizer.slots() for slot in each)
    for _ in range(20):
        training.step(batch)
    assert not torch.equal(weight, before)
    assert bool(weight.isfinite().all())


def test_the_scale_is_part_of_the_state():
    one = trained(PLAN)
    one._scale.update(torch.tensor(True))
    other = Training(presets.build((64,), 4, (16, 16)), PLAN)
    other.restore(one.state())
    assert torch.equal(other._scale.scale, one._scale.scale)
    assert torch.equal(other._scale.good, one._scale.good)


def test_an_estimator_takes_every_precision():
    errors = {}
    for precision in ("float32", "tf32", "bfloat16", "float16"):
        model = Autoencoder(4, precision=precision, max_epochs=20, random_state=0)
        rows = X.numpy()
        errors[precision] = float(np.square(model.fit(rows).reconstruct(rows) - rows).sum(1).mean())
    assert errors["tf32"] == errors["float32"]  # no such products on a processor
    for value in errors.values():
        assert value == pytest.approx(errors["float32"], rel=0.05)


def test_rows_beyond_float16_end_partial_fit_as_they_do_in_float32():
    rows = X.numpy()
    model = Autoencoder(4, precision="float16", random_state=0).partial_fit(rows)
    codes = model.transform(rows)
    with pytest.raises(DivergedError):
        model.partial_fit(rows * np.float32(1e25))
    np.testing.assert_array_equal(model.transform(rows), codes)


def test_the_scale_never_falls_to_nothing():
    scale = LossScale.first(CPU)
    for _ in range(40):
        scale.update(torch.tensor(True))
    assert float(scale.scale) == 1.0
