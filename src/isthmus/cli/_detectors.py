"""Saved detectors as the verbs meet them: opening one, and telling what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer, columns, number
from isthmus.cli._words import plural, written
from isthmus.errors import InvalidParameterError, RunError

if TYPE_CHECKING:
    from isthmus.estimators.outliers import OutlierDetector


def opened(path: str, given: Mapping[str, Any]) -> OutlierDetector:
    """The detector in a folder.

    Args:
        path: what ``--save`` wrote.
        given: the options beside ``--detector`` by their flags; those that belong to a fit must
            have no value.

    Raises:
        InvalidParameterError: an option belongs to a fit.
        RunError: no detector is there, or it is damaged.
    """
    extra = [flag for flag, value in given.items() if value not in (None, False)]
    if extra:
        raise InvalidParameterError(
            f"--detector {path} with {' and '.join(extra)}",
            "is not possible: a detector that is there is not fitted again",
            "Leave one of the two out.",
        )
    with _interrupts.starting():
        from isthmus.estimators.outliers import OutlierDetector, files

    if not files.is_detector(path):
        raise RunError(
            path, "holds an autoencoder and no detector", "Give what isthmus outliers --save wrote."
        )
    return OutlierDetector.load(path)


def recorded(path: str) -> dict[str, Any]:
    """What the run of a detector says of how its rows were read."""
    from isthmus.estimators.outliers import files

    return files.recorded(path)


def described(path: str) -> Answer:
    """What ``info`` tells of a detector."""
    detector = opened(path, {})
    model = detector.autoencoder_
    names = getattr(detector, "feature_names_in_", None)
    n_features, k = detector.n_features_in_, model.n_components_
    rule = {name: getattr(detector, name) for name in ("threshold", _rate(detector.threshold))}
    low, high = detector.false_alarm_interval_
    n_rows, n_held = len(detector.decision_scores_), len(detector.calibration_scores_)
    listed = (
        ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
        if (names is not None)
        else "no names"
    )
    told = [
        ("detector", f"by a {type(model).__name__}: {plural(n_features, 'feature')} → "
         f"{plural(k, 'component')}"),
        ("data", f"{plural(n_rows, 'row')} of {plural(n_features, 'feature')} ({listed})"),
        *written(recorded(path)),
        ("rule", ", ".join(f"{name}={value!r}" for name, value in rule.items())),
        ("threshold", f"score below {number(detector.offset_)} nats; "
         f"{int(detector.labels_.sum())} of its own rows"),
        ("false alarms", f"{number(100 * low)}% to {number(100 * high)}% of normal rows "
         f"(95% interval, by {plural(n_held, 'held-out row')})"),
        ("next", f"isthmus outliers DATA --detector {path}"),
    ]  # fmt: skip
    facts = {
        "kind": "detector",
        "run": path,
        "model": type(model).__name__,
        "n_rows": n_rows,
        "n_features": n_features,
        "spelling": recorded(path).get("spelling"),
        "na_values": recorded(path).get("na_values"),
        "feature_names": None if names is None else [str(name) for name in names],
        "n_components": k,
        **rule,
        "offset": detector.offset_,
        "n_outliers": int(detector.labels_.sum()),
        "false_alarm_interval": list(detector.false_alarm_interval_),
        "n_calibration": n_held,
    }
    return Answer(f"{path}\n{columns(told)}", facts)


def _rate(threshold: str) -> str:
    return "contamination" if threshold == "contamination" else "false_alarm_rate"
