"""Inspect: what a model file holds, what it costs, and who runs it, whoever made it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from edgekit.artifact import FORMATS, Artifact
from edgekit.errors import ArtifactError, UsageError, placed
from edgekit.files import compressed_size
from edgekit.formats.graph import Model, Operator, Tensor
from edgekit.formats.metadata import Metadata, find_tflite, from_onnx_map
from edgekit.formats.model_file import read_model
from edgekit.formats.onnx import completed, properties
from edgekit.formats.onnx_saturation import saturating
from edgekit.inspection import costs
from edgekit.inspection.compatibility import Incompatibility, obstacles_by_version
from edgekit.inspection.inspection import (
    Activations,
    DeclaredTensor,
    ExternalFile,
    Inference,
    Inspection,
    LayerCost,
    Macs,
    Obstacle,
    SaturatingOp,
    Signature,
    Weights,
    fallbacks,
)
from edgekit.inspection.partitions import Shapes, partitions_of, shapes_of
from edgekit.inspection.whole_numbers import exact_operators
from edgekit.manifest import BRIDGES, FloatOp

# Of ONNX: layers whose integer kernels give unrounded sums to a caller, and what may follow them.
SUMS = frozenset({"Gemm", "MatMul"})
ANSWERS = frozenset({"Softmax", "Sigmoid"})
# Operators that edgekit leaves in float although there are integer kernels.
_LEFT_IN_FLOAT = {"DIV": "the integer kernel ends the inference at a divisor that rounds to zero"}
# What a path is taken for that was not opened.
_AS_KERAS = {
    "keras": "the ending of a Keras model",
    "hdf5": "the ending of a Keras model",
    "savedmodel": "a folder",
}
_INTEGER_SCHEMES = ("int8", "int16x8")
# Of ONNX: operators that take quantised integers themselves, in files that others made as well.
_INTEGER_KERNELS = {"ConvInteger", "MatMulInteger"}
_INTEGER_PREFIXES = ("QLinear", "com.microsoft.QLinear", "com.microsoft.QGemm")
_OF_TWO_VALUES = SUMS | {"Add", "Conv", "ConvTranspose", "Div", "Mul", "PRelu", "Sub"}
_REAL = {"float16", "bfloat16", "float32", "float64"}
_QUANTIZED = {"int8", "uint8", "int16", "int4"}
# By interpreter and version, what stands in the way.
_Found = Mapping[str, Mapping[str, Sequence[Incompatibility]]]


@dataclass(frozen=True)
class Operators:
    """The operators of one file.

    Attributes:
        counts: how often each occurs, by the dtype it computes in.
        float_ops: those that compute in float although the file is for integers.
        integers: how many compute with quantised integers.
    """

    counts: dict[str, dict[str, int]]
    float_ops: tuple[FloatOp, ...]
    integers: int = 0


def operators_of(model: Model, scheme: str | None, ways: Sequence[str] = ()) -> Operators:
    """Count the operators of a file.

    Args:
        model: the file's graphs.
        scheme: as in `edgekit.artifact.SCHEMES`; None if unknown.
        ways: the fallbacks that were taken for it, such as "ADD, SUB left in float: ...".
    """
    rows = [row for graph in model.graphs for row in _rows(model.format, graph.operators)]
    counts: dict[str, Counter[str]] = {}
    for operator, dtype in rows:
        counts.setdefault(dtype, Counter())[operator.op] += 1
    integers = sum(dtype in _QUANTIZED and o.op not in BRIDGES for o, dtype in rows)
    integer = {o.op for o, dtype in rows if dtype in _QUANTIZED}
    whole = {id(o) for graph in model.graphs for o in exact_operators(graph)}
    left = _left_in_float(ways)
    float_ops: tuple[FloatOp, ...] = ()
    if scheme in _INTEGER_SCHEMES or (scheme is None and integers):
        float_ops = tuple(
            FloatOp(o.op, o.tensor, _reason(o, scheme, integer, left, whole))
            for o, dtype in rows
            if dtype == "float32" and o.op not in BRIDGES
        )
    ordered = {dtype: dict(sorted(counts[dtype].items())) for dtype in sorted(counts)}
    return Operators(ordered, float_ops, integers)


def _left_in_float(ways: Sequence[str]) -> dict[str, str]:
    """By operator, the first fallback that says that it was left in float."""
    found: dict[str, str] = {}
    for way in ways:
        names, said, _ = way.partition(" left in float")
        for name in names.split(", ") if said else ():
            found.setdefault(name, way)
    return found


def _reason(
    operator: Operator,
    scheme: str | None,
    integer: Set[str],
    left: Mapping[str, str],
    whole: Set[int],
) -> str:
    if operator.op in left:
        return left[operator.op]
    if scheme is not None and id(operator) in whole:
        return "it leads to a whole number, such as an index, which rounded values would miss"
    if scheme is not None and operator.op in integer:
        return (
            f"the quantiser left this one in float, as the input or output next to it is; it knows "
            f"{operator.op} in {scheme}"
        )
    if scheme == "int8" and operator.op in ANSWERS:
        return "it makes an answer of float sums, which nobody rounds"
    if scheme is not None and operator.op in _LEFT_IN_FLOAT:
        return _LEFT_IN_FLOAT[operator.op]
    if scheme is not None:
        return f"the quantiser has no {scheme} version of {operator.op}"
    held = {t.dtype for t in operator.inputs if t and t.constant and t.granularity}
    if held:
        return f"its weights are {', '.join(sorted(held))}, its activations were left in float"
    return "left in float by whoever made the file, which does not say why"


def _rows(format: str, operators: tuple[Operator, ...]) -> list[tuple[Operator, str]]:
    """Each operator and the dtype it computes in: in TFLite that of its first output, or what it compares."""
    if format == "tflite":
        return [(o, _tflite_dtype(o)) for o in operators]
    producers = {t.key: o.op for o in operators for t in o.outputs if t}
    consumers: dict[str, list[str]] = {}
    for o in operators:
        for tensor in o.inputs:
            if tensor:
                consumers.setdefault(tensor.key, []).append(o.op)
    rows = []
    for o in operators:
        # The runtime fuses DequantizeLinear, operator, QuantizeLinear into one integer kernel; those
        # of matrices give float values too.
        fed = [producers.get(t.key, "") for t in o.inputs if t and not t.constant]
        read = consumers.get(o.outputs[0].key, []) if o.outputs and o.outputs[0] else []
        integer = (
            bool(fed)
            and all(op == "DequantizeLinear" for op in fed)
            and not _takes_a_float_constant(o)
            and (o.op in SUMS or (bool(read) and all(op == "QuantizeLinear" for op in read)))
        )
        rows.append((o, "int8" if integer or o.op in BRIDGES else _computed_in(o)))
    return rows


def _tflite_dtype(operator: Operator) -> str:
    given = operator.outputs[0].dtype if operator.outputs and operator.outputs[0] else "none"
    compared = [t.dtype for t in operator.inputs if t] if given == "bool" else []
    return compared[0] if compared else given


def _takes_a_float_constant(operator: Operator) -> bool:
    """Whether one of the values that an ONNX operator multiplies or adds is a constant in float."""
    values = operator.inputs[:2] if operator.op in _OF_TWO_VALUES else ()
    return any(tensor and tensor.constant and tensor.dtype in _REAL for tensor in values)


def _computed_in(operator: Operator) -> str:
    """The dtype that an ONNX operator computes in: an integer kernel's, or that of what it gives."""
    if operator.op in _INTEGER_KERNELS or operator.op.startswith(_INTEGER_PREFIXES):
        return "int8"
    given = [t.dtype for t in (*operator.outputs, *operator.inputs) if t and t.dtype in _REAL]
    outputs = [t.dtype for t in operator.outputs if t]
    # Of a comparison, what is compared; of a cast, what it gives.
    return given[0] if given else (outputs[0] if outputs and outputs[0] != "?" else "float32")


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Tell what a ``.tflite`` or ``.onnx`` file holds and costs. Needs no TensorFlow.

    The file is read with checks at every step; interpreters meet it in child processes with limits
    on time and memory alone, so that it need not be trusted.

    Raises:
        UsageError: nothing is at `path`, or a file of another format.
        ArtifactError: the file is damaged or no model file.
    """
    artifact = Artifact.of(path)
    if artifact.format not in FORMATS:
        raise UsageError(
            f"{path}: received {_AS_KERAS[artifact.format]}, expected a .tflite or .onnx file. Export it "
            "first: edgekit export."
        )
    try:
        content = artifact.path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        model = read_model(content, artifact.format)
        metadata = _metadata(content, artifact.format)
        sums = saturating(content) if artifact.format == "onnx" else ()
    except ArtifactError as error:
        raise ArtifactError(placed(path, error)) from error
    # What was measured is told apart by what files declare, not by what can be inferred.
    found, shapes = _with_missing(obstacles_by_version(model), artifact), Shapes({})
    if artifact.format == "onnx":
        shapes = shapes_of(artifact)
        model = completed(model, shapes.known)
    scheme = metadata.recipe.get("scheme") if metadata else artifact.scheme
    operators = operators_of(model, scheme, fallbacks(metadata))
    return Inspection(
        artifact=artifact.recorded(),
        compressed_size_bytes=sum(map(compressed_size, (content, *_external(artifact)))),
        metadata=metadata,
        inputs=_declared(model.inputs),
        outputs=_declared(model.outputs),
        ops=operators.counts,
        float_ops=operators.float_ops,
        macs=_macs(model),
        weights=_weights(model),
        activations=_activations(model),
        shapes=Inference(shapes.reason, shapes.sandbox),
        delegate=partitions_of(artifact, model),
        loadable_by=_versions(found, lambda obstacles: not obstacles),
        unmeasured_by=_versions(
            found, lambda obstacles: bool(obstacles) and not any(o.measured for o in obstacles)
        ),
        obstacles=_obstacles(found),
        ir_version=model.ir_version if artifact.format == "onnx" else None,
        opsets={domain or "ai.onnx": version for domain, version in model.opsets.items()},
        signatures=tuple(Signature(name, *ways) for name, ways in model.signatures.items()),
        external_files=tuple(
            ExternalFile(name, path.stat().st_size if path else None)
            for name, path in artifact.external.items()
        ),
        saturating=tuple(SaturatingOp(s.op, s.tensor, s.cured) for s in sums),
    )


def _external(artifact: Artifact) -> Iterator[bytes]:
    return (path.read_bytes() for path in artifact.external.values() if path)


def _with_missing(found: _Found, artifact: Artifact) -> _Found:
    """With the external files that are not there, which stand in everybody's way."""
    missing = [
        Incompatibility("", "", f"the external file {name!r} is not there", True)
        for name, path in artifact.external.items()
        if path is None
    ]
    return {
        name: {version: [*missing, *obstacles] for version, obstacles in row.items()}
        for name, row in found.items()
    }


