"""Inspection: what a model file holds and costs, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import LATER, Count, Document, Positive, Record
from edgekit.formats.metadata import Metadata
from edgekit.inspection.partitions import Partitions
from edgekit.manifest import FloatOp
from edgekit.runtime.sandbox.state import Sandbox
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
        sandbox: what held the process that inferred them; None where none did.
    """

    reason: str | None
    sandbox: Sandbox | None = field(default=None, metadata=LATER)


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
class Signature(Record):
    """A way into a file, with inputs and outputs of its own by name."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ExternalFile(Record):
    """A file beside an ONNX file that holds weights of it.

    Attributes:
        path: as the ONNX file names it, from its own folder.
        size_bytes: None if it is not there.
    """

    path: str
    size_bytes: Count | None


@dataclass(frozen=True)
class Obstacle(Record):
    """Why versions of an interpreter do not run a file, or are not known to.

    Attributes:
        versions: the oldest first.
        op: the operator; "" if it is the file as a whole.
        tensor: the name of the operator's first output.
        measured: whether it was seen to fail there; it may run where it was not.
    """

    interpreter: str
    versions: tuple[str, ...]
    op: str
    tensor: str
    reason: str
    measured: bool


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
        loadable_by: versions by interpreter that were seen to run all that is in it, the oldest first.
        unmeasured_by: versions of which nobody tried all that is in it, and nothing was seen to fail.
        obstacles: what stands in the way of the others.
        ir_version: of an ONNX file; None in TFLite.
        opsets: of an ONNX file, by domain; ONNX's own is ``"ai.onnx"``.
        signatures: of a TFLite file; the first gives `inputs` and `outputs`.
        external_files: that an ONNX file keeps weights in.
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
    unmeasured_by: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata=LATER)
    obstacles: tuple[Obstacle, ...] = field(default=(), metadata=LATER)
    ir_version: Count | None = field(default=None, metadata=LATER)
    opsets: dict[str, Count] = field(default_factory=dict, metadata=LATER)
    signatures: tuple[Signature, ...] = field(default=(), metadata=LATER)
    external_files: tuple[ExternalFile, ...] = field(default=(), metadata=LATER)
    saturating: tuple[SaturatingOp, ...] = field(default=(), metadata=LATER)

    @property
    def fallbacks(self) -> list[str]:
        """What the exporter had to do otherwise than asked, as the file's metadata say."""
        return fallbacks(self.metadata)


def fallbacks(metadata: Metadata | None) -> list[str]:
    """The fallbacks that a file tells of, as far as they are texts: it need not be trusted."""
    given = metadata.recipe.get("fallbacks") if metadata else None
    return [way for way in given if isinstance(way, str)] if isinstance(given, list) else []
