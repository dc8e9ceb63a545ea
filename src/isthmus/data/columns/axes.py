"""What the columns of a DataFrame of pandas are called, where it is more than words.

Columns are told apart by their names as text everywhere (:func:`in_words`). What pandas calls them
besides, numbers, tuples of several levels, a name of the levels, is kept here, so that what a model
makes comes back under the labels of its fit. Labels that JSON cannot hold (timestamps, say) are not
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isthmus.data.columns import frames

_Plain = str | bool | int | Annotated[float, Field(allow_inf_nan=False)]
_Label = _Plain | Annotated[tuple[_Plain, ...], Field(strict=False)]


class Axis(BaseModel):
    """The labels of D columns.

    Attributes:
        labels: of each column, a tuple of them where there are several levels.
        levels: names of the levels.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    labels: Annotated[tuple[_Label, ...], Field(min_length=1, strict=False)]
    levels: Annotated[tuple[_Plain | None, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _consistent(self) -> Axis:
        depth = len(self.levels)
        if any((len(x) if isinstance(x, tuple) else 1) != depth for x in self.labels):
            raise ValueError(f"labels of {depth} levels with another number of parts")
        return self

    @classmethod
    def of(cls, X: Any) -> Axis | None:
        """The labels of a DataFrame of pandas; None where they are words alone, or cannot be kept.

        >>> import pandas as pd
        >>> Axis.of(pd.DataFrame([[1, 2]])).labels, Axis.of(pd.DataFrame({"a": [1]}))
        ((0, 1), None)
        """
        if frames.flavour(X) != "pandas":
            return None
        labels, levels = map(_plain, X.columns), map(_plain, X.columns.names)
        try:
            found = cls(labels=tuple(labels), levels=tuple(levels))
        except ValidationError:
            return None
        words = all(isinstance(label, str) for label in found.labels)
        return None if words and found.levels == (None,) else found

    def put(self, frame: Any) -> None:
        """Call the columns of a DataFrame so."""
        import pandas

        if len(self.levels) > 1:
            labels = [label for label in self.labels if isinstance(label, tuple)]  # all of them
            frame.columns = pandas.MultiIndex.from_tuples(labels, names=self.levels)
        else:
            frame.columns = pandas.Index(self.labels, name=self.levels[0], tupleize_cols=False)


def _plain(label: Any) -> Any:
    """With Python's own numbers, which JSON has."""
    if isinstance(label, tuple):
        return tuple(map(_plain, label))
    return label.item() if isinstance(label, np.integer | np.floating | np.bool_) else label


def in_words(X: Any) -> Any:
    """A DataFrame of pandas with the names of its columns as text, where not all of them are.

    Numbers and tuples of several levels are names as words are. Only columns that are numbered 0 to
    D - 1 in their order, as pandas numbers those of an array, stay without names.

    >>> import pandas as pd
    >>> [list(in_words(pd.DataFrame([[1, 2]], columns=c)).columns) for c in ([2000, "a"], [0, 1])]
    [['2000', 'a'], [0, 1]]
    """
    if frames.flavour(X) != "pandas" or not hasattr(X, "columns"):
        return X
    names = [str(name) for name in X.columns]
    if is_numbered(names) or all(isinstance(name, str) for name in X.columns):
        return X
    return X.set_axis(names, axis=1)


def is_numbered(names: Sequence[str]) -> bool:
    """Whether the names tell places and no more: 0, 1, 2, ... in this order."""
    return list(names) == [str(j) for j in range(len(names))]
