"""What users pass in → a NumPy array of rows, checked; scikit-learn's checks and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from isthmus.data import handed, numbers
from isthmus.data.columns import choosing, frames
from isthmus.data.columns.axes import Axis, in_words
from isthmus.data.columns.encoded_column import TRUTHS
from isthmus.data.columns.encoding import Encoded, Encoding
from isthmus.data.matrix import refuse_others
from isthmus.data.source import Source
from isthmus.data.tables import Table, drop_advice, quoted, shown, stand_in
from isthmus.data.telling import note_empty, note_taken, told_once
from isthmus.errors import CombinationError, DataError, of_fit
from isthmus.estimators import _samples, _written

Floats = NDArray[np.float32] | NDArray[np.float64]
Rows = NDArray[Any]
_CHUNK = 8192


def rows(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1) -> Floats:
    """X as a float32 or float64 array (N, D); NaN stays, infinity is refused.

    Arrays, DataFrames, tables of :mod:`isthmus.data`, torch tensors and sparse matrices (made
    dense). float64 stays float64, integers of at most 16 bits and float16 become float32, other
    integers float64.

    Images and series become rows (:mod:`isthmus.estimators._samples`).

    Args:
        estimator: remembers or compares the number and names of features, and samples' shapes.
        X: the input.
        reset: whether this is the fit.
        min_rows: fewest rows allowed.

    Raises:
        ValueError: scikit-learn's, for a wrong shape, number or names of features, or infinity.
        DataError: a feature is missing in every row of the fit, a table has other columns than
            that of the fit, or a DataFrame has a column of text and the likelihood is of numbers.

    A mixed table comes out as the matrix of its :class:`isthmus.data.columns.encoding.Encoding`,
    which the fit leaves in ``encoding_``.
    """
    with frames.addressed(X):
        handed.refuse(X)
        X = handed.as_array(X)
        if reset:
            return _checked(estimator, X, reset, min_rows)
        with of_fit(names_of_fit(estimator)):
            return _checked(estimator, _written.as_fitted(estimator, X), reset, min_rows)


def _checked(estimator: BaseEstimator, X: Any, reset: bool, min_rows: int) -> Floats:
    if isinstance(X, Source):
        raise DataError(
            f"the source {X.origin}",
            "cannot stand here, where all rows are needed at once",
            "Give the rows: isthmus.data.source.in_memory(source), or source.tables(piece).",
        )
    if isinstance(X, Encoded):
        if reset:
            estimator.encoding_ = X.encoding
            remember(estimator, X.values.shape[1], X.names)
        return cast(Floats, X.values)
    X = _samples.flat(estimator, X, reset=reset)
    if not reset:
        _refuse_other_names(estimator, X)
    if reset:
        estimator.encoding_ = encoding_of(estimator, X)
    if getattr(estimator, "encoding_", None) is not None:
        return _encoded(estimator, X, reset, min_rows)
    _refuse_text(estimator, X)
    origin, first = frames.origin_of(X)
    named = names_of_fit(estimator) if not reset else None
    named = named or frames.names_of(X)
    if not reset:
        tell_truths(estimator, X, origin)
    with numbers.within_range(origin):
        if isinstance(X, Table):
            X = _table(estimator, X, reset, min_rows)
        else:
            X = _validated(estimator, X, reset, min_rows)
        if sparse.issparse(X):
            X = X.toarray()
        if reset:
            _samples.check_size(estimator, X.shape[1])
        small = X.dtype.itemsize <= 2 or X.dtype == np.float32
        data = writable(X.astype(np.float32 if small else np.float64, copy=False))
    if not _is_in_range(data):
        numbers.refuse_beyond(data, origin, named, first)
    if reset:
        empty = np.ones(data.shape[1], dtype=bool)
        for start in range(0, len(data), _CHUNK):  # a mask of all rows would take a quarter of them
            empty &= np.isnan(data[start : start + _CHUNK]).all(0)
            if not empty.any():
                break
        if empty.any():
            j = int(empty.argmax())
            names = getattr(estimator, "feature_names_in_", None)
            name = repr(names[j]) if names is not None else str(j)
            raise DataError(
                f"column {name} of X", "has no value in any row", "Drop it, or fill it."
            )
    elif getattr(estimator, "sample_shape_", None) is None:
        _note_empty(estimator, data, origin)
    return data


def tell_truths(estimator: BaseEstimator, X: Any, origin: str) -> None:
    """Have it told which columns hold truth values, where the fit had numbers alone."""
    if getattr(estimator, "likelihood", "") != "auto":  # they may have been numbers of the fit
        return
    with told_once():
        for name in frames.truths(X):
            note_taken(origin, name, TRUTHS)


def _validated(estimator: BaseEstimator, X: Any, reset: bool, min_rows: int) -> Any:
    """X as scikit-learn takes it, which remembers its columns or compares them; infinity stays."""
    numbers.refuse_entries(X, "X", _also_frame(estimator))
    numbers.refuse_shape(X, "X")
    if hasattr(X, "shape"):
        numbers.refuse_few(int(X.shape[0]), min_rows, "X")
        columns, known = int(X.shape[1]), getattr(estimator, "n_features_in_", None)
        if not reset and columns != known:
            raise DataError(
                f"X has {columns} features, but {type(estimator).__name__} is expecting {known} "
                "features as input, and",
                "must have as many as the data of the fit",
                "Give the columns that the fit had, in its order.",
            )
    return validate_data(
        estimator,
        in_words(X),
        reset=reset,
        accept_sparse=("csr", "csc", "coo"),
        dtype="numeric",
        ensure_all_finite=False,
        ensure_min_samples=min_rows,
    )


def _note_empty(estimator: BaseEstimator, data: Floats, origin: str) -> None:
    """Have it told which columns are empty in all rows; most often the first row tells of none."""
    some = np.flatnonzero(np.isnan(data[0]))
    empty = some[np.isnan(data[:, some]).all(0)] if len(some) else some
    names = names_of_fit(estimator)
    with told_once():
        note_empty(origin, len(data), [stand_in(j) if names is None else names[j] for j in empty])


def _is_in_range(data: Floats) -> bool:
    """Whether a sum of squares tells at once that none is beyond range; torch's runs on every core.

    scikit-learn's own sum runs on one, and takes a third of the time of `transform`.
    """
    x = torch.from_numpy(data).view(-1)
    return float(torch.dot(x, x)) <= numbers.LARGEST**2


def encoding_of(
    estimator: BaseEstimator, X: Any, rows: Iterable[Any] | None = None
) -> Encoding | None:
    """The encoding of a mixed table, None for numbers that are taken as they are.

    Args:
        estimator: which may state kinds, or a likelihood.
        X: the table, or one of its columns' types.
        rows: its rows, as Arrow tables one after the other; X itself by default.

    Raises:
        CombinationError: kinds are stated for another likelihood than the joint one.
    """
    kinds = getattr(estimator, "kinds", None)
    name = getattr(estimator, "likelihood", "gaussian")
    if name not in ("auto", "joint"):
        if kinds:
            raise CombinationError(
                f"kinds with likelihood={name!r}",
                "do not go together: kinds choose a likelihood for each column",
                "Use likelihood='auto'.",
            )
        return None
    if name == "auto" and not kinds and not frames.is_mixed(X):
        return None
    if sparse.issparse(X):
        X = X.toarray()
    if rows is None:
        rows = table = frames.arrow(X)
        numbers.refuse_few(table.num_rows, 1, frames.origin_of(X)[0])
    encoding = Encoding.fit(rows, kinds)
    return encoding.model_copy(update={"frame": frames.flavour(X), "axis": Axis.of(X)})


def _encoded(estimator: BaseEstimator, X: Any, reset: bool, min_rows: int) -> Floats:
    """The matrix of a mixed table; an array has the columns of the fit, in their order."""
    encoding: Encoding = estimator.encoding_
    if sparse.issparse(X):
        X = X.toarray()
    table, names = frames.arrow(X), frames.names_of(X)
    fitted = names if reset else names_of_fit(estimator)
    if names is None or fitted is None:
        if table.num_columns != len(encoding.columns):
            raise DataError(
                f"X with {table.num_columns} column{'s' * (table.num_columns != 1)}",
                f"must have {len(encoding.columns)}, as the data of the fit",
            )
        if names != list(encoding.names):  # else it is a block of rows that were renamed already
            choosing.warn_of_position(names, fitted, type(estimator).__name__)
            table = table.rename_columns(list(encoding.names))
    numbers.refuse_few(table.num_rows, min_rows, frames.origin_of(X)[0])
    if reset:
        remember(estimator, table.num_columns, names)
    return cast(Floats, encoding.encode(table, getattr(estimator, "handle_unknown", "missing")))


def restored(encoding: Encoding | None, values: NDArray[Any], X: Any) -> Any:
    """Rows as the fit's encoding gives them back, in the form of X; numbers as they are.

    Args:
        encoding: of the fit, or None.
        values: (N, D).
        X: what was given, or None for the form of the fit.
    """
    if encoding is None or isinstance(X, Encoded):
        return values
    if X is None:
        return encoding.decode(values, encoding.frame)
    return like(encoding.decode(values, frames.flavour(X)), X)


def like(frame: Any, X: Any) -> Any:
    """A DataFrame with the labels of X; anything else as it is."""
    if frames.flavour(X) == "pandas":
        frame.index, frame.columns = X.index, X.columns
    return frame


def random_state_of(random_state: Any) -> np.random.RandomState:
    """scikit-learn's generator for a seed, a ``RandomState``, None, or a ``Generator``.

    >>> a, b = (random_state_of(np.random.default_rng(0)).randint(99) for _ in range(2))
    >>> a == b
    True
    """
    if isinstance(random_state, np.random.Generator):
        random_state = int(random_state.integers(2**31 - 1))
    state: np.random.RandomState = check_random_state(random_state)
    return state


def _also(estimator: BaseEstimator) -> str:
    if not hasattr(estimator, "kinds"):
        return ""
    if hasattr(estimator, "autoencoder_") and estimator.encoding_ is None:
        return "The fit had numbers alone. "
    return (
        "Use likelihood='auto' (on the command line --likelihood auto), which takes columns of "
        "every kind. "
    )


def _also_frame(estimator: BaseEstimator) -> str:
    """The remedy for an array with words: only a frame tells which columns are of which kind."""
    if not hasattr(estimator, "kinds") or hasattr(estimator, "autoencoder_"):
        return ""
    return "Or give pandas.DataFrame(X) with likelihood='auto', which takes columns of every kind."


def _refuse_text(estimator: BaseEstimator, X: Any) -> None:
    """What is no number, by its column: scikit-learn's sentence names neither that nor a remedy."""
    frame = X.frame if isinstance(X, Table) else X
    if hasattr(frame, "schema") and hasattr(frame, "column_names"):
        refuse_others(frame.column_names, frame.columns, frames.origin_of(X)[0], _also(estimator))
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return
    for name in X.columns:
        odd = next((v for v in _objects_of(X[name]) if _is_odd(v)), None)
        if odd is not None:
            raise DataError(
                f"column {name!r} of X with the value {shown(odd)}",
                "must hold numbers",
                f"{_also(estimator)}{drop_advice([str(name)])} Or encode it (scikit-learn's "
                "OneHotEncoder or OrdinalEncoder).",
            )


