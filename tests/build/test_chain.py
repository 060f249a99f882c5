"""The whole chain by its command: a bundle that proves itself, again only what changed, and the gate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.bundle.verification import verify_bundle
from edgekit.cli import main

pytestmark = pytest.mark.slow


def made_model(once: Callable[..., Path]) -> Path:
    """A folder with a small model, and samples that are labelled by it."""
    needs.package("tensorflow")

    def make(folder: Path) -> None:
        import keras

        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 1), name="image")
        x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
        x = keras.layers.GlobalAveragePooling2D(name="average")(x)
        keras.Model(inputs, keras.layers.Dense(3, name="scores")(x)).save(folder / "tiny.keras")
        x = np.random.default_rng(0).random((60, 8, 8, 1), np.float32)
        loaded = keras.models.load_model(folder / "tiny.keras")
        np.savez(folder / "samples.npz", x=x, y=loaded.predict(x, verbose=0).argmax(1))
        np.savez(folder / "calibration.npz", x=x[:40])

    return once("built", make)


@pytest.fixture(scope="session")
def model(once: Callable[..., Path]) -> Path:
    return made_model(once)


def test_a_bundle_in_one_command(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*more: str) -> tuple[int, str, str]:
        words = ["build", str(model / "tiny.keras"), "--samples", str(model / "samples.npz")]
        words += ["--calibration", str(model / "calibration.npz"), "--file", "int8.tflite"]
        code = main([*words, "-o", str(tmp_path / "out"), "--seconds", "0.05", *more])
        said = capfd.readouterr()
        return code, said.out, said.err

    code, out, _ = build("--dry-run")
    assert code == 0
    assert "export   not done yet" in out
    assert not (tmp_path / "out").exists()

    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, out, said = build()
    assert code == 0, said
    bundle = tmp_path / "out/tiny.tar.xz"
    assert f"{bundle}: none, unsigned" in out
    assert "tiny.int8.tflite" in summary.read_text()
    assert verify_bundle(bundle, allow_unsigned=True).verdict == "pass"
    assert main(["selftest", str(bundle)]) == 0
    capfd.readouterr()

    first = _payload(bundle)
    code, _, said = build()
    assert code == 0
    assert said.count("up to date") == 6

    # Of a budget, what is judged and what follows from that.
    code, _, said = build("--min-sqnr-db", "1000")
    assert code == 3
    assert "export: up to date" in said
    assert "compare: changed: budget" in said
    assert "there is no bundle" in said
    assert build("--min-sqnr-db", "1000", "--until", "report")[0] == 3
    code, _, said = build("--min-sqnr-db", "1", "--unpacked")
    assert code == 0, said
    assert _payload(tmp_path / "out/tiny.bundle") == first
    # Over the folder that is there.
    code, _, said = build("--min-sqnr-db", "2", "--unpacked")
    assert code == 0, said
    assert "bundle: changed" in said
    assert _payload(tmp_path / "out/tiny.bundle") == first


def test_a_key_that_is_none_is_refused_before_the_work(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["build", str(model / "tiny.keras"), "--samples", str(model / "samples.npz")]
    words += ["-o", str(tmp_path / "out"), "--key", str(model / "samples.npz")]
    assert main(words) == 2
    assert "is no private key in PEM" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".build.lock"]


def test_a_model_that_is_not_there(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["build", str(tmp_path / "none.keras"), "--samples", str(model / "samples.npz")]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    assert "does not exist" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.iterdir()) == []


def _payload(bundle: Path) -> Any:
    found = verify_bundle(bundle, allow_unsigned=True).to_json()
    return json.loads(json.dumps(found))["payload_sha256"]


MATRIX = """
[models.tiny]
file = "tiny.keras"
samples = "samples.npz"
calibration = "calibration.npz"
data = "samples.npz"
[models.trained]
recipe = "trained.toml"
[recipes.plain]
[recipes.pruned]
prune = {sparsity = 0.5, epochs = 2, batch_size = 4}
[bench]
seconds = 0.02
[matrix]
recipes = ["plain", "pruned"]
schemes = ["float32", "int8"]
exclude = [{model = "trained", recipe = "pruned"}, {model = "trained", scheme = "int8"}]
"""
TRAINED = """
[data]
train = "easy.npz"
test_share = 0.3
[model]
name = "mlp"
width = 0.25
[training]
epochs = 20
learning_rate = 0.01
batch_size = 8
"""


def test_a_matrix_in_several_processes(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "in")
    (tmp_path / "in/pipeline.toml").write_text(MATRIX)
    (tmp_path / "in/trained.toml").write_text(TRAINED)
    # What no training can miss: each class is bright in a third of its own.
    y = np.arange(90) % 3
    x = np.random.default_rng(0).random((90, 8, 9, 1), np.float32) / 4
    x += (np.arange(9) // 3 == y[:, None])[:, None, :, None]
    np.savez(tmp_path / "in/easy.npz", x=x, y=y)
    out = tmp_path / "out"

    def build(*more: str) -> tuple[int, str, str]:
        code = main(["build", str(tmp_path / "in/pipeline.toml"), "-o", str(out), *more])
        said = capfd.readouterr()
        return code, said.out, said.err

    code, _, said = build("--workers", "2", "--keep-going", "--until", "compare")
    assert code == 0, said
    assert not list(out.rglob("bench.json"))
    code, told, said = build("--keep-going")
    assert code == 0, said
    # What was done by others is not done again.
    assert said.count("up to date") == 1 + 2 + 1 + 5 * 2
    cells = ["tiny/plain/float32", "tiny/plain/int8", "tiny/pruned/float32", "tiny/pruned/int8"]
    bundles = [out / cell / "tiny.tar.xz" for cell in cells]
    bundles.append(out / "trained/plain/float32/trained.tar.xz")
    assert [line.split(":")[0] for line in told.splitlines()] == list(map(str, bundles))
    assert all(verify_bundle(path, allow_unsigned=True).verdict == "pass" for path in bundles)
    assert (out / "tiny/pruned/int8/tiny.prune50.int8.tflite").exists()
    summary = (out / "summary.md").read_text()
    assert all(f"| {cell} | tiny" in summary for cell in cells)
