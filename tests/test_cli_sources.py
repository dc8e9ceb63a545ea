"""The command line on anything that can be opened, held in memory or streamed: one result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.command_line import call, done

from isthmus import load, open_data
from isthmus.cli import _blocks, _rows
from isthmus.estimators import _sources

N = 1200


def parquet_folder(folder: Path) -> str:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(2, 5))
    for i in range(3):
        x = np.sin(generator.normal(size=(N // 3, 2)) @ weights) + 1
        frame = pd.DataFrame(x, columns=list("abcde"))
        frame.to_parquet(folder / f"part-{i}.parquet", row_group_size=90)
    return str(folder)


def glob(folder: Path) -> str:
    return parquet_folder(folder) + "/*.parquet"


def images(folder: Path) -> str:
    generator = np.random.default_rng(0)
    for i in range(60):
        square = np.zeros((12, 10), np.uint8)
        x, y = generator.integers(0, 7, 2)
        square[y : y + 4, x : x + 4] = 255
        Image.fromarray(square).save(folder / f"{i:03}.png")
    return str(folder)


def series(folder: Path) -> str:
    phase = np.random.default_rng(0).uniform(0, 6, (80, 1, 1))
    np.save(folder / "x.npy", np.sin(np.linspace(0, 6, 30)[None, None] + phase))
    return str(folder / "x.npy")


def mixed_folder(folder: Path) -> str:
    generator = np.random.default_rng(0)
    for i in range(2):
        age = generator.integers(18, 90, N // 2).astype(float)
        age[generator.random(N // 2) < 0.1] = np.nan
        frame = pd.DataFrame(
            {
                "age": age,
                "city": generator.choice(["Bern", "Rome", "Oslo"], N // 2),
                "pay": np.exp(generator.normal(10, 1, N // 2)),
                "late": generator.random(N // 2) < 0.3,
            }
        )
        frame.to_parquet(folder / f"{i}.parquet", row_group_size=100)
    return str(folder)


MAKE = {
    "folder": parquet_folder,
    "glob": glob,
    "images": images,
    "series": series,
    "mixed": mixed_folder,
}


@pytest.fixture(params=["memory", "stream"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stream":
        monkeypatch.setattr(_sources, "LARGE", 0)
        monkeypatch.setattr(_blocks, "MOST_SAMPLED", 200)


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("kind", MAKE)
def test_every_verb_of_rows_takes_it(kind: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data, run = MAKE[kind](tmp_path / "data"), tmp_path / "run"
    more = ("--max-epochs", "2", "--seed", "0", "--n-components", "2")
    done("fit", data, "--out", run, "--quiet", *more)
    codes, scores = tmp_path / "codes.npy", tmp_path / "scores.npy"
    done("transform", run, data, "--out", codes)
    assert "the model was fitted to" in done("score", run, data, "--out", scores)
    made = tmp_path / ("made.csv" if kind == "mixed" else "made.npy")
    assert "the model was fitted to" in done("reconstruct", run, data, "--out", made)
    n = len(np.load(codes))
    rows = pd.read_csv(made) if kind == "mixed" else np.load(made)
    assert len(np.load(scores)) == len(rows) == n
    if kind == "mixed":
        assert set(rows["city"]) <= {"Bern", "Rome", "Oslo"}
    told = done("evaluate", run)
    assert "squared_error" in told
    page = tmp_path / "page.html"
    done("report", run, "--out", page)
    assert page.stat().st_size > 100_000
    assert done("info", run)


@pytest.mark.parametrize("kind", MAKE)
def test_codes_do_not_depend_on_how_the_rows_come(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    data, run = MAKE[kind](tmp_path / "data"), tmp_path / "run"
    done("fit", data, "--out", run, "--quiet", "--max-epochs", "1", "--n-components", "2")
    done("transform", run, data, "--out", tmp_path / "whole.npy")
    monkeypatch.setattr(_sources, "LARGE", 0)
    monkeypatch.setattr(_rows, "READ_WHOLE", 0)
    done("transform", run, data, "--out", tmp_path / "stream.npy")
    whole, streamed = (np.load(tmp_path / f"{name}.npy") for name in ("whole", "stream"))
    np.testing.assert_allclose(whole, streamed, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("memory")
def test_a_stopped_streamed_fit_is_gone_on_with_and_finished_ones_are_recognised(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    data, run = parquet_folder(tmp_path / "data"), tmp_path / "run"
    words = ("fit", data, "--out", run, "--max-epochs", "2", "--seed", "0", "--quiet")
    done(*words)
    before = (run / "model.safetensors").read_bytes()
    done(*words, "--resume")
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "holds no file"),
        ("nothing/*.parquet", "matches no file"),
        ("x.h5", "does not exist"),
        ("cut", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("cut").mkdir()
    frame = pd.DataFrame({"a": np.arange(100.0), "b": 1.0})
    frame.to_parquet("cut/0.parquet")
    Path("cut/1.parquet").write_bytes(Path("cut/0.parquet").read_bytes()[:-50])
    code, out, err = call("fit", name, "--out", "run")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not Path("run").exists()


def test_images_of_another_size_are_brought_to_that_of_the_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("few", "large"):
        (tmp_path / name).mkdir()
    images(tmp_path / "few")
    for path in sorted((tmp_path / "few").iterdir()):
        with Image.open(path) as image:
            image.resize((40, 48), Image.Resampling.NEAREST).save(tmp_path / "large" / path.name)
    done("fit", "few", "--n-components", "2", "--max-epochs", "2", "--seed", "0", "--out", "run")
    done("transform", "run", "few", "--out", "a.npy")
    done("transform", "run", "large", "--out", "b.npy")
    a, b = np.load("a.npy"), np.load("b.npy")
    assert a.shape == b.shape == (60, 2)
    for k in range(2):  # to resampling
        assert np.corrcoef(a[:, k], b[:, k])[0, 1] > 0.98


def coloured(folder: Path) -> str:
    """Those of :func:`images` in red on black, as GIF, PNG with transparency and the like."""
    for i, path in enumerate(sorted(Path(images(folder)).iterdir())):
        with Image.open(path) as image:
            red = Image.merge("RGB", [image.copy(), *[Image.new("L", image.size)] * 2])
        path.unlink()
        mode = ("RGB", "RGBA", "P")[i % 3]
        red.convert(mode).save(path)
    return str(folder)


def test_images_are_brought_to_the_colours_of_the_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, make in (("grey", images), ("red", coloured)):
        Path(name).mkdir()
        make(Path(name))
        short = ("--n-components", "2", "--max-epochs", "1", "--seed", "0")
        done("fit", name, *short, "--out", f"run-{name}")
    for run, other in (("grey", "red"), ("red", "grey")):
        for verb, more in (("transform", ("--out", "o.npy", "--force")), ("score", ())):
            said = f"60 of 60 images of {other} are "
            assert said in done(verb, f"run-{run}", other, *more)
            assert "images of" not in done(verb, f"run-{run}", run, *more)
        told = json.loads(done("score", f"run-{run}", other, "--json"))
        assert told["notes"][0].startswith(said)
    source = open_data("red", image_mode="L")
    wanted = load("run-grey").transform(source)
    done("transform", "run-grey", "red", "--out", "codes.npy")
    np.testing.assert_allclose(np.load("codes.npy"), wanted, rtol=1e-6, atol=1e-6)
    few = ("--n-components", "1", "--max-epochs", "1", "--seed", "0")
    assert "made grey" in done("outliers", "grey", "--new", "red", *few)


@pytest.mark.filterwarnings("ignore:.*cannot be used")
def test_a_share_of_images_may_be_left_out_by_a_flag_that_the_error_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    images(Path("x"))
    for i in range(4):
        Path(f"x/{i:03}.png").write_bytes(b"no image")
    short = ("--n-components", "2", "--max-epochs", "1", "--seed", "0")
    code, _, err = call("fit", "x", *short, "--out", "run")
    assert (code, "4 of 60 cannot" in err) == (2, True)
    assert "max_skipped" not in err
    flag = err.split("allow more with ")[1].strip().rstrip(".").split()
    assert flag == ["--max-skipped", "0.07"]
    assert " ".join(flag) in " ".join(done("info", "x").split())
    done("fit", "x", *short, *flag, "--out", "run")
    done("evaluate", "run")  # reads them again, as they were read then
    done("transform", "run", "x", "--out", "codes.npy")
    assert len(np.load("codes.npy")) == 56
    code, _, err = call("transform", "run", "x", "--max-skipped", "0", "--out", "more.npy")
    assert (code, "--max-skipped 0.07" in err) == (2, True)


def test_images_none_of_which_can_be_used_are_counted_and_some_named(tmp_path):
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    for verb in ("info", "fit"):
        code, _, err = call(verb, tmp_path, *(("--out", tmp_path / "run") * (verb == "fit")))
        assert code == 2
        assert "none of its 12 can" in err
        assert "2.png" in err
        assert "and 2 more" in err
        assert "max" not in err.split("and 2 more")[1]
