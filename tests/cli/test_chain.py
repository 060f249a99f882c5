"""A user's own model through all commands, with an .npz of samples and no recipe."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import needs

from edgekit.cli import main

jsonschema = needs.package("jsonschema")


def valid(text: str, kind: str) -> dict:
    from edgekit.document import json_schema

    content = json.loads(text)
    jsonschema.validate(content, json_schema(kind))
    assert next(iter(content)) == "schema"
    return content


@pytest.mark.parametrize("source", ["mine.h5", "mine.keras", "mine"])
def test_from_export_to_report(source, digits_model, digits, tmp_path, monkeypatch, capfd):
    import keras

    monkeypatch.chdir(tmp_path)
    model = keras.saving.load_model(digits_model)
    if source == "mine":
        model.export(source, verbose=False)
    else:
        model.save(source)
    name = next(iter(digits.test.inputs))
    np.savez("s.npz", **{name: digits.test.inputs[name], "y": digits.test.labels})
    capfd.readouterr()

    # Without --json the result is on stdout, whatever TensorFlow writes there.
    words = ["--format", "tflite", "--format", "onnx", "--calibration", "s.npz"]
    assert main(["export", source, "-o", "build", *words]) == 0
    manifest = valid(capfd.readouterr().out, "manifest")
    assert len(manifest["files"]) == 4
    files = [f"build/{row['path']}" for row in manifest["files"]]
    assert main(["golden", source, "--samples", "s.npz", "-o", "golden.npz"]) == 0
    assert main(["run", files[0], "--samples", "s.npz", "-o", "out.npz"]) == 0
    capfd.readouterr()
    assert main(["bench", source, *files, "--seconds", "0.05"]) == 0
    bench = valid(capfd.readouterr().out, "bench")
    assert len(bench["runs"]) == 5
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    budget = ["--golden", "golden.npz", "--max-accuracy-drop", "0.05", "--junit", "drift.xml"]
    assert main(["compare", *files, *budget, "--json", "drift.json"]) == 0
    drift = valid((tmp_path / "drift.json").read_text(), "drift")
    assert {row["verdict"] for row in drift["candidates"]} <= {"pass", "inconclusive"}
    documents = ["drift.json", "bench.json", "build/manifest.json"]
    for page in ("report.html", "report.md"):
        assert main(["report", *documents, "-o", page]) == 0
        assert "mine.int8.tflite" in (tmp_path / page).read_text()


def test_a_budget_exceeded_is_exit_3_and_names_the_classes(
    digits, digits_files, digits_model, tmp_path
):
    golden, drift, page = (str(tmp_path / n) for n in ("g.npz", "d.json", "r.md"))
    samples = tmp_path / "s.npz"
    digits.test.save(samples)
    assert main(["golden", str(digits_model), "--samples", str(samples), "-o", golden]) == 0
    # A model of other weights stands for a broken conversion: half of the scores are dropped.
    broken = tmp_path / "broken.float32.tflite"
    content = bytearray(digits_files.path("tflite", "float32").read_bytes())
    weights = content.rfind(b"\x00" * 16, 0, len(content) // 2)
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    assert weights
    broken.write_bytes(bytes(content))
    words = ["--golden", golden, "--max-accuracy-drop", "0.01", "--json", drift]
    assert main(["compare", str(broken), *words]) == 3
    assert main(["compare", str(broken), "--golden", golden, "--max-accuracy-drop", "100%"]) == 0
    candidate = json.loads((tmp_path / "d.json").read_text())["candidates"][0]
    assert candidate["verdict"] == "fail"
    paid = [row for row in candidate["task"]["per_class"] if row["drop"] > 0]
    assert paid
    assert main(["report", drift, "-o", page]) == 0
    assert "Which classes paid" in (tmp_path / "r.md").read_text()
