"""Files of results: every row names the machine that it was measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import _common


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
