"""DequantizeLinear in front of values that a loop's body reads from around it."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekit.convert.onnx.late_dequantize import dequantize_late
from edgekit.runtime.onnx_session import open_session

STEPS = 3


def test_onnxruntime_opens_a_loop_over_moved_integers() -> None:
    """1.32 ends the process where the Reshape reads what was turned back."""
    table = np.arange(-STEPS * 2, STEPS * 2, dtype=np.int8).reshape(STEPS * 2, 2)
    body = helper.make_graph(
        [
            helper.make_node("Gather", ["steps", "i"], ["row"]),
            helper.make_node("Add", ["sum", "row"], ["more"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 2]),
        ],
    )
    constants = {
        "table": table,
        "scale": np.float32(0.5),
        "zero": np.int8(0),
        "shape": np.array([1, STEPS, 2]),
        "count": np.array(STEPS),
        "start": np.zeros((1, 2), np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["integers"]),
        helper.make_node("DequantizeLinear", ["integers", "scale", "zero"], ["real"]),
        helper.make_node("Reshape", ["real", "shape"], ["shaped"]),
        helper.make_node("Transpose", ["shaped"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("Loop", ["count", "", "start"], ["y"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, [STEPS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    dequantize_late(proto)
    # The quantiser's callers bring nodes into order.
    loop = next(node for node in proto.graph.node if node.op_type == "Loop")
    ordered = [node for node in proto.graph.node if node is not loop]
    reads = {node.output[0]: node.input[0] for node in ordered}
    assert reads["shaped/integers"] == "integers"
    assert reads["steps"] == "steps/integers"
    del proto.graph.node[:]
    proto.graph.node.extend([*ordered, loop])
    ids = np.array([5, 0, 4], np.int32)
    answer = open_session(proto.SerializeToString()).run(None, {"ids": ids})[0]
    np.testing.assert_array_equal(answer, [table[ids].astype(np.float32).sum(0) * 0.5])
