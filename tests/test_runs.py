"""Runs on disk: what is loaded is what was saved, and nothing is written by halves."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import isthmus
from estimator_examples import (
    CLASSES,
    COMBINATIONS,
    SMALL,
    D,
    curved,
    fitted,
    options,
    same_bits,
    supported,
)
from isthmus import Autoencoder, RunError, VariationalAutoencoder, load
from isthmus.runs import directory

X = curved()
K = 2
FITTED = (
    *("n_components_", "n_features_in_", "n_steps_", "n_epochs_", "validation_"),
    *("squared_error_", "pca_squared_error_", "interrupted_", "stayed_linear_"),
)
each_class = pytest.mark.parametrize("cls", CLASSES)


def same(a: Any, b: Any, x: np.ndarray) -> None:
    """Everything that two models compute is equal to the bit."""
    for name in ("transform", "reconstruct", "score_samples"):
        for rows in (x, x.astype(np.float32)):
            assert same_bits(getattr(a, name)(rows), getattr(b, name)(rows)), name
    for noise in (False, True):
        draws = [m.sample(7, noise=noise, random_state=0) for m in (a, b)]
        assert same_bits(*draws)
    assert str(a.history_) == str(b.history_)
    for name in FITTED:
        np.testing.assert_equal(getattr(a, name), getattr(b, name))
    assert a.scaling_.kind == b.scaling_.kind
    assert list(a.get_feature_names_out()) == list(b.get_feature_names_out())


@pytest.mark.parametrize(("cls", "name"), COMBINATIONS)
def test_what_is_loaded_computes_what_was_saved(cls: type, name: str, tmp_path: Path) -> None:
    model = fitted(cls, name)
    again = load(model.save(tmp_path / "run"))
    assert type(again) is cls
    assert again.get_params() == model.get_params()
    same(model, again, supported(name))
    same(again, load(again.save(tmp_path / "again")), supported(name))


def frame() -> Any:
    return pytest.importorskip("pandas").DataFrame(X, columns=list("abcdef"))


OTHERS = {
    "held out": {"early_stopping": True},
    "cross-validated": {"early_stopping": "auto"},
    "no linear start": {"linear_start": False},
    "salt and pepper": {"noise": "salt_and_pepper", "noise_level": 0.2},
    "importance": {"beta": 1.0, "objective": "importance", "n_draws": 3},
    "two layers": {"hidden_layer_sizes": [9, 7]},
    "no layer": {"hidden_layer_sizes": ()},
    "a generator as seed": {"random_state": np.random.RandomState(0)},
    "standard scaling": {"scaling": "standard"},
    "an array of sizes": {"hidden_layer_sizes": np.array([5])},
}


@pytest.mark.parametrize("change", OTHERS)
def test_other_settings_come_back_too(change: str, tmp_path: Path) -> None:
    model = Autoencoder(K, **(SMALL | OTHERS[change])).fit(frame())
    again = load(model.save(tmp_path / "run"))
    assert list(again.feature_names_in_) == list("abcdef")
    same(model, again, frame())
    with pytest.raises(ValueError, match="feature names"):
        again.transform(frame()[list("fedcba")])
    assert np.isfinite(again.fit(frame()).score(frame()))


def test_parameters_that_are_set_after_the_fit_do_not_change_the_run(tmp_path: Path) -> None:
    model = Autoencoder(K, **SMALL).fit(X)
    codes = model.transform(X)
    model.set_params(activation="relu", likelihood="laplace", hidden_layer_sizes=(3,))
    again = load(model.save(tmp_path / "run"))
    assert same_bits(again.transform(X), codes)
    assert again.get_params() == model.get_params()


@pytest.mark.parametrize("device", ["cuda", "cuda:3", torch.device("cuda")])
def test_a_run_from_another_device_opens_here(device: Any, tmp_path: Path) -> None:
    model = Autoencoder(K, **SMALL).fit(X)
    codes = model.transform(X)
    model.device = device
    again = load(model.save(tmp_path / "run"))
    assert again.device == str(device)
    assert same_bits(again.transform(X), codes)
    again.partial_fit(X)


# ------------------------------------------------------------------ networks of one's own


class Tied(nn.Module):
    """Two layers that share one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, K)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))
        return out


