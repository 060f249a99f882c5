"""Signature outputs: a quantised file's graph gives the tensors that its signature names.

Where an operator behind an output computes in another type than the output has, ai-edge-quantizer puts
a conversion between the two and makes that one the graph's output. The signature goes on naming the
tensor before it, whose memory the interpreter then gives to others: the answers are theirs.
"""

from __future__ import annotations

import numpy as np

from edgekit.formats.tflite_file import TfliteFile


def keep_signature_outputs(file: TfliteFile, float_file: TfliteFile) -> None:
    """Let the main graph of a quantised file give what its signature says, in place.

    Args:
        file: as ai-edge-quantizer makes it of `float_file`; its content is a bytearray.
        float_file: says which of the graph's outputs each name is.
    """
    was = np.array(float_file.graphs[0].outputs)
    given = file.graphs[0].places_of_outputs.of(file.content)
    named = file.signatures[0].outputs
    for name, tensor in float_file.signatures[0].outputs.items():
        given[was == tensor] = named[name]
