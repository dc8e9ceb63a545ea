"""Files of results name the machine of every row; tasks and leads are what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks import _common, anomaly_elsewhere


@pytest.mark.parametrize("path", sorted(_common.RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_every_recorded_row_names_processor_and_threads(path: Path) -> None:
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert rows
    assert {type(row["processor"]) for row in rows} == {str}
    assert all(row["threads"] in (1, 2, _common.NOT_RECORDED) for row in rows)
    assert not any(row["processor"] == "x86_64" for row in rows)  # names no processor


def test_rows_that_are_kept_keep_their_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_common, "RESULTS", tmp_path)
    old: list[dict[str, Any]] = [{"case": "a", "ratio": 2.0}]
    (tmp_path / "x.json").write_text(json.dumps({"rows": old}), encoding="utf-8")
    for name in ("one", "another"):
        monkeypatch.setattr(_common, "processor", lambda name=name: name)
        _common.write("x", [*_common.read("x"), {"case": name}], {})
    rows = _common.read("x")
    assert [row["processor"] for row in rows] == [_common.NOT_RECORDED, "one", "another"]
    assert rows[0]["threads"] == _common.NOT_RECORDED
    assert all(isinstance(row["threads"], int) for row in rows[1:])
    assert rows[0]["ratio"] == 2.0


def test_tasks_of_a_table_are_its_smallest_class_out_and_its_largest_in() -> None:
    sizes = {"a": 100, "b": 70, "c": 9, "d": 3}
    y = np.repeat(list(sizes), list(sizes.values()))
    word = np.where(np.arange(len(y)) % 3 == 0, "left", "right")
    table = pd.DataFrame({"x": np.arange(len(y), dtype=float), "word": word, "y": y})
    small, large = anomaly_elsewhere.of_classes("t", table)
    assert (len(small.normal), len(small.odd)) == (173, 9)
    assert (len(large.normal), len(large.odd)) == (100, 82)
    assert set(small.odd[:, 0]) == set(range(170, 179))
    assert {int(x) % 3 == 0 for x, left in large.normal if left} == {True}
    train, test, odd = small.split()
    assert (len(train), len(test), int(odd.sum())) == (86, 96, 9)
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-12)


def test_leads_are_of_tables_whatever_their_tasks_and_seeds() -> None:
    found = {
        ("one", "p", 0): (80.0, 70.0),
        ("one", "p", 1): (90.0, 70.0),
        ("two", "p", 0): (65.0, 80.0),
        ("three", "q", 0): (60.0, 50.0),
    }
    rows = [
        {"task": task, "table": table, "seed": seed, "method": method, "auroc": auroc}
        for (task, table, seed), both in found.items()
        for method, auroc in zip(("isthmus", "kNN"), both, strict=True)
    ]
    of = anomaly_elsewhere.summarise(rows)["kNN"]
    assert (of["tables"], of["isthmus"], of["auroc"]) == (2, 67.5, 62.5)
    assert of["lead"] == pytest.approx(5.0)  # 0 on p, 10 on q
    assert of["standard_error"] == pytest.approx(5.0)
    assert of["ahead"] == 0.5
