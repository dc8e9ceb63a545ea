"""Nothing is lost: what fails leaves an estimator as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Put the attributes back if the block raises, Ctrl-C included.

    >>> from sklearn.cluster import KMeans
    >>> fitted = KMeans(2)
    >>> try:
    ...     with unchanged_on_error(fitted):
    ...         fitted.n_clusters = 0
    ...         raise ValueError
    ... except ValueError:
    ...     fitted.n_clusters
    2
    """
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise
