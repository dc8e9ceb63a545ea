"""Autoencoders as dependable as PCA: they start at it, and leave it only for what is better.

The public names are loaded on first use (PEP 562), so that ``import isthmus`` costs milliseconds
and imports neither torch nor scikit-learn.

    >>> import isthmus
    >>> isthmus.__version__
    '0.1.0'
"""

from __future__ import annotations

from importlib import import_module

from isthmus._version import __version__

# Not typing's: its import takes half the time until the command line heeds Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isthmus.data.describe import describe
    from isthmus.data.opening import open_data
    from isthmus.errors import (
        CombinationError,
        DataError,
        DivergedError,
        InvalidParameterError,
        IsthmusError,
        RunError,
    )
    from isthmus.estimators import (
        Autoencoder,
        ContractiveAutoencoder,
        DenoisingAutoencoder,
        VariationalAutoencoder,
        load,
    )
    from isthmus.estimators.compare import Comparison, compare
    from isthmus.estimators.outliers import OutlierDetector


__all__ = [
    "__version__",
    "Autoencoder",
    "CombinationError",
    "compare",
    "Comparison",
    "ContractiveAutoencoder",
    "DataError",
    "DenoisingAutoencoder",
    "describe",
    "DivergedError",
    "InvalidParameterError",
    "IsthmusError",
    "load",
    "open_data",
    "OutlierDetector",
    "RunError",
    "VariationalAutoencoder",
]

_HOME = {
    "Autoencoder": "isthmus.estimators",
    "CombinationError": "isthmus.errors",
    "compare": "isthmus.estimators.compare",
    "Comparison": "isthmus.estimators.compare",
    "ContractiveAutoencoder": "isthmus.estimators",
    "DataError": "isthmus.errors",
    "DenoisingAutoencoder": "isthmus.estimators",
    "describe": "isthmus.data.describe",
    "DivergedError": "isthmus.errors",
    "InvalidParameterError": "isthmus.errors",
    "IsthmusError": "isthmus.errors",
    "load": "isthmus.estimators",
    "open_data": "isthmus.data.opening",
    "OutlierDetector": "isthmus.estimators.outliers",
    "RunError": "isthmus.errors",
    "VariationalAutoencoder": "isthmus.estimators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
