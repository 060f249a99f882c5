"""Flex: TensorFlow's own operators in a .tflite file. They come in when asked for, never by themselves."""

from __future__ import annotations

import re

from edgekit.convert.layers import Names
from edgekit.convert.needs_tflite import custom_codes

# The converter's error lines: loc(callsite(fused["Svd:", "model/layer/Svd@function"] ...)): 'tf.Svd' op
_PLACE = re.compile(r'fused\["[^"]*", "(?P<path>[^"@]+)[^"]*"\].*?\'tf\.(?P<op>\w+)\'')
_OP = re.compile(r"'tf\.(\w+)'|tf\.(\w+)\(")

WARNING = (
    "holds TensorFlow's own operators (Flex): ai-edge-litert, tflite-runtime and TensorFlow from 2.20 "
    "cannot run it, only a program with the Flex delegate linked in; it was not tried"
)


def found_in(content: bytes) -> bool:
    """Whether a TFLite file holds Flex operators."""
    return any(op.startswith("Flex") for op in custom_codes(content))


def explain(error: BaseException, names: Names, open_batch: bool) -> str | None:
    """Where the converter would need Flex, and what helps; None if its error is about another thing.

    Args:
        error: the converter's.
        names: of the model's layers and outputs.
        open_batch: whether the model was traced without a fixed batch.
    """
    lines = [line for line in str(error).splitlines() if "error:" in line]
    found = [match for line in lines if (match := _PLACE.search(line))]
    if found:
        op, path = found[0]["op"], found[0]["path"]
        where = names.place(path)
    elif known := [a or b for line in lines for a, b in _OP.findall(line)]:
        op, where = known[0], "an operator"
    else:
        return None
    advice = ["another layer", "--allow-flex, for programs that link TensorFlow's operators in"]
    if open_batch:
        advice.insert(0, "a fixed batch (--batch 1)")
    return (
        f"{where}: TFLite has no operator for TensorFlow's {op}. What helps: {'; '.join(advice)}."
    )
