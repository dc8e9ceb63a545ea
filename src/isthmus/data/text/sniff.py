"""How a text file of numbers is written, told from its first lines that are not blank.

- The separator: what a first line ``sep=;`` states, as spreadsheets have it; else tab, semicolon
  or comma, the first of these that splits the first two lines into equally many fields (else the
  one that splits the first line into most).
- The decimal sign: a comma where the separator is not one and a field of the first 100 lines is
  written as 1,5 is; 1,234 may be a thousand, and does not tell where another field is written 1.5.
- The end of a line, and what stands before the first one, so that a file can be written likewise.
- A header: the first line, unless all of it is numbers (or missing). Numbers are names all the same
  where they are quoted above a line without quotes, and where they are 0, 1, 2, ... as pandas names
  columns. A first line of names and numbers, with text below every name, is a row of data unless
  the numbers are whole and different from one another; amounts above amounts count as numbers.
  Where it may be either, a note says what it was taken for.

Not promised: line breaks inside quotes, comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from isthmus.data.files.packed import plain
from isthmus.data.tables import quoted
from isthmus.data.text import foreign
from isthmus.data.text.spelled import is_amount
from isthmus.data.words import AS_USUAL, MISSING_TOKENS, Words
from isthmus.errors import DataError

SEPARATORS = ("\t", ";", ",")
UTF8 = (
    "Say its encoding, of Windows mostly encoding='cp1252' (on the command line "
    "--encoding cp1252), or save it as CSV in UTF-8."
)
"""The remedy for other encodings."""
HEAD = 1 << 20
"""Bytes read to see the first lines; doubled, up to LONGEST, while they are longer."""
LONGEST = 1 << 28
_MISSING = frozenset(MISSING_TOKENS)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_FRACTION = r"[+-]?\d+{0}\d+(?:[eE][+-]?\d+)?"
_GROUP = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_STATED = re.compile(r'"?sep=([^\w\s"\\]|\t)"?[,;]*', re.IGNORECASE)
SPOKEN = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """How the file is written.

    Args:
        separator: between fields.
        decimal: the decimal sign.
        names: of the columns, None without a header.
        n_columns: how many there are.
        skip: lines up to the first row, blank ones included.
        block: bytes to parse at a time.
        newline: what ends a line.
        before: what stands before the first line that is not blank: a byte order mark, a statement
            of the separator, blank lines.
        fraction: the line and the field from which a decimal comma was told.
        stated: whether the first line states the separator.
        doubt: what is to be said of the first line, where it may be names and may be a row.
        encoded: what is to be said of the encoding; mostly nothing.
    """

    separator: str
    decimal: str
    names: tuple[str, ...] | None
    n_columns: int
    skip: int
    block: int
    newline: str = "\n"
    before: str = ""
    fraction: tuple[int, str] = (0, "")
    stated: bool = False
    doubt: str = ""
    encoded: str = ""

    @property
    def spoken(self) -> str:
        """The separator, for a sentence."""
        return SPOKEN.get(self.separator, repr(self.separator))

    @property
    def notes(self) -> list[str]:
        """What is to be said of it."""
        stated = f"its first line states that {self.spoken} separate it" if self.stated else ""
        return [note for note in (stated, self.doubt, self.encoded) if note]


def layout_of(path: Path, origin: str, words: Words = AS_USUAL) -> Layout:
    """How the text in a file is written, packed or not, in the encoding that is stated or in UTF-8.

    Raises:
        DataError: it is empty, or no text.
    """
    text, _held, note = plain(path, origin, words)
    lines, before, newline = _first_lines(text, origin)
    said = _STATED.fullmatch(lines[0][1].rstrip(" ")) if lines else None
    skipped = 0
    if said:
        skipped, before = lines[0][0] + 1, before + lines[0][1] + newline
        lines = lines[1:]
    if not lines:
        raise DataError(f"{origin}", "is empty", "Check how it was made.")
    at, first = lines[0]
    before += newline * (at - skipped)
    second = lines[1][1] if len(lines) > 1 else ""
    separator = said[1] if said else _separator(first, second)
    rows = [split(line, separator) for _, line in lines]
    _refuse_preamble(lines, [separator, *(() if said else SEPARATORS)], origin)
    fraction = _decimal_comma(lines, rows) if separator != "," else None
    decimal = "," if fraction else "."
    below = rows[1] if len(rows) > 1 else []
    quotes = first.lstrip().startswith('"') and bool(second) and '"' not in second
    header = quotes or _is_header(rows[0], below, decimal)
    block = max(HEAD, 8 * max(len(line) for _, line in lines))
    names = tuple(rows[0]) if header else None
    return Layout(
        separator,
        decimal,
        names,
        len(rows[0]),
        at + 1 if header else skipped,
        block,
        newline,
        before,
        fraction or (0, ""),
        said is not None,
        "" if quotes else _doubt(rows[0], below, header, decimal),
        note,
    )


def _refuse_preamble(lines: list[tuple[int, str]], signs: list[str], origin: str) -> None:
    """Refuse lines before the line of names, by their own number: a title, a comment.

    They have fewer fields than all lines after them; where they have no separator, lines of numbers
    tell which of those that come next it is.

    Raises:
        DataError: there are some.
    """
    if any('"' in line for _, line in lines):  # a line may end within quotes
        return
    bare = len(split(lines[0][1], signs[0])) == 1
    for sign in dict.fromkeys(signs if bare else signs[:1]):
        rows = [split(line, sign) for _, line in lines]
        n = len(rows[-1])
        k = next(i for i in range(len(rows)) if all(len(row) == n for row in rows[i:]))
        told = sign == signs[0] or any(is_number(field, ".") for field in rows[-1])
        if 0 < k <= len(rows) - 2 and told and n > max(map(len, rows[:k])):
            first = len(rows[0])
            remedy = "Delete what stands before the names, or name every column."
            if first == 1 and n == 2 and sign == ",":
                remedy += " Where commas are decimal signs of one column, put the line sep=; first."
            elif 2 * first == n and sign == ",":
                remedy += " Where commas are decimal signs as well, put semicolons between columns."
            elif first + 1 == n and not any(row[-1] for row in rows[k:]):
                remedy += " Or delete the separator at the end of the lines after it."
            raise DataError(
                f"line {lines[0][0] + 1} of {origin}",
                f"must name {n} columns, as many as line {lines[k][0] + 1} and those after it have "
                f"fields separated by {SPOKEN.get(sign, repr(sign))}; it has {first}",
                remedy,
            )


def _decimal_comma(lines: list[tuple[int, str]], rows: list[list[str]]) -> tuple[int, str] | None:
    """The line, from 1, and the field that tell of a decimal comma; None where none does.

    ``1,234`` does not: it may be thousands.
    """
    for (at, _), row in zip(lines, rows, strict=True):
        for field in row:
            if re.fullmatch(_FRACTION.format(","), field) and not _GROUP.fullmatch(field):
                return at + 1, field
    return None


def _first_lines(path: Path, origin: str) -> tuple[list[tuple[int, str]], str, str]:
    """Up to 101 lines that are not blank, at least three if there are, each with its position; the
    byte order mark; what ends a line.
    """
    size = HEAD
    while True:
        with path.open("rb") as file:
            head = file.read(size)
            whole = not file.read(1)
        mark = b"\xef\xbb\xbf" if head.startswith(b"\xef\xbb\xbf") else b""
        lines = head.removeprefix(mark).splitlines()
        if not whole and len(lines) > 1:
            lines.pop()  # it may be cut
        found = [(i, line) for i, line in enumerate(lines) if line.strip()][:101]
        if len(found) > 2 or whole or size >= LONGEST:
            break
        size *= 2
    foreign.refuse(head, origin)
    if b"\0" in head:
        raise DataError(
            f"{origin}",
            "must be text in UTF-8; it holds zero bytes, as workbooks and UTF-16 do",
            "Save it as CSV in UTF-8.",
        )
    try:
        newline = "\r\n" if b"\r\n" in head else "\n"
        return [(i, line.decode("utf-8")) for i, line in found], mark.decode(), newline
    except UnicodeDecodeError as error:
        raise DataError(
            f"{origin}",
            f"must be text in UTF-8; near its start is the byte {error.object[error.start]:#x}",
            UTF8,
        ) from error


def split(line: str, separator: str) -> list[str]:
    """The fields of a line, without quotes and blanks around them.

    >>> split('1; "a; 2";', ";")
    ['1', 'a; 2', '']
    """
    if '"' not in line:
        return [field.strip() for field in line.split(separator)]
    s = re.escape(separator)
    field = re.compile(rf'(?:^|{s}) *(?:"((?:[^"]|"")*)" *(?={s}|$)|([^{s}]*))')
    return [q.replace('""', '"').strip() or bare.strip() for q, bare in field.findall(line)]


def _separator(first: str, second: str) -> str:
    counts = {separator: len(split(first, separator)) for separator in SEPARATORS}
    for separator, n in counts.items():
        if n > 1 and (not second or n == len(split(second, separator))):
            return separator
    return max(reversed(SEPARATORS), key=lambda separator: counts[separator])


def is_number(field: str, decimal: str) -> bool:
    """Whether a field is a number with this decimal sign."""
    return bool(_NUMBER.fullmatch(field.replace(decimal, ".") if decimal != "." else field))


def _is_header(first: list[str], second: list[str], decimal: str) -> bool:
    amounts = _amounts(first, second)
    numbers = [f for j, f in enumerate(first) if is_number(f, decimal) or j in amounts]
    texts = [j for j, f in enumerate(first) if f not in _MISSING and not is_number(f, decimal)]
    texts = [j for j in texts if j not in amounts]
    if texts:  # beside words, inf is one: inflation, say
        numbers = [field for field in numbers if any(sign.isdigit() for sign in field)]
    if not numbers:  # empty fields alone are names that were left out
        return bool(texts) or not any(first)
    if not texts:
        return _counted(first) and (first[0] == "" or second[:1] != [str(len(first))])
    if len(second) == len(first) and any(
        second[j] in _MISSING or is_number(second[j], decimal) for j in texts
    ):
        return True
    return all(field.isdigit() for field in numbers) and len(set(numbers)) == len(numbers)


def _counted(first: list[str]) -> bool:
    """Whether they are 0, 1, 2, ..., after an empty one above the rows' own numbers or not."""
    tail = first[1:] if first[0] == "" else first
    return tail == [str(j) for j in range(len(tail))] and len(tail) > 2


