"""scikit-learn's own checks, for all four estimators."""

import warnings

from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VariationalAutoencoder,
)

# One component, because some checks fit two features; few epochs, because they fit often.
SMALL = {"n_components": 1, "max_epochs": 2, "hidden_layer_sizes": (8,)}


@parametrize_with_checks(
    [
        Autoencoder(**SMALL),
        DenoisingAutoencoder(**SMALL),
        ContractiveAutoencoder(**SMALL),
        VariationalAutoencoder(**SMALL),
    ]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)
