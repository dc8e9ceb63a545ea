"""What the demo found out, as arrays and figures: what its page and its table are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.report.claims import PCA, Claim, claims

Array = NDArray[Any]
FORMAT, SCHEMA = "isthmus-demo", 1


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    Args:
        key: name in the files.
        title: name on the page.
        short: two short lines, for a terminal.
        unit: what one of it is.
        lower_is_better: None where it is no matter of better.
        note: what else to know, a sentence.
        caution: which models' figures may not be compared; empty where all may.
        places: behind the point.
    """

    key: str
    title: str
    short: tuple[str, str]
    unit: str
    lower_is_better: bool | None
    note: str = ""
    caution: str = ""
    places: int = 1

    @property
    def direction(self) -> str:
        """In words; empty where there is none."""
        words = {True: "lower is better", False: "higher is better", None: ""}
        return words[self.lower_is_better]

    def words(self, value: float) -> str:
        """A figure, with as many places as its line of the table has.

        >>> MEASURES[0].words(-157.66)
        '−157.7'
        """
        return f"{value:.{self.places}f}".replace("-", "−")


MEASURES = (
    Measure(
        "squared_error",
        "Squared error",
        ("squared", "error"),
        "squared grey levels per image",
        True,
    ),
    Measure(
        "noisy_error",
        "Squared error after noise",
        ("after", "noise"),
        "squared grey levels per image",
        True,
        "Of the reconstruction of the noisy image, against the clean one.",
    ),
    Measure(
        "nats",
        "Log-likelihood",
        ("log-", "likelihood"),
        "nats per image",
        False,
        "PCA: of its probabilistic form, exact. Variational: a lower bound. The other three: of "
        "the image given its own code, which leaves out what the code costs. So compare PCA with "
        "the variational one, and the other three with one another.",
        caution="Compare PCA with the variational one, and the other three with one another: "
        "their figures leave out what the code costs.",
    ),
    Measure(
        "jacobian_norm",
        "‖∂z/∂x‖",
        ("‖∂z/∂x‖", "as it is"),
        "units of code per deviation of the pixels",
        True,
        "How far the code moves when the image does. PCA: of whitened components. A code gets "
        "steadier for free by shrinking, so this line does not compare the models.",
        caution="Not between models: a code gets steadier for free by shrinking.",
        places=2,
    ),
    Measure(
        "scaled_jacobian_norm",
        "‖∂z/∂x‖, scaled",
        ("‖∂z/∂x‖", "scaled"),
        "deviations of the code per deviation of the pixels",
        True,
        "With every latent at standard deviation 1: the fair figure.",
        places=2,
    ),
    Measure(
        "neighbour_change",
        "Change between neighbouring codes",
        ("neighbour", "change"),
        "times that of a linear decoder of uncorrelated codes",
        True,
        "Squared change of the decoded image for a random step of a quarter deviation of every "
        "latent, over the squared step and the spread of decoded images. PCA is that linear "
        "decoder.",
        places=2,
    ),
    Measure("seconds", "Training time", ("seconds", "to fit"), "seconds", None),
)
HALFWAY = Measure(
    "halfway_distance",
    "Half-way images",
    ("half-way", ""),
    "squared grey levels to the nearest training image",
    True,
)


@dataclass(frozen=True)
class Result:
    """One model's.

    Args:
        name: of the model.
        settings: the call that makes it.
        rows: by measure, (N,) figures of the test rows.
        halfway_distance: mean for half-way images of walks between random pairs of test images.
        seconds: of the fit.
        reconstructed: (M, D) of the shown test images.
        cleaned: (M, D) of the same with noise.
        samples: (S, D) new images.
        walks: each (P, D), decoded points on the way between two test images' codes.
        curve: steps and held-out squared errors of training; empty for PCA.
        stayed_linear: whether training found nothing better than PCA.
    """

    name: str
    settings: str
    rows: Mapping[str, Array]
    halfway_distance: float
    seconds: float
    reconstructed: Array
    cleaned: Array
    samples: Array
    walks: tuple[Array, ...]
    curve: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    stayed_linear: bool = False

    def figure(self, key: str) -> float:
        """The mean over test rows."""
        if key in ("seconds", "halfway_distance"):
            return float(getattr(self, key))
        return float(np.mean(self.rows[key], dtype=np.float64))

    def standard_error(self, key: str) -> float:
        """Of the mean over test rows."""
        rows = self.rows[key]
        return float(np.std(rows, ddof=1, dtype=np.float64) / np.sqrt(len(rows)))


