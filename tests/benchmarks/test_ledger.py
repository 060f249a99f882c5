"""The benchmark that makes the ledger: what is there is not made again, and what no wheel exists for is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.drift.budget import DriftBudget
from edgekit.drift.ledger import Cell, Ledger
from edgekit.drift.reference import ComparedReference
from edgekit.runtime.runner import Backend

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, importable as it is where it runs; it starts no command."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ledger

    monkeypatch.setattr(ledger, "edgekit", lambda *words: pytest.fail(f"started {words}"))
    yield ledger
    for name in ("ledger", "mobilenet"):
        sys.modules.pop(name, None)


def test_what_was_made_is_printed(
    benchmark: ModuleType,
    tmp_path: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    backend = Backend("litert", "2.3.0")
    reference = ComparedReference("m.keras", "0" * 64, "keras", 9, backend, 0.8, 40, None)
    ran = Cell(
        "m.int8.tflite", "x86", "litert", "x86_64", backend, "none", (), 1, 0.5, 0, 0.0, 0, 0
    )
    board = replace(ran, machine="raspberry-pi-4b", flips=2, first_flips=1, first_steps=3)
    none = Cell.that_did_not_run("m.int8.tflite", "armhf", "litert", None, "no wheel", 0)
    died = Cell.that_did_not_run("m.int8.tflite", "pi", "litert", None, "died by SIGILL", 1)
    file = Artifact.of(models / "classifier.int8.tflite").recorded("m.int8.tflite")
    made = Ledger(reference, DriftBudget(), (file,), (ran, board, none, died))
    document.write(tmp_path / "ds_cnn.json", made.to_json())
    monkeypatch.setattr(sys, "argv", ["ledger.py", "-o", str(tmp_path), "--only", "ds_cnn"])
    assert benchmark.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("\nds_cnn: 40 samples\n\n| file |")
    assert (
        "| m.int8.tflite | raspberry-pi-4b | litert 2.3.0 | 2 | 1 | 3 steps | not judged |" in out
    )
    # A machine that failed is a row; one for which nobody built the interpreter is none.
    assert "did not run [1]" in out.replace("\\", "")
    assert "died by SIGILL" in out
    assert "armhf" not in out


def test_an_unknown_network_is_refused(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["ledger.py", "-o", str(tmp_path / "x"), "--only", "vgg"])
    with pytest.raises(SystemExit, match="2"):
        benchmark.main()
    assert "received vgg, expected some of digits, resnet8, ds_cnn, mobilenetv2" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "x").exists()
