"""The demo, once and for real."""

from __future__ import annotations

import json

import pytest

from edgekit.errors import OutputExistsError


def test_the_demo_makes_all_it_promises(tmp_path):
    from edgekit import document
    from edgekit.pipeline.demo import run_demo

    lines: list[str] = []
    table = run_demo(tmp_path, progress=lines.append)
    made = {path.name for path in tmp_path.iterdir()}
    tflite = {f"digits.{s}.tflite" for s in ("float32", "float16", "dynamic", "int8", "int16x8")}
    files = tflite | {"digits.prune50.int8.tflite", "digits.float32.onnx", "digits.int8.onnx"}
    assert made >= files | {"digits.keras", "digits.golden.npz", "report.html"}
    kinds = {"training": "training", "drift": "drift", "bench": "bench", "manifest": "manifest"}
    for name, kind in kinds.items():
        assert document.load(tmp_path / f"{name}.json").kind == kind
    rows = table.splitlines()
    assert rows[0].split()[:2] == ["file", "verdict"]
    assert {"size", "accuracy", "drop", "p50"} <= set(rows[0].split())
    assert len([row for row in rows if row.startswith("digits.")]) == 9
    assert any(line.startswith("[1/6]") for line in lines)

    drift = json.loads((tmp_path / "drift.json").read_text())
    by_name = {row["artifact"]["path"].split("/")[-1]: row for row in drift["candidates"]}
    assert set(by_name) == files
    for name in ("digits.float32.tflite", "digits.float32.onnx"):
        assert by_name[name]["outputs"][0]["max_abs_rel"] <= 1e-5
        assert by_name[name]["task"]["agreement"] == 1
    assert by_name["digits.int8.tflite"]["task"]["drop"] <= 0.01
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    pruned = next(f for f in manifest["files"] if "prune50" in f["path"])
    assert min(pruned["recipe"]["prune"]["sparsity_by_layer"].values()) >= 0.49
    with pytest.raises(OutputExistsError):
        run_demo(tmp_path)
