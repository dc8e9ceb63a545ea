"""``isthmus outliers``: the rows of a table that stand out, and what makes them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import _beside, _detectors, _interrupts, _parameters
from isthmus.cli._answer import Answer, number
from isthmus.cli._blocks import as_table
from isthmus.cli._odd_rows import odd_rows, told_of
from isthmus.cli._options import OUTPUT, DataFile, Force, Quiet, SeedOrZero, seed_of
from isthmus.cli._progress import training
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import column, facts_of, of_run, opened, refuse_features, said, words_for
from isthmus.cli._runs import check_place
from isthmus.cli._tasks import empty_tasks, identifiers, too_wide, warning
from isthmus.cli.fit import MODELS, model_name
from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.tables import Table
    from isthmus.data.words import Words
    from isthmus.estimators.outliers import OutlierDetector

FLAGS = tuple(parameter.option() for parameter in _parameters.PARAMETERS)
EXAMPLES = """Examples:

isthmus outliers wine --top 5

isthmus outliers usual.csv --new today.csv --false-alarm-rate 0.01 --out scores.csv

isthmus outliers table.csv --label fraud --contamination 0.02 --save runs/detector

isthmus outliers today.csv --detector runs/detector
"""
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
    reading: ReadingOptions = AS_USUAL,
    seed: SeedOrZero = None,
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

        from isthmus.data.telling import untold
        from isthmus.data.writers import check_destination

    if out is not None:
        check_destination(out, force)
    if save is not None:
        check_place(save, force)
    origin, extra = data if new is None else new, list[str]()
    as_fitted: dict[str, Any] = {}
    about = {}
    if detector is not None:
        spelled = {"--" + name.replace("_", "-"): value for name, value in values.items()}
        also = {"--new": new, "--model": model, "--save": save, "--seed": seed}
        judge = _detectors.opened(detector, {**rules, **also, **spelled})
        about = _detectors.recorded(detector)
    # of the rows that are judged; of other rows than those of the fit as a run remembers it
    words = words_for(about, reading) if new is None else words_for(reading.recorded(), AS_USUAL)
    known = None if not label else _known(label, origin, data, words)
    if label and detector is not None:
        refuse_features(judge, origin, [("--label", label)])
    left = reading.leaving(_leave(data, reading.left, label, words))
    if detector is None:
        random_state = seed_of(seed) or 0
        given = opened(data, left)
        table = as_table(given)
        judge = _fitted(table, kind, values, rule, random_state, quiet)
        shape = getattr(given, "feature_shape", ())
        as_fitted = {**left.recorded(), "read_shape": list(shape) if len(shape) > 1 else None}
        if new is not None:
            given, extra = of_run(
                judge, as_fitted, new, AS_USUAL.leaving(_leave(new, [], label, words))
            )
    else:
        rule = {"threshold": judge.threshold}
        given, extra = of_run(judge, about, data, left)
    judged = table if detector is None and new is None else as_table(given)
    scores = judge.score_samples(judged)
    flagged = scores < judge.offset_
    first = np.lexsort((np.arange(len(scores)), scores))[: max(1, top)]
    shown = first[flagged[first]]
    with untold():  # the scores have told of unknown categories
        p_values = judge.p_values(judged)
        found = odd_rows(judge, judged, given, shown, scores, p_values) if len(shown) else []
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
        **facts_of(given),
    }
    lines = [*told_of(facts, origin), *said(given, extra, origin)]
    if known is not None:
        from isthmus.evaluation.detection import auroc

        facts["auroc"] = auroc(known, -scores)
        lines.append(f"AUROC for {label}: {number(facts['auroc'])} (0.5 is chance, 1 is best)")
    elif label:
        lines.append(f"No AUROC: {origin} has no column {label!r}, by which it would be judged.")
    if out is not None:
        figures = {"score": scores, "p_value": p_values, "outlier": flagged.astype(np.float64)}
        aside = [*reading.left, *([label] if label else [])]
        after = _beside.write(out, figures, given, origin, aside, words)
        lines.append(f"Score, p-value and verdict of each row written to {out}{after}.")
    if save is not None:
        with _interrupts.saving():
            provenance = {"origin": data, **as_fitted}
            judge.save(save, force=force, provenance=provenance)
        lines.append(f"The detector is in {save}.")
    return Answer("\n".join(lines), facts)


def _known(label: str, origin: str, data: str, words: Words) -> Any:
    """The label of each judged row; None where only the rows of the fit have one.

    Raises:
        DataError: neither file has such a column.
    """
    from isthmus.data import labels
    from isthmus.evaluation.detection import flags

    here = labels.holds(origin, label, words)
    if origin != data and not here and labels.holds(data, label, words):
        return None
    values = column(origin, label, "--label", words)
    flags(values)  # what cannot judge is refused before anything is fitted
    return values


def _leave(origin: str, leave: list[str], label: str | None, words: Words) -> list[str]:
    """What is left out: the label too where it is a column of the features."""
    from isthmus.data import labels

    aside = label and label not in leave and labels.is_column(origin, label)
    if aside and label and labels.holds(origin, label, words):
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
    from isthmus.estimators.outliers import default_components

    model = getattr(estimators, MODELS[kind or "variational"])(**values)
    if "n_components" not in values:
        model.n_components = default_components(model, table)
    return model
