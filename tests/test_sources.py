"""Laws of `isthmus.open_data`: the same rows from wherever they are, in pieces, again and again."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather, ipc, parquet
from scipy import sparse

import isthmus
from isthmus import DataError, open_data
from isthmus.data.arrays import source as arrays
from isthmus.data.files import shards, spool
from isthmus.data.matrix import matrix
from isthmus.data.readers import read
from isthmus.data.source import Source, TableSource, in_memory, n_rows
from isthmus.data.text import blocks
from isthmus.errors import InvalidParameterError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
X[RNG.random(X.shape) < 0.1] = np.nan
NAMES = ["a", "b", "c", "d"]
FRAME = pd.DataFrame(X, columns=NAMES)
TABLE = pa.Table.from_pandas(FRAME, preserve_index=False)


class Rows(torch.utils.data.Dataset[Any]):
    """Map style; what it gives is up to ``of``."""

    def __init__(self, x: Any, of: Callable[[Any], Any] = torch.tensor) -> None:
        self.x, self.of = x, of

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Any:
        return self.of(self.x[i])


class Stream(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter([1.0])


class Value:
    """As Hugging Face names the kind of a column; so the next two."""


class Image:
    pass


class ClassLabel:
    names = ("cat", "dog")


class Hub:
    """The face of a Hugging Face dataset, from its documentation."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features = columns, features
        self.column_names = list(columns)
        self._arrow = False

    def __len__(self) -> int:
        return len(self.columns[self.column_names[0]])

    def with_format(self, kind: str) -> Hub:
        assert kind == "arrow"
        other = Hub(self.columns, self.features)
        other._arrow = True
        return other

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        found = {name: column[key] for name, column in self.columns.items()}
        return pa.table(found) if self._arrow and isinstance(key, slice) else found


def hub() -> Hub:
    return Hub({n: TABLE.column(n).to_pylist() for n in NAMES}, dict.fromkeys(NAMES, Value()))


class HubOfFiles(Hub):
    """Its table is at hand."""

    _indices = None

    @property
    def data(self) -> Any:
        return type("MemoryMappedTable", (), {"table": TABLE})()


def text(path: Path, separator: str = ",") -> Path:
    FRAME.to_csv(path, index=False, sep=separator)
    return path


def in_folder(folder: Path, save: Callable[[pd.DataFrame, Path], Any], ending: str) -> Path:
    """Rows over twelve files with an empty one among them; natural order is theirs."""
    (folder / "deep").mkdir(parents=True)
    for i in range(12):
        save(FRAME[25 * i : 25 * i + 25], folder / f"part-{i + 1}{ending}")
    save(FRAME[:0], folder / f"part-5a{ending}")
    (folder / "_SUCCESS").touch()
    (folder / f".part-1{ending}.crc").touch()
    (folder / "README.txt").touch()
    (folder / "deep" / "loop").symlink_to(folder)
    return folder


def stream(path: Path) -> Path:
    with ipc.new_stream(str(path), TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=70)
    return path


def hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("group/rows", data=X, chunks=(64, 4), compression="gzip")
        file["y"] = np.arange(300)
    return path


def zarr_at(path: Path) -> Path:
    store = zarr.storage.ZipStore(path, mode="w") if path.suffix == ".zip" else str(path)
    zarr.create_array(store, data=X, chunks=(64, 4))
    if path.suffix == ".zip":
        store.close()
    return path


def saved(save: Callable[..., Any], path: Path, *args: Any, **options: Any) -> Path:
    save(path, *args, **options)
    return path


def to_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False)


def to_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


