"""The recipes in `examples/`, shortened: fewer epochs, and less data where there is much."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.cli import main
from edgekit.recipe import read_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"

# What a board does: raw recordings in, classes out, and no TensorFlow.
ON_A_BOARD = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
import edgekit
samples = edgekit.load_samples(sys.argv[2])
with edgekit.load(sys.argv[1]) as runner:
    print(edgekit.evaluate(runner, samples).to_json()["accuracy"])
"""


def train(name: str, *options: str) -> dict[str, Any]:
    """What the document says of a training with `examples/<name>.toml`."""
    words = [
        "train",
        str(EXAMPLES / f"{name}.toml"),
        "-o",
        "model.keras",
        "--json",
        "training.json",
    ]
    assert main([*words, *options]) == 0
    document: dict[str, Any] = json.loads(Path("training.json").read_text())
    return document


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKIT_DATA", str(data_dir))


@pytest.mark.tensorflow
def test_fashion_mnist(data_dir: Path) -> None:
    folder = data_dir / "fashion-mnist"
    for part, count in (("train", 800), ("t10k", 300)):
        edgekit.load_samples(folder / f"{part}-images-idx3-ubyte.gz").subset(count).save(
            f"{part}.npz"
        )
    told = train("fashion_mnist", "--data", "train.npz", "--test", "t10k.npz", "--epochs", "1")
    assert told["model"]["parameters"] == 91_059
    assert told["history"][-1]["loss"] < 2.3


@pytest.mark.tensorflow
def test_basic_motions() -> None:
    told = train("basic_motions", "--epochs", "20")
    assert told["splits"]["test"] == 40
    assert told["test"]["accuracy"] >= 0.75


@pytest.mark.slow
@pytest.mark.tensorflow
def test_fsdd(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = tmp_path / "data" / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    for digit in (0, 1, 2):
        for path in (data_dir / "fsdd" / "recordings").glob(f"{digit}_[jt]*_[0-3]*.wav"):
            shutil.copyfile(path, recordings / path.name)
    monkeypatch.setenv("EDGEKIT_DATA", str(tmp_path / "data"))
    told = train("fsdd", "--epochs", "16")
    assert told["splits"] == {"train": 162, "validation": 18, "test": 24}
    recipe = str(EXAMPLES / "fsdd.toml")
    words = ["export", "model.keras", "--recipe", recipe, "--calibration", recipe]
    assert main([*words, "--format", "tflite", "--quantize", "int8", "-o", "out"]) == 0
    done = subprocess.run(
        [sys.executable, "-c", ON_A_BOARD, "out/model.int8.tflite", recipe],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) >= 0.6
    assert abs(float(done.stdout) - told["test"]["accuracy"]) <= 0.1


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_each_is_read(path: Path) -> None:
    assert read_recipe(path).data is not None
