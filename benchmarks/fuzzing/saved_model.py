"""Mutations of a SavedModel's graph: its nodes, attributes, functions, signatures and objects."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.draw import Rng, pick

ABSURD = (0, 1, -1, 2, 7, 255, 65536, 2**31 - 1, -(2**31), 2**40)
# Of the allow-list and not of it.
OPERATORS = (
    "Identity",
    "Reshape",
    "MatMul",
    "Fill",
    "Pad",
    "While",
    "If",
    "PartitionedCall",
    "Const",
)
OPERATORS += (
    "ReadFile",
    "WriteFile",
    "EagerPyFunc",
    "RestoreV2",
    "SaveV2",
    "PrintV2",
    "NoSuchOp",
    "",
)
# Where `serve` finds the rest of the model that the mutants are of.
SEED = "EDGEKIT_FUZZ_SAVED_MODEL"


def make(folder: Path) -> None:
    """A model with a loop, a branch, a call, a table of weights and a convolution, as TensorFlow saves it."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(tf.ones((3, 3, 2, 4)) / 9, name="kernel")
            self.table = tf.Variable(tf.reshape(tf.range(20.0), (5, 4)), name="table")

        @tf.function
        def half(self, x: Any) -> Any:
            return tf.nn.relu(x) / 2

        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 2), tf.float32, "x")])
        def serve(self, x: Any) -> Any:
            y = self.half(tf.nn.conv2d(x, self.kernel, 1, "SAME"))
            for i in tf.range(3):
                y = y + tf.gather(self.table, i)
            y = tf.cond(tf.reduce_sum(y) > 0, lambda: self.half(y), lambda: -y)
            return {"y": tf.reshape(y, (1, -1))}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures=model.serve)


