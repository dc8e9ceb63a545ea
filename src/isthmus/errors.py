"""The tree of exceptions: every one says what was given, the rule it broke, and the remedy.

>>> error = InvalidParameterError(
...     "n_components=80",
...     "must be between 1 and 63, one less than the number of features of X",
...     "Ask for fewer components.",
... )
>>> print(error)
n_components=80 must be between 1 and 63, one less than the number of features of X. Ask for
fewer components.
"""

from __future__ import annotations


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


class RunError(IsthmusError, OSError):
    """A run directory is missing, incomplete, foreign, too new, or cannot be written."""


class DivergedError(IsthmusError, ArithmeticError):
    """The loss stopped being a finite number and no earlier state can be kept."""
