"""Checks of health that look at the rows: does the likelihood suit them, and do their scales?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from isthmus.evaluation._finding import Case, Finding

BETTER_LIKELIHOOD = 0.05
"""Nats per entry that another likelihood must gain."""
DROWNING = 0.5
"""Share of the variance from which one feature drowns the others."""
FEW_ROWS_SHARE = 0.5
"""Share of the error that 1% of the rows may make."""
FAR = 3.0
"""Deviations by which the mean of many new rows may lie away; of one row twice as many."""


def likelihood(case: Case) -> Iterator[Finding]:
    """Whether another likelihood suits the residuals or the kind of values better."""
    known = case.facts.get("residuals")
    if not known or case.few:
        return
    name, values = case.facts["likelihood"], known["values"]
    n_entries = max(1.0, float(known["n_entries"]))
    floor, dispersion = known.get("grey_floor"), known.get("dispersion")
    advice = _better(name, values, known, n_entries)
    if advice is not None:
        yield advice
    elif name == "bernoulli" and values == "grey" and floor is not None:
        yield Finding(
            "note",
            "likelihood",
            f"Values between 0 and 1 under a Bernoulli likelihood: {floor:.4g} nats per row of the "
            "loss are the pixels' own entropy, and its nats are no log-density.",
            "Use likelihood='continuous_bernoulli' where nats are to be compared.",
        )
    elif name == "poisson" and dispersion is not None and dispersion > 1.5:
        yield Finding(
            "warning",
            "likelihood",
            f"The counts scatter {dispersion:.3g} times as much as a Poisson's do.",
            "Use likelihood='negative_binomial'.",
        )
    elif known.get("gain_feature") is not None and not case.collapsed:
        gain = max(known["gain_feature"], known["gain_laplace"]) / n_entries
        n, of = known.get("n_features", 0), case.facts.get("n_features", 0)
        word = "feature of {} that holds" if n == 1 else "features of {} that hold"
        judged = f" of the {n} {word.format(of)} the variance" if 0 < n < of else ""
        yield Finding(
            "good",
            "likelihood",
            f"The {name} likelihood suits the residuals{judged}: no simple other one gains more "
            f"than {max(0.0, gain):.2g} nats per entry.",
        )


def _better(name: str, values: str, known: Mapping[str, Any], n_entries: float) -> Finding | None:
    if name.startswith("gaussian") and values == "binary":
        return Finding(
            "warning",
            "likelihood",
            "Every value is 0 or 1, and a Gaussian likelihood takes them for measurements.",
            "Use likelihood='bernoulli'.",
        )
    gains = {
        "gaussian_feature": known.get("gain_feature"),
        "laplace": known.get("gain_laplace"),
        "poisson": known.get("gain_poisson"),
    }
    if name not in ("gaussian", "gaussian_fixed", "laplace"):
        return None
    base = gains["laplace"] or 0.0 if name == "laplace" else 0.0
    best, gain = max(
        ((other, value - base) for other, value in gains.items() if value is not None),
        key=lambda pair: pair[1],
        default=("", 0.0),
    )
    if not best or gain < BETTER_LIKELIHOOD * n_entries or best == name:
        return None
    reason = {
        "gaussian_feature": "the features are not told equally well, and one σ serves them all",
        "laplace": f"the residuals have long tails (excess kurtosis {known['kurtosis']:.2g})",
        "poisson": "they are counts",
    }[best]
    shown = best
    if best == "poisson" and (known.get("dispersion") or 1.0) > 1.5:
        shown = "negative_binomial"
    return Finding(
        "note",
        "likelihood",
        f"{best!r} gives the same residuals {gain:.3g} nats per row more than {name!r}: {reason}.",
        f"Try likelihood={shown!r}.",
    )


def scale(case: Case) -> Iterator[Finding]:
    """Whether features drown each other, new rows lie elsewhere, or few rows make the error."""
    known = case.facts.get("scale")
    if not known:
        return
    fine = True
    if known["largest_share"] > DROWNING and case.facts.get("scaling") != "standard":
        fine = False
        yield Finding(
            "warning",
            "scale",
            f"{case.feature(known['largest_feature'])} alone holds "
            f"{100 * known['largest_share']:.0f}% of the variance that the error counts; the "
            "others hardly matter.",
            "Use scaling='standard', unless that feature is what counts.",
        )
    if known["shift"] > FAR * (1 + 1 / math.sqrt(case.n)):
        fine = False
        yield Finding(
            "warning",
            "scale",
            f"The rows are not on the scale of the fit: the mean of "
            f"{case.feature(known['shifted_feature'])} lies {known['shift']:.3g} deviations away.",
            "Bring them into the units of the rows the model was fitted to.",
        )
    if known["worst_share"] > FEW_ROWS_SHARE:
        fine = False
        yield Finding(
            "note",
            "scale",
            f"1% of the rows make {100 * known['worst_share']:.0f}% of the squared error.",
            "Look at these rows first: they are outliers, or a column has a long tail that its "
            "logarithm would shorten.",
        )
    if known["constant"] and not case.few:
        fine = False
        yield Finding(
            "note",
            "scale",
            f"{known['constant']} of {case.facts['n_features']} features do not vary.",
            "They cost nothing and say nothing; drop them if you like.",
        )
    if fine and not case.few:
        yield Finding(
            "good",
            "scale",
            f"No feature drowns the others: the largest holds {100 * known['largest_share']:.2g}% "
            "of the variance that the error counts.",
        )
