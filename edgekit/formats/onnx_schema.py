"""ONNX files: what their numbers and names mean."""

from __future__ import annotations


def short_names(full: list[str]) -> list[str]:
    """`full` without TensorFlow's ``:0`` at the end, unless it is what tells tensors apart."""
    short = [name.split(":")[0] for name in full]
    return short if len(set(short)) == len(short) else full
