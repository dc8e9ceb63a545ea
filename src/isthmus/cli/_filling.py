"""A table with its holes filled in: all of its columns, and of those that are features the holes.

What is there stays to the letter where text is written as text, and to the value and type anywhere
else. A column of whole numbers is filled with whole numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.data.carrying import Carried
    from isthmus.data.source import Source
    from isthmus.data.tables import Table
    from isthmus.data.text.filling import Way
    from isthmus.data.words import Words


class Filler:
    """Takes what a model makes of rows, block by block, and fills the holes of the file with it.

    Args:
        carried: all columns.
        features: names of those that the model takes, in its order.
        kinds: Arrow's types of the features as they are read.
        ways: how their numbers are written, where they are text.
    """

    def __init__(
        self,
        carried: Carried,
        features: Sequence[str],
        kinds: Sequence[Any],
        ways: Mapping[str, Way],
    ) -> None:
        self._ways = ways
        self._carried, self._features, self._kinds = carried, features, kinds
        self._layout = carried.layout
        self.encoding = carried.encoding
        self.beside = [name for name in carried.names if name not in features]

    @classmethod
    def of(
        cls,
        model: Any,
        found: Table | Source,
        data: str | os.PathLike[str],
        out: str,
        left: Sequence[str],
        words: Words,
    ) -> Filler | None:
        """For these rows of a table; None where there is no table, or only numbers are written.

        Args:
            model: the estimator.
            found: the features, of :func:`isthmus.cli._rows.of_run`.
            data: where they are from.
            out: the file to write.
            left: columns that are no features, where they have no names.
            words: how text is written there.

        Raises:
            DataError: it cannot be read, or its files are written in several ways.
        """
        from isthmus.cli._blocks import size
        from isthmus.data.carrying import carried
        from isthmus.data.text.agreeing import Spelling
        from isthmus.data.text.filling import ways

        ending = Path(out).suffix.lower()
        frame = getattr(found, "frame", None)
        schema = getattr(found, "schema", None) if frame is None else frame.schema
        if schema is None or ending == ".npy":
            return None
        every = carried(data, written=ending == ".csv", words=words)
        if every is None:
            return None
        features = every.features(found.names, left, size(found)[1])
        kinds, spelling = schema.types, getattr(found, "spelling", None)
        if every.layout is None:
            return cls(every, features, kinds, {})
        several = [] if spelling is None else [n for n in features if n in spelling.several]
        na_values = getattr(found, "na_values", None)
        every.refuse_mixture(several, replace(words, na_values=na_values).missing)
        fit, names, named = model.written_, schema.names, found.names is not None
        known, shows = fit.of(names, named), fit.shown(names, named)
        here = dict(zip(names, features, strict=True))
        made = ways(
            dict(zip(features, kinds, strict=True)),
            Spelling(every.layout.decimal) if spelling is None else spelling,
            {here[name]: how for name, how in known.items() if name in here},
            {here[name]: n for name, n in shows.items() if name in here},
        )
        if model.encoding_ is not None:
            for name, kind in zip(features, model.encoding_.kinds.values(), strict=True):
                made[name] = replace(made[name], positive=kind == "positive")
        return cls(every, features, kinds, made)

    def wider(self, block: Any) -> Any:
        """Rows for the model, with columns of whole numbers that may be filled with fractions as
        floats."""
        import pyarrow as pa

        frame = block if isinstance(block, pa.Table) else block.frame
        if frame is None:
            return block
        schema = frame.schema
        for j, name in enumerate(self._features):
            way = self._ways.get(name)
            if way is not None and way.decimals is not None and _is_whole(schema.field(j).type):
                schema = schema.set(j, schema.field(j).with_type(pa.float64()))
        frame = frame.cast(schema, safe=False)  # as the fit rounds beyond 2**53
        return frame if isinstance(block, pa.Table) else replace(block, frame=frame)

    def filled(self, made: Any, gone: Any) -> Any:
        """The next rows of the file.

        Args:
            made: what the model makes of them, an Arrow table of the features or numbers (n, D).
            gone: (n, D), where an entry is missing.
        """
        import pyarrow as pa

        from isthmus.data.columns.encoded_column import filled_numbers
        from isthmus.data.text import filling

        rows = self._carried.take(len(gone))
        for j, name in enumerate(self._features):
            at = rows.schema.get_field_index(name)
            given = rows.column(at)
            if isinstance(made, pa.Table):
                column = made.column(j)
            else:
                known = self._ways.get(name)
                kind = pa.float64() if known and known.decimals is not None else self._kinds[j]
                was = given if self._layout is None else pa.nulls(len(gone), kind)
                column = filled_numbers(was, gone[:, j], made[:, j])
            if self._layout is not None:
                if not gone[:, j].any():
                    continue
                column = filling.filled(given, column, gone[:, j], self._ways[name])
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
        write_lines(
            out,
            tables,
            header=header,
            separator=layout.separator,
            newline=layout.newline,
            before=layout.before,
            blanks=self._carried.blanks,
        )


def _is_whole(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_null(kind))