def _objects_of(column: Any) -> Iterable[Any]:
    """The entries of a column that may not be numbers."""
    dtype = getattr(column, "dtype", None)
    return () if isinstance(dtype, np.dtype) and dtype.kind in "biufc" else column


def _is_odd(value: Any) -> bool:
    """Whether it is no number to scikit-learn, to which Booleans are numbers."""
    return not isinstance(value, bool | np.bool_) and numbers.is_no_number(value)


def writable(X: NDArray[Any]) -> Floats:
    """The same array if torch can share its memory (contiguous, not read-only), else a copy."""
    X = np.ascontiguousarray(X)
    return cast(Floats, X if X.flags.writeable else X.copy())


def _table(estimator: BaseEstimator, table: Table, reset: bool, min_rows: int) -> Floats:
    """The rows of a table; remembers its columns, or takes them by name where both have names."""
    count, columns = table.values.shape
    numbers.refuse_few(count, min_rows, table.origin)
    if reset:
        remember(estimator, columns, table.names)
    else:
        if table.names is None and columns != estimator.n_features_in_:
            raise DataError(
                f"{table.origin} with {columns} column{'s' * (columns != 1)}",
                f"must have {estimator.n_features_in_}, as the data of the fit",
            )
        fitted, model = names_of_fit(estimator), type(estimator).__name__
        table = choosing.of_fit(table, fitted, model, estimator.n_features_in_)
    return cast(Floats, table.values)


