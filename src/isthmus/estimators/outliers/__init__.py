"""Outliers by an autoencoder: six views of a row, one score, a threshold, reasons."""

from isthmus.estimators.outliers.detector import RULES, OutlierDetector
from isthmus.estimators.outliers.reasons import Reason
from isthmus.estimators.outliers.views import VIEWS, default_autoencoder, default_components

__all__ = [
    "RULES",
    "VIEWS",
    "OutlierDetector",
    "Reason",
    "default_autoencoder",
    "default_components",
]
