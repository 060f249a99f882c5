"""Graph: which layer of a model is called on what other's results, and that all of it can be computed.

tf_keras waits without an end for a result that never comes: a call that a layer does not have, or one that hangs
on itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.models.untrusted import refusals
from edgekit.models.untrusted.code import Config

# How tf_keras writes a value among the results of layers.
_CONSTANT = "_CONSTANT_VALUE"
# The first call of a model inside another is that of its own inputs.
_MODELS = ("Functional", "Model", "Sequential")

# No layer gives more results than that.
_MOST_TENSORS = 10_000

# A call: a layer's name, and the how many-th of its calls it is.
_Call = tuple[str, int]


def check_graph(layers: list[Config], owner: str) -> None:
    """Refuse a model whose calls cannot be made one after the other.

    Args:
        layers: of the model, as Keras writes them, each with a name and its ``inbound_nodes``.

    Raises:
        StrangerError: a call is on results that there are not, or hangs on itself.
    """
    counts, classes = {}, {}
    for layer in layers:
        name = _name(layer)
        nodes = layer.get("inbound_nodes")
        counts[name] = max(1, len(nodes)) if isinstance(nodes, list) else 1
        classes[name] = layer.get("class_name")
    waits: dict[_Call, set[_Call]] = {}
    for layer in layers:
        name = _name(layer)
        nodes = layer.get("inbound_nodes")
        for index, node in enumerate(nodes if isinstance(nodes, list) else []):
            found = waits[name, index] = set()
            # The calls of a layer are made in their order.
            if index:
                found.add((name, index - 1))
            for other, call, tensor in _references(node):
                inside = int(classes.get(other) in _MODELS)
                if other not in counts or not (
                    _whole(call, counts[other] + inside) and _whole(tensor, _MOST_TENSORS)
                ):
                    raise refusals.wrong(
                        name or owner,
                        "inbound_nodes",
                        [other, call, tensor],
                        "the name of a layer of the model, one of its calls and one of its results",
                    )
                found.add((other, min(call, counts[other] - 1)))
    _check_order(waits, owner)


def _name(layer: Config) -> str:
    inner = layer.get("config")
    name = layer.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
    return name if isinstance(name, str) else ""


def _whole(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _references(node: Any) -> Iterator[tuple[str, Any, Any]]:
    """What a call is on: layer, call and result, wherever in its arguments they stand.

    Keras 3 writes arguments, and marks each result in them. tf_keras takes every list of three or four that begins
    with a text for a result, and arguments beside it.
    """
    lists = not (isinstance(node, dict) and "args" in node)
    left = [node]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                history = value["config"].get("keras_history")
                if not isinstance(history, list) or len(history) != 3:
                    history = [str(history), None, None]
                yield str(history[0]), history[1], history[2]
            else:
                left += value.values()
        elif isinstance(value, list):
            if lists and len(value) in (3, 4) and isinstance(value[0], str):
                if value[0] != _CONSTANT:
                    yield value[0], value[1], value[2]
                left += value[3:]
            else:
                left += value


def _check_order(waits: dict[_Call, set[_Call]], owner: str) -> None:
    """Whether there is an order in which each call comes after those that it waits for."""
    waited: dict[_Call, list[_Call]] = {}
    left = {}
    for call, others in waits.items():
        # What is called on nothing, such as an input, is there from the beginning.
        held = {other for other in others if other in waits}
        left[call] = len(held)
        for other in held:
            waited.setdefault(other, []).append(call)
    ready = [call for call, count in left.items() if not count]
    done = 0
    while ready:
        done += 1
        for call in waited.get(ready.pop(), ()):
            left[call] -= 1
            if not left[call]:
                ready.append(call)
    if done < len(waits):
        name = next(call[0] for call, count in left.items() if count)
        raise refusals.wrong(
            name or owner, "inbound_nodes", name, "calls that do not hang on themselves"
        )
