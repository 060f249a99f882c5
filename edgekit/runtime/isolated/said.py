"""Said: what the child says of the file that it opened. The caller believes it as far as it can be checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.document.record import Record
from edgekit.errors import DocumentError
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.tensor import TensorSpec

_DTYPES = frozenset(
    {"float16", "float32", "float64", "bool", "object", "complex64", "complex128"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)
# What numpy's arrays have at most.
_MOST_AXES = 64


@dataclass(frozen=True)
class Way(Record):
    """A way into a file: a signature, or the file itself where it names none."""

    signature: str | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Opened(Record):
    """A file that was opened.

    Attributes:
        version: of the interpreter.
        exact: as of a `Runner`.
        keeps_state: whether the file remembers something from one call to the next.
        ways: all ways into the file.
        sandbox: what holds the child.
    """

    version: str
    exact: bool
    keeps_state: bool
    ways: tuple[Way, ...]
    sandbox: Sandbox

    def __post_init__(self) -> None:
        if not self.ways:
            raise DocumentError("ways: received none, expected one or more.")
        for way in self.ways:
            for spec in (*way.inputs, *way.outputs):
                _check(spec)


def _check(spec: TensorSpec) -> None:
    if spec.dtype not in _DTYPES or len(spec.shape) > _MOST_AXES:
        raise DocumentError(f"tensor {spec.name!r}: is {spec.dtype} of {len(spec.shape)} axes.")
    known = spec.quantization
    if known is None:
        return
    if np.dtype(spec.dtype).kind not in "iu":
        raise DocumentError(f"tensor {spec.name!r}: scales of {spec.dtype}.")
    if known.axis is not None:
        places = spec.shape[known.axis] if 0 <= known.axis < len(spec.shape) else 0
        if places not in (None, len(known.scale)):
            raise DocumentError(f"tensor {spec.name!r}: scales along axis {known.axis}.")
