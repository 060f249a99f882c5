"""Export: a model to every file asked for, from one trace, one float conversion and one calibration."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from edgekit import document
from edgekit.artifact import FORMATS, Artifact
from edgekit.convert import flex
from edgekit.convert.fitting import Aim, Fitted, Remake, fit
from edgekit.convert.freeze import Frozen, freeze
from edgekit.convert.inspect import inspect
from edgekit.convert.metadata import write_onnx, write_tflite
from edgekit.convert.onnx import float_onnx, int8_onnx
from edgekit.convert.refusals import load_reason, place
from edgekit.convert.tflite import find_ranges, float_tflite, quantize_tflite
from edgekit.errors import ArtifactError, ExportError, UsageError
from edgekit.files import refuse_existing
from edgekit.manifest import MANIFEST_NAME, ExportedFile, Manifest
from edgekit.metadata import Metadata
from edgekit.models import load
from edgekit.models.source import SourceModel
from edgekit.optimize.prune import prune
from edgekit.recipe import ExportRecipe
from edgekit.runtime import load as load_runner
from edgekit.samples import Samples, load_samples

_WRITERS = {"tflite": write_tflite, "onnx": write_onnx}
_ONNX_SCHEMES = ("float32", "int8")
_CALIBRATED = ("int8", "int16x8")
_MAKERS = (
    "tensorflow",
    "keras",
    "tf-keras",
    "ai-edge-quantizer",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "tensorflow-model-optimization",
    "numpy",
)

Progress = Callable[[str], None]


def export(
    model: str | os.PathLike[str] | SourceModel,
    *,
    out: str | os.PathLike[str],
    schemes: Sequence[str] = ExportRecipe.schemes,
    formats: Sequence[str] = ExportRecipe.formats,
    calibration: Samples | str | os.PathLike[str] | None = None,
    data: Samples | str | os.PathLike[str] | None = None,
    recipe: ExportRecipe | None = None,
    overwrite: bool = False,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> list[Artifact]:
    """Write a model as TFLite and ONNX files, and ``manifest.json`` beside them.

    Files are named ``<stem>.<scheme>.<ext>``, those of a pruned model
    ``<stem>.prune50.<scheme>.<ext>``. They appear when all of them are made and each was
    loaded once; a manifest of the same model that is there already is added to.

    Args:
        model: a ``.keras`` or HDF5 file, a SavedModel folder, or one loaded with `edgekit.models.load`.
        out: the folder to write to; made if it is not there.
        schemes: of ``float32``, ``float16``, ``dynamic``, ``int8``, ``int16x8``.
        formats: of ``tflite``, ``onnx``. ONNX takes ``float32`` and ``int8``; other
            combinations are listed in the manifest as skipped, with the reason.
        calibration: samples from which int8 and int16x8 find the ranges of activations;
            labels are not needed.
        data: labelled samples to fine-tune with, where `recipe` prunes.
        recipe: everything else that can be chosen; its `schemes` and `formats` give way
            to the arguments of those names.
        overwrite: replace files that exist.
        trust_code: let code that the model file holds run.
        progress: called with a line of text for each step.

    Returns:
        The files made, in the order of `formats`, then `schemes`.

    Raises:
        UsageError: unknown scheme, format, device or target, missing file or calibration, existing
            output.
        ArtifactError: the model cannot be loaded.
        ExportError: nothing could be made, or a file made does not load.
        TensorError: the samples do not fit the model's inputs.
    """
    recipe = replace(recipe or ExportRecipe(), schemes=tuple(schemes), formats=tuple(formats))
    tell = progress or (lambda _: None)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, expected a folder to write to.")
    calibrated = [scheme for scheme in recipe.schemes if scheme in _CALIBRATED]
    if calibrated and calibration is None:
        raise UsageError(
            f"schemes {', '.join(calibrated)} need samples to find the ranges of activations: give "
            "--calibration SAMPLES (calibration=samples)."
        )
    if recipe.prune and data is None:
        raise UsageError(
            "pruning needs labelled samples to fine-tune with: give --data SAMPLES (data=samples)."
        )
    path = model.path if isinstance(model, SourceModel) else Path(model)
    stem = path.stem if path.is_file() else path.name
    if recipe.prune:
        stem += f".prune{round(recipe.prune.sparsity * 100)}"
    wanted = [
        _Wanted(format, scheme, f"{stem}.{scheme}{FORMATS[format]}")
        for format in dict.fromkeys(recipe.formats)
        for scheme in dict.fromkeys(recipe.schemes)
    ]
    refuse_existing([out / file.name for file in wanted], overwrite)
    aims = {file.format: Aim.of(recipe, file.format) for file in wanted}

    source = model if isinstance(model, SourceModel) else load(path, trust_code=trust_code)
    if recipe.class_names and source.classes not in (None, len(recipe.class_names)):
        raise UsageError(
            f"class_names: received {len(recipe.class_names)} names, expected {source.classes}: one for "
            "each class."
        )
    samples = _samples(calibration)
    if samples is not None:
        given = len(samples)
        samples = samples.for_inputs(source.inputs).subset(recipe.calibration, recipe.seed)
        if calibrated:
            tell(f"calibrate on {len(samples)} of {given} samples")
    origin = Artifact.of(source.path)
    manifest = Manifest(
        source={**origin.to_json(), "path": origin.name, "flavour": source.flavour},
        versions=_versions(),
    )
    # Asked now, so that nothing is converted for a folder that holds another model's files.
    manifest.merged_into(out, overwrite=overwrite)
    notes: dict[str, Any] = {"batch": recipe.batch}
    if recipe.prune:
        tell(f"prune to {recipe.prune.sparsity:.0%} and fine-tune")
        pruned = prune(source, recipe.prune, _samples(data), progress=tell)
        source = pruned.source
        notes["prune"] = {**asdict(recipe.prune), "sparsity_by_layer": pruned.sparsity}
    calibrated_notes: dict[str, Any] = {"io_dtype": recipe.io_dtype}
    if samples is not None:
        drawn = {"samples": len(samples), "seed": recipe.seed, "method": "min-max"}
        calibrated_notes["calibration"] = drawn

    with ExitStack() as stack:
        stack.enter_context(_folder(out))
        frozen = stack.enter_context(freeze(source, recipe.batch_size))
        # In the folder itself: a rename across file systems would not be atomic.
        workshop = Path(stack.enter_context(TemporaryDirectory(prefix=".edgekit-", dir=out)))
        files, skipped = [], []
        start = perf_counter()
        for file, fitted in _make(wanted, frozen, samples, recipe, aims):
            done = {"scheme": file.scheme, **notes}
            if file.scheme in _CALIBRATED:
                done |= calibrated_notes
            if aims[file.format].interpreters:
                done["targets"] = [str(target) for target in aims[file.format].interpreters]
            if isinstance(fitted, Fitted) and fitted.ways_down:
                done["ways_down"] = list(fitted.ways_down)
            known = Metadata(
                class_names=recipe.class_names, source_sha256=origin.sha256, recipe=done
            )
            try:
                if isinstance(fitted, str):
                    raise ExportError(fitted)
                files.append(_finish(workshop / file.name, fitted, file, known, frozen))
            except ExportError as error:
                reason = str(error)
                skipped.append({"format": file.format, "scheme": file.scheme, "reason": reason})
                tell(f"{file.name}: skipped, {reason}")
            else:
                size = files[-1].artifact.size_bytes / 1000
                tell(f"{file.name}: {size:.1f} KB in {perf_counter() - start:.2f} s")
                for line in (*fitted.ways_down, *files[-1].warnings):
                    tell(f"{file.name}: {line}")
            start = perf_counter()
        if not files:
            reasons = "; ".join(
                f"{row['format']} {row['scheme']}: {row['reason']}" for row in skipped
            )
            raise ExportError(f"{source.path}: no file could be made. {reasons}")
        manifest = replace(
            manifest, files=[file.to_json() for file in files], skipped=skipped
        ).merged_into(out, overwrite=overwrite)
        document.write(workshop / MANIFEST_NAME, manifest.to_json())
        for name in [*(file.artifact.name for file in files), MANIFEST_NAME]:
            (workshop / name).replace(out / name)
    return [replace(file.artifact, path=out / file.artifact.name) for file in files]


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder, and take it away again if the work in it fails and nothing is there."""
    made = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        made.append(folder)
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


