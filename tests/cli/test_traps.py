"""Commands in a folder whose files have the names of modules: none of them is imported, by no process."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekit.cli import COMMANDS

RECIPE = """
[data]
train = "train.npz"
validation = 0.25
[model]
name = "mlp"
width = 0.25
[training]
epochs = 1
batch_size = 32
[tune]
trials = 2
objectives = ["int8_accuracy", "latency_ms"]
[tune.search]
"training.learning_rate" = {low = 1e-3, high = 3e-2, log = true}
"""
# A layer of the user's own file, which is the one file that is run.
OWN = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
"""
# Of the example in age's own documentation.
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

Edgekit = Callable[..., str]


@pytest.mark.slow
def test_commands_of_a_device(edgekit: Edgekit, models: Path, tmp_path: Path) -> None:
    files = [models / "classifier.int8.tflite"]
    x = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    np.savez(tmp_path / "s.npz", image=x, y=np.arange(20) % 5)
    edgekit("devices", "list")
    edgekit("doctor")
    edgekit("completion", "bash")
    edgekit("inspect", files[0], "--json", "../inspection.json")
    edgekit("inspect", models / "classifier.float32.onnx")
    edgekit("run", files[0], "--samples", "../s.npz", "-o", "../out.npz")
    edgekit("evaluate", files[0], "--samples", "../s.npz", "--json", "../evaluation.json")
    edgekit("bench", *files, "--seconds", "0.01", "--json", "../bench.json")
    edgekit("serve", "../nothing.tflite", "--port", "0", codes=(2,))
    edgekit("mcp", "--folder", "../nothing", codes=(2,))
    edgekit("report", "../inspection.json", "../bench.json", "-o", "../report.md")


@pytest.mark.slow
def test_commands_of_a_desktop(edgekit: Edgekit, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((120, 6)).astype(np.float32)
    np.savez(tmp_path / "train.npz", x=x, y=np.argmax(x[:, :3], axis=1))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "own.py").write_text(OWN)
    edgekit("train", "../recipe.toml", "-o", "../m.keras")
    words = ["--calibration", "../train.npz", "--import", "../own.py"]
    edgekit(
        "export", "../m.keras", "-o", "../build", "--format", "tflite", "--format", "onnx", *words
    )
    assert (tmp_path / "ran").exists()
    edgekit("golden", "../m.keras", "--samples", "../train.npz", "-o", "../golden.npz")
    edgekit(
        "compare", "../build/m.int8.tflite", "../build/m.float32.onnx", "--golden", "../golden.npz"
    )
    pair = ("../build/m.float32.tflite", "../build/m.int8.tflite")
    edgekit("diff", *pair, "--samples", "../train.npz")
    # A fault may be found, and nothing better.
    reference = ("--golden", "../golden.npz", "--float", pair[0])
    edgekit("diagnose", pair[1], *reference, codes=(0, 3, 5))
    data = ("--calibration", "../train.npz", "--samples", "../train.npz")
    edgekit("heal", *pair, *data, "-o", "../better.tflite", codes=(0, 3))
    edgekit("build", "../m.keras", *data, "-o", "../shipped", "--seconds", "0.01")
    edgekit("verify", "../shipped/m.tar.xz", "--allow-unsigned")
    edgekit("selftest", "../shipped/m.tar.xz")
    edgekit("seal", "../shipped/m.tar.xz", "-o", "../sealed.tar.xz", "--recipient", RECIPIENT)
    edgekit("install", "../shipped/m.tar.xz", "--into", "../models", "--allow-unsigned")
    edgekit("rollback", "../models", codes=(2,))


@pytest.mark.slow
def test_a_study_of_two_processes(edgekit: Edgekit, tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((120, 6)).astype(np.float32)
    np.savez(tmp_path / "train.npz", x=x, y=np.argmax(x[:, :3], axis=1))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    edgekit("tune", "../recipe.toml", "-o", "../study", "--workers", "2")


def test_every_command_is_tried_so() -> None:
    """Above, or by the fixture in a file of its own."""
    # The demo is run once: in tests/build/test_demo.py, among traps as well.
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    source = "".join(file.read_text("utf-8") for file in files)
    assert {"demo", *re.findall(r'edgekit\(\s*"(\w+)"', source)} >= set(COMMANDS)
