"""How pyarrow is asked to parse separated text, and what stands in the way, by line and column.

Parsing is pyarrow's, with several threads; a second pass with one thread finds the number of a line
at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from isthmus.data.files.packed import ending_of, plain
from isthmus.data.files.spool import Spool
from isthmus.data.tables import drop_advice, flagged, quoted, refuse_duplicates, shown, stand_in
from isthmus.data.text.entries import Stray, signs_of
from isthmus.data.text.sniff import UTF8, Layout, is_number, layout_of
from isthmus.data.text.spelled import Spelled
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError

_BLANKS = re.compile(r"[\s|:]+")


@dataclass(frozen=True)
class TextFile:
    """A file of separated text, and how it is written.

    Args:
        path: of the file, or of its copy where it is packed.
        name: by which errors speak of it.
        layout: separator, header, decimal sign, ...
        missing: what stands for a missing entry.
        codes: whether an entry may be a code such as 00033.
        quotes: whether ends of lines may stand within quotes.
        held: the folder of the copy.
    """

    path: Path
    name: str
    layout: Layout
    missing: tuple[str, ...]
    codes: bool
    quotes: bool
    held: Spool | None = None

    @classmethod
    def of(cls, path: Path, name: str, words: Words = AS_USUAL) -> TextFile:
        """The file, after a glance at it.

        Raises:
            DataError: it is empty or no text (.txt: no table), or has two columns of one name.
        """
        text, held, note = plain(path, name, words)
        layout = replace(layout_of(text, name), encoded=note)
        if ending_of(path) == ".txt" and layout.n_columns == 1:
            first = layout.names[0] if layout.names else ""
            raise DataError(
                name,
                "must be a table; its first line has no tab, semicolon or comma",
                _separated(first, name) or "Name it .csv if it is one column.",
            )
        signs = signs_of(text, layout)
        file = cls(text, name, layout, words.missing, signs.codes, signs.quotes, held)
        refuse_duplicates(file.labels, name)
        return file

    @property
    def labels(self) -> list[str]:
        """Names of all columns; x0, x1, ... for those without one."""
        given = self.layout.names or ("",) * self.layout.n_columns
        return [label or stand_in(j) for j, label in enumerate(given)]

    def parsed(self, keep: Sequence[int], types: Any = None, *, raw: bool = False) -> Any:
        """A reader of the columns at these positions, which are named by them.

        Args:
            keep: positions.
            types: Arrow's, by the name of the column; told from the first block by default.
            raw: whether entries that stand for a missing one are text like any other.
        """
        return pacsv.open_csv(self.path, **self._options(keep, types, missing=() if raw else None))

    def strings(self, keep: Sequence[int], *, raw: bool = False) -> Any:
        """The same, all as text."""
        return self.parsed(keep, {str(j): pa.string() for j in keep}, raw=raw)

    def _options(
        self, keep: Sequence[int], types: Any, stop: Any = None, missing: Any = None
    ) -> dict[str, Any]:
        """Arguments for pyarrow: several threads, or one where ``stop`` sees odd rows.

        Threads get nothing of Python's: one that lets go of ``stop`` while the interpreter ends
        would abort the program. And rows are numbered only where one thread reads them.
        """
        layout = self.layout
        tokens = self.missing if missing is None else missing
        return {
            "read_options": pacsv.ReadOptions(
                use_threads=stop is None,
                block_size=layout.block,
                skip_rows=layout.skip,
                column_names=[str(j) for j in range(layout.n_columns)],
            ),
            "parse_options": pacsv.ParseOptions(
                delimiter=layout.separator,
                invalid_row_handler=stop,
                newlines_in_values=self.quotes,
            ),
            "convert_options": pacsv.ConvertOptions(
                null_values=[blank + token for token in tokens for blank in ("", " ")],
                strings_can_be_null=bool(tokens),
                # not 1 and 0, which would be numbers in one block and truth values in another
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
                decimal_point=layout.decimal,
                include_columns=[str(j) for j in keep],
                column_types=types,
            ),
        }

    def unparsed(self, keep: Sequence[int], error: Exception) -> DataError:
        """Why pyarrow could not parse it: a line of another length, which is looked for, or a word.

        The search is a pass with one thread, which numbers rows; what it reads it lets go.
        """
        if (odd := self._odd_byte()) is not None:  # which pyarrow cannot hand to ``stop``
            return self._not_utf8(*odd)
        ragged: list[Any] = []

        def stop(row: Any) -> str:
            ragged.append(row)
            return "error"

        with suppress(pa.ArrowInvalid):
            text = {str(j): pa.binary() for j in range(self.layout.n_columns)}
            for _ in pacsv.open_csv(self.path, **self._options(keep, text, stop)):
                pass
        if ragged:
            return self._ragged(ragged[0])
        return DataError(
            self.name,
            f"cannot be read as text separated by {self.layout.spoken} ({error})",
            "Check that each line is one row.",
        )

    def _ragged(self, row: Any) -> DataError:
        n = row.actual_columns
        number = row.number - self.layout.skip - 1 if row.number is not None else 0
        return DataError(
            f"line {self._line(number)} of {self.name}",
            f"must have {self.layout.n_columns} fields separated by"
            f" {self.layout.spoken}, as the first line has; it has {n}",
            "Mend that line; text that holds the separator must be in quotes.",
        )

    def _line(self, row: int) -> int:
        """The line, counted from 1 and with blank ones, where row ``row`` begins, from 0."""
        with self.path.open(encoding="latin-1") as file:  # any byte is a letter; lines' ends count
            return next(islice(self._begins(file), row, None), self.layout.skip + row) + 1

    def _begins(self, lines: Any) -> Iterator[int]:
        within = False
        for i, line in enumerate(lines):
            if i < self.layout.skip or (line == "\n" and not within):
                continue
            if not within:
                yield i
            within ^= bool(line.count('"') % 2)

    def refuse_stray(self, name: str, stray: Stray) -> None:
        """Say where the first word stands among the numbers of a column, if it does not belong.

        Raises:
            DataError: it does not.
        """
        if not stray.astray or stray.first is None:
            return
        row, value = stray.first
        more = f" (and {stray.words - 1} more like it)" if stray.words > 1 else ""
        raise DataError(
            f"line {self._line(row)} of {self.name}",
            f"must hold a number in column {name!r}; it holds {shown(value)}{more}"
            f"{self._other_sign(value)}",
            f"{self._remedy(value)} Or read the column as text: {flagged('text', name)}.",
        )

    def _other_sign(self, value: str) -> str:
        """Which decimal sign the file has, where the value has the other one."""
        if self._is_grouped(value):
            return ", which may be thousands"
        if not self._has_other_sign(value):
            return ""
        line, field = self.layout.fraction
        if self.layout.decimal == ".":
            return ", and numbers of the file have a decimal point"
        return f", and numbers of the file have a decimal comma, such as {field!r} in line {line}"

    def _has_other_sign(self, value: str) -> bool:
        other = {",": ".", ".": ","}[self.layout.decimal]
        return other in value and is_number(value, other)

    def _is_grouped(self, value: str) -> bool:
        group = re.escape({",": ".", ".": ","}[self.layout.decimal])
        return bool(re.fullmatch(rf"\s*[+-]?[1-9][0-9]{{0,2}}({group}[0-9]{{3}})+\s*", value))

    def _remedy(self, value: str) -> str:
        if self._is_grouped(value):
            return "Write the numbers of the column without signs between thousands."
        if self._has_other_sign(value):
            return "Write all numbers of the file with one decimal sign."
        found = Spelled()
        found.add(pa.array([value]))
        if found.possible:
            return (
                f"Write all numbers of the column in one way, best as 1234{self.layout.decimal}5."
            )
        return (
            "Mend it, or delete the line where it is no row (units, a total, other names); "
            f"missing entries are written {quoted(self.missing, limit=20)}, or as "
            "na_values= (on the command line --na-values) says."
        )

    def not_utf8(self) -> DataError:
        """Which byte is in the way."""
        return self._not_utf8(*(self._odd_byte() or (0, None)))

    def _not_utf8(self, line: int, byte: int | None) -> DataError:
        given = self.name if byte is None else f"line {line} of {self.name}"
        what = " other bytes" if byte is None else f" the byte {byte:#x}"
        return DataError(given, f"must be text in UTF-8; it holds{what}", UTF8)

    def _odd_byte(self) -> tuple[int, int] | None:
        """Line and value of the first byte that is not UTF-8's."""
        with self.path.open("rb") as file:
            for i, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    return i, line[error.start]
        return None


