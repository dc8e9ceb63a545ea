"""How a text file of numbers is written, told from its first lines that are not blank.

- The separator: tab, semicolon or comma, the first of these that splits the first two lines into
  equally many fields (else the one that splits the first line into most).
- The decimal sign: a comma where the separator is not one and a field of the first 100 lines is
  written as 1,5 is.
- A header: the first line, unless all of it is numbers (or missing). Numbers are names all the same
  where they are quoted above a line without quotes, and where they are 0, 1, 2, ... as pandas names
  columns. A first line of names and numbers, with text below every name, is a row of data unless
  the numbers are whole and different from one another.

Not promised: line breaks inside quotes, comments, encodings other than UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from isthmus.data.tables import MISSING_TOKENS
from isthmus.errors import DataError

SEPARATORS = ("\t", ";", ",")
HEAD = 1 << 20
"""Bytes read to see the first lines; doubled, up to LONGEST, while they are longer."""
LONGEST = 1 << 28
_MISSING = frozenset(MISSING_TOKENS)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Layout:
    """How the file is written; ``skip`` counts lines up to the first row, blank ones included."""

    separator: str
    decimal: str
    names: tuple[str, ...] | None
    n_columns: int
    skip: int
    block: int


def layout_of(path: Path, origin: str) -> Layout:
    lines = _first_lines(path, origin)
    if not lines:
        raise DataError(f"{origin}", "is empty", "Check how it was made.")
    at, first = lines[0]
    second = lines[1][1] if len(lines) > 1 else ""
    separator = _separator(first, second)
    rows = [split(line, separator) for _, line in lines]
    comma = separator != "," and any(_DECIMAL_COMMA.fullmatch(f) for row in rows for f in row)
    decimal = "," if comma else "."
    below = rows[1] if len(rows) > 1 else []
    quotes = first.lstrip().startswith('"') and bool(second) and '"' not in second
    header = quotes or _is_header(rows[0], below, decimal)
    block = max(HEAD, 8 * max(len(line) for _, line in lines))
    names = tuple(rows[0]) if header else None
    return Layout(separator, decimal, names, len(rows[0]), at + 1 if header else 0, block)


def _first_lines(path: Path, origin: str) -> list[tuple[int, str]]:
    """Up to 100 lines that are not blank, at least two if there are, each with its position."""
    size = HEAD
    while True:
        with path.open("rb") as file:
            head = file.read(size)
            whole = not file.read(1)
        lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
        if not whole and len(lines) > 1:
            lines.pop()  # it may be cut
        found = [(i, line) for i, line in enumerate(lines) if line.strip()][:100]
        if len(found) > 1 or whole or size >= LONGEST:
            break
        size *= 2
    if b"\0" in head:
        raise DataError(
            f"{origin}",
            "must be text in UTF-8; it holds zero bytes, as workbooks and UTF-16 do",
            "Save it as CSV in UTF-8.",
        )
    try:
        return [(i, line.decode("utf-8")) for i, line in found]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{origin}",
            f"must be text in UTF-8; near its start is the byte {error.object[error.start]:#x}",
            "Save it as CSV in UTF-8.",
        ) from error


def split(line: str, separator: str) -> list[str]:
    """The fields of a line, without quotes and blanks around them.

    >>> split('1; "a; 2";', ";")
    ['1', 'a; 2', '']
    """
    if '"' not in line:
        return [field.strip() for field in line.split(separator)]
    s = separator
    field = re.compile(rf'(?:^|{s}) *(?:"((?:[^"]|"")*)" *(?={s}|$)|([^{s}]*))')
    return [q.replace('""', '"').strip() or bare.strip() for q, bare in field.findall(line)]


def _separator(first: str, second: str) -> str:
    counts = {separator: len(split(first, separator)) for separator in SEPARATORS}
    for separator, n in counts.items():
        if n > 1 and (not second or n == len(split(second, separator))):
            return separator
    return max(reversed(SEPARATORS), key=lambda separator: counts[separator])


def is_number(field: str, decimal: str) -> bool:
    return bool(_NUMBER.fullmatch(field.replace(decimal, ".") if decimal != "." else field))


def _is_header(first: list[str], second: list[str], decimal: str) -> bool:
    numbers = [field for field in first if is_number(field, decimal)]
    texts = [j for j, f in enumerate(first) if f not in _MISSING and not is_number(f, decimal)]
    if not numbers:
        return bool(texts)
    tail = first[1:] if first[0] == "" else first
    counted = tail == [str(j) for j in range(len(tail))] and len(tail) > 2
    if not texts:
        return counted and (first[0] == "" or second[:1] != [str(len(tail))])
    if len(second) == len(first) and any(
        second[j] in _MISSING or is_number(second[j], decimal) for j in texts
    ):
        return True
    return all(field.isdigit() for field in numbers) and len(set(numbers)) == len(numbers)