@dataclass(frozen=True)
class _Wanted:
    format: str
    scheme: str
    name: str


def _make(
    wanted: Sequence[_Wanted],
    frozen: Frozen,
    samples: Samples | None,
    recipe: ExportRecipe,
    aims: Mapping[str, Aim],
) -> Iterator[tuple[_Wanted, Fitted | str]]:
    """Each file's content, or the reason why there is none."""
    convert: dict[str, Callable[..., bytes]] = {"tflite": float_tflite, "onnx": float_onnx}
    if recipe.allow_flex:
        convert["tflite"] = partial(float_tflite, allow_flex=True)
    floats: dict[str, bytes | str] = {}
    ranges: Any = None
    for file in wanted:
        if file.format == "onnx" and file.scheme not in _ONNX_SCHEMES:
            yield file, "onnxruntime's CPU kernels do not profit from it; use float32 or int8"
            continue
        if file.format not in floats:
            try:
                floats[file.format] = convert[file.format](frozen)
            except ExportError as error:
                floats[file.format] = str(error)
        content = floats[file.format]
        remake: Remake | None = None
        if isinstance(content, bytes) and file.scheme != "float32":
            try:
                if file.format == "onnx":
                    assert samples is not None, "export() asks for calibration first"
                    content = int8_onnx(content, samples)
                else:
                    if file.scheme in _CALIBRATED and ranges is None:
                        assert samples is not None, "export() asks for calibration first"
                        ranges = find_ranges(content, samples)
                    quantize = partial(
                        quantize_tflite, content, file.scheme, ranges, recipe.io_dtype
                    )
                    content, remake = quantize(), quantize
            except ExportError as error:
                content = str(error)
        if isinstance(content, str):
            yield file, content
            continue
        try:
            fitted = fit(
                content,
                file.format,
                file.scheme,
                aims[file.format],
                partial(_place, frozen),
                remake,
            )
        except ExportError as error:
            yield file, str(error)
        else:
            yield file, fitted


