"""Outlier detection: an autoencoder, six views of a row, and thresholds that keep their word.

The score is that of :mod:`isthmus.evaluation.outlyingness`, thresholds and p-values are those of
:mod:`isthmus.evaluation.detection_thresholds`. Rows are dealt at random into three parts: one to
which the autoencoder is fitted and with which new rows are compared, one that brings the views to
one scale, one that nothing depends on and that p-values and thresholds are taken from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from isthmus.data.columns.encoding import Encoded
from isthmus.data.text.agreeing import Written
from isthmus.errors import InvalidParameterError
from isthmus.estimators import (
    _input,
    _samples,
    _sources,
    _written,
)
from isthmus.estimators._atomic import unchanged_on_error
from isthmus.estimators._base import Estimator
from isthmus.estimators._checks import whole
from isthmus.estimators._fitting import Listener
from isthmus.estimators.outliers import files, reasons
from isthmus.estimators.outliers.reasons import Reason
from isthmus.estimators.outliers.rows import with_values
from isthmus.estimators.outliers.views import (
    Views,
    default_autoencoder,
)
from isthmus.evaluation.detection_thresholds import (
    clopper_pearson,
    conformal_p_values,
    conformal_threshold,
    extreme_value_threshold,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
RULES = ("contamination", "false_alarms", "extreme_value")
# Three rows to fit, two for the scale, one for p-values.
FEWEST_ROWS = 6
_MOST_HELD_OUT = 10_000


class OutlierDetector(OutlierMixin, BaseEstimator):
    """Outliers and novelties, by an autoencoder and what it leaves over.

    A row's score is the log of a power mean of its p-values in six views: a value that is rare by
    itself, values that do not go together (the residual and the code of the autoencoder), a code
    with no other one near it, a row that is alone in the directions that stand out from noise, in
    all features, or where all directions vary alike.
    scikit-learn's conventions: higher scores are more normal, ``predict`` gives 1 for inliers and
    −1 for outliers. For PyOD's see :class:`PyODFace`.

    Args:
        autoencoder: one of the four estimators, unfitted; it is copied. None: a variational one
            with the components that hold 90% of the variance.
        threshold: how the threshold is chosen: "contamination" flags that share of the rows of the
            fit; "false_alarms" flags normal rows at ``false_alarm_rate`` at most, by held-out rows;
            "extreme_value" the same by a tail fitted to them, for rates that few rows cannot show.
        contamination: share of outliers among the rows of the fit, above 0, at most ½.
        false_alarm_rate: wanted share of false alarms among normal rows, above 0, at most ½.
        calibration_fraction: share of the rows that the autoencoder is not fitted to, above 0, at
            most ½; half of them for the scale of the views, half for p-values and threshold;
            20,000 rows at most.
        n_neighbors: how many neighbours a distance between codes or outlines is averaged over, at
            least 1; in all features the nearest row alone counts.
        random_state: seed of the split, and of an autoencoder without one of its own. A detector
            is deterministic unless it is None.

    Attributes:
        autoencoder_: the fitted estimator.
        offset_: score below which a row is an outlier, nats.
        calibration_scores_: (m,) scores of the rows that nothing depends on, falling.
        false_alarm_interval_: 95% Clopper–Pearson interval of the rate at which normal rows are
            flagged, by those rows.
        decision_scores_: (N,) −score of the rows of the fit: PyOD's, higher is more unusual.
        labels_: (N,) 0, or 1 for an outlier, of the rows of the fit: PyOD's.
        threshold_: −``offset_``: PyOD's.
        n_features_in_, feature_names_in_: of the fit.

    Examples:
        >>> from sklearn.datasets import load_wine
        >>> from isthmus import OutlierDetector, VariationalAutoencoder
        >>> X = load_wine().data
        >>> small = VariationalAutoencoder(3, max_epochs=5, hidden_layer_sizes=(16,))
        >>> detector = OutlierDetector(small, contamination=0.05).fit(X)
        >>> strange = X[:1] * 3
        >>> detector.predict(strange)
        array([-1])
        >>> detector.explain(strange).shape
        (1, 13)
    """

    def __init__(
        self,
        autoencoder: Estimator | None = None,
        *,
        threshold: str = "contamination",
        contamination: float = 0.1,
        false_alarm_rate: float = 0.01,
        calibration_fraction: float = 0.2,
        n_neighbors: int = 5,
        random_state: Any = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.threshold = threshold
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.calibration_fraction = calibration_fraction
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, callback: Listener | None = None) -> Self:
        """Learn what is usual from rows.

        Args:
            X: (N, D) rows, or images or series as an autoencoder takes them, N ≥ 6, NaN where an
                entry is missing; normal ones, or mostly so.
            y: ignored.
            callback: called after every round of the autoencoder's training.

        Returns:
            The detector itself.

        Raises:
            ValueError: the data or a parameter break a rule, which the message names.
        """
        with unchanged_on_error(self):
            self._fit(X, callback)
        return self

    def _fit(self, X: Any, callback: Listener | None) -> None:
        _written.remember(self, X)
        x = _input.rows(self, _sources.held(X), reset=True, min_rows=FEWEST_ROWS).astype(np.float64)
        self._check()
        random = _input.random_state_of(self.random_state)
        order = random.permutation(len(x))
        seed = int(random.randint(2**31 - 1))
        half = min(round(self.calibration_fraction * len(x) / 2), _MOST_HELD_OUT)
        cuts = [max(1, half), max(1, half) + max(2, half)]
        calibration, scale, rest = np.split(
            with_values(order, x, cuts[1], _input.names_of_fit(self)), cuts
        )
        if self.autoencoder is None:
            model: Estimator = default_autoencoder(x[rest], seed, self.encoding_)
        else:
            model = clone(self.autoencoder)
            if model.random_state is None:
                model.set_params(random_state=seed)
        if self.sample_shape_ is not None and model.sample_shape is None:
            model.set_params(sample_shape=_samples.stated(self.sample_shape_))
        self.autoencoder_ = model.fit(self._for_model(x[rest]), callback=callback)
        _written.remember(self.autoencoder_, _written.remembered(self))  # it is saved with it
        self._views, found = Views.fit(model, x, rest, scale, self.n_neighbors)
        self.calibration_scores_ = np.sort(-found[calibration])[::-1]
        self.decision_scores_ = found
        self._decide()

    def _decide(self) -> None:
        """Set the threshold; it does not touch the views, so that a rule can be changed."""
        held_out = -self.calibration_scores_
        if self.threshold == "contamination":
            offset = float(np.percentile(-self.decision_scores_, 100.0 * self.contamination))
        else:
            tau = None
            if self.threshold == "false_alarms":
                tau = conformal_threshold(held_out, self.false_alarm_rate)
            if tau is None:
                tau = extreme_value_threshold(held_out, self.false_alarm_rate)
            offset = -tau
        self.offset_ = offset
        self.threshold_ = -offset
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(np.int64)
        self.false_alarm_interval_ = clopper_pearson(
            int((held_out > self.threshold_).sum()), len(held_out)
        )

    def score_samples(self, X: Any) -> Floats:
        """Log of the mean p-value of six, (N,), nats, at most 0, higher is more normal.

        The mean is that of the power −½. It orders rows, also beyond what the rows of the fit can
        show; as a probability it is a model. :meth:`p_values` are exact, unless rows were moved
        into the fit because only they have a value in some column.
        """
        return self._score(self._rows(X))

    def decision_function(self, X: Any) -> Floats:
        """``score_samples`` − ``offset_``, (N,), nats: negative for outliers."""
        decision: Floats = self.score_samples(X) - self.offset_
        return decision

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for an inlier, −1 for an outlier, (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1).astype(np.int64)

    def p_values(self, X: Any) -> Floats:
        """Share of normal rows that are as unusual, (N,), 1/(m + 1) to 1.

        Conformal: for a row exchangeable with those of the fit, P(p ≤ α) ≤ α for every α. The m
        rows that it is counted among are ``calibration_scores_``.
        """
        scores = self.score_samples(X)
        return conformal_p_values(-self.calibration_scores_, -scores)

    def surprises(self, X: Any) -> Floats:
        """Nats s of each view, (N, 6): value, combination, code, outline, distance, whitened.

        ``score_samples`` is −2 log of the mean of exp(s/2). A detector that was saved before there
        was a view "whitened" gives (N, 5), and −log of the mean of exp(s); one from before there
        was a view "distance" (N, 4), and minus the largest.
        """
        return self._views.surprises(self._rows(X))

    def explain(self, X: Any) -> Floats:
        """What each feature contributes, in the shape of X, nats, at least 0; a row's sum is −its
        score."""
        return _samples.like(self, self._views.contributions(self._rows(X)), X)

    def reasons(self, X: Any, n: int = 3) -> list[list[Reason]]:
        """The columns that count most for each row's score, largest first: name, value, share.

        Args:
            X: (N, D) rows.
            n: most that are named of a row, at least 1: those with a tenth of the score or more,
                and the largest where it has a hundredth.

        Returns:
            For each row its reasons, with values as X has them; what is missing is no reason.
        """
        whole("n", n, 1)
        X = _sources.held(X, self)
        return reasons.reasons(self._views.contributions(self._rows(X)), self, X, n)

    def save(
        self, path: str | Path, *, force: bool = False, provenance: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the fitted detector to a run directory: JSON and safetensors, no pickle.

        It holds the rows that new ones are compared with: 20,000 at most, fewer where they are
        wide.

        Args:
            path: the folder; it must not exist unless ``force`` is given.
            force: whether a run that is there is replaced.
            provenance: how the rows were read, as :meth:`isthmus.Autoencoder.save` takes it.

        Raises:
            RunError: the folder exists, or cannot be written; nothing is changed then.
        """
        check_is_fitted(self)
        return files.save(self, path, force=force, provenance=provenance or {})

    @staticmethod
    def load(path: str | Path) -> OutlierDetector:
        """Open what :meth:`save` wrote.

        Raises:
            RunError: missing, foreign, truncated or newer.
        """
        return files.load(path, OutlierDetector)

    def _rows(self, X: Any) -> Floats:
        check_is_fitted(self)
        return _input.rows(self, _sources.held(X, self), reset=False).astype(np.float64)

    def _for_model(self, x: Floats) -> Any:
        """Rows as the autoencoder is fitted to them: of a mixed table by the same encoding.

        It has the categories of all rows, in whatever order they are dealt: one that only held-out
        rows have is rare, and none that the fit did not see.
        """
        if self.encoding_ is None:
            return x
        return Encoded(x, self.encoding_, _input.names_of_fit(self))

    def _score(self, x: Floats) -> Floats:
        score: Floats = -self._views.score(x)
        return score

    def _check(self) -> None:
        if self.autoencoder is not None and not isinstance(self.autoencoder, Estimator):
            raise InvalidParameterError(
                f"autoencoder={self.autoencoder!r}", "must be an autoencoder of isthmus, or None"
            )
        if self.threshold not in RULES:
            raise InvalidParameterError(
                f"threshold={self.threshold!r}", f"must be one of {', '.join(RULES)}"
            )
        for name in ("contamination", "false_alarm_rate", "calibration_fraction"):
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not number or not 0 < value <= 0.5:
                raise InvalidParameterError(
                    f"{name}={value!r}", "must be a number above 0 and at most 0.5"
                )
        whole("n_neighbors", self.n_neighbors, 1)

    @property
    def written_(self) -> Written:
        """How the columns of the fit were written, by which later rows are read."""
        return _written.known(self)

    @property
    def likelihood(self) -> str:
        """That of the autoencoder, which says whether columns of any kind are taken."""
        return "auto" if self.autoencoder is None else str(self.autoencoder.likelihood)

    @property
    def kinds(self) -> Mapping[str, str] | None:
        """Kinds of columns that the autoencoder states."""
        return None if self.autoencoder is None else self.autoencoder.kinds

    @property
    def handle_unknown(self) -> str:
        """What the autoencoder does with a category that the fit did not see."""
        return "missing" if self.autoencoder is None else self.autoencoder.handle_unknown

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")
