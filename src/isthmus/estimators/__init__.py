"""The scikit-learn face: four estimators of one class, ``load``, outliers, how many components."""

from isthmus.estimators._base import Estimator
from isthmus.estimators._fitting import Progress
from isthmus.estimators._loading import load
from isthmus.estimators.models import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)

__all__ = [
    "Autoencoder",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "Estimator",
    "Progress",
    "VariationalAutoencoder",
    "load",
]
