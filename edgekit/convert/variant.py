"""Variant: a float file in another scheme, made by a worker, which needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.calibration.alone import Losses
from edgekit.calibration.learned import Learned
from edgekit.calibration.lost import Left
from edgekit.calibration.methods import Method
from edgekit.calibration.mixed import Plan, left_of
from edgekit.calibration.ranges import Ranges
from edgekit.convert.io_dtype import io_dtype, left_float
from edgekit.convert.onnx.alone import onnx_losses
from edgekit.convert.onnx.convert import (
    Quantized,
    dynamic_onnx,
    int8_of,
    quantized_onnx,
)
from edgekit.convert.onnx.float16 import float16_onnx
from edgekit.convert.refusals import place, quantizer_reason
from edgekit.convert.scheme_name import INTEGER_SCHEMES, check_name
from edgekit.convert.targets import Aim, Remake, fit
from edgekit.convert.tflite.alone import tflite_losses
from edgekit.convert.tflite.convert import find_ranges, quantize_tflite
from edgekit.convert.tflite.fit import fitted_tflite
from edgekit.convert.tflite.kernel_check import prepared_by_kernels
from edgekit.convert.tflite.mixed import mixed_tflite
from edgekit.errors import ArtifactError, EdgekitError, ExportError, one_line
from edgekit.formats.graph import Operator
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile
from edgekit.manifest import Fit
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

# Why an operator is in float that a search chose.
_CHOSEN = "its error in int8 is worth more than it costs in float (accuracy budget)"
_WITHOUT_RANGES = ("float16", "dynamic")
# Files whose weights are integers of eight bits.
FITTED = frozenset({*INTEGER_SCHEMES, "dynamic", "int8-weights", "int4-weights"})
# Files that samples change: those, and halves, which hold large values in float32.
MEASURED = FITTED | {"float16"}
# What ONNX files are made in.
ONNX_SCHEMES = ("float32", "int8", *_WITHOUT_RANGES)
# The names of the model's layers and outputs, for messages.
Layers = tuple[tuple[str, ...], tuple[str, ...]]
# Files of arrays by input name, which workers map into memory and share.
Stored = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wanted:
    """A file that was requested.

    Attributes:
        left: operators of the float file that stay in float, by the names of their first outputs.
        quality: in place of the recipe's.
    """

    format: str
    scheme: str
    name: str
    left: tuple[str, ...] = ()
    quality: str | None = None


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


@dataclass(frozen=True)
class StoredSamples:
    """Where the samples are."""

    calibration: Stored | None
    validation: Stored | None
    search: Stored | None = None
    learned: Learned | None = None


def variant(
    file: Wanted, path: str, given: StoredSamples, recipe: ExportRecipe, aim: Aim, layers: Layers
) -> Made | str:
    """In a worker: a float file in another scheme, or the reason why not."""
    if file.quality is not None:
        recipe = replace(recipe, quality=file.quality)
    kept = dict.fromkeys(file.left, _CHOSEN)
    ranges: Ranges | None = None
    remake: Remake | None = None
    ways: tuple[str, ...] = ()
    about: Fit | None = None
    try:
        if file.scheme == "float16" and file.format == "onnx":
            made = ModelFile.read(float16_onnx(_read(path), _samples(given.calibration)), "onnx")
        elif file.scheme == "dynamic" and file.format == "onnx":
            made = ModelFile.read(dynamic_onnx(_read(path)), "onnx")
        elif file.format == "onnx":
            samples = _samples(given.calibration)
            assert samples is not None, "export() asks for calibration first"
            quantized = _quantized(path, given, _method(recipe), recipe.seed)
            ranges = quantized.ranges
            content, plan, about = int8_of(quantized, samples, recipe.seed, recipe.quality, kept)
            ways = _ways(plan, layers)
            made = ModelFile.read(content, "onnx")
        else:
            if file.scheme in INTEGER_SCHEMES:
                ranges = _ranges(path, given, _method(recipe), recipe.seed)
            quantize = _quantizer(path, file.scheme, ranges, given, recipe, kept)
            held = _samples(given.calibration)
            made, in_float, ways = prepared_by_kernels(quantize, file.scheme, held)
            if ranges is not None and not ranges.learned and not recipe.integer_only:
                made, plan = _mixed(path, made, partial(quantize, in_float), given, recipe)
                left = [each.operator for each in plan.left.values()]
                plan = Plan({**_left(path, kept), **plan.left})
                quantize, ways = partial(quantize, left=left), (*ways, *_ways(plan, layers))
            fit = partial(_fit, path, given, file.scheme, recipe)
            made, about = fit(made)

            def remake(more: frozenset[str]) -> ModelFile:
                nonlocal about
                again, about = fit(quantize(in_float | more))
                return again

        fitted = for_targets(made, file, aim, layers, remake, ways)
        named = check_name(
            fitted.file,
            file.scheme,
            Path(path).stat().st_size,
            lambda tensor: place(tensor, *layers),
            recipe.integer_only,
        )
    except (ArtifactError, ExportError) as error:
        return str(error)
    except (EdgekitError, MemoryError):
        raise
    # Interpreters and quantisers raise whatever they stumble over, of this file alone.
    except Exception as error:
        return quantizer_reason(file.scheme, error)
    fitted = replace(fitted, fit=about)
    if ranges is None:
        return replace(fitted, warnings=(*fitted.warnings, *named))
    calibration = {**ranges.to_json(), "seed": recipe.seed}
    model = fitted.file.model
    notes = {"io_dtype": io_dtype(model), "calibration": calibration, **fitted.notes}
    # ONNX files are float there by design.
    if file.format == "tflite" and (line := left_float(model, recipe.io_dtype)):
        notes["fallbacks"] = [*notes.get("fallbacks", ()), line]
    return replace(fitted, notes=notes, warnings=(*ranges.warnings, *fitted.warnings, *named))


def _quantizer(
    path: str,
    scheme: str,
    ranges: Ranges | None,
    given: StoredSamples,
    recipe: ExportRecipe,
    kept: Mapping[str, str],
) -> Callable[..., ModelFile]:
    """Makes a TFLite file of a scheme, from operators to leave in float: by name, then single ones (`left`).

    Args:
        kept: single ones that are left in float whatever `left` says, and why.
    """
    own = [each.operator for each in _left(path, kept).values()]

    def quantize(
        in_float: frozenset[str] = frozenset(), left: Sequence[Operator] = ()
    ) -> ModelFile:
        return quantize_tflite(
            _tflite(path),
            scheme,
            ranges,
            recipe.io_dtype,
            in_float,
            _samples(given.calibration),
            recipe.seed,
            [*own, *left],
        )

    return quantize


def _left(path: str, kept: Mapping[str, str]) -> dict[str, Left]:
    model = model_of(_tflite(path))
    return left_of(model.graphs[model.main], kept)


def losses(format: str, path: str, given: StoredSamples, recipe: ExportRecipe) -> Losses | str:
    """In a worker: what operators and tensors lose in int8, or the reason why that is not known."""
    samples, fitted = _samples(given.search), _samples(given.calibration)
    assert samples is not None, "a search brings samples"
    assert fitted is not None, "export() asks for calibration first"
    method = _method(recipe)
    try:
        if format == "onnx":
            quantized = _quantized(path, given, method, recipe.seed)
            return onnx_losses(quantized, samples, fitted, recipe.seed, recipe.time_operators)
        ranges = _ranges(path, given, method, recipe.seed)
        quantize = _quantizer(path, "int8", ranges, given, recipe, {})
        made, in_float, _ = prepared_by_kernels(quantize, "int8", fitted)
        how = partial(quantize, in_float), samples, recipe.time_operators
        return tflite_losses(_tflite(path), made, *how)
    # Interpreters raise whatever they stumble over in parts of a graph; files of one scheme do without.
    except Exception as error:
        return f"what operators lose alone is not known: {one_line(error)}"


def _fit(
    path: str, given: StoredSamples, scheme: str, recipe: ExportRecipe, made: ModelFile
) -> tuple[ModelFile, Fit | None]:
    """A TFLite file whose integers are fitted, where samples are given and nothing speaks against it."""
    samples = _samples(given.calibration)
    if scheme not in FITTED or given.learned is not None:
        return made, None
    if samples is None:
        return made, Fit(quality=recipe.quality, reason="no calibration samples were given")
    return fitted_tflite(made, _tflite(path), samples, recipe.seed, recipe.quality)


def _mixed(
    path: str,
    made: ModelFile,
    quantize: Callable[..., ModelFile],
    given: StoredSamples,
    recipe: ExportRecipe,
) -> tuple[ModelFile, Plan]:
    samples = _samples(given.calibration)
    assert samples is not None, "export() asks for calibration first"
    return mixed_tflite(_tflite(path), made, quantize, samples, recipe.seed)


def _ways(plan: Plan, layers: Layers) -> tuple[str, ...]:
    """A line for each reason why operators are left in float."""
    by_reason: dict[str, list[Operator]] = {}
    for each in plan.left.values():
        by_reason.setdefault(each.reason, []).append(each.operator)
    return tuple(
        f"{', '.join(sorted({o.op for o in operators}))} left in float at "
        f"{', '.join(dict.fromkeys(place(o.tensor, *layers) for o in operators))}: {reason}"
        for reason, operators in by_reason.items()
    )


def for_targets(
    made: ModelFile,
    file: Wanted,
    aim: Aim,
    layers: Layers,
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
def _samples(stored: Stored | None) -> Samples | None:
    if stored is None:
        return None
    return Samples({name: np.load(path, mmap_mode="r") for name, path in stored})


@cache
def _ranges(path: str, given: StoredSamples, method: Method, seed: int) -> Ranges:
    """One calibration pass for all schemes that need it."""
    samples, held = _samples(given.calibration), _samples(given.validation)
    assert samples is not None, "export() asks for calibration first"
    return find_ranges(_tflite(path), samples, method, seed, held, given.learned)


@cache
def _quantized(path: str, given: StoredSamples, method: Method, seed: int) -> Quantized:
    """One calibration pass for all int8 ONNX files."""
    samples, held = _samples(given.calibration), _samples(given.validation)
    assert samples is not None, "export() asks for calibration first"
    return quantized_onnx(_read(path), samples, method, seed, held, given.learned)
