"""The commands a board runs, with the base install alone: no TensorFlow, no onnxruntime."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import edgekit
from edgekit.cli import main

pytestmark = pytest.mark.processes


@pytest.fixture
def samples(models, tmp_path):
    with edgekit.load(models / "classifier.float32.tflite") as runner:
        spec = runner.inputs[0]
    path = tmp_path / "samples.npz"
    x = np.random.default_rng(0).random((12, *spec.shape[1:]), np.float32)
    np.savez(path, x=x)
    return path


def test_doctor_tells_what_is_here(capfd):
    assert main(["doctor"]) == 0
    content = json.loads(capfd.readouterr().out)
    assert content["schema"] == "edgekit.host/1"
    assert content["host"]["interpreters"]


def test_devices(capfd):
    assert main(["devices", "list"]) == 0
    assert "raspberry-pi-4b" in capfd.readouterr().out
    assert main(["devices", "detect"]) == 0
    assert capfd.readouterr().out.strip()


def test_run_bench_and_compare(models, samples, tmp_path, capfd):
    original, int8 = models / "classifier.float32.tflite", models / "classifier.int8.tflite"
    golden, out = tmp_path / "golden.npz", tmp_path / "out.npz"
    assert main(["run", str(int8), "--samples", str(samples), "-o", str(out)]) == 0
    assert main(["golden", str(original), "--samples", str(samples), "-o", str(golden)]) == 0
    capfd.readouterr()
    limits = ["--min-sqnr-db", "5", "--allow-setup", "--junit", str(tmp_path / "drift.xml")]
    assert main(["compare", str(int8), "--golden", str(golden), *limits]) == 0
    drift = json.loads(capfd.readouterr().out)
    assert drift["candidates"][0]["verdict"] == "pass"
    assert main(["compare", str(int8), "--golden", str(golden), "--min-sqnr-db", "500"]) == 3
    capfd.readouterr()
    assert main(["bench", str(int8), "--seconds", "0.05"]) == 0
    bench = json.loads(capfd.readouterr().out)
    assert bench["runs"][0]["latency"]["count"] >= 30


def test_what_needs_tensorflow_names_the_extra(samples, tmp_path, capfd, monkeypatch):
    for name in ("tensorflow", "keras", "tf_keras"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK")
    assert main(["golden", str(path), "--samples", str(samples), "-o", "g.npz"]) == 4
    assert "edgekit-keras[export]" in capfd.readouterr().err
