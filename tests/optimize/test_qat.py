from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.models import load
from edgekit.models.bridge import to_tf_keras
from edgekit.models.source import SourceModel
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import QatRecipe

RECIPE = QatRecipe(epochs=1, batch_size=32)


def answers(source: SourceModel, x: Any) -> np.ndarray:
    (name,) = [spec.name for spec in source.inputs]
    return np.asarray(next(iter(source.call({name: np.asarray(x, np.float32)}).values())))


def answers_of_file(path: Any, x: Any) -> np.ndarray:
    with edgekit.load(path) as runner:
        (name,) = [spec.name for spec in runner.inputs]
        found = runner.infer_batch({name: np.asarray(x, np.float32)})
    return next(iter(found.values()))


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean(a.argmax(-1) == b.argmax(-1)))


def sqnr_db(wanted: Any, found: Any) -> float:
    wanted = np.asarray(wanted, np.float64)
    return float(10 * np.log10((wanted**2).sum() / max(((wanted - found) ** 2).sum(), 1e-30)))


@pytest.fixture(scope="session")
def trained(once: Callable[..., Path], digits_model: Path, digits: Any) -> Path:
    """A folder with ``digits.keras`` and ``digits.h5``, trained for int8, and the files made of it."""

    def make(folder: Path) -> None:
        result = quantize_aware(load(digits_model), RECIPE, digits.train)
        for ending in ("keras", "h5"):
            result.source.model.save(folder / f"digits.{ending}")
        edgekit.export(
            folder / "digits.keras",
            out=folder / "files",
            schemes=["float32", "int8"],
            formats=["tflite", "onnx"],
            calibration=digits.train,
        )

    return once("digits-qat", make)


def test_the_names_of_inputs_and_outputs_stay(trained: Path, digits_model: Path) -> None:
    before, after = load(digits_model), load(trained / "digits.keras")
    assert [s.name for s in after.inputs + after.outputs] == ["image", "probabilities"]
    assert [s.shape for s in after.outputs] == [s.shape for s in before.outputs]
    assert after.flavour == "tf_keras"


def test_saved_in_either_format_it_is_the_same(trained: Path, digits: Any) -> None:
    x = digits.test.inputs["image"]
    one, other = (answers(load(trained / f"digits.{end}"), x) for end in ("keras", "h5"))
    np.testing.assert_array_equal(one, other)
    assert np.mean(one.argmax(-1) == digits.test.labels) > 0.95


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_int8_file_agrees_with_the_model_in_training(
    trained: Path, digits: Any, format: str
) -> None:
    x = digits.test.inputs["image"]
    wanted = answers(load(trained / "digits.keras"), x)
    found = answers_of_file(trained / "files" / f"digits.int8.{format}", x)
    assert agreement(wanted, found) >= 0.995
    assert sqnr_db(wanted, found) > 38


def test_the_float_file_has_the_weights_of_the_int8_file(trained: Path) -> None:
    """Every channel of a kernel lies on a grid of 255 steps, in the float file too."""
    from ai_edge_litert import schema_py_generated as schema

    content = (trained / "files" / "digits.float32.tflite").read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    kernels = 0
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is None or tensor.type != schema.TensorType.FLOAT32 or len(tensor.shape) < 2:
            continue
        channels = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape[0], -1)
        steps = channels / np.abs(channels).max(1, keepdims=True) * 127
        np.testing.assert_allclose(steps, np.rint(steps), atol=2e-3)
        kernels += 1
    assert kernels == 4


def test_the_manifest_says_how_many_ranges_were_learned(trained: Path) -> None:
    _, manifest = document.read(trained / "files" / "manifest.json")
    rows = [row for row in manifest["files"] if row["recipe"]["scheme"] == "int8"]
    # Input, scaling, three stages, average, logits and probabilities; the input twice in ONNX.
    assert [row["recipe"]["calibration"]["learned"] >= 7 for row in rows] == [True, True]


def test_training_goes_on_where_it_stopped(trained: Path, digits: Any) -> None:
    source = load(trained / "digits.h5")
    before = answers(source, digits.test.inputs["image"])
    result = quantize_aware(source, RECIPE, digits.train)
    assert result.kernels == ("conv1", "conv2", "conv3", "logits")
    assert result.in_float == {}
    after = answers(result.source, digits.test.inputs["image"])
    assert not np.array_equal(before, after)
    assert agreement(before, after) > 0.97
    np.testing.assert_array_equal(before, answers(source, digits.test.inputs["image"]))


def test_the_twin_gives_the_same(digits_model: Path, digits: Any) -> None:
    source, few = load(digits_model), digits.train[:256]
    twin = to_tf_keras(source).source
    one, other = (quantize_aware(s, RECIPE, few).source for s in (source, twin))
    x = digits.test.inputs["image"]
    assert agreement(answers(one, x), answers(other, x)) >= 0.995


def hardened(path: Path, factor: float = 300.0) -> SourceModel:
    """The same function with channels whose ranges differ by `factor`.

    Behind the ReLU a channel is `s` times as large, and the next layer takes it 1/s times as much.
    """
    source = load(path)
    model = source.model
    rng = np.random.default_rng(0)
    for stage in (1, 2):
        norm, following = model.get_layer(f"norm{stage}"), model.get_layer(f"conv{stage + 1}")
        gamma, beta, *statistics = norm.get_weights()
        spread = np.exp(np.linspace(-0.5, 0.5, len(gamma)) * np.log(factor)).astype(np.float32)
        scale = rng.permutation(spread)
        norm.set_weights([gamma * scale, beta * scale, *statistics])
        kernel, *rest = following.get_weights()
        following.set_weights([kernel / scale[None, None, :, None], *rest])
    return source


def test_a_model_that_is_hard_to_quantize_recovers(
    digits_model: Path, digits: Any, tmp_path: Path
) -> None:
    """At least half of what post-training int8 loses comes back."""
    source = hardened(digits_model)
    x = digits.test.inputs["image"]
    wanted = answers(load(digits_model), x)
    np.testing.assert_allclose(answers(source, x), wanted, atol=1e-4)
    settings = {"schemes": ["int8"], "calibration": digits.train}
    (plain,) = edgekit.export(source, out=tmp_path / "plain", **settings)
    result = quantize_aware(
        source, QatRecipe(epochs=2, batch_size=32, learning_rate=0.001), digits.train
    )
    (aware,) = edgekit.export(result.source, out=tmp_path / "aware", **settings)
    right = digits.test.labels
    float_, ptq, qat = (
        float(np.mean(a.argmax(-1) == right))
        for a in (wanted, answers_of_file(plain.path, x), answers_of_file(aware.path, x))
    )
    assert ptq < float_ - 0.05
    assert qat - ptq >= 0.5 * (float_ - ptq)
