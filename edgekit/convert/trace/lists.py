"""Lists: the batch of a file in the loops of a SavedModel, which was traced for any.

A loop over steps keeps what it reads and gives in a list of tensors. Its trace holds their shape as a constant,
with -1 for the batch, and TFLite makes an array of a list only if it knows that shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import require

# The input that holds the shape of an element.
_SHAPES = {"TensorListReserve": 0, "TensorListFromTensor": 1, "TensorListStack": 1}
_SHAPES |= {"TensorListGetItem": 2}


def with_batch_in_lists(graph: Any, batch: int) -> None:
    """Write `batch` where the elements of lists and the values of loops have an open first axis; in place.

    Args:
        graph: a GraphDef whose only dynamic dimensions are the batch.
        batch: samples an inference.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        # Functions call a node's first output "name:output:0".
        shapes = {
            node.input[_SHAPES[node.op]].partition(":")[0] for node in nodes if node.op in _SHAPES
        }
        for node in nodes:
            if node.op == "Const" and node.name in shapes:
                value = node.attr["value"].tensor
                sizes = np.array(tf.make_ndarray(value))
                if sizes.ndim == 1 and sizes.size and sizes[0] == -1:
                    sizes[0] = batch
                    value.CopyFrom(tf.make_tensor_proto(sizes))
            if node.op in ("While", "StatelessWhile"):
                for shape in node.attr["output_shapes"].list.shape:
                    if shape.dim and shape.dim[0].size == -1:
                        shape.dim[0].size = batch
