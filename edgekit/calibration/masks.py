"""Attention masks: masked scores, whose stand-in for minus infinity must not decide about a range.

A masked score is -1e5 or less before the softmax. Beside it, 8 bits have one step for all scores
together. Softmax makes zero of whatever lies far enough below the others, so that the integers may
saturate there.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.calibration.methods import Interval
from edgekit.formats.graph import Model, Operator, Tensor

# How far below the lowest score the range ends: what is masked weighs exp(-margin) beside the lowest
# score of its row at most. A wider margin has coarser steps, which 16 bits can spare.
MARGIN, MARGIN_16 = 10.0, 20.0

_HUGE = 1e4
_SOFTMAX = {"SOFTMAX", "Softmax"}
# tf2onnx writes a selection as the sum of two products.
_SELECT = {"SELECT": 1, "SELECT_V2": 1, "Where": 1, "Add": 0}
# They hand values on as they are.
_MOVING = {"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"}
_MOVING |= {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity"}

# For tensors by name, the tensors that they may have their scores from.
Masked = Mapping[str, tuple[str, ...]]


def masked_scores(model: Model) -> Masked:
    """Tensors between a selection and a softmax, and what is selected from, constants apart."""
    readers: dict[str, list[Operator]] = {}
    for operator in model.operators:
        for tensor in operator.inputs:
            if tensor is not None:
                readers.setdefault(tensor.key, []).append(operator)
    given = {t.key for graph in model.graphs for t in graph.outputs}
    found: dict[str, tuple[str, ...]] = {}
    for operator in model.operators:
        if operator.op in _SELECT:
            branches = operator.inputs[_SELECT[operator.op] :]
            names = tuple(t.name for t in branches if t is not None and not t.constant)
            chain = _to_softmax(operator.outputs[0], readers, given)
            found.update((tensor.name, names) for tensor in chain)
    return found


def _to_softmax(
    tensor: Tensor | None, readers: Mapping[str, list[Operator]], given: set[str]
) -> list[Tensor]:
    """The tensors from a selection's to the one that a softmax reads; empty if others read them."""
    chain: list[Tensor] = []
    while tensor is not None and tensor.key not in given:
        chain.append(tensor)
        reading = readers.get(tensor.key, [])
        if reading and all(operator.op in _SOFTMAX for operator in reading):
            return chain
        if len(reading) != 1 or reading[0].op not in _MOVING:
            break
        tensor = reading[0].outputs[0]
    return []


def saturated(
    ranges: Mapping[str, Interval], masked: Masked, lowest: Mapping[str, float], margin: float
) -> dict[str, Interval]:
    """`ranges` where those of `masked` that reach a stand-in end `margin` below the lowest score.

    Args:
        ranges: by the tensor's name.
        masked: of the same file.
        lowest: the smallest value seen of each tensor.
        margin: in units of the scores.
    """
    changed = dict(ranges)
    for name, branches in masked.items():
        scores = [b for b in branches if b in ranges and lowest[b] > -_HUGE]
        if name in ranges and lowest[name] <= -_HUGE and len(scores) == 1:
            (seen,) = (ranges[each] for each in scores)
            changed[name] = Interval(seen.lowest - margin, seen.highest)
    return changed
