"""FakeQuant: what quantisation-aware training leaves in a graph, taken out of it.

Those of weights are computed once and for all: what a file stores are the very weights that the
model was trained with. Those of activations go, and their ranges are kept (`calibration/learned.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.learned import RUNS, Learned, Mark, moments
from edgekit.calibration.methods import Interval
from edgekit.calibration.probes import batches
from edgekit.errors import require
from edgekit.samples import Samples

_PURPOSE = "Exporting a quantisation-aware model"
_OPS = (
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVarsPerChannel",
)


@dataclass(frozen=True)
class Places:
    """Where a graph was quantised in training.

    Attributes:
        tensors: names in the graph without FakeQuant operators.
        intervals: the range of each.
    """

    tensors: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()


def without_fake_quant(graph_def: Any) -> tuple[Any, Places]:
    """The graph in float values, with the weights that it was trained with; and where it was rounded.

    Args:
        graph_def: without variables; it stays as it is.
    """
    if not any(node.op in _OPS for node in graph_def.node):
        return graph_def, Places()
    tf = require("tensorflow", "export", _PURPOSE)
    changed = type(graph_def)()
    changed.CopyFrom(graph_def)
    nodes = {node.name: node for node in changed.node}
    marked = [node for node in changed.node if node.op in _OPS]
    open_ended = _depending_on_inputs(changed)
    constants, intervals = _evaluated(tf, graph_def, marked, open_ended)
    tensors, found = [], []
    for node in marked:
        if node.name in constants:
            _make_constant(tf, node, constants[node.name])
        else:
            tensors.append(_source(nodes, node.input[0]))
            found.append(intervals[node.name])
            _make_identity(node)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(_pruned(tf, changed), name="")
    return graph.as_graph_def(add_shapes=True), Places(tuple(tensors), tuple(found))


def _depending_on_inputs(graph_def: Any) -> set[str]:
    """Names of the operators whose results depend on what goes into the model."""
    readers: dict[str, list[str]] = {}
    for node in graph_def.node:
        for name in node.input:
            readers.setdefault(_operator(name), []).append(node.name)
    found = {node.name for node in graph_def.node if node.op == "Placeholder"}
    waiting = list(found)
    while waiting:
        for name in readers.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _evaluated(
    tf: Any, graph_def: Any, marked: Sequence[Any], open_ended: set[str]
) -> tuple[dict[str, Any], dict[str, Interval]]:
    """Weights after their rounding, and the ranges of activations."""
    fixed = [node for node in marked if node.name not in open_ended]
    ranged = [node for node in marked if node.name in open_ended and len(node.input) == 3]
    wanted = [f"{node.name}:0" for node in fixed]
    for node in ranged:
        wanted += [_tensor(node.input[1]), _tensor(node.input[2])]
    values = _run(tf, graph_def, wanted, {})
    constants = {node.name: value for node, value in zip(fixed, values, strict=False)}
    rest = values[len(fixed) :]
    intervals = {
        node.name: Interval(float(np.min(rest[2 * i])), float(np.max(rest[2 * i + 1])))
        for i, node in enumerate(ranged)
    }
    for node in marked:
        if node.name in open_ended and len(node.input) == 1:
            intervals[node.name] = Interval(node.attr["min"].f, node.attr["max"].f)
    return constants, intervals


def _run(tf: Any, graph_def: Any, wanted: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with _session(tf, graph) as session:
            results: list[Any] = session.run(list(wanted), dict(feeds))
    return results


def _session(tf: Any, graph: Any) -> Any:
    """One that computes the graph as it stands: TensorFlow fuses away even what was requested."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return tf.compat.v1.Session(graph=graph, config=config)


def _make_constant(tf: Any, node: Any, value: NDArray[Any]) -> None:
    name = node.name
    node.Clear()
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))


def _make_identity(node: Any) -> None:
    name, read = node.name, node.input[0]
    node.Clear()
    node.name, node.op = name, "Identity"
    node.input.append(read)
    node.attr["T"].type = 1  # float32


def _source(nodes: Mapping[str, Any], name: str) -> str:
    """The tensor behind operators that hand on what they get."""
    while nodes[_operator(name)].op == "Identity":
        name = nodes[_operator(name)].input[0]
    return _tensor(name)


def _pruned(tf: Any, graph_def: Any) -> Any:
    """Without what nobody reads any more, such as the computation of weights' ranges."""
    read = {_operator(name) for node in graph_def.node for name in node.input}
    ends = [node.name for node in graph_def.node if node.name not in read]
    kept = _depending_on_inputs(graph_def)
    ends = [name for name in ends if name in kept]
    inputs = [node.name for node in graph_def.node if node.op == "Placeholder"]
    return tf.compat.v1.graph_util.extract_sub_graph(graph_def, list(dict.fromkeys(ends + inputs)))


def _operator(name: str) -> str:
    return name.lstrip("^").split(":")[0]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def learn(
    graph_def: Any, inputs: Mapping[str, str], places: Places, samples: Samples, batch: int
) -> Learned:
    """What the tensors are known by at which training rounded.

    Args:
        graph_def: as `without_fake_quant` gives it.
        inputs: names of its input tensors by those of the samples' inputs.
        places: likewise.
        samples: of which the first few inferences are computed.
        batch: samples an inference.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    seen: list[list[tuple[float, ...]]] = [[] for _ in places.tensors]
    sizes = [0] * len(places.tensors)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        with _session(tf, graph) as session:
            for given in batches(samples[: RUNS * batch], batch):
                feeds = {inputs[name]: values for name, values in given.items()}
                for i, values in enumerate(session.run(list(places.tensors), feeds)):
                    sizes[i] = values.size
                    seen[i].append(moments(values))
    marks = tuple(Mark(size, tuple(rows)) for size, rows in zip(sizes, seen, strict=True))
    return Learned(marks, places.intervals)
