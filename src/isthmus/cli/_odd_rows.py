"""Rows that stand out, as ``isthmus outliers`` tells of them: a line each, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isthmus.cli._answer import columns, number
from isthmus.cli._beside import files_of
from isthmus.cli._words import plural

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators.outliers import OutlierDetector

# Columns named for each row.
_MOST_NAMED = 3


def odd_rows(
    detector: OutlierDetector,
    table: Table,
    given: Table | Source,
    rows: Any,
    scores: Any,
    p_values: Any,
) -> list[dict[str, Any]]:
    """The rows that are told of, and for each the features that count, largest first.

    Args:
        detector: that judged.
        table: all rows.
        given: what they were made of: images (C, H, W) and series (C, T) have entries without
            names, and rows that are files have names of their own.
        rows: positions of those to tell of.
        scores: (N,) of all.
        p_values: (N,) of all.
    """
    from isthmus.estimators.outliers import VIEWS
    from isthmus.estimators.outliers.reasons import reasons

    frame = None if table.frame is None else table.frame.take(rows)
    told = replace(table, values=table.values[rows], frame=frame)
    views = detector.surprises(told).argmax(1)
    shape, files = getattr(given, "feature_shape", ()), files_of(given, len(scores))
    places = shape if len(shape) > 1 else None
    each = reasons(detector.explain(told), detector, told, _MOST_NAMED, places)
    return [
        {
            "row": int(row),
            **({} if files is None else {"file": files[row]}),
            "score": float(scores[row]),
            "p_value": float(p_values[row]),
            "view": VIEWS[int(view)],
            "features": [
                {"feature": one.column, "value": _plain(one.value), "share": one.share}
                for one in why
            ],
        }
        for row, view, why in zip(rows, views, each, strict=True)
    ]


def told_of(facts: dict[str, Any], origin: str) -> list[str]:
    """How many stand out, and a line for each of those that are told of."""
    low, high = (100 * rate for rate in facts["false_alarm_interval"])
    lines = [
        f"{facts['n_outliers']} of {plural(facts['n_rows'], 'row')} of {origin} stand out.",
        f"Of normal rows {number(low)}% to {number(high)}% are flagged "
        f"(95% interval, by {plural(facts['n_calibration'], 'held-out row')}).",
    ]
    if not facts["outliers"]:
        return lines
    by = "file" if "file" in facts["outliers"][0] else "row"
    head = (by, "p-value", "unusual by", "because of")
    body = [
        (
            str(one[by]),
            number(one["p_value"]),
            one["view"],
            ", ".join(
                f"{f['feature']} = {_shown(f['value'])} ({100 * f['share']:.0f}%)"
                for f in one["features"]
            )
            or "many features, none with 1%",
        )
        for one in facts["outliers"]
    ]
    left = facts["n_outliers"] - len(body)
    more = [f"and {plural(left, 'row')} more (--top)"] if left else []
    return [*lines, "", columns([head, *body], right=(0, 1) if by == "row" else (1,)), *more]


def _shown(value: Any) -> str:
    """A value for people.

    >>> [_shown(v) for v in (2.0, 123456789, "Rome", True, None)]
    ['2', '123456789', 'Rome', 'True', 'missing']
    """
    if value is None:
        return "missing"
    return number(value) if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """What JSON can hold of a value: of dates and the like their text."""
    return value if isinstance(value, str | bool | int | float | None) else str(value)
