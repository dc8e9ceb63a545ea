"""Runs of every schema and stage that was ever written still open and compute what they did."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isthmus import load
from isthmus.errors import RunError
from isthmus.estimators._persistence import drift

RUNS = sorted(p for p in (Path(__file__).parent / "runs").glob("*/*") if p.is_dir())


@pytest.mark.parametrize("run", RUNS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_it_opens_and_computes_the_same(run):
    expected = json.loads(run.with_suffix(".json").read_text())
    rows = np.array(expected["rows"], dtype=expected["dtype"])
    if expected["columns"]:
        rows = pd.DataFrame(rows, columns=expected["columns"])
    model = load(run)
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(model.transform(rows), expected["codes"], **tolerance)
    np.testing.assert_allclose(model.reconstruct(rows), expected["reconstruction"], **tolerance)
    np.testing.assert_allclose(model.score_samples(rows), expected["score"], **tolerance)
    if "probe.rows" in (run / "model.safetensors").read_bytes().decode("latin1"):
        assert drift(model) < 1e-4
    else:
        assert math.isnan(drift(model))


@pytest.mark.parametrize("run", RUNS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_it_is_saved_again_in_todays_form(run, tmp_path):
    model = load(run)
    again = load(model.save(tmp_path / "run"))
    assert drift(again) == 0.0
    z = np.zeros((1, model.n_components_))
    np.testing.assert_array_equal(again.inverse_transform(z), model.inverse_transform(z))


def test_every_schema_is_there():
    from isthmus.runs.directory import SCHEMA

    found = {json.loads((run / "config.json").read_text())["schema"] for run in RUNS}
    assert found == set(range(1, SCHEMA + 1))


def test_codes_that_differ_are_told(tmp_path):
    from safetensors.torch import load_file, save_file

    from isthmus.runs import directory

    found = directory.read(RUNS[-1])
    tensors = dict(found.tensors)
    tensors["probe.codes"] = tensors["probe.codes"] + 0.5 * tensors["codes"].std()
    config = {k: v for k, v in found.config.items() if k not in ("format", "schema", "checksum")}
    directory.write(tmp_path / "run", directory.Run(config, tensors, found.history))
    assert drift(load(tmp_path / "run")) == pytest.approx(0.5, rel=0.01)
    broken = load_file(tmp_path / "run" / "model.safetensors")
    broken.pop("codes")
    save_file(broken, tmp_path / "run" / "model.safetensors")
    with pytest.raises(RunError, match="checksum"):
        load(tmp_path / "run")
