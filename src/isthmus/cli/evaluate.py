"""``isthmus evaluate``: measure a model, say what is wrong with it, and keep that in its run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli import _interrupts
from isthmus.cli._answer import Answer, columns, number, wrapped
from isthmus.cli._blocks import as_table, picked, size, together
from isthmus.cli._options import Force, RunFolder
from isthmus.cli._reading import AS_USUAL, ReadingOptions, names_of
from isthmus.cli._rows import column, of_run, opened, refuse_features, said, words_for
from isthmus.cli._runs import is_seen, numbers_of, open_run
from isthmus.errors import DataError, InvalidParameterError, RunError

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators import Estimator

EXAMPLES = """Examples:

isthmus evaluate runs/wine --label target

isthmus evaluate runs/a new.csv --label species

isthmus evaluate runs/a new.csv --outlier-label fraud --json
"""
ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


def evaluate(
    run: RunFolder,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Rows to measure the model on; without any, the rows of the fit that were held "
            "out of it.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="A column of classes or measurements, no feature: can the code tell them? "
            "target for a bundled table.",
        ),
    ] = None,
    outlier_label: Annotated[
        str | None,
        typer.Option(
            "--outlier-label",
            metavar="COLUMN",
            help="A column that is 1 for known outliers and 0 else: does the error find them?",
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(
            "--factors",
            metavar="A,B",
            help="Columns of known factors, separated by commas: does each latent answer to one?",
        ),
    ] = None,
    reading: ReadingOptions = AS_USUAL,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of all draws.")] = 0,
    force: Force = False,
) -> Answer:
    """Measure a model, and say in words what may be wrong with it.

    Everything is written into the run, where the report finds it. Rows of the fit are measured on
    the part that was held out; where none was, on all of them, and it says so. The run keeps one
    evaluation: one without labels does not replace one that has them, unless by --force.
    """
    named = names_of(factors)
    if factors is not None and not named:
        raise InvalidParameterError("--factors ''", "must name columns")
    origin, facts, told = measured(
        run,
        data,
        label=label,
        outlier_label=outlier_label,
        factors=named,
        reading=reading,
        seed=seed,
        force=force,
    )
    lines = [*_lines(facts), "", f"Written into {run}.", *told]
    return Answer("\n".join(lines), {"run": run, "data": origin, **facts})


def measured(
    run: str,
    data: str | None,
    *,
    label: str | None = None,
    outlier_label: str | None = None,
    factors: Sequence[str] = (),
    reading: ReadingOptions = AS_USUAL,
    seed: int = 0,
    force: bool = False,
    verb: str = "evaluate",
) -> tuple[str, dict[str, Any], list[str]]:
    """Measure a model and write what is found into its run.

    Args:
        run: the folder.
        data: rows; None for those of the fit.
        label: column of classes or measurements.
        outlier_label: column that is 1 for known outliers.
        factors: columns of known factors.
        reading: how they are read, where not as in the fit.
        seed: of all draws.
        force: whether an evaluation is replaced that has what this one lacks.
        verb: which asks, for the advice.

    Returns:
        Where the rows are from, the facts, and what to say besides.

    Raises:
        RunError: the run cannot be read or written, or has an evaluation with labels.
        DataError: the rows or columns cannot be used.
    """
    with _interrupts.starting():
        import numpy as np
        import torch

        from isthmus.data.labels import is_column
        from isthmus.evaluation.evaluate import evaluate as measure
        from isthmus.runs import directory

    model = open_run(run, data)
    flags = {"--label": label, "--outlier-label": outlier_label, "--factors": factors}
    if not force:
        _refuse_loss(run, [flag for flag, given in flags.items() if not given])
    recorded = directory.read(run).config["data"]
    again = f"Name the rows: isthmus {verb} {shlex.quote(run)} DATA."
    asked = [("--label", label), ("--outlier-label", outlier_label)]
    columns_of = [(f, n) for f, n in (*asked, *(("--factors", n) for n in factors)) if n]
    told: list[str] = []
    words = words_for(recorded, reading)
    if data is None:
        origin, kind, table, reference = _of_fit(model, recorded, run, columns_of, again)
    else:
        for flag, name in columns_of:
            column(data, name, flag, words)
        refuse_features(model, data, columns_of)
        leave = [*reading.left, *(name for _, name in columns_of)]
        leave = list(dict.fromkeys(name for name in leave if is_column(data, name)))
        found_rows, extra = of_run(model, recorded, data, reading.leaving(leave))
        origin, table, told = data, as_table(found_rows), said(found_rows, extra, data)
        kind, reference = _of_others(model, recorded, table)
    found_in = {(flag, name): column(origin, name, flag, words) for flag, name in columns_of}
    places = None
    if reference is not None and kind == "held out" and model.held_out_ is not None:
        places = np.sort(model.held_out_.rows)
        found_in = {key: values[places] for key, values in found_in.items()}
    given: dict[str, Any] = {}
    if label:
        given["labels"] = found_in["--label", label]
    if outlier_label:
        given["outliers"] = found_in["--outlier-label", outlier_label]
    if factors:
        given["factors"] = _matrix([found_in["--factors", name] for name in factors])
    found = measure(
        model,
        table,
        kind=kind,
        reference=reference,
        places=places,
        n_rows=None if places is None else int(recorded["n_rows"]),
        origin=origin,
        label_column=label,
        seed=seed,
        **given,
    )
    tensors = {name: torch.from_numpy(values.copy()) for name, values in found.arrays.items()}
    directory.attach(run, "evaluation", found.facts, tensors)
    return origin, found.facts, told


def _refuse_loss(run: str, lacks: Sequence[str]) -> None:
    """Refuse to replace an evaluation with one that lacks some of what it has, by these flags."""
    from isthmus.runs import directory

    try:
        there = directory.attached(run, "evaluation")
    except RunError:  # damaged: nothing to lose
        return
    if there is None:
        return
    facts = there[0]
    label = facts.get("label_column")
    metrics = {one.get("name") for one in facts.get("metrics") or () if isinstance(one, dict)}
    has = {
        "--label": bool(label),
        "--outlier-label": "auroc" in metrics,
        "--factors": "mig" in metrics,
    }
    lost = [flag for flag in lacks if has[flag]]
    if not lost:
        return
    spelled = [f"{flag} {shlex.quote(str(label))}" if flag == "--label" else flag for flag in lost]
    raise RunError(
        run,
        f"holds an evaluation with {' and '.join(spelled)}, which this one would replace",
        f"Give {'that' if len(lost) == 1 else 'those'} as well, or replace it by --force.",
    )


def _of_others(model: Estimator, recorded: Mapping[str, Any], table: Table) -> tuple[Any, Any]:
    """What rows that are given are to the model, and the rows of its fit."""
    from isthmus.data.tables import fingerprint

    print_of_fit = recorded.get("fingerprint")
    if print_of_fit and fingerprint(numbers_of(model, table)) == print_of_fit:
        return _kind(model, table), None
    return "new", _rows_of_fit(model, recorded)


def _of_fit(
    model: Estimator,
    recorded: Mapping[str, Any],
    run: str,
    asked: Sequence[tuple[str, str]],
    again: str,
) -> tuple[str, Any, Table, Any]:
    """Where the rows of the fit are from, what they are to the model, they, and a reference."""
    import numpy as np

    from isthmus.data.tables import Table as Whole

    print_of_fit = recorded.get("fingerprint")
    origin = recorded.get("origin")
    if not origin:
        raise RunError(run, "does not say which rows it was fitted to", again)
    try:
        found = _opened(recorded)
    except DataError as error:
        raise DataError(
            f"{origin}, the rows of the fit,", f"cannot be read: {error}", again
        ) from error
    if print_of_fit and not is_seen(model, found):
        raise DataError(f"{origin}", "has changed since the fit", again)
    held = model.held_out_
    every = together(found)
    if every is not None:
        table = every
    elif held is not None and not isinstance(found, Whole):
        table = picked(found, np.sort(held.rows))
    else:
        table = as_table(found)
    refuse_features(model, origin, asked)
    if size(found)[0] > len(table.values):
        kind = "training" if held is None else "held out"
        return str(origin), kind, table, as_table(found)
    return str(origin), _kind(model, table), table, None


def _kind(model: Estimator, table: Table) -> str:
    held = model.held_out_
    return "held out" if held is not None and len(held.rows) < len(table.values) else "training"


def _opened(recorded: Mapping[str, Any]) -> Table | Source:
    """The rows of the fit, as they were opened for it."""
    return opened(str(recorded["origin"]), ReadingOptions.of_record(recorded))


def _rows_of_fit(model: Estimator, recorded: Mapping[str, Any]) -> Any:
    """The rows of the fit, if they are still there unchanged."""
    origin = recorded.get("origin")
    if not origin:
        return None
    try:
        found = _opened(recorded)
        if is_seen(model, found):
            return together(found) or as_table(found)
    except DataError:
        pass
    return None


def _matrix(found: list[Any]) -> Any:
    """Columns side by side; words as numbers of classes."""
    import numpy as np

    plain = [
        np.unique(values, return_inverse=True)[1] if values.dtype.kind in "OU" else values
        for values in found
    ]
    return np.stack(plain, axis=1)


def _lines(facts: Mapping[str, Any]) -> list[str]:
    k, d = facts["n_components"], facts["n_features"]
    lines = [
        f"{facts['model']}: {d} features → {k} component{'s' * (k != 1)}",
        *wrapped(facts["rows"]["words"]),
        "",
    ]
    line = facts["pca"]
    head = ("metric", "value", "PCA" if line else "", "", "unit")
    cells = [
        (
            one["name"],
            number(one["value"]),
            number(line[one["name"]]) if one["name"] in line else "",
            ARROWS[one["better"]],
            one["unit"],
        )
        for one in facts["metrics"]
    ]
    table = columns([head, *cells], right=(1, 2)).splitlines()
    lines.append(table[0])
    for one, row in zip(facts["metrics"], table[1:], strict=True):
        lines += [row, *wrapped(one["text"], "    ")]
    if facts["versus_pca"]:
        lines += ["", *wrapped(facts["versus_pca"]["sentence"])]
    if facts.get("not_probed"):
        lines += ["", *wrapped(f"No probe: {facts['not_probed']}")]
    for what, why in (facts.get("left_out") or {}).items():
        lines += wrapped(f"Left out: {what}: {why}.")
    lines += ["", "Health"]
    for one in facts["health"]:
        remedy = f" {one['remedy']}" if one["remedy"] else ""
        lines += wrapped(f"{one['level']}: {one['finding']}{remedy}", "  ", "    ")
    return lines
