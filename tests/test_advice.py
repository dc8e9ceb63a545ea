"""What is suggested for data of every sort, and that ``info`` tells it of what can be opened."""

from __future__ import annotations

import datetime
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import isthmus
from command_line import call, done
from isthmus import Autoencoder
from isthmus.data.advice import advise

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(200, 5))
HOLED = np.where(RNG.random(NORMAL.shape) < 0.1, np.nan, NORMAL)
X = pd.DataFrame(NORMAL, columns=list("abcde"))
WORDS = RNG.choice(["Bern", "Oslo", "Rome"], 200)
PLAIN = ("gaussian", "undercomplete", None, ())

LAWS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "numbers": (X, PLAIN),
    "an array": (NORMAL, PLAIN),
    "0 and 1": (RNG.integers(0, 2, (200, 5)), ("bernoulli", "undercomplete", None, ())),
    "Poisson": (RNG.poisson(4, (200, 5)), ("poisson", "undercomplete", None, ())),
    "overdispersed": (
        RNG.negative_binomial(2, 0.1, (200, 5)),
        ("negative_binomial", "undercomplete", None, ()),
    ),
    "grades 1 to 5": (RNG.integers(1, 6, (200, 5)), PLAIN),
    "grey values": ("digits", PLAIN),
    "negative whole numbers": (RNG.integers(-3, 3, (200, 5)), PLAIN),
    "missing entries": (HOLED, ("gaussian", "denoising", None, ())),
    "mixed": (X.assign(city=WORDS), ("joint", "undercomplete", None, ())),
    "images": (RNG.random((60, 3, 16, 16)), ("gaussian", "undercomplete", "conv", ())),
    "0-1 images": (RNG.integers(0, 2, (60, 9, 9)), ("bernoulli", "undercomplete", "conv", ())),
    "tiny images": (RNG.random((60, 1, 4, 4)), PLAIN),
    "series": (RNG.random((60, 2, 50)), None),
    "few rows": (NORMAL[:12], PLAIN),
    "constant column": (X.assign(k=1.0), PLAIN),
    "row numbers": (X.assign(row=np.arange(200)), (*PLAIN[:3], ("row",))),
    "shuffled ids": (X.assign(user_id=RNG.permutation(9000)[:200]), (*PLAIN[:3], ("user_id",))),
    "names": (X.assign(n=[f"n{i}" for i in range(200)]), (*PLAIN[:3], ("n",))),
    "an empty column": (X.assign(z=np.nan), (*PLAIN[:3], ("z",))),
    "an infinite entry": (X.assign(z=[np.inf, *[0.5] * 199]), (*PLAIN[:3], ("z",))),
    "lists": (X.assign(z=[[1, 2]] * 200), (*PLAIN[:3], ("z",))),
    "durations": (X.assign(z=pd.to_timedelta(range(200), "s")), (*PLAIN[:3], ("z",))),
    "times of day": (X.assign(z=[datetime.time(i % 24) for i in range(200)]), (*PLAIN[:3], ("z",))),
    "bytes": (X.assign(z=[b"a", b"b"] * 100), (*PLAIN[:3], ("z",))),
    "periods": (X.assign(z=pd.period_range("2020", periods=200, freq="D")), (*PLAIN[:3], ("z",))),
    "free text": (X.assign(z=["a" * 100_001, "b"] * 100), (*PLAIN[:3], ("z",))),
    "all constant": (np.ones((50, 3)), (None, "", None, ())),
    "one column": (NORMAL[:, :1], (None, "", None, ())),
    "one row": (NORMAL[:1], (None, "", None, ())),
}


@pytest.mark.parametrize("name", LAWS)
def test_what_is_suggested(name: str) -> None:
    data, expected = LAWS[name]
    found = isthmus.describe(isthmus.open_data(data))
    advice = advise(found)
    if expected is not None:
        assert (advice.likelihood, advice.model, advice.network, advice.drop) == expected
    width = int(np.prod(found.feature_shape))
    assert advice.likelihood is None or 1 <= advice.n_components < width
    assert advice.reason.endswith(".")
    said = " ".join(advice.notes)
    assert ("few" in said) == (1 < found.rows < 50)
    assert all(repr(column) in said for column in advice.drop)


