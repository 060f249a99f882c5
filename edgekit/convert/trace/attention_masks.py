"""Attention masking: masked scores written as a selection, whatever the layer wrote.

Layers take 1e9 from a score, or put -2e38 in its place, to have softmax make zero of it. Of such a
difference no integer range can be found; of a selection between the scores and a constant it can, as
the constant may saturate (`edgekit.calibration.masks`). Softmax gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.convert.trace.rule import Lowered, Rule
from edgekit.errors import require

# From here on a score has no weight beside one of ordinary size.
_HUGE = 1e4
# What stands for a masked score. Integer kernels of onnxruntime add zero points times the ratio of two
# scales in float32: beyond this the scores drown in its rounding.
_MASKED = 1e5


def attention_rules(graph_def: Any) -> Mapping[str, Rule]:
    """Rules for `lowered`, if a softmax of the graph reads what they are about."""
    ops = {node.name: node.op for node in graph_def.node}
    read = {
        ops.get(name.split(":")[0])
        for node in graph_def.node
        if node.op == "Softmax"
        for name in node.input
    }
    return {op: rule for op, rule in _RULES.items() if op in read}


def _selected(tf: Any, operation: Any) -> Lowered | None:
    """Keras 3: ``where(masked, scores - 1e9, scores)``, and ``where(shown, scores, -2e38)``."""
    mask, first, scores = operation.inputs
    if not _feeds_softmax(operation):
        return None
    number = _number(scores)
    if number is not None:
        return _where(tf, mask, first, number, shown=True) if number < -_MASKED else None
    if first.op.type != "Sub" or first.op.inputs[0] is not scores:
        return None
    number = _number(first.op.inputs[1])
    return _where(tf, mask, scores, -number, shown=False) if number else None


def _subtracted(tf: Any, operation: Any) -> Lowered | None:
    """tf_keras: ``scores - 1e9 * cast(masked)``."""
    scores, product = operation.inputs
    found = _scaled(product)
    if found is None or not _feeds_softmax(operation):
        return None
    mask = _of_bool(tf, found[0])
    return None if mask is None else _where(tf, mask, scores, -found[1], shown=False)


def _added(tf: Any, operation: Any) -> Lowered | None:
    """tf_keras: ``scores + (1 - cast(shown)) * -1e9``."""
    scores, product = operation.inputs
    found = _scaled(product)
    if found is None or found[0].op.type != "Sub" or not _feeds_softmax(operation):
        return None
    one, cast = found[0].op.inputs
    mask = _of_bool(tf, cast)
    if mask is None or _number(one) != 1:
        return None
    return _where(tf, mask, scores, found[1], shown=True)


def _where(tf: Any, mask: Any, scores: Any, number: float, *, shown: bool) -> Lowered | None:
    """A selection by `mask`, which says what is `shown`, or what is masked, by adding `number`."""
    if number > -_HUGE:
        return None
    low = max(number, -_MASKED)

    def select(m: Any, x: Any) -> Any:
        return tf.where(m, x, low) if shown else tf.where(m, low, x)

    return Lowered(select, [mask, scores])


def _feeds_softmax(operation: Any) -> bool:
    """Whether nothing but softmax reads the result, of float32."""
    (result,) = operation.outputs
    return result.dtype.name == "float32" and {r.type for r in result.consumers()} == {"Softmax"}


def _scaled(tensor: Any) -> tuple[Any, float] | None:
    """A tensor and the number that it is multiplied with."""
    if tensor.op.type == "Mul":
        first, second = tensor.op.inputs
        for other, factor in ((first, second), (second, first)):
            number = _number(factor)
            if number is not None:
                return other, number
    return None


def _number(tensor: Any) -> float | None:
    """The value of a constant without axes."""
    if tensor.op.type != "Const" or tensor.shape.rank != 0:
        return None
    tf = require("tensorflow", "export", "Exporting a model")
    return float(np.asarray(tf.make_ndarray(tensor.op.get_attr("value"))))


def _of_bool(tf: Any, tensor: Any) -> Any:
    """The booleans that a tensor was cast from, else None."""
    if tensor.op.type != "Cast" or tensor.op.inputs[0].dtype != tf.bool:
        return None
    return tensor.op.inputs[0]


_RULES: dict[str, Rule] = {"SelectV2": _selected, "Sub": _subtracted, "AddV2": _added}
