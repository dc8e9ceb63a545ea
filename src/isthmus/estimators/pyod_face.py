"""The outlier detector with PyOD's conventions, for code that was written for its detectors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from isthmus.estimators.outliers import OutlierDetector

Floats = NDArray[np.float64]


class PyODFace:
    """A detector with PyOD's conventions: higher is more unusual, labels are 0 and 1.

    Args:
        detector: an :class:`OutlierDetector`, fitted or not; None for one with the defaults.
        contamination: share of outliers, where no detector is given.

    Examples:
        >>> import numpy as np
        >>> from isthmus import Autoencoder, OutlierDetector
        >>> from isthmus.estimators.pyod_face import PyODFace
        >>> X = np.random.default_rng(0).normal(size=(60, 4))
        >>> face = PyODFace(OutlierDetector(Autoencoder(1, max_epochs=1), contamination=0.1))
        >>> int(face.fit(X).labels_.sum()), int(face.predict(X).sum())
        (6, 6)
    """

    def __init__(
        self, detector: OutlierDetector | None = None, *, contamination: float = 0.1
    ) -> None:
        self.detector = detector or OutlierDetector(contamination=contamination)

    @property
    def contamination(self) -> float:
        """Share of outliers that the threshold is set by."""
        return self.detector.contamination

    @property
    def decision_scores_(self) -> Floats:
        """(N,) of the rows of the fit, nats, higher is more unusual."""
        return self.detector.decision_scores_

    @property
    def threshold_(self) -> float:
        """Score above which a row is an outlier."""
        return self.detector.threshold_

    @property
    def labels_(self) -> NDArray[np.int64]:
        """(N,) 1 for an outlier among the rows of the fit, else 0."""
        return self.detector.labels_

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is usual from rows (N, D)."""
        self.detector.fit(X)
        return self

    def decision_function(self, X: Any) -> Floats:
        """(N,) nats, higher is more unusual."""
        return -self.detector.score_samples(X)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """(N,) 1 for an outlier, else 0."""
        return (self.detector.predict(X) < 0).astype(np.int64)

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """``labels_`` after a fit."""
        return self.fit(X).labels_

    def predict_proba(self, X: Any) -> Floats:
        """(N, 2) chances of inlier and outlier: the conformal p-value and what is left of 1."""
        p = self.detector.p_values(X)
        return np.stack([p, 1 - p], axis=1)
