"""Flex: TensorFlow's own operators in a .tflite file. They come in when asked for, never by themselves."""

from __future__ import annotations

from edgekit.inspection.needs_tflite import custom_codes

WARNING = (
    "holds TensorFlow's own operators (Flex): ai-edge-litert, tflite-runtime and TensorFlow from 2.20 "
    "cannot run it, only a program with the Flex delegate linked in; it was not tried"
)


def found_in(content: bytes) -> bool:
    """Whether a TFLite file holds Flex operators."""
    return any(op.startswith("Flex") for op in custom_codes(content))