@dataclass(frozen=True)
class Plane:
    """A code of two latents: where test images lie, and what is decoded there.

    Args:
        settings: the call that makes the model.
        codes: (N, 2).
        labels: (N,) digits.
        extent: left, right, bottom, top of what is shown.
        decoded: (side², D), row by row from the top left.
        side: images along each side.
    """

    settings: str
    codes: Array
    labels: Array
    extent: tuple[float, float, float, float]
    decoded: Array
    side: int


@dataclass(frozen=True)
class Study:
    """All of the demo.

    Args:
        seed: of the split, the noise and the models.
        n_components: K.
        n_train: images fitted to.
        n_test: images judged on.
        noise_deviation: standard deviation of the noise, grey levels.
        noise_level: the same in standard deviations of the pixels.
        ink: the darkest grey level.
        shape: height and width of an image.
        labels: (M,) digits of the shown test images.
        shown: (M, D) these images.
        noisy: (M, D) the same with noise.
        walk_labels: digits at the ends of each walk.
        results: PCA first.
        pca_level: held-out squared error of PCA, the line of the learning curves.
        plane: the map of two latents.
        seconds: of everything.
        versions: of what it was made with.
        command: that makes it again.
    """

    seed: int
    n_components: int
    n_train: int
    n_test: int
    noise_deviation: float
    noise_level: float
    ink: float
    shape: tuple[int, int]
    labels: Array
    shown: Array
    noisy: Array
    walk_labels: tuple[tuple[int, int], ...]
    results: tuple[Result, ...]
    pca_level: float
    plane: Plane
    seconds: float
    versions: Mapping[str, str]
    command: str

    @cached_property
    def claims(self) -> list[Claim]:
        """What the figures say."""
        return claims({result.name: result.rows for result in self.results}, self.n_components)

    def best(self, measure: Measure) -> str | None:
        """The autoencoder with the best figure, or None where there is no better."""
        if measure.lower_is_better is None or measure.caution:
            return None
        sign = 1 if measure.lower_is_better else -1
        others = [result for result in self.results if result.name != PCA]
        return min(others, key=lambda r: sign * r.figure(measure.key)).name

    def as_dict(self) -> dict[str, Any]:
        """Every figure with its unit, for a program."""
        measures = (*MEASURES, HALFWAY)
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "command": self.command,
            "seed": self.seed,
            "versions": dict(self.versions),
            "data": {"name": "digits", "n_train": self.n_train, "n_test": self.n_test},
            "n_components": self.n_components,
            "noise": {
                "standard_deviation_grey_levels": self.noise_deviation,
                "standard_deviation_in_those_of_the_pixels": self.noise_level,
            },
            "measures": {
                m.key: {"title": m.title, "unit": m.unit, "direction": m.direction, "note": m.note}
                for m in measures
            },
            "models": {
                r.name: {
                    "settings": r.settings,
                    "figures": {m.key: r.figure(m.key) for m in measures},
                    "standard_errors": {key: r.standard_error(key) for key in r.rows},
                    "stayed_linear": r.stayed_linear,
                }
                for r in self.results
            },
            "claims": [
                {
                    "name": c.name,
                    "state": c.state,
                    "sentence": c.sentence,
                    "differences": {
                        key: {"mean": d.mean, "standard_error": d.standard_error}
                        for key, d in c.differences.items()
                    },
                }
                for c in self.claims
            ],
            "seconds": self.seconds,
        }
