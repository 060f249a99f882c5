"""Mutations of a TFLite file: shapes, graph, constants, quantisation, signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing import said
from fuzzing.draw import ABSURD, Rng, pick


def _changed(data: bytes, change: Callable[[Any, Any], None]) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def shapes(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(_model: Any, graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            tensor = pick(rng, graph.tensors)
            if what < 0.5 and tensor.shape is not None and len(tensor.shape):
                shape = [int(n) for n in tensor.shape]
                shape[int(rng.integers(len(shape)))] = int(pick(rng, ABSURD))
                tensor.shape = shape
            elif what < 0.6:
                tensor.shape = [int(pick(rng, ABSURD)) for _ in range(int(rng.integers(0, 9)))]
            elif what < 0.7:
                tensor.shapeSignature = [-1] * int(rng.integers(0, 6))
            elif what < 0.8:
                tensor.type = int(rng.integers(0, 20))
            elif what < 0.9 and tensor.quantization is not None:
                tensor.quantization.scale = [float(pick(rng, [0, -1, 1e38, 1e-38, np.nan]))]
                tensor.quantization.zeroPoint = [int(pick(rng, ABSURD))]
            else:
                options = pick(rng, graph.operators).builtinOptions
                numbers = [k for k, v in vars(options).items() if type(v) is int] if options else []
                if numbers:
                    value = int(pick(rng, ABSURD))
                    name = pick(rng, numbers)
                    setattr(options, name, value if abs(value) < 100 or "tride" in name else 1)

    return _changed(data, change)


def graph(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Cycles, gaps, other operators, other tensors, other order."""

    def change(model: Any, graph: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            what = rng.random()
            # An operator may read nothing, or give nothing.
            whole = [op for op in graph.operators if len(op.inputs) and len(op.outputs)]
            operator, other = pick(rng, whole), pick(rng, whole)
            if what < 0.3:
                operator.inputs = list(operator.inputs)
                operator.inputs[int(rng.integers(len(operator.inputs)))] = int(other.outputs[0])
            elif what < 0.4:
                operator.outputs = [int(rng.integers(-1, len(graph.tensors) + 1))]
            elif what < 0.55:
                operator.inputs = rng.integers(
                    -1, len(graph.tensors), len(operator.inputs)
                ).tolist()
            elif what < 0.65:
                rng.shuffle(graph.operators)
            elif what < 0.75:
                code = pick(rng, model.operatorCodes)
                code.builtinCode = int(rng.integers(0, 210))
                code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            elif what < 0.85:
                operator.opcodeIndex = int(rng.integers(len(model.operatorCodes) + 1))
            elif what < 0.95:
                pick(rng, graph.tensors).buffer = int(rng.integers(len(model.buffers) + 1))
            else:
                graph.outputs = [int(rng.integers(len(graph.tensors)))]

    return _changed(data, change)


def constants(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    """Absurd numbers in constants: axes, shapes to reshape to, indices to gather."""

    def change(model: Any, _: Any) -> None:
        filled = [b for b in model.buffers if b.data is not None and len(b.data) >= 4]
        small = [b for b in filled if len(b.data) <= 32] or filled
        if not small:
            return
        for _ in range(int(rng.integers(1, 3))):
            buffer = pick(rng, small)
            values = np.asarray(buffer.data, np.uint8)[: len(buffer.data) // 4 * 4].copy()
            words = values.view("<i4")
            words[rng.integers(len(words))] = pick(rng, ABSURD)
            buffer.data = values

    return _changed(data, change)


def quantisation(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    def change(_model: Any, graph: Any) -> None:
        tables = [tensor.quantization for tensor in graph.tensors if tensor.quantization]
        if tables:
            said.quantisation(tables, rng)

    return _changed(data, change)


def signatures(data: bytes, rng: Rng, _: list[bytes]) -> bytes:
    return _changed(data, lambda model, _graph: said.signatures(model, rng))
