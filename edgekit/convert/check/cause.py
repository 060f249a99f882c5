"""Cause: the first layer of the model that a file does not follow, for messages."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import OnnxProbe, TfliteProbe, batches
from edgekit.convert.check.reference import Reference
from edgekit.convert.refusals import known_layer
from edgekit.errors import one_line, require
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite_check import read_file
from edgekit.metrics import fidelity
from edgekit.samples import Samples

# A few samples show where a file goes wrong.
_SAMPLES = 8
_FLATTENED = re.compile(r"_(De)?[qQ]uantizeLinear_Output$")

Arrays = dict[str, NDArray[Any]]


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
    samples = Samples({name: x[:_SAMPLES] for name, x in reference.samples.inputs.items()})
    # Layers, kernels and onnxruntime raise whatever they like; the message is given all the same, and
    # says what they raised.
    try:
        expected = _of_layers(reference, samples)
        found = _of_file(file, samples, list(expected))
    except Exception as error:
        return f"unknown: {type(error).__name__}: {one_line(error)}"
    for layer, values in found.items():
        ours = _alike(values, expected[layer])
        noises = [fidelity.channel_noise(expected[layer], each) for each in ours]
        db = max(map(fidelity.ratio_db, noises), default=least_db)
        if db < least_db:
            return f"layer {layer!r} at {db:.1f} dB"
    return ""


def _of_layers(reference: Reference, samples: Samples) -> Arrays:
    """What each layer of a Functional or Sequential model gives, by its name."""
    source = reference.source
    tf = require("tensorflow", "export", "Checking a file")
    keras = require(source.flavour, "export", "Checking a file")
    tensors = {}
    for layer in source.model.layers:
        nodes = getattr(layer, "_inbound_nodes", ())
        if len(nodes) == 1 and hasattr(layer.output, "shape"):
            tensors[layer.name] = layer.output
    inner = keras.Model(source.model.inputs, tensors)
    given = [tf.constant(samples.inputs[spec.name], spec.dtype) for spec in source.inputs]
    return {name: np.asarray(x) for name, x in inner(given, training=False).items()}


def _of_file(file: ModelFile, samples: Samples, layers: list[str]) -> Arrays:
    """The last tensor that the file has of each layer, by the layer's name, in the file's order."""
    probe: Any
    if file.model.format == "tflite":
        probe = TfliteProbe(read_file(file.content))
    else:
        onnx = require("onnx", "export", "Checking a file")
        probe = OnnxProbe(onnx.load_from_string(file.content), _computed(file))
    parts: dict[str, list[NDArray[Any]]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        parts.setdefault(name, []).append(np.array(values))

    for batch in batches(samples, probe.batch):
        probe.run(batch, look)
    order = {name: i for i, name in enumerate(_computed(file))}
    found: Arrays = {}
    for name in sorted(parts, key=lambda name: order.get(_FLATTENED.sub("", name), -1)):
        origin = re.sub(r"/t\d+_$", "", _FLATTENED.sub("", name).split(";")[0])
        layer = known_layer(origin, layers)
        if layer is not None:
            found.pop(layer, None)
            found[layer] = np.concatenate(parts[name])[: len(samples)]
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


def _alike(values: NDArray[Any], expected: NDArray[Any]) -> list[NDArray[Any]]:
    """The values in each order of axes, the file's and with channels last, that has the model's shape."""
    moved = np.moveaxis(values, 1, -1) if values.ndim > 2 else values
    return [each for each in (values, moved) if each.shape == expected.shape]
