"""What is handed to an estimator as rows: numbers in any wrapping, or a word on what to give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus import Autoencoder, OutlierDetector
from isthmus.errors import DataError

X = np.random.default_rng(0).normal(size=(40, 4))
QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0}


class Endless(torch.utils.data.Dataset[Any]):
    """As most are written: nothing stops who asks for row after row."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(X[i % 40]), 0


class InTurn(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.from_numpy(X))


class Hub:
    column_names = features = ("a",)

    def __len__(self) -> int:
        return 40


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (Endless(), "isthmus.open_data(X)"),
        (Hub(), "isthmus.open_data(X)"),
        (InTurn(), "Take the rows into an array"),
        (torch.utils.data.DataLoader(Endless()), "Take the rows into an array"),
        ((row for row in X), "Take the rows into an array"),
        (map(list, X), "Take the rows into an array"),
        ({"a": X[:, 0], "b": X[:, 1]}, "pandas.DataFrame(X)"),
        (np.zeros(5, dtype=[("a", float), ("b", float)]), "pandas.DataFrame(X)"),
        ([X[0], X[1, :3]], "Cut them to one length"),
    ],
)
@pytest.mark.parametrize("estimator", [Autoencoder, OutlierDetector])
def test_what_is_no_rows_is_refused_with_what_to_give(
    given: Any, remedy: str, estimator: Callable[[], Any]
) -> None:
    with pytest.raises(DataError) as caught:
        estimator().fit(given)
    assert remedy in str(caught.value)


def test_a_data_set_of_torch_gives_the_codes_of_its_rows_once_opened() -> None:
    model = Autoencoder(2, **QUICK).fit(X)
    opened = isthmus.open_data(Endless())
    np.testing.assert_array_equal(model.transform(opened), model.transform(X))


def test_a_masked_entry_is_a_missing_one() -> None:
    hidden = np.random.default_rng(1).random(X.shape) < 0.1
    masked, holed = np.ma.masked_array(X, hidden), np.where(hidden, np.nan, X)
    ours, known = (Autoencoder(2, **QUICK).fit(given) for given in (masked, holed))
    np.testing.assert_array_equal(ours.reconstruct(masked), known.reconstruct(holed))
    counts = np.ma.masked_array(np.arange(6).reshape(3, 2), [[0, 1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(
        Autoencoder(1, **QUICK).fit(X[:, :2]).transform(counts),
        Autoencoder(1, **QUICK).fit(X[:, :2]).transform(counts.astype(float).filled(np.nan)),
    )


FLOATS = ["bfloat16", "float16", *(n for n in dir(torch) if n.startswith("float8_"))]


@pytest.mark.parametrize("name", FLOATS)
def test_floats_that_numpy_has_not_are_the_numbers_they_hold(name: str) -> None:
    """Whatever they come in: a tensor, a sparse one, a list of rows, a data set."""
    kind = getattr(torch, name)
    tensor = torch.from_numpy(np.abs(X)).to(kind)  # one of the types has no sign
    known = tensor.float().numpy()
    model = Autoencoder(2, **QUICK).fit(X)
    codes = model.transform(known)
    given = [tensor, list(tensor), isthmus.open_data(tensor)]
    given += [] if name.startswith("float8") else [tensor.to_sparse()]  # torch has none
    for rows in given:
        np.testing.assert_allclose(model.transform(rows), codes, rtol=1e-6)


@pytest.mark.filterwarnings(
    "ignore:The PyTorch API of (nested|MaskedTensors)", "ignore:ComplexHalf"
)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.ones(4, 3, device="meta"), "must hold values"),
        (lambda: torch.nested.nested_tensor([torch.ones(3), torch.ones(2)]), "of one length.*pad"),
        (
            lambda: torch.nested.nested_tensor([torch.ones(3), torch.ones(2)], layout=torch.jagged),
            "rows of one length.*to_padded_tensor",
        ),
        (lambda: torch.empty(4, 3, dtype=torch.uint1), "a Tensor of torch.uint1, must be"),
        (lambda: torch.empty(4, 3, dtype=torch.bits8), "a Tensor of torch.bits8, must be"),
        (lambda: torch.ones(4, 3, dtype=torch.complex64).conj(), "must hold real numbers"),
        (lambda: torch.ones(4, 3, dtype=torch.complex32), "a Tensor of torch.complex32, must be"),
        (lambda: torch.masked.masked_tensor(torch.ones(4, 3), torch.ones(4, 3) > 0), "plain tens"),
    ],
)
def test_tensors_without_numbers_for_numpy_are_refused_in_our_words(
    make: Callable[[], torch.Tensor], said: str
) -> None:
    model = Autoencoder(2, **QUICK).fit(X[:, :3])
    for method in (Autoencoder(1).fit, model.transform, model.inverse_transform, isthmus.open_data):
        with pytest.raises(DataError, match=said) as caught:
            method(make())
        assert caught.value.remedy


