"""Files that are no separated text, whatever their names end with: told by how they begin.

Not promised: every program's files. What is not known here is told of as text that is no table.
"""

from __future__ import annotations

import re

from isthmus.errors import DataError

_CSV = "to_csv('rows.csv', index=False)"
_PACKED = "Give it the ending that tells so, {0}, after its own: rows.csv{0}."
_PROGRAM = "Save it as CSV with the program that made it."
_DRAWN = (
    "Delete the lines of dashes and the bars at the ends of lines, and put the line sep=| first."
)
# The first line or the second, of dashes and signs between columns: |---|:--:|, ---+---, === ===
_RULE = rb"(?:[^\n]*\n)?[ \t]*(?:%s)[ \t]*(?:\r?\n|$)"
_BARS = rb"(?=[^\n]*[=-]{2})[|+][ :=+|-]+|:?-{2,}:? ?(?:[|+] ?:?-{2,}:? ?)+"

_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x1f\x8b", "packed by gzip", _PACKED.format(".gz")),
    (rb"BZh(?=.*\0)", "packed by bzip2", _PACKED.format(".bz2")),
    (rb"\x28\xb5\x2f\xfd", "packed by zstd", _PACKED.format(".zst")),
    (rb"\xfd7zXZ\0|7z\xbc\xaf|Rar!", "packed", "Unpack it, or pack it by gzip: rows.csv.gz."),
    (rb"PAR1(?=.*\0)", "Parquet", "Name it .parquet."),
    (rb"ARROW1(?=.*\0)", "Arrow", "Name it .arrow."),
    (rb"\x93NUMPY", "an array of NumPy", "Name it .npy."),
    (rb"\x89HDF", "HDF5", "Name it .h5."),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "an image", "Name it .png, .jpg or .gif, in a folder."),
    (rb"\x80[\x02-\x05]", "a pickle", "Save it as CSV or Parquet with what made it."),
    (
        rb"SQLite format 3\0",
        "a database of SQLite",
        f"Save it as CSV: pandas.read_sql(...).{_CSV}.",
    ),
    (
        rb"<stata_dta>",
        "a data set of Stata",
        f"Save it as CSV: pandas.read_stata({{name}}).{_CSV}.",
    ),
    (rb"\$FL2", "a data set of SPSS", f"Save it as CSV: pandas.read_spss({{name}}).{_CSV}."),
    (
        rb"PK\x03\x04",
        "a workbook, or another file in zip",
        f"Save it as CSV: pandas.read_excel({{name}}).{_CSV} where it is a workbook.",
    ),
    (
        rb"\xd0\xcf\x11\xe0",
        "a workbook",
        f"Save it as CSV: pandas.read_excel({{name}}).{_CSV}.",
    ),
    (
        rb"%PDF-",
        "a PDF document",
        "Get its table as CSV from where it was made, or with a program that takes tables out.",
    ),
    (rb"\{\\rtf", "a document (RTF)", _PROGRAM),
    (rb"\\(?:begin\{|documentclass|documentstyle)", "LaTeX", _PROGRAM),
    (
        rb"\{[^\n]*\}\s*\n\s*\{",
        "JSON, line by line",
        f"Save it as CSV: pandas.read_json({{name}}, lines=True).{_CSV}.",
    ),
    (
        rb"\[\s*[\[{]|\{\s*\"",
        "JSON",
        f"Save it as CSV: pandas.read_json({{name}}).{_CSV}.",
    ),
    (
        rb"(?i:<!doctype html|<(?:html|table)\b)"
        # tag after tag, as <DATE>,<OPEN> is not, and one of HTML among them
        rb"|<[!a-zA-Z][^<>]*>(?: *\r?\n\s*)?<(?=(?is:(?:.*<)?(?:body|div|table|html)\b))",
        "HTML",
        f"Save it as CSV: pandas.read_html({{name}})[0].{_CSV}.",
    ),
    (
        rb"<\?xml\b|<!(?:--|DOCTYPE)|<[a-zA-Z_][^<>]*>(?: *\r?\n\s*)?<[a-zA-Z_!?]",
        "XML",
        f"Save it as CSV: pandas.read_xml({{name}}).{_CSV}, where each entry is a row.",
    ),
    (
        rb"(?:%[^\n]*\n\s*)*(?i:@relation)\b",
        "ARFF",
        "Put a line of names, separated by commas, in place of all lines up to @data.",
    ),
    (_RULE % _BARS, "a table drawn in text, as in Markdown", _DRAWN),
    (_RULE % rb"={2,}(?: +={2,})+", "a table drawn in text", _PROGRAM),
    (
        rb"version https://git-lfs",
        "a pointer of Git LFS, and the rows are elsewhere",
        "Fetch them: git lfs pull.",
    ),
)
"""How files start, what they are then, and what to do."""
_TOLD = [(re.compile(sign, re.DOTALL), what, remedy) for sign, what, remedy in _OTHERS]
_LOOKED_AT = 1 << 14


def refuse(head: bytes, origin: str) -> None:
    r"""Refuse what is no separated text.

    Args:
        head: the first bytes of the file.
        origin: by which errors speak of it.

    Raises:
        DataError: it is packed, a workbook, Parquet, JSON, HTML, XML, ...

    >>> refuse(b"| a | b |\n|---|---|\n| 1 | 2 |\n", "x.csv")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: x.csv must be separated text; it is a table drawn in text, as in
    Markdown. Delete the lines of dashes and the bars at the ends of lines, and put the line sep=|
    first.
    """
    start = head[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip()
    for sign, what, remedy in _TOLD:
        if sign.match(start):
            raise DataError(
                origin, f"must be separated text; it is {what}", remedy.format(name=repr(origin))
            )
