"""Options that several verbs share, and how a function becomes a verb."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.cli._answer import Answer
from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.tables import Words

OUTPUT = "Output"

DataFile = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A file, folder or glob of CSV, Parquet, Arrow, NumPy, HDF5, Zarr or images, or a "
        "bundled table: breast_cancer, diabetes, digits, wine.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    str, typer.Argument(metavar="RUN", help="The folder that fit wrote.", show_default=False)
]
OutFile = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write: .csv, .npy or .parquet.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace what is there.", rich_help_panel=OUTPUT)
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="A,B",
        help="Columns to leave out, separated by commas, or each with a --drop of its own; a name "
        "with a comma in quotes: '\"a,b\",c'. x0, x1, ... where they have no names.",
        show_default=False,
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="A,B",
        help="Columns of CSV that are text whatever they hold, such as codes of digits; spelled as "
        "for --drop.",
        show_default=False,
    ),
]
NaValues = Annotated[
    list[str] | None,
    typer.Option(
        "--na-values",
        metavar="A,B",
        help="Words that stand for a missing entry, in place of NA, N/A, NaN, nan, ?, null, NULL "
        "and None in CSV, and besides nothing in other tables; '' for none.",
        show_default=False,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="AXES",
        help="What the axes of an array are, where its shape does not tell: NHW, NCHW (channels "
        "first) or NHWC (channels last) of images, NCT or NTC of series, ND of a table.",
        show_default=False,
    ),
]
MaxSkipped = Annotated[
    float | None,
    typer.Option(
        "--max-skipped",
        metavar="SHARE",
        min=0,
        max=1,
        help="Largest share of images that may be left out because they cannot be decoded; 0.01 "
        "by default.",
        show_default=False,
    ),
]
Seed = Annotated[
    str | None,
    typer.Option("--seed", metavar="N", help="Seed; without one, results differ each time."),
]
# Of these three main takes note before the arguments are parsed; verbs need not know of them.
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object, errors included.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=OUTPUT)
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel=OUTPUT),
]
# As in isthmus.data.arrays, which is not imported only to parse; and what others call them.
_LAYOUTS = {
    **{name.lower(): name for name in ("ND", "NHW", "NCT", "NTC", "NCHW", "NHWC")},
    "channels-first": "NCHW",
    "channels-last": "NHWC",
}
_EVERYWHERE = {"json": Json, "quiet": Quiet, "debug": Debug}


def verb(
    function: Callable[..., Answer], also: Sequence[inspect.Parameter] = ()
) -> Callable[..., Callable[[], Answer]]:
    """What typer calls for a verb: it returns the verb with its arguments, still to be called.

    So typer only parses, and what it does about Ctrl-C and closed pipes, which differs from
    version to version, does not reach the verb.

    Args:
        function: a verb; it is called with those options only that it names or takes as ``**``.
        also: options that it takes as ``**``.
    """
    signature = inspect.signature(function, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    named = {parameter.name for parameter in own}
    last = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in _EVERYWHERE.items()
        if name not in named
    ]
    dropped = {parameter.name for parameter in last}

    def call(**given: Any) -> Callable[[], Answer]:
        kept = {name: value for name, value in given.items() if name not in dropped}
        return partial(function, **kept)

    every = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *also, *last)]
    call.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in every}
    # In help a line break within a paragraph would be kept.
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    call.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return call


def names_of(given: str | Sequence[str] | None) -> list[str]:
    """The names in lists separated by commas, each once; quotes are those of CSV.

    >>> names_of("name, city"), names_of(["a", 'b,"c,d"', "a"])
    (['name', 'city'], ['a', 'b', 'c,d'])
    """
    lines = [given] if isinstance(given, str) else list(given or ())
    names = [name for line in lines for name in _names_in(line)]
    return list(dict.fromkeys(name for name in names if name))


def _names_in(line: str) -> list[str]:
    if '"' not in line:
        return [name.strip() for name in line.split(",")]
    return [name for row in csv.reader([line], skipinitialspace=True) for name in row]


def words_of(text: Sequence[str] | None, na_values: Sequence[str] | None) -> Words:
    """How words are read, from ``--text`` and ``--na-values``."""
    from isthmus.data.tables import Words

    missing = None if na_values is None else tuple(names_of(na_values))
    return Words(tuple(names_of(text)), missing)


def layout_of(text: str | None) -> str | None:
    """The layout, however it is spelled.

    Raises:
        InvalidParameterError: it is none.

    >>> layout_of("nhwc"), layout_of("channels-last"), layout_of(None)
    ('NHWC', 'NHWC', None)
    """
    if text is None:
        return None
    name = _LAYOUTS.get(text.lower(), text.upper())
    if name not in _LAYOUTS.values():
        raise InvalidParameterError(
            f"--layout {text}", f"must be one of {', '.join(dict.fromkeys(_LAYOUTS.values()))}"
        )
    return name


def seed_of(text: str | None) -> int | None:
    """The seed, or None.

    Raises:
        InvalidParameterError: it is no whole number from 0 to 2³² − 1.
    """
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise InvalidParameterError(f"--seed {text}", "must be a whole number from 0 to 4294967295")
    return int(text)
