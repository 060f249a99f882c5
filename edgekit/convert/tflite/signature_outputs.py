"""Named ends: a quantised file's graph gives the tensors that its signature names.

Where an operator behind an output computes in another type than the output has, ai-edge-quantizer puts
a conversion between the two and makes that one the graph's output. The signature goes on naming the
tensor before it, whose memory the interpreter then gives to others: the answers are theirs.
"""

from __future__ import annotations

from typing import Any

from edgekit.errors import require


def keep_named_ends(content: bytes, float_file: bytes) -> bytes:
    """The quantised TFLite file with its main graph's outputs as the signature says.

    Args:
        content: as ai-edge-quantizer makes it of `float_file`.
        float_file: says which of the graph's outputs each name is.
    """
    schema = require("ai_edge_litert.schema_py_generated", "export", "Quantising a TFLite file")
    before = schema.Model.GetRootAs(float_file, 0)
    result = bytearray(content)
    after = schema.Model.GetRootAs(result, 0)
    was = before.Subgraphs(0).OutputsAsNumpy()
    # A view of `result`: what is written to it is in the file.
    given = after.Subgraphs(0).OutputsAsNumpy()
    named = _outputs(after)
    for name, tensor in _outputs(before).items():
        given[was == tensor] = named[name]
    return bytes(result)


def _outputs(model: Any) -> dict[bytes, int]:
    """The tensor of each of the signature's outputs, by name."""
    signature = model.SignatureDefs(0)
    outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    return {output.Name(): output.TensorIndex() for output in outputs}