def test_means_are_those_of_numpy() -> None:
    columns = isthmus.describe(isthmus.open_data(HOLED)).columns or ()
    np.testing.assert_allclose([c.mean for c in columns], np.nanmean(HOLED, 0))
    np.testing.assert_allclose([c.variance for c in columns], np.nanvar(HOLED, 0))


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law[1] and law[1][3]])
def test_what_is_left_out_is_what_a_fit_refuses(name: str) -> None:
    """And the other way round: with it left out, the fit goes well."""
    data, (*_, drop) = LAWS[name]
    fit = Autoencoder(1, max_epochs=1, hidden_layer_sizes=(4,), random_state=0).fit
    fit(data.drop(columns=list(drop)))
    if name not in ("row numbers", "shuffled ids"):  # which a fit warns of
        with pytest.raises(ValueError, match=r"z|'n'|nfinity"):
            fit(data)


def test_durations_are_listed_with_their_extremes() -> None:
    took = isthmus.describe(isthmus.open_data(LAWS["durations"][0])).columns[-1]
    assert (str(took.minimum), str(took.maximum)) == ("0:00:00", "0:03:19")
    assert (took.distinct, took.kind) == (200, None)


@pytest.mark.parametrize("kind", ["numbers", "mixed"])
def test_compare_is_recommended_where_it_takes_the_table(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    LAWS[kind][0].to_csv(path, index=False)
    code, _, _ = call("compare", path, "--n-components", "1", "--max-epochs", "1", "--quiet")
    assert ("isthmus compare" in " ".join(done("info", path).split())) == (code == 0)


def test_what_is_left_out_is_not_read_as_text_as_well(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    X.assign(n=np.arange(200) + 90_000, k=1).to_csv(path, index=False)
    words = shlex.split(
        json.loads(done("info", path, "--text", "n,k", "--json"))["suggestion"]["command"]
    )
    assert words[words.index("--drop") + 1] == "n"
    assert words[words.index("--text") + 1] == "k"


def test_columns_that_are_left_out_are_named_with_the_reason() -> None:
    names = [f"n{i}" for i in range(200)]
    one, two = (
        advise(isthmus.describe(isthmus.open_data(X.assign(**dict.fromkeys(more, names))))).notes[0]
        for more in ("n", "nm")
    )
    assert one == "'n' is left out: it names its row."
    assert two == "'n', 'm' are left out: each names its row."


def test_a_suggestion_can_be_run_as_it_is(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    X.assign(city=WORDS, **{"a,id": np.arange(200)}).to_csv("t.csv", index=False)
    facts = json.loads(done("info", "t.csv", "--json"))
    assert facts["suggestion"]["command"] in done("info", "t.csv")
    words = shlex.split(facts["suggestion"]["command"])[1:]
    done(*words, "--max-epochs", "1", "--no-early-stopping", "--hidden-layer-sizes", "8")


def test_images_that_are_corrupt_are_told(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in "ab":
        (tmp_path / "png" / kind).mkdir(parents=True)
        Image.fromarray(RNG.integers(0, 255, (9, 9)).astype(np.uint8)).save(f"png/{kind}/0.png")
    Path("png/a/bad.png").write_bytes(b"no image")
    out = done("info", "png")
    assert "skipped: 1 (png/a/bad.png)" in out
    assert "labels: 2 (a, b)" in out
    assert "fit refuses more than 1%" in out
    facts = json.loads(done("info", "png", "--json"))
    assert (facts["n_rows"], facts["n_files"], facts["feature_shape"]) == (2, 3, [1, 9, 9])
    code, _, error = call("info", "png", "--drop", "x")
    assert code == 2
    assert error.startswith("Error: --drop x")


def test_columns_without_names_can_be_left_out(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", NORMAL)
    facts = json.loads(done("info", "x.npy", "--drop", "x0,x3", "--json"))
    assert [column["name"] for column in facts["columns"]] == ["x1", "x2", "x4"]
    assert "--drop x0,x3" in facts["suggestion"]["command"]