def decoder() -> nn.Module:
    return nn.Sequential(nn.Linear(K, 8), nn.BatchNorm1d(8), nn.Linear(8, D))


def test_networks_of_ones_own_are_asked_for_by_name_and_not_changed(tmp_path: Path) -> None:
    model = Autoencoder(K, encoder=Tied(), decoder=decoder(), **SMALL).fit(X)
    path = model.save(tmp_path / "run")
    given = Tied(), decoder()
    before = [p.detach().clone() for net in given for p in net.parameters()]
    again = load(path, encoder=given[0], decoder=given[1])
    same(model, again, X)
    after = [p for net in given for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    for missing, kept in (("encoder", {"decoder": decoder()}), ("decoder", {"encoder": Tied()})):
        with pytest.raises(RunError, match=f"{missing} .* Pass it to load: load.path, {missing}="):
            load(path, **kept)
    with pytest.raises(RunError, match="encoder=Linear does not fit the network that was saved"):
        load(path, encoder=nn.Linear(D, K), decoder=decoder())


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    path = fitted(Autoencoder).save(tmp_path / "run")
    before = torch.get_rng_state()
    load(path)
    assert torch.equal(torch.get_rng_state(), before)


# ------------------------------------------------------------------------------ directories


def example() -> directory.Run:
    tensors = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor(2), "c": torch.zeros(0, 3)}
    rows = [{"step": 0, "loss": math.nan}, {"step": 1, "loss": -1.5}]
    return directory.Run({"model": {"ü": [1, None]}}, tensors, rows)


def test_a_run_comes_back_whole(tmp_path: Path) -> None:
    run = example()
    path = directory.write(tmp_path / "deep" / "er" / "run", run)
    assert sorted(p.name for p in path.iterdir()) == sorted(directory.FILES)
    back = directory.read(str(path))
    assert back.config["model"] == run.config["model"]
    assert set(back.tensors) == set(run.tensors)
    for name, tensor in run.tensors.items():
        assert torch.equal(back.tensors[name], tensor)
        assert back.tensors[name].dtype == tensor.dtype
    np.testing.assert_equal(back.history, run.history)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)]
)
def test_permissions_are_what_the_umask_leaves(
    umask: int, file: int, folder: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        path = directory.write(tmp_path / "run", example())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == folder
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.iterdir()} == {file}


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


STAGES = [
    ("save_file", 1),
    ("_write_json", 1),
    ("_write_json", 2),
    ("tempfile.mkdtemp", 1),
    ("os.fsync", 1),
    ("os.fsync", 3),
    ("Path.rename", 1),
]
# Only a replacement goes so far.
FURTHER = [("tempfile.mkdtemp", 2), ("Path.rename", 2)]


