"""How data is read: one record, whose fields are the options of every verb that reads data.

A verb names a parameter of the type :class:`ReadingOptions`; :func:`isthmus.cli._options.verb` puts
the options of :data:`FLAGS` in its place. So a flag of reading is one field here, and what it means
is said where data is opened (:mod:`isthmus.cli._rows`).
"""

from __future__ import annotations

import csv
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isthmus.errors import InvalidParameterError

if TYPE_CHECKING:
    from isthmus.data.words import Words

# As in isthmus.data.arrays.source, which is not imported only to parse; and what others call them.
_LAYOUTS = {
    **{name.lower(): name for name in ("ND", "NHW", "NCT", "NTC", "NCHW", "NHWC")},
    "channels-first": "NCHW",
    "channels-last": "NHWC",
}


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


def layout_of(text: str) -> str:
    """The layout, however it is spelled.

    Raises:
        InvalidParameterError: it is none.

    >>> layout_of("nhwc"), layout_of("channels-last")
    ('NHWC', 'NHWC')
    """
    name = _LAYOUTS.get(text.lower(), text.upper())
    if name not in _LAYOUTS.values():
        raise InvalidParameterError(
            f"--layout {text}", f"must be one of {', '.join(dict.fromkeys(_LAYOUTS.values()))}"
        )
    return name


def _flag(
    kind: Any,
    metavar: str,
    help: str,
    parsed: Callable[[Any], Any],
    spelled: Callable[[Any], str],
    **more: Any,
) -> Any:
    """A field, with the option that sets it.

    Args:
        kind: of what typer hands over.
        metavar: in help.
        help: a sentence.
        parsed: the option's text → the field.
        spelled: the field → the option's text.
        more: arguments of the option.
    """
    option = {"metavar": metavar, "help": help, "show_default": False, **more}
    about = {"kind": kind, "option": option, "parsed": parsed, "spelled": spelled}
    return dataclasses.field(default=None, metadata=about)


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(names_of(given))


def _encoding(name: str) -> str:
    from isthmus.data.words import refuse_unknown

    refuse_unknown(f"--encoding {name}", name)
    return name


def _as_list(names: Sequence[str]) -> str:
    from isthmus.data.tables import as_list

    return as_list(names)


@dataclass(frozen=True)
class ReadingOptions:
    """How data is to be read; None where nothing was said."""

    drop: tuple[str, ...] | None = _flag(
        list[str],
        "A,B",
        "Columns to leave out, separated by commas, or each with a --drop of its own; a name with "
        "a comma in quotes: '\"a,b\",c'. x0, x1, ... where they have no names.",
        _names,
        _as_list,
    )
    text: tuple[str, ...] | None = _flag(
        list[str],
        "A,B",
        "Columns of CSV that are text whatever they hold, such as codes of digits; spelled as for "
        "--drop.",
        _names,
        _as_list,
    )
    na_values: tuple[str, ...] | None = _flag(
        list[str],
        "A,B",
        "Words that stand for a missing entry, in place of NA, N/A, NaN, nan, ?, null, NULL and "
        "None in CSV, and besides nothing in other tables; '' for none.",
        _names,
        _as_list,
    )
    encoding: str | None = _flag(
        str,
        "NAME",
        "Encoding of CSV that is not UTF-8, such as cp1252, latin-1, cp932 or gb18030.",
        _encoding,
        str,
    )
    layout: str | None = _flag(
        str,
        "AXES",
        "What the axes of an array are, where its shape does not tell: NHW, NCHW (channels first) "
        "or NHWC (channels last) of images, NCT or NTC of series, ND of a table.",
        layout_of,
        str,
    )
    max_skipped: float | None = _flag(
        float,
        "SHARE",
        "Largest share of images that may be left out because they cannot be decoded; 0.01 by "
        "default.",
        float,
        "{:g}".format,
        min=0,
        max=1,
    )

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> ReadingOptions:
        """The record of what typer hands over, by the names of the fields.

        Raises:
            InvalidParameterError: a value is none of its flag.

        >>> ReadingOptions.from_flags({"drop": ["a,b"], "layout": "nhw", "text": None}).flags()
        ['--drop', 'a,b', '--layout', 'NHW']
        """
        about = {field.name: field.metadata["parsed"] for field in dataclasses.fields(cls)}
        said = {name: about[name](value) for name, value in given.items() if value is not None}
        return cls(**said)

    @classmethod
    def of_record(cls, recorded: Mapping[str, Any]) -> ReadingOptions:
        """What a run keeps of its fit, read again; see :meth:`recorded`."""
        said = {f.name: recorded.get(f.name) for f in dataclasses.fields(cls)}
        kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
        return cls(**kept)

    def recorded(self) -> dict[str, Any]:
        """What a run keeps of it: only what was said."""
        said = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}

    def or_else(self, other: ReadingOptions) -> ReadingOptions:
        """The same, and what was not said of it as ``other`` has it.

        >>> ReadingOptions(drop=("a",)).or_else(ReadingOptions(drop=("b",), layout="NHW")).flags()
        ['--drop', 'a', '--layout', 'NHW']
        """
        said = {k: v for k, v in vars(self).items() if v is not None}
        return dataclasses.replace(other, **said)

    def leaving(self, names: Sequence[str]) -> ReadingOptions:
        """The same, with these columns to leave out."""
        return dataclasses.replace(self, drop=tuple(names))

    @property
    def left(self) -> list[str]:
        """The columns to leave out."""
        return list(self.drop or ())

    @property
    def words(self) -> Words:
        """How words are read."""
        from isthmus.data.words import Words

        return Words(self.text or (), self.na_values, encoding=self.encoding)

    def flags(self) -> list[str]:
        """What says the same on the command line."""
        flags: list[str] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            nothing = value is None or (value == () and field.name != "na_values")
            if not nothing:
                flags += [_spelled(field.name), field.metadata["spelled"](value)]
        return flags


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")


AS_USUAL = ReadingOptions()
"""Nothing was said."""


def _option(field: dataclasses.Field[Any]) -> inspect.Parameter:
    kind, about = field.metadata["kind"], field.metadata["option"]
    # A variable as a type is what typer is for and no checker can follow.
    annotation: Any = Annotated[kind | None, typer.Option(_spelled(field.name), **about)]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, keyword, default=None, annotation=annotation)


FLAGS = tuple(_option(field) for field in dataclasses.fields(ReadingOptions))
"""The options that typer makes of the fields."""
