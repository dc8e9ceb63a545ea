"""Laws of `isthmus.data.writers`: what is written reads back, whole, or nothing is there."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from isthmus.data import writers
from isthmus.data.readers import read
from isthmus.data.writers import check_destination, replacing, write
from isthmus.errors import InvalidParameterError, RunError

X = np.random.default_rng(0).normal(size=(20, 3))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ending", writers.ENDINGS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_back(
    ending: str,
    dtype: type[np.floating],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    width: Literal[32, 64] = 32 if dtype is np.float32 else 64
    finite = st.floats(allow_nan=False, allow_infinity=False, width=width)
    x = data.draw(arrays.arrays(dtype, shape, elements=finite))
    if len(x) > 1:
        x[0, -1] = np.nan
    path = tmp_path_factory.mktemp("x") / f"x{ending}"
    write(path, x)
    table = read(path)
    assert table.names == (None if ending == ".npy" else tuple(f"x{j}" for j in range(shape[1])))
    np.testing.assert_array_equal(table.values.astype(dtype), x)


NAMES = [
    ("a", "b", "c"),
    ("1", "2", "3"),
    ("0", "1", "2"),
    ("a,b", 'say "c"', "d;e"),
    ("µ", " ", "NA"),
]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_names_read_back(names: tuple[str, ...], ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"x{ending}", X, names)
    table = read(tmp_path / f"x{ending}")
    expected = tuple("x1" if name == " " else name for name in names) if ending == ".csv" else names
    assert table.names == expected
    np.testing.assert_array_equal(table.values, X)


def test_views_and_odd_orders_are_written(tmp_path: Path) -> None:
    for k, view in enumerate((X.T, X[::2, ::-1], np.asfortranarray(X))):
        for ending in writers.ENDINGS:
            write(tmp_path / f"{k}{ending}", view)
            np.testing.assert_array_equal(read(tmp_path / f"{k}{ending}").values, view)


def test_folders_are_made_and_the_mode_is_the_users(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write(tmp_path / "a" / "b" / "x.csv", X)
    assert files(tmp_path) == {"plain", "a", "a/b", "a/b/x.csv"}
    assert stat.S_IMODE((tmp_path / "a/b/x.csv").stat().st_mode) == stat.S_IMODE(
        plain.stat().st_mode
    )


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "x.npy").touch()
    (tmp_path / "link.npy").symlink_to("x.npy")
    write(tmp_path / "link.npy", X)
    assert (tmp_path / "link.npy").is_symlink()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file of this process may grow beyond 100 kB: the system's own error for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("ending", writers.ENDINGS)
def test_a_full_disk_leaves_what_was_there(ending: str, tmp_path: Path) -> None:
    there, new = tmp_path / f"there{ending}", tmp_path / "new" / "deep" / f"x{ending}"
    write(there, X)
    before = there.read_bytes()
    large = np.random.default_rng(0).normal(size=(50_000, 4))
    for path in (there, new):
        with pytest.raises(RunError, match=rf"x?{ending} cannot be written \(File too large\)"):
            write(path, large)
    assert there.read_bytes() == before
    assert files(tmp_path) == {there.name}


def _write_half(file: IO[bytes], error: BaseException) -> None:
    file.write(b"half")
    raise error


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("x")],
)
def test_an_interrupted_block_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    expected = RunError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), replacing(tmp_path / "sub" / "x.npy") as file:
        _write_half(file, error)
    assert files(tmp_path) == set()


def test_a_destination_is_checked_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    refusals: list[tuple[str, type[Exception], str]] = [
        ("there.csv", RunError, "exists and is not replaced unasked.*--force"),
        ("folder.csv", RunError, "it is a folder"),
        ("x.xlsx", InvalidParameterError, "must end in '.csv', '.npy', '.parquet'"),
        ("there.csv/x.csv", RunError, "there.csv' is not a folder"),
    ]
    for name, error, sentence in refusals:
        with pytest.raises(error, match=sentence):
            check_destination(tmp_path / name, force=False)
    check_destination(tmp_path / "there.csv", force=True)
    check_destination(tmp_path / "a" / "b" / "new.npy")
    check_destination(tmp_path / "page.html", endings=(".html",))
    assert files(tmp_path) == {"there.csv", "folder.csv"}
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_folder_without_write_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match="is not writable"):
        check_destination(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("values", "names", "sentence"),
    [
        (X[0], None, r"values of shape \(3,\) must be 2-D"),
        (X, ["a", "b"], "must be 3 different names"),
        (X, ["a", "b", "a"], "must be 3 different names"),
    ],
)
def test_names_and_values_must_fit(
    values: np.ndarray, names: list[str] | None, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParameterError, match=sentence):
        write(tmp_path / "x.csv", values, names)
    assert files(tmp_path) == set()


@pytest.mark.parametrize("ending", writers.ENDINGS)
def test_blocks_are_written_as_the_whole_would_be(ending: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / f"whole{ending}", tmp_path / f"parts{ending}"
    write(whole, X, ["a", "b", "c"])
    count = writers.write_blocks(parts, (X[s : s + 7] for s in range(0, 20, 7)), ["a", "b", "c"])
    assert count == len(X)
    np.testing.assert_array_equal(read(parts).values, read(whole).values)
    if ending != ".parquet":  # a row group a block
        assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("ending", writers.ENDINGS)
def test_a_block_that_fails_leaves_the_file_as_it_was(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    write(path, X)
    before = path.read_bytes()

    def blocks() -> Iterator[np.ndarray]:
        yield X[:3]
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        writers.write_blocks(path, blocks())
    assert path.read_bytes() == before
    assert files(tmp_path) == {path.name}
