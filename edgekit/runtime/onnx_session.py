"""Opens .onnx files in onnxruntime so that sums of integers are right on every processor."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import ArtifactError, require

CPU = "CPUExecutionProvider"

_EXACT = "session.x64quantprecision"
_FOLDER = "session.model_external_initializers_file_folder_path"
_X86 = {"x86_64", "amd64", "i386", "i686"}

# y (int32, 1 x 1) = MatMulInteger(x (uint8, 1 x 2), w (int8, 2 x 1)) with w = 127, 127; opset 10.
_TWO_PRODUCTS = bytes.fromhex(
    "080512003a560a180a01780a0177120179220d4d61744d756c496e74656765721201672a0d0802080110034201774a"
    "027f7f5a130a0178120e0a0c080212080a0208010a02080262130a0179120e0a0c080612080a0208010a0208014204"
    "0a00100a"
)


def open_session(model: str | bytes, options: Any = None, providers: Sequence[Any] = (CPU,)) -> Any:
    """An onnxruntime.InferenceSession whose integer operators do not saturate.

    onnxruntime's fast x86 kernels add two products of uint8 and int8 in int16. Where they do, which
    is on processors without VNNI, a file with weights too large for that is opened in onnxruntime's
    exact mode, which takes about a quarter longer for an inference; the answers are those of other
    processors. edgekit's own files have no such weights.

    Args:
        model: an ``.onnx`` file's path, or its content.
        options: onnxruntime.SessionOptions; the exact mode is set in them.
        providers: execution providers, the first that takes an operator runs it.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        Exception: onnxruntime cannot load the file; its own exceptions have no other base.
    """
    runtime = require("onnxruntime", "onnx", "Running an .onnx file")
    if isinstance(model, str) and not _is_utf8(model):
        # It takes no other name.
        with open(model, "rb") as file:
            model = file.read()
    options = options or runtime.SessionOptions()
    if sums_saturate():
        model = _exact(model, options)
    return runtime.InferenceSession(model, options, providers=list(providers))


def open_exact(content: bytes, options: Any) -> Any:
    """A session of the same kind in the exact mode, whether the file needs it or not.

    Args:
        content: of an ``.onnx`` file.
        options: onnxruntime.SessionOptions; the exact mode is set in them.

    Raises:
        MissingDependencyError, Exception: as `open_session`.
    """
    from edgekit.formats.onnx_own_weights import own_weights

    runtime = require("onnxruntime", "onnx", "Running an .onnx file")
    options.add_session_config_entry(_EXACT, "1")
    return runtime.InferenceSession(own_weights(content), options, providers=[CPU])


def has_modes() -> bool:
    """Whether onnxruntime has a fast and an exact mode on this machine: on x86."""
    return platform.machine().lower() in _X86


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_exact(options: Any) -> bool:
    """Whether the exact mode is set in onnxruntime.SessionOptions."""
    try:
        return bool(options.get_session_config_entry(_EXACT) == "1")
    # Nobody set it.
    except RuntimeError:
        return False


@cache
def sums_saturate() -> bool:
    """Whether onnxruntime's integer kernels saturate on this processor.

    They are asked themselves, by the sum of two large products: what the system says of the processor
    is another's under emulation, and does not say what onnxruntime makes of it.
    """
    if not has_modes():
        return False
    runtime = require("onnxruntime", "onnx", "Running an .onnx file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(_TWO_PRODUCTS, options, providers=[CPU])
    (y,) = session.run(None, {"x": np.full((1, 2), 255, np.uint8)})
    return int(y[0, 0]) != 2 * 255 * 127


def _exact(model: str | bytes, options: Any) -> str | bytes:
    """Set the exact mode where a file needs it. Returns what that mode takes.

    That is the content where it had to be changed, `model` itself if not.
    """
    # Not needed on most machines.
    from edgekit.formats.onnx_own_weights import own_weights
    from edgekit.formats.onnx_saturation import saturating

    try:
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        if not any(operator.cured for operator in saturating(content)):
            return model
        options.add_session_config_entry(_EXACT, "1")
        changed = own_weights(content)
    # Then onnxruntime says what is wrong with the file.
    except (ArtifactError, OSError):
        return model
    if changed is content:
        return model
    if not isinstance(model, bytes):
        options.add_session_config_entry(_FOLDER, os.path.dirname(os.path.abspath(model)))
    return changed
