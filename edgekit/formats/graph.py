"""Graph: the operators and tensors of a model file, said alike for TFLite and ONNX.

`edgekit.formats.tflite` and `edgekit.formats.onnx` read files into it, with the standard
library alone; what a file needs, counts and costs is worked out from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgekit.tensor import QuantParams

Shape = tuple[int | None, ...]

# Bits that one value takes. Texts, resources and variants have no size of their own.
_BITS = {
    "float32": 32,
    "float16": 16,
    "bfloat16": 16,
    "float64": 64,
    "complex64": 64,
    "complex128": 128,
    "int64": 64,
    "uint64": 64,
    "int32": 32,
    "uint32": 32,
    "int16": 16,
    "uint16": 16,
    "int8": 8,
    "uint8": 8,
    "bool": 8,
    "float8e4m3": 8,
    "float8e4m3fn": 8,
    "float8e4m3fnuz": 8,
    "float8e5m2": 8,
    "float8e5m2fnuz": 8,
    "int4": 4,
    "uint4": 4,
    "int2": 2,
}


@dataclass(frozen=True)
class Tensor:
    """What flows between operators.

    Attributes:
        key: equal for one and the same tensor, and for no other of the file.
        name: as the file has it; need not be unique in TFLite.
        dtype: such as ``"int8"``; ``"?"`` where an ONNX file leaves it open.
        shape: axes in the file's order, None for a dynamic dimension; None where the rank is unknown.
        granularity: how finely scales were given: ``""`` (none), ``"/tensor"``, ``"/channel"``,
            ``"/equal channels"`` or ``"/block"``.
        constant: whether the file holds its values.
        variable: whether it keeps its values from one inference to the next.
        stored: names the bytes of a constant, which several tensors may share.
        stored_bytes: how many there are.
        quantization: scales and zero points, where they are given for inputs and outputs.
    """

    key: str
    name: str
    dtype: str
    shape: Shape | None = None
    granularity: str = ""
    constant: bool = False
    variable: bool = False
    stored: str = ""
    stored_bytes: int = 0
    quantization: QuantParams | None = None

    @property
    def elements(self) -> int | None:
        """How many values it has, dynamic dimensions counted as 1; None where the shape is unknown."""
        return None if self.shape is None else product(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """What its values take; None where shape or dtype do not say."""
        elements, bits = self.elements, _BITS.get(self.dtype)
        return None if elements is None or bits is None else -(-elements * bits // 8)


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        op: its name; for operators beside the standard's, the custom code, or domain and name.
        inputs: None for one that is left out.
        outputs: None for one that is left out.
        version: of the operator in TFLite, the opset of its domain in ONNX.
        attributes: those that decide about costs and needs.
        bodies: the graphs inside of it, in ONNX; TFLite's operators name graphs of the file.
    """

    op: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor | None, ...]
    version: int
    attributes: Mapping[str, int | str] = field(default_factory=dict)
    bodies: tuple[Graph, ...] = ()

    @property
    def tensor(self) -> str:
        """The name of its first output."""
        return self.outputs[0].name if self.outputs and self.outputs[0] else ""


@dataclass(frozen=True)
class Graph:
    """One graph of a file: the first is the model's own, others are bodies of loops and the like.

    Attributes:
        inputs, outputs: in the file's order; constants are none of the inputs.
        operators: in the order in which they run.
        constants: all tensors whose values the graph holds.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    constants: tuple[Tensor, ...]


@dataclass(frozen=True)
class Model:
    """All graphs of a file.

    Attributes:
        format: ``"tflite"`` or ``"onnx"``.
        graphs: in the file's order; in ONNX a body comes before the graph whose operator it is of.
        main: the index of the graph that a caller runs.
        inputs, outputs: of that graph, by the names that callers use.
        ir_version: of an ONNX file; 0 in TFLite.
        opsets: of an ONNX file, by domain; ONNX's own is ``""``.
        signatures: of a TFLite file, the names of inputs and of outputs by the signature's.
    """

    format: str
    graphs: tuple[Graph, ...]
    main: int
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    ir_version: int = 0
    opsets: Mapping[str, int] = field(default_factory=dict)
    signatures: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    @property
    def operators(self) -> Iterator[Operator]:
        """Every operator of every graph, in the file's order."""
        return (operator for graph in self.graphs for operator in graph.operators)


def product(sizes: Shape) -> int:
    """The sizes multiplied, dynamic dimensions counted as 1."""
    result = 1
    for size in sizes:
        result *= 1 if size is None else size
    return result
