"""Rows as a reader knows them: pictures, tables with profiles, or lines over time.

The three classes answer the same questions, each in blocks of its own kind:

- ``pairs``: rows beside their reconstructions;
- ``walk``: decoded steps along a line in the code;
- ``cleaned``: clean rows, the noisy ones that went in, and what came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isthmus.report import panels, pictures
from isthmus.report.blocks import Cell, Grid, Panel, Set, Strip
from isthmus.report.reading import MOST_FEATURES, Reading
from isthmus.report.words import number, shortened

Array = NDArray[Any]
GIVEN = (("given", "given"), ("back", "reconstructed"))
CLEANED = (("noisy", "noisy, goes in"), ("given", "clean"), ("back", "comes out"))
COLUMNS = 3


class View(Protocol):
    """How rows of one kind are shown."""

    n_pairs: int
    n_cleaned: int
    walk_words: str

    def pairs(self, title: str, names: Sequence[str], x: Array, y: Array) -> Set: ...
    def walk(self, name: str, decoded: Array, steps: Sequence[str], alt: str) -> Any: ...
    def cleaned(self, names: Sequence[str], clean: Array, noisy: Array, out: Array) -> Set: ...


def view(reading: Reading) -> View:
    """The view that suits the data."""
    kinds: dict[str, type[Images | Series | Tables]] = {"image": Images, "series": Series}
    return kinds.get(reading.kind, Tables)(reading)


class Images:
    """Rows of pixels: as ink on paper, or as photographs where they are known to be bright."""

    n_pairs, n_cleaned = 8, 8
    walk_words = "Each strip goes from a low to a high value of one latent."

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        picture = reading.facts["picture"]
        low, high = picture.get("low"), picture.get("high")
        self._low = 0.0 if low is None else float(low)
        self._ink = max((1.0 if high is None else float(high)) - self._low, 1e-30)
        self._photo = not picture.get("ink", True)

    def strip(self, name: str, rows: Array, alt: str, n_columns: int | None = None) -> Strip:
        """Images (n, D) side by side."""
        images = np.nan_to_num(np.asarray(rows, dtype=np.float64), nan=self._low) - self._low
        columns = n_columns or len(images)
        planes = images.reshape(len(images), self._reading.channels, *self._reading.shape)
        if self._photo:
            canvas = pictures.photographs(planes, columns, white=self._ink)
        else:
            canvas = pictures.mosaic(planes.mean(1), columns, ink=self._ink, gap=pictures.GAP)
        return Strip(name, pictures.data_uri(canvas), alt, columns, photo=self._photo)

    def triple(self, name: str, x: Array, y: Array, share: Array, alt: str) -> Strip:
        """An image, its reconstruction, and where its surprise is."""
        most = max(float(share.max()), 1e-30)
        surprise = self._low + self._ink * share / most
        return self.strip(name, np.stack([x, y, surprise]), alt)

    def pairs(self, title: str, names: Sequence[str], x: Array, y: Array) -> Set:
        about = f"{len(x)} images: {', '.join(names)}"
        return Set(
            title,
            [
                self.strip("given", x, f"{about}."),
                self.strip("reconstructed", y, f"The same {about}, as reconstructed."),
            ],
        )

    def walk(self, name: str, decoded: Array, steps: Sequence[str], alt: str) -> Strip:
        return self.strip(name, decoded, alt)

    def cleaned(self, names: Sequence[str], clean: Array, noisy: Array, out: Array) -> Set:
        about = f"{len(clean)} images: {', '.join(names)}"
        return Set(
            "",
            [
                self.strip("clean", clean, f"{about}."),
                self.strip("noisy, goes in", noisy, "The same images with noise."),
                self.strip("comes out", out, "What the model makes of the noisy images."),
            ],
        )


class Series:
    """Rows of values over time, as lines."""

    n_pairs, n_cleaned = 3, 3
    walk_words = "Each panel shows decoded lines, from a low (blue) to a high value (orange)."

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        x = reading.array("x")
        self._span = panels.extent(
            [np.zeros(2) if x is None else np.nanquantile(x, (0.001, 0.999))]
        )
        last = reading.n_features - 1
        self._ends = (
            ("0", f"{last}")
            if not reading.facts.get("feature_names")
            else (
                shortened(reading.names[0], 12),
                shortened(reading.names[-1], 12),
            )
        )

    def panel(self, name: str, curves: Sequence[tuple[str, Array]], alt: str) -> Panel:
        """Lines over the same axes as every other panel here."""
        low, high = panels.extent([values for _, values in curves])
        span = (min(low, self._span[0]), max(high, self._span[1]))
        return Panel(name, panels.lines(curves, alt=alt, span=span, ends=self._ends))

    def pairs(self, title: str, names: Sequence[str], x: Array, y: Array) -> Set:
        items = [
            self.panel(
                name,
                [("given", x[k]), ("back", y[k])],
                f"{name}, given and reconstructed, over {x.shape[1]} points.",
            )
            for k, name in enumerate(names)
        ]
        return Set(title, items, legend=GIVEN)

    def walk(self, name: str, decoded: Array, steps: Sequence[str], alt: str) -> Panel:
        n = len(decoded)
        return self.panel(name, [(panels.step_class(t, n), decoded[t]) for t in range(n)], alt)

    def cleaned(self, names: Sequence[str], clean: Array, noisy: Array, out: Array) -> Set:
        items = [
            self.panel(
                name,
                [("noisy", noisy[k]), ("given", clean[k]), ("back", out[k])],
                f"{name}: the noisy line, the clean one, and what came out.",
            )
            for k, name in enumerate(names)
        ]
        return Set("", items, legend=CLEANED)


class Tables:
    """Rows of features, as numbers and as profiles in standard deviations."""

    n_pairs, n_cleaned = 1, 2
    walk_words = (
        "Each table lists the features that move most while one latent goes from low to high. "
        "Orange is above the mean of the rows, blue below."
    )
    n_listed = 7

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        error = reading.array("feature_error")
        weight = np.zeros(reading.n_features) if error is None else error
        self._profile = np.sort(reading.most_important(weight, MOST_FEATURES))

    def _standard(self, rows: Array) -> Array:
        return (rows - self._reading.centre) / self._reading.deviation

    def _cell(self, value: float, j: int) -> Cell:
        z = (value - self._reading.centre[j]) / self._reading.deviation[j]
        return Cell(number(value), int(np.clip(round(2.0 * z), -5, 5)) if np.isfinite(z) else 0)

    def _rest(self, listed: int) -> str:
        rest = self._reading.n_features - listed
        return f"The other {rest:,} features are not listed." if rest > 0 else ""

    def profile(self, name: str, curves: Sequence[tuple[str, Array]], alt: str) -> Panel:
        """All features (the 30 hardest of more) of rows, in standard deviations."""
        shown = self._profile
        standard = [(style, self._standard(row)[shown]) for style, row in curves]
        low, high = panels.extent([values for _, values in standard])
        ends = tuple(self._reading.feature(int(j), 16) for j in (shown[0], shown[-1]))
        svg = panels.lines(
            standard,
            alt=alt,
            span=(min(low, -2.0), max(high, 2.0)),
            ends=(ends[0], ends[1]),
            middle=0.0,
        )
        return Panel(name, svg)

    def pairs(self, title: str, names: Sequence[str], x: Array, y: Array) -> Set:
        items: list[Any] = []
        for k, name in enumerate(names):
            wide = np.abs(y[k] - x[k]) / self._reading.deviation
            order = self._reading.most_important(wide, self.n_listed)
            n = len(self._profile)
            all_of_them = n == self._reading.n_features
            every = "every feature" if all_of_them else f"the {n} hardest features"
            items.append(
                self.profile(
                    f"{name}: {every}, in standard deviations from the mean",
                    [("given", x[k]), ("back", y[k])],
                    f"{name}: profile of {every}, given and reconstructed; the largest miss is "
                    f"{self._reading.feature(int(order[0]))}.",
                )
            )
            rows = [
                (
                    self._reading.feature(int(j)),
                    [
                        self._cell(x[k, j], int(j)),
                        self._cell(y[k, j], int(j)),
                        Cell(number(float(wide[j]), 2)),
                    ],
                )
                for j in order
            ]
            head = ("feature", "given", "reconstructed", "off by (sd)")
            items.append(
                Grid(f"{name}: the largest misses", head, rows, note=self._rest(len(order)))
            )
        return Set(title, items, legend=GIVEN)

    def walk(self, name: str, decoded: Array, steps: Sequence[str], alt: str) -> Grid:
        moved = np.ptp(self._standard(decoded), axis=0)
        order = self._reading.most_important(moved, self.n_listed)
        n_columns = min(COLUMNS, len(decoded))
        columns = np.linspace(0, len(decoded) - 1, n_columns).round().astype(int)
        rows = [
            (self._reading.feature(int(j)), [self._cell(decoded[t, j], int(j)) for t in columns])
            for j in order
        ]
        head = ("feature", *(steps[t] for t in columns))
        return Grid(name, head, rows, note=self._rest(len(order)))

    def cleaned(self, names: Sequence[str], clean: Array, noisy: Array, out: Array) -> Set:
        items = []
        for k, name in enumerate(names):
            wide = np.abs(noisy[k] - clean[k]) / self._reading.deviation
            order = self._reading.most_important(wide, self.n_listed)
            rows = [
                (
                    self._reading.feature(int(j)),
                    [self._cell(part[k, j], int(j)) for part in (clean, noisy, out)],
                )
                for j in order
            ]
            head = ("feature", "clean", "noisy, in", "out")
            items.append(Grid(name, head, rows, note=self._rest(len(order))))
        return Set("", items)
