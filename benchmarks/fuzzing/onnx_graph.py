"""Mutations of an ONNX file: shapes, graph, constants, what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing import said
from fuzzing.draw import ABSURD, Rng, pick


def _changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    change(model.graph)
    return bytes(model.SerializeToString())


def shapes(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            if what < 0.35 and graph.initializer:
                dims = pick(rng, graph.initializer).dims
                if dims:
                    dims[int(rng.integers(len(dims)))] = int(pick(rng, ABSURD))
            elif what < 0.7:
                info = pick(rng, [*graph.input, *graph.output, *graph.value_info])
                dims = info.type.tensor_type.shape.dim
                if dims:
                    pick(rng, dims).dim_value = int(pick(rng, ABSURD))
                info.type.tensor_type.elem_type = int(
                    info.type.tensor_type.elem_type if rng.random() < 0.7 else rng.integers(17)
                )
            else:
                attributes = [a for node in graph.node for a in node.attribute if a.ints or a.i]
                if attributes:
                    attribute = pick(rng, attributes)
                    if attribute.ints:
                        place = int(rng.integers(len(attribute.ints)))
                        attribute.ints[place] = int(pick(rng, ABSURD))
                    else:
                        attribute.i = int(pick(rng, ABSURD))

    return _changed(data, change)


def graph(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            node, other = pick(rng, graph.node), pick(rng, graph.node)
            if what < 0.5 and node.input:
                names = [*other.output, *(t.name for t in graph.initializer), ""]
                source = names[0] if rng.random() < 0.6 else pick(rng, names)
                node.input[int(rng.integers(len(node.input)))] = source
            elif what < 0.65 and node.output:
                node.output[0] = other.output[0]
            elif what < 0.8:
                node.op_type = pick(
                    rng,
                    [
                        "Gather",
                        "Reshape",
                        "Conv",
                        "MatMul",
                        "Loop",
                        "If",
                        "Scan",
                        "Range",
                        "Tile",
                        "Expand",
                        "Resize",
                        "Pad",
                        "Concat",
                        "TopK",
                        "OneHot",
                        "GatherND",
                        "ScatterElements",
                        "ConstantOfShape",
                        "LSTM",
                        "NonZero",
                    ],
                )
            elif what < 0.9 and node.input:
                del node.input[int(rng.integers(len(node.input)))]
            else:
                node.input.append(other.output[0] if other.output else "")

    return _changed(data, change)


def constants(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(graph: Any) -> None:
        raw = [t for t in graph.initializer if len(t.raw_data) >= 4]
        small = [t for t in raw if len(t.raw_data) <= 64] or raw
        if not small:
            return
        for _ in range(int(rng.integers(1, 3))):
            tensor = pick(rng, small)
            width = "<i8" if tensor.data_type == 7 and len(tensor.raw_data) % 8 == 0 else "<i4"
            size = np.dtype(width).itemsize
            head = len(tensor.raw_data) // size * size
            words = np.frombuffer(tensor.raw_data[:head], width).copy()
            words[rng.integers(len(words))] = pick(rng, ABSURD)
            tensor.raw_data = words.tobytes() + tensor.raw_data[head:]

    return _changed(data, change)


def metadata(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    import onnx

    model = onnx.load_model_from_string(data)
    said.about_onnx(model, rng)
    content: bytes = model.SerializeToString()
    return content
