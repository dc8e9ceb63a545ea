"""What the columns of a DataFrame of pandas are called, where it is more than words.

Columns are told apart by their names as text everywhere. What pandas calls them besides, numbers,
tuples of several levels, a name of the levels, is kept here, so that what a model makes comes back
under the labels of its fit. Labels that JSON cannot hold (timestamps, say) are not kept.
"""

from __future__ import annotations

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
