"""SavedModels with several signatures: each is exported, run and compared by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.cli import main
from edgekit.errors import ArtifactError, UsageError
from edgekit.models import load
from edgekit.recipe import ExportRecipe


@pytest.fixture(scope="module")
def model(once: Callable[..., Path]) -> Path:
    def make(folder: Path) -> None:
        import tensorflow as tf

        spec = tf.TensorSpec((None, 6), tf.float32, "signal")

        class Two(tf.Module):
            def __init__(self) -> None:
                super().__init__()
                self.kernel = tf.Variable(np.random.default_rng(0).random((6, 3), np.float32))

            @tf.function(input_signature=[spec])
            def score(self, signal: Any) -> dict[str, Any]:
                return {"score": tf.nn.softmax(tf.matmul(signal, self.kernel))}

            @tf.function(input_signature=[spec])
            def embed(self, signal: Any) -> dict[str, Any]:
                return {"embedding": tf.matmul(signal, self.kernel)}

        two = Two()
        signatures = {"score": two.score, "embed": two.embed}
        tf.saved_model.save(two, folder / "two", signatures=signatures)

    return once("two-signatures", make) / "two"


def test_each_signature_is_exported_and_compared(tmp_path: Path, model: Path) -> None:
    x = np.random.default_rng(1).random((10, 6), np.float32)
    np.savez(tmp_path / "s.npz", signal=x)
    out = tmp_path / "out"
    for name in ("score", "embed"):
        words = ["--signature", name, "--format", "tflite", "--format", "onnx"]
        assert main(["export", str(model), "-o", str(out), *words]) == 0
        golden = str(tmp_path / f"{name}.npz")
        words = ["--samples", str(tmp_path / "s.npz"), "--signature", name, "-o", golden]
        assert main(["golden", str(model), *words]) == 0
        files = [str(out / f"two.{name}.float32.{ending}") for ending in ("tflite", "onnx")]
        budget = ["--golden", golden, "--min-sqnr-db", "100"]
        assert main(["compare", *files, *budget]) == 0
    with edgekit.load(model) as runner:
        assert set(runner.signatures) == {"score", "embed"}
        for name, output in (("score", "score"), ("embed", "embedding")):
            assert list(runner.with_signature(name).infer_batch({"signal": x})) == [output]


def test_without_a_name_none_is_chosen(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ArtifactError, match=r"\['embed', 'score'\].* Name one: --signature"):
        edgekit.export(model, out=tmp_path / "out", schemes=["float32"])
    np.savez(tmp_path / "s.npz", signal=np.ones((2, 6), np.float32))
    words = ["--samples", str(tmp_path / "s.npz"), "-o", str(tmp_path / "g.npz")]
    assert main(["golden", str(model), *words]) == 2
    assert "Name one: --signature" in capfd.readouterr().err
    assert not (tmp_path / "g.npz").exists()


def test_a_signature_that_is_not_there(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UsageError, match=r"'scor' is not in the model, .* mean 'score'"):
        load(model, signature="scor")
    (tmp_path / "m.keras").touch()
    with pytest.raises(UsageError, match="which only SavedModels have"):
        load(tmp_path / "m.keras", signature="score")
    recipe = ExportRecipe(signature="score")
    with pytest.raises(UsageError, match="for a model that is loaded"):
        edgekit.export(
            load(model, signature="score"), out=tmp_path, schemes=["float32"], recipe=recipe
        )
