"""Job: one model on its way to files, from loading it to files that are tried and described."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.artifact import Artifact
from edgekit.cache import hash_of, key_of
from edgekit.convert.making import CALIBRATED, Made, Wanted, make
from edgekit.convert.refusals import load_reason
from edgekit.convert.targets import Aim
from edgekit.convert.tflite import flex
from edgekit.errors import ArtifactError, ExportError, UsageError
from edgekit.files import compressed_size
from edgekit.formats.metadata import Metadata
from edgekit.formats.write_metadata import write_onnx, write_tflite
from edgekit.inspection.inspect import operators_of
from edgekit.manifest import ExportedFile
from edgekit.models import load
from edgekit.models.source import SourceModel
from edgekit.optimize.chain import optimize
from edgekit.optimize.shelf import Shelf
from edgekit.optimize.steps import suffix
from edgekit.recipe import ExportRecipe
from edgekit.runtime import load as load_runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared

# xz takes about a second for this much.
_PACKED_BYTES = 1 << 20

_WRITERS = {"tflite": write_tflite, "onnx": write_onnx}


@dataclass(frozen=True)
class Result:
    """What became of a file that was asked for.

    Attributes:
        flavour: of the model it was made of.
        row: its entry in the manifest; None if it was not made.
        reason: why it was not made; None if it was.
    """

    flavour: str
    row: dict[str, Any] | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Job:
    """What decides about the files.

    Attributes:
        origin: the model's file or folder.
        model: the model, if the caller has loaded it.
        recipe: how.
        aims: for whom, by format.
        calibration: the samples to calibrate with.
        given: how many samples they were drawn from.
        validation: samples to hold against the ranges found.
        data: labelled samples to fine-tune with.
        trust_code: let code that the model file holds run.
        golden_sha256: of the golden file that the files are to name; None for none.
        shelf: where the models of an optimisation lie between its steps.
    """

    origin: Artifact
    model: SourceModel | None
    recipe: ExportRecipe
    aims: Mapping[str, Aim]
    calibration: Samples | None
    given: int
    validation: Samples | None
    data: Samples | None
    trust_code: bool
    golden_sha256: str | None = None
    shelf: Shelf | None = None

    def keys(self, files: Sequence[Wanted], versions: dict[str, str]) -> dict[Wanted, str]:
        """For each file a key that changes with everything that decides about its bytes."""
        samples = [hash_of(self.calibration), hash_of(self.validation)]
        common = {
            "source": self.origin.sha256,
            "recipe": {**asdict(self.recipe), "schemes": None, "formats": None, "files": None},
            "data": hash_of(self.data) if suffix(self.recipe) else None,
            # Refused samples stay refused, even for a file that they do not change.
            "samples": self.calibration
            and {name: [x.dtype.str, x.shape[1:]] for name, x in self.calibration.inputs.items()},
            "trust_code": self.trust_code,
            "golden": self.golden_sha256,
            "versions": versions,
        }
        return {
            file: key_of(
                **common,
                format=file.format,
                scheme=file.scheme,
                calibration=samples if file.scheme in CALIBRATED else None,
            )
            for file in files
        }

    def run(
        self, files: Sequence[Wanted], folder: Path, verbose: bool, tell: Callable[[str], None]
    ) -> Generator[tuple[Wanted, Result], None, None]:
        """Make `files` in `folder`; gives each when it is done, in no order."""
        source = self.model or load(
            self.origin.path, trust_code=self.trust_code, signature=self.recipe.signature
        )
        recipe = self.recipe
        about = self._about(source)
        samples = self.calibration
        notes: dict[str, Any] = {"batch": recipe.batch}
        if samples is not None:
            samples = prepared(samples, about, source.inputs)
            if any(file.scheme in CALIBRATED for file in files):
                tell(f"calibrate on {len(samples)} of {self.given} samples")
        held = self.validation and prepared(self.validation, about, source.inputs)
        flavour = source.flavour
        data = self.data and prepared(self.data, about, source.inputs)
        optimized = optimize(source, recipe, data, shelf=self.shelf, progress=tell)
        source = optimized.source
        if optimized.steps:
            # The file says what was done to it, the manifest what that came to: a small file's update
            # should not carry an account of its layers.
            notes["optimized"] = list(optimized.steps)
        with closing(
            make(files, source, samples, held, recipe, self.aims, folder, verbose)
        ) as results:
            for file, made in results:
                if isinstance(made, str):
                    yield file, Result(flavour, reason=made)
                    continue
                known = replace(
                    about,
                    source_sha256=self.origin.sha256,
                    golden_sha256=self.golden_sha256,
                    recipe={"scheme": file.scheme, **notes, **made.notes},
                )
                path = folder / file.name
                try:
                    finished = _finish(path, made, file, known, optimized.report)
                except (ArtifactError, ExportError) as error:
                    model = made.file.model
                    given = [operator.tensor for operator in model.graphs[model.main].operators]
                    yield file, Result(flavour, reason=load_reason(error, file.scheme, given))
                else:
                    yield file, Result(flavour, row=finished.to_json())

    def _about(self, source: SourceModel) -> Metadata:
        """What the files will say about themselves: as the model does, unless the recipe says otherwise."""
        names = self.recipe.class_names or source.metadata.class_names
        if names and source.classes not in (None, len(names)):
            raise UsageError(
                f"class_names: received {len(names)} names, expected {source.classes}: one for each "
                "class."
            )
        steps = self.recipe.preprocessing or source.metadata.preprocessing
        inputs = [spec.name for spec in source.inputs]
        return Metadata(class_names=names, preprocessing=steps).for_inputs(inputs)


def _finish(
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
        with load_runner(path) as runner:
            inputs, outputs = runner.inputs, runner.outputs
            # Some files load and fail at the first inference.
            runner.infer_raw({s.name: np.zeros(s.concrete_shape(), s.dtype) for s in inputs})
    ways = known.recipe.get("ways_down", ())
    operators = operators_of(made.file.model, file.scheme, ways)
    artifact = Artifact(str(path), file.format, file.scheme)
    recipe = {**known.recipe, **report}
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
