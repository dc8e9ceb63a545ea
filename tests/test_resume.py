"""A fit that stopped anywhere and went on ends with the bits of one that never stopped."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)
from isthmus.engine import checkpoint
from isthmus.engine.checkpoint import State, Store
from isthmus.errors import InvalidParameterError, RunError

X = load_wine().data
SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 20, "random_state": 0}


class Crash(Exception):
    pass


def crash_at(round_):
    seen = []

    def listener(progress):
        seen.append(progress)
        torch.rand(3)  # what a listener draws is its own affair
        if len(seen) == round_:
            raise Crash

    return listener


@pytest.fixture(autouse=True)
def every_round(monkeypatch):
    """Whatever a write costs."""
    monkeypatch.setattr(Store, "due", lambda self: True)


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def assert_same(a, b):
    for name, value in a.autoencoder_.state_dict().items():
        assert torch.equal(value, b.autoencoder_.state_dict()[name]), name
    np.testing.assert_equal(without_seconds(a.history_), without_seconds(b.history_))
    for name in ("n_steps_", "validation_", "squared_error_", "stayed_linear_", "interrupted_"):
        np.testing.assert_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.transform(X), b.transform(X))


MODELS = {
    "undercomplete": Autoencoder(2, **SMALL),
    "held out": Autoencoder(2, early_stopping=True, **SMALL),
    "to the end": Autoencoder(2, early_stopping=False, **SMALL),
    "denoising": DenoisingAutoencoder(2, noise="swap", **SMALL),
    "contractive": ContractiveAutoencoder(2, contraction_method="hutchinson", **SMALL),
    "variational": VariationalAutoencoder(2, kl_warmup=0.5, **SMALL),
    "importance": VariationalAutoencoder(2, objective="importance", n_draws=3, **SMALL),
    "short epochs": Autoencoder(2, early_stopping=True, batch_size=50, **SMALL),
    "bfloat16": Autoencoder(2, precision="bfloat16", **SMALL),
}


def clone(model, **other):
    return type(model)(**{**model.get_params(deep=False), **other})


@pytest.mark.parametrize("stop", [2, 13])
@pytest.mark.parametrize("name", MODELS)
def test_it_goes_on_bit_for_bit(name, stop, tmp_path):
    whole = clone(MODELS[name]).fit(X)
    broken = clone(MODELS[name])
    with pytest.raises(Crash):
        broken.fit(X, callback=crash_at(stop), checkpoint=tmp_path / "c")
    resumed = clone(MODELS[name]).fit(X, resume_from=tmp_path / "c")
    assert_same(resumed, whole)


def test_it_may_be_stopped_again_and_again(tmp_path):
    whole = clone(MODELS["variational"]).fit(X)
    with pytest.raises(Crash):
        clone(MODELS["variational"]).fit(X, callback=crash_at(3), checkpoint=tmp_path / "c")
    for _ in range(3):
        with pytest.raises(Crash):
            clone(MODELS["variational"]).fit(X, callback=crash_at(4), resume_from=tmp_path / "c")
    assert_same(clone(MODELS["variational"]).fit(X, resume_from=tmp_path / "c"), whole)


def test_checkpoints_change_nothing(tmp_path):
    assert_same(
        clone(MODELS["undercomplete"]).fit(X),
        clone(MODELS["undercomplete"]).fit(X, checkpoint=tmp_path / "c"),
    )


def test_a_finished_fit_is_there_at_once_and_may_be_replaced(tmp_path):
    model = clone(MODELS["undercomplete"]).fit(X, checkpoint=tmp_path / "c")
    seen = []
    again = clone(MODELS["undercomplete"]).fit(X, seen.append, resume_from=tmp_path / "c")
    assert_same(again, model)
    assert seen == []
    clone(MODELS["denoising"]).fit(X, checkpoint=tmp_path / "c")


def test_ctrl_c_keeps_the_last_round(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "due", lambda self: False)

    def stop(progress, seen=[]):  # noqa: B006
        seen.append(progress)
        if len(seen) == 9:
            raise KeyboardInterrupt

    model = clone(MODELS["undercomplete"])
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, callback=stop, checkpoint=tmp_path / "c")
    with Store(tmp_path / "c") as store:
        assert len(store.read().facts["history"]) == 8
    whole = clone(model).fit(X)
    assert_same(clone(model).fit(X, resume_from=tmp_path / "c"), whole)


def test_without_a_seed_the_checkpoints_is_used(tmp_path):
    model = clone(MODELS["undercomplete"], random_state=None)
    with pytest.raises(Crash):
        clone(model).fit(X, callback=crash_at(5), checkpoint=tmp_path / "c")
    with Store(tmp_path / "c") as store:
        before = store.read().facts
    resumed = clone(model).fit(X, resume_from=tmp_path / "c")
    assert resumed.history_[: len(before["history"])] == before["history"]


KILLED = """
import os, signal, sys
from sklearn.datasets import load_wine
from isthmus import VariationalAutoencoder
from isthmus.engine.checkpoint import Store
Store.due = lambda self: True
seen = []
def kill(progress):
    seen.append(progress)
    if len(seen) == 11:
        os.kill(os.getpid(), signal.SIGKILL)
VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=20, random_state=0).fit(
    load_wine().data, callback=kill, checkpoint=sys.argv[1])
"""


def test_a_killed_process_is_gone_on_with(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "c")], check=False, env=dict(os.environ)
    )
    assert killed.returncode == -signal.SIGKILL
    model = VariationalAutoencoder(2, hidden_layer_sizes=(8,), max_epochs=20, random_state=0)
    assert_same(clone(model).fit(X, resume_from=tmp_path / "c"), clone(model).fit(X))


# what is refused


@pytest.fixture
def stopped(tmp_path):
    with pytest.raises(Crash):
        clone(MODELS["undercomplete"]).fit(X, callback=crash_at(5), checkpoint=tmp_path / "c")
    return tmp_path / "c"


@pytest.mark.parametrize(
    ("change", "rows", "said"),
    [
        ({"learning_rate": 0.1}, X, "learning_rate"),
        ({"n_components": 3}, X, "n_components"),
        ({"random_state": 1}, X, "random_state"),
        ({}, X[::-1], "rows"),
    ],
)
def test_another_fit_is_refused(stopped, change, rows, said):
    before = {f.name: f.read_bytes() for f in stopped.iterdir()}
    with pytest.raises(RunError, match=said):
        clone(MODELS["undercomplete"], **change).fit(rows, resume_from=stopped)
    assert {f.name: f.read_bytes() for f in stopped.iterdir()} == before


def test_a_stopped_training_is_not_overwritten(stopped):
    with pytest.raises(RunError, match="stopped at step"):
        clone(MODELS["undercomplete"]).fit(X, checkpoint=stopped)


def test_two_folders_are_refused(stopped, tmp_path):
    with pytest.raises(InvalidParameterError, match="two folders"):
        clone(MODELS["undercomplete"]).fit(X, checkpoint=tmp_path / "d", resume_from=stopped)


def test_nothing_to_go_on_from(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        clone(MODELS["undercomplete"]).fit(X, resume_from=tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="no whole checkpoint"):
        clone(MODELS["undercomplete"]).fit(X, resume_from=tmp_path / "empty")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="no part of a checkpoint"):
        clone(MODELS["undercomplete"]).fit(X, checkpoint=tmp_path)


# the store


def state(number):
    return State({"a": number, "nan": float("nan")}, {"x": torch.full((4,), float(number))})


def test_the_newest_whole_state_is_read(tmp_path):
    with Store(tmp_path / "c") as store:
        assert store.read() is None
        for number in range(5):
            store.write(state(number))
            found = store.read()
            assert found.facts["a"] == number
            assert torch.equal(found.tensors["x"], torch.full((4,), float(number)))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "header"])
def test_a_damaged_one_leaves_the_one_before(tmp_path, damage):
    with Store(tmp_path / "c") as store:
        store.write(state(1))
        store.write(state(2))
    newest = tmp_path / "c" / "1.checkpoint"
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 4
        newest.write_bytes(data)
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "header":
        newest.write_bytes(b"\xff" * len(data))
    else:
        newest.unlink()
    with Store(tmp_path / "c") as store:
        assert store.read().facts["a"] == 1
        store.write(state(3))  # over the damaged one
        assert store.read().facts["a"] == 3
        store.write(state(4))
        assert store.read().facts["a"] == 4


def test_two_writers_are_told_apart(tmp_path):
    with Store(tmp_path / "c"):
        code = textwrap.dedent(
            """
            import sys
            from isthmus.engine.checkpoint import Store
            from isthmus.errors import RunError
            try:
                with Store(sys.argv[1]):
                    pass
            except RunError as error:
                print(error)
            """
        )
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "c")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "another process" in said
    with Store(tmp_path / "c"):
        pass


def test_a_newer_schema_is_told(tmp_path, monkeypatch):
    with Store(tmp_path / "c") as store:
        monkeypatch.setattr(checkpoint, "SCHEMA", 2)
        store.write(state(1))
        monkeypatch.setattr(checkpoint, "SCHEMA", 1)
        with pytest.raises(RunError, match="schema 2"):
            store.read()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    with Store(tmp_path / "c") as store:
        store.write(state(1))
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="No space left"):
            store.write(state(2))
        assert store.read().facts["a"] == 1
        assert not (tmp_path / "c" / ".new").exists()


# a loss that is no number


class Poison(torch.nn.Module):
    """Gives NaN in training once, or from then on."""

    def __init__(self, forever):
        super().__init__()
        self.line = torch.nn.Linear(13, 2)
        self.forever = forever
        self.calls = 0

    def forward(self, x):
        z = self.line(x)
        if self.training:
            self.calls += 1
            if self.calls == 30 or (self.forever and self.calls > 30):
                return z * torch.nan
        return z


def poisoned(forever):
    return Autoencoder(2, encoder=Poison(forever), early_stopping=True, **SMALL)


def test_one_bad_step_is_undone():
    model = poisoned(forever=False).fit(X)
    assert not model.diverged_
    assert all(np.isfinite(row["validation"]) for row in model.history_)
    assert model.history_[-1]["step"] == 20 * (160 // 64)


def test_bad_steps_without_end_stop_with_the_best_state():
    with pytest.warns(UserWarning, match="no finite number"):
        model = poisoned(forever=True).fit(X)
    assert model.diverged_
    assert np.isfinite(model.reconstruct(X)).all()


# too little memory, a clock that jumps


class Heavy(torch.nn.Module):
    """Fits so many rows into memory."""

    def __init__(self, most):
        super().__init__()
        self.line = torch.nn.Linear(13, 2)
        self.most = most

    def forward(self, x):
        if self.training and len(x) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return self.line(x)


def heavy(most):
    return Autoencoder(2, encoder=Heavy(most), early_stopping=True, **SMALL)


def test_a_batch_that_does_not_fit_is_divided():
    torch.manual_seed(0)
    plain = heavy(1000)
    light = clone(plain, encoder=Heavy(20))
    light.encoder.load_state_dict(plain.encoder.state_dict())
    with pytest.warns(UserWarning, match="divided") as said:
        light.fit(X)
    assert len(said) == 1
    plain.fit(X)
    np.testing.assert_allclose(light.transform(X), plain.transform(X), rtol=1e-3, atol=1e-3)


def test_what_never_fits_is_said():
    with pytest.raises(RuntimeError, match="allocate"), pytest.warns(UserWarning, match="divided"):
        heavy(0).fit(X)


def test_a_clock_that_jumps_back_misleads_nobody(tmp_path, monkeypatch):
    times = iter(range(10**6, 0, -1000))
    for name in ("time", "time_ns"):
        monkeypatch.setattr(f"isthmus.engine.checkpoint.time.{name}", lambda: next(times))
    with Store(tmp_path / "c") as store:
        for number in range(4):
            store.write(state(number))
    with Store(tmp_path / "c") as store:
        assert store.read().facts["a"] == 3


class Stumble(torch.nn.Module):
    """NaN on some batches, by the first row of them; counts them over all copies."""

    met = 0

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(13, 2)

    def forward(self, x):
        z = self.line(x)
        if self.training and int(x[0].abs().sum() * 1e4) % 61 == 3:
            Stumble.met += 1
            return z * torch.nan
        return z


@pytest.mark.parametrize("stop", range(2, 38, 3))
def test_a_round_that_was_undone_is_undone_once(stop, tmp_path):
    """Killed anywhere around it: the rate, the rows and the number of retries go on."""
    model = Autoencoder(2, encoder=Stumble(), early_stopping=True, **SMALL)
    Stumble.met = 0
    whole = clone(model).fit(X)
    assert 0 < Stumble.met <= 3
    assert not whole.diverged_
    with pytest.raises(Crash):
        clone(model).fit(X, callback=crash_at(stop), checkpoint=tmp_path / "c")
    again = clone(model).fit(X, resume_from=tmp_path / "c")
    assert_same(again, whole)


def test_a_fit_that_diverged_says_so_when_opened_again(tmp_path):
    # modules of the same weights, whose steps end in NaN for ever
    with pytest.warns(UserWarning, match="no finite number"):
        poisoned(forever=True).fit(X, checkpoint=tmp_path / "c")
    with pytest.warns(UserWarning, match="no finite number"):
        assert poisoned(forever=True).fit(X, resume_from=tmp_path / "c").diverged_


@pytest.mark.parametrize("lost", ["ended", "seeds", "history", "step_count", "best_step"])
def test_a_whole_checkpoint_that_is_not_ours_is_refused(stopped, lost):
    with Store(stopped) as store:
        found = store.read()
        facts = {name: value for name, value in found.facts.items() if name != lost}
        store.write(State(facts, found.tensors))
    with pytest.raises(RunError, match="does not hold what this version keeps"):
        clone(MODELS["undercomplete"]).fit(X, resume_from=stopped)


def test_batches_are_divided_down_to_single_rows():
    light = clone(heavy(1), batch_size=50)
    with pytest.warns(UserWarning, match="divided"):
        light.fit(X)
    assert np.isfinite(light.transform(X)).all()
