"""Making: the content of every file, TFLite and ONNX side by side.

This process traces and converts to float, which needs TensorFlow. Everything that is made of a float
file needs none of it and is made by a worker, one a format.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.calibration.learned import Learned
from edgekit.calibration.methods import Method
from edgekit.calibration.mixed import Plan
from edgekit.calibration.ranges import Ranges
from edgekit.convert.apart import float_tflite_apart
from edgekit.convert.io_dtype import io_dtype, left_float
from edgekit.convert.onnx.convert import dynamic_onnx, float_onnx, int8_onnx
from edgekit.convert.onnx.float16 import float16_onnx
from edgekit.convert.refusals import place
from edgekit.convert.scheme_name import INTEGER_SCHEMES, check_name
from edgekit.convert.targets import Aim, Remake, fit
from edgekit.convert.tflite.convert import find_ranges, quantize_tflite
from edgekit.convert.tflite.fit import fitted_tflite
from edgekit.convert.tflite.kernel_check import prepared_by_kernels
from edgekit.convert.tflite.mixed import mixed_tflite
from edgekit.convert.trace.fake_quant import learn
from edgekit.convert.trace.freeze import Frozen, freeze
from edgekit.convert.worker import Worker, first_done
from edgekit.errors import ArtifactError, ExportError
from edgekit.formats.graph import Operator
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile
from edgekit.manifest import Fit
from edgekit.models.source import SourceModel
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples, save_npy
from edgekit.streams import quiet
from edgekit.tensor import TensorSpec

_UNCALIBRATED_ONNX = {"float16": float16_onnx, "dynamic": dynamic_onnx}
# Files whose weights are integers of eight bits.
FITTED = frozenset({*INTEGER_SCHEMES, "dynamic", "int8-weights"})
_ONNX_SCHEMES = ("float32", "int8", *_UNCALIBRATED_ONNX)
# ONNX first: its int8 takes longest, so that it should start first.
_FLOATS: dict[str, Callable[[Frozen, ExportRecipe, bool], bytes]] = {
    "onnx": lambda frozen, _, __: float_onnx(frozen),
    "tflite": lambda frozen, recipe, verbose: float_tflite_apart(
        frozen, allow_flex=recipe.allow_flex, verbose=verbose
    ),
}
# The names of the model's layers and outputs, for messages.
_Layers = tuple[tuple[str, ...], tuple[str, ...]]
_MODULES = {
    "onnx": ("onnxruntime.quantization",),
    "tflite": (
        "ai_edge_quantizer.quantizer",
        "ai_edge_quantizer.calibrator",
        "ai_edge_litert.interpreter",
    ),
}


@dataclass(frozen=True)
class Wanted:
    """A file that was asked for."""

    format: str
    scheme: str
    name: str


@dataclass(frozen=True)
class Made:
    """A file, what the manifest says of how it was made, and what to warn of.

    Attributes:
        file: without metadata.
        ends: the model's inputs and outputs, for a file that nothing here can load.
        fit: how its integers were fitted; None where that is of no use to it.
    """

    file: ModelFile
    notes: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ends: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]] = ((), ())
    fit: Fit | None = None


def make(
    wanted: Sequence[Wanted],
    source: SourceModel,
    samples: Samples | None,
    validation: Samples | None,
    recipe: ExportRecipe,
    aims: Mapping[str, Aim],
    folder: Path,
    verbose: bool = False,
) -> Generator[tuple[Wanted, Made | str], None, None]:
    """Each file, or the reason why there is none; in the order in which they get done.

    Args:
        wanted: what to make.
        source: the model.
        samples: to calibrate with, under the model's input names.
        validation: to hold against the ranges found, under the same names.
        recipe: how.
        aims: for whom, by format.
        folder: an empty one for temporary files.
        verbose: let through what libraries write.

    Raises:
        ExportError: the model cannot be traced.
        ChildError: a worker died.
    """
    possible = [f for f in wanted if f.format != "onnx" or f.scheme in _ONNX_SCHEMES]
    for file in wanted:
        if file not in possible:
            yield (
                file,
                "onnxruntime's quantiser does not make it of what tf2onnx writes; use float32, "
                "float16, dynamic or int8",
            )
    variants = {
        format: [f for f in possible if f.format == format and f.scheme != "float32"]
        for format in _FLOATS
    }
    with ExitStack() as stack:
        workers = {
            format: stack.enter_context(Worker(_MODULES[format], verbose))
            for format, files in variants.items()
            if files
        }
        stored = _Given(_store(samples, folder, "c"), _store(validation, folder, "v"))
        contents: dict[str, bytes | str] = {}
        with quiet(verbose), freeze(source, recipe.batch_size, folder, samples) as frozen:
            if samples is not None and frozen.places.tensors:
                stored = replace(stored, learned=_learned(frozen, samples))
            layers = (tuple(frozen.layers), tuple(sorted(spec.name for spec in frozen.outputs)))
            ends, undone = (frozen.inputs, frozen.outputs), frozen.notes
            for format in _FLOATS:
                if all(file.format != format for file in possible):
                    continue
                content = contents[format] = _content(_FLOATS[format], frozen, recipe, verbose)
                if isinstance(content, bytes) and variants[format]:
                    path = folder / f"float.{format}"
                    path.write_bytes(content)
                    for file in variants[format]:
                        how = recipe, aims[format], layers
                        workers[format].submit(_variant, str(path), file, stored, *how)
        for file in possible:
            content = contents[file.format]
            if isinstance(content, str):
                yield file, content
            elif file.scheme == "float32":
                made = _float(content, file, aims[file.format], layers)
                yield file, made if isinstance(made, str) else _told(made, ends, undone)
        waiting = {
            workers[format]: list(files)
            for format, files in variants.items()
            if files and isinstance(contents[format], bytes)
        }
        while waiting:
            for worker in first_done(list(waiting)):
                made = worker.receive()
                made = made if isinstance(made, str) else _told(made, ends, undone)
                yield waiting[worker].pop(0), made
                if not waiting[worker]:
                    del waiting[worker]


def _told(made: Made, ends: Any, undone: tuple[str, ...]) -> Made:
    """A file with what the trace says of it."""
    if not undone:
        return replace(made, ends=ends)
    fallbacks = [*undone, *made.notes.get("fallbacks", ())]
    return replace(made, ends=ends, notes={**made.notes, "fallbacks": fallbacks})


def _learned(frozen: Frozen, samples: Samples) -> Learned:
    names = {
        spec.name: tensor for spec, tensor in zip(frozen.inputs, frozen.input_tensors, strict=True)
    }
    batch = (frozen.inputs[0].shape[0] if frozen.inputs[0].shape else None) or 1
    return learn(frozen.graph, names, frozen.places, samples, batch)


def _content(
    convert: Callable[[Frozen, ExportRecipe, bool], bytes],
    frozen: Frozen,
    recipe: ExportRecipe,
    verbose: bool,
) -> bytes | str:
    try:
        return convert(frozen, recipe, verbose)
    except ExportError as error:
        return str(error)


# Files of arrays by input name, which workers map into memory and share.
_Stored = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Given:
    """Where the samples are."""

    calibration: _Stored | None
    validation: _Stored | None
    learned: Learned | None = None


def _store(samples: Samples | None, folder: Path, word: str) -> _Stored | None:
    if samples is None:
        return None
    stored = []
    for number, (name, array) in enumerate(samples.inputs.items()):
        path = folder / f"{word}{number}.npy"
        save_npy(path, array)
        stored.append((name, str(path)))
    return tuple(stored)


def _variant(
    path: str, file: Wanted, given: _Given, recipe: ExportRecipe, aim: Aim, layers: _Layers
) -> Made | str:
    """In a worker: a float file in another scheme, or the reason why not."""
    ranges: Ranges | None = None
    remake: Remake | None = None
    ways: tuple[str, ...] = ()
    about: Fit | None = None
    try:
        if file.scheme in _UNCALIBRATED_ONNX and file.format == "onnx":
            made = ModelFile.read(_UNCALIBRATED_ONNX[file.scheme](_read(path)), "onnx")
        elif file.format == "onnx":
            samples, held = _samples(given.calibration), _samples(given.validation)
            assert samples is not None, "export() asks for calibration first"
            how = _method(recipe), recipe.seed, held, given.learned, recipe.quality
            content, ranges, plan, about = int8_onnx(_read(path), samples, *how)
            ways = _ways(plan, layers)
            made = ModelFile.read(content, "onnx")
        else:
            if file.scheme in INTEGER_SCHEMES:
                ranges = _ranges(path, given, _method(recipe), recipe.seed)
            quantize = partial(
                quantize_tflite,
                _tflite(path),
                file.scheme,
                ranges,
                recipe.io_dtype,
                samples=_samples(given.calibration),
                seed=recipe.seed,
            )
            made, in_float, ways = prepared_by_kernels(quantize, file.scheme)
            if ranges is not None and not ranges.learned and not recipe.integer_only:
                plan = _plan(path, made, partial(quantize, in_float), given, recipe)
                left = [each.operator for each in plan.left.values()]
                quantize, ways = partial(quantize, left=left), (*ways, *_ways(plan, layers))
                made = quantize(in_float) if left else made
            fit = partial(_fit, path, given, file.scheme, recipe)
            made, about = fit(made)

            def remake(more: frozenset[str]) -> ModelFile:
                nonlocal about
                again, about = fit(quantize(in_float | more))
                return again

        fitted = _fitted(made, file, aim, layers, remake, ways)
        named = check_name(
            fitted.file,
            file.scheme,
            Path(path).stat().st_size,
            lambda tensor: place(tensor, *layers),
            recipe.integer_only,
        )
    except (ArtifactError, ExportError) as error:
        return str(error)
    fitted = replace(fitted, fit=about)
    if ranges is None:
        return fitted
    calibration = {**ranges.to_json(), "seed": recipe.seed}
    model = fitted.file.model
    notes = {"io_dtype": io_dtype(model), "calibration": calibration, **fitted.notes}
    # ONNX files are float there by design.
    if file.format == "tflite" and (line := left_float(model, recipe.io_dtype)):
        notes["fallbacks"] = [*notes.get("fallbacks", ()), line]
    return replace(fitted, notes=notes, warnings=(*ranges.warnings, *fitted.warnings, *named))


def _fit(
    path: str, given: _Given, scheme: str, recipe: ExportRecipe, made: ModelFile
) -> tuple[ModelFile, Fit | None]:
    """A TFLite file whose integers are fitted, where samples are given and nothing speaks against it."""
    samples = _samples(given.calibration)
    if scheme not in FITTED or given.learned is not None:
        return made, None
    if samples is None:
        return made, Fit(quality=recipe.quality, reason="no calibration samples were given")
    return fitted_tflite(made, _tflite(path), samples, recipe.seed, recipe.quality)


def _plan(
    path: str,
    made: ModelFile,
    quantize: Callable[..., ModelFile],
    given: _Given,
    recipe: ExportRecipe,
) -> Plan:
    samples = _samples(given.calibration)
    assert samples is not None, "export() asks for calibration first"
    return mixed_tflite(_tflite(path), made, quantize, samples, recipe.seed)


def _ways(plan: Plan, layers: _Layers) -> tuple[str, ...]:
    """A line for each reason why operators are left in float."""
    by_reason: dict[str, list[Operator]] = {}
    for each in plan.left.values():
        by_reason.setdefault(each.reason, []).append(each.operator)
    return tuple(
        f"{', '.join(sorted({o.op for o in operators}))} left in float at "
        f"{', '.join(dict.fromkeys(place(o.tensor, *layers) for o in operators))}: {reason}"
        for reason, operators in by_reason.items()
    )


def _float(content: bytes, file: Wanted, aim: Aim, layers: _Layers) -> Made | str:
    """The float32 file, or the reason why there is none."""
    try:
        return _fitted(ModelFile.read(content, file.format), file, aim, layers)
    except (ArtifactError, ExportError) as error:
        return str(error)


def _fitted(
    made: ModelFile,
    file: Wanted,
    aim: Aim,
    layers: _Layers,
    remake: Remake | None = None,
    ways: tuple[str, ...] = (),
) -> Made:
    """The file as those can run it that it is for.

    Raises:
        ExportError: none of them can.
    """
    fitted = fit(made, file.scheme, aim, lambda tensor: place(tensor, *layers), remake)
    notes: dict[str, Any] = {}
    if aim.interpreters:
        notes["targets"] = [str(target) for target in aim.interpreters]
    if ways or fitted.fallbacks:
        notes["fallbacks"] = [*ways, *fitted.fallbacks]
    return Made(fitted.file, notes, fitted.warnings)


def _method(recipe: ExportRecipe) -> Method:
    return Method(recipe.calibration_method, recipe.percentile)


@cache
def _read(path: str) -> bytes:
    return Path(path).read_bytes()


@cache
def _tflite(path: str) -> TfliteFile:
    return read_file(_read(path))


@cache
def _samples(stored: _Stored | None) -> Samples | None:
    if stored is None:
        return None
    return Samples({name: np.load(path, mmap_mode="r") for name, path in stored})


@cache
def _ranges(path: str, given: _Given, method: Method, seed: int) -> Ranges:
    """One calibration pass for all schemes that need it."""
    samples, held = _samples(given.calibration), _samples(given.validation)
    assert samples is not None, "export() asks for calibration first"
    return find_ranges(_tflite(path), samples, method, seed, held, given.learned)
