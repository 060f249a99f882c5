"""Probes on real files: the quantiser's own calibrator finds the same, and both formats agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.calibration.methods import MIN_MAX, Method
from edgekit.calibration.observe import observe
from edgekit.calibration.probes import OnnxProbe
from edgekit.convert.onnx.convert import float_onnx, int8_onnx
from edgekit.convert.tflite.convert import SIGNATURE, find_ranges, float_tflite, quantize_tflite
from edgekit.convert.trace.freeze import freeze
from edgekit.formats.tflite_check import read_file
from edgekit.models import load
from edgekit.samples import Samples

IMAGE, TOKENS = "image", "tokens"


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> dict[str, bytes]:
    """A model of two inputs, real and whole numbers, one of which is looked up."""
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3), name=IMAGE)
    tokens = keras.Input((5,), dtype="int32", name=TOKENS)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(x)])
    words = layers.GlobalAveragePooling1D()(layers.Embedding(12, 4)(tokens))
    merged = layers.Concatenate()([layers.Flatten()(x), words])
    path: Path = tmp_path_factory.mktemp("probes") / "m.keras"
    outputs = {
        "scores": layers.Dense(4, activation="softmax", name="scores")(merged),
        "level": layers.Dense(1, name="level")(merged),
    }
    keras.Model([image, tokens], outputs).save(path)
    with freeze(load(path), 1) as frozen:
        return {"tflite": float_tflite(frozen), "onnx": float_onnx(frozen)}


@pytest.fixture(scope="module")
def samples() -> Samples:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((20, 8, 8, 3)).astype(np.float32)
    return Samples({IMAGE: image, TOKENS: rng.integers(0, 12, (20, 5)).astype(np.int32)})


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
def test_min_max_is_what_the_quantisers_calibrator_finds(
    files: dict[str, bytes], samples: Samples, scheme: str
) -> None:
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(
        recipe.static_wi8_ai8() if scheme == "int8" else recipe.static_wi8_ai16()
    )
    probe = calibrator.Calibrator(
        files["tflite"], num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    feed = [dict(samples[i : i + 1].inputs) for i in range(len(samples))]
    probe.calibrate({SIGNATURE: feed}, manager)
    statistics = probe.get_model_qsvs()
    float_file = read_file(files["tflite"])
    ranges = find_ranges(float_file, samples, MIN_MAX)
    # Truth values, which its calibrator watches too, have no range.
    real = {name: row for name, row in statistics.items() if row["min"].dtype != bool}
    assert ranges.seen == {name: (row["min"], row["max"]) for name, row in real.items()}
    # It takes equal ranges of tensors with different numbers of axes for different ones, and puts a
    # QUANTIZE between that changes nothing. With its shapes the bytes are the same.
    shaped = {
        name: {
            end: np.full_like(row[end], value)
            for end, value in zip(("min", "max"), found, strict=True)
        }
        for name, row in real.items()
        for found in [ranges.seen[name]]
    }
    made = [
        bytes(
            quantizer.Quantizer(files["tflite"], manager.get_quantization_recipe())
            .quantize(rows, enable_progress_report=False)
            .quantized_model
        )
        for rows in (statistics, shaped)
    ]
    assert made[0] == made[1]
    assert len(quantize_tflite(float_file, scheme, ranges, "int8").content) <= len(made[0])


def test_inputs_have_their_own_extremes_in_both_formats(
    files: dict[str, bytes], samples: Samples
) -> None:
    import onnx

    image = samples.inputs[IMAGE]
    expected = (image.min(), image.max())
    proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(files["onnx"]))
    by_name = observe(OnnxProbe(proto), samples, MIN_MAX).seen
    assert by_name[IMAGE] == expected
    assert {"scores", "level"} <= set(by_name)
    tflite = find_ranges(read_file(files["tflite"]), samples, MIN_MAX).seen
    assert any(tuple(interval) == expected for interval in tflite.values())
    # The level is computed by both: its range ends where theirs does, up to float rounding.
    level = by_name["level"]
    assert any(np.allclose(interval, level, atol=1e-5) for interval in tflite.values())


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_every_method_makes_files_of_both_formats(
    files: dict[str, bytes], samples: Samples, method: str
) -> None:
    chosen = Method(method, 99.0)
    float_file = read_file(files["tflite"])
    ranges = find_ranges(float_file, samples, chosen)
    assert quantize_tflite(float_file, "int8", ranges, "int8").content
    content, found, *_ = int8_onnx(files["onnx"], samples, chosen)
    assert content
    assert found.stability is not None
    assert ranges.stability is not None


def test_the_same_ranges_each_time(files: dict[str, bytes], samples: Samples) -> None:
    float_file = read_file(files["tflite"])
    first, second = (find_ranges(float_file, samples, Method("mse"), seed=3) for _ in "ab")
    assert first == second


def test_a_model_without_real_tensors(tmp_path: Path) -> None:
    """Ranges of nothing: no int8 file, and the reason."""
    import keras
    from support.refusal_kinds import kind_of

    import edgekit

    flags = keras.Input((4,), dtype="bool", name="flags")
    model = keras.Model(flags, keras.ops.logical_not(flags), name="whole")
    samples = edgekit.Samples({"flags": np.arange(64).reshape(16, 4) % 3 == 0})
    edgekit.export(
        model,
        out=tmp_path,
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=samples,
    )
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [row["format"] for row in manifest["skipped"]] == ["tflite", "onnx"]
    for skipped in manifest["skipped"]:
        assert kind_of(skipped["reason"]) == "nothing to quantise"