@pytest.mark.parametrize(
    ("where", "call", "replaces"),
    [*((*s, False) for s in STAGES), *((*s, True) for s in STAGES + FURTHER)],
)
@pytest.mark.parametrize("how", [full, killed])
def test_a_write_that_fails_leaves_everything_as_it_was(
    where: str,
    call: int,
    how: Callable[..., None],
    replaces: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "run"
    if replaces:
        directory.write(path, directory.Run({"old": True}, {"a": torch.ones(1)}))
    owner, _, name = where.rpartition(".")
    target: Any = getattr(directory, owner) if owner else directory
    real, calls = getattr(target, name), []

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return how() if len(calls) == call else real(*args, **kwargs)

    monkeypatch.setattr(target, name, sometimes)
    error = RunError if how is full else KeyboardInterrupt
    words = "cannot be written: No space left" if how is full else None
    with pytest.raises(error, match=words):
        directory.write(path, example(), force=True)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == ([path] if replaces else [])
    if replaces:
        assert directory.read(path).config["old"] is True


def test_force_replaces_a_run_and_nothing_else(tmp_path: Path) -> None:
    path = directory.write(tmp_path / "run", directory.Run({"old": True}, {}))
    directory.write(path, example(), force=True)
    assert "old" not in directory.read(path).config
    assert list(tmp_path.iterdir()) == [path]
    empty = tmp_path / "empty"
    empty.mkdir()
    directory.write(empty, example(), force=True)


def occupied(kind: str, folder: Path) -> Path:
    path = folder / "taken"
    if kind == "file":
        path.write_text("mine")
    elif kind == "link to nothing":
        path.symlink_to(folder / "nowhere")
    elif kind == "link to a run":
        path.symlink_to(directory.write(folder / "real", example()), target_is_directory=True)
    elif kind == "folder of others":
        path.mkdir()
        (path / "thesis.tex").write_text("mine")
    elif kind == "run with a note":
        directory.write(path, example())
        (path / "notes.txt").write_text("mine")
    elif kind == "history alone":
        path.mkdir()
        (path / directory.HISTORY).write_text("[]")
    else:
        directory.write(path, example())
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("file", "is no folder"),
        ("link to nothing", "is no folder"),
        ("link to a run", "is no folder"),
        ("folder of others", "holds 'thesis.tex', which is no part of a run"),
        ("run with a note", "holds 'notes.txt', which is no part of a run"),
        ("history alone", "is no run, so it is not overwritten"),
        ("run", ""),
    ],
)
def test_what_is_there_is_not_overwritten(kind: str, words: str, tmp_path: Path) -> None:
    path = occupied(kind, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=r"exists.* or overwrite it with force"):
        directory.write(path, example())
    if words:
        with pytest.raises(RunError, match=re.escape(words)):
            directory.write(path, example(), force=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_parent_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        directory.write(tmp_path / "file" / "run", example())


# ----------------------------------------------------------------------- damaged and foreign


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads((path / directory.CONFIG).read_text())
    changed = change(config)
    (path / directory.CONFIG).write_text(json.dumps(config if changed is None else changed))


def retensor(path: Path, name: str, tensor: torch.Tensor | None) -> None:
    """Change a tensor and its checksum with it."""
    tensors = load_file(path / directory.TENSORS)
    tensors.pop(name)
    if tensor is not None:
        tensors[name] = tensor
    save_file(tensors, path / directory.TENSORS)
    checksum = hashlib.sha256((path / directory.TENSORS).read_bytes()).hexdigest()
    edit(path, lambda config: config.update(checksum=checksum))


def cut(path: Path, name: str) -> None:
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[: len(data) // 2])


def flip(path: Path) -> None:
    data = bytearray((path / directory.TENSORS).read_bytes())
    data[-1] ^= 1
    (path / directory.TENSORS).write_bytes(bytes(data))


def garbage(path: Path) -> None:
    (path / directory.TENSORS).write_bytes(b"\xff" * 99)
    checksum = hashlib.sha256(b"\xff" * 99).hexdigest()
    edit(path, lambda config: config.update(checksum=checksum))


def text(name: str, content: str | bytes) -> Callable[[Path], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: (path / name).write_bytes(data)


CONFIG, TENSORS, HISTORY = directory.CONFIG, directory.TENSORS, directory.HISTORY
DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda p: (p / CONFIG).unlink(), "is no run: it has no config.json"),
    "no tensors": (lambda p: (p / TENSORS).unlink(), "is missing. Copy the whole run"),
    "no history": (lambda p: (p / HISTORY).unlink(), "is missing. Copy the whole run"),
    "config cut": (lambda p: cut(p, CONFIG), "is damaged"),
    "tensors cut": (lambda p: cut(p, TENSORS), "is damaged: its checksum"),
    "history cut": (lambda p: cut(p, HISTORY), "is damaged"),
    "one bit": (flip, "is damaged: its checksum"),
    "garbage with its checksum": (garbage, "cannot be read"),
    "config empty": (text(CONFIG, ""), "is damaged"),
    "config deeply nested": (text(CONFIG, "[" * 100_000), "is damaged"),
    "config of bytes": (text(CONFIG, b"\xff\xfe\x00"), "is damaged"),
    "config a list": (text(CONFIG, "[]"), "was not written by isthmus"),
    "config null": (text(CONFIG, "null"), "was not written by isthmus"),
    "config of others": (text(CONFIG, '{"model_type": "bert"}'), "was not written by isthmus"),
    "history an object": (text(HISTORY, "{}"), "is no list of objects"),
    "history of numbers": (text(HISTORY, "[1]"), "is no list of objects"),
    "newer": (lambda p: edit(p, lambda c: c.update(schema=99)), "schema 99, written by isthmus 0"),
    "schema in words": (lambda p: edit(p, lambda c: c.update(schema="1")), "names no schema"),
    "schema zero": (lambda p: edit(p, lambda c: c.update(schema=0)), "names no schema"),
    "no checksum": (lambda p: edit(p, lambda c: c.pop("checksum") and None), "checksum"),
}
PROMISES: dict[str, Callable[[Path], Any]] = {
    "another class": lambda p: edit(p, lambda c: c["model"].update({"class": "os.system"})),
    "a parameter too many": lambda p: edit(p, lambda c: c["model"]["parameters"].update(x=1)),
    "more components": lambda p: edit(
        p, lambda c: c["model"]["architecture"].update(n_components=3)
    ),
    "more features": lambda p: edit(p, lambda c: c["data"].update(n_features=7)),
    "fewer names": lambda p: edit(p, lambda c: c["data"].update(feature_names=["a"])),
    "no likelihood of that name": lambda p: edit(
        p, lambda c: c["model"]["architecture"].update(likelihood="x")
    ),
    "a tensor too few": lambda p: retensor(p, "fill", None),
    "a scale of wrong shape": lambda p: retensor(p, "scaling.scale", torch.ones(1)),
    "a shift of wrong shape": lambda p: retensor(p, "scaling.shift", torch.ones(2, D)),
    "codes of wrong shape": lambda p: retensor(p, "codes", torch.ones(9)),
    "weights of wrong shape": lambda p: retensor(
        p, "autoencoder.encoder.net.linear.weight", torch.ones(K, D + 1)
    ),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return fitted(VariationalAutoencoder).save(tmp_path / "run")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_foreign_run_is_refused_by_name(damage: str, saved: Path) -> None:
    do, words = DAMAGE[damage]
    do(saved)
    with pytest.raises(RunError, match=re.escape(words)) as caught:
        load(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("broken", PROMISES)
def test_a_run_that_breaks_its_schema_is_refused(broken: str, saved: Path) -> None:
    PROMISES[broken](saved)
    with pytest.raises(RunError, match="does not hold what its schema promises") as caught:
        load(saved)
    assert str(saved) in str(caught.value)


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    below = [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    return [path, *below] if path else below


def test_whatever_is_changed_in_the_config_it_opens_or_is_refused(saved: Path) -> None:
    config = json.loads((saved / CONFIG).read_text())
    for path in leaves(config):
        for value in (None, [], "x", -1, 1e999, ...):
            changed = json.loads(json.dumps(config))
            place = changed
            for key in path[:-1]:
                place = place[key]
            if value is ...:
                del place[path[-1]]
            else:
                place[path[-1]] = value
            (saved / CONFIG).write_text(json.dumps(changed))
            try:
                model = load(saved)
            except RunError:
                continue
            assert np.isfinite(model.transform(X)).all(), (path, value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nowhere", "does not exist. Give the folder that save"),
        (lambda folder: folder, "is no run: it has no config.json"),
        (lambda folder: Path(__file__), "is no folder"),
    ],
)
def test_a_path_that_is_no_run(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=words):
        load(make(tmp_path))


def test_nothing_in_the_package_reads_or_writes_pickles() -> None:
    forbidden = re.compile(r"\b(c?pickle|dill|shelve|joblib|marshal)\b|torch\.(load|save)\b")
    root = Path(isthmus.__file__).parent
    for file in root.rglob("*.py"):
        for line in file.read_text().splitlines():
            code = line.split("#")[0]
            if re.match(r"\s*(import|from)\b", code) or "torch." in code:
                assert not forbidden.search(code), (file, line)


@each_class
def test_saving_before_the_fit_is_refused(cls: type, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        cls(**options(cls)).save(tmp_path / "run")
    assert not list(tmp_path.iterdir())