SOURCES: dict[str, Callable[[Path], Any]] = {
    "csv": lambda p: text(p / "x.csv"),
    "tsv": lambda p: text(p / "x.tsv", "\t"),
    "csv folder": lambda p: in_folder(p / "f", to_csv, ".csv"),
    "csv glob": lambda p: str(in_folder(p / "f", to_csv, ".csv") / "part-*.csv"),
    "parquet": lambda p: saved(lambda q: to_parquet(FRAME, q), p / "x.parquet"),
    "row groups": lambda p: saved(
        lambda q: parquet.write_table(TABLE, q, row_group_size=40), p / "x.parquet"
    ),
    "parquet folder": lambda p: in_folder(p / "f", to_parquet, ".parquet"),
    "parquet glob": lambda p: str(in_folder(p / "f", to_parquet, ".parquet") / "**" / "*.parquet"),
    "list of files": lambda p: sorted(
        in_folder(p / "f", to_parquet, ".parquet").glob("*.parquet"),
        key=lambda q: (len(q.name), q.name),
    ),
    "feather": lambda p: saved(
        lambda q: feather.write_feather(TABLE, q, chunksize=70), p / "x.feather"
    ),
    "arrow stream": lambda p: stream(p / "x.arrow"),
    "npy": lambda p: saved(np.save, p / "x.npy", X),
    "npy, Fortran": lambda p: saved(np.save, p / "x.npy", np.asfortranarray(X)),
    "npy folder": lambda p: [
        saved(np.save, p / f"{i}.npy", part) for i, part in enumerate(np.split(X, 3))
    ],
    "npz": lambda p: saved(np.savez, p / "x.npz", X=X, y=np.arange(300)),
    "npz, compressed": lambda p: saved(np.savez_compressed, p / "x.npz", rows=X),
    "hdf5": lambda p: hdf5(p / "x.h5"),
    "hdf5 path": lambda p: f"{hdf5(p / 'x.h5')}::group/rows",
    "hdf5 group": lambda p: f"{hdf5(p / 'x.h5')}::group",
    "zarr": lambda p: zarr_at(p / "x.zarr"),
    "zarr zip": lambda p: zarr_at(p / "x.zarr.zip"),
    "pandas": lambda p: FRAME.set_index(FRAME.index[::-1]),
    "polars": lambda p: pl.from_arrow(TABLE),
    "arrow": lambda p: TABLE,
    "record batch": lambda p: TABLE.to_batches()[0],
    "reader": lambda p: TABLE.to_reader(max_chunksize=70),
    "array": lambda p: X,
    "tensor": lambda p: torch.tensor(X),
    "sparse": lambda p: sparse.csr_matrix(X),
    "sparse array": lambda p: sparse.coo_array(X),
    "dataset": lambda p: Rows(X),
    "dataset with labels": lambda p: Rows(X, lambda row: (row, 1)),
    "tensor dataset": lambda p: torch.utils.data.TensorDataset(torch.tensor(X), torch.arange(300)),
    "hub": lambda p: hub(),
    "hub of files": lambda p: HubOfFiles(hub().columns, hub().features),
    "source": lambda p: open_data(X),
}


