"""Every metric of an evaluation: unit, range, direction, source, and one line on what it says.

``docs/evaluation.md`` has the formulas. What stands in braces is filled in for each run; a squared
error is in standard deviations where every feature has its own scale.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from isthmus.evaluation.record import Metric

Better = Literal["higher", "lower", "neither"]
_INF = math.inf


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of a metric before it is computed; the fields are those of ``Metric``."""

    unit: str
    low: float
    high: float
    better: Better
    source: str
    text: str


_BURDA = "Burda et al. 2016"
CATALOGUE: dict[str, Entry] = {
    "squared_error": Entry(
        "squared data units per row",
        0.0,
        _INF,
        "lower",
        "sum over features, mean over rows",
        "what the reconstruction gets wrong",
    ),
    "relative_squared_error": Entry(
        "share of the variance",
        0.0,
        _INF,
        "lower",
        "1 − variance-weighted R² (scikit-learn r2_score)",
        "the same as a share of what the mean of the rows gets wrong",
    ),
    "r2": Entry(
        "",
        -_INF,
        1.0,
        "higher",
        "scikit-learn r2_score, raw values",
        "explained share of a feature's variance, median over features that vary",
    ),
    "elbo": Entry(
        "nats per row",
        -_INF,
        _INF,
        "higher",
        "Kingma & Welling 2014, equation 2",
        "evidence bound on log p(x) with unit weight on the KL",
    ),
    "importance_bound": Entry(
        "nats per row",
        -_INF,
        _INF,
        "higher",
        f"{_BURDA}, equation 8",
        "importance-weighted bound on log p(x), {draws} draws",
    ),
    "importance_gap": Entry(
        "nats per row",
        -_INF,
        _INF,
        "lower",
        "Cremer et al. 2018",
        "importance bound less evidence bound on the same rows: what q(z|x) falls short",
    ),
    "effective_draws": Entry(
        "draws",
        1.0,
        _INF,
        "higher",
        "Kong 1992",
        "how many of the {draws} draws carry a row's estimate, median over rows",
    ),
    "log_likelihood_at_code": Entry(
        "nats per row",
        -_INF,
        _INF,
        "higher",
        "log p(x|E[z|x])",
        "log-density of a row at its own code; what the code costs is not counted",
    ),
    "bits_per_dimension": Entry(
        "bits per entry",
        -_INF,
        _INF,
        "lower",
        "van den Oord et al. 2016",
        "the evidence bound as what one entry costs to write down",
    ),
    "kl": Entry(
        "nats per row",
        0.0,
        _INF,
        "neither",
        "Kingma & Welling 2014, appendix B",
        "rate: what the code costs, summed over latents",
    ),
    "active_units": Entry(
        "latents",
        0.0,
        _INF,
        "neither",
        f"{_BURDA}: Var(E[z|x]) > 0.01",
        "latents whose code depends on the row",
    ),
    "mutual_information": Entry(
        "nats",
        0.0,
        _INF,
        "neither",
        "Hoffman & Johnson 2016",
        "what the code tells about which row it is; at most ln N = {ceiling}",
    ),
    "aggregate_kl": Entry(
        "nats",
        0.0,
        _INF,
        "lower",
        "Hoffman & Johnson 2016: mean KL − mutual information",
        "how far all codes together are from the prior, an upper bound",
    ),
    "marginal_kl": Entry(
        "nats",
        0.0,
        _INF,
        "lower",
        "Chen et al. 2018, equation 2",
        "how far each latent's codes are from its prior, summed: a lower bound of the same",
    ),
    "jacobian_norm": Entry(
        "units of code per scaled unit",
        0.0,
        _INF,
        "lower",
        "square root of Rifai et al. 2011, equation 1",
        "how far the code moves when the row does, ‖∂z/∂x‖",
    ),
    "jacobian_norm_scaled": Entry(
        "deviations of code per scaled unit",
        0.0,
        _INF,
        "lower",
        "‖S⁻¹ ∂z/∂x‖, S the latents' deviations",
        "the same with every latent at deviation 1, which shrinking the code cannot lower",
    ),
    "noise_error": Entry(
        "squared data units per row",
        0.0,
        _INF,
        "lower",
        "Vincent et al. 2010, section 3",
        "error against the clean row after {noise}",
    ),
    "noise_passed": Entry(
        "share of the noise",
        0.0,
        _INF,
        "lower",
        "E‖r(x̃) − r(x)‖² / E‖x̃ − x‖²",
        "how much of that noise reaches the reconstruction; K/D for PCA and Gaussian noise",
    ),
    "neighbour_change": Entry(
        "times a linear decoder's",
        0.0,
        _INF,
        "lower",
        "after Arvanitidis et al. 2018",
        "how roughly neighbouring codes decode; 1 for PCA",
    ),
    "interpolation_detour": Entry(
        "times the distance",
        1.0,
        _INF,
        "lower",
        "Shao et al. 2018",
        "decoded length of a straight walk between two codes; 1 for PCA",
    ),
    "interpolation_jump": Entry(
        "times the mean step",
        1.0,
        _INF,
        "lower",
        "largest decoded step of {points} points",
        "how suddenly such a walk changes; 1 for PCA",
    ),
    "trustworthiness": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Venna & Kaski 2001 (scikit-learn)",
        "whether neighbours in the code are neighbours in the data",
    ),
    "continuity": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Venna & Kaski 2001",
        "whether neighbours in the data stay neighbours in the code",
    ),
    "linear_probe": Entry(
        "accuracy",
        0.0,
        1.0,
        "higher",
        "Alain & Bengio 2017 (scikit-learn)",
        "the label read off the code by a linear model; a guess has {chance}",
    ),
    "neighbour_probe": Entry(
        "accuracy",
        0.0,
        1.0,
        "higher",
        "scikit-learn, 5 neighbours",
        "the label read off the nearest codes; a guess has {chance}",
    ),
    "mig": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Chen et al. 2018, equation 6",
        "gap between the two latents that know most of a factor",
    ),
    "dci_disentanglement": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Eastwood & Williams 2018",
        "whether a latent answers to one factor",
    ),
    "dci_completeness": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Eastwood & Williams 2018",
        "whether a factor is held by one latent",
    ),
    "dci_informativeness": Entry(
        "accuracy",
        0.0,
        1.0,
        "higher",
        "Eastwood & Williams 2018",
        "how well a forest tells the factors from the code",
    ),
    "sap": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Kumar et al. 2018, section 3",
        "gap between the two latents that alone predict a factor best",
    ),
    "auroc": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Hanley & McNeil 1982 (scikit-learn)",
        "chance that an outlier has the larger squared error; ½ knows nothing",
    ),
    "average_precision": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "scikit-learn",
        "precision of that ranking over all recalls; {share} knows nothing",
    ),
    "auroc_nats": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "Hanley & McNeil 1982 (scikit-learn)",
        "the same chance by what score_samples says, in nats",
    ),
    "average_precision_nats": Entry(
        "",
        0.0,
        1.0,
        "higher",
        "scikit-learn",
        "the same precision by what score_samples says, in nats",
    ),
}


def metric(
    name: str,
    value: float,
    *,
    n: str = "",
    high: float | None = None,
    unit: str | None = None,
    low: float | None = None,
    **words: str,
) -> Metric:
    """The metric of that name, its text filled in.

    Args:
        name: one of :data:`CATALOGUE`.
        value: finite.
        n: which rows it rests on, at the end of the text.
        high: where a run narrows that of the catalogue.
        unit: where a run has another.
        low: where a run has another.
        words: what stands in braces in source and text.

    >>> metric("mig", 0.5, n="80 rows").text
    'gap between the two latents that know most of a factor (80 rows)'
    """
    entry = CATALOGUE[name]
    return Metric(
        name=name,
        value=float(value),
        unit=entry.unit if unit is None else unit,
        low=entry.low if low is None else low,
        high=entry.high if high is None else high,
        better=entry.better,
        source=entry.source.format(**words),
        text=entry.text.format(**words) + (f" ({n})" if n else ""),
    )
