"""The tree of exceptions: every one says what was given, the rule it broke, and the remedy.

>>> error = InvalidParameterError(
...     "n_components=80",
...     "must be between 1 and 63, one less than the number of features of X",
...     "Ask for fewer components.",
... )
>>> print(error)
n_components=80 must be between 1 and 63, one less than the number of features of X. Ask for
fewer components.

A remedy that is spelled otherwise on the command line names the argument and, in brackets, the
flag. Whoever knows by which face the user came keeps what there is there: :func:`by_flag` on the
command line, :func:`by_frame` where a DataFrame was given to a method. Leaving a column out does
not help where a fitted model needs it: :func:`of_fit` says so instead.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Collection, Iterator
from contextlib import contextmanager

_OFFER = re.compile(
    r"\bdrop(?:=(?P<names>\[.*?\]))? \(on the command line (?P<dropped>--drop.*?)\)(?=[.,;]|$)"
    r"|\b(?:encoding|handle_unknown|kinds|layout|likelihood|max_skipped|na_values|text)=[^()]* "
    r"\(on the command line (?P<flag>--[^()]*)\)"
)

_TO_DROP = re.compile(
    r"Leave (?:all \d+ )?out with drop(?:=(?P<names>\[.*?\]))? \(on the command line --drop.*?\)\."
    r"(?= |$)"
)
_AS_TEXT = re.compile(
    r"(?:^| )Or read (?:it|the column|them) as text: text=(?P<names>\[.*?\]) "
    r"\(on the command line --text .*?\)\.(?= |$)"
)


class IsthmusError(Exception):
    """Root of the errors that a user can cause and mend.

    Args:
        given: what was given, as the user would recognise it ("n_components=80").
        rule: what holds instead, a verb phrase that continues ``given``.
        remedy: one sentence on what to do, empty where the rule says it all.
    """

    def __init__(self, given: str, rule: str, remedy: str = "") -> None:
        super().__init__(given, rule, remedy)
        self.given = given
        self.rule = rule
        self.remedy = remedy

    def __str__(self) -> str:
        sentence = f"{self.given} {self.rule}".rstrip(".") + "."
        return f"{sentence} {self.remedy}" if self.remedy else sentence


class InvalidParameterError(IsthmusError, ValueError):
    """A parameter is outside its range, or does not fit the data."""


class CombinationError(InvalidParameterError):
    """Two parts, each valid alone, that do not go together; both are named."""


class DataError(IsthmusError, ValueError):
    """The data cannot be used: unreadable, ragged, infinite, of the wrong shape or support."""


class EntryError(DataError, TypeError):
    """An entry of the data is of a type that is no number, such as a dictionary."""


class RunError(IsthmusError, OSError):
    """A run directory is missing, incomplete, foreign, too new, or cannot be written."""


class DivergedError(IsthmusError, ArithmeticError):
    """The loss stopped being a finite number and no earlier state can be kept."""


def by_flag(remedy: str) -> str:
    """The remedy with flags alone.

    >>> by_flag("Leave out with drop=['id'] (on the command line --drop id).")
    'Leave out with --drop id.'
    """
    return _OFFER.sub(lambda offer: offer["dropped"] or offer["flag"], remedy)


def by_frame(remedy: str, dropped: str) -> str:
    """The remedy where columns are left out by a method of the frame.

    Args:
        remedy: of an error.
        dropped: the call, with {} for the list of names.

    >>> by_frame("Leave out with drop=['id'] (on the command line --drop id).", "X.drop({})")
    "Leave out with X.drop(['id'])."
    """

    def spelled(offer: re.Match[str]) -> str:
        return dropped.format(offer["names"] or "[...]") if offer["dropped"] else offer[0]

    return _OFFER.sub(spelled, remedy)


def by_fit(remedy: str, fitted: Collection[str] | None) -> str:
    """The remedy where the columns of a fit are needed, and as what they were.

    Args:
        remedy: of an error.
        fitted: the names of these columns; None where none that is there may be left out. Where an
            offer has no names, they are many, and not of the fit.

    >>> offer = "Leave out with drop=['age'] (on the command line --drop age)."
    >>> by_fit(f"{offer} Or encode it as numbers.", ["age", "height"])
    'Mend it, or fit again without it. Or encode it as numbers.'
    >>> by_fit(offer, ["height"]) == offer
    True
    """

    def needed(offer: re.Match[str]) -> bool:
        names = literal_eval(offer["names"]) if offer["names"] else None
        return fitted is None or any(name in fitted for name in names or ())

    def mended(offer: re.Match[str]) -> str:
        if not needed(offer):
            return offer[0]
        each = "them" if offer["names"] is None or len(literal_eval(offer["names"])) > 1 else "it"
        return f"Mend {each}, or fit again without {each}."

    remedy = _TO_DROP.sub(mended, remedy)
    return _AS_TEXT.sub(lambda offer: "" if needed(offer) else offer[0], remedy).strip()


@contextmanager
def of_fit(fitted: Collection[str] | None) -> Iterator[None]:
    """Within it, remedies are those for columns that a fitted model needs (:func:`by_fit`)."""
    try:
        yield
    except IsthmusError as error:
        error.remedy = by_fit(error.remedy, fitted)
        error.args = (error.given, error.rule, error.remedy)
        raise