def refuse_blanks(column: Any, origin: str, first: str) -> None:
    """The only column of a file, if its first entry is numbers with blanks or bars between.

    Args:
        column: of Arrow.
        origin: the file.
        first: its first line, where that is a line of names.

    Raises:
        DataError: it is.
    """
    row = str(column.drop_null()[0]).strip()
    words = _BLANKS.split(row)
    if len(words) > 1 and all(is_number(word, ".") for word in words):
        raise DataError(
            f"{origin}",
            f"must be separated by commas, semicolons or tabs; a row is {shown(row)}",
            _separated(first or row, origin),
        )


def _separated(line: str, origin: str) -> str:
    """How a file whose first line has blanks, bars or colons between words becomes a table."""
    words = _BLANKS.split(line.strip())
    if len(words) < 2:
        return ""
    sign = next((sign for sign in "|:" if sign in line), "")
    if sign:
        return f"Add a first line sep={sign}, or save it with commas."
    header = ", header=None" * all(is_number(word, ".") for word in words)
    read = f"pandas.read_csv({origin!r}, sep=r'\\s+'{header})"
    return f"Save it with commas: {read}.to_csv('rows.csv', index=False)."


class RowNumbers:
    """Whether a first column that has no name counts the rows: an index, saved by mistake."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.start: int | None = None
        self.rows = 0
        self.counts = True

    def add(self, column: Any) -> None:
        """The next rows."""
        if not self.counts or not len(column):
            return
        values = column.to_numpy(zero_copy_only=False) if not column.null_count else None
        if values is None or values.dtype.kind not in "if":
            self.counts = False
            return
        if self.start is None:
            self.start = int(values[0]) if values[0] in (0, 1) else None
        expected = np.arange(len(values)) + self.rows
        self.counts = self.start is not None and np.array_equal(values, expected + self.start)
        self.rows += len(values)

    def refuse(self, origin: str) -> None:
        """Say so.

        Raises:
            DataError: it does count the rows.
        """
        if self.counts and self.start is not None:
            raise DataError(
                f"the first column of {origin}",
                f"must be a feature; it has no name, and counts the rows from {self.start}",
                f"{drop_advice([self.name])} Or give it a name, if it is meant.",
            )
