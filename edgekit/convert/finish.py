"""Finish: a file's content written with what it says about itself, tried, and described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import Artifact
from edgekit.convert.check.cause import first_lost
from edgekit.convert.check.judge import hangs_on_batch, is_random, judge
from edgekit.convert.check.reference import Reference
from edgekit.convert.check.run import run
from edgekit.convert.refusals import inaccurate_reason, load_reason, random_reason
from edgekit.convert.tflite import flex
from edgekit.convert.tflite.kernel_check import STEPS
from edgekit.convert.variant import Made, Wanted
from edgekit.document.encode import encode
from edgekit.document.record import Record
from edgekit.errors import ArtifactError, ExportError
from edgekit.files import compressed_size
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_onnx, write_tflite
from edgekit.inspection.inspect import operators_of
from edgekit.manifest import ExportedFile
from edgekit.runtime import load as load_runner
from edgekit.runtime.random_inputs import run_first
from edgekit.tensor import TensorSpec

_HANGS = (
    "what the model answers to a sample hangs on the others of its batch: the file answers as the model does with "
    "{} at a time, and the model otherwise with more"
)

# xz takes about a second for this much.
_PACKED_BYTES = 1 << 20

_WRITERS = {"tflite": write_tflite, "onnx": write_onnx}


@dataclass(frozen=True)
class Result(Record):
    """What became of a file that was requested.

    Attributes:
        flavour: of the model it was made of.
        file: its entry in the manifest; None if it was not made.
        reason: why it was not made; None if it was.
    """

    flavour: str
    file: ExportedFile | None = None
    reason: str | None = None


def finished(
    made: Made | str,
    file: Wanted,
    folder: Path,
    known: Metadata,
    report: Mapping[str, Any],
    reference: Reference,
    *,
    allow_inaccurate: bool = False,
) -> Result:
    """Finish a file, unless it was not made, does not run, or does not answer as its model does.

    Args:
        made: its content, or the reason why there is none.
        folder: where it goes.
        known: what it is to say about itself.
        report: what else the manifest says about how it was made.
        reference: the model it was made of, and what that answers.
        allow_inaccurate: hand it over whatever it answers, with a warning.
    """
    flavour = reference.source.flavour
    if isinstance(made, str):
        return Result(flavour, reason=made)
    try:
        entry = finish(folder / file.name, made, file, known, report)
        checked = _checked(entry, made, file, reference, allow_inaccurate)
    except (ArtifactError, ExportError) as error:
        model = made.file.model
        operators = model.graphs[model.main].operators
        given, ops = [each.tensor for each in operators], [each.op for each in operators]
        return Result(flavour, reason=load_reason(error, file.scheme, given, ops))
    if isinstance(checked, str):
        return Result(flavour, reason=checked)
    return Result(flavour, checked)


def finish(
    path: Path, made: Made, file: Wanted, known: Metadata, report: Mapping[str, Any]
) -> ExportedFile:
    """Write the file with what is known of it, load it as its user will, read what it declares.

    Args:
        report: what else the manifest says about how it was made.

    Raises:
        ArtifactError: it does not load, or not run.
        ExportError: it grows too large.
    """
    content = _WRITERS[file.format](made.file.content, known)
    path.write_bytes(content)
    warnings = made.warnings
    if file.format == "tflite" and flex.found_in(made.file.model):
        # Nothing here runs such a file: not even TensorFlow, from 2.20.
        inputs, outputs = made.ends
        warnings = (*warnings, flex.WARNING)
    else:
        # onnxruntime's rewriting of quantised files ends the process where it meets some loops.
        nested = file.format == "onnx" and len(made.file.model.graphs) > 1
        # And XNNPACK of some steps that were written out.
        steps = any(operator.op == STEPS for operator in made.file.model.operators)
        with load_runner(path, verify=(nested or steps) and file.scheme != "float32") as runner:
            inputs, outputs = runner.inputs, runner.outputs
            # Some files load and fail at the first inference.
            run_first(runner, partial(_zeros, inputs), runner.infer_raw)
    ways = known.recipe.get("fallbacks", ())
    operators = operators_of(made.file.model, file.scheme, ways)
    artifact = Artifact(str(path), file.format, file.scheme).recorded(path.name)
    # The manifest alone says what came of the fit: a small file's update should not carry it.
    recipe = encode({**known.recipe, **report, **({"fit": made.fit} if made.fit else {})})
    # Zeros and shared weights show here alone; packing a large file takes longer than making it.
    packed = compressed_size(content) if report or len(content) <= _PACKED_BYTES else None
    return ExportedFile(
        artifact,
        inputs,
        outputs,
        recipe,
        operators.counts,
        operators.float_ops,
        warnings,
        known.golden_sha256,
        packed,
    )


def _checked(
    entry: ExportedFile, made: Made, file: Wanted, reference: Reference, allow_inaccurate: bool
) -> ExportedFile | str:
    """The manifest's entry with what came of running the file beside its model, or why it is not made.

    Raises:
        ArtifactError: an inference fails.
    """
    if file.format == "tflite" and flex.found_in(made.file.model):
        return entry
    try:
        answers = run(made.file, reference.samples)
        verdict = judge(file.scheme, reference, answers)
        hangs: tuple[str, ...] = ()
        batch = entry.inputs[0].shape[0] if entry.inputs and entry.inputs[0].shape else None
        if verdict.faults and is_random(reference):
            verdict = replace(verdict, faults=(random_reason(),), warnings=(), least_db=-np.inf)
            if not allow_inaccurate:
                return random_reason()
        elif verdict.faults and batch is not None and hangs_on_batch(reference, batch):
            verdict = judge(file.scheme, reference.of_batch(batch), answers)
            hangs = (_HANGS.format(batch),)
    except ExportError as error:
        return replace(entry, warnings=(*entry.warnings, f"was not checked: {error}"))
    said = (*verdict.faults, *verdict.warnings)
    if said and (cause := first_lost(made.file, reference, verdict.least_db)):
        said = (*said[:-1], f"{said[-1]}; the first layer that differs is {cause}")
    if verdict.faults and not allow_inaccurate:
        return inaccurate_reason(said)
    warnings = (*entry.warnings, *hangs, *said)
    return replace(entry, warnings=warnings, check=verdict.check)


def _zeros(inputs: tuple[TensorSpec, ...], size: int) -> dict[str, Any]:
    return {spec.name: _zeros_of(spec, spec.concrete_shape(size=size)) for spec in inputs}


def _zeros_of(spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    # Texts of any length are objects, and zeros of those are numbers.
    return np.full(shape, "", object) if spec.dtype == "object" else np.zeros(shape, spec.dtype)
