"""A step that is played back is the step itself, to the last bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from isthmus import Autoencoder, presets
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.engine import loop, program, tape
from isthmus.engine.ensemble import Ensemble
from isthmus.engine.loop import Training
from isthmus.engine.plan import Plan
from test_traced import CASES, PLAN, Normalised, X, train

UNCOMPILED = replace(PLAN, compile=False)


def states(training):
    return training.state().tensors


def equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def both(monkeypatch, build, members, plan, may=True):
    """(terms, training) plainly and by tape; ``may`` admits modules of the tests' own."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "can_tape", lambda module: False)
        plain = train(build, members, plan)
    with monkeypatch.context() as patch:
        if may:
            patch.setattr(loop, "can_tape", lambda module: True)
        played = train(build, members, plan)
    return plain, played


@pytest.mark.parametrize("name", CASES)
def test_a_played_step_is_the_plain_one(name, monkeypatch):
    build, members, settings = CASES[name]
    plain, played = both(monkeypatch, build, members, replace(UNCOMPILED, **settings))
    assert played[1]._tape is not None
    # the gradient of a convolution has parts that are no tensors
    assert played[1]._tape._usable == ("convolutions" not in name)
    assert torch.equal(plain[0], played[0])
    equal(states(plain[1]), states(played[1]))


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_can_be_played(name, monkeypatch):
    monkeypatch.setattr("test_traced.X", (X * 2).round() if name != "bernoulli" else X.round())

    def build():
        return presets.build(
            (64,), 4, (16,), likelihood=name, n_categories=3, beta=1.0, linear_path=False
        )

    if name == "continuous_bernoulli":
        monkeypatch.setattr("test_traced.X", X)
    plain, played = both(monkeypatch, build, 0, UNCOMPILED)
    assert played[1]._tape is not None
    # torch looks up how many categories there are
    assert played[1]._tape._usable == (name != "categorical")
    equal(states(plain[1]), states(played[1]))


class Followed(Normalised):
    def set_progress(self, progress):
        pass


def test_an_ensemble_with_batch_normalisation_is_trained_alike(monkeypatch):
    plain, played = both(monkeypatch, Followed, 2, UNCOMPILED)
    equal(states(plain[1]), states(played[1]))


class Deciding(nn.Module):
    """A network whose Python looks at a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(64, 64)

    def forward(self, x):
        out = self.net(x)
        return {"loss": (out if float(out.detach().sum()) > 0 else -out).square().sum(1)}


def test_what_python_decides_by_the_data_is_not_played(monkeypatch):
    plain, played = both(monkeypatch, Deciding, 0, UNCOMPILED)
    assert not played[1]._tape._usable
    equal(states(plain[1]), states(played[1]))


def test_foreign_networks_are_not_taped(monkeypatch):
    assert not tape.can_tape(nn.Sequential(nn.Linear(2, 2), Deciding()))
    assert not tape.can_tape(Ensemble([Deciding(), Deciding()]))
    _, played = both(monkeypatch, Deciding, 0, UNCOMPILED, may=False)
    assert played[1]._tape is None


def test_large_computations_keep_no_memory(monkeypatch):
    monkeypatch.setattr(tape, "MOST_BYTES", 10_000)
    plain, played = both(monkeypatch, CASES["undercomplete"][0], 0, UNCOMPILED)
    assert not played[1]._tape._usable
    assert played[1]._tape._program is None
    equal(states(plain[1]), states(played[1]))


def test_another_shape_and_moved_weights_take_the_plain_step(monkeypatch):
    def steps(may):
        monkeypatch.setattr(loop, "can_tape", lambda module: may)
        _, training = train(CASES["undercomplete"][0], 0, UNCOMPILED, steps=3)
        training.step((X[:7],))
        training.step((X[:32],))
        for p in training._optimizer.parameters:
            p.data = p.data.clone()
        training.step((X[:32],))
        return training

    equal(states(steps(False)), states(steps(True)))


def test_a_copy_writes_its_own_tape():
    _, training = train(CASES["undercomplete"][0], 0, UNCOMPILED, steps=3)
    other = copy.deepcopy(training)
    assert other._tape is None
    before = {name: t.clone() for name, t in training.module.state_dict().items()}
    for _ in range(3):
        other.step((X[:32],))
    equal(before, training.module.state_dict())
    for _ in range(3):
        training.step((X[:32],))
    equal(dict(training.module.state_dict()), dict(other.module.state_dict()))


def test_gradients_are_those_of_numpy():
    """‖x Wᵀ − x‖² has the gradient 2 (x Wᵀ − x)ᵀ x / n: after the plan's one plain step too."""

    class Map(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(64, 64))

        def forward(self, x):
            return {"loss": (x @ self.weight.T - x).square().sum(1)}

    module = Map()
    own = tape.Tape([module.weight])
    compute = Training(module, Plan(steps=1, batch_size=32))._in_pieces
    own.record(compute, (X[:32],))
    with torch.no_grad():
        module.weight.mul_(0.5)
    own.play((X[32:64],))
    x, w = X[32:64].double().numpy(), module.weight.detach().double().numpy()
    np.testing.assert_allclose(
        module.weight.grad.numpy(), 2 * (x @ w.T - x).T @ x / len(x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("n", [100, 1100])
def test_a_fit_is_the_same_with_and_without(n, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(n, 6)) @ np.diag([3, 2, 1, 1, 1, 0.5])
    rows[:, 3] = np.sin(rows[:, 0])
    played = Autoencoder(2, max_epochs=8, random_state=0).fit(rows)
    monkeypatch.setattr(loop, "can_tape", lambda module: False)
    plain = Autoencoder(2, max_epochs=8, random_state=0).fit(rows)
    equal(plain.autoencoder_.state_dict(), played.autoencoder_.state_dict())
    assert [r["loss"] for r in plain.history_[1:]] == [r["loss"] for r in played.history_[1:]]


def test_a_module_that_was_changed_from_outside_is_written_down_anew():
    model = Autoencoder(4, hidden_layer_sizes=(16,), random_state=0).partial_fit(X.numpy())
    frozen = model.autoencoder_.encoder
    frozen.requires_grad_(False)
    before = [p.detach().clone() for p in frozen.parameters()]
    head = [p.detach().clone() for p in model.autoencoder_.decoder.parameters()]
    model.partial_fit(X.numpy())
    after = list(model.autoencoder_.decoder.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(head, after, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, frozen.parameters(), strict=True))


@pytest.mark.parametrize("name", [n for n in CASES if "convolutions" not in n])
def test_torchs_interpreter_plays_what_python_plays(name, monkeypatch):
    build, members, settings = CASES[name]
    plan = replace(UNCOMPILED, **settings)
    monkeypatch.setattr(loop, "can_tape", lambda module: True)
    monkeypatch.setattr(tape, "program", program.interpreted)  # raises where a graph is refused
    one = train(build, members, plan)
    monkeypatch.setattr(tape, "program", lambda calls: partial(program.one_by_one, calls))
    other = train(build, members, plan)
    assert one[1]._tape._program is not None
    assert torch.equal(one[0], other[0])
    equal(states(one[1]), states(other[1]))


def test_without_graphs_the_calls_are_made_from_python(monkeypatch):
    monkeypatch.delattr(torch._C, "Graph")
    x, y = torch.ones(3), torch.zeros(3)
    play = program.program([program.Call(torch.ops.aten.neg.default, (x,), {}, (y,))])
    assert play.func is program.one_by_one
    play()
    assert torch.equal(y, -x)
