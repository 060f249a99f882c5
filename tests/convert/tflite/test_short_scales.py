"""Scales of few bits: ranges stay covered, weights near, and the file's layout as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration.rounding import round_up
from edgekit.convert.tflite.convert import find_ranges, quantize_tflite
from edgekit.convert.tflite.short_scales import BITS, shorten_scales
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_patch import KernelIntegers, float_constants
from edgekit.formats.write_metadata import strip_tflite


@given(
    st.lists(st.floats(2.0**-100, 2.0**100, width=32), min_size=1, max_size=20), st.integers(1, 24)
)
def test_the_smallest_of_so_many_bits_that_covers(values: list[float], bits: int) -> None:
    scales = np.array(values, np.float32)
    short = round_up(scales, bits)
    assert np.all(short >= scales)
    assert np.all(short <= scales * (1 + 2.0 ** (1 - bits)))
    np.testing.assert_array_equal(round_up(short, bits), short)
    mantissas = np.frexp(short)[0] * 2.0**bits
    np.testing.assert_array_equal(mantissas, np.rint(mantissas))


@pytest.fixture(scope="module")
def files(digits: Any, digits_files: Any) -> tuple[bytes, bytes]:
    """The demo's float32 and int8 files, without metadata; weights are not fitted to samples."""
    content = strip_tflite(Path(digits_files.path("tflite", "float32")).read_bytes())
    float_file = read_file(content)
    ranges = find_ranges(float_file, digits.train.subset(200))
    return content, quantize_tflite(float_file, "int8", ranges, "int8").content


def shortened(quantized: bytes, float_file: bytes, bits: int) -> bytes:
    """The quantised file with shorter scales."""
    file = read_file(bytearray(quantized))
    shorten_scales(file, read_file(float_file), bits)
    return bytes(file.content)


def tensors(content: bytes) -> dict[str, tuple[Any, Any, Any]]:
    """Type, scales and constant of each quantised tensor, by name."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    kinds = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}
    found = {}
    for tensor in model.subgraphs[0].tensors:
        quantization, data = tensor.quantization, model.buffers[tensor.buffer].data
        if tensor.type in kinds and quantization is not None and quantization.scale is not None:
            kind = kinds[tensor.type]
            held = None if data is None else np.asarray(data, np.uint8).view(kind)
            shape = tuple(tensor.shape)
            found[tensor.name.decode()] = (
                kind,
                np.asarray(quantization.scale, np.float32),
                held if held is None else held.reshape(shape),
            )
    return found


def test_an_int8_file_has_short_scales(files: tuple[bytes, bytes]) -> None:
    found = tensors(files[1])
    kinds = [kind for kind, _, _ in found.values()]
    assert kinds.count(np.int8) >= 8
    assert kinds.count(np.int32) >= 4
    for kind, scales, _ in found.values():
        # A bias has the product of two.
        bits = BITS if kind is np.int8 else 2 * BITS
        np.testing.assert_array_equal(round_up(scales, bits), scales)


def test_weights_alone_are_rounded_as_those_of_int8_files(files: tuple[bytes, bytes]) -> None:
    whole = tensors(files[1])
    alone = quantize_tflite(read_file(files[0]), "int8-weights", None, "float32").content
    kernels = {name: held for name, (_, _, held) in tensors(alone).items() if held is not None}
    assert len(kernels) >= 4
    for name, held in kernels.items():
        assert np.array_equal(held, whole[name][2])


def test_errors_of_four_bits_make_up_for_each_other(files: tuple[bytes, bytes]) -> None:
    float_file = read_file(files[0])
    made = quantize_tflite(float_file, "int4-weights", None, "float32").tflite
    floats, errors = float_constants(float_file), []
    for kernel in made.graphs[0].tensors:
        if kernel.dtype == "int4" and len(kernel.shape) == 4:
            integers = KernelIntegers.of(kernel)
            assert integers is not None
            steps = floats[kernel.name].reshape(len(kernel.scales.of(made.content)), -1)
            steps = steps / kernel.scales.of(made.content)[:, None]
            off = integers.read(made.content).reshape(steps.shape) - steps
            errors.append((off.sum(1), (np.clip(np.rint(steps), -7, 7) - steps).sum(1)))
    found, nearest = (np.concatenate(each) for each in zip(*errors, strict=True))
    # A kernel may lack the weight that would be rounded the other way.
    assert np.mean(np.abs(found) <= 0.5 + 1e-3) > 0.95
    assert np.mean(np.abs(nearest) <= 0.5 + 1e-3) < 0.8


def test_fewer_bits_move_no_value_by_more_than_a_step_of_each(files: tuple[bytes, bytes]) -> None:
    float_file, quantized = files
    short = shortened(quantized, float_file, 3)
    assert len(short) == len(quantized)
    assert short == shortened(quantized, float_file, 3)
    before, after = tensors(quantized), tensors(short)
    assert before.keys() == after.keys()
    changed = 0
    for name, (_, old, ints) in before.items():
        _, new, rounded = after[name]
        if ints is None or ints.ndim == 0:
            continue
        axes = [1] * ints.ndim
        if old.size > 1:
            axes[ints.shape.index(old.size)] = old.size
        drift = rounded * new.reshape(axes) - ints * old.reshape(axes)
        assert np.all(np.abs(drift) <= (old + new).reshape(axes) * 1.001)
        changed += int(np.any(new != old))
    assert changed >= 8


def test_the_same_scales_again_change_nothing(files: tuple[bytes, bytes]) -> None:
    float_file, quantized = files
    assert shortened(quantized, float_file, BITS) == quantized


def test_weights_behind_the_flatbuffer_too(tmp_path: Path) -> None:
    """The quantiser puts those of a kilobyte or more there, from 256 KiB in all."""
    import keras

    from edgekit.convert.tflite.convert import float_tflite
    from edgekit.convert.trace.freeze import freeze
    from edgekit.models import load

    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((520,)), keras.layers.Dense(520)]).save(tmp_path / "m.keras")
    with freeze(load(tmp_path / "m.keras"), 1) as frozen:
        float_file = read_file(float_tflite(frozen))
    quantized = read_file(quantize_tflite(float_file, "dynamic", None, "float32").content)
    (kernel,) = (tensor for tensor in quantized.graphs[0].tensors if tensor.dtype == "int8")
    scales = kernel.scales.of(quantized.content)
    np.testing.assert_array_equal(round_up(scales, BITS), scales)
    steps = kernel.constant("<i1").of(quantized.content).astype(np.float32)
    assert steps.size == 520 * 520
    error = float_constants(float_file)[kernel.name] - steps * scales
    assert np.abs(error).max() <= scales.max() * 1.001
