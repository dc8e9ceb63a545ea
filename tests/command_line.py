"""The command line, called within the process of the tests."""

import contextlib
import io
from pathlib import Path

from isthmus.cli.main import main


def call(*words: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()


def done(*words: str | Path) -> str:
    """The stdout of a command that must go well without a word on stderr."""
    code, out, err = call(*words)
    assert (code, err) == (0, ""), err
    return out
