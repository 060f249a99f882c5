"""Making: the content of every file, TFLite and ONNX side by side.

This process traces and converts to float, which needs TensorFlow. Everything that is made of a float
file needs none of it and is made by a worker, one a format.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.convert.freeze import Frozen, freeze
from edgekit.convert.onnx import float_onnx, int8_onnx
from edgekit.convert.quiet import quiet
from edgekit.convert.tflite import Ranges, find_ranges, float_tflite, quantize_tflite
from edgekit.convert.worker import Worker, first_done
from edgekit.errors import ExportError
from edgekit.models.source import SourceModel
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples

CALIBRATED = ("int8", "int16x8")
_ONNX_SCHEMES = ("float32", "int8")
# ONNX first: its int8 takes longest, so that it should start first.
_FLOATS: dict[str, Callable[[Frozen], bytes]] = {"onnx": float_onnx, "tflite": float_tflite}
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
    """A file's content, and what the manifest says of how it was made."""

    content: bytes
    notes: dict[str, Any] = field(default_factory=dict)


def make(
    wanted: Sequence[Wanted],
    source: SourceModel,
    samples: Samples | None,
    recipe: ExportRecipe,
    folder: Path,
    verbose: bool = False,
) -> Generator[tuple[Wanted, Made | str], None, None]:
    """Each file, or the reason why there is none; in the order in which they get done.

    Args:
        wanted: what to make.
        source: the model.
        samples: to calibrate with, under the model's input names.
        recipe: how.
        folder: an empty one for temporary files.
        verbose: let through what libraries write.

    Raises:
        ExportError: the model cannot be traced.
        ChildError: a worker died.
    """
    possible = [f for f in wanted if f.format != "onnx" or f.scheme in _ONNX_SCHEMES]
    for file in wanted:
        if file not in possible:
            yield file, "onnxruntime's CPU kernels do not profit from it; use float32 or int8"
    variants = {
        format: [f for f in possible if f.format == format and f.scheme != "float32"]
        for format in _FLOATS
    }
    with ExitStack() as stack:
        workers = {
            format: stack.enter_context(Worker(_MODULES[format], folder, verbose))
            for format, files in variants.items()
            if files
        }
        stored = _store(samples, folder) if samples is not None else None
        contents: dict[str, bytes | str] = {}
        with quiet(verbose), freeze(source, recipe.batch_size, folder) as frozen:
            for format in _FLOATS:
                if all(file.format != format for file in possible):
                    continue
                content = contents[format] = _content(_FLOATS[format], frozen)
                if isinstance(content, bytes) and variants[format]:
                    path = folder / f"float.{format}"
                    path.write_bytes(content)
                    for file in variants[format]:
                        workers[format].submit(_variant, str(path), file, stored, recipe)
        for file in possible:
            content = contents[file.format]
            if file.scheme == "float32" or isinstance(content, str):
                yield file, content if isinstance(content, str) else Made(content)
        waiting = {
            workers[format]: list(files)
            for format, files in variants.items()
            if files and isinstance(contents[format], bytes)
        }
        while waiting:
            for worker in first_done(list(waiting)):
                yield waiting[worker].pop(0), worker.receive()
                if not waiting[worker]:
                    del waiting[worker]


def _content(convert: Callable[[Frozen], bytes], frozen: Frozen) -> bytes | str:
    try:
        return convert(frozen)
    except ExportError as error:
        return str(error)


# Files of arrays by input name, which workers map into memory and share.
_Stored = tuple[tuple[str, str], ...]


def _store(samples: Samples, folder: Path) -> _Stored:
    stored = []
    for number, (name, array) in enumerate(samples.inputs.items()):
        path = folder / f"samples{number}.npy"
        np.save(path, array)
        stored.append((name, str(path)))
    return tuple(stored)


def _variant(path: str, file: Wanted, stored: _Stored | None, recipe: ExportRecipe) -> Made | str:
    """In a worker: a float file in another scheme, or the reason why not."""
    notes: dict[str, Any] = {}
    if file.scheme in CALIBRATED:
        drawn = {"samples": len(_samples(stored)), "seed": recipe.seed, "method": "min-max"}
        notes = {"io_dtype": recipe.io_dtype, "calibration": drawn}
    try:
        if file.format == "onnx":
            return Made(int8_onnx(_read(path), _samples(stored)), notes)
        ranges = _ranges(path, stored) if file.scheme in CALIBRATED else None
        return Made(quantize_tflite(_read(path), file.scheme, ranges, recipe.io_dtype), notes)
    except ExportError as error:
        return str(error)


@cache
def _read(path: str) -> bytes:
    return Path(path).read_bytes()


@cache
def _samples(stored: _Stored | None) -> Samples:
    assert stored is not None, "export() asks for calibration first"
    return Samples({name: np.load(path, mmap_mode="r") for name, path in stored})


@cache
def _ranges(path: str, stored: _Stored | None) -> Ranges:
    """One calibration pass for all schemes that need it."""
    return find_ranges(_read(path), _samples(stored))
