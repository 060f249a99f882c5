"""Model order: a TFLite file's graph takes and gives its tensors in the order in which the model does.

TensorFlow's converter orders them as a map without an order happens to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.formats.flatbuffer import Bytes, Span
from edgekit.formats.tflite_check import read_file
from edgekit.tensor import TensorSpec


def in_model_order(
    content: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> bytes:
    """The file with the inputs and outputs of its graph in the order of `inputs` and `outputs`.

    Args:
        content: with one signature, which names them.
        inputs, outputs: the model's.
    """
    if len(inputs) < 2 and len(outputs) < 2:
        return content
    file = read_file(bytearray(content))
    graph, signature = file.graphs[0], file.signatures[0]
    _write(file.content, graph.places_of_inputs, signature.inputs, inputs)
    _write(file.content, graph.places_of_outputs, signature.outputs, outputs)
    return bytes(file.content)


def _write(
    content: Bytes, places: Span, named: Mapping[str, int], specs: Sequence[TensorSpec]
) -> None:
    order = [named[spec.name] for spec in specs if spec.name in named]
    given = places.of(content)
    # Two names may stand for one tensor, and a graph may take more than its signature says.
    if sorted(order) == sorted(given.tolist()):
        given[:] = order
