"""The bar on the terminal while a model trains."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from isthmus.cli import _interrupts
from isthmus.cli._answer import number
from isthmus.cli._words import plural

if TYPE_CHECKING:
    from isthmus.estimators import Progress


@contextmanager
def training(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A listener that draws, on stderr if that is a terminal and not ``quiet``; or None.

    Nothing of it stays on the terminal afterwards.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with _interrupts.starting():
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

    console = Console(file=sys.stderr)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
    )
    task = bar.add_task("Preparing", total=None, left="")
    below = Text("", overflow="ellipsis", no_wrap=True, style="dim")
    with Live(Group(bar, below), console=console, transient=True, refresh_per_second=8):

        def tell(progress: Progress) -> None:
            bar.update(
                task,
                description=doing(progress),
                completed=progress.step,
                total=progress.steps,
                left=time_left(progress.seconds_left),
            )
            below.plain = figures(progress) or below.plain

        yield tell


def doing(progress: Progress) -> str:
    """What the fit is at: trying sizes has its own word."""
    tried = getattr(progress, "n_components", None)
    return "Training" if tried is None else f"Trying {plural(tried, 'component')}"


def figures(progress: Progress) -> str:
    """Held-out squared error, the line to beat, and the loss terms, in one line."""
    parts = []
    if not math.isnan(progress.squared_error):
        parts.append(
            f"held-out squared error {number(progress.squared_error)}"
            f" (PCA {number(progress.pca_squared_error)})"
        )
    terms = ", ".join(f"{name} {number(value)}" for name, value in progress.terms.items())
    if terms:
        parts.append(f"{terms} nats")
    return " · ".join(parts)


def time_left(seconds: float) -> str:
    """How long it still takes, at most.

    >>> time_left(75.0), time_left(4.2), time_left(float("nan"))
    ('1:15 left at most', '4 s left at most', '')
    """
    if math.isnan(seconds):
        return ""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02} left at most"
    return f"{minutes}:{rest:02} left at most" if minutes else f"{whole} s left at most"