def test_samples_of_a_list_are_those_of_the_array() -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, 9, 9), dtype=np.uint8)
    model = Autoencoder(2, **QUICK).fit(list(images))
    known = Autoencoder(2, **QUICK).fit(images)
    codes = known.transform(images)
    np.testing.assert_array_equal(model.transform(list(images)), codes)
    np.testing.assert_array_equal(model.transform([torch.from_numpy(x) for x in images]), codes)


def test_images_for_a_model_of_a_named_table_are_told_apart() -> None:
    import pandas as pd

    model = Autoencoder(1, **QUICK).fit(pd.DataFrame(X, columns=list("abcd")))
    with pytest.raises(DataError, match="must be a table; the model was fitted to one of 4"):
        model.transform(X.reshape(40, 2, 2))


def test_what_turns_into_an_array_is_rows_though_it_has_no_length() -> None:
    class Wrapped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.asarray(X, dtype)

        def __iter__(self) -> Iterator[np.ndarray]:
            return iter(X)

    model = Autoencoder(2, **QUICK).fit(Wrapped())
    np.testing.assert_array_equal(model.transform(Wrapped()), model.transform(X))


@pytest.mark.parametrize("labels", [[0, 1, 2], [("a", 0), ("a", 1), ("b", 0)]])
def test_the_remedy_for_another_order_works_for_labels_that_are_no_words(labels: list[Any]) -> None:
    import pandas as pd

    columns = pd.MultiIndex.from_tuples(labels) if isinstance(labels[0], tuple) else labels
    values = {0: ["a", "b", "c"] * 20, 1: X[:20, 0].repeat(3), 2: X[:20, 1].repeat(3)}
    frame = pd.DataFrame(values).set_axis(columns, axis=1)
    model = Autoencoder(1, likelihood="auto", **QUICK).fit(frame)
    other = frame.iloc[:, [2, 0, 1]]
    with pytest.raises(DataError, match=r"Give X\.iloc\[:, \[1, 2, 0\]\]"):
        model.transform(other)
    np.testing.assert_array_equal(model.transform(other.iloc[:, [1, 2, 0]]), model.transform(frame))


LABELS: dict[str, list[Any]] = {
    "numbered": [0, 1, 2, 3],
    "numbers": [2021, 2022, 2023, 2024],
    "levels": [("a", 1), ("a", 2), ("b", 1), ("b", 2)],
    "words and numbers": ["a", 1, "b", 2],
    "words": list("abcd"),
}


def of_labels(kind: str) -> Any:
    import pandas as pd

    labels = LABELS[kind]
    columns = pd.MultiIndex.from_tuples(labels) if kind == "levels" else labels
    return pd.DataFrame(X).set_axis(columns, axis=1)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("estimator", [Autoencoder(2, **QUICK), OutlierDetector()])
def test_columns_of_numbers_in_another_order_are_refused_whatever_labels_they_have(
    kind: str, estimator: Any
) -> None:
    frame = of_labels(kind)
    model = estimator.fit(frame)
    face = model.transform if isinstance(model, Autoencoder) else model.score_samples
    known = face(frame)
    with pytest.raises(DataError, match="must be in the same order as they were in fit") as caught:
        face(frame.iloc[:, [3, 1, 2, 0]])
    remedy = "list(model.feature_names_in_)" if kind == "words" else ".iloc[:, [3, 1, 2, 0]]"
    assert remedy in str(caught.value)
    if kind == "numbered":  # which says no more than an array does
        np.testing.assert_array_equal(face(X), known)
    else:
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            np.testing.assert_array_equal(face(X), known)


