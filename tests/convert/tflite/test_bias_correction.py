"""Biases of last dense layers of TFLite files give sums with the mean of the float file's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.calibration.probes import TfliteProbe, batches
from edgekit.calibration.ranges import Ranges
from edgekit.convert.tflite.bias_correction import correct_biases
from edgekit.convert.tflite.convert import find_ranges, float_tflite, quantize_tflite
from edgekit.convert.trace.freeze import freeze
from edgekit.formats.model_file import read_model
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile
from edgekit.models import load
from edgekit.samples import Samples

SAMPLES = Samples({"x": np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)})
# Which ends are made of sums that a bias of their own can shift, without a cut behind it.
MOVES = {"sums": True, "classes": True, "gates": True, "cut": False, "unbiased": False}


@pytest.fixture(scope="module", params=["within", "behind"])
def float_file(request: Any, tmp_path_factory: Any) -> TfliteFile:
    """x (1, 16) -> Dense, ReLU -> a dense layer for each of `MOVES`, shape (1, 4).

    ``"behind"`` has weights enough for the quantiser to put them behind the FlatBuffer.
    """
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    x = keras.Input((16,), name="x")
    h = layers.Dense(32, activation="relu")(x)
    if request.param == "behind":
        h = layers.Dense(32)(layers.Dense(5000, activation="relu")(h))
    ends = {
        "sums": layers.Dense(4, name="sums"),
        "classes": layers.Dense(4, activation="softmax", name="classes"),
        "gates": layers.Dense(4, activation="sigmoid", name="gates"),
        "cut": layers.Dense(4, activation="relu", name="cut"),
        "unbiased": layers.Dense(4, use_bias=False, name="unbiased"),
    }
    model = keras.Model(x, {name: layer(h) for name, layer in ends.items()})
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) / 4 for w in model.get_weights()])
    path: Path = tmp_path_factory.mktemp("centre") / "m.keras"
    model.save(path)
    with freeze(load(path), 1) as frozen:
        return read_file(float_tflite(frozen))


@pytest.fixture(scope="module")
def ranges(float_file: TfliteFile) -> Ranges:
    return find_ranges(float_file, SAMPLES)


def sums(content: bytes) -> dict[str, str]:
    """The tensors that the dense layers at the ends compute, by the end's name."""
    model = read_model(content, "tflite")
    made = {t.key: operator for operator in model.operators for t in operator.outputs if t}
    found = {}
    for name, tensor in model.outputs.items():
        operator = made[tensor.key]
        while operator.op != "FULLY_CONNECTED":
            operator = made[operator.inputs[0].key]  # type: ignore[union-attr]
        found[name] = operator.tensor
    return found


def rows(content: bytes, names: dict[str, str]) -> dict[str, Any]:
    """The sums of all samples, shape (64, 4), by the end's name."""
    found: dict[str, list[Any]] = {tensor: [] for tensor in names.values()}
    probe = TfliteProbe(read_file(content), list(found))
    for given in batches(SAMPLES, 1):
        probe.run(given, lambda tensor, values: found[tensor].append(np.array(values)))
    return {name: np.concatenate(found[tensor]) for name, tensor in names.items()}


def step(content: bytes, name: str) -> Any:
    """The scale of a tensor."""
    tensors = read_file(content).graphs[0].tensors
    return next(t.scales.of(content)[0] for t in tensors if t.name == name)


def centred(content: bytes, float_file: TfliteFile) -> bytes:
    file = read_file(bytearray(content))
    correct_biases(file, float_file, SAMPLES, 0)
    return bytes(file.content)


def mean(name: str, error: Any, sums: Any) -> Any:
    """That of errors, half of it with the weights of the answer."""
    if name == "sums":
        return error.mean(0)
    p = np.exp(sums) / np.exp(sums).sum(1, keepdims=True)
    p = 1 / (1 + np.exp(-sums)) if name == "gates" else p
    return (error.mean(0) + np.average(error, 0, p * (1 - p))) / 2


@pytest.mark.parametrize("scheme", ["int8", "int16x8"])
@pytest.mark.parametrize("io_dtype", ["int8", "float32"])
def test_means_are_those_of_the_float_file(
    float_file: TfliteFile, ranges: Ranges, scheme: str, io_dtype: str
) -> None:
    made, plain = (
        quantize_tflite(float_file, scheme, ranges, io_dtype, samples=given).content
        for given in (SAMPLES, None)
    )
    names = sums(float_file.content)
    assert names.keys() == MOVES.keys()
    wanted, before, after = (rows(content, names) for content in (float_file.content, plain, made))
    for name, moves in MOVES.items():
        if not moves:
            np.testing.assert_array_equal(before[name], after[name])
            continue
        size = step(made, names[name])
        left = mean(name, after[name] - wanted[name], wanted[name])
        # The last class is half a step above the first.
        rise = size * np.linspace(-0.25, 0.25, 4) if name == "classes" else 0
        first = np.abs(before[name] - wanted[name]).mean(0).max()
        assert np.abs(left - rise).max() < max(0.3 * size, 0.03 * first)


def test_biases_alone_change_and_no_byte_moves(float_file: TfliteFile, ranges: Ranges) -> None:
    plain = quantize_tflite(float_file, "int8", ranges, "int8").content
    made = centred(plain, float_file)
    assert len(made) == len(plain)
    changed = np.flatnonzero(
        np.frombuffer(made, np.uint8)[: len(made) // 4 * 4].reshape(-1, 4)
        != np.frombuffer(plain, np.uint8)[: len(plain) // 4 * 4].reshape(-1, 4)
    )
    words = np.unique(changed // 4)
    assert 0 < len(words) <= 4 * sum(MOVES.values())


def test_the_same_bytes_each_time_from_a_choice_of_samples(
    float_file: TfliteFile, ranges: Ranges
) -> None:
    many = Samples({"x": np.random.default_rng(2).normal(size=(300, 16)).astype(np.float32)})
    one, two, other = (
        quantize_tflite(float_file, "int8", ranges, "int8", samples=many, seed=seed).content
        for seed in (3, 3, 4)
    )
    assert one == two != other


def test_a_model_that_was_trained_with_its_integers_stays(
    float_file: TfliteFile, ranges: Ranges
) -> None:
    learned = replace(ranges, learned=1)
    plain = quantize_tflite(float_file, "int8", learned, "int8")
    assert quantize_tflite(float_file, "int8", learned, "int8", samples=SAMPLES) == plain


def test_a_file_of_real_numbers_stays(float_file: TfliteFile) -> None:
    assert centred(float_file.content, float_file) == float_file.content
