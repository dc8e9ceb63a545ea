"""How the numbers of a block of rows were written: a note that the block of a source carries.

Blocks are Arrow tables, and the note is a part of their schema's metadata, so it goes where they
go. A fit remembers it as it remembers that of a whole source. A block of later rows cannot be read
again as the columns of the fit were written, for it is numbers already: where they would be others
then, or may be, it is refused, and the source that it is from gives blocks that are read so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from isthmus.data.text.agreeing import (
    Known,
    Place,
    Spelling,
    check_unit,
    differs,
    may_be_thousands,
)
from isthmus.data.text.spelled import Reading
from isthmus.errors import DataError

_KEY = b"isthmus.written"
_REMEDY = (
    "Give the method the source that it is from, or blocks of source.as_known(model.written_), "
    "which are read as in the fit."
)


@dataclass(frozen=True)
class Note:
    """How a block was written.

    Args:
        spelling: its numbers.
        na_values: words that were said to be missing; None where nothing was said.
        known: how columns of a fit were written, by which it was read already.
    """

    spelling: Spelling | None = None
    na_values: tuple[str, ...] | None = None
    known: Known = field(default_factory=dict)


def noted(table: pa.Table, note: Note) -> pa.Table:
    """The block with its note; as it is where there is nothing to say.

    >>> block = noted(pa.table({"a": [1.5]}), Note(Spelling(",")))
    >>> note_of(block).spelling.decimal, note_of(pa.table({"a": [1.5]})) == Note()
    (',', True)
    """
    metadata = {k: v for k, v in (table.schema.metadata or {}).items() if k != _KEY}
    if note != Note():
        said = {
            "spelling": None if note.spelling is None else note.spelling.recorded(),
            "na_values": note.na_values,
            "known": {
                name: None
                if how is None
                else Spelling(".", {name: how}).recorded()["columns"][name]
                for name, how in note.known.items()
            },
        }
        metadata[_KEY] = json.dumps(said).encode()
    return table.replace_schema_metadata(metadata or None)


def note_of(X: Any) -> Note:
    """The note of a block; an empty one of anything else."""
    said = (X.schema.metadata or {}).get(_KEY) if isinstance(X, pa.Table) else None
    if said is None:
        return Note()
    record: Mapping[str, Any] = json.loads(said)
    spelling, words = record["spelling"], record["na_values"]
    return Note(
        None if spelling is None else Spelling.of_record(spelling),
        None if words is None else tuple(words),
        {n: None if how is None else Reading(**how) for n, how in record["known"].items()},
    )


def refuse_otherwise(block: pa.Table, fit: Known, origin: str) -> None:
    """Refuse a block that would be other numbers, were it read as the columns of a fit.

    Args:
        block: of rows.
        fit: how the columns of the fit were written.
        origin: by which errors speak of it.

    Raises:
        DataError: a column of numbers was text in the fit, is in another unit, or may be thousands.

    >>> block = noted(pa.table({"cost": [1.218]}), Note(Spelling(".")))
    >>> refuse_otherwise(block, {"cost": Reading(",", ".", example="1.218,50")}, "X")
    Traceback (most recent call last):
    ...
    isthmus.errors.DataError: column 'cost' of X may be thousands in the spelling of the fit, such
    as '1.218,50'; here it is read with decimal points. Give the method the source that it is from,
    or blocks of source.as_known(model.written_), which are read as in the fit.
    """
    note = note_of(block)
    if note.spelling is None:
        return
    for name, kind in zip(block.schema.names, block.schema.types, strict=True):
        if name not in fit or pa.types.is_string(kind):
            continue
        was, here = fit[name], note.spelling.of(name)
        read_so = name in note.known and _bare(note.known[name]) == _bare(was)
        if read_so or not differs(kind, here, was):
            continue
        if was is None:
            rule = "holds numbers where the fit had text"
            raise DataError(f"column {name!r} of {origin}", rule, _REMEDY)
        check_unit(here, was, Place(name, origin))
        if pa.types.is_floating(kind) and may_be_thousands(block[name], was, here.decimal):
            raise DataError(
                f"column {name!r} of {origin}",
                f"may be thousands in the spelling of the fit{_such(was)}; here it is read with "
                f"decimal {'commas' if here.decimal == ',' else 'points'}",
                _REMEDY,
            )


def _bare(how: Reading | None) -> Reading | None:
    return None if how is None else replace(how, example="")


def _such(how: Reading) -> str:
    return f", such as {how.example!r}" if how.example else ""
