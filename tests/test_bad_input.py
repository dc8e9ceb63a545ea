"""What is refused, and in which words: what was given, the rule, and the remedy."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn

from estimator_examples import CLASSES, SMALL, D, N, curved, fitted, options, supported
from isthmus import (
    Autoencoder,
    CombinationError,
    DataError,
    InvalidParameterError,
    IsthmusError,
    OutlierDetector,
    RunError,
    VariationalAutoencoder,
    load,
    open_data,
)
from isthmus.core.likelihoods import LIKELIHOODS
from isthmus.estimators.compare import compare
from isthmus.evaluation.evaluate import evaluate

X = curved()
K = 2


def bad(x: np.ndarray, place: Any, value: Any) -> np.ndarray:
    x = x.copy()
    x[place] = value
    return x


# parameters given, the exception, words that must occur
PARAMETERS: list[tuple[dict[str, Any], type[Exception], str]] = [
    *(
        ({"n_components": v}, InvalidParameterError, f"n_components={v!r} must be a whole number")
        for v in (0, -1, 2.0, "2", None, True, math.nan)
    ),
    *(
        (
            {"n_components": v},
            InvalidParameterError,
            f"n_components={v} must be between 1 and {D - 1}, one less than n_features={D}.*"
            "Ask for fewer components, or use a denoising",
        )
        for v in (D, D + 1, 10**9)
    ),
    *(
        ({name: v}, InvalidParameterError, f"{name}={v!r} must be a whole number of at least 1")
        for name in ("max_epochs", "batch_size", "n_draws", "patience")
        for v in (0, -3, 1.5, True)
    ),
    *(
        ({name: v}, InvalidParameterError, f"{name}={v!r} must be a finite number of at least 0")
        for name in (
            *("weight_decay", "noise_level", "emphasis", "contraction", "sparsity", "beta"),
            "free_bits",
        )
        for v in (-0.1, math.nan, math.inf, "much", True)
    ),
    *(
        ({"learning_rate": v}, InvalidParameterError, f"learning_rate={v!r} must be a finite.*0")
        for v in (0, -1e-3, math.nan, math.inf, "fast", None)
    ),
    *(
        (
            {"validation_fraction": v},
            InvalidParameterError,
            f"validation_fraction={v!r} must lie between 0 and 1, both excluded",
        )
        for v in (0, 1, -0.1, 1.5, math.nan, "0.1", None)
    ),
    *(
        ({"kl_warmup": v}, InvalidParameterError, f"kl_warmup={v!r} must lie between 0 and 1")
        for v in (-0.1, 1.5, "half")
    ),
    *(
        ({name: v}, InvalidParameterError, f"{name}={v!r} must be .*one of .*{known}")
        for name, known in (
            ("early_stopping", "'auto', True, False"),
            ("precision", "'auto', 'float32', 'tf32', 'bfloat16', 'float16'"),
            ("compile", "'auto', True, False"),
            ("scaling", "'auto', 'standard', 'common', 'none'"),
            ("activation", "'silu', 'gelu', 'relu'"),
            ("contraction_method", "'auto', 'closed_form', 'exact', 'hutchinson'"),
            ("likelihood", "gaussian, gaussian_fixed"),
            ("noise", "gaussian, masking, salt_and_pepper, swap"),
        )
        for v in ("nonsense", 7)
    ),
    ({"likelihood": None}, InvalidParameterError, "likelihood=None must be one of"),
    ({"objective": "x"}, InvalidParameterError, "objective='x' must be .*'evidence'.*'importance'"),
    *(
        (
            {"hidden_layer_sizes": v},
            InvalidParameterError,
            f"hidden_layer_sizes={re.escape(repr(v))} must be .*'auto'",
        )
        for v in (8, (8, 0), (8.0,), "large", (-1,), None)
    ),
    ({"device": "toaster"}, InvalidParameterError, "device='toaster' is not a device .*'cpu'"),
    ({"device": None}, InvalidParameterError, "device=None is not a device of this machine"),
    ({"encoder": 3}, InvalidParameterError, "encoder=3 must be None or a torch.nn.Module"),
    ({"decoder": nn.Linear}, InvalidParameterError, "decoder=.* must be None or a torch.nn.Module"),
    ({"random_state": "x"}, ValueError, "'x' cannot be used to seed"),
    ({"noise": "masking", "noise_level": 1.5}, InvalidParameterError, "noise_level=1.5 must lie"),
    (
        {"encoder": nn.Linear(D, 3)},
        InvalidParameterError,
        "encoder=Linear gives 3 outputs for a row and must give 2",
    ),
    (
        {"encoder": nn.Linear(D, K), "beta": 1.0},
        InvalidParameterError,
        "encoder=Linear gives 2 outputs for a row and must give 4.* two outputs a latent",
    ),
    (
        {"decoder": nn.Linear(K, D - 1)},
        InvalidParameterError,
        f"decoder=Linear gives {D - 1} outputs for a row and must give {D}",
    ),
    (
        {"encoder": nn.Linear(D + 1, K)},
        InvalidParameterError,
        f"encoder=Linear cannot take rows of {D} values",
    ),
    (
        {"decoder": nn.GRU(K, D)},
        InvalidParameterError,
        "decoder=GRU gives tuple outputs for a row",
    ),
    (
        {"objective": "importance"},
        CombinationError,
        "objective='importance' with a deterministic encoder .* Use VariationalAutoencoder",
    ),
    (
        {"contraction": 0.1, "encoder": nn.Sequential(nn.BatchNorm1d(D), nn.Linear(D, K))},
        CombinationError,
        "Contraction with BatchNorm in the encoder .* Use LayerNorm",
    ),
]


@pytest.mark.parametrize(("change", "error", "words"), PARAMETERS)
def test_parameters_are_refused_by_name(
    change: dict[str, Any],
    error: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    parameters = {"n_components": K, **SMALL, **change}
    model = Autoencoder(**parameters)  # the constructor stores, fit checks
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(error, match=words):
            fit(X)
        with pytest.raises(NotFittedError):
            model.transform(X)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [n for n in LIKELIHOODS if "gaussian" not in n and n != "laplace"])
@pytest.mark.parametrize("kind", ["standard", "common"])
def test_only_real_data_may_be_scaled(name: str, kind: str) -> None:
    with pytest.raises(
        CombinationError, match=f"scaling='{kind}' with likelihood='{name}' .* Use scaling='auto'"
    ):
        Autoencoder(K, likelihood=name, scaling=kind, **SMALL).fit(supported(name))


SUPPORT = [
    *((n, v) for n in ("bernoulli", "continuous_bernoulli") for v in (-0.1, 1.1)),
    *((n, v) for n in ("poisson", "negative_binomial") for v in (-1, 0.5)),
    *(("categorical", v) for v in (-1, 0.5)),
]


@pytest.mark.parametrize(("name", "value"), [*SUPPORT, ("categorical", 3)])
def test_values_outside_the_support_are_refused_after_the_fit_too(name: str, value: float) -> None:
    x = supported(name)
    outside = bad(x, (3, 1), value)
    model = fitted(Autoencoder, name)
    calls = [model.transform, model.reconstruct, model.score_samples, model.score]
    if (name, value) in SUPPORT:  # a third category would be one more in a fit
        calls.append(Autoencoder(K, likelihood=name, **SMALL).fit)
    for call in calls:
        with pytest.raises(DataError, match=rf"X with values from .* and likelihood='{name}' do"):
            call(outside)
        if call != calls[-1]:
            call(bad(x, (3, 1), np.nan))


# X for fit, the exception, words that must occur
TABLES: list[tuple[Any, type[Exception], str]] = [
    (bad(X, (1, 1), np.inf), DataError, "inf in row 2, column 'x1' of X"),
    (bad(X, (1, 1), -np.inf), DataError, "inf in row 2, column 'x1' of X"),
    (X[0], DataError, r"X of shape \(6,\) must be a table"),
    (X[None], ValueError, "could be images or series"),
    (X[:1], DataError, "at least 2 rows; it has 1"),
    (X[:0], DataError, "at least 2 rows; it has 0"),
    (X[:, :0], DataError, "has no column"),
    (X[:, :1], InvalidParameterError, "n_components=2 leaves nothing to compress: X has n_feat"),
    (bad(X, (slice(None), 2), np.nan), DataError, "column 2 of X has no value in any row.* Drop"),
    (
        pd.DataFrame(bad(X, (slice(None), 2), np.nan), columns=list("abcdef")),
        DataError,
        "column 'c' of X has no value in any row",
    ),
    ([["a", "b", "c"]] * 3, DataError, "'a' in row 1, column 'x0' must hold numbers"),
    (pd.DataFrame({"a": ["x", 1], "b": [1, 2], "c": [1, 2]}), ValueError, "of one type"),
    (X + 1j, ValueError, "Complex data not supported"),
    ([[1, 2, 3], [1, 2]], DataError, "row 2 of X must be as long as row 1"),
    (None, DataError, "X=None must be rows"),
    ("table.csv", ValueError, r"Open it: isthmus.open_data\('table.csv'\)"),
    (torch.zeros(3, 2, 2), ValueError, "could be images or series"),
    (sparse.csr_array(bad(X, (1, 1), np.inf)), DataError, "inf in row 2, column 'x1' of X"),
]


@pytest.mark.parametrize(("x", "error", "words"), TABLES)
def test_tables_are_refused_by_what_is_wrong_with_them(
    x: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Autoencoder(K, **SMALL).fit(x)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("name", ["transform", "reconstruct", "score_samples", "score", "corrupt"])
def test_other_features_than_those_of_the_fit_are_refused(cls: type, name: str) -> None:
    model = fitted(cls)
    for x in (X[:, :-1], np.c_[X, X]):
        with pytest.raises(ValueError, match=f"X has {x.shape[1]} features, but {cls.__name__}"):
            getattr(model, name)(x)
    with pytest.raises(DataError, match="inf in row 1, column 'x0' of X must be finite"):
        getattr(model, name)(bad(X, (0, 0), np.inf))
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted yet"):
        getattr(cls(**options(cls)), name)(X)


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ("inverse_transform", (np.ones((3, 5)),), {}, InvalidParameterError, "Z with 5 columns must"),
    ("inverse_transform", (np.ones(3),), {}, DataError, r"Z of shape \(3,\) must be a table"),
    (
        "inverse_transform",
        (np.full((3, K), np.nan),),
        {},
        DataError,
        "nan in row 1, column 'x0' of Z",
    ),
    ("sample", (0,), {}, InvalidParameterError, "n_samples=0 must be"),
    ("sample", (-1,), {}, InvalidParameterError, "n_samples=-1 must be"),
    ("sample", (2.5,), {}, InvalidParameterError, "n_samples=2.5 must be"),
    ("sample", ("3",), {}, InvalidParameterError, "n_samples='3' must be"),
    ("sample", (3,), {"random_state": "x"}, ValueError, "cannot be used to seed"),
    ("corrupt", (X, "snow"), {}, InvalidParameterError, "noise='snow' must be None or one of"),
    ("corrupt", (X, "masking", 2.0), {}, InvalidParameterError, "noise_level=2.0 must lie between"),
    ("corrupt", (X, "gaussian", -1), {}, InvalidParameterError, "noise_level=-1 must be a finite"),
]


@pytest.mark.parametrize("cls", [Autoencoder, VariationalAutoencoder])
@pytest.mark.parametrize(("name", "args", "options", "error", "words"), CALLS)
def test_calls_are_refused_by_what_was_given(
    cls: type,
    name: str,
    args: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        getattr(fitted(cls), name)(*args, **options)


def test_a_closed_form_is_asked_of_one_layer() -> None:
    change = {"contraction_method": "closed_form", "hidden_layer_sizes": (5, 5)}
    with pytest.raises(CombinationError, match=r"'closed_form' needs .* Use contraction_method="):
        Autoencoder(K, contraction=0.1, **(SMALL | change)).fit(X)


def test_a_category_has_no_derivative() -> None:
    with pytest.raises(CombinationError, match="jacobian_norm with likelihood='categorical'"):
        fitted(Autoencoder, "categorical").jacobian_norm(supported("categorical"))


@pytest.mark.parametrize("name", ["", "x" * 300, "a\0b"])
def test_paths_that_cannot_be_are_errors_of_runs(name: str, tmp_path: Path) -> None:
    model = fitted(Autoencoder)
    path = tmp_path / name
    with pytest.raises(RunError):
        model.save(path)
    with pytest.raises(RunError):
        load(path)
    assert not list(tmp_path.iterdir())


def test_every_error_of_ours_has_its_three_parts() -> None:
    errors = []
    for call in (
        lambda: Autoencoder(D).fit(X),
        lambda: Autoencoder(K, likelihood="poisson").fit(X),
        lambda: Autoencoder(K, scaling="common", likelihood="bernoulli").fit(np.ones((9, 4))),
        lambda: load("/nowhere/at/all"),
    ):
        with pytest.raises(IsthmusError) as caught:
            call()
        errors.append(caught.value)
    for error in errors:
        assert error.given
        assert error.rule
        assert error.remedy
        assert str(error).startswith(error.given)
        assert str(error).endswith(error.remedy)
    assert len(X) == N


@pytest.mark.parametrize("size", [1e151, 1e300])
def test_values_whose_squares_are_no_numbers_are_refused(size: float) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    x[5, 2] = -size
    with pytest.raises(DataError, match=r"in row 6, column 'x2' of X is out of range"):
        Autoencoder(2).fit(x)


IDENTIFIED = pd.DataFrame({"a": np.arange(300.0), "id": [f"k{i}" for i in range(300)]})
FACES: dict[str, Any] = {
    "pandas": (lambda: IDENTIFIED, r"Leave out with X.drop\(columns=\['id'\]\)\."),
    "arrow": (lambda: pa.table(IDENTIFIED), r"Leave out with X.drop_columns\(\['id'\]\)\."),
    "source": (lambda: open_data(IDENTIFIED), r"Leave out with drop=\['id'\] \(on the"),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_remedies_are_those_of_the_face_by_which_the_user_came(face: str, method: str) -> None:
    make, said = FACES[face]
    with pytest.raises(DataError, match=said) as error:
        getattr(Autoencoder(1), method)(make())
    assert error.value.remedy in str(error.value)
    assert error.value.args[2] == error.value.remedy


@pytest.mark.parametrize("name", ["x.csv", Path("x.csv"), ["x.csv", "y.csv"], "wine"])
def test_names_are_no_rows_and_the_error_says_how_to_open_them(name: Any) -> None:
    model = fitted(Autoencoder)
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(X)
    methods = [Autoencoder(1).fit, Autoencoder(1).partial_fit, OutlierDetector().fit]
    methods += [model.transform, model.score, model.reconstruct, model.partial_fit, model.corrupt]
    methods += [detector.predict, lambda given: evaluate(model, given), compare]
    for method in methods:
        with pytest.raises(DataError, match=r"Open (it|them): isthmus.open_data\("):
            method(name)


ROWWISE = (
    *("transform", "reconstruct", "impute", "score_samples", "squared_errors", "jacobian_norm"),
    *("predict", "p_values", "decision_function", "surprises", "explain", "reasons"),
)
NO_ROWS: dict[str, Any] = {
    "infinite": bad(X, (3, 1), np.inf),
    "infinite frame": pd.DataFrame(bad(X, (3, 1), -np.inf), columns=list("abcdef")),
    "infinite sparse": sparse.coo_array(bad(X, (3, 1), np.inf)),
    "beyond range": bad(X, (3, 1), -1e200),
    "frame beyond range": pd.DataFrame(bad(X, (3, 1), 1e308), columns=list("abcdef")),
    "sparse beyond range": sparse.coo_array(bad(X, (3, 1), 1.1e150)),
    "words": np.array([list("abcdef")] * 60),
    "words as objects": np.array([list("abcdef")] * 60, object),
    "text of numbers": X.astype(str),
    "dates": np.full((60, D), np.datetime64("2024-01-05")),
    "durations": np.full((60, D), np.timedelta64(3, "D")),
    "raw bytes": np.zeros((60, D), "V4"),
    "huge": [[10**400, 1, 2, 3, 4, 5]] * 60,
    "no rows": pd.DataFrame(X, columns=list("abcdef"))[:0],
    "no columns": pd.DataFrame(X).iloc[:, :0],
    "nothing": pd.DataFrame(),
    "no column of an array": np.empty((60, 0)),
    "number": 3.0,
    "one entry": np.array(3.0),
    "tensor of one entry": torch.tensor(3.0),
    "row": X[0],
    "range": range(6),
    "ragged": [[1, 2, 3, 4, 5, 6], [1, 2]],
    "row without length": [[1, 2, 3], 4],
    "empty list": [],
    "list of an empty list": [[]],
    "dict": {"a": [1, 2]},
    "list of dicts": [{"a": 1}] * 60,
    "entry that is a dict": np.array([[{"a": 1}] * D] * 60, object),
    "set": {1, 2},
    "generator": None,  # is made anew for each
    "sentence": "hello world",
    "bytes": b"1,2",
    "None": None,
    "object": object(),
    "module": np,
    "class": pd.DataFrame,
    "two of a name": pd.DataFrame(X, columns=list("abcdea")),
}


@pytest.mark.parametrize("given", NO_ROWS)
@pytest.mark.filterwarnings("ignore:X (has|does not have)")
def test_what_is_no_rows_is_refused_in_our_words_by_every_method(given: str) -> None:
    model = fitted(Autoencoder)
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(X)
    methods = {
        "fit": Autoencoder(K, **SMALL).fit,
        "joint": Autoencoder(K, likelihood="joint", **SMALL).fit,
        "partial_fit": Autoencoder(K, **SMALL).partial_fit,
        "more": model.partial_fit,
        "transform": model.transform,
        "reconstruct": model.reconstruct,
        "score": model.score,
        "score_samples": model.score_samples,
        "impute": model.impute,
        "inverse_transform": model.inverse_transform,
        "detector": OutlierDetector(Autoencoder(1, **SMALL)).fit,
        "predict": detector.predict,
        "outlier scores": detector.score_samples,
        "explain": detector.explain,
        "evaluate": lambda rows: evaluate(model, rows),
        "compare": lambda rows: compare(rows, [1], Autoencoder(1, **SMALL)),
    }
    for name, method in methods.items():
        if name == "joint" and given in ("words", "words as objects", "dates"):
            continue  # which it takes
        rows = (row for row in X) if given == "generator" else NO_ROWS[given]
        with pytest.raises(IsthmusError) as error:
            method(rows)
        assert error.value.rule, name
        assert "Unsupported" not in str(error.value), name
        assert error.value.remedy, name
        if "beyond range" in given:
            at = "Z" if name == "inverse_transform" else "X"
            column = re.escape("'x1'" if at == "Z" or "frame" not in given else "'b'")
            assert re.match(f".* in row 4, column {column} of {at} is out of", str(error.value))


@pytest.mark.parametrize("largest", [1e150, -1e150, 1e30])
@pytest.mark.parametrize("method", ROWWISE)
def test_up_to_the_range_all_that_is_computed_is_a_number(largest: float, method: str) -> None:
    """The largest entries that are taken have squares, and so has all that is made of them."""
    model = fitted(VariationalAutoencoder)
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(X)
    given = bad(bad(X, (3, 1), largest), (5, slice(None)), largest)
    found = getattr(model if hasattr(model, method) else detector, method)(given)
    if method == "reasons":
        assert found[3][0].column == "x1"
        found = [[reason.share for reason in found[3]]]
    assert np.isfinite(found).all()


def test_evaluation_up_to_the_range_is_finite() -> None:
    found = evaluate(fitted(Autoencoder), bad(X, (3, 1), 1e150))
    assert all(np.isfinite(array).all() for array in found.arrays.values())


def test_a_mixed_row_beyond_range_is_refused_by_its_place() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": ["u", "v"] * (N // 2)})
    frame["p"] = 10.0 ** X[:, 0]
    model = Autoencoder(1, kinds={"p": "positive"}, **SMALL).fit(frame)
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(frame)
    beyond = frame.assign(b=bad(X[:, 1], 4, 1e200))
    assert np.isfinite(model.transform(frame.assign(p=1e200))).all()  # its logarithm is taken
    said = r"1e\+200 in row 5, column 'b' of X is out of range: .* \(NaN\)"
    for method in (model.fit, model.transform, model.score_samples, detector.explain, detector.fit):
        with pytest.raises(DataError, match=said):
            method(beyond)


def test_blocks_of_a_file_are_refused_by_the_row_of_the_file(tmp_path: Path) -> None:
    table = pa.table({f"x{j}": bad(X[:, j], 50, 1e200 if j == 2 else 0.0) for j in range(D)})
    pq.write_table(table, tmp_path / "new.parquet", row_group_size=20)
    model = Autoencoder(K, **SMALL).fit(pd.DataFrame(X, columns=table.column_names))
    source = open_data(tmp_path / "new.parquet")
    for method in (model.transform, model.score_samples, model.impute, model.fit):
        with pytest.raises(DataError, match=r"1e\+200 in row 51, column 'x2' of .*new.parquet is "):
            method(source)


def test_a_matrix_and_a_quantised_tensor_are_the_numbers_they_hold() -> None:
    model = fitted(Autoencoder)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    np.testing.assert_array_equal(model.transform(matrix), model.transform(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.quantize_per_tensor(torch.from_numpy(X).float(), 0.1, 0, torch.qint8)
    np.testing.assert_array_equal(
        model.transform(quantised), model.transform(quantised.dequantize())
    )
    codes = model.transform(X)
    for given in (torch.from_numpy(codes), sparse.csr_array(codes), pd.DataFrame(codes)):
        np.testing.assert_array_equal(
            model.inverse_transform(given), model.inverse_transform(codes)
        )


def test_a_list_of_numbers_and_words_keeps_its_numbers() -> None:
    rows = [[float(a), "xy"[i % 2]] for i, a in enumerate(X[:, 0])]
    model = Autoencoder(1, likelihood="joint", **SMALL).fit(rows)
    assert [column.kind for column in model.encoding_.columns] == ["real", "binary"]


def test_a_column_of_the_fit_is_never_one_to_leave_out() -> None:
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = Autoencoder(K, **SMALL).fit(frame)
    detector = OutlierDetector(Autoencoder(1, **SMALL)).fit(frame)
    words = frame.assign(b="w")
    methods = [model.transform, model.impute, detector.score_samples]
    methods += [lambda given: evaluate(model, given), model.partial_fit]
    for given in (words, pa.table(words), pl.from_pandas(words), open_data(words)):
        for method in methods:
            with pytest.raises(DataError, match=r"Mend it, or fit again without it\.") as error:
                method(given)
            assert "drop" not in error.value.remedy
    for given in (frame.assign(g="w"), pa.table(frame.assign(g="w"))):
        with pytest.raises(DataError, match=r"the fit did not see 'g'|unseen at fit time"):
            model.transform(given)
