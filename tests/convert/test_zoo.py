"""A slice of the zoo of benchmarks/: float files answer as Keras does, refusals are listed ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.refusal_kinds import kind_of

import edgekit
from edgekit import document
from edgekit.convert import refusals
from edgekit.errors import ExportError

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"

SLICE = [
    "dense/einsum",
    "conv1d/causal-dilated",
    "conv2d/groups",
    "conv2d/transpose-padded",
    "conv2d/channels-first",
    "conv3d/groups",
    "pool3d/average-same",
    "up/2d-bicubic",
    "norm/group",
    "activation/gelu",
    "ops/argmax",
    "ops/compare",
    "prepare/normalization",
    "prepare/resizing-area",
    "prepare/category-count",
    "gru/sequence",
    "attention/multi-head-masked",
    "model/table-of-three-kinds",
    "model/nested-twice",
    "model/siamese",
    "codes/window",
    "heads/far-offset",
]


@pytest.fixture(scope="module")
def zoo() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import zoo

        yield zoo
        for name in [name for name in sys.modules if name.split(".")[0] == "zoo"]:
            del sys.modules[name]


def the(zoo: Any, name: str) -> Any:
    (entry,) = zoo.select(name)
    return entry


def test_the_zoo_is_large_and_repeats_itself(zoo: Any) -> None:
    assert len(zoo.ENTRIES) >= 150
    entry = the(zoo, "dense/plain")
    first, second = entry.build().get_weights(), entry.build().get_weights()
    assert all(map(np.array_equal, first, second))
    x = zoo.inputs(entry, 3)["x"]
    assert x.shape == (3, 12)
    np.testing.assert_array_equal(x, zoo.inputs(entry, 3)["x"])


def answer_of(model: Any, x: Any) -> Any:
    """What Keras answers; of channels-first convolutions also where TensorFlow has no kernel for them."""
    import keras
    import tensorflow as tf

    try:
        return model(x, training=False)
    except tf.errors.UnimplementedError:
        _, layer = model.layers
        turned = keras.layers.Conv2D(layer.filters, layer.kernel_size)
        turned.build((None, *x.shape[2:], x.shape[1]))
        turned.set_weights(layer.get_weights())
        return np.moveaxis(turned(np.moveaxis(x, 1, -1)), -1, 1)


@pytest.mark.parametrize("name", SLICE)
def test_float_files_answer_as_keras_does(zoo: Any, tmp_path: Path, name: str) -> None:
    entry = the(zoo, name)
    model = entry.build()
    model.save(tmp_path / "m.keras")
    files = edgekit.export(
        tmp_path / "m.keras", out=tmp_path, schemes=["float32"], formats=["tflite", "onnx"]
    )
    assert [file.format for file in files] == ["tflite", "onnx"]
    x = zoo.inputs(entry, 4)
    result = answer_of(model, x if len(x) > 1 else next(iter(x.values())))
    expected = result if isinstance(result, dict) else {model.output_names[0]: result}
    for file in files:
        with edgekit.load(file.path) as runner:
            answers = runner.infer_batch(x)
        assert set(answers) == set(expected)
        for key, right in expected.items():
            want = np.asarray(right, np.float64)
            off = np.abs(answers[key] - want) / (np.ptp(want) or 1.0)
            assert off.max() <= 1e-4, (file.name, key)
            assert np.median(off) <= 1e-5, (file.name, key)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ops/erf", r"operation '\S*Erf'\S*: TFLite has no Erf of its own.*--allow-flex"),
        ("conv3d/dilated", r"layer 'y': TFLite has no (Space|Batch)To\w+ of its own"),
        ("prepare/hashing", r"layer 'y': computes with text"),
    ],
)
def test_refusals_name_the_layer_and_are_listed(
    zoo: Any, tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / "m.keras"
    the(zoo, name).build().save(path)
    with pytest.raises(ExportError, match=words) as caught:
        edgekit.export(path, out=tmp_path / "out", schemes=["float32"])
    assert kind_of(str(caught.value))
    assert not (tmp_path / "out").exists()


def test_words_of_a_converter_that_nobody_knows_are_of_no_kind() -> None:
    assert kind_of("TFLite cannot express it: something new") is None


@pytest.mark.parametrize("step", ["prepare", "invoke"])
def test_a_kernel_that_does_not_take_a_file_is_named_with_its_place(step: str) -> None:
    said = f"x.cc:262 zero was not true.Node number 1 (DIV) failed to {step}."
    reason = refusals.load_reason(ValueError(said), "int8", ["m/a", "m/mean/truediv;m/mean"])
    assert kind_of(reason)
    assert "DIV in int8" in reason
    assert "operation 'm/mean/truediv'. Use float32" in reason
    # A float file has no other scheme to turn to: nobody has looked at why.
    assert kind_of(refusals.load_reason(ValueError(said), "float32")) is None


def test_layers_share_a_bias_in_an_int8_onnx_file(zoo: Any, tmp_path: Path) -> None:
    """onnxruntime copies such a bias and takes a name for the copy that may be another tensor's."""
    entry = the(zoo, "model/siamese")
    model = entry.build()
    model.save(tmp_path / "m.keras")
    (file,) = edgekit.export(
        tmp_path / "m.keras",
        out=tmp_path,
        schemes=["int8"],
        formats=["onnx"],
        calibration=edgekit.Samples(zoo.inputs(entry, 50, seed=1)),
    )
    x = zoo.inputs(entry, 8)
    want = np.asarray(model(x))
    with edgekit.load(file.path) as runner:
        (answer,) = runner.infer_batch(x).values()
    assert np.abs(answer - want).max() <= 0.1 * np.ptp(want)


@pytest.mark.parametrize("name", ["lstm/last", "gru/last"])
def test_short_recurrent_layers_quantise_fully(zoo: Any, tmp_path: Path, name: str) -> None:
    entry = the(zoo, name)
    entry.build().save(tmp_path / "m.keras")
    edgekit.export(
        tmp_path / "m.keras",
        out=tmp_path,
        schemes=["int8"],
        calibration=edgekit.Samples(zoo.inputs(entry, 50, seed=1)),
    )
    manifest = document.load(tmp_path / "manifest.json").to_json()
    (file,) = manifest["files"]
    assert "WHILE" not in {op for ops in file["ops"].values() for op in ops}
    assert not file["float_ops"]
