"""Ctrl-C: one plain line, exit status 130, and nothing lost that was trained.

Where SIGINT raises KeyboardInterrupt within an import, it is swallowed there, turned into another
error, or leaves a library half made. And the second one, of an impatient user, undoes what was kept
after the first. So here it means, by what the program is at:

- :func:`starting`: the end of the process, at once; there is nothing to be lost or tidied up;
- :func:`training`, after the first round: KeyboardInterrupt, but only where the loop catches it,
  and only once;
- :func:`saving`: nothing, it is only answered;
- anything else: KeyboardInterrupt, but not before an import that is under way is over.

SIGTERM, by which systems and job schedulers ask a program to end, means the same; the exit status
is 143 then.

Light: it is imported before anything else of the command line.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

TYPE_CHECKING = False  # typing would take longer to import than all the rest
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

EXIT_STATUS = 130
LINE = "Interrupted: nothing was written."
_OBJECT = f'{{"error": {{"type": "KeyboardInterrupt", "message": "{LINE}"}}, "exit_code": '
_WAIT = "Saving what was trained: a moment."
_LOOP = "isthmus.engine.loop"
_AGAIN = 0.02  # seconds


class _Now:
    """What the program is at, and whether Ctrl-C was pressed."""

    def __init__(self, as_object: bool = False) -> None:
        self.as_object = as_object
        self.at = "starting"
        self.came = False
        self.number = signal.SIGINT
        self.answered = False


_now = _Now()


@contextmanager
def handled(words: Sequence[str], *, program: bool) -> Iterator[None]:
    """Within it, Ctrl-C means what is said above; at first, that the program is starting.

    Args:
        words: of the command line; with --json among them the line is an object.
        program: whether the process ends with this block; SIGINT is ignored then afterwards.
    """
    global _now
    _now = _Now("--json" in words)
    # not in a thread, and not where somebody else (nohup, a shell's &) decided otherwise
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or not _set(signal.SIGINT, _came):
        yield
        return
    ends = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ends:
        signal.signal(signal.SIGTERM, _came)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _came)
    try:
        yield
    finally:
        _now.at = "telling"
        if hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if ends:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN if program else before)


def came() -> bool:
    """Whether Ctrl-C was pressed."""
    return _now.came


@contextmanager
def _at(what: str) -> Iterator[None]:
    before, _now.at = _now.at, what
    try:
        yield
    finally:
        _now.at = before


def starting() -> AbstractContextManager[None]:
    """A block of imports, or of anything else that leaves no trace."""
    return _at("starting")


def working() -> AbstractContextManager[None]:
    """A block that may write files, and tidies up after itself."""
    return _at("working")


def saving() -> AbstractContextManager[None]:
    """A block that Ctrl-C does not end: what was trained for hours is not lost to a keystroke."""
    return _at("saving")


def telling() -> AbstractContextManager[None]:
    """A block that prints what is over and done."""
    return _at("telling")


@contextmanager
def training(listener: Callable[[Any], None] | None) -> Iterator[Callable[[Any], None]]:
    """Around a fit: the listener to hand to it, which passes on to ``listener``.

    From the first round on the fit has something to keep, and keeps it if KeyboardInterrupt comes
    out of the loop or the listener; from elsewhere it would lose everything.
    """

    def tell(progress: Any) -> None:
        if not hasattr(progress, "n_components"):  # sizes that are tried leave nothing to keep
            _now.at = "training"
        if listener is not None:
            listener(progress)
        if _now.came:
            raise KeyboardInterrupt

    with _at(_now.at):
        yield tell


def exit_status() -> int:
    """Of a program that was asked to end: 130 after Ctrl-C, 143 after SIGTERM."""
    return EXIT_STATUS if _now.number == signal.SIGINT else 128 + int(signal.SIGTERM)


def _came(number: int, frame: FrameType | None) -> None:
    if number in (signal.SIGINT, signal.SIGTERM):
        _now.number = signal.Signals(number)
    if _now.at == "starting":
        _leave(LINE, _OBJECT)
    if _now.at == "telling":
        _leave("", "")
    first, _now.came = not _now.came, True
    within = list(_modules(frame))
    importing = any(name.startswith("importlib") for name in within)
    if _now.at == "saving" or (_now.at == "training" and not first):
        if not _now.answered:
            _say(2, _WAIT)
        _now.answered = True
    elif _now.at == "training":
        if _LOOP in within and not importing:
            raise KeyboardInterrupt  # otherwise the end of the round does
    elif importing and hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    else:
        raise KeyboardInterrupt


def _modules(frame: FrameType | None) -> Iterator[str]:
    """The names of the modules whose functions are being run."""
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _leave(line: str, instead: str) -> None:
    """End the process without another step of Python's, whatever is half made."""
    if line:
        _say(2, line)
    if instead and _now.as_object:
        _say(1, f"{instead}{exit_status()}}}")
    os._exit(exit_status())


def _say(where: int, line: str) -> None:
    """To the file itself: sys.stderr may be in the middle of a line."""
    with suppress(OSError):
        os.write(where, f"{line}\n".encode())


def _set(number: int, handler: Callable[[int, FrameType | None], None]) -> bool:
    try:
        signal.signal(number, handler)
    except ValueError:  # not the main thread
        return False
    return True
