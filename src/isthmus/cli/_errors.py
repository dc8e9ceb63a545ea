"""From an exception to what the user is told: a sentence, an exit status, facts for ``--json``.

    0    fine
    1    a bug of ours
    2    bad input: the sentence says what was given, the rule and the remedy
    130  Ctrl-C
    143  SIGTERM

A ``ValueError`` is the user's only where scikit-learn's checks of the input raise it; any other one
is a bug, and saying "Error:" there would send the user looking for a mistake of their own.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import typer

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer
from isthmus.errors import IsthmusError, by_flag

BUG, INPUT = 1, 2
# The base of all complaints about options; where typer keeps it depends on its version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@dataclass(frozen=True)
class Failure:
    """One failed call.

    Args:
        kind: name of the exception.
        message: what is said, without "Error:" before it.
        code: the exit status.
        parts: given, rule and remedy, where there are some.
    """

    kind: str
    message: str
    code: int
    parts: dict[str, Any]

    def sentence(self) -> str:
        """For a person."""
        return f"Error: {self.message}" if self.code == INPUT else self.message

    def answer(self) -> Answer:
        """For ``--json``."""
        error = {"type": self.kind, "message": self.message, **self.parts}
        return Answer(facts={"error": error, "exit_code": self.code}, code=self.code)


def failure(error: BaseException) -> Failure:
    """What to say about an exception that a verb did not catch."""
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return Failure("KeyboardInterrupt", _interrupts.LINE, _interrupts.exit_status(), {})
    if isinstance(error, IsthmusError):
        told = type(error)(error.given, error.rule, by_flag(error.remedy))
        parts = {"given": told.given, "rule": told.rule, "remedy": told.remedy}
        return Failure(kind, str(told), INPUT, parts)
    if isinstance(error, UsageError):
        return Failure("UsageError", _usage(error), INPUT, {})
    if _out_of_memory(error):
        message = "There is not enough memory. Take fewer rows, or smaller layers."
        return Failure("MemoryError", message, INPUT, {})
    if isinstance(error, ValueError) and _raised_in(error, "sklearn.utils"):
        return Failure(kind, str(error), INPUT, {})
    first = str(error).strip().partition("\n")[0]
    return Failure(
        kind,
        f"Internal error: {kind}{': ' if first else ''}{first}\n"
        "This is a bug in isthmus, not in what you gave. For the traceback run it again with "
        "--debug, or with ISTHMUS_DEBUG=1 in the environment.",
        BUG,
        {},
    )


def _usage(error: Exception) -> str:
    """The complaint of the parser of options, and where help is."""
    near = _nearest(error)
    if near is not None:
        error.possibilities = None  # type: ignore[attr-defined]
    describe = getattr(error, "format_message", error.__str__)
    message = str(describe())
    end = "" if message.endswith((".", "?", "!")) else "."
    path = getattr(getattr(error, "ctx", None), "command_path", "isthmus")
    hint = f" Did you mean {near}?" if near is not None else ""
    return f"{message}{end}{hint} See '{path} --help'."


def _nearest(error: Exception) -> str | None:
    """Of the options that the parser holds possible, the one that is spelled most alike."""
    possible = list(getattr(error, "possibilities", None) or ())
    name = str(getattr(error, "option_name", "")).replace("_", "-")
    return next(iter(get_close_matches(name, possible, 1, 0.0)), None)


def _out_of_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, on an accelerator
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _raised_in(error: BaseException, package: str) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    module = str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
    return module == package or module.startswith(package + ".")
