"""Making: the content of every file, TFLite and ONNX side by side.

This process traces and converts to float, which needs TensorFlow. Everything that is made of a float
file needs none of it and is made by a worker, one a format.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.calibration.alone import Losses
from edgekit.calibration.learned import Learned
from edgekit.convert.apart import float_tflite_apart
from edgekit.convert.garbage import little_garbage
from edgekit.convert.onnx.convert import float_onnx
from edgekit.convert.targets import Aim
from edgekit.convert.trace.fake_quant import learn
from edgekit.convert.trace.freeze import Frozen, freeze
from edgekit.convert.variant import (
    ONNX_SCHEMES,
    Layers,
    Made,
    Stored,
    StoredSamples,
    Wanted,
    for_targets,
    losses,
    variant,
)
from edgekit.convert.worker import Worker, first_done
from edgekit.errors import ArtifactError, ExportError
from edgekit.formats.model_file import ModelFile
from edgekit.models.source import SourceModel
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples, save_npy
from edgekit.streams import quiet

# ONNX first: its int8 takes longest, so that it should start first.
_FLOATS: dict[str, Callable[[Frozen, ExportRecipe, bool], bytes]] = {
    "onnx": lambda frozen, _, __: float_onnx(frozen),
    "tflite": lambda frozen, recipe, verbose: float_tflite_apart(
        frozen, allow_flex=recipe.allow_flex, verbose=verbose
    ),
}
_MODULES = {
    "onnx": ("onnxruntime.quantization",),
    "tflite": (
        "ai_edge_quantizer.quantizer",
        "ai_edge_quantizer.calibrator",
        "ai_edge_litert.interpreter",
    ),
}


@dataclass(frozen=True)
class Search:
    """Files that follow from what was measured of the float file.

    Attributes:
        samples: to measure on, under the model's input names.
        then: which files to make of a format, when all others of it are made; takes the format and what
            its operators and tensors lose in int8, or the reason why that is not known.
    """

    samples: Samples
    then: Callable[[str, Losses | str], Sequence[Wanted]]


def make(
    wanted: Sequence[Wanted],
    source: SourceModel,
    samples: Samples | None,
    validation: Samples | None,
    recipe: ExportRecipe,
    aims: Mapping[str, Aim],
    folder: Path,
    verbose: bool = False,
    search: Search | None = None,
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
        search: names more files when these are made.

    Raises:
        ExportError: the model cannot be traced.
        ChildError: a worker died.
    """
    possible = [f for f in wanted if f.format != "onnx" or f.scheme in ONNX_SCHEMES]
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
        stack.enter_context(little_garbage())
        workers = {
            format: stack.enter_context(Worker(_MODULES[format], verbose))
            for format, files in variants.items()
            if files
        }
        stored = StoredSamples(
            _store(samples, folder, "c"),
            _store(validation, folder, "v"),
            _store(search.samples if search else None, folder, "s"),
        )
        contents: dict[str, bytes | str] = {}
        how: dict[str, Any] = {}
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
                    how[format] = str(path), stored, recipe, aims[format], layers
                    for file in variants[format]:
                        workers[format].submit(variant, file, *how[format])
                    if search is not None:
                        workers[format].submit(losses, format, str(path), stored, recipe)
        for file in possible:
            content = contents[file.format]
            if isinstance(content, str):
                yield file, content
            elif file.scheme == "float32":
                made = _float(content, file, aims[file.format], layers)
                yield file, made if isinstance(made, str) else _told(made, ends, undone)
        # A format in place of a file: what its operators lose.
        waiting: dict[Worker, list[Wanted | str]] = {
            workers[format]: [*files, *([format] if search else [])]
            for format, files in variants.items()
            if files and isinstance(contents[format], bytes)
        }
        while waiting:
            for worker in first_done(list(waiting)):
                made, now = worker.receive(), waiting[worker].pop(0)
                if isinstance(now, Wanted):
                    yield now, made if isinstance(made, str) else _told(made, ends, undone)
                elif search is not None:
                    more = search.then(now, made)
                    for file in more:
                        worker.submit(variant, file, *how[now])
                    waiting[worker] += more
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


def _store(samples: Samples | None, folder: Path, word: str) -> Stored | None:
    if samples is None:
        return None
    stored = []
    for number, (name, array) in enumerate(samples.inputs.items()):
        path = folder / f"{word}{number}.npy"
        save_npy(path, array)
        stored.append((name, str(path)))
    return tuple(stored)


def _float(content: bytes, file: Wanted, aim: Aim, layers: Layers) -> Made | str:
    """The float32 file, or the reason why there is none."""
    try:
        return for_targets(ModelFile.read(content, file.format), file, aim, layers)
    except (ArtifactError, ExportError) as error:
        return str(error)
