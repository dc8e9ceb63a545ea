"""Outliers by an autoencoder: six views of a row, one score, a threshold, reasons."""

from isthmus.estimators.outliers.detector import (
    RULES,
    VIEWS,
    OutlierDetector,
    Reason,
    default_autoencoder,
    default_components,
)

__all__ = [
    "RULES",
    "VIEWS",
    "OutlierDetector",
    "Reason",
    "default_autoencoder",
    "default_components",
]
