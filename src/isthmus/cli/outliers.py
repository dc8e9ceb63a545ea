"""``isthmus outliers``: the rows of a table that stand out, and what makes them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import _beside, _detectors, _interrupts, _parameters
from isthmus.cli._answer import Answer, columns, number
from isthmus.cli._options import (
    OUTPUT,
    DataFile,
    Drop,
    Force,
    Layout,
    MaxSkipped,
    NaValues,
    Quiet,
    Seed,
    Text,
    layout_of,
    names_of,
    seed_of,
    words_of,
)
from isthmus.cli._progress import training
from isthmus.cli._rows import as_table, column, notes, of_run, opened, said
from isthmus.cli._runs import check_place
from isthmus.cli._tasks import empty_tasks, identifiers, too_wide, warning
from isthmus.cli._words import plural
from isthmus.cli.fit import MODELS, model_name
from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.tables import Table
    from isthmus.estimators.outliers import OutlierDetector

FLAGS = tuple(parameter.option() for parameter in _parameters.PARAMETERS)
EXAMPLES = """Examples:

isthmus outliers wine --top 5

isthmus outliers usual.csv --new today.csv --false-alarm-rate 0.01 --out scores.csv

isthmus outliers table.csv --label fraud --contamination 0.02 --save runs/detector

isthmus outliers today.csv --detector runs/detector
"""
# Features named for each row, and the least share of the row's surprise that is named.
_MOST_NAMED, _LEAST_SHARE = 3, 0.1
_RULE = "How many"


def outliers(
    data: DataFile,
    new: Annotated[
        str | None,
        typer.Option(
            "--new",
            metavar="FILE",
            help="Judge the rows of this file by those of DATA; without one, DATA's own.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            "--detector",
            metavar="RUN",
            help="Judge the rows of DATA by a detector that --save kept; nothing is fitted.",
        ),
    ] = None,
    contamination: Annotated[
        float | None,
        typer.Option(
            "--contamination",
            metavar="X",
            help="Share of the rows of DATA that are outliers; 0.1 where no rule is given.",
            rich_help_panel=_RULE,
            show_default=False,
        ),
    ] = None,
    false_alarm_rate: Annotated[
        float | None,
        typer.Option(
            "--false-alarm-rate",
            metavar="X",
            help="Share of normal rows that may be flagged, kept by held-out rows.",
            rich_help_panel=_RULE,
            show_default=False,
        ),
    ] = None,
    extreme_value: Annotated[
        float | None,
        typer.Option(
            "--extreme-value",
            metavar="X",
            help="The same by a tail fitted to them: for rates that few rows cannot show.",
            rich_help_panel=_RULE,
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="undercomplete, denoising, contractive or variational (the default), by default "
            "with the components that hold 90% of the variance.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="A column that is 1 for known outliers and 0 else: no feature, it only judges. "
            "With --new it is that of FILE; DATA need not have it.",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="Rows to tell of, at most.")
    ] = 10,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write score, p-value and verdict of each row: .csv, .npy or .parquet. Columns "
            "that are no features, such as those of --drop, stand before them in the first two.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="RUN",
            help="Keep the detector in this folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    drop: Drop = None,
    text: Text = None,
    na_values: NaValues = None,
    layout: Layout = None,
    max_skipped: MaxSkipped = None,
    seed: Seed = None,
    force: Force = False,
    quiet: Quiet = False,
    **flags: Any,
) -> Answer:
    """Find the rows that stand out, and the features that make them.

    An autoencoder learns what is usual. Rows are flagged for a value that is rare by itself, for
    values that do not go together, or for having no other row near them.
    """
    rules = {
        "--contamination": contamination,
        "--false-alarm-rate": false_alarm_rate,
        "--extreme-value": extreme_value,
    }
    rule = _rule(rules)
    kind = None if model is None else model_name(model)
    values = _parameters.from_flags(flags)
    with _interrupts.starting():
        import numpy as np

        from isthmus.data.writers import check_destination

    if out is not None:
        check_destination(out, force)
    if save is not None:
        check_place(save, force)
    leave, origin = names_of(drop), data if new is None else new
    axes, extra, words = layout_of(layout), list[str](), words_of(text, na_values)
    known = None if not label else _known(label, origin, data)
    if detector is None:
        random_state = seed_of(seed) or 0
        left = _leave(data, leave, label)
        given = opened(data, left, layout=axes, max_skipped=max_skipped, words=words)
        table = as_table(given)
        judge = _fitted(table, kind, values, rule, random_state, quiet)
        if new is not None:
            as_fitted = {
                "drop": leave,
                "layout": axes,
                "max_skipped": max_skipped,
                "sample_shape": getattr(given, "feature_shape", ()),
                **words.recorded(),
            }
            given, extra = of_run(judge, as_fitted, new, _leave(new, [], label))
    else:
        spelled = {"--" + name.replace("_", "-"): value for name, value in values.items()}
        also = {"--new": new, "--model": model, "--save": save, "--seed": seed}
        judge = _detectors.opened(detector, {**rules, **also, **spelled})
        rule = {"threshold": judge.threshold}
        left = _leave(data, leave, label)
        given, extra = of_run(judge, {}, data, left, axes, max_skipped, words)
    judged = table if detector is None and new is None else as_table(given)
    scores = judge.score_samples(judged)
    p_values = judge.p_values(judged)
    flagged = scores < judge.offset_
    first = np.lexsort((np.arange(len(scores)), scores))[: max(1, top)]
    shown = first[flagged[first]]
    shape = getattr(given, "feature_shape", ())
    found = _found(judge, judged, shape, shown, scores, p_values) if len(shown) else []
    facts: dict[str, Any] = {
        "data": data,
        "new": new,
        "detector": detector,
        "n_rows": len(scores),
        "n_outliers": int(flagged.sum()),
        **rule,
        "offset": judge.offset_,
        "false_alarm_interval": list(judge.false_alarm_interval_),
        "n_calibration": len(judge.calibration_scores_),
        "outliers": found,
        "out": out,
        "run": save,
        "left_out": extra,
        "notes": notes(given),
    }
    lines = [*_lines(facts, origin), *said(given, extra, origin)]
    if known is not None:
        from isthmus.evaluation.detection import auroc

        facts["auroc"] = auroc(known, -scores)
        lines.append(f"AUROC for {label}: {number(facts['auroc'])} (0.5 is chance, 1 is best)")
    elif label:
        lines.append(f"No AUROC: {origin} has no column {label!r}, by which it would be judged.")
    if out is not None:
        figures = {"score": scores, "p_value": p_values, "outlier": flagged.astype(np.float64)}
        left = [*leave, *([label] if label else [])]
        after = _beside.write(out, figures, given, origin, left)
        lines.append(f"Score, p-value and verdict of each row written to {out}{after}.")
    if save is not None:
        with _interrupts.saving():
            judge.save(save, force=force)
        lines.append(f"The detector is in {save}.")
    return Answer("\n".join(lines), facts)


def _known(label: str, origin: str, data: str) -> Any:
    """The label of each judged row; None where only the rows of the fit have one.

    Raises:
        DataError: neither file has such a column.
    """
    from isthmus.data import labels
    from isthmus.evaluation.detection import flags

    if origin != data and not labels.holds(origin, label) and labels.holds(data, label):
        return None
    values = column(origin, label, "--label")
    flags(values)  # what cannot judge is refused before anything is fitted
    return values


def _leave(origin: str, leave: list[str], label: str | None) -> list[str]:
    """What is left out: the label too where it is a column of the features."""
    from isthmus.data import labels

    aside = label and label not in leave and labels.is_column(origin, label)
    if aside and label and labels.holds(origin, label):
        return [*leave, label]
    return leave


def _fitted(
    table: Table,
    kind: str | None,
    values: dict[str, Any],
    rule: dict[str, Any],
    random_state: int,
    quiet: bool,
) -> OutlierDetector:
    """A detector of these rows."""
    with _interrupts.starting():
        from isthmus.estimators.outliers import OutlierDetector

    with training(quiet) as listener, warnings.catch_warnings():
        autoencoder = _autoencoder(kind, values, table)
        detector = OutlierDetector(autoencoder, random_state=random_state, **rule)
        told = [*empty_tasks(table, 1), *identifiers(table)]
        told += too_wide(autoencoder, table) if autoencoder is not None else []
        warnings.filterwarnings("ignore", "Training was interrupted")
        with _interrupts.training(warning(told, listener)) as tell:
            detector.fit(table, callback=tell)
    return detector


def _rule(given: Mapping[str, float | None]) -> dict[str, Any]:
    """The detector's parameters for the one rule that was given, by its flag.

    >>> _rule({"--false-alarm-rate": 0.01})
    {'threshold': 'false_alarms', 'false_alarm_rate': 0.01}
    """
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) > 1:
        raise InvalidParameterError(" and ".join(named), "exclude one another", "Give one of them.")
    name, value = next(iter(named.items()), ("--contamination", 0.1))
    if name == "--contamination":
        return {"threshold": "contamination", "contamination": value}
    threshold = "false_alarms" if name == "--false-alarm-rate" else "extreme_value"
    return {"threshold": threshold, "false_alarm_rate": value}


def _autoencoder(kind: str | None, values: dict[str, Any], table: Table) -> Any:
    """None where nothing was asked of it."""
    if kind is None and not values:
        return None
    from isthmus import estimators
    from isthmus.estimators.outliers import default_autoencoder

    if "n_components" not in values:
        values["n_components"] = default_autoencoder(table.values, 0).n_components
    return getattr(estimators, MODELS[kind or "variational"])(**values)


def _found(
    detector: OutlierDetector,
    table: Table,
    shape: tuple[int, ...],
    rows: Any,
    scores: Any,
    p_values: Any,
) -> list[dict[str, Any]]:
    """The rows that are told of, and for each the features that count, largest first.

    Args:
        detector: that judged.
        table: all rows.
        shape: of one of them: images (C, H, W) and series (C, T) have entries without names.
        rows: positions of those to tell of.
        scores: (N,) of all.
        p_values: (N,) of all.
    """
    from isthmus.data.tables import entry_name
    from isthmus.estimators.outliers import VIEWS

    x = table.values[rows]
    told = replace(table, values=x)
    parts = detector.explain(told)
    views = detector.surprises(told).argmax(1)
    places = shape if len(shape) > 1 else x.shape[1:]

    def named(j: int) -> str:
        return table.names[j] if table.names else entry_name(j, places)

    found = []
    for i, row in enumerate(rows):
        share = parts[i] / parts[i].sum() if parts[i].sum() > 0 else parts[i]
        order = (-share).argsort(kind="stable")[:_MOST_NAMED]
        kept = [int(j) for n, j in enumerate(order) if n == 0 or share[j] >= _LEAST_SHARE]
        features = [
            {"feature": named(j), "value": float(x[i, j]), "share": float(share[j])} for j in kept
        ]
        found.append(
            {
                "row": int(row),
                "score": float(scores[row]),
                "p_value": float(p_values[row]),
                "view": VIEWS[int(views[i])],
                "features": features,
            }
        )
    return found


def _lines(facts: dict[str, Any], origin: str) -> list[str]:
    low, high = (100 * rate for rate in facts["false_alarm_interval"])
    lines = [
        f"{facts['n_outliers']} of {plural(facts['n_rows'], 'row')} of {origin} stand out.",
        f"Of normal rows {number(low)}% to {number(high)}% are flagged "
        f"(95% interval, by {plural(facts['n_calibration'], 'held-out row')}).",
    ]
    if not facts["outliers"]:
        return lines
    head = ("row", "p-value", "unusual by", "because of")
    body = [
        (
            str(one["row"]),
            number(one["p_value"]),
            one["view"],
            ", ".join(
                f"{f['feature']} = {number(f['value'])} ({100 * f['share']:.0f}%)"
                for f in one["features"]
            ),
        )
        for one in facts["outliers"]
    ]
    left = facts["n_outliers"] - len(body)
    more = [f"and {plural(left, 'row')} more (--top)"] if left else []
    return [*lines, "", columns([head, *body], right=(0, 1)), *more]
