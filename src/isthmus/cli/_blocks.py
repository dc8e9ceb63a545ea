"""What :func:`isthmus.cli._rows.opened` opens, as verbs take it: a table, or a source in blocks.

Verbs that work row by row take a source block by block, and the others by a sample of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.data.source import Source
    from isthmus.data.tables import Table

# Rows by which verbs judge that cannot go block by block.
MOST_SAMPLED = 20_000


def as_table(found: Table | Source) -> Table:
    """A table as it is; of a source all rows, or a random sample of them."""
    from isthmus.data.rows.taking import sample
    from isthmus.data.tables import Table as Whole

    if isinstance(found, Whole):
        return found
    return sample(found, MOST_SAMPLED)


def together(found: Table | Source) -> Table | None:
    """All rows as one table; None where they are too many for memory."""
    from isthmus.data.rows.taking import whole
    from isthmus.data.tables import Table as Whole
    from isthmus.estimators._sources import fits

    if isinstance(found, Whole):
        return found
    if not fits(found):
        return None
    return whole(found)


def picked(source: Source, positions: Any) -> Table:
    """The rows at these positions, rising."""
    from isthmus.data.rows.taking import take

    return take(source, positions)


def size(found: Table | Source) -> tuple[int, int]:
    """Rows and features."""
    from isthmus.data.source import n_rows
    from isthmus.data.tables import Table as Whole

    if isinstance(found, Whole):
        n, d = found.values.shape
        return int(n), int(d)
    return n_rows(found), math.prod(found.feature_shape)


def blocks(found: Table | Source, *, mixed: bool) -> Iterator[Any]:
    """What an estimator takes, in order: a table whole, a source block by block.

    Args:
        found: of :func:`opened`.
        mixed: whether the model is of a table with columns of any kind.
    """
    from isthmus.data.rows.taking import tables
    from isthmus.data.tables import Table as Whole

    if isinstance(found, Whole):
        yield found
    else:
        yield from tables(found, mixed)


def told_at_the_end(made: Iterator[Any]) -> Iterator[Any]:
    """The same blocks; what is to be said of unknown categories in all of them is said after the
    last one, before a file that is made of them is put in its place.
    """
    from isthmus.data.telling import told_once

    with told_once():
        yield from made
