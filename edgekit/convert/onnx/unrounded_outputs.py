"""Float outputs: what a dense layer gives to a caller is not rounded, nor the softmax, sigmoid or exponential of it.

The output of an int8 ONNX file is float anyway, and onnxruntime's integer kernels of Gemm and MatMul
give their sums as float. Rounded to 8 bits, and once more behind a softmax, the sums of close
classes become equal. A convolution's kernel gives integers only: it keeps its rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from edgekit.inspection.inspect import ANSWERS, SUMS

# Activations that may stand between the sums and a caller. Behind an exponential, a step of 0.1 is a tenth of
# the answer.
_ACTIVATIONS = ANSWERS | {"Elu", "Exp", "LogSoftmax", "Selu", "Softplus", "Softsign", "Tanh"}
# What the quantiser leaves to the rounding of its output.
_CUTTING = frozenset({"Relu", "Clip"})


def rounded(graph: Any) -> dict[str, tuple[Any, Any]]:
    """The pair of QuantizeLinear and DequantizeLinear that rounds each tensor of a QDQ graph.

    By the tensor's name in the float file: the quantiser gives that of an output to what is rounded.
    """
    makers = {name: node for node in graph.node for name in node.output}
    outputs = {output.name for output in graph.output}
    found = {}
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if maker is not None and maker.op_type == "QuantizeLinear":
            given = node.output[0]
            found[given if given in outputs else maker.input[0]] = maker, node
    return found


def restore_activations(graph: Any, plain: Any, names: Collection[str]) -> None:
    """Put back, in place, each Relu or Clip that gives one of these tensors in the float file.

    The quantiser takes them out and leaves it to the rounding to cut, which then must not go.

    Args:
        graph: of the QDQ file.
        plain: of the float file.
        names: of tensors that will not be rounded, as in the float file.
    """
    theirs = {n.output[0]: n for n in plain.node if n.op_type in _CUTTING and n.output[0] in names}
    held = {tensor.name for tensor in graph.initializer}
    kept = {node.name for node in graph.node}
    for name, (quantize, _) in rounded(graph).items():
        activation = theirs.get(name)
        if activation is None or activation.name in kept:
            continue
        # Behind what gives the tensor now, under the name that it has there.
        given = quantize.input[0]
        (maker,) = (node for node in graph.node if given in node.output)
        maker.output[:] = [f"{given}/uncut" if each == given else each for each in maker.output]
        node = graph.node.add()
        node.CopyFrom(activation)
        node.input[0], node.output[0] = f"{given}/uncut", given
        for tensor in plain.initializer:
            if tensor.name in node.input and tensor.name not in held:
                graph.initializer.add().CopyFrom(tensor)
                held.add(tensor.name)


def keep_float(graph: Any, plain: Any, names: Collection[str]) -> None:
    """Take the pairs that round these tensors off a QDQ graph, in place.

    Args:
        graph: of the QDQ file.
        plain: of the float file.
        names: of the tensors, as in the float file.
    """
    restore_activations(graph, plain, names)
    pairs, outputs = rounded(graph), {output.name for output in graph.output}
    for name in sorted(pairs.keys() & set(names)):
        quantize, dequantize = pairs[name]
        given, kept = dequantize.output[0], quantize.input[0]
        for node in graph.node:
            if given in outputs:
                # The quantiser renamed what made an output.
                node.output[:] = [given if each == kept else each for each in node.output]
            else:
                node.input[:] = [kept if each == given else each for each in node.input]
        if given in outputs:
            for node in graph.node:
                node.input[:] = [given if each == kept else each for each in node.input]
        graph.node.remove(quantize)
        graph.node.remove(dequantize)
    _drop_unread(graph)


def _drop_unread(graph: Any) -> None:
    """Take away what nothing reads any more: conversions of constants, then constants."""
    read = {name for node in graph.node for name in node.input}
    read |= {output.name for output in graph.output}
    bodies = any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute)
    for node in [n for n in graph.node if n.op_type == "DequantizeLinear"]:
        if node.output[0] not in read and not bodies:
            graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for tensor in [] if bodies else [t for t in graph.initializer if t.name not in read]:
        graph.initializer.remove(tensor)


def keep_outputs_float(graph: Any, plain: Any) -> list[str]:
    """Take pairs of QuantizeLinear and DequantizeLinear off the outputs of a QDQ graph, in place.

    They stay where another layer, which computes with integers, reads what they give.

    Args:
        graph: of the QDQ file.
        plain: of the float file.

    Returns:
        The sums that are float now, under the names that they have in the float file.
    """
    outputs = {output.name for output in graph.output}
    grids: set[str] = set()
    sums = []
    for output in graph.output:
        pairs = _pairs(output.name, *_links(graph))
        rounds = {quantize.output[0] for quantize, _ in pairs}
        names = [name for name, pair in rounded(graph).items() if pair[0].output[0] in rounds]
        restore_activations(graph, plain, names)
        makers, readers = _links(graph)
        for quantize, dequantize in pairs:
            maker, given = makers[quantize.input[0]], dequantize.output[0]
            # The quantiser renamed what made an output.
            name = given if given in outputs else maker.output[0]
            maker.output[0] = name
            makers[name] = maker
            for node in readers.pop(given, []):
                node.input[:] = [name if each == given else each for each in node.input]
                readers.setdefault(name, []).append(node)
            if maker.op_type in SUMS:
                sums.append(name)
            grids.update([*quantize.input[1:], *dequantize.input[1:]])
            graph.node.remove(quantize)
            graph.node.remove(dequantize)
    grids -= {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in grids]:
        graph.initializer.remove(tensor)
    return sums


def _links(graph: Any) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The node that gives each tensor, and those that read it."""
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return makers, readers


def _pairs(
    name: str, makers: Mapping[str, Any], readers: Mapping[str, list[Any]]
) -> list[tuple[Any, Any]]:
    """The pairs from an output back to the sums that it is made of; none if it is of other things."""
    pairs: list[tuple[Any, Any]] = []
    while name in makers:
        maker = makers[name]
        if maker.op_type == "DequantizeLinear" and maker.input[0] in makers:
            quantize = makers[maker.input[0]]
            rounded, given = quantize.output[0], quantize.input[0]
            if len(readers[rounded]) > 1 or len(readers[given]) > 1 or given not in makers:
                return []
            pairs.append((quantize, maker))
            maker = makers[given]
        if any(node.op_type not in _ACTIVATIONS for node in readers.get(name, [])):
            return []
        if maker.op_type in SUMS:
            return pairs
        if maker.op_type not in _ACTIVATIONS:
            return []
        name = maker.input[0]
    return []
