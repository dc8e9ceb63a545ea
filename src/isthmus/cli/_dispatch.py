"""Hands the arguments to one verb, and its answer or its error to the user.

Only answers go to stdout; with ``--json`` exactly one JSON object, also for an error. Errors,
warnings and the progress bar go to stderr. Exit status: see :mod:`isthmus.cli._errors`.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from isthmus import __version__
from isthmus.cli import _interrupts, _options
from isthmus.cli._answer import Answer, as_json, visible, warn
from isthmus.cli._errors import failure
from isthmus.errors import IsthmusError, RunError, by_flag


def application(words: Sequence[str], verbs: Mapping[str, str]) -> typer.Typer:
    """The command line for these words: of the verbs, only the one that is called is imported."""
    app = typer.Typer(
        name="isthmus",
        callback=_root,
        epilog="A first try: isthmus fit wine --n-components 3 --out runs/wine",
        add_completion=False,
        add_help_option=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    called = next((word for word in words if not word.startswith("-")), "")
    for name, line in verbs.items():
        if name != called:
            app.command(name, help=line)(_not_called)
        else:
            module = import_module(f"isthmus.cli.{name}")
            call = _options.verb(getattr(module, name), getattr(module, "FLAGS", ()))
            app.command(name, epilog=module.EXAMPLES)(call)
    return app


def _not_called() -> None:
    """Stands in the list of verbs for one that is not called."""


def _version(asked: bool) -> None:
    if asked:
        print(f"isthmus {__version__}")
        raise typer.Exit


def _help(context: typer.Context, asked: bool) -> None:
    if asked:
        print(context.get_help())
        raise typer.Exit


# Our own --help, because the built-in one of a group imports pydantic: 50 ms.
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    helped: Annotated[
        bool,
        typer.Option("--help", "-h", callback=_help, is_eager=True, help="Print this."),
    ] = False,
) -> None:
    """Autoencoders as dependable as PCA."""


def run(words: list[str], verbs: Mapping[str, str]) -> int:
    """Do what the words say, and print it.

    Args:
        words: after "isthmus".
        verbs: name of each, and the first line of its docstring.

    Returns:
        The exit status.
    """
    answer = _call(words, verbs)
    with _interrupts.telling():
        return _printed(answer, words)


def _printed(answer: Answer, words: list[str]) -> int:
    as_object = "--json" in words
    quiet = not {"--quiet", "-q"}.isdisjoint(words)
    text = as_json(answer.facts) if as_object and answer.facts else visible(answer.text)
    try:
        if text and (as_object or not quiet):
            encoding = sys.stdout.encoding or "utf-8"
            print(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has had enough
        _let_go_of_stdout()
    except OSError as error:
        _let_go_of_stdout()
        return _told(RunError("stdout", f"cannot be written ({error.strerror})"), []).code
    return answer.code


def _let_go_of_stdout() -> None:
    """So that the interpreter's last flush has nowhere to fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(words: list[str], verbs: Mapping[str, str]) -> Answer:
    """The verb's answer or its error, while warnings are one line each."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _Once()
            asked = _parsed(words, verbs)
            with _interrupts.working():
                return asked() if asked else Answer()
    except BaseException as error:
        with _interrupts.telling():
            # what else goes wrong after Ctrl-C is its doing
            ended = _interrupts.came() and not isinstance(error, IsthmusError)
            return _told(KeyboardInterrupt() if ended else error, words)


def _parsed(words: list[str], verbs: Mapping[str, str]) -> Callable[[], Answer] | None:
    """The verb with its arguments; None where --help or --version was all that was asked."""
    try:
        asked = application(words, verbs)(words, prog_name="isthmus", standalone_mode=False)
    except (BrokenPipeError, SystemExit):  # stdout was closed while help was printed to it
        return None
    return asked if callable(asked) else None


class _Once:
    """Warnings as lines on stderr, each sentence once, wherever it comes from."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, message: Warning | str, *_: Any, **__: Any) -> None:
        sentence = by_flag(str(message))
        if sentence not in self._said:
            self._said.add(sentence)
            warn(sentence)


def _told(error: BaseException, words: list[str]) -> Answer:
    """The error as an answer; the sentence goes to stderr, with the traceback if it is wanted."""
    failed = failure(error)
    if "--debug" in words or os.environ.get("ISTHMUS_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(error)
    print(visible(failed.sentence()), file=sys.stderr)
    return failed.answer() if "--json" in words else Answer(code=failed.code)
