"""How words in tables are read, where a user says it: what is text, what is missing, the encoding.

What was said of the rows of a fit is kept, and holds for later ones.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from isthmus.data.tables import quoted, spellings
from isthmus.errors import DataError, InvalidParameterError

MISSING_TOKENS = ("", "NA", "N/A", "NaN", "nan", "?", "null", "NULL", "None")
"""What stands for a missing entry in separated text, with or without a blank before it."""


@dataclass(frozen=True)
class Words:
    """How words are read, where a user says it.

    Args:
        text: columns of separated text that are text whatever they hold, such as postal codes.
        na_values: what stands for a missing entry, in place of :data:`MISSING_TOKENS`; None for
            these. The empty entry is missing in any case.
        known: how columns were written in a fit, by name: None of those that were text, and are
            where they are there; of numbers a :class:`isthmus.data.text.spelled.Reading`.
        fit: the same, :class:`isthmus.data.text.agreeing.Written`, until the columns of the file
            are known: see :meth:`among`.
        encoding: of separated text without a byte order mark; None for UTF-8.
        remembered: whether the encoding is that of another file: what is UTF-8 is read so then.

    Raises:
        InvalidParameterError: there is no such encoding.
    """

    text: tuple[str, ...] = ()
    na_values: tuple[str, ...] | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    fit: Any = None
    encoding: str | None = None
    remembered: bool = False

    def __post_init__(self) -> None:
        if self.encoding is not None:
            refuse_unknown(f"encoding={self.encoding!r}", self.encoding)

    @property
    def every_text(self) -> list[str]:
        """The columns that are text where they are there."""
        return [*self.text, *(name for name, how in self.known.items() if how is None)]

    @property
    def numbers(self) -> dict[str, Any]:
        """How columns of numbers were written in the fit."""
        known = {name: how for name, how in self.known.items() if how is not None}
        return {name: how for name, how in known.items() if name not in self.text}

    @property
    def missing(self) -> tuple[str, ...]:
        """What stands for a missing entry in separated text: a whole number with a zero after it
        as well, as columns of fractions write it.

        >>> Words(na_values=("NA", "-9")).missing
        ('', 'NA', '-9', '-9.0', '-9,0')
        """
        if self.na_values is None:
            return MISSING_TOKENS
        return ("", *spellings(self.na_values))

    def refuse_text(self, of: str) -> None:
        """Refuse to be told what is text where kinds are known, or there are no columns.

        Raises:
            InvalidParameterError: a column was named, or an encoding, and not for another file.
        """
        if self.encoding is not None and not self.remembered:
            raise InvalidParameterError(f"encoding={self.encoding!r}", f"has no meaning for {of}")
        if self.text:
            raise InvalidParameterError(f"text={self.text!r}", f"has no meaning for {of}")

    def among(self, labels: Sequence[str], named: bool) -> Words:
        """The same for a file with these columns, which has their names or not."""
        if self.fit is None:
            return self
        return replace(self, known=self.fit.of(labels, named), fit=None)

    def check(self, names: Sequence[str], origin: str) -> None:
        """Refuse a column that is not there.

        Raises:
            DataError: it is not.
        """
        missing = [name for name in self.text if name not in names]
        if missing:
            raise DataError(
                f"text={quoted(missing)}",
                f"must name columns of {origin}",
                f"It has {quoted(names, limit=20)}.",
            )


_OF_NAMES = ("idna", "punycode")
"""Encodings of names of hosts, not of text."""


def refuse_unknown(given: str, encoding: str) -> None:
    """Refuse what is no encoding of text.

    Raises:
        InvalidParameterError: Python has none of that name.
    """
    try:
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
        if codecs.lookup(encoding).name in _OF_NAMES:
            raise LookupError("of names of hosts")
    except (LookupError, ValueError) as error:
        raise InvalidParameterError(
            given, "must be an encoding of text", "Such as cp1252, latin-1, cp932 or gb18030."
        ) from error


AS_USUAL = Words()
"""Nothing was said."""
