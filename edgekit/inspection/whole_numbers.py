"""Whole numbers: what is on its way to an integer is not rounded to a scale before.

Keras takes categories through a float value: integers of a scale give 4.99 back for a 5, and the cast
cuts that to 4.
"""

from __future__ import annotations

import re

from edgekit.formats.graph import Graph, Operator

# Operators, by TFLite's names, that hand values on as they are. What is computed is rounded anyway.
_HAND_ON = {
    "CONCATENATION",
    "EXPAND_DIMS",
    "GATHER",
    "PACK",
    "RESHAPE",
    "SLICE",
    "SPLIT",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "UNPACK",
}


def carriers_of_integers(graph: Graph) -> list[Operator]:
    """The operators between a float value and its cast to an integer, of a TFLite file's graph."""
    makers = {tensor.key: o for o in graph.operators for tensor in o.outputs if tensor}
    waiting = [
        given.key
        for o in graph.operators
        if o.op == "CAST" and o.inputs and o.outputs
        if (given := o.inputs[0]) and (made := o.outputs[0])
        if given.dtype == "float32" and "int" in made.dtype
    ]
    found: dict[str, Operator] = {}
    while waiting:
        key = waiting.pop()
        maker = makers.get(key)
        if maker is None or maker.op not in _HAND_ON or key in found:
            continue
        found[key] = maker
        waiting += [t.key for t in maker.inputs if t and t.dtype == "float32"]
    return list(found.values())


def scope_of(operator: Operator) -> str:
    """A pattern for what ai-edge-quantizer calls an operator: the names of what it gives."""
    names = ";".join(tensor.name for tensor in operator.outputs if tensor)
    return f"^{re.escape(names)};?$"
