"""What a page is made of: sections of blocks, each drawn by a macro of the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A word or number of a table.

    Args:
        text: what stands there.
        tint: from −5 (far below the middle) over 0 (none) to 5 (far above).
        share: 0 to 1, drawn as a bar under the number.
        bold: whether it stands out.
    """

    text: str
    tint: int = 0
    share: float | None = None
    bold: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: a heading a column, a name a row."""

    caption: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    note: str = ""
    kind: str = "grid"


@dataclass(frozen=True)
class Chart:
    """A chart that Plotly draws.

    Args:
        slug: its identity in the page.
        alt: what it shows, in a sentence, for those who do not see it.
        spec: ``data`` and ``layout`` of Plotly; a colour is the name of one in the style sheet.
        height: pixels.
        numbers: the values as a table, folded away.
        choices: names between which the reader chooses, if there is a choice.
        title: one line above it.
    """

    slug: str
    alt: str
    spec: Mapping[str, Any]
    height: int = 340
    numbers: Grid | None = None
    choices: Sequence[str] = ()
    title: str = ""
    kind: str = "chart"


@dataclass(frozen=True)
class Strip:
    """A row of small images in one PNG, and its name."""

    name: str
    uri: str
    alt: str
    width: int = 10
    kind: str = "strip"
    photo: bool = False


@dataclass(frozen=True)
class Panel:
    """A small line chart in SVG, and its name."""

    name: str
    svg: str
    kind: str = "panel"


@dataclass(frozen=True)
class Set:
    """Blocks of one kind beside or below one another, under a small heading."""

    title: str
    items: Sequence[Any]
    note: str = ""
    legend: Sequence[tuple[str, str]] = ()
    kind: str = "set"


@dataclass(frozen=True)
class Section:
    """One finding and what supports it.

    Args:
        slug: its place in the page.
        name: of the part, for the list of contents.
        title: the finding, a sentence without a full stop.
        text: paragraphs.
        blocks: any of the above.
    """

    slug: str
    name: str
    title: str
    text: Sequence[str] = ()
    blocks: Sequence[Any] = field(default_factory=tuple)
