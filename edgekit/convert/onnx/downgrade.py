"""Older: an ONNX file of an older opset and IR version, where a target loads none newer."""

from __future__ import annotations

from edgekit.errors import require
from edgekit.inspection.compatibility import Target, limits_of


def older_onnx(content: bytes, target: Target) -> tuple[bytes, list[str]]:
    """The file with what is too new for `target` lowered, and a line for each thing that was.

    The file comes back as it is where onnx knows no way to an older opset.
    """
    onnx = require("onnx", "export", "Making a file for an older onnxruntime")
    proto = onnx.load_from_string(content)
    limits, ways = limits_of(target), []
    opset = next(entry for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if opset.version > limits["opset"]:
        try:
            proto = onnx.version_converter.convert_version(proto, limits["opset"])
        # The converter raises whatever it stumbles over, RuntimeError mostly.
        except (RuntimeError, ValueError):
            return content, []
        ways.append(f"opset {opset.version} lowered to {limits['opset']} for {target}")
    if proto.ir_version > limits["ir_version"]:
        ways.append(f"IR version {proto.ir_version} lowered to {limits['ir_version']} for {target}")
        proto.ir_version = limits["ir_version"]
    lower: bytes = proto.SerializeToString(deterministic=True)
    return lower, ways
