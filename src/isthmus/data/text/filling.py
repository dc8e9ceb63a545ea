"""What is made up for the holes of a column of text, written as the entries that are there are.

Truth values in their capitals, numbers as the column was read (:mod:`isthmus.data.text.spelled`),
moments with the separator, the resolution and the zone of the first one.

Numbers have as many decimals as the column shows, in the file or in the fit, whichever is more.
What a column of the file does not show it has from the fit: all of it where it is empty, the
decimal sign where it is of whole numbers. Where other columns have the other decimal sign than in
the fit, so do these. So what is written is read again as the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isthmus.data.text.agreeing import Known, Spelling
from isthmus.data.text.spelled import Reading

_MOMENT = re.compile(
    r"\s*\d{4}-\d\d-\d\d(?P<between>[ T])(?P<clock>\d\d(:\d\d){0,2})(?:\.(?P<fraction>\d+))?"
    r"(?P<blank> ?)(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?\s*"
)
_EXAMPLES = 1000
_LONG = 1e16
"""Numbers from here on have no decimals, and are written with an exponent."""
_OTHER = {",": ".", ".": ","}


@dataclass(frozen=True)
class Way:
    """How numbers are written.

    Args:
        reading: by which they are read again.
        decimals: at most so many; None for all that there are.
        positive: whether none may become 0.
        padded: whether three decimals would be taken for thousands, as the fit has another decimal
            sign; they get a zero.
    """

    reading: Reading
    decimals: int | None = None
    positive: bool = False
    padded: bool = False


def ways(
    types: Mapping[str, pa.DataType], here: Spelling, known: Known, shows: Mapping[str, int]
) -> dict[str, Way]:
    """How to write numbers in the holes of columns.

    Args:
        types: of the columns of a file, by name.
        here: how its numbers are written.
        known: how those of the fit were.
        shows: how many decimals they showed; nothing of columns of which it is not known.

    >>> fit = {"cost": Reading(",", ".", after="€"), "size": Reading(",")}
    >>> file = Spelling(".", decimals={"size": 1})
    >>> made = ways({"cost": pa.null(), "size": pa.float64()}, file, fit, {"cost": 2, "size": 1})
    >>> made["cost"].reading.group, made["cost"].decimals  # as size has a point here
    (',', 2)
    """
    fractions = {name for name, n in here.decimals.items() if n}
    was = {name: known.get(name) for name in types}
    both = ((here.of(n), how) for n in fractions if shows.get(n) and (how := was.get(n)))
    other = any(signs.decimal != how.decimal for signs, how in both)
    made = {}
    for name, kind in types.items():
        reading, before = here.of(name), was[name]
        if before is not None and other:
            group = _OTHER.get(before.group, before.group)
            before = replace(before, decimal=_OTHER.get(before.decimal, "."), group=group)
        if before is not None and pa.types.is_null(kind):
            reading = before
        elif before is not None and shows.get(name) and not _has_sign(kind, here, name):
            reading = reading if reading.group else replace(reading, decimal=before.decimal)
        most = None if name not in shows else max(shows[name], here.decimals.get(name, 0))
        padded = was[name] is not None and (known[name] or reading).decimal != reading.decimal
        made[name] = Way(reading, most, padded=padded)
    return made


def _has_sign(kind: pa.DataType, here: Spelling, name: str) -> bool:
    """Whether an entry of a column of the file has a decimal sign; that of 37.0 is one."""
    how = here.columns.get(name)
    return pa.types.is_floating(kind) and (how is None or how.decimal in how.example)


def filled(given: Any, made: Any, gone: np.ndarray, way: Way) -> Any:
    """The column of text with its holes filled.

    Args:
        given: (N,), as it is written.
        made: (N,), of any kind, what to write in the holes.
        gone: (N,), where they are.
        way: how numbers are written.

    >>> given = pa.array(["1.234,50 €", "", "3,00 €"])
    >>> way = Way(Reading(",", ".", after="€"))
    >>> filled(given, pa.array([0.0, 5.5, 0.0]), np.array([False, True, False]), way).to_pylist()
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
        words = _numbers(made, there, way)
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


def _numbers(made: Any, there: Any, way: Way) -> Any:
    how, most = way.reading, way.decimals
    like = there.slice(0, _EXAMPLES).to_pylist()
    values = np.asarray(made, np.float64)
    if way.positive and most is not None:
        values = np.maximum(values, 10.0**-most)
    if how.unit or how.group or how.behind:
        like = like or [how.example] * bool(how.example)
        least = 4 if way.padded and most == 3 else most or 0
        return pa.array(how.spell(values, like, least), pa.string())
    if most is None:
        words = made.cast(pa.string())
    else:
        least = min((_decimals(word, how.decimal) for word in like), default=0)
        words = pa.array([_rounded(value, most, least) for value in values.tolist()], pa.string())
    if way.padded:
        words = pc.replace_substring_regex(words, r"(\.[0-9]{3})$", r"\10")
    return pc.replace_substring(words, ".", how.decimal or ".")


def _rounded(value: float, most: int, least: int) -> str:
    """With so many decimals, zeros behind only for the least."""
    value = round(value, most) + 0.0  # no -0
    if abs(value) >= _LONG:
        return repr(value)
    return np.format_float_positional(value, min_digits=least or None, trim="k" if least else "-")


def _decimals(word: str, sign: str) -> int:
    digits = word.strip().partition(sign)[2]
    return len(digits) if digits.isdecimal() else 0


def _moments(made: Any, there: Any) -> Any:
    words = there.slice(0, _EXAMPLES).to_pylist()
    form = next((found for word in words if (found := _MOMENT.fullmatch(word))), None)
    try:
        moments = made.cast(pa.timestamp("us", made.type.tz), safe=False).to_pylist()
    except (ArithmeticError, ValueError):  # beyond Python's years
        return made.cast(pa.string())
    if form is None and not len(there):
        step = {"s": "seconds", "ms": "milliseconds"}.get(made.type.unit, "microseconds")
        return pa.array([moment.isoformat(" ", step) for moment in moments])
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
