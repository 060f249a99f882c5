"""Files that name their golden file: what export stores, what it refuses, what compare then holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.cli import main
from edgekit.errors import DocumentError, UsageError
from edgekit.samples import Samples


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), name="x"), keras.layers.Dense(3, name="scores")]
    return keras.Sequential(layers, name="tiny")


def golden_file(model: Any, path: Path, seed: int = 0) -> Path:
    x = np.random.default_rng(seed).standard_normal((12, 4)).astype(np.float32)
    with edgekit.load(model) as runner:
        edgekit.Golden.of(runner, Samples({"x": x})).save(path)
    return path


def test_every_file_names_the_golden_and_is_compared_with_no_other(
    tmp_path: Path, model: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "tiny.keras"
    model.save(source)
    golden, other = (golden_file(source, tmp_path / f"{seed}.npz", seed) for seed in (1, 2))
    words = ["--format", "tflite", "--format", "onnx", "--golden", str(golden)]
    assert main(["export", str(source), "-o", str(tmp_path / "out"), *words]) == 0
    rows = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))["files"]
    files = [str(tmp_path / "out" / row["path"]) for row in rows]
    assert len(files) == 2
    sha256 = edgekit.Golden.load(golden).sha256
    assert [row["golden_sha256"] for row in rows] == [sha256] * 2
    for file in files:
        with edgekit.load(file) as runner:
            assert runner.metadata.golden_sha256 == sha256
    assert main(["compare", *files, "--golden", str(golden)]) == 0
    capfd.readouterr()
    assert main(["compare", *files, "--golden", str(other)]) == 1
    assert "was exported for the golden file with sha256" in capfd.readouterr().err
    # Another golden makes another file, whatever the cache holds.
    again = [*words[:-1], str(other), "--overwrite"]
    assert main(["export", str(source), "-o", str(tmp_path / "out"), *again]) == 0
    assert main(["compare", *files, "--golden", str(other)]) == 0


def test_a_golden_of_another_model_is_refused(tmp_path: Path, model: Any) -> None:
    import keras

    golden = golden_file(model, tmp_path / "golden.npz")
    other = keras.models.clone_model(model)
    other.set_weights([w + 1 for w in model.get_weights()])
    with pytest.raises(DocumentError, match="golden: holds the answers of tiny with sha256"):
        edgekit.export(other, out=tmp_path / "out", schemes=["float32"], golden=golden)
    assert not (tmp_path / "out").exists()
    edgekit.export(model, out=tmp_path / "out", schemes=["float32"], golden=golden)


def test_a_golden_that_is_no_file_or_not_there_is_refused(tmp_path: Path, model: Any) -> None:
    with edgekit.load(model) as runner:
        golden = edgekit.Golden.of(runner, Samples({"x": np.ones((2, 4), np.float32)}))
    with pytest.raises(UsageError, match="one that is no file yet"):
        edgekit.export(model, out=tmp_path / "out", schemes=["float32"], golden=golden)
    with pytest.raises(UsageError, match=r"'none\.npz' does not exist"):
        edgekit.export(model, out=tmp_path / "out", schemes=["float32"], golden="none.npz")
    assert not (tmp_path / "out").exists()