def _amounts(first: list[str], second: list[str]) -> set[int]:
    """Where two lines have amounts one above the other, such as ``1.218,50 €``."""
    if len(second) != len(first):
        return set()
    return {
        j for j, pair in enumerate(zip(first, second, strict=True)) if all(map(is_amount, pair))
    }


def _doubt(first: list[str], second: list[str], header: bool, decimal: str) -> str:
    """What is to be said of a first line that may be names as well as a row; mostly nothing."""
    numbers = [f for f in first if is_number(f, decimal) and any(map(str.isdigit, f))]
    if header and not any(first):
        return "its first line is empty and taken for names that were left out, not for a row"
    if header and numbers and not _counted(first):
        return (
            f"its first line names the columns, {quoted(numbers)} among the names; where it is a "
            "row, put a line of names above it"
        )
    if not header and len(first) > 2 and _evenly(first) and not _evenly(second):
        return (
            f"its first line, {', '.join(first[:5])}{', ...' * (len(first) > 5)}, is taken for a "
            "row; where it names the columns, write the names in quotes"
        )
    return ""


def _evenly(fields: list[str]) -> bool:
    """Whether they are whole numbers that rise by the same step, as years do."""
    if not all(field.isdigit() and len(field) < 10 for field in fields):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(fields)}
    return len(steps) == 1 and min(steps) > 0