@pytest.fixture(params=[None, 1000], ids=["one block", "small blocks"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether blocks hold 31 rows, and text goes to a file."""
    if request.param:
        monkeypatch.setattr(shards, "BLOCK_BYTES", request.param)
        monkeypatch.setattr(arrays, "BLOCK_BYTES", request.param)
        monkeypatch.setattr(blocks, "HELD", 0)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", request.param)
    return request.param is not None


@pytest.mark.parametrize("case", SOURCES)
def test_the_same_rows_from_everywhere(case: str, tmp_path: Path, small: bool) -> None:
    source = open_data(SOURCES[case](tmp_path))
    assert isinstance(source, Source)
    assert source.feature_shape == (4,)
    assert source.dtype == np.float64
    assert n_rows(source) == 300
    np.testing.assert_array_equal(in_memory(source), X)
    blocks = [np.concatenate(list(source.read(p))) for p in range(len(source.lengths))]
    assert [len(block) for block in blocks] == list(source.lengths)
    for piece in reversed(range(len(source.lengths))):  # in any order, and again
        np.testing.assert_array_equal(np.concatenate(list(source.read(piece))), blocks[piece])
    if small and "stream" not in case:
        assert len(source.lengths) > 3 or "csv" in case or case in ("tsv", "parquet")
        assert all(len(block) <= 64 for block in source.read(0))
    if isinstance(source, TableSource):
        assert source.names == tuple(NAMES)
        tables = [t for p in range(len(source.lengths)) for t in source.tables(p)]
        assert all(t.schema.equals(source.schema) for t in tables)
    found = isthmus.describe(source)
    assert (found.rows, found.duplicates, found.missing) == (300, 0, np.isnan(X).mean())
    assert found.minimum == np.nanmin(X)
    assert found.columns is not None
    assert [c.maximum for c in found.columns] == np.nanmax(X, axis=0).tolist()


CUTS = {
    ".parquet": lambda t, p: parquet.write_table(t, p, row_group_size=7),
    ".arrow": lambda t, p: feather.write_feather(t, p, chunksize=5),
    ".csv": csv.write_csv,
}


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    ending=st.sampled_from(sorted(CUTS)),
    dtypes=st.lists(
        st.sampled_from(["int8", "int64", "float32", "float64"]), min_size=1, max_size=4
    ),
)
def test_shards_are_one_table(
    data: st.DataObject, ending: str, dtypes: list[str], tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    expected = []
    for i, dtype in enumerate(dtypes):
        n = data.draw(st.integers(1, 20))
        values = np.arange(2 * n).reshape(n, 2).astype(dtype)
        names = data.draw(st.permutations(["u", "v"]))
        columns = {name: values[:, "uv".index(name)] for name in names}
        CUTS[ending](pa.table(columns), folder / f"{i}{ending}")
        expected.append(values)
    source = open_data(folder)
    rows = in_memory(source)
    order = [(source.names or ()).index(name) for name in "uv"]
    np.testing.assert_array_equal(rows[:, order], np.concatenate(expected))


# what they keep --------------------------------------------------------------------------------

MIXED = pa.table(
    {
        "age": [31, None, 45],
        "city": pa.array(["Bern", None, "Rome"]).dictionary_encode(),
        "born": pa.array([0, 1, 2], pa.date32()),
        "income": ["low", "high", "low"],
    }
)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".arrow", "frame", "polars"])
def test_columns_of_any_kind_are_tables_and_numbers_are_asked_for_by_name(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x{ending}"
    if ending in CUTS:
        CUTS[ending](MIXED.set_column(1, "city", MIXED["city"].cast(pa.string())), path)
    data = {"frame": MIXED.to_pandas(), "polars": pl.from_arrow(MIXED)}.get(ending, path)
    source = open_data(data, label="income")
    assert isinstance(source, TableSource)
    assert source.names == ("age", "city", "born")
    assert source.labels is not None
    assert source.labels.tolist() == ["low", "high", "low"]
    (table,) = source.tables(0)
    assert table.column("city").to_pylist() == ["Bern", None, "Rome"]
    with pytest.raises(DataError, match=r"not so columns 'city' \(text.*'born' \(date32"):
        next(source.read(0))
    numbers = open_data(data, drop=["city", "born", "income"])
    np.testing.assert_array_equal(in_memory(numbers), [[31], [np.nan], [45]])
    city = isthmus.describe(source).columns[1]  # type: ignore[index]
    assert (city.distinct, city.values, city.minimum) == (2, ("Bern", "Rome"), None)


def test_folders_named_key_value_are_columns(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"year={year}" / "city=S%C3%A3o").mkdir(parents=True)
        to_parquet(FRAME[:2], tmp_path / f"year={year}" / "city=S%C3%A3o" / "x.parquet")
    source = open_data(tmp_path)
    assert source.names == (*NAMES, "year", "city")
    assert isinstance(source, TableSource)
    assert next(source.tables(1)).column("year").to_pylist() == [2024, 2024]
    assert next(source.tables(1)).column("city").to_pylist() == ["São", "São"]
    assert in_memory(open_data(tmp_path, drop=["city", *NAMES])).ravel().tolist() == [
        2023, 2023, 2024, 2024,
    ]  # fmt: skip
    (tmp_path / "month=1").mkdir()
    to_parquet(FRAME, tmp_path / "month=1" / "x.parquet")
    with pytest.raises(DataError, match="must lie in folders that give"):
        open_data(tmp_path)


def test_labels_beside_the_rows(tmp_path: Path) -> None:
    y = np.arange(300)
    np.savez(tmp_path / "x.npz", X=X, y=y)
    for data in (tmp_path / "x.npz", hdf5(tmp_path / "x.h5")):
        np.testing.assert_array_equal(open_data(data, label="y").labels, y)
    held = torch.utils.data.TensorDataset(torch.tensor(X), torch.arange(300))
    np.testing.assert_array_equal(open_data(held).labels, y)
    made = Rows(X, lambda row: (row, int(row[0] > 0)))
    assert open_data(made).labels is None
    np.testing.assert_array_equal(open_data(made, label="target").labels, X[:, 0] > 0)
    assert open_data("wine").labels is not None
    with pytest.raises(DataError, match=r"label='z' must name a column of .*'a', 'b', 'c', 'd'"):
        open_data(FRAME, label="z")


LAYOUTS = {
    "grey": ((5, 8, 9), "uint8", None, (1, 8, 9)),
    "square": ((5, 8, 8), "float32", None, (1, 8, 8)),
    "series": ((5, 2, 9), "float32", None, (2, 9)),
    "series, time first": ((5, 9, 2), "float32", "NTC", (2, 9)),
    "channels first": ((5, 3, 8, 9), "uint8", None, (3, 8, 9)),
    "channels last": ((5, 8, 9, 3), "uint8", None, (3, 8, 9)),
    "said so": ((5, 3, 9, 3), "uint8", "NHWC", (3, 3, 9)),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_axes_have_their_meaning(case: str, tmp_path: Path) -> None:
    shape, dtype, layout, expected = LAYOUTS[case]
    x = RNG.integers(0, 255, shape).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    source = open_data(tmp_path / "x.npy", layout=layout)
    assert source.feature_shape == expected
    assert source.dtype == dtype
    axes = arrays.LAYOUTS[layout or arrays.layout_of(shape, None, "x")]
    np.testing.assert_array_equal(in_memory(source), x.transpose(axes).reshape(5, *expected))
    assert isthmus.describe(source).columns is None


def test_a_member_that_is_not_compressed_stays_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.data.arrays.files.LAZY", 1)
    np.savez(tmp_path / "x.npz", y=np.arange(3), X=X)
    source = open_data(tmp_path / "x.npz")
    np.testing.assert_array_equal(in_memory(source), X)
    os.utime(tmp_path / "x.npz", (0, 0))
    with pytest.raises(DataError, match="changed since it was opened"):
        next(source.read(0))


# text ------------------------------------------------------------------------------------------

LONG = 200_000
TURNS = {
    "whole to fractions": ("1", "1.5", "double"),
    "nothing to numbers": ("", "7", "int64"),
    "nothing to words": ("", "Bern", "string"),
    "truth to words": ("true", "maybe", "string"),
    "days to times": ("2020-01-01", "2020-01-01 10:00:00", "timestamp[s]"),
}


@pytest.mark.parametrize("case", TURNS)
def test_a_column_that_widens_is_read_again(case: str, tmp_path: Path) -> None:
    early, late, kind = TURNS[case]
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + f"{early},123456\n" * LONG + f"{late},2\n")
    source = open_data(path)
    assert isinstance(source, TableSource)
    assert str(source.schema.field("a").type) == kind
    assert str(source.schema.field("b").type) == "int64"
    assert n_rows(source) == LONG + 1


def test_a_column_that_turns_to_words_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n\n" + "1,123456\n" * LONG + "oops,2\n")
    with pytest.raises(DataError, match=f"line {LONG + 3} of .*column 'a'; it holds 'oops'.*text="):
        open_data(path)
    assert open_data(path, text=["a"]).lengths
    assert open_data(path, drop=["a"]).names == ("b",)
    path.write_bytes(b"a,b\n" + b"Bern,123456\n" * LONG + b"Z\xfcrich,2\n")
    with pytest.raises(DataError, match=f"line {LONG + 2} of .*UTF-8; it holds the byte 0xfc"):
        open_data(path)
    path.write_bytes(b"a,b\n" + b"Bern,123456\n" * LONG + b"Rome\n")
    with pytest.raises(DataError, match=f"line {LONG + 2} of .*must have 2 fields"):
        open_data(path)


def test_a_spool_is_gone_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(blocks, "HELD", 0)
    source = open_data(reader())
    assert len(list(tmp_path.glob("isthmus-*/*.parquet"))) == 1
    np.testing.assert_array_equal(in_memory(source), X)
    del source
    gc.collect()
    assert not list(tmp_path.iterdir())


def reader() -> Any:
    return TABLE.to_reader(max_chunksize=70)


def test_a_full_disk_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(blocks, "HELD", 0)
    monkeypatch.setattr(parquet.ParquetWriter, "write_table", full)
    with pytest.raises(DataError, match=r"is full.*TMPDIR"):
        open_data(reader())
    gc.collect()
    assert not list(tmp_path.glob("isthmus-*/*"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(DataError, match="cannot be written"):
        spool.Spool("x.csv")


# what is refused -------------------------------------------------------------------------------


def files(folder: Path, **frames: Any) -> Path:
    for name, columns in frames.items():
        to_parquet(pd.DataFrame(columns), folder / f"{name}.parquet")
    return folder


def cut_short(folder: Path) -> Path:
    files(folder, one={"a": [1]}, two={"a": [2]})
    path = folder / "two.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    return folder


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def two_csv(folder: Path, one: str, two: str) -> Path:
    (folder / "1.csv").write_text(one)
    (folder / "2.csv").write_text(two)
    return folder


def pickled_zarr(folder: Path) -> Path:
    path = folder / "x.zarr"
    zarr.create_array(str(path), data=X, zarr_format=2, filters=None, compressors=None)
    meta = path / ".zarray"
    meta.write_text(
        meta.read_text().replace('"compressor": null', '"compressor": {"id": "pickle"}')
    )
    assert "pickle" in meta.read_text()
    return path


def objects(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([[object()]]), allow_pickle=True)
    return folder / "x.npy"


def words_in_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["X"] = ["a", "b"]
    return folder / "x.h5"


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda p: p / "x.csv", "x.csv does not exist"),
    "no such glob": (lambda p: str(p / "*.csv"), r"\*.csv matches no file"),
    "an empty folder": (lambda p: p, "holds no file of data; it holds nothing"),
    "nothing usable": (
        lambda p: touched(p, "a.docx", "b.docx", "_x.csv"),
        r"holds no file of data; it holds 2 of '.docx'",
    ),
    "notes": (lambda p: touched(p, "a.txt", "b.md"), r"name the file, '.*a.txt', or all of them"),
    "an array of a folder": (lambda p: f"{p}::x", "names an array, but a folder holds files"),
    "two kinds": (lambda p: touched(p, "a.csv", "b.parquet"), "1 of Parquet .*1 of text"),
    "unknown": (lambda p: touched(p, "a.docx") / "a.docx", "a.docx must end in"),
    "packed": (lambda p: touched(p, "a.csv.xz") / "a.csv.xz", "Unpack it first"),
    "one image": (lambda p: touched(p, "a.png") / "a.png", "Name the folder"),
    "a broken link": (
        lambda p: (p / "a.csv").symlink_to(p / "b") or p,
        "a.csv cannot be read|a.csv does not exist",
    ),
    "a circle of links": (
        lambda p: (p / "a.csv").symlink_to(p / "a.csv") or p / "a.csv",
        "a.csv cannot be read|does not exist",
    ),
    "a file cut short": (cut_short, "two.parquet cannot be read as Parquet"),
    "an empty Parquet": (
        lambda p: touched(files(p, b={"a": [1]}), "a.parquet"),
        "a.parquet is empty",
    ),
    "no rows at all": (lambda p: files(p, x={"a": []}), "holds no rows"),
    "not Arrow": (
        lambda p: saved(Path.write_text, p / "x.arrow", "rubbish"),
        "x.arrow cannot be read as Arrow",
    ),
    "a column less": (
        lambda p: files(p, one={"a": [1], "b": [1]}, two={"a": [2]}),
        r"two.parquet must have the columns that .*one.parquet has; it lacks 'b'",
    ),
    "a column more": (lambda p: files(p, a={"a": [1]}, b={"a": [2], "z": [1]}), "has also 'z'"),
    "number and word": (
        lambda p: files(p, one={"a": [1]}, two={"a": ["x"]}),
        r"column 'a' must be of one kind.*int64 in .*one.parquet and .*string in .*two.parquet",
    ),
    "number and word in text": (
        lambda p: two_csv(p, "a,b\n1,2\n", "a,b\nx,2\ny,2\n"),
        "column 'a' must be of one kind.*1.csv and string in .*2.csv",
    ),
    "a header and none": (lambda p: two_csv(p, "a,b\n1,2\n", "1,2\n"), "2.csv must have a header"),
    "only headers": (lambda p: two_csv(p, "a,b\n", "a,b\n"), "has a header but no rows"),
    "a stray word": (
        lambda p: saved(Path.write_text, p / "x.csv", "a\n1\n2\nx\n"),
        "line 4 of .*column 'a'; it holds 'x'",
    ),
    "an index": (
        lambda p: saved(Path.write_text, p / "x.csv", ",a\n0,5\n1,7\n"),
        "counts the rows",
    ),
    "objects": (objects, "a pickle can run code"),
    "a pickle in Zarr": (pickled_zarr, "x.zarr cannot be read as Zarr .*pickle"),
    "words in HDF5": (words_in_hdf5, "must hold an array named|must hold numbers"),
    "no such member": (lambda p: f"{hdf5(p / 'x.h5')}::z", "x.h5::z is not there.*'group/rows'"),
    "not HDF5": (
        lambda p: saved(Path.write_text, p / "x.h5", "rubbish"),
        "x.h5 cannot be read as HDF5",
    ),
    "one axis": (lambda p: np.arange(3), r"Reshape it to \(3, 1\)"),
    "five axes": (lambda p: np.ones((2,) * 5), "must have 2, 3 or 4 axes"),
    "images or series": (
        lambda p: saved(np.save, p / "x.npy", np.ones((4, 20, 6))),
        r"x.npy of shape \(4, 20, 6\) could be images or series. Say .*'NHW' or 'NCT' or 'NTC'",
    ),
    "no row": (lambda p: np.ones((0, 3)), r"at least one row .* \(0, 3\)"),
    "shapes differ": (
        lambda p: [saved(np.save, p / f"{d}.npy", np.ones((2, d))) for d in (3, 4)],
        r"4.npy must have rows of shape \(3,\)",
    ),
    "a stream": (lambda p: Stream(), "only gives rows in turn"),
    "rows of other shapes": (
        lambda p: Rows([np.ones(2), np.ones(3)]),
        r"row 1 of the Rows must have the shape of row 0",
    ),
    "a dataset that fails": (
        lambda p: Rows([1], lambda _: {}["x"]),
        "row 0 of .* cannot be read \\(KeyError",
    ),
    "a dataset of words": (lambda p: Rows(["x"], str), "must give rows of numbers; it gives str"),
    "splits": (lambda p: {"train": hub()}, "must be one table; it is a dict of 'train'"),
    "lazy": (lambda p: pl.LazyFrame({"a": [1]}), "collect"),
    "a mixed column": (lambda p: pd.DataFrame({"a": [1, "x"]}), "column 'a' of.*of one type"),
    "a name twice": (
        lambda p: pd.DataFrame([[1, 2]], columns=["a", "a"]),
        "more than one column named 'a'",
    ),
    "a number": (lambda p: 7, "data of type int cannot be opened"),
    "no name": (lambda p: "", "an empty name"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_opened_is_told(case: str, tmp_path: Path) -> None:
    make, sentence = BAD[case]
    data = make(tmp_path)
    with pytest.raises(DataError, match=sentence):
        in_memory(open_data(data))


def by_storage(file: h5py.File, other: Path) -> None:
    secret = other.with_suffix(".bin")
    secret.write_bytes(X.tobytes())
    for key, shape in (("X", X.shape), ("y", (300,))):
        stored = [(str(secret), 0, int(np.prod(shape)) * 8)]
        file.create_dataset(key, shape, "f8", external=stored)


def by_view(file: h5py.File, other: Path) -> None:
    for key in ("X", "y"):
        with h5py.File(other) as source:
            layout = h5py.VirtualLayout(source[key].shape, source[key].dtype)
            layout[...] = h5py.VirtualSource(source[key])
        file.create_virtual_dataset(key, layout)


def by_link(file: h5py.File, other: Path) -> None:
    for key in ("X", "y"):
        file[key] = h5py.ExternalLink(str(other), f"/{key}")
    file["group"] = h5py.ExternalLink(str(other), "/")


def by_soft_link(file: h5py.File, other: Path) -> None:
    by_link(file, other)
    file["far"] = h5py.SoftLink("/group")


@pytest.mark.parametrize(
    ("make", "member", "sentence"),
    [
        (by_storage, "X", "::X must hold its values itself; its values lie in other files"),
        (by_view, "X", "::X must hold its values itself; its values lie in other files"),
        (by_link, "X", "must hold its values itself; 'X' is a link to '/X'"),
        (by_link, "group/X", "'group' is a link to '/'"),
        (by_soft_link, "far/X", "'far' is a link to '/group'"),
    ],
)
def test_hdf5_reads_no_other_file(
    make: Callable[[h5py.File, Path], None], member: str, sentence: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"], file["y"] = X, np.arange(300.0)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        make(file, tmp_path / "other.h5")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[member], X)  # h5py itself does
    with pytest.raises(DataError, match=sentence):
        open_data(f"{path}::{member}")
    with pytest.raises(DataError):
        open_data(path)
    with h5py.File(path, "a") as file:
        file["rows"] = X
    with pytest.raises(DataError, match="must hold its values itself"):
        open_data(f"{path}::rows", label="y")
    np.testing.assert_array_equal(in_memory(open_data(f"{path}::rows")), X)


MEANINGLESS: dict[str, tuple[dict[str, Any], str]] = {
    "drop a letter": ({"drop": "a"}, "drop='a' must be a list of names"),
    "drop from an array": ({"drop": ["a"]}, "has no meaning for the ndarray"),
    "label of an array": ({"label": "a"}, "has no meaning"),
    "a layout": ({"layout": "HWN"}, "must be one of 'ND'"),
    "another layout": ({"layout": "NCHW"}, "must name every axis"),
}


@pytest.mark.parametrize("case", MEANINGLESS)
def test_options_without_meaning_are_refused(case: str) -> None:
    options, sentence = MEANINGLESS[case]
    with pytest.raises(InvalidParameterError, match=sentence):
        open_data(X, **options)


CHANGES = ("x.parquet", "x.arrow", "x.npy", "x.h5")


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changed_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name

    def save(n: int) -> None:
        match path.suffix:
            case ".parquet":
                parquet.write_table(TABLE[:n], path)
            case ".arrow":
                feather.write_feather(TABLE[:n], path)
            case ".npy":
                np.save(path, X[:n])
            case _:
                with h5py.File(path, "w") as file:
                    file["X"] = X[:n]

    for change in (lambda: save(200), lambda: os.utime(path, (1, 1)), path.unlink):
        save(300)
        source = open_data(path)
        change()
        with pytest.raises(DataError, match=f"{name}.* changed since it was opened"):
            in_memory(source)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, library, extra in (
        (hdf5(tmp_path / "x.h5"), "h5py", "hdf5"),
        (zarr_at(tmp_path / "x.zarr"), "zarr", "zarr"),
    ):
        monkeypatch.setitem(__import__("sys").modules, library, None)
        with pytest.raises(DataError, match=rf"needs the package {library}.*isthmus\[{extra}\]"):
            open_data(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = files(tmp_path, x={"a": [1]}) / "x.parquet"
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        open_data(path)


# description -----------------------------------------------------------------------------------


def test_a_description_counts(tmp_path: Path) -> None:
    rows = [[1.0, "x", np.inf], [1.0, "x", np.inf], [np.nan, None, 2.0], [2.0, "y", -1.0]]
    found = isthmus.describe(open_data(pd.DataFrame(rows, columns=["a", "b", "c"])))
    assert found.columns is not None
    a, b, c = found.columns
    assert (a.missing, a.minimum, a.maximum, a.distinct) == (0.25, 1.0, 2.0, 2)
    assert (b.missing, b.distinct, b.values) == (0.25, 2, ("x", "y"))
    assert (c.infinite, c.maximum) == (2, np.inf)
    assert (found.duplicates, found.compared, found.infinite) == (1, 4, 2)
    assert found.missing == 2 / 12


@pytest.mark.parametrize("n", [900, 5000])
def test_distinct_entries_are_counted_up_to_a_cap(n: int) -> None:
    (column,) = isthmus.describe(open_data(np.arange(n, dtype=float)[:, None])).columns or ()
    assert (column.distinct, column.capped) == (min(n, 1000), n > 1000)


def test_duplicates_are_those_of_pandas() -> None:
    frame = pd.DataFrame({"u": RNG.integers(0, 9, 500), "v": RNG.choice(["x", "y", None], 500)})
    expected = int(frame.duplicated().sum())
    assert isthmus.describe(open_data(frame)).duplicates == expected
    numbers = RNG.integers(0, 6, (500, 3)).astype(float)
    expected = int(pd.DataFrame(numbers).duplicated().sum())
    assert isthmus.describe(open_data(numbers)).duplicates == expected


@pytest.mark.parametrize("column", [pd.Series([1.0, 2.0], name="a"), pl.Series("a", [1.0, 2.0])])
def test_a_single_column_is_no_table(column):
    with pytest.raises(DataError, match=r"a Series must be a table.*to_frame"):
        open_data(column)


def test_an_array_of_several_is_taken_by_its_name(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    path = tmp_path / "several.npz"
    np.savez(path, X=x, z=x[:, :2])
    assert np.array_equal(in_memory(open_data(f"{path}::z")), x[:, :2])
    assert np.array_equal(in_memory(open_data(path)), x)
    with pytest.raises(DataError, match=r"several.npz::w is not there. The file holds 'X', 'z'"):
        open_data(f"{path}::w")
    np.save(tmp_path / "one.npy", x)
    (tmp_path / "one.csv").write_text("a,b\n1,2\n3,4\n")
    for name in ("one.npy", "one.csv"):
        with pytest.raises(DataError, match="names an array, but such a file holds only one thing"):
            open_data(f"{tmp_path / name}::X")


@pytest.mark.parametrize("n", [0, 1, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("n_features", [1, 3, 600])
def test_a_matrix_has_the_columns_whole_however_many_rows_a_pass_writes(
    n: int, n_features: int
) -> None:
    columns = np.random.default_rng(0).normal(size=(n_features, n)).astype(np.float32)
    holed = columns.copy()
    holed[:, ::7] = np.nan
    arrays = [pa.chunked_array([pa.array(c, from_pandas=True)]) for c in holed]
    found = matrix(arrays)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, holed.T)


def test_an_index_of_pandas_that_has_a_name_is_told_of(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": list("vwxyz"), "b": 1.5, "c": 2.0}).set_index("a")
    frame.to_parquet(tmp_path / "t.parquet")
    source = open_data(tmp_path / "t.parquet")
    assert source.names == ("b", "c")
    (note,) = source.notes
    assert "pandas marked 'a' as its index, which is no column" in note
    assert read(tmp_path / "t.parquet").notes == source.notes
