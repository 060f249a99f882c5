"""What a scheme's name promises: integers in a file that is called so, and a warning where there are few."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.errors import ExportError
from edgekit.formats.graph import Operator, Tensor
from edgekit.formats.model_file import ModelFile
from edgekit.inspection.inspect import operators_of

INTEGER_SCHEMES = ("int8", "int16x8")
# Bytes of float kernels from which a file has something to shrink, and by which it may grow all the same:
# scales, zero points and casts take some.
_WORTH_SHRINKING = 4096
_NAMED = 3

# What messages call the layer that a tensor's name stands for.
Place = Callable[[str], str]


def check_name(
    file: ModelFile, scheme: str, float_bytes: int, place: Place, integer_only: bool = False
) -> tuple[str, ...]:
    """Warnings where a file holds fewer integers than its scheme's name says.

    Args:
        file: as it will be written, without metadata.
        scheme: as in `edgekit.artifact.SCHEMES`; of those that are not for integers the size alone is
            looked at.
        float_bytes: the size of the float32 file.
        place: what messages call the layer that a tensor's name stands for.
        integer_only: refuse a file in which any operator computes in float.

    Raises:
        ExportError: nothing in it is quantised, or not all of it where all was requested.
    """
    if scheme not in INTEGER_SCHEMES:
        grown = len(file.content) - float_bytes
        return (_larger(file, float_bytes),) if grown > _WORTH_SHRINKING else ()
    operators = operators_of(file.model, scheme)
    if integer_only and operators.float_ops:
        left = dict.fromkeys(
            f"{place(op.tensor)}: {op.op}: {op.reason}" for op in operators.float_ops
        )
        raise ExportError(
            f"scheme {scheme!r}: not all of it can be integers, which --integer-only asks for. "
            f"{_some(list(left))}."
        )
    held, left_in_float = _kernels(file)
    floats = sum(tensor.elements or 0 for _, tensor in left_in_float)
    names = _some(list(dict.fromkeys(f"{place(o.tensor)} ({o.op})" for o, _ in left_in_float)))
    if not held and operators.integers == 0:
        raise ExportError(
            f"scheme {scheme!r}: nothing in it was quantised: {names or 'no operator is for integers'}. "
            "Use float32, float16 or dynamic."
        )
    found = []
    if floats and not held:
        found.append(f"no weights of it were quantised: those of {names} stay in float32")
    elif floats > held:
        share = floats / (floats + held)
        found.append(f"{share:.0%} of its weights stay in float32: those of {names}")
    grown = len(file.content) - float_bytes
    if grown > 0 and max(grown, 4 * (floats + held)) > _WORTH_SHRINKING:
        found.append(_larger(file, float_bytes))
    return tuple(found)


def _larger(file: ModelFile, float_bytes: int) -> str:
    size = len(file.content)
    return f"is larger than the float32 file: {size:,} bytes, and {float_bytes:,} there"


def _kernels(file: ModelFile) -> tuple[int, list[tuple[Operator, Tensor]]]:
    """How many weights are integers, and the kernels in float, each with an operator that reads it."""
    integers: dict[str, int] = {}
    floats: dict[str, tuple[Operator, Tensor]] = {}
    for operator in file.model.operators:
        # A constant that an output is made of is no weight.
        for tensor in operator.inputs if operator.op != "Identity" else ():
            if tensor is None or not tensor.constant or len(tensor.shape or ()) < 2:
                continue
            if tensor.dtype in ("int4", "int8", "uint8"):
                integers[tensor.key] = tensor.elements or 0
            elif tensor.dtype == "float32":
                floats.setdefault(tensor.key, (operator, tensor))
    return sum(integers.values()), list(floats.values())


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'; '.join(names[:_NAMED])}{more}"
