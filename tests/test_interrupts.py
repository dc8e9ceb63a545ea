"""Laws of Ctrl-C: exit status 130, one plain line, and what was trained is kept."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from isthmus import load
from isthmus.cli import _interrupts, fit
from isthmus.cli.main import main
from isthmus.estimators import Autoencoder

# The delays are those after the command line has begun; "up" tells that it has.
PROGRAM = """
import contextlib, sys
from isthmus.cli import _interrupts, main

@contextlib.contextmanager
def handled(*words, of=_interrupts.handled, **more):
    with of(*words, **more):
        print("up", flush=True)
        yield

_interrupts.handled = handled
sys.exit(main.main())
"""
FIT = ["fit", "wine", "--max-epochs", "1000000", "--patience", "none", "--seed", "0", "--out"]


@pytest.fixture(autouse=True)
def _listening() -> Iterator[None]:
    """SIGINT as a program started at a prompt has it; a background job is started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def interrupted(words: list[str], delay: float, again: float | None = None) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a program that gets SIGINT after ``delay`` seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        if again is not None:
            time.sleep(again)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5, 1.0, 3.0])
def test_at_any_moment_it_ends_with_130_and_a_line(delay: float, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, out, err = interrupted([*FIT, str(run)], delay)
    assert code == 130, err
    if run.exists():  # training had begun
        assert err == ""
        assert out.startswith("Interrupted: this is the best state until then.\n")
        assert load(run).interrupted_
    else:
        assert (out, err) == ("", "Interrupted: nothing was written.\n")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == ({"run", "run.checkpoint"} if run.exists() else set())  # to go on from


@pytest.mark.parametrize("delay", [0.1, 0.6])
def test_twice_is_no_other_than_once(delay: float, tmp_path: Path) -> None:
    code, out, err = interrupted([*FIT, str(tmp_path / "run"), "--json"], delay, 0.05)
    assert code == 130
    facts = json.loads(out)
    assert facts.get("exit_code", 130) == 130
    assert "Traceback" not in err
    assert "Internal error" not in err


@contextmanager
def handled(at: str = "working") -> Iterator[None]:
    with _interrupts.handled([], program=False), _interrupts._at(at):
        yield


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with handled():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press()


def test_at_work_it_is_an_exception() -> None:
    with handled(), pytest.raises(KeyboardInterrupt):
        press()
    assert _interrupts.came()


def test_while_starting_the_process_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(BaseException):
        pass

    def leave(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr(_interrupts.os, "_exit", leave)
    monkeypatch.setattr(_interrupts, "_say", lambda *_: None)
    with handled("starting"), pytest.raises(Left, match="130"):
        press()


def test_an_import_is_not_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torn.py").write_text(
        "import signal\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    whole = True\n"
        "except BaseException:\n"
        "    whole = False\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with handled():
        whole = importlib.import_module("torn").whole
        with pytest.raises(KeyboardInterrupt):
            time.sleep(30)  # ended by the same Ctrl-C, which was put off
    assert whole


def test_saving_goes_on_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(_interrupts, "_say", lambda _, line: said.append(line))
    with handled("saving"):
        press()
        press()
    assert len(said) == 1
    assert "Saving" in said[0]


def test_a_lost_exception_is_raised_again_at_the_end_of_the_round() -> None:
    told: list[Any] = []
    with handled(), _interrupts.training(told.append) as tell:
        tell("round 0")
        press()  # not within the loop: raised here, the fit would be lost
        with pytest.raises(KeyboardInterrupt):
            tell("round 1")
        with pytest.raises(KeyboardInterrupt):
            tell("round 2")
    assert told == ["round 0", "round 1", "round 2"]


def _in_the_listener(patch: pytest.MonkeyPatch) -> None:
    pass


def _in_the_tail(patch: pytest.MonkeyPatch) -> None:
    keep = Autoencoder._keep

    def interrupted_keep(*args: Any) -> Any:
        press()
        return keep(*args)

    patch.setattr(Autoencoder, "_keep", interrupted_keep, raising=True)


def _in_the_save(patch: pytest.MonkeyPatch) -> None:
    save = Autoencoder.save

    def interrupted_save(*args: Any, **options: Any) -> Any:
        press()
        return save(*args, **options)

    patch.setattr(Autoencoder, "save", interrupted_save)


@pytest.mark.parametrize("second", [_in_the_listener, _in_the_tail, _in_the_save])
def test_the_second_one_loses_nothing(
    second: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def impatient(quiet: bool) -> Iterator[Callable[[Any], None]]:
        def tell(progress: Any) -> None:
            if progress.step > 0:
                press()
                if second is _in_the_listener:
                    press()

        yield tell

    monkeypatch.setattr(fit, "training", impatient)
    second(monkeypatch)
    run = tmp_path / "run"
    words = ["fit", "wine", "--max-epochs", "50", "--hidden-layer-sizes", "8", "--seed", "0"]
    assert main([*words, "--out", str(run)]) == 130
    said = capfd.readouterr()
    assert said.out.startswith("Interrupted: this is the best state until then.\n")
    assert said.err == "Saving what was trained: a moment.\n"
    assert load(run).interrupted_
    assert len(load(run).history_) == 2
