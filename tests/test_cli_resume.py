"""``isthmus fit`` is stopped in every way there is, and goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from isthmus.cli._resume import folder_of
from isthmus.cli.main import main
from isthmus.engine.checkpoint import State, Store

COMMAND = [sys.executable, "-c", "import sys; from isthmus.cli.main import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "rows.npy"
    x = np.sin(rng.normal(size=(1200, 3)) @ rng.normal(size=(3, 8)))
    np.save(path, (x + 0.1 * rng.normal(size=x.shape)).astype(np.float32))
    return path


def words(table, out, *more):
    settings = ["--n-components", "2", "--hidden-layer-sizes", "8", "--max-epochs", "60"]
    settings += ["--patience", "1000", "--seed", "0", "--quiet"]
    return ["fit", str(table), "--out", str(out), *settings, *more]


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(words(table, out)) == 0
    return load_file(out / "model.safetensors")


def assert_equal(out, whole):
    tensors = load_file(out / "model.safetensors")
    assert tensors.keys() == whole.keys()
    for name, value in tensors.items():
        assert value.tobytes() == whole[name].tobytes(), name


@pytest.fixture
def stopped(table, tmp_path):
    """Runs of fit that are ended by a signal once there is a checkpoint."""

    def stop(number, name="run"):
        out = tmp_path / name
        process = subprocess.Popen(
            [*COMMAND, *words(table, out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        folder = out.with_name(f"{name}.checkpoint")
        while process.poll() is None and not list(folder.glob("1.checkpoint")):
            time.sleep(0.005)
        process.send_signal(number)
        process.communicate(timeout=60)
        return out, process.returncode

    return stop


def test_no_checkpoint_is_left_where_all_went_well(table, whole, tmp_path):
    assert main(words(table, tmp_path / "run")) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_it_goes_on_after_a_kill(stopped, table, whole, capsys):
    out, code = stopped(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not out.exists()
    assert main(words(table, out)) == 2
    said = capsys.readouterr().err
    assert "was stopped at step" in said
    assert "--resume" in said
    assert main(words(table, out, "--resume")) == 0
    assert_equal(out, whole)
    assert not out.with_name("run.checkpoint").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_goes_on_after_being_asked_to_end(stopped, table, whole, number, status, capsys):
    out, code = stopped(number)
    assert code == status
    assert load_file(out / "model.safetensors")  # the best state until then
    assert main(words(table, out, "--resume")) == 0
    assert_equal(out, whole)


def test_it_starts_anew_if_asked(stopped, table, whole, capsys):
    out, _ = stopped(signal.SIGKILL)
    assert main(words(table, out, "--force")) == 0
    assert_equal(out, whole)


def test_both_checkpoints_damaged(stopped, table, whole, capsys):
    out, _ = stopped(signal.SIGKILL)
    for file in out.with_name("run.checkpoint").glob("*.checkpoint"):
        file.write_bytes(file.read_bytes()[:100])
    assert main(words(table, out, "--resume")) == 0
    assert "nothing to go on from" in capsys.readouterr().err
    assert_equal(out, whole)


def test_another_command_is_refused(stopped, table, capsys):
    out, _ = stopped(signal.SIGKILL)
    assert main([*words(table, out, "--resume"), "--learning-rate", "0.1"]) == 2
    assert "learning_rate" in capsys.readouterr().err
    assert out.with_name("run.checkpoint").is_dir()


def test_a_finished_run_is_left_as_it_is(table, tmp_path, whole, capsys):
    """Killed after the run was in place, before its checkpoints were gone."""
    out = tmp_path / "run"
    assert main(words(table, out)) == 0
    (tmp_path / "run.checkpoint").mkdir()
    (tmp_path / "run.checkpoint" / "0.checkpoint").write_bytes(b"cut short")
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert main([*words(table, out, "--resume", "--json")]) == 0
    assert "finished before" in capsys.readouterr().out
    assert (out / "model.safetensors").stat().st_mtime_ns == before
    assert_equal(out, whole)
    assert not (tmp_path / "run.checkpoint").exists()


@pytest.mark.parametrize("other", [["--learning-rate", "0.1"], ["--model", "denoising"]])
def test_a_run_of_another_fit_is_not_gone_on_with(table, tmp_path, other, capsys):
    assert main(words(table, tmp_path / "run")) == 0
    assert main([*words(table, tmp_path / "run", "--resume"), *other]) == 2
    assert "another fit" in capsys.readouterr().err


def test_a_folder_of_that_name_that_is_something_else(table, tmp_path, capsys):
    other = tmp_path / "run.checkpoint"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    assert main(words(table, tmp_path / "run", "--force")) == 2
    assert (other / "notes.txt").read_text() == "mine"
    shutil.rmtree(other)


def test_a_checkpoint_of_other_source_code_is_told_in_flags(stopped, table, whole, capsys):
    out, *_ = stopped(signal.SIGKILL)
    with Store(folder_of(str(out))) as store:
        found = store.read()
        facts = {name: value for name, value in found.facts.items() if name != "history"}
        store.write(State(facts, found.tensors))
    assert main(words(table, out, "--resume")) == 2
    said = capsys.readouterr().err
    assert "it lacks 'history'" in said
    assert "--force" in said
    assert "checkpoint=" not in said
    assert main(words(table, out, "--force")) == 0
    assert_equal(out, whole)
