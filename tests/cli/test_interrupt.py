"""Ctrl-C and SIGTERM in the middle of a training or an export: exit code 130, one line, whole files."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import children

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
CHECKPOINT = "new/m.keras.checkpoint"


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_training_that_is_interrupted(
    tmp_path: Path, samples: Callable[..., Path], number: signal.Signals
) -> None:
    given = samples()
    words = ["train", "--data", str(given), "-o", str(tmp_path / "new" / "m.keras")]
    words += ["--epochs", "100000"]
    with children.python("-m", "edgekit", *words, **PIPES) as process:
        assert "epoch 1/100000" in process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("epoch ")]
    assert lines == [
        "edgekit: interrupted; the finished epochs are kept: run the same command again to continue."
    ]
    assert {path.name for path in tmp_path.iterdir()} == {given.name, "new"}
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert kept == {
        given.name,
        "new/m.log.csv",
        "new/m.keras.checkpoint",
        f"{CHECKPOINT}/epoch.npz",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_export_that_is_interrupted(
    tmp_path: Path, digits_model: Path, samples: Callable[..., Path], number: signal.Signals
) -> None:
    words = ["export", str(digits_model), "--calibration", str(samples())]
    words += ["-o", str(tmp_path / "new" / "out"), "--no-cache"]
    with children.python("-m", "edgekit", *words, **PIPES) as process:
        assert process.stderr.readline().startswith("calibrate on ")
        process.send_signal(number)
        # Workers hold stderr no longer than this process lives, else this would not end.
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err == "edgekit: interrupted; nothing half-written is left.\n"
    assert not (tmp_path / "new").exists()
