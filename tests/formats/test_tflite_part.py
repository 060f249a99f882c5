"""Parts of a TFLite file, one after the other, give what the file gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_part import part_of
from edgekit.formats.write_metadata import strip_tflite

litert = needs.package("ai_edge_litert.interpreter")


def run(content: bytes, inputs: dict[int, Any]) -> dict[int, Any]:
    interpreter = litert.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for index, value in inputs.items():
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    return {
        row["index"]: interpreter.get_tensor(row["index"])
        for row in interpreter.get_output_details()
    }


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_part_by_part(digits_files: Any, scheme: str) -> None:
    content = strip_tflite(Path(digits_files.path("tflite", scheme)).read_bytes())
    file = read_file(content)
    graph = file.graphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    x = np.random.default_rng(0).integers(-100, 100, tensor.shape).astype(tensor.dtype)
    known = {graph.inputs[0]: x}
    for place, operator in enumerate(graph.operators):
        takes = [i for i in operator.inputs if i in known]
        part = part_of(file, [place], takes, operator.outputs)
        assert [o.op for o in read_file(part).graphs[0].operators] == [operator.op]
        known |= run(part, {i: known[i] for i in takes})
    (output,) = graph.outputs
    np.testing.assert_array_equal(known[output], run(content, {graph.inputs[0]: x})[output])
