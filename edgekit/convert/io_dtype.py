"""What a quantised file takes and gives, told by the file itself: not all of it is as it was requested."""

from __future__ import annotations

from edgekit.formats.graph import Model, Tensor

FLOAT = "float32"


def io_dtype(model: Model) -> str:
    """What stands for real values at a file's inputs and outputs: ``"int8"``, ``"uint8"``, ``"int16"``, ``"float32"``.

    Where some are integers, it is those; `left_float` tells the others.
    """
    rounded = [t.dtype for t in _ends(model).values() if t.quantization is not None]
    return rounded[0] if rounded else FLOAT


def left_float(model: Model, asked: str) -> str:
    """Which inputs and outputs are float although integers were requested, and why; empty if none is."""
    if asked == FLOAT:
        return ""
    real = [name for name, t in _ends(model).items() if t.dtype == FLOAT]
    if not real:
        return ""
    if any(operator.op == "WHILE" for operator in model.graphs[model.main].operators):
        reason = "the file holds a loop, whose own inputs and outputs are float"
    else:
        reason = "operators beside them are left in float"
    return f"input or output {', '.join(map(repr, real))} stays {FLOAT}, not {asked}: {reason}"


def _ends(model: Model) -> dict[str, Tensor]:
    return {**model.inputs, **model.outputs}
