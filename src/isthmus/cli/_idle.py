"""Settings that were given and change nothing, because something they belong to is not there.

From Python such a setting is no mistake: a grid may vary it together with what it belongs to. Who
writes it on the command line expects something of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One reason for being idle.

    Args:
        names: of the parameters concerned.
        holds: whether they are idle, from all parameters of the estimator.
        why: continues "has no effect: ".
        remedy: one sentence.
    """

    names: tuple[str, ...]
    holds: Callable[[Parameters], bool]
    why: str
    remedy: str


RULES = (
    Rule(
        ("noise_level", "emphasis"),
        lambda p: p["noise"] is None,
        "nothing corrupts the input",
        "Add --noise gaussian, for example, or --model denoising.",
    ),
    Rule(
        ("kl_warmup", "free_bits", "n_draws"),
        lambda p: p["beta"] is None,
        "the code of a row is one point, not a distribution",
        "Add --model variational, or --beta 1.",
    ),
    Rule(
        ("contraction_method",),
        lambda p: p["contraction"] == 0,
        "there is no contraction",
        "Add --contraction 1, for example, or --model contractive.",
    ),
    Rule(
        ("patience", "validation_fraction"),
        lambda p: p["early_stopping"] is False,
        "no rows are held out",
        "Leave out --no-early-stopping.",
    ),
    Rule(
        ("activation",),
        lambda p: p["hidden_layer_sizes"] == (),
        "there are no hidden layers",
        "Give --hidden-layer-sizes 64, for example, or leave both out.",
    ),
)
_FOLDS = Rule(
    ("validation_fraction",),
    lambda p: p["early_stopping"] == "auto",
    "so few rows are cross-validated instead of held out",
    "Add --early-stopping to hold rows out.",
)


def warnings_of(
    given: Mapping[str, str], parameters: Parameters, defaults: Parameters, *, folds: bool
) -> list[str]:
    """A sentence for each setting that was given and changes nothing.

    Args:
        given: the parameters that were given, and how: "--noise-level", "noise_level in a.toml".
        parameters: all of the estimator.
        defaults: of its class; a setting at its default expects nothing.
        folds: whether the rows are few enough for cross-validation.

    >>> p = {"noise": None, "beta": None, "noise_level": 0.3}
    >>> warnings_of({"noise_level": "--noise-level"}, p, {"noise_level": None}, folds=False)
    ['--noise-level has no effect: nothing corrupts the input. Add --noise gaussian, for example, \
or --model denoising.']
    """
    rules = (*RULES, _FOLDS) if folds else RULES
    return [
        f"{spelled} has no effect: {rule.why}. {rule.remedy}"
        for name, spelled in given.items()
        for rule in rules
        if name in rule.names and parameters[name] != defaults[name] and rule.holds(parameters)
    ]
