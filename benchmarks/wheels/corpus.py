"""The corpus: every model of the zoo and every raw operator, in every scheme, as small files with inputs.

    python benchmarks/wheels/corpus.py FOLDER [SHARD/SHARDS [SCHEME.FORMAT ...]]

Files of the kinds named alone, such as ``float16.onnx``; all where none is.

Weights get channels of very different sizes first: where an interpreter mixes up the scales of
channels, networks fresh from their initialisers hide it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from zoo import ENTRIES

from edgekit.convert.onnx.convert import dynamic_onnx, float_onnx, int8_onnx
from edgekit.convert.onnx.float16 import float16_onnx
from edgekit.convert.tflite.convert import _statistics, find_ranges, float_tflite, quantize_tflite
from edgekit.convert.trace.freeze import freeze
from edgekit.errors import EdgekitError
from edgekit.formats.tflite_check import read_file
from edgekit.models.source import from_keras
from edgekit.samples import Samples
from wheels import raw

CALIBRATION, TRIED = 16, 2
# What ai-edge-quantizer offers beside edgekit's own schemes: other files than edgekit's hold it.
_OTHERS = {
    "dynamic-channel": ("dynamic", 8, "CHANNELWISE"),
    "dynamic4": ("dynamic", 4, "CHANNELWISE"),
    "dynamic4-block": ("dynamic", 4, "BLOCKWISE_32"),
    "dynamic8-block": ("dynamic", 8, "BLOCKWISE_32"),
    "weights8": ("weight_only", 8, "CHANNELWISE"),
    "weights4": ("weight_only", 4, "CHANNELWISE"),
    "weights8-block": ("weight_only", 8, "BLOCKWISE_32"),
    "weights4-block": ("weight_only", 4, "BLOCKWISE_32"),
}
# Kernels that need no scale for each channel have one; edgekit makes it of some alone.
_ONE_SCALE = "int8-tensor"
_STATIC = ("int8", "int8-float32", _ONE_SCALE, "int16x8")


def build(entry: Any, folder: Path, kinds: Sequence[str] = ()) -> None:
    """Write the files of one model, of these `kinds`, and beside each what it is fed: ``<file>.npz``."""
    samples = raw.draw(entry, CALIBRATION, 0)
    tried = raw.draw(entry, TRIED, 1)
    source = entry.source() if isinstance(entry, raw.Raw) else _source(entry)
    folder.mkdir(parents=True, exist_ok=True)
    seen = set()
    # Only float32 files are made with a dynamic batch.
    batches = (1, None) if not kinds or any(k.startswith("float32.") for k in kinds) else (1,)
    for batch in batches:
        ending = "-open" if batch is None else ""
        try:
            with freeze(source, batch) as frozen:
                made = _files(frozen, Samples(samples), batch is None, kinds)
                for scheme, format, content in made:
                    if content in seen or (kinds and f"{scheme}.{format}" not in kinds):
                        continue
                    seen.add(content)
                    path = folder / f"{scheme}{ending}.{format}"
                    path.write_bytes(content)
                    write_inputs(path, tried)
        except EdgekitError as error:
            print(f"{entry.name}{ending}: {error}"[:200], file=sys.stderr)


def _source(entry: Any) -> Any:
    model = entry.build()
    rng = np.random.default_rng(7)
    for weight in model.weights:
        value = np.asarray(weight)
        if value.ndim >= 2 and value.dtype.kind == "f":
            axis = -2 if "depthwise" in getattr(weight, "path", weight.name) else -1
            shape = [1] * value.ndim
            shape[axis] = value.shape[axis]
            weight.assign(value * 2 ** rng.uniform(-2, 1, shape).astype(value.dtype))
    return from_keras(Path(entry.name), getattr(entry, "flavour", "keras"), model)


def _files(
    frozen: Any, samples: Samples, open_batch: bool, kinds: Sequence[str]
) -> Iterator[tuple[str, str, bytes]]:
    """(scheme, format, content); a scheme that a model cannot take is left out."""
    content = b""
    if not kinds or any(kind.endswith(".tflite") for kind in kinds):
        with suppress(EdgekitError):
            content = float_tflite(frozen)
    if content:
        yield "float32", "tflite", content
    if content and not open_batch:
        file, ranges = read_file(content), None
        for name in ("float16", "dynamic", *_OTHERS, *_STATIC):
            try:
                if name in _OTHERS:
                    yield name, "tflite", _other(content, *_OTHERS[name])
                    continue
                if name.startswith("int") and ranges is None:
                    ranges = find_ranges(file, samples)
                if name == _ONE_SCALE:
                    yield name, "tflite", _with_one_scale(content, ranges)
                    continue
                scheme, _, io = name.partition("-")
                made = quantize_tflite(file, scheme, ranges, io or "int8")
                yield name, "tflite", made.content
            # The quantiser's own errors for what it has no recipe for.
            except (EdgekitError, ValueError, RuntimeError, NotImplementedError, KeyError):
                continue
    try:
        content = float_onnx(frozen)
        yield "float32", "onnx", content
    except EdgekitError:
        return
    makers = {
        "int8": lambda: int8_onnx(content, samples)[0],
        "float16": lambda: float16_onnx(content),
        "dynamic": lambda: dynamic_onnx(content),
    }
    for scheme, make in makers.items() if not open_batch else ():
        if not kinds or f"{scheme}.onnx" in kinds:
            with suppress(EdgekitError):
                yield scheme, "onnx", make()


def _other(content: bytes, kind: str, bits: int, granularity: str) -> bytes:
    from ai_edge_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    config = {"num_bits": bits, "granularity": qtyping.QuantGranularity[granularity]}
    add = getattr(manager, f"add_{kind}_config")
    if "BLOCK" in granularity:
        for op in (
            qtyping.TFLOperationName.FULLY_CONNECTED,
            qtyping.TFLOperationName.EMBEDDING_LOOKUP,
        ):
            add(".*", op, **config)
    else:
        add(".*", qtyping.TFLOperationName.ALL_SUPPORTED, **config)
    return _quantized(content, manager, None)


def _with_one_scale(content: bytes, ranges: Any) -> bytes:
    from ai_edge_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.add_static_config(
        ".*",
        qtyping.TFLOperationName.ALL_SUPPORTED,
        activation_num_bits=8,
        weight_num_bits=8,
        weight_granularity=qtyping.QuantGranularity.TENSORWISE,
    )
    return _quantized(content, manager, _statistics(ranges.of("int8")))


def _quantized(content: bytes, manager: Any, statistics: Any) -> bytes:
    from ai_edge_quantizer import quantizer

    work = quantizer.Quantizer(content)
    work.load_quantization_recipe(manager.get_quantization_recipe())
    return bytes(work.quantize(statistics, enable_progress_report=False).quantized_model)


def write_inputs(path: Path, tried: dict[str, Any]) -> None:
    """What the file is fed, in the order and types of its own inputs; without it, it is not tried."""
    arrays = {}
    try:
        for index, (name, dtype, encode) in enumerate(_inputs(path)):
            for number in range(TRIED):
                arrays[f"{number}.{index}"] = encode(tried[name][number : number + 1]).astype(dtype)
    except (ValueError, RuntimeError) as error:
        print(f"{path}: the newest interpreter refuses it: {error}"[:300], file=sys.stderr)
        path.unlink()
        return
    np.savez(f"{path}.npz", **arrays)


def _inputs(path: Path) -> Iterator[tuple[str, Any, Any]]:
    if path.suffix == ".onnx":
        import onnx

        graph = onnx.load(path).graph
        for node in graph.input:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(node.type.tensor_type.elem_type)
            yield node.name, dtype, lambda x: x
        return
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    signature = interpreter.get_signature_runner("serving_default").get_input_details()
    names = {detail["index"]: name for name, detail in signature.items()}
    for detail in interpreter.get_input_details():
        scale, zero = detail["quantization"]
        limits = np.iinfo(detail["dtype"]) if scale else None

        def encode(x: Any, scale: float = scale, zero: int = zero, limits: Any = limits) -> Any:
            return np.clip(np.rint(x / scale) + zero, limits.min, limits.max) if limits else x

        yield names[detail["index"]], detail["dtype"], encode


def main(folder: str, shard: str = "0/1", *kinds: str) -> None:
    number, shards = map(int, shard.split("/"))
    entries = [*raw.entries(), *ENTRIES]
    for entry in entries[number::shards]:
        target = Path(folder, *entry.name.split("/"))
        if target.exists():
            continue
        try:
            build(entry, target, kinds)
        except Exception as error:
            print(f"{entry.name}: {type(error).__name__} {error}"[:300], file=sys.stderr)
        print(entry.name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
