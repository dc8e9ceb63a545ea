"""Held-out figures in plain words; the same ones after a fit and in ``info``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.cli._answer import number

if TYPE_CHECKING:
    from isthmus.estimators import Estimator

_APART, _IN_TURN = "held-out rows", "rows held out in turn"


def squared_units(scaling: str, likelihood: str = "") -> str:
    """Unit of a squared error over features, for a kind of scaling and the likelihood's name.

    Features that were scaled each by its own deviation have no common unit of the data.

    >>> squared_units("common"), squared_units("standard")
    ('squared data units', 'squared standard deviations')
    >>> squared_units("standard", "joint")  # of a mixed table
    'squared standard deviations and Brier scores'
    """
    if likelihood == "joint":
        from isthmus.evaluation.versus_pca import MIXED_UNIT

        return MIXED_UNIT
    return "squared standard deviations" if scaling == "standard" else "squared data units"


def squared_errors(model: Estimator, x: Any, result: Any) -> Any:
    """Squared error of each row, (N,), in the unit of :func:`squared_units`; over known entries.

    Of a mixed table x is the table, and the error that of the estimator's ``squared_errors``.
    """
    if model.encoding_ is not None:
        return model.squared_errors(x)
    from isthmus.evaluation.reconstruction import squared_error

    scaling = model.scaling_
    weight = (scaling.unit / scaling.scale).numpy()
    return squared_error(x * weight, result * weight)


def plural(count: int, word: str) -> str:
    """A count and its noun.

    >>> plural(1, "row"), plural(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def in_bytes(size: float) -> str:
    """A size in its unit, three digits.

    >>> in_bytes(12), in_bytes(1_994), in_bytes(999_600)
    ('12 bytes', '1.99 kB', '1 MB')
    """
    for unit in ("bytes", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def held_out(
    fit: Any,
    n_components: int,
    history: Sequence[Mapping[str, float]],
    unit: str,
    n_rows: int = 0,
) -> dict[str, Any]:
    """What a fit came to, for a program and for :func:`verdict`.

    Args:
        fit: an object with the fitted attributes, such as an estimator.
        n_components: K.
        history: its rounds.
        unit: of its squared error, :func:`squared_units`.
        n_rows: of the fit.
    """
    first = history[0] if history else {}
    return {
        **_share(fit, n_components),
        "n_epochs": fit.n_epochs_,
        "n_steps": fit.n_steps_,
        "validation": fit.validation_,
        "start_validation": first.get("validation", math.nan),
        "squared_error": fit.squared_error_,
        "pca_squared_error": fit.pca_squared_error_,
        "unit": unit,
        "judged_on": _judged_on(getattr(fit, "held_out_", None), n_rows),
        "stayed_linear": fit.stayed_linear_,
        "interrupted": fit.interrupted_,
        "diverged": getattr(fit, "diverged_", False),
        "training_seconds": history[-1]["seconds"] if history else math.nan,
    }


def _judged_on(judged: Any, n_rows: int) -> str:
    """Where every row was held out, it was by cross-validation: each by a model of its own."""
    return _IN_TURN if judged is not None and len(judged.rows) == n_rows else _APART


def _share(fit: Any, n_components: int) -> dict[str, Any]:
    """By how much less the error is than PCA's, with its interval; nothing if rows are not known.

    Where the model stayed at PCA, its error is PCA's on other rows: there is nothing to compare.
    """
    judged = getattr(fit, "held_out_", None)
    if judged is None or len(judged.rows) < 2 or fit.stayed_linear_:
        return {}
    from isthmus.evaluation import versus_pca

    found = versus_pca.verdict(
        judged.squared_error, judged.pca_squared_error, n_components, curve=fit.pca_curve_
    )
    return {
        "less_than_pca": found.share,
        "less_than_pca_low": found.low,
        "less_than_pca_high": found.high,
        "n_components_pca_needs": found.n_to_match,
    }


def verdict(figures: Mapping[str, Any], n_components: int, parameters: Mapping[str, Any]) -> str:
    """How the model does against its start and against PCA on rows that it was not fitted to.

    The start is told only for likelihoods that are not Gaussian: what such a model is trained for
    is its likelihood, of which a squared error says little.

    Args:
        figures: those of :func:`held_out`.
        n_components: K.
        parameters: of the estimator; ``beta`` and ``likelihood`` name the linear start.

    >>> figures = {"squared_error": 3.0, "pca_squared_error": 4.0, "stayed_linear": False}
    >>> print(verdict({**figures, "unit": "squared data units"}, 2, {}))
    25% less squared error than PCA at 2 dimensions on held-out rows, 3 against 4 squared data units
    per row.
    """
    loss = _loss(figures, parameters)
    return f"{loss} {_squared(figures, n_components, parameters)}".strip()


def _loss(figures: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    loss, start = _number(figures.get("validation")), _number(figures.get("start_validation"))
    if _is_gaussian(parameters) or figures["stayed_linear"] or math.isnan(loss + start):
        return ""
    change = f"{number(abs(start - loss))} {'less' if loss <= start else 'more'}"
    begin = "at its linear start" if parameters.get("linear_start", True) else "before training"
    return (
        f"Held-out loss {number(loss)} nats per row, {change} than {begin} "
        f"({parameters['likelihood']}, lower is better)."
    )


def _squared(figures: Mapping[str, Any], n_components: int, parameters: Mapping[str, Any]) -> str:
    from isthmus.evaluation import versus_pca

    error, line = _number(figures["squared_error"]), _number(figures["pca_squared_error"])
    per_row = f"{figures.get('unit', squared_units('common'))} per row"
    rows = figures.get("judged_on", _APART)
    if figures["stayed_linear"]:
        why = f"nothing better was found on {rows}"
        if figures.get("diverged"):
            why = "training diverged"
        told = "" if math.isnan(error) else f" Squared error {number(error)} {per_row}."
        if line > 0 and error > (1 + versus_pca.SHRUNK) * line:
            told = f"{told[:-1]}; PCA has {number(line)}: beta or the penalties shrink it."
        return f"It stayed at {_start(parameters)}: {why}.{told}"
    if math.isnan(error):
        return "No rows were held out, so there is no comparison with PCA."
    if math.isnan(line):
        return f"Squared error on {rows} {number(error)} {per_row}."
    known = "less_than_pca" in figures
    share = 1 - error / line if line > 0 else (0.0 if error == line else -math.inf)
    return versus_pca.sentence(
        share,
        n_components,
        (figures["less_than_pca_low"], figures["less_than_pca_high"]) if known else None,
        rows=rows,
        figures=f"{number(error)} against {number(line)} {per_row}",
        n_to_match=figures.get("n_components_pca_needs"),
    )


def _is_gaussian(parameters: Mapping[str, Any]) -> bool:
    return str(parameters.get("likelihood", "gaussian")).startswith("gaussian")


def _start(parameters: Mapping[str, Any]) -> str:
    if not _is_gaussian(parameters):
        return "its linear start"
    return "PCA" if parameters.get("beta") is None else "probabilistic PCA"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def written(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the rows of a fit were written, where it was not as usual: their numbers, and what was
    said to be missing.

    Args:
        data: what a run says of the rows of its fit.
    """
    words = data.get("na_values")
    gone = []
    if words is not None:
        gone = [("missing", ", ".join(map(repr, words)) or "empty entries alone")]
    spelling = data.get("spelling")
    if spelling is None:
        return gone
    shown = [f"{name} as {signs['example']}" for name, signs in spelling["columns"].items()]
    shown += ["decimal commas"] if spelling["decimal"] == "," else []
    more = [f"{len(shown) - 5} more"] if len(shown) > 5 else []
    return ([("written", ", ".join([*shown[:5], *more]))] if shown else []) + gone
