"""Cause: the first layer of the model that a file does not follow, for messages."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import OnnxProbe, TfliteProbe, batches
from edgekit.convert.check.layers import Layers, thinned
from edgekit.convert.check.reference import Reference
from edgekit.convert.refusals import known_layer
from edgekit.errors import one_line, require
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.metrics import fidelity

_FLATTENED = re.compile(r"_(De)?[qQ]uantizeLinear_Output$")


def first_lost(file: ModelFile, reference: Reference, least_db: float) -> str:
    """The first layer, in the file's order, that follows the model at less than `least_db` decibel.

    Args:
        file: as it is written.
        reference: the model, and what it was asked.
        least_db: of the channels of a layer's output (`edgekit.metrics.fidelity.ratio_db`).

    Returns:
        ``"layer 'conv_3' at 4.2 dB"``; ``"unknown: "`` and the reason where layers cannot be run one by
        one; empty where the model has none, or none of them is in the file.
    """
    if not getattr(reference.source.model, "layers", None):
        return ""
    # Layers, kernels and onnxruntime raise whatever they like; the message is given all the same, and
    # says what they raised.
    try:
        expected = reference.layers
        found = _of_file(file, expected)
    except Exception as error:
        return f"unknown: {type(error).__name__}: {one_line(error)}"
    for layer, ours in found.items():
        noises = [fidelity.channel_noise(expected.values[layer], each) for each in ours]
        db = max(map(fidelity.ratio_db, noises), default=least_db)
        if db < least_db:
            return f"layer {layer!r} at {db:.1f} dB"
    return ""


def _of_file(file: ModelFile, layers: Layers) -> dict[str, list[NDArray[Any]]]:
    """The last tensor that the file has of each layer, by the layer's name, in the file's order.

    Each in every order of axes, the file's and with channels last, that has the model's shape.
    """
    probe: Any
    computed = _computed(file)
    if file.model.format == "tflite":
        probe = TfliteProbe(read_file(file.content))
    else:
        onnx = require("onnx", "export", "Checking a file")
        probe = OnnxProbe(onnx.load_from_string(file.content), computed)
    names = list(layers.shapes)
    # By tensor: its layer, and what is kept of each batch.
    parts: dict[str, tuple[str | None, list[list[NDArray[Any]]]]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        if name not in parts:
            origin = re.sub(r"/t\d+_$", "", _FLATTENED.sub("", name).split(";")[0])
            parts[name] = known_layer(origin, names), []
        layer, kept = parts[name]
        if layer is not None:
            kept.append([thinned(each) for each in _alike(values, layers.shapes[layer])])

    for batch in batches(layers.samples, probe.batch):
        probe.run(batch, look)
    order = {name: i for i, name in enumerate(computed)}
    found: dict[str, list[NDArray[Any]]] = {}
    for name in sorted(parts, key=lambda name: order.get(_FLATTENED.sub("", name), -1)):
        layer, kept = parts[name]
        if layer is not None:
            found.pop(layer, None)
            whole = [
                np.concatenate(each)[: len(layers.samples)] for each in zip(*kept, strict=True)
            ]
            found[layer] = [each for each in whole if len(each) == len(layers.samples)]
    return found


def _computed(file: ModelFile) -> list[str]:
    """The float tensors that are made of others than constants, in the file's order."""
    graph = file.model.graphs[file.model.main]
    return [
        o.outputs[0].name
        for o in graph.operators
        if o.outputs and o.outputs[0] and any(t and not t.constant for t in o.inputs)
        if o.op != "QuantizeLinear"
    ]


def _alike(values: NDArray[Any], expected: tuple[int, ...]) -> list[NDArray[Any]]:
    """The values in each order of axes that has the model's shape for a sample."""
    moved = np.moveaxis(values, 1, -1) if values.ndim > 2 else values
    return [each for each in (values, moved) if each.shape[1:] == expected]
