"""How many decimals the numbers of a column show, told as they are read.

The most that one of its first :data:`GLANCE` entries has in its shortest form, zeros behind not
counted; where these are whole, on until one is not. So ``12.50`` and ``13.25`` show two, and a
column of ``1.0`` and ``2.0`` none, as one of 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

GLANCE = 100


def decimals_of(column: Any) -> int:
    """The most decimals that an entry of a column of floats has.

    >>> decimals_of(pa.array([1.0, 12.5, None, 3.25])), decimals_of(pa.array([1e-7, 1e20]))
    (2, 7)
    """
    finite = column.filter(pc.is_finite(column))
    return max(map(_of_word, finite.cast(pa.string()).to_pylist()), default=0)


def _of_word(word: str) -> int:
    mantissa, _, power = word.partition("e")
    digits = mantissa.partition(".")[2].rstrip("0")
    return max(0, len(digits) - int(power or 0))


class Decimals:
    """Looks at blocks of a table as they pass.

    Attributes:
        found: by the names of columns of numbers that hold any.
    """

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def passing(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The same blocks, looked at."""
        for table in tables:
            for field, column in zip(table.schema, table.columns, strict=True):
                self._look(field, column)
            yield table

    def _look(self, field: pa.Field, column: Any) -> None:
        name = field.name
        if pa.types.is_integer(field.type):
            if name not in self.found and column.null_count < len(column):
                self.found[name] = 0
            return
        seen = self._seen.get(name, 0)
        if not pa.types.is_floating(field.type) or (seen >= GLANCE and self.found[name]):
            return
        there = column.drop_null()
        if not len(there):
            return
        part = there.slice(0, max(GLANCE - seen, 0))
        most = max(self.found.get(name, 0), decimals_of(part))
        if not most and len(part) < len(there):
            values = np.asarray(there, np.float64)
            odd = values[np.isfinite(values) & (values != np.floor(values))]
            most = decimals_of(pa.array(odd[:GLANCE]))
        self.found[name] = most
        self._seen[name] = seen + len(part)
