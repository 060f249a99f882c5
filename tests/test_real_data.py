"""Real data beyond the demo: Fashion-MNIST, MNIST and models that others published."""

from __future__ import annotations

import json

import numpy as np
import pytest

import edgekit
from edgekit.cli import main

BUDGET = edgekit.DriftBudget(max_accuracy_drop=0.01)


@pytest.fixture(scope="module")
def fashion(data_dir):
    folder = data_dir / "fashion-mnist"
    return (
        edgekit.load_samples(folder / "train-images-idx3-ubyte.gz"),
        edgekit.load_samples(folder / "t10k-images-idx3-ubyte.gz"),
    )


@pytest.mark.slow
@pytest.mark.tensorflow
def test_drift_equals_an_independent_count(fashion, tmp_path, monkeypatch):
    """A shortened training; the figures of drift.json against numpy and the interpreter alone."""
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.chdir(tmp_path)
    train, test = fashion
    assert (len(train), len(test)) == (60_000, 10_000)
    train.subset(6000).save("train.npz")
    test.subset(2000).save("test.npz")
    assert main(["train", "--data", "train.npz", "--epochs", "2", "-o", "f.keras"]) == 0
    assert main(["export", "f.keras", "-o", ".", "--calibration", "train.npz"]) == 0
    assert main(["golden", "f.keras", "--samples", "test.npz", "-o", "golden.npz"]) == 0
    assert main(["compare", "f.int8.tflite", "--golden", "golden.npz", "--json", "d.json"]) == 0
    task = json.loads((tmp_path / "d.json").read_text())["candidates"][0]["task"]

    import keras

    archive = np.load("test.npz")
    x, y = archive["x"].astype(np.float32), archive["y"]
    original = keras.saving.load_model("f.keras").predict(x, verbose=0).argmax(1)
    interpreter = Interpreter("f.int8.tflite")
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    q = np.clip(np.round(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    answers = []
    for i in range(len(q)):
        interpreter.set_tensor(source["index"], q[i : i + 1])
        interpreter.invoke()
        answers.append(int(interpreter.get_tensor(sink["index"]).argmax()))
    answers = np.array(answers)
    assert task["reference"] == np.mean(original == y)
    assert task["candidate"] == np.mean(answers == y)
    assert task["drop"] == pytest.approx(np.mean(original == y) - np.mean(answers == y), abs=1e-12)
    assert task["agreement"] == np.mean(answers == original)
    assert task["flips"] == np.sum(answers != original)
    for row in task["per_class"]:
        mine = y == row["class"]
        assert row["count"] == mine.sum()
        assert row["candidate"] == pytest.approx(np.mean(answers[mine] == y[mine]))


@pytest.mark.parametrize(
    ("float_file", "int8_file", "scale"),
    [
        ("conv_fc_mnist.tflite", "conv_fc_mnist_srq_a8w8.tflite", 255),
        ("trained_lstm.tflite", "trained_lstm_int8.tflite", 255),
    ],
)
def test_a_published_pair_of_float_and_int8(data_dir, float_file, int8_file, scale):
    folder = data_dir / "models" / "mnist_tflite_pairs"
    digits = edgekit.load_samples(data_dir / "mnist" / "t10k-images-idx3-ubyte.gz").subset(1000)
    with edgekit.load(folder / float_file) as original, edgekit.load(folder / int8_file) as int8:
        spec = original.inputs[0]
        images = next(iter(digits.inputs.values())).astype(np.float32) / scale
        shape = spec.concrete_shape()[1:]
        samples = edgekit.Samples({spec.name: images.reshape(len(images), *shape)}, digits.labels)
        golden = edgekit.Golden.of(original, samples)
        other = int8.inputs[0].name
        if other != spec.name:
            renamed = edgekit.Samples({other: samples.inputs[spec.name]}, digits.labels)
            golden = edgekit.Golden(
                renamed, golden.outputs, golden.task, golden.task_output, golden.reference
            )
        candidate = edgekit.compare(golden, int8, BUDGET).candidates[0]
    assert golden.reference.sha256
    assert candidate.task.reference > 0.9
    assert abs(candidate.drop) < 0.02
    assert candidate.agreement > 0.95


@pytest.mark.tensorflow
def test_a_published_hdf5_model_exports_right(data_dir, tmp_path):
    model = data_dir / "models" / "fer" / "emotion_model.hdf5"
    x = np.random.default_rng(0).uniform(-1, 1, (16, 64, 64, 1)).astype(np.float32)
    samples = edgekit.Samples({"x": x})
    files = edgekit.export(
        model, out=tmp_path, schemes=["float32"], formats=["tflite", "onnx"], calibration=samples
    )
    with edgekit.load(model) as original:
        golden = edgekit.Golden.of(original, samples)
    for file in files:
        with edgekit.load(file.path) as runner:
            output = edgekit.compare(golden, runner).candidates[0].outputs[0]
        assert output.max_abs_rel <= 1e-5
