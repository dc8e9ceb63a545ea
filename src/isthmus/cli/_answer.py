"""What a verb hands back: words for a person, facts for a program."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_WIDTH = 96


@dataclass(frozen=True)
class Answer:
    """The outcome of a verb.

    Args:
        text: lines for a person, without a final line break.
        facts: what ``--json`` prints, one object.
        code: the exit status.
    """

    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0


def wrapped(text: str, first: str = "", later: str | None = None) -> list[str]:
    """A paragraph in lines of a terminal; words are never broken.

    Args:
        text: the paragraph.
        first: before its first line.
        later: before the other lines, the same where None.
    """
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )


_CODES = (*range(9), *range(11, 32), *range(127, 160))
_CONTROL = {code: f"\\x{code:02x}" for code in _CODES}


def visible(text: str) -> str:
    r"""Control characters spelled out: what a file holds must not steer a terminal.

    >>> print(visible("\x1b[2J" + "a line\n"), end="")
    \x1b[2Ja line
    """
    return text.translate(_CONTROL)


def warn(sentence: str) -> None:
    """Say it on stderr, in front of what the verb hands back."""
    print(f"Warning: {visible(sentence)}", file=sys.stderr)


def as_json(facts: Mapping[str, Any]) -> str:
    """One JSON object; what is not a finite number is null.

    >>> as_json({"out": "a.csv", "score": float("nan"), "shape": (2, 3)})
    '{"out": "a.csv", "score": null, "shape": [2, 3]}'
    """
    return json.dumps(_plain(facts), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def number(value: float) -> str:
    """Four significant digits, without an exponent where that is readable.

    >>> number(1234.56), number(0.012345), number(3.2e-9), number(7.0), number(123456789.0)
    ('1235', '0.01235', '3.2e-09', '7', '1.235e+08')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 7:
        return f"{value:.4g}"
    text = f"{value:.{max(0, 3 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows of words in aligned columns, those in ``right`` flush right.

    >>> print(columns([("name", "max"), ("a", "10")], right=[1]))
    name  max
    a      10
    """
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            word.rjust(width) if j in right else word.ljust(width)
            for j, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
