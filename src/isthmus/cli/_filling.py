"""A table with its holes filled in: all of its columns, and of those that are features the holes.

What is there stays to the letter where text is written as text, and to the value and type anywhere
else. A column of whole numbers is filled with whole numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.data.carrying import Carried
    from isthmus.data.source import Source
    from isthmus.data.tables import Table, Words
    from isthmus.data.text.agreeing import Spelling


class Filler:
    """Takes what a model makes of rows, block by block, and fills the holes of the file with it.

    Args:
        carried: all columns.
        features: names of those that the model takes, in its order.
        kinds: Arrow's types of the features as they are read.
        spelling: how their numbers are written, where they are text.
    """

    def __init__(
        self,
        carried: Carried,
        features: Sequence[str],
        kinds: Sequence[Any],
        spelling: Spelling | None,
    ) -> None:
        self._spelling = spelling
        self._carried, self._features, self._kinds = carried, features, kinds
        self._layout = carried.layout
        self.beside = [name for name in carried.names if name not in features]

    @classmethod
    def of(
        cls,
        found: Table | Source,
        data: str | os.PathLike[str],
        out: str,
        left: Sequence[str],
        words: Words,
    ) -> Filler | None:
        """For these rows of a table; None where there is no table, or only numbers are written.

        Args:
            found: the features, of :func:`isthmus.cli._rows.of_run`.
            data: where they are from.
            out: the file to write.
            left: columns that are no features, where they have no names.
            words: how text is written there.
        """
        from isthmus.cli._blocks import size
        from isthmus.data.carrying import carried

        ending = Path(out).suffix.lower()
        frame = getattr(found, "frame", None)
        schema = getattr(found, "schema", None) if frame is None else frame.schema
        if schema is None or ending == ".npy":
            return None
        every = carried(data, written=ending == ".csv", words=words)
        if every is None:
            return None
        features = every.features(found.names, left, size(found)[1])
        return cls(every, features, schema.types, getattr(found, "spelling", None))

    def filled(self, made: Any, gone: Any) -> Any:
        """The next rows of the file.

        Args:
            made: what the model makes of them, an Arrow table of the features or numbers (n, D).
            gone: (n, D), where an entry is missing.
        """
        import pyarrow as pa

        from isthmus.data.columns.encoded_column import filled_numbers
        from isthmus.data.text import filling
        from isthmus.data.text.spelled import Reading

        rows = self._carried.take(len(gone))
        for j, name in enumerate(self._features):
            at = rows.schema.get_field_index(name)
            given = rows.column(at)
            if isinstance(made, pa.Table):
                column = made.column(j)
            else:
                was = given if self._layout is None else pa.nulls(len(gone), self._kinds[j])
                column = filled_numbers(was, gone[:, j], made[:, j])
            if self._layout is not None:
                if not gone[:, j].any():
                    continue
                how = Reading(self._layout.decimal)
                how = how if self._spelling is None else self._spelling.of(name)
                column = filling.filled(given, column, gone[:, j], how)
            rows = rows.set_column(at, rows.schema.field(at).with_type(column.type), column)
        return rows.replace_schema_metadata(self._carried.source.metadata)

    def write(self, out: str, tables: Iterator[Any]) -> None:
        """Write the rows.

        Raises:
            RunError: the file cannot be written.
        """
        from isthmus.data.writers import write_frames, write_lines

        layout = self._layout
        if layout is None:
            write_frames(out, tables)
            return
        given = layout.names
        header = given and [*given, *self._carried.names[len(given) :]]
        # no tabs in .csv, and no comma between decimal commas
        other = ";" if layout.decimal == "," else ","
        tabs = layout.separator == "\t" and not layout.stated
        write_lines(
            out,
            tables,
            header=header,
            separator=other if tabs else layout.separator,
            newline=layout.newline,
            before=layout.before,
            blanks=self._carried.blanks,
        )
