"""Graphs of .tflite files are what TFLite's own schema says, and follow numbers that are written anew."""

from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.errors import ArtifactError
from edgekit.formats.model_file import ModelFile, read_model
from edgekit.formats.tflite import model_of, read_tflite
from edgekit.formats.tflite_check import read_file, tflite_fault
from edgekit.formats.tflite_patch import QUANTIZED, float_constants, write_rounded
from edgekit.tensor import QuantParams

MODELS = Path(__file__).parents[1] / "models"
FILES = sorted(MODELS.glob("*.tflite"))
INT8 = (MODELS / "classifier.int8.tflite").read_bytes()
FLOAT = (MODELS / "classifier.float32.tflite").read_bytes()


def listed(values: Any) -> list[Any]:
    return [] if values is None else np.asarray(values).tolist()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_the_schema_says_too(path: Path) -> None:
    schema = needs.package("ai_edge_litert.schema_py_generated")
    content = path.read_bytes()
    theirs = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    file = read_file(content)
    assert len(file.graphs) == len(theirs.subgraphs)
    assert len(file.buffers) == len(theirs.buffers)
    for ours, graph in zip(file.graphs, theirs.subgraphs, strict=True):
        assert list(ours.inputs) == listed(graph.inputs)
        assert list(ours.outputs) == listed(graph.outputs)
        assert ours.places_of_outputs.of(content).tolist() == listed(graph.outputs)
        for tensor, wanted in zip(ours.tensors, graph.tensors, strict=True):
            assert tensor.name == wanted.name.decode()
            assert list(tensor.shape) == listed(wanted.shape)
            assert list(tensor.signature) == listed(wanted.shapeSignature)
            assert tensor.buffer_index == wanted.buffer
            assert tensor.variable == wanted.isVariable
            data = theirs.buffers[wanted.buffer].data
            assert tensor.constant("u1").of(content).tolist() == listed(data)
            scaled = wanted.quantization
            assert tensor.scales.of(content).tolist() == listed(scaled and scaled.scale)
            assert tensor.zero_points.of(content).tolist() == listed(scaled and scaled.zeroPoint)
            assert tensor.axis == (scaled.quantizedDimension if scaled else 0)
        for operator, wanted in zip(ours.operators, graph.operators, strict=True):
            code = theirs.operatorCodes[wanted.opcodeIndex]
            name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            assert operator.op == (code.customCode.decode() if name == "CUSTOM" else name)
            assert operator.version == code.version
            assert list(operator.inputs) == listed(wanted.inputs)
            assert list(operator.outputs) == listed(wanted.outputs)
            assert (operator.options is None) == (wanted.builtinOptions is None)
    for signature, wanted in zip(file.signatures, theirs.signatureDefs or [], strict=True):
        assert signature.graph == wanted.subgraphIndex
        for named, entries in (
            (signature.inputs, wanted.inputs),
            (signature.outputs, wanted.outputs),
        ):
            assert named == {entry.name.decode(): entry.tensorIndex for entry in entries}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_model_is_made_of_a_file_that_was_read(path: Path) -> None:
    content = path.read_bytes()
    model = read_tflite(content)
    assert model == model_of(read_file(content)) == read_model(content, "tflite")
    assert ModelFile.read(content, "tflite") == ModelFile(content, model)
    assert len(model.graphs) > model.main
    for tensor in (*model.inputs.values(), *model.outputs.values()):
        assert tensor in (*model.graphs[model.main].inputs, *model.graphs[model.main].outputs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_over_other_numbers_is_what_is_read_of_them(path: Path) -> None:
    file = ModelFile.read(path.read_bytes(), "tflite").tflite
    content = bytearray(file.content)
    for tensor in file.graphs[0].tensors:
        span = tensor.constant("u1")
        span.of(content)[:] ^= 0xFF
    changed = file.over(content)
    assert changed.content is content
    assert model_of(changed) == model_of(read_file(bytes(content)))
    assert [tensor.constant("u1") for tensor in changed.graphs[0].tensors] == [
        tensor.constant("u1") for tensor in file.graphs[0].tensors
    ]
    assert changed.signatures == file.signatures
    # Bytes that may still change are copied where a file is made of them.
    whole = ModelFile.of_tflite(changed)
    assert whole == ModelFile.read(bytes(content), "tflite")
    assert whole.tflite.content == content
    assert whole.tflite.content is whole.content


def test_tables_do_not_travel() -> None:
    whole = ModelFile.read(FILES[0].read_bytes(), "tflite")
    there = pickle.loads(pickle.dumps(whole))
    assert there == whole
    assert there._tables is None
    assert model_of(there.tflite) == whole.model


def test_options_that_decide_about_needs() -> None:
    options = {o.op: o.attributes for o in read_tflite(FLOAT).operators}
    assert {"padding", "stride_h", "stride_w"} == set(options["CONV_2D"])
    assert options["SOFTMAX"] == {}


def test_numbers_that_are_written_are_read_without_reading_the_file_anew() -> None:
    file = read_file(bytearray(INT8))
    before = model_of(file)
    kernels = [t for t in file.graphs[0].tensors if t.dtype == "int8" and t.scales.count > 1]
    (first, *_), result = kernels, file.content
    first.scales.of(result)[:] = 0.5
    values = first.constant(QUANTIZED["int8"])
    write_rounded(np.full(values.count, 200.4), values.of(result))
    name, tensor = next(iter(before.inputs.items()))
    given = next(t for t in file.graphs[0].tensors if t.name == tensor.name)
    given.scales.of(result)[:] = 0.25

    after = model_of(file)
    assert after == read_tflite(bytes(result))
    assert tflite_fault(bytes(result)) is None
    found = {t.name: t for t in after.graphs[0].constants}[first.name]
    assert found.granularity == "/equal channels"
    assert tensor.quantization is not None
    zero = tensor.quantization.zero_point
    assert after.inputs[name].quantization == QuantParams((0.25,), zero)
    assert set(values.of(result).tolist()) == {127}
    # What else there is stays.
    assert [o.op for o in after.operators] == [o.op for o in before.operators]
    assert bytes(result) != INT8
    assert read_tflite(INT8) == before


def test_float_constants() -> None:
    file = read_file(FLOAT)
    constants = float_constants(file)
    held = [t for t in file.graphs[0].tensors if t.dtype == "float32" and constants[t.name].size]
    assert len(held) >= 4
    for tensor in held:
        assert constants[tensor.name].size == np.prod(tensor.shape)


@given(
    path=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.3, 1),
)
def test_any_bytes_are_a_file_or_refused(
    path: Path, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(path.read_bytes())
    for place, value in changes:
        # The structure lies in front, weights and names behind it or between.
        content[int(place * len(content))] = value
    data = bytes(content[: int(kept * len(content)) + 1]) if kept < 0.9 else bytes(content)
    fault = tflite_fault(data)
    if fault is not None:
        with pytest.raises(ArtifactError, match="not a whole tflite file"):
            read_file(data)
        return
    with suppress(ArtifactError):
        assert model_of(read_file(data)).format == "tflite"


def test_what_is_wrong_is_said_once() -> None:
    with pytest.raises(ArtifactError) as caught:
        read_tflite(INT8[:200])
    fault = tflite_fault(INT8[:200])
    assert str(caught.value) == f"not a whole tflite file: {fault}. Get it anew or make it again."
