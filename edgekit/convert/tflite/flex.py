"""Flex: TensorFlow's own operators in a .tflite file. They come in when asked for, never by themselves."""

from __future__ import annotations

from edgekit.formats.graph import Model

WARNING = (
    "holds TensorFlow's own operators (Flex): ai-edge-litert, tflite-runtime and TensorFlow from 2.20 "
    "cannot run it, only a program with the Flex delegate linked in; it was not tried"
)


def found_in(model: Model) -> bool:
    """Whether a TFLite file holds Flex operators."""
    return any(operator.op.startswith("Flex") for operator in model.operators)
