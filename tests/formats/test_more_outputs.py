"""A file that gives inner tensors too still gives what it gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import needs

from edgekit.formats.model_file import ModelFile
from edgekit.formats.more_outputs import onnx_with_outputs, tflite_with_outputs


def inner(file: ModelFile) -> list[str]:
    """The keys of float tensors that operators give and that are no outputs."""
    graph = file.model.graphs[file.model.main]
    own = {tensor.key for tensor in graph.outputs}
    given = [t for o in graph.operators for t in o.outputs if t and t.dtype in ("float32", "?")]
    return [tensor.key for tensor in given if tensor.key not in own]


def test_a_tflite_file(models: Path) -> None:
    interpreter_module = needs.package("ai_edge_litert.interpreter")
    file = ModelFile.read((models / "classifier.float32.tflite").read_bytes(), "tflite")
    places = [int(key.split(":")[1]) for key in inner(file)]
    assert places
    longer = tflite_with_outputs(file.content, file.model.main, places)
    assert longer.startswith(file.content[:8])
    answers = []
    for content in (file.content, longer):
        interpreter = interpreter_module.Interpreter(model_content=content)
        interpreter.allocate_tensors()
        (given,) = interpreter.get_input_details()
        x = np.random.default_rng(0).random(given["shape"], np.float32)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        answers.append(
            [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
        )
    plain, more = answers
    assert len(more) == len(plain) + len(places)
    assert all(np.array_equal(a, b) for a, b in zip(plain, more, strict=False))
    # Their order is the one that was asked for.
    names = [tensor.name for tensor in ModelFile.read(longer, "tflite").model.graphs[0].outputs]
    keys = [tensor.key for tensor in ModelFile.read(longer, "tflite").model.graphs[0].outputs]
    assert keys[len(plain) :] == inner(file)
    assert len(names) == len(more)


def test_an_onnx_file(models: Path) -> None:
    runtime = needs.package("onnxruntime")
    file = ModelFile.read((models / "classifier.float32.onnx").read_bytes(), "onnx")
    names = inner(file)
    assert names
    longer = onnx_with_outputs(file.content, names)
    answers = []
    for content in (file.content, longer):
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        x = np.random.default_rng(0).random([n or 1 for n in given.shape], np.float32)
        answers.append(session.run(None, {given.name: x}))
    assert len(answers[1]) == len(answers[0]) + len(names)
    assert np.array_equal(answers[0][0], answers[1][0])


@pytest.mark.parametrize("name", ["classifier.float32.tflite", "classifier.float32.onnx"])
def test_no_further_output_leaves_the_file_alone(models: Path, name: str) -> None:
    content = (models / name).read_bytes()
    if name.endswith("tflite"):
        assert tflite_with_outputs(content, 0, []) is content
    else:
        assert onnx_with_outputs(content, []) is content
