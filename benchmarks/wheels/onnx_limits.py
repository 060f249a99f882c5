"""The highest IR version and opset that an onnxruntime loads: one Relu that claims more and more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

_IR_VERSIONS, _OPSETS = range(3, 16), range(7, 30)
# What every onnxruntime of the table loads.
_OLD_IR, _OLD_OPSET = 3, 7


def write(folder: Path) -> None:
    """``ir_version/<n>.onnx`` and ``opset/<n>.onnx``, and the inputs beside each."""
    for key, numbers in (("ir_version", _IR_VERSIONS), ("opset", _OPSETS)):
        for number in numbers:
            path = folder / key / f"{number}.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            ir, opset = (number, _OLD_OPSET) if key == "ir_version" else (_OLD_IR, number)
            path.write_bytes(_relu(ir, opset))
            np.savez(f"{path}.npz", **{"0.0": np.array([-1.0, 2.0], np.float32)})


def highest(ran: Iterable[str]) -> dict[str, int]:
    """The highest of each that ran, of the files ``<what>/<number>.onnx``."""
    found: dict[str, int] = {}
    for name in ran:
        key, number = name.removesuffix(".onnx").split("/")
        found[key] = max(found.get(key, 0), int(number))
    return dict(sorted(found.items()))


def _relu(ir_version: int, opset: int) -> bytes:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [value("x", TensorProto.FLOAT, [2])],
        [value("y", TensorProto.FLOAT, [2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    content: bytes = model.SerializeToString()
    return content