def remember(estimator: BaseEstimator, n_features: int, names: Sequence[str] | None) -> None:
    estimator.n_features_in_ = n_features
    if names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def names_of_fit(estimator: BaseEstimator) -> list[str] | None:
    """The names of the columns of the fit, None where they had none."""
    known = getattr(estimator, "feature_names_in_", None)
    return None if known is None else [str(name) for name in known]


def _refuse_other_names(estimator: BaseEstimator, X: Any) -> None:
    """scikit-learn's rule for frames, in its words, with the remedy: the same names in one order.

    Raises:
        DataError: they are not.
    """
    fitted = names_of_fit(estimator)
    names = None if isinstance(X, Table) else frames.names_of(X)
    if fitted is None and names and sorted(names) == sorted(map(str, range(len(names)))):
        fitted = [str(j) for j in range(len(names))]  # of columns without names: their places
    if fitted is None or names is None or names == fitted:
        return
    unseen, missing = sorted({*names} - {*fitted}), sorted({*fitted} - {*names})
    said = []
    if unseen:
        said += ["Feature names unseen at fit time:", *_listed(unseen)]
    if missing:
        said += ["Feature names seen at fit time, yet now missing:", *_listed(missing)]
    if not said:
        said = [
            "Feature names must be in the same order as they were in fit.",
            f"The fit had {quoted(fitted)}; X has {quoted(names)}.",
        ]
    fit = "list(model.feature_names_in_)"
    remedy = f"Give X[{fit}]" if frames.flavour(X) != "arrow" else f"Give X.select({fit})"
    labels = X.columns if frames.flavour(X) == "pandas" else ()
    if not missing and not all(isinstance(label, str) for label in labels):
        remedy = f"Give X.iloc[:, {[names.index(name) for name in fitted]}]"  # labels are no words
    if missing:
        remedy = "Give the columns that the fit had, under the same names"
    raise DataError(
        "The feature names",
        "\n".join(["should match those that were passed during fit.", *said, remedy]),
    )


def _listed(names: Sequence[str], limit: int = 5) -> list[str]:
    more = ["- ..."] if len(names) > limit else []
    return [*(f"- {name}" for name in names[:limit]), *more]
