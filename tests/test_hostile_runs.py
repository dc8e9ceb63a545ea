"""A run from a stranger runs no code, and takes no more memory than its honest size."""

import hashlib
import json
import resource

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.command_line import done

from isthmus import Autoencoder, load
from isthmus.errors import RunError
from isthmus.estimators import _schema

X = np.random.default_rng(0).normal(size=(40, 5))


@pytest.fixture(scope="module")
def model():
    return Autoencoder(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(X)


@pytest.fixture
def run(model, tmp_path):
    return model.save(tmp_path / "run")


def alter(run, *path, value):
    config = json.loads((run / "config.json").read_text())
    at = config
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    (run / "config.json").write_text(json.dumps(config))


HOSTILE = {
    "unknown field": (("extra",), 1, "extra"),
    "unknown field inside": (("model", "hook"), "os.system", "model.hook"),
    "unknown argument": (("model", "architecture", "eval"), "1", "architecture.eval"),
    "code for a class": (("model", "class"), "os.system", "os.system"),
    "a network by name": (
        ("model", "parameters", "encoder"),
        {"network": "os.system"},
        "may not import code",
    ),
    "no checksum": (("checksum",), "", "checksum"),
    "wide": (("model", "architecture", "hidden_layer_sizes"), [10**9], "hidden_layer_sizes"),
    "wide, but allowed": (
        ("model", "architecture", "hidden_layer_sizes"),
        [9_000_000, 9_000_000],
        "this machine has",
    ),
    "deep": (("model", "architecture", "hidden_layer_sizes"), [1] * 10**6, "hidden_layer_sizes"),
    "many latents": (("model", "architecture", "n_components"), 10**12, "n_components"),
    "negative": (("model", "architecture", "n_components"), -1, "n_components"),
    "a number as text": (("data", "n_rows"), "40", "n_rows"),
    "other sizes": (("model", "architecture", "hidden_layer_sizes"), [7], "promises"),
    "names of others": (("data", "feature_names"), ["a"] * 6, "6 names"),
    "no encoding": (("data", "encoding"), "../../x", "must be an encoding of text"),
    "bytes to bytes": (("data", "encoding"), "rot13", "must be an encoding of text"),
    "no list of names": (("data", "feature_names"), {"a": 1}, "feature_names"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_configuration_may_not_say(run, case):
    path, value, said = HOSTILE[case]
    alter(run, *path, value=value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError) as caught:
        load(run)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_file_of_a_terabyte_is_not_read(run):
    with (run / "model.safetensors").open("r+b") as file:
        file.truncate(10**12)  # sparse: nothing is on the disk
    with pytest.raises(RunError, match="needs at most"):
        load(run)


@pytest.mark.parametrize("name", ["config.json", "history.json"])
def test_json_beyond_reason_is_not_read(run, name):
    with (run / name).open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(RunError, match="may have"):
        load(run)


@pytest.mark.parametrize("name", ["config.json", "history.json"])
def test_json_without_bottom_is_damage(run, name):
    (run / name).write_text("[" * 10**6)
    with pytest.raises(RunError, match="damaged"):
        load(run)


def test_a_model_beyond_this_machine_is_refused_unread(run, monkeypatch):
    monkeypatch.setattr(_schema, "memory", lambda: 1000.0)
    with pytest.raises(RunError, match="this machine has 1e-06 GB"):
        load(run)


OTHERS = {
    "codes": "codes has shape",
    "probe.rows": "rows and codes to compare",
    "probe.codes": "rows and codes to compare",
    "pca_curve": "pca_curve has shape",
    "held_out.loss": "held-out rows have the shapes",
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_tensor_in_the_place_of_another_is_refused(run, name):
    file = run / "model.safetensors"
    tensors = load_file(file)
    tensors[name] = torch.zeros(2, 1) if name == "pca_curve" else tensors[name][..., :1].clone()
    save_file(tensors, file)
    alter(run, "checksum", value=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(RunError, match=OTHERS[name]):
        load(run)


def test_history_of_words_is_damage(run):
    (run / "history.json").write_text('[{"step": "one"}]')
    with pytest.raises(RunError, match="no number"):
        load(run)


def test_names_of_a_run_do_not_steer_a_terminal(run):
    names = [f"a{i}\x1b[2J\x07" for i in range(5)]
    alter(run, "data", "feature_names", value=names)
    assert "\x1b" not in done("info", str(run))
    assert r"a0\x1b[2J\x07" in done("info", str(run))
