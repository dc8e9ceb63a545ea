"""What is made up for the holes of a column of text, written as the entries that are there are.

Truth values in their capitals, numbers as the column was read (:mod:`isthmus.data.text.spelled`),
moments with the separator, the resolution and the zone of
the first one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.text.spelled import Reading

_MOMENT = re.compile(
    r"\s*\d{4}-\d\d-\d\d(?P<between>[ T])(?P<clock>\d\d(:\d\d){0,2})(?:\.(?P<fraction>\d+))?"
    r"(?P<blank> ?)(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?\s*"
)
_EXAMPLES = 1000


def filled(given: Any, made: Any, gone: np.ndarray, how: Reading) -> Any:
    """The column of text with its holes filled.

    Args:
        given: (N,), as it is written.
        made: (N,), of any kind, what to write in the holes.
        gone: (N,), where they are.
        how: the way in which its numbers were read.

    >>> given = pa.array(["1.234,50 €", "", "3,00 €"])
    >>> how = Reading(",", ".", after="€")
    >>> filled(given, pa.array([0.0, 5.5, 0.0]), np.array([False, True, False]), how).to_pylist()
    ['1.234,50 €', '5,50 €', '3,00 €']
    """
    kind = made.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        made = made.cast(kind)
    holes = pa.array(gone)
    there, made = given.filter(pa.array(~gone)), made.filter(holes)
    if pa.types.is_timestamp(kind):
        words = _moments(made, there)
    elif pa.types.is_floating(kind):
        words = _numbers(made, there, how)
    else:
        words = made.cast(pa.string())
    if pa.types.is_boolean(kind):
        lower = pc.utf8_lower(there)
        for word in ("true", "false"):
            i = pc.index(lower, word).as_py()
            if i >= 0:
                words = pc.if_else(pc.equal(words, word), there[i], words)
    places = pc.if_else(holes, pc.subtract(pc.cumulative_sum(holes.cast(pa.int64())), 1), None)
    return pc.coalesce(words.cast(given.type).take(places), given)


def _numbers(made: Any, there: Any, how: Reading) -> Any:
    if how.unit or how.group or how.behind:
        like = there.slice(0, _EXAMPLES).to_pylist() or [how.example] * bool(how.example)
        return pa.array(how.spell(np.asarray(made, np.float64), like))
    return pc.replace_substring(made.cast(pa.string()), ".", how.decimal or ".")


def _moments(made: Any, there: Any) -> Any:
    words = there.slice(0, _EXAMPLES).to_pylist()
    form = next((found for word in words if (found := _MOMENT.fullmatch(word))), None)
    try:
        moments = made.cast(pa.timestamp("us", made.type.tz), safe=False).to_pylist()
    except (ArithmeticError, ValueError):  # beyond Python's years
        return made.cast(pa.string())
    if form is None:
        return pa.array([f"{moment:%Y-%m-%d}" for moment in moments])
    return pa.array([_moment(moment, form) for moment in moments])


def _moment(moment: datetime, form: re.Match[str]) -> str:
    zone, fraction = form["zone"] or "", form["fraction"] or ""
    if zone:
        moment = moment.astimezone(_zone(zone))
    clock = ("%H", "%H:%M", "%H:%M:%S")[form["clock"].count(":")]
    digits = f".{moment.microsecond:06d}".ljust(len(fraction) + 1, "0") if fraction else ""
    digits = digits[: len(fraction) + 1]
    return f"{moment:%Y-%m-%d}{form['between']}{moment:{clock}}{digits}{form['blank']}{zone}"


def _zone(zone: str) -> timezone:
    if zone == "Z":
        return UTC
    digits = zone[1:].replace(":", "").ljust(4, "0")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-away if zone[0] == "-" else away)