def graph(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """A few changes in a ``saved_model.pb``."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString(data)
    (meta,) = model.meta_graphs
    library = meta.graph_def.library.function
    for _ in range(int(rng.integers(1, 4))):
        lists = [each.node_def for each in library if each.node_def] or [meta.graph_def.node]
        if rng.random() < 0.2:
            lists = [meta.graph_def.node]
        nodes = pick(rng, lists)
        change = pick(rng, (_operator, _inputs, _attribute, _attribute, _function, _about, _object))
        change(meta, nodes, rng)
    content: bytes = model.SerializeToString()
    return content


def _operator(_: Any, nodes: Any, rng: Rng) -> None:
    node = pick(rng, nodes)
    what = rng.random()
    if what < 0.6:
        node.op = pick(rng, (*OPERATORS, pick(rng, nodes).op))
    elif what < 0.8:
        node.name = pick(rng, ("", "a/b\x1b", "x" * 5000, pick(rng, nodes).name))
    else:
        nodes.add().CopyFrom(node)


def _inputs(_: Any, nodes: Any, rng: Rng) -> None:
    node, other = pick(rng, nodes), pick(rng, nodes)
    what = rng.random()
    name = pick(rng, (other.name, f"^{other.name}", f"{other.name}:out:9", node.name, "", ":", "^"))
    if what < 0.6 and node.input:
        node.input[int(rng.integers(len(node.input)))] = name
    elif what < 0.8:
        node.input.append(name)
    elif node.input:
        del node.input[int(rng.integers(len(node.input)))]


def _attribute(meta: Any, nodes: Any, rng: Rng) -> None:
    with_some = [node for node in nodes if node.attr]
    if not with_some:
        return
    node = pick(rng, with_some)
    name = pick(rng, sorted(node.attr))
    value, what = node.attr[name], rng.random()
    if what < 0.15:
        del node.attr[name]
    elif value.HasField("type") and what < 0.8:
        value.type = int(rng.integers(0, 30))
    elif value.HasField("shape") and what < 0.8:
        value.shape.dim.add().size = int(pick(rng, ABSURD))
    elif value.HasField("tensor") and what < 0.8:
        if what < 0.5:
            value.tensor.tensor_shape.dim.add().size = int(pick(rng, ABSURD))
        else:
            value.tensor.dtype = int(rng.integers(0, 30))
    elif value.HasField("func") and what < 0.9:
        names = [each.signature.name for each in meta.graph_def.library.function]
        value.func.name = pick(rng, (*names, "no_such_function", ""))
    elif value.HasField("i"):
        value.i = int(pick(rng, ABSURD))
    elif value.HasField("list") and value.list.i:
        value.list.i[int(rng.integers(len(value.list.i)))] = int(pick(rng, ABSURD))
    else:
        value.CopyFrom(pick(rng, with_some).attr[pick(rng, sorted(pick(rng, with_some).attr))])


def _function(meta: Any, _: Any, rng: Rng) -> None:
    library = meta.graph_def.library.function
    if not library:
        return
    number = int(rng.integers(len(library)))
    function, what = library[number], rng.random()
    if what < 0.2:
        del library[number]
    elif what < 0.4:
        library.add().CopyFrom(function)
    elif what < 0.6:
        arguments = pick(rng, (function.signature.input_arg, function.signature.output_arg))
        if arguments:
            del arguments[int(rng.integers(len(arguments)))]
    elif what < 0.8 and function.ret:
        function.ret[pick(rng, sorted(function.ret))] = pick(
            rng, ("", "no:y:0", "x", "Identity:output:7")
        )
    elif function.signature.input_arg:
        pick(rng, function.signature.input_arg).type = int(rng.integers(0, 30))


def _about(meta: Any, _: Any, rng: Rng) -> None:
    """What stands beside the graph: signatures, the saver, versions."""
    what = rng.random()
    signature = meta.signature_def[pick(rng, sorted(meta.signature_def))]
    ends = pick(rng, (signature.inputs, signature.outputs))
    if what < 0.5 and ends:
        end = ends[pick(rng, sorted(ends))]
        if what < 0.2:
            end.name = pick(rng, ("", "x:0", "no_such:0", ":", "serving_default_x:99"))
        elif what < 0.35:
            end.dtype = int(rng.integers(0, 30))
        else:
            end.tensor_shape.dim.add().size = int(pick(rng, ABSURD))
    elif what < 0.7:
        meta.saver_def.restore_op_name = pick(rng, ("", "no_such", "^x", "Identity"))
    elif what < 0.85:
        meta.saver_def.filename_tensor_name = pick(rng, ("", "no_such:0", ":"))
    else:
        meta.graph_def.versions.producer = int(pick(rng, (0, 1, 2**31 - 1, -1)))


def _object(meta: Any, _: Any, rng: Rng) -> None:
    """The objects that are rebuilt when it is loaded."""
    objects = meta.object_graph_def
    if not objects.nodes:
        return
    node, what = pick(rng, objects.nodes), rng.random()
    if what < 0.3 and node.children:
        pick(rng, node.children).node_id = int(pick(rng, (0, 1, -1, 5, 10**6)))
    elif what < 0.5 and node.HasField("variable"):
        node.variable.shape.dim.add().size = int(pick(rng, ABSURD))
    elif what < 0.6 and node.HasField("variable"):
        node.variable.dtype = int(rng.integers(0, 30))
    elif what < 0.8 and node.HasField("function") and node.function.concrete_functions:
        node.function.concrete_functions[0] = pick(
            rng, ("", "no_such", *objects.concrete_functions)
        )
    elif objects.concrete_functions:
        concrete = objects.concrete_functions[pick(rng, sorted(objects.concrete_functions))]
        concrete.bound_inputs.append(int(pick(rng, (0, 1, -1, 10**6))))
    else:
        node.CopyFrom(pick(rng, objects.nodes))


def read(path: Path) -> Callable[[], int]:
    """What a caller does with a SavedModel: the file goes in a copy of the folder that it is a mutant of."""

    def load() -> int:
        import edgekit

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "saved")
            shutil.copytree(os.environ[SEED], folder)
            shutil.copy(path, folder / "saved_model.pb")
            with edgekit.load(folder) as runner:
                shapes = {spec.name: spec.concrete_shape(2, 5) for spec in runner.inputs}
                runner.infer({s.name: np.zeros(shapes[s.name], s.dtype) for s in runner.inputs})
        return 1

    return load
