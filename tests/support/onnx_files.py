"""Small .onnx files that tests write by hand, well-meant and other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from support import needs


def onnx_file(
    path: Path, nodes: list[Any], shape: list[Any], dtype: int = 1, **inputs: Any
) -> Path:
    """A file of one output ``y``; `inputs` are (dtype, shape), ``x`` unless told otherwise."""
    onnx = needs.package("onnx")
    given = inputs or {"x": (dtype, shape)}
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info(name, *what) for name, what in given.items()],
        [onnx.helper.make_tensor_value_info("y", dtype, None)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def constant(name: str, value: Any) -> Any:
    onnx = needs.package("onnx")
    tensor = onnx.numpy_helper.from_array(np.asarray(value), name)
    return onnx.helper.make_node("Constant", [], [name], value=tensor)


def endless(path: Path) -> Path:
    """Gives ``x`` (1, 2) back after so many ``turns`` of a loop; with more than a few, that takes for ever."""
    onnx = needs.package("onnx")
    needs.package("onnxruntime")
    value = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Identity", ["go"], ["goes"]),
            onnx.helper.make_node("Identity", ["held"], ["keeps"]),
        ],
        "body",
        [value("n", 7, []), value("go", 9, []), value("held", 1, None)],
        [value("goes", 9, []), value("keeps", 1, None)],
    )
    nodes = [
        constant("true", np.bool_(True)),
        onnx.helper.make_node("Loop", ["turns", "true", "x"], ["y"], body=body),
    ]
    return onnx_file(path, nodes, [], x=(1, [1, 2]), turns=(7, []))
