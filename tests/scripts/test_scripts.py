"""The thin entry points: their exit codes and what they leave."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["export_model", "bench_device"])
def test_scripts_are_at_most_a_screenful(name):
    assert len((SCRIPTS / f"{name}.py").read_text("utf-8").splitlines()) <= 50


def test_a_pipeline_gets_files_and_a_verdict_then_a_board_checks_them(digits_model, tmp_path):
    from edgekit.build.demo import digits

    model, out = tmp_path / "kws.keras", tmp_path / "out"
    calibration, samples = tmp_path / "c.npz", tmp_path / "s.npz"
    shutil.copy(digits_model, model)
    digits().train.save(calibration)
    digits().test.save(samples)
    export = script("export_model").run
    assert export(str(model), str(calibration), str(samples), str(out), "0.05") == 0
    assert export(str(model), str(calibration), str(samples), str(out), "nonsense") == 2
    made = {path.name for path in out.iterdir()}
    assert {"kws.int8.tflite", "manifest.json", "golden.npz", "drift.json", "drift.xml"} <= made
    board = script("bench_device").run
    results = tmp_path / "board"
    golden, file = str(out / "golden.npz"), str(out / "kws.int8.tflite")
    assert board(str(results), golden, "5%", file) == 0
    assert {p.name for p in results.iterdir()} == {"host.json", "bench.json", "drift.json"}
