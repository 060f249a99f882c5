"""Manifest: all files of one export, and what was done to make them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

from edgekit import document
from edgekit.artifact import Artifact, Format, Sha256
from edgekit.document.record import (
    INLINE,
    LATER,
    Count,
    Document,
    Fraction,
    NotNegative,
    Positive,
    Record,
    Text,
)
from edgekit.errors import DocumentError
from edgekit.tensor import TensorSpec

MANIFEST_NAME = "manifest.json"
# Operators that carry values between integers and floats and compute nothing.
BRIDGES = frozenset({"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear"})

_Pair = Annotated[list[Count], ("minItems", 2), ("maxItems", 2)]
_Sizes = Annotated[list[list[Count]], ("minItems", 2), ("maxItems", 2)]


class Remark(TypedDict):
    """A sentence, beside numbers of its own.

    Attributes:
        text: the sentence.
    """

    text: str


class Pruned(TypedDict, total=False):
    """What pruning did, layer by layer, before and after."""

    channels_by_layer: dict[str, _Pair]
    kernels_by_layer: dict[str, _Sizes]
    strides_by_layer: dict[str, _Sizes]
    sparsity_by_layer: dict[str, Fraction]
    channels_expected: Remark
    sparsity_expected: Remark
    judged: Remark


class Clustered(TypedDict, total=False):
    """How many distinct weights each layer has."""

    distinct_by_layer: dict[str, Count]
    expected: Remark
    judged: Remark


class LeftInFloat(TypedDict):
    """A layer that was not trained for integers, and why."""

    layer: str
    kind: str
    reason: str


class Trained(TypedDict, total=False):
    """Which layers were trained for int8."""

    quantized_layers: list[str]
    in_float: list[LeftInFloat]
    judged: Remark


class Fit(TypedDict, total=False):
    """How integers were fitted to calibration samples, and what that brought.

    Attributes:
        quality: ``fast``, ``default`` or ``best``, as it was requested.
        samples: how many the integers were fitted to.
        held_out: how many others it was judged on.
        layers: how many were fitted.
        kept: of how many layers each step made the error smaller on held-out samples.
        equalised: how many pairs of layers have channels that were brought to one size between them.
        sqnr_db: how well the outputs follow the float file on held-out samples, in decibel, before a
            last softmax or sigmoid; the mean of several.
        sqnr_db_before: without the fit.
        reason: why there was no fit, or why it was not kept.
    """

    quality: Annotated[str, ("enum", ("fast", "default", "best"))]
    samples: Count
    held_out: Count
    layers: Count
    kept: dict[str, Count]
    equalised: Count
    sqnr_db: float
    sqnr_db_before: float
    reason: str


class TriedFile(TypedDict, total=False):
    """A file that a search made and judged.

    Attributes:
        name: what it was called while it was searched.
        scheme: of `edgekit.artifact.SCHEMES`; ``int8`` with operators in float too.
        left_in_float: operators that the search left in float, by their first outputs.
        size_bytes: of the file.
        compressed_size_bytes: packed by xz.
        p50_ms: its median latency on the machine of the search; None where it was not timed.
        predicted_db: how well the outputs of a mixed file were predicted to follow, in decibel.
        searched_db: how well its outputs follow the original's on the samples of the search.
        verdict: of the samples that judge.
        reasons: a sentence for each limit that led to it.
        accuracy, drop, drop_ci95, agreement, sqnr_db: on those samples.
        chosen: whether it is the file that was written.
    """

    name: str
    scheme: str
    left_in_float: list[str]
    size_bytes: Count
    compressed_size_bytes: Count
    p50_ms: float | None
    predicted_db: float | None
    searched_db: float | None
    verdict: str
    reasons: list[str]
    accuracy: Fraction | None
    drop: float | None
    drop_ci95: list[float] | None
    agreement: Fraction | None
    sqnr_db: float | None
    chosen: bool


class SearchRecord(TypedDict, total=False):
    """How the smallest or fastest file was found that meets a budget.

    Attributes:
        minimise: ``size``, ``packed`` or ``latency``.
        budget: its limits, in words.
        searched: samples that were searched with.
        judged: others, which verdicts rest on.
        costs: where the times of kernels come from that the search reckoned with.
        tried: every file that was made, the most exact on the samples of the search first.
        unmade: of files that were not, by name, the reason.
    """

    minimise: Annotated[str, ("enum", ("size", "packed", "latency"))]
    budget: list[str]
    searched: Count
    judged: Count
    costs: str
    tried: list[TriedFile]
    unmade: dict[str, str]


class FileRecipe(TypedDict, total=False):
    """How a file was made.

    Attributes:
        optimized: what was done to the model before, in order.
    """

    fit: Fit
    search: SearchRecord

    optimized: list[str]
    prune: Pruned
    cluster: Clustered
    qat: Trained


@dataclass(frozen=True)
class FloatOp(Record):
    """An operator left in float in a file that is for integers.

    Attributes:
        tensor: what it gives.
        reason: why it is in float.
    """

    op: str
    tensor: str
    reason: str


@dataclass(frozen=True)
class OutputCheck(Record):
    """How one output of a file follows the model's on the samples of the check.

    Attributes:
        output: its name.
        kind: what it is judged as: ``softmax`` and ``sigmoid`` whatever shape they then get,
            ``integers``, else ``values``.
        max_error: the largest difference, as a fraction of the range of the model's output; None
            where a value is not finite.
        sqnr_db: of the channels of the last axis, in decibel; of the logits of a softmax or sigmoid.
            None where they are equal, and for integers but for amounts, such as pixels, at 15 dB or more.
        kept: the share of arg-maxes, of decisions at one half, or of equal integers.
        channels: how many there are.
        dead: places of channels that move in the model and are constant, or not finite, in the file;
            the first 20.
        dead_count: how many there are.
    """

    output: str
    kind: Annotated[str, ("enum", ("values", "softmax", "sigmoid", "integers"))]
    max_error: NotNegative | None
    sqnr_db: float | None = None
    kept: Fraction | None = None
    channels: Count = 1
    dead: tuple[Count, ...] = ()
    dead_count: Count = 0


@dataclass(frozen=True)
class Check(Record):
    """What came of running a file beside the model that it was made of, before it was handed over.

    Attributes:
        samples: how many.
        origin: ``calibration``; ``generated`` where some of them stand in for too few; or ``seeded``
            inputs where there were none.
        kernels: the interpreters that ran the file, each with version and mode.
        outputs: one by one.
    """

    samples: Positive
    origin: Annotated[str, ("enum", ("calibration", "generated", "seeded"))]
    kernels: tuple[str, ...]
    outputs: tuple[OutputCheck, ...]


@dataclass(frozen=True)
class ExportedFile(Record):
    """A manifest's entry for one file.

    Attributes:
        artifact: the file, beside the manifest.
        inputs, outputs: as the file itself declares them.
        recipe: what was done: scheme, calibration, optimisation; JSON values only.
        ops: how often each operator occurs, by the dtype it computes in.
        float_ops: operators left in float in a quantised file.
        warnings: what to know before the file is put to use, such as where it does not run.
        golden_sha256: of the golden file that the file names as its own; None if it names none.
        compressed_size_bytes: of the file packed by xz, as an update would carry it; None where that
            would take too long.
        check: how the file follows the model; None for a file that nothing here can run.
    """

    artifact: Artifact = field(metadata=INLINE)
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    recipe: Annotated[dict[str, Any], ("properties", FileRecipe)]
    ops: dict[str, dict[str, Count]]
    float_ops: tuple[FloatOp, ...]
    warnings: tuple[str, ...] = ()
    golden_sha256: Sha256 | None = None
    compressed_size_bytes: Count | None = None
    check: Check | None = field(default=None, metadata=LATER)

    @property
    def float_share(self) -> str:
        """Which part of a file for integers is not: ``"int8, 2 of 31 operators float"``."""
        return float_share(self.artifact.scheme or "", self.ops, len(self.float_ops))


def float_share(scheme: str, ops: Mapping[str, Mapping[str, int]], floats: int) -> str:
    """How many operators of a file for integers compute in float: ``"int8, 2 of 31 operators float"``.

    Args:
        scheme: as in `edgekit.artifact.SCHEMES`, or ``""``.
        ops: how often each operator occurs, by dtype; those that only convert do not count.
        floats: how many are in float.
    """
    count = sum(n for counts in ops.values() for op, n in counts.items() if op not in BRIDGES)
    word = f"{scheme}, " if scheme else ""
    return f"{word}{floats} of {count} operators float"


@dataclass(frozen=True)
class Source(Record):
    """The model that was exported.

    Attributes:
        path: the file's name alone.
        flavour: ``keras`` or ``tf_keras``.
    """

    path: Text
    sha256: Sha256
    format: Format
    size_bytes: Count
    flavour: str


@dataclass(frozen=True)
class Skipped(Record):
    """A file that was requested and not made.

    Attributes:
        reason: why not.
    """

    format: str | None
    scheme: str | None
    reason: str


@dataclass(frozen=True)
class Manifest(Document):
    """The exported files of one source model.

    Attributes:
        source: the model exported.
        versions: package name to version, of what made the files.
        files: sorted by file name.
        skipped: what was requested and not made.
    """

    kind: ClassVar[str] = "manifest"

    source: Source
    versions: dict[str, str]
    files: tuple[ExportedFile, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def of_files(self, names: Set[str]) -> Manifest:
        """This manifest with the entries of files of these names alone."""
        return replace(self, files=tuple(f for f in self.files if f.artifact.name in names))

    def merged_into(self, folder: Path, *, overwrite: bool = False) -> Manifest:
        """This manifest with the entries that `folder` has already and that this one does not replace.

        Args:
            folder: where the files go.
            overwrite: let this manifest take the place of one of another source model.

        Raises:
            DocumentError: as `earlier`.
        """
        old = earlier(folder, self.source.sha256, overwrite=overwrite)
        if old is None:
            return self
        names = {file.artifact.name for file in self.files}
        kept = [file for file in old.files if file.artifact.name not in names]
        redone = {
            *((file.artifact.format, file.artifact.scheme) for file in self.files),
            *((row.format, row.scheme) for row in self.skipped),
        }
        skipped = [row for row in old.skipped if (row.format, row.scheme) not in redone]
        return replace(
            self,
            files=tuple(sorted((*kept, *self.files), key=lambda file: file.artifact.name)),
            skipped=(*skipped, *self.skipped),
        )


def earlier(folder: Path, sha256: str, *, overwrite: bool = False) -> Manifest | None:
    """The manifest in `folder` that an export of the model with `sha256` adds to; None if none is there.

    Args:
        folder: where the files go.
        sha256: of the source model.
        overwrite: let a manifest of another source model go, as if none were there.

    Raises:
        DocumentError: the folder's manifest is unreadable, or of another source model.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        found = document.load(path)
    except DocumentError as error:
        raise DocumentError(
            f"{path}: not a manifest of edgekit's ({error}) Export to another folder."
        ) from error
    if not isinstance(found, Manifest):
        raise DocumentError(
            f"{path}: not a manifest of edgekit's but a {found.kind} document. Export to another folder."
        )
    if found.source.sha256 == sha256:
        return found
    if overwrite:
        return None
    raise DocumentError(
        f"{path}: is of a model with sha256 {found.source.sha256[:12]}…, this one has "
        f"{sha256[:12]}…. Export to another folder, or give --overwrite."
    )
