"""The outlier detector with PyOD's conventions, for code that was written for its detectors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from isthmus.estimators.outliers import OutlierDetector

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class PyODFace(BaseEstimator):
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

    @contamination.setter
    def contamination(self, share: float) -> None:
        self.detector.contamination = share

    @property
    def decision_scores_(self) -> Floats:
        """(N,) of the rows of the fit, nats, higher is more unusual."""
        return self.detector.decision_scores_

    @property
    def threshold_(self) -> float:
        """Score above which a row is an outlier."""
        return self.detector.threshold_

    @property
    def labels_(self) -> Labels:
        """(N,) 1 for an outlier among the rows of the fit, else 0."""
        return self.detector.labels_

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is usual from rows (N, D)."""
        self.detector.fit(X)
        return self

    def decision_function(self, X: Any) -> Floats:
        """(N,) nats, higher is more unusual."""
        return -self.detector.score_samples(X)

    def predict(self, X: Any, return_confidence: bool = False) -> Any:
        """(N,) 1 for an outlier, else 0; and with it :meth:`predict_confidence` if asked for."""
        labels: Labels = (self.detector.predict(X) < 0).astype(np.int64)
        return (labels, self.predict_confidence(X)) if return_confidence else labels

    def predict_confidence(self, X: Any) -> Floats:
        """(N,) how sure it is that another fit, to as many rows like these, predicts the same.

        Between 0 and 1, higher is surer (Perini, Vercruyssen & Davis 2020, *Quantifying the
        confidence of anomaly detectors in their example-wise predictions*): of n rows of the fit m
        lie at or below a row; with the chance (1 + m) / (2 + n) of each to do so, a row is an
        outlier to a fit if more than n − o of its rows do, o the number of outliers here.
        """
        from scipy.stats import binom

        fitted = np.sort(self.decision_scores_)
        n, outliers = len(fitted), int(self.labels_.sum())
        below = np.searchsorted(fitted, self.decision_function(X), "right")
        outlier: Floats = binom.sf(n - outliers, n, (1 + below) / (2 + n))
        return np.where(self.predict(X) == 1, outlier, 1.0 - outlier)

    def fit_predict(self, X: Any, y: Any = None) -> Labels:
        """``labels_`` after a fit."""
        return self.fit(X).labels_

    def predict_proba(self, X: Any) -> Floats:
        """(N, 2) chances of inlier and outlier: the conformal p-value and what is left of 1."""
        p = self.detector.p_values(X)
        return np.stack([p, 1 - p], axis=1)
