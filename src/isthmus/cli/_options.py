"""Options that several verbs share, and how a function becomes a verb."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from isthmus.cli._answer import Answer
from isthmus.cli._reading import FLAGS, ReadingOptions
from isthmus.errors import InvalidParameterError

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
Seed = Annotated[
    str | None,
    typer.Option("--seed", metavar="N", help="Seed; without one, results differ each time."),
]
SeedOrZero = Annotated[
    str | None,
    typer.Option("--seed", metavar="N", help="Seed; 0 without one: results are the same."),
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
_EVERYWHERE = {"json": Json, "quiet": Quiet, "debug": Debug}


def verb(
    function: Callable[..., Answer], also: Sequence[inspect.Parameter] = ()
) -> Callable[..., Callable[[], Answer]]:
    """What typer calls for a verb: it returns the verb with its arguments, still to be called.

    So typer only parses, and what it does about Ctrl-C and closed pipes, which differs from
    version to version, does not reach the verb.

    Args:
        function: a verb; it is called with those options only that it names or takes as ``**``. A
            parameter of the type :class:`ReadingOptions` stands for all options of reading.
        also: options that it takes as ``**``.
    """
    signature = inspect.signature(function, eval_str=True)
    reads = {p.name for p in signature.parameters.values() if p.annotation is ReadingOptions}
    own = [
        option
        for p in signature.parameters.values()
        if p.kind is not p.VAR_KEYWORD
        for option in (FLAGS if p.name in reads else (p,))
    ]
    named = {parameter.name for parameter in own}
    last = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in _EVERYWHERE.items()
        if name not in named
    ]
    dropped = {parameter.name for parameter in last}

    def call(**given: Any) -> Callable[[], Answer]:
        kept = {name: value for name, value in given.items() if name not in dropped}
        for name in reads:
            kept[name] = ReadingOptions.from_flags({p.name: kept.pop(p.name) for p in FLAGS})
        return partial(function, **kept)

    every = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *also, *last)]
    call.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in every}
    # In help a line break within a paragraph would be kept.
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    call.__doc__ = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return call


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
