"""Rules for one parameter by itself: what was given, the rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from isthmus.errors import InvalidParameterError


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int) -> None:
    """Refuse anything but a whole number of at least ``least``."""
    if not is_whole(value) or value < least:
        raise InvalidParameterError(
            f"{name}={value!r}", f"must be a whole number of at least {least}"
        )


def number(name: str, value: Any, *, above: bool = False) -> None:
    """Refuse anything but a finite number of at least 0, or above it."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0 or (above and value == 0):
        rule = "above 0" if above else "of at least 0"
        raise InvalidParameterError(f"{name}={value!r}", f"must be a finite number {rule}")


def one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuse what is none of these."""
    if not any(value is a or (isinstance(a, str) and value == a) for a in allowed):
        names = ", ".join(repr(a) for a in allowed)
        raise InvalidParameterError(f"{name}={value!r}", f"must be one of {names}")
