"""Held-out figures in plain words; the same ones after a fit and in ``info``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from isthmus.cli._answer import number

SQUARED_ERROR = "squared error per row in squared data units, lower is better"


def plural(count: int, word: str) -> str:
    """A count and its noun.

    >>> plural(1, "row"), plural(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def verdict(figures: Mapping[str, Any], n_components: int, parameters: Mapping[str, Any]) -> str:
    """How the model does against PCA on rows that it was not fitted to.

    Args:
        figures: ``squared_error``, ``pca_squared_error`` (per row) and ``stayed_linear``.
        n_components: K.
        parameters: of the estimator; ``beta`` and ``likelihood`` name the linear start.

    >>> figures = {"squared_error": 3.0, "pca_squared_error": 4.0, "stayed_linear": False}
    >>> print(verdict(figures, 2, {}))
    25% less squared error than PCA with the same 2 components, on held-out rows: 3 against 4 per
    row.
    """
    error, line = _number(figures["squared_error"]), _number(figures["pca_squared_error"])
    same = f"PCA with the same {plural(n_components, 'component')}"
    if figures["stayed_linear"]:
        return f"It stayed at {_start(parameters)}: nothing better was found on held-out rows." + (
            "" if math.isnan(error) else f" Squared error {number(error)} per row."
        )
    if math.isnan(error):
        return "No rows were held out, so there is no comparison with PCA."
    if math.isnan(line):
        return f"Squared error on held-out rows {number(error)} per row."
    figure = f"on held-out rows: {number(error)} against {number(line)} per row."
    percent = round(100 * (1 - error / line)) if line > 0 else (0 if error == line else -math.inf)
    if percent == 0:
        return f"The same squared error as {same}, {figure}"
    if percent <= -100:
        return f"More than twice the squared error of {same}, {figure}"
    return (
        f"{abs(percent)}% {'less' if percent > 0 else 'more'} squared error than {same}, {figure}"
    )


def _start(parameters: Mapping[str, Any]) -> str:
    if not str(parameters.get("likelihood", "gaussian")).startswith("gaussian"):
        return "its linear start"
    return "PCA" if parameters.get("beta") is None else "probabilistic PCA"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