def _place(frozen: Frozen, tensor: str) -> str:
    return place(tensor, frozen.layers, sorted(spec.name for spec in frozen.outputs))


def _finish(
    path: Path, fitted: Fitted, file: _Wanted, known: Metadata, frozen: Frozen
) -> ExportedFile:
    """Write the file with what is known of it, load it as its user will, read what it declares."""
    warnings = fitted.warnings
    try:
        content = _WRITERS[file.format](fitted.content, known)
        path.write_bytes(content)
        if file.format == "tflite" and flex.found_in(content):
            # Nothing here runs such a file: not even TensorFlow, from 2.20.
            inputs, outputs = frozen.inputs, frozen.outputs
            warnings = (*warnings, flex.WARNING)
        else:
            with load_runner(path) as runner:
                inputs, outputs = runner.inputs, runner.outputs
    except ArtifactError as error:
        raise ExportError(load_reason(error, file.scheme)) from error
    operators = inspect(content, file.format, file.scheme)
    artifact = Artifact(path, file.format, file.scheme)
    return ExportedFile(
        artifact,
        inputs,
        outputs,
        dict(known.recipe),
        operators.counts,
        operators.float_ops,
        warnings,
    )


def _samples(given: Samples | str | os.PathLike[str] | None) -> Samples | None:
    return given if given is None or isinstance(given, Samples) else load_samples(given)


def _versions() -> dict[str, str]:
    versions = {"edgekit": importlib.metadata.version("edgekit")}
    for name in _MAKERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