@pytest.mark.parametrize("kind", ["numbers", "levels", "words and numbers"])
def test_other_columns_are_named_whatever_labels_they_have(kind: str) -> None:
    frame = of_labels(kind)
    model = Autoencoder(2, **QUICK).fit(frame)
    assert list(model.feature_names_in_) == [str(label) for label in frame.columns]
    with pytest.raises(DataError, match="yet now missing"):
        model.transform(frame.set_axis(["a", 1, "new", 2022], axis=1))


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (lambda z: z, "X must"),
        (lambda z: z.tolist(), "X must"),
        (torch.from_numpy, "X must"),
        (lambda z: of_labels("words").assign(c=z[:, 0]), "column 'c' of X must"),
    ],
)
def test_complex_numbers_are_refused_by_column(wrap: Any, named: str) -> None:
    given = wrap(X + 1j)
    for call in (Autoencoder(2).fit, Autoencoder(2, likelihood="joint").fit, OutlierDetector().fit):
        with pytest.raises(DataError, match=f"{named} hold real numbers.*columns of their own"):
            call(given)
    with pytest.raises(DataError, match="must hold real numbers"):
        isthmus.open_data(np.asarray(given) if isinstance(given, list) else given)


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta")
def test_a_sparse_tensor_holds_the_entries_of_the_dense_one(layout: str) -> None:
    dense = torch.from_numpy(np.where(X > 0, X, 0))
    given = getattr(dense, layout)()
    model = Autoencoder(2, **QUICK).fit(given)
    np.testing.assert_array_equal(model.transform(given), model.transform(dense))
    opened = isthmus.open_data(given)
    np.testing.assert_array_equal(isthmus.data.source.in_memory(opened), dense.numpy())
    with pytest.raises(DataError, match=r"must have two axes.*Give X.to_dense\(\)"):
        model.transform(torch.zeros(3, 2, 2).to_sparse_coo())


def test_a_masked_array_opens_as_it_is_fitted() -> None:
    masked = np.ma.masked_array(X, X > 1)
    opened = isthmus.data.source.in_memory(isthmus.open_data(masked))
    np.testing.assert_array_equal(opened, np.where(X > 1, np.nan, X))


class Items(torch.utils.data.Dataset[Any]):
    """Rows as a function of their number."""

    def __init__(self, row: Callable[[int], Any]) -> None:
        self._row = row

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> Any:
        return self._row(i)


@pytest.mark.parametrize(
    "row",
    [
        lambda i: X[i].tolist(),
        lambda i: list(torch.from_numpy(X[i])),
        lambda i: [X[i].tolist(), 1],
        lambda i: (X[i].tolist(), 1),
        lambda i: torch.from_numpy(X[i]).to_sparse(),
    ],
)
def test_rows_of_a_data_set_are_whole(row: Callable[[int], Any]) -> None:
    opened = isthmus.data.source.in_memory(isthmus.open_data(Items(row)))
    np.testing.assert_array_equal(opened, X)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (lambda i: tuple(X[i]), "which may be a row, or a number and its label"),
        (lambda i: float(X[i, 0]), "it gives single numbers"),
        (lambda i: [1.0] * (1 + i % 2), "must have the shape of row 0"),
        (lambda i: [[1, [2]], 3], "must give rows of numbers"),
        (lambda i: {"x": X[i]}, "it gives dict"),
    ],
)
def test_what_a_data_set_gives_beside_rows_is_refused(row: Callable[[int], Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        isthmus.data.source.in_memory(isthmus.open_data(Items(row)))


def test_columns_without_a_way_to_read_them_are_refused() -> None:
    with pytest.raises(DataError, match=r"no with_format\. Give the rows as an Arrow table"):
        isthmus.open_data(Hub())


def test_what_arrow_has_not_is_what_it_has_instead() -> None:
    import pandas as pd

    plain = pd.DataFrame({"a": [0.0, 0.0, 1.5] * 12, "b": X[:36, 0]})
    model = Autoencoder(1, **QUICK).fit(plain)
    known = model.transform(plain)
    for other in (plain.assign(a=plain.a.astype("Sparse[float]")), plain.astype(np.longdouble)):
        np.testing.assert_allclose(model.transform(isthmus.open_data(other)), known, atol=1e-6)
    batch = pa.RecordBatch.from_pandas(plain)
    assert list(Autoencoder(1, **QUICK).fit(batch).feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: pl.Series([1.0, 2.0]), r"Give X.to_frame\(\)"),
        (lambda: pa.chunked_array([[1.0, 2.0]]), r"Give pyarrow.table"),
        (lambda: pl.DataFrame({"a": pl.Series([1, 2], dtype=pl.Int128)}), "types that Arrow has"),
        (lambda: pa.table({}), "has no column"),
        (lambda: pl.DataFrame({"a": [1.0]})[:, :0], "has no column"),
    ],
)
def test_tables_that_are_none_are_refused(given: Callable[[], Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Autoencoder(1).fit(given())
