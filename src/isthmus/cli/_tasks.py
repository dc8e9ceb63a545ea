"""Fits that go through and say nothing, or not what one may think: told before they begin."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from isthmus.cli._answer import warn
from isthmus.cli._words import plural

# Rows by which a column is given up that has a number twice, or a fraction.
_FIRST = 1000

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.estimators import Estimator, Progress


def warning(
    sentences: Sequence[str], listener: Callable[[Progress], None] | None
) -> Callable[[Progress], None]:
    """A listener that says them at the first round: input that is refused is one sentence alone."""
    left = list(sentences)

    def tell(progress: Progress) -> None:
        while left:
            warn(left.pop(0))
        if listener is not None:
            listener(progress)

    return tell


def empty_tasks(table: Table | Source, n_components: int) -> list[str]:
    """A sentence where whatever comes out says nothing, because there is nothing to learn."""
    from isthmus.data.tables import Table as Whole

    if not isinstance(table, Whole):
        return []
    from numpy import nanmax, nanmin

    from isthmus.data.columns.frames import is_mixed

    n_rows = len(table.values)
    if (
        not (table.frame is not None and is_mixed(table.frame))
        and n_rows > 1
        and bool((nanmin(table.values, axis=0) == nanmax(table.values, axis=0)).all())
    ):
        return [
            f"Every column of {table.origin} is constant, so there is nothing to learn. "
            "Check how it was made."
        ]
    if 1 < n_rows <= n_components + 1:
        return [
            f"{n_rows} rows are reproduced by {plural(n_components, 'component')} whatever they "
            "hold, so nothing can be learned from them. Give more rows, or ask for fewer "
            "components."
        ]
    return []


def identifiers(found: Table | Source) -> list[str]:
    """A sentence on columns of whole numbers that number the rows; of a source by its first rows.

    Images and series have no columns.
    """
    from itertools import islice

    import numpy as np

    from isthmus.cli._blocks import blocks
    from isthmus.data.advice import is_identifier
    from isthmus.data.rows.taking import is_mixed
    from isthmus.data.tables import Table as Whole
    from isthmus.data.tables import as_list, quoted, stand_in

    table = found
    if not isinstance(found, Whole):
        if len(found.feature_shape) > 1:
            return []
        from isthmus.data.rows.taking import table_of

        (first,) = islice(blocks(found, mixed=is_mixed(found)), 1)
        table = first if isinstance(first, Whole) else table_of(first, found.origin)
    assert isinstance(table, Whole)  # noqa: S101
    n_rows = len(table.values)
    names = table.names or tuple(stand_in(j) for j in range(table.values.shape[1]))
    some = table.values[:_FIRST]
    candidates = np.flatnonzero(
        (some == np.round(some)).all(0) & (np.diff(np.sort(some, axis=0), axis=0) > 0).all(0)
    )
    told = []
    for j in candidates:
        values = table.values[:, j]
        low, high = float(values.min()), float(values.max())
        different = bool((values == np.round(values)).all()) and len(np.unique(values)) == n_rows
        if is_identifier(names[j], n_rows, low, high, different):
            told.append(names[j])
    if not told:
        return []
    verb = "numbers" if len(told) == 1 else "number"
    return [
        f"{quoted(told)} of {table.origin} {verb} the rows, another whole number in each: mostly "
        f"an identifier, and no feature. Leave out with --drop {shlex.quote(as_list(told))}."
    ]


def too_wide(estimator: Estimator, table: Table) -> list[str]:
    """A sentence where the code is as wide as the rows, which only a regulariser makes sense of.

    Without one the fit refuses it.
    """
    k, n_features = estimator.n_components, table.values.shape[1]
    if not isinstance(k, int) or k < n_features:
        return []
    return [
        f"{plural(k, 'component')} are not fewer than the {plural(n_features, 'feature')}: it is "
        "the noise, penalty or KL term of the model alone that keeps the code from being a copy."
    ]
