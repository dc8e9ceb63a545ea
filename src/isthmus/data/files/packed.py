"""Separated text that is packed, or not in UTF-8: a copy, unpacked and in UTF-8, is read instead.

A reader goes through a text more than once, so it is unpacked once, into a temporary file. What a
packed file unpacks to is bounded before it is looked at: up to :data:`ALWAYS` bytes, and beyond
that up to :data:`TIMES` the size of the file. CSV rarely packs to less than a twentieth; a file
that was made to fill a disk packs to less than a thousandth.

UTF-16 is told by the mark that it begins with. Other encodings have to be stated; one that was
stated for another file is no bar to UTF-8. Nor is one of single bytes (cp1252, latin-1) where
letters beyond ASCII are all UTF-8, which such text is not by chance: a folder may hold both.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from isthmus.data.files.spool import Spool
from isthmus.data.words import AS_USUAL, Words
from isthmus.errors import DataError

PACKED = (".bz2", ".gz", ".zst")
"""Endings of packed text, after its own: .csv.gz."""
TEXT = (".csv", ".tab", ".tsv", ".txt")
ALWAYS, TIMES = 1 << 30, 200
_BLOCK = 1 << 20
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def ending_of(path: Path) -> str:
    """The ending in small letters; of packed text that of the text.

    >>> [ending_of(Path(name)) for name in ("A.CSV", "a.csv.gz", "a.gz", "a.parquet.gz")]
    ['.csv', '.csv', '.gz', '.gz']
    """
    ending = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if ending in PACKED and inner in TEXT else ending


class Plain(NamedTuple):
    """Text in UTF-8, ``held`` as long as it is read; what is to be said of it, mostly nothing."""

    path: Path
    held: Spool | None
    note: str


def plain(path: Path, name: str, words: Words = AS_USUAL) -> Plain:
    """The text itself in UTF-8.

    Args:
        path: of a file of text, packed or not.
        name: by which errors speak of it.
        words: which may state an encoding.

    Raises:
        DataError: it is damaged, in another encoding, unpacks to too much, or does not fit on
            the disk.
    """
    with _bytes(path) as file:
        first = _next(file, name)
    encoding, note = _encoding(path, name, first, words)
    if path.suffix.lower() not in PACKED and encoding is None:
        return Plain(path, None, note)
    spool = Spool(name)
    decoder = None if encoding is None else codecs.getincrementaldecoder(encoding)()
    with spool.writing("text.csv") as copy, copy.open("wb") as out:
        for block in _blocks(path, name):
            out.write(block if decoder is None else _turned(decoder, block, name, encoding))
    return Plain(copy, spool, note)


def turned(path: Path, name: str, words: Words = AS_USUAL) -> str | None:
    """The encoding that :func:`plain` turns into UTF-8; None where it is UTF-8.

    Raises:
        DataError: it is damaged.
    """
    with _bytes(path) as file:
        return _encoding(path, name, _next(file, name), words)[0]


def _blocks(path: Path, name: str) -> Iterator[bytes]:
    """All bytes as they are unpacked, an empty block at the end.

    Raises:
        DataError: it is damaged, or unpacks to too much.
    """
    size, count = path.stat().st_size, 0
    most = max(ALWAYS, TIMES * size) if path.suffix.lower() in PACKED else math.inf
    with _bytes(path) as file:
        while block := _next(file, name):
            count += len(block)
            if count > most:
                raise DataError(
                    name,
                    f"unpacks to more than {most / size:.0f} times its {size} bytes",
                    "Unpack it first, if you trust where it is from.",
                )
            yield block
    yield b""


def _encoding(path: Path, name: str, first: bytes, words: Words) -> tuple[str | None, str]:
    """How the text is written, None for UTF-8, and what is to be said of that; its mark goes before
    what is stated."""
    stated = None if words.encoding is None else codecs.lookup(words.encoding).name
    if first.startswith(_MARKS) and not (stated or "").startswith("utf-32"):
        return "utf-16", ""
    if stated in (None, "utf-8", "utf-8-sig", "ascii") or first.startswith(codecs.BOM_UTF8):
        return None, ""
    if not words.remembered and not _is_of_bytes(stated):
        return stated, ""
    letters = _letters_in_utf8(path, name)
    if letters is None or (not letters and not words.remembered):
        return stated, ""
    spoken = f"{path.name} is in UTF-8 and read so, not in {words.encoding}"
    return None, "" if words.remembered else spoken


def _is_of_bytes(encoding: str) -> bool:
    """Whether every byte is a letter."""
    return len(bytes(range(128, 256)).decode(encoding, "replace")) == 128


def _letters_in_utf8(path: Path, name: str) -> bool | None:
    """Whether a letter of the text is beyond ASCII; None where it is not UTF-8."""
    decoder, found = codecs.getincrementaldecoder("utf-8")(), False
    try:
        for block in _blocks(path, name):
            text = decoder.decode(block, final=not block)
            found = found or not text.isascii()
    except UnicodeDecodeError:
        return None
    return found


def begins(path: Path, n: int) -> bytes:
    """The first n bytes as they are unpacked, fewer where there are no more; of a damaged file any
    that are not blank.
    """
    try:
        with _bytes(path) as file:
            return file.read(n)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return b"damaged"


def _bytes(path: Path) -> gzip.GzipFile | IO[bytes]:
    ending = path.suffix.lower()
    if ending == ".gz":
        return gzip.open(path)
    if ending == ".bz2":
        return bz2.open(path)
    if ending == ".zst":
        stream: Any = pa.input_stream(str(path), compression="zstd")
        return io.BufferedReader(stream)
    return path.open("rb")


def _next(file: gzip.GzipFile | IO[bytes], name: str) -> bytes:
    try:
        return file.read(_BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            name,
            f"cannot be unpacked ({[*str(error).splitlines(), 'it ends early'][0]})",
            "The file is cut short, damaged or of another kind: copy or make it again.",
        ) from error


def _turned(
    decoder: codecs.IncrementalDecoder, block: bytes, name: str, encoding: str | None
) -> bytes:
    try:
        return decoder.decode(block, final=not block).encode()
    except UnicodeError as error:
        raise DataError(
            name,
            f"is taken for text in {encoding}, and is not ({error})",
            "Say another, or save it as CSV in UTF-8.",
        ) from error