def _versions(
    found: _Found, wanted: Callable[[Sequence[Incompatibility]], bool]
) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(version for version, obstacles in row.items() if wanted(obstacles))
        for name, row in found.items()
    }


def _obstacles(found: _Found) -> tuple[Obstacle, ...]:
    """What stands in the way, each once for the versions of an interpreter where it does."""
    versions: dict[tuple[str, Incompatibility], list[str]] = {}
    for name, row in found.items():
        for version, obstacles in row.items():
            for each in obstacles:
                versions.setdefault((name, each), []).append(version)
    return tuple(
        Obstacle(name, tuple(where), each.op, each.tensor, each.reason, each.measured)
        for (name, each), where in versions.items()
    )


def _declared(tensors: Mapping[str, Tensor]) -> tuple[DeclaredTensor, ...]:
    return tuple(
        DeclaredTensor(name, t.dtype, t.shape, t.quantization) for name, t in tensors.items()
    )


def _macs(model: Model) -> Macs:
    counted = [(o, costs.macs(o)) for o in model.operators]
    layers = tuple(LayerCost(o.op, o.tensor, n) for o, n in counted if n != 0)
    total = sum(layer.macs or 0 for layer in layers)
    return Macs(total, sum(layer.macs is None for layer in layers), layers)


def _weights(model: Model) -> Weights:
    by_dtype = costs.weights(model.graphs)
    return Weights(sum(by_dtype.values()), by_dtype)


def _activations(model: Model) -> Activations:
    memory = costs.memory(model.graphs)
    return Activations(memory.sum_bytes, memory.peak_arena_bytes, True, memory.unknown)


def _metadata(content: bytes, format: str) -> Metadata | None:
    if format == "onnx":
        return from_onnx_map(properties(content))
    stored = find_tflite(content)
    return None if stored is None else Metadata.from_bytes(stored)
