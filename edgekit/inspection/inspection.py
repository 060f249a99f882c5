"""Inspection: what a model file holds and costs, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import LATER, Count, Document, Positive, Record
from edgekit.formats.metadata import Metadata
from edgekit.inspection.partitions import Partitions
from edgekit.manifest import FloatOp
from edgekit.tensor import Axis, QuantParams


@dataclass(frozen=True)
class DeclaredTensor(Record):
    """An input or output as the file declares it.

    Attributes:
        shape: first axis is the batch; None where the file leaves a size or the whole shape open.
    """

    name: str
    dtype: str
    shape: tuple[Axis | None, ...] | None
    quantization: QuantParams | None


@dataclass(frozen=True)
class LayerCost(Record):
    """An operator that multiplies matrices.

    Attributes:
        macs: None where the file does not say the shapes.
    """

    op: str
    tensor: str
    macs: Count | None


@dataclass(frozen=True)
class Macs(Record):
    """Multiply-accumulates.

    Attributes:
        total: of all layers whose shapes are known; see `edgekit.inspection.costs.macs`.
        unknown_layers: how many are left out.
        layers: in the file's order.
    """

    total: Count
    unknown_layers: Count
    layers: tuple[LayerCost, ...]


@dataclass(frozen=True)
class Weights(Record):
    """Bytes that constants take in the file."""

    bytes: Count
    by_dtype: dict[str, Count]


@dataclass(frozen=True)
class Activations(Record):
    """Memory for what flows, worked out and not measured.

    Attributes:
        sum_bytes: of all tensors that operators give and callers hand over.
        peak_arena_bytes: of an arena that they share; None if they are too many to be laid out.
        estimate: true.
        unknown_tensors: how many are left out because the file does not say their size.
    """

    sum_bytes: Count
    peak_arena_bytes: Count | None
    estimate: bool
    unknown_tensors: Count


@dataclass(frozen=True)
class Inference(Record):
    """Whether shapes that an ONNX file does not declare were inferred.

    Attributes:
        reason: why not, so that MACs and memory leave out what needs them; None if they were.
    """

    reason: str | None


@dataclass(frozen=True)
class SaturatingOp(Record):
    """An operator whose int8 sums may saturate in onnxruntime on x86 without VNNI.

    Attributes:
        cured: whether onnxruntime's exact mode gives the right sums, which edgekit sets there.
    """

    op: str
    tensor: str
    cured: bool


@dataclass(frozen=True)
class Inspection(Document):
    """What a model file holds, costs and runs on.

    Attributes:
        compressed_size_bytes: of the file packed by xz, as an update would carry it.
        metadata: what edgekit stored in it; None if another made it.
        ops: how often each operator occurs, by the dtype it computes in.
        float_ops: those that compute in float although the file is for integers.
        weights: bytes by dtype.
        activations: memory for what flows.
        delegate: what XNNPACK takes of the main graph.
        loadable_by: versions by interpreter, the oldest first.
        saturating: operators whose int8 sums may saturate; see `edgekit.formats.onnx_saturation`.
    """

    kind: ClassVar[str] = "inspection"

    artifact: Artifact
    compressed_size_bytes: Count
    metadata: Metadata | None
    inputs: tuple[DeclaredTensor, ...]
    outputs: tuple[DeclaredTensor, ...]
    ops: dict[str, dict[str, Positive]]
    float_ops: tuple[FloatOp, ...]
    macs: Macs
    weights: Weights
    activations: Activations
    shapes: Inference
    delegate: Partitions
    loadable_by: dict[str, tuple[str, ...]]
    saturating: tuple[SaturatingOp, ...] = field(default=(), metadata=LATER)

    @property
    def fallbacks(self) -> list[str]:
        """What the exporter had to do otherwise than asked, as the file's metadata say."""
        return fallbacks(self.metadata)


def fallbacks(metadata: Metadata | None) -> list[str]:
    """The fallbacks that a file tells of, as far as they are texts: it need not be trusted."""
    given = metadata.recipe.get("fallbacks") if metadata else None
    return [way for way in given if isinstance(way, str)] if isinstance(given, list) else []
