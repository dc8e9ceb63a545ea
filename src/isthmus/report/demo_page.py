"""The demo's page: what was found, in words, figures and pictures, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from isthmus.report import charts, pictures
from isthmus.report.claims import FAILS, HOLDS, OPEN, PCA
from isthmus.report.study import MEASURES, Measure, Study
from isthmus.report.templating import template

Array = NDArray[Any]
# In the head of every page made here; by it a page of ours is told from another's.
MARK = '<meta name="generator" content="isthmus demo">'
# Where a name may be broken, for the columns of a narrow screen.
BREAKS = {
    "undercomplete": "under&shy;complete",
    "denoising": "de&shy;noising",
    "contractive": "contrac&shy;tive",
    "variational": "varia&shy;tional",
}
SIGNS = {HOLDS: "✓", OPEN: "≈", FAILS: "✗"}
TERMS = (
    (
        "Objective",
        "All models minimise one formula: the negative log-probability of the image given its "
        "code, plus penalties, in nats per image. A nat is 1.44 bits; with Gaussian pixels the "
        "first part is the squared error in another unit.",
    ),
    (
        "Bottleneck",
        "The code has far fewer numbers than the image has pixels, so it must keep what images "
        "have in common and drop the rest. This alone makes the undercomplete autoencoder learn.",
    ),
    (
        "PCA",
        "The best code and decoder that are linear. Every model here starts as PCA and leaves it "
        "only for what is better on images it was not trained on.",
    ),
    (
        "Denoising",
        "The encoder sees a noisy image and must give back the clean one, so it learns where "
        "clean images lie.",
    ),
    (
        "Contractive",
        "A penalty on the derivative of the code, λ‖∂z/∂x‖², keeps the code still when the image "
        "changes a little in ways that do not matter for reconstructing it.",
    ),
    (
        "Variational",
        "The encoder gives a distribution of codes instead of one, held near a standard normal by "
        "β KL(q ‖ p): the decoder must cope with every code nearby, and codes drawn from the "
        "normal decode to new images.",
    ),
)


@dataclass(frozen=True)
class Strip:
    """A row of images with its name; ``alt`` is for those who do not see it."""

    name: str
    uri: str
    alt: str


def render(study: Study) -> str:
    """The page as HTML; all it shows is inside it."""
    names = [result.name for result in study.results]
    return template("demo.html").render(
        mark=MARK,
        study=study,
        claims=study.claims,
        signs=SIGNS,
        tokens={HOLDS: "holds", OPEN: "open", FAILS: "fails"},
        names=names,
        breaks=BREAKS,
        table=[(measure, _cells(study, measure)) for measure in MEASURES],
        best={measure.key: study.best(measure) for measure in MEASURES},
        reconstructions=_reconstructions(study),
        cleaned=_cleaned(study),
        samples=_samples(study),
        walks=_walks(study),
        plane=_plane(study),
        curves=_curves(study),
        halfway=[(result.name, f"{result.halfway_distance:.0f}") for result in study.results],
        stayed=[result.name for result in study.results if result.stayed_linear],
        terms=TERMS,
        article=_article,
    )


def _article(digit: int) -> str:
    return "an" if digit == 8 else "a"


def _cells(study: Study, measure: Measure) -> list[tuple[str, str]]:
    return [(result.name, measure.words(result.figure(measure.key))) for result in study.results]


def _strip(study: Study, name: str, images: Array, alt: str, n_columns: int) -> Strip:
    canvas = pictures.mosaic(
        images.reshape(-1, *study.shape), n_columns, ink=study.ink, gap=pictures.GAP
    )
    return Strip(name, pictures.data_uri(canvas), alt)


def _reconstructions(study: Study) -> list[Strip]:
    digits, n = _digits(study), len(study.labels)
    strips = [_strip(study, "input", study.shown, f"Test images of the digits {digits}.", n)]
    for result in study.results:
        alt = (
            f"The same {n} digits reconstructed by the {_model(result.name)}; "
            f"mean squared error {result.figure('squared_error'):.0f} per test image."
        )
        strips.append(_strip(study, result.name, result.reconstructed, alt, n))
    return strips


def _cleaned(study: Study) -> list[Strip]:
    digits, n = _digits(study), len(study.labels)
    strips = [
        _strip(study, "clean", study.shown, f"Test images of the digits {digits}.", n),
        _strip(study, "noisy", study.noisy, "The same images with noise on every pixel.", n),
    ]
    for result in study.results:
        alt = (
            f"What the {_model(result.name)} makes of the noisy images; mean squared error against "
            f"the clean ones {result.figure('noisy_error'):.0f} per test image."
        )
        strips.append(_strip(study, result.name, result.cleaned, alt, n))
    return strips


def _samples(study: Study) -> list[Strip]:
    return [
        _strip(
            study,
            result.name,
            result.samples,
            f"{len(result.samples)} new images drawn from the {_model(result.name)}.",
            10,
        )
        for result in study.results
    ]


def _walks(study: Study) -> list[tuple[tuple[int, int], list[Strip]]]:
    walks = []
    for j, (start, end) in enumerate(study.walk_labels):
        strips = [
            _strip(
                study,
                result.name,
                result.walks[j],
                f"{len(result.walks[j])} decoded steps of the {_model(result.name)} from a test "
                f"image of {_article(start)} {start} to one of {_article(end)} {end}.",
                len(result.walks[j]),
            )
            for result in study.results
        ]
        walks.append(((start, end), strips))
    return walks


def _plane(study: Study) -> dict[str, Any]:
    plane = study.plane
    chart = charts.plane(
        plane.codes,
        [str(label) for label in plane.labels],
        plane.extent,
        title="Codes of the test images in the plane of two latents, each drawn as its digit",
    )
    grid = _strip(
        study,
        "decoded",
        plane.decoded,
        f"What the decoder makes of {plane.side} by {plane.side} points of the same plane.",
        plane.side,
    )
    return {"chart": chart, "grid": grid}


def _curves(study: Study) -> str:
    curves = {result.name: result.curve for result in study.results if result.curve[0]}
    return charts.lines(
        curves,
        {PCA: study.pca_level},
        title="Held-out squared error of each autoencoder while it trains, and that of PCA",
        x_label="training step",
        y_label="held-out squared error per image",
    )


def _digits(study: Study) -> str:
    return ", ".join(str(label) for label in study.labels)


def _model(name: str) -> str:
    return name if name == PCA else f"{name} autoencoder"
