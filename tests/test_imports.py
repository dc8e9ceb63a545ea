"""What `import isthmus` gives, and what it must not cost."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import isthmus

HEAVY = ("numpy", "pyarrow", "scipy", "sklearn", "torch")
OPTIONAL = ("h5py", "pandas", "PIL", "polars", "scipy", "sklearn", "torch", "zarr")
HELP = """
import contextlib, sys
from isthmus.cli.main import main
sys.argv = ["isthmus", "--help"]
with contextlib.suppress(SystemExit):
    main()
"""
ROOT = Path(__file__).parent.parent


def imported_by(statement: str) -> set[str]:
    """The modules a fresh interpreter holds after ``statement``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import isthmus", HEAVY),
        ("import isthmus; isthmus.DataError; dir(isthmus)", HEAVY),
        ("from isthmus.errors import DataError", HEAVY),
        (HELP, ("scipy", "sklearn", "torch")),
        ("import isthmus.data.readers, isthmus.data.writers", ("scipy", "sklearn", "torch")),
        ("import isthmus; isthmus.open_data, isthmus.describe", OPTIONAL),
    ],
)
def test_an_import_costs_only_what_it_needs(statement: str, forbidden: tuple[str, ...]) -> None:
    assert imported_by(statement).isdisjoint(forbidden)


def test_every_public_name_is_there_and_listed_once() -> None:
    names = isthmus.__all__
    assert names == sorted(set(names), key=str.casefold)
    assert set(names) <= set(dir(isthmus))
    for name in names:
        assert getattr(isthmus, name) is not None


def test_a_star_import_brings_the_public_names() -> None:
    space: dict[str, object] = {}
    exec("from isthmus import *", space)
    assert set(isthmus.__all__) <= set(space)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Autoencodr'"):
        _ = isthmus.Autoencodr


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isthmus.__version__ == project["version"]


def test_the_door_is_open_before_typing_is_imported():
    code = (
        "import sys; before = set(sys.modules); import isthmus.cli.main; "
        "print(*sorted({'typing', 'enum', 'inspect', 'torch'} & (set(sys.modules) - before)))"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.split() == ["enum"]
