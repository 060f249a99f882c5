"""What TensorFlow's errors say, and what to do where it has no kernel for an operator on this processor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from edgekit.errors import ONEDNN, ArtifactError, one_line, require


def said(error: Exception) -> str:
    """What an error of TensorFlow comes to: around it stand a trace of the graph, and names of nodes."""
    text = getattr(error, "message", None) or str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wordy = ("[[", "[Op:", "Hint:", "Stack trace", "File ", "Detected at", "Graph execution error")
    found = [line for line in lines if not line.startswith(wordy)]
    return one_line(Exception((found or lines or [type(error).__name__])[-1]))


def missing_kernel(error: Exception) -> str:
    """What a `tensorflow.errors.UnimplementedError` means, in a sentence for the user."""
    if "NHWC" not in str(error):
        return f"TensorFlow has no kernel for an operator on this processor: {one_line(error)}"
    return (
        "TensorFlow runs channels-first layers on this processor only with its oneDNN kernels, which "
        f"are off: received {ONEDNN}={os.environ.get(ONEDNN)!r}, expected '1' when TensorFlow is first "
        "imported. Set it before Python starts, or build the model with data_format='channels_last'."
    )


@contextmanager
def kernels_asked_of(model: object) -> Iterator[None]:
    """For a block that runs `model` in TensorFlow.

    Raises:
        ArtifactError: TensorFlow has no kernel for one of its operators on this processor.
    """
    errors = require("tensorflow", "export", "Running a Keras model").errors
    try:
        yield
    except errors.UnimplementedError as error:
        raise ArtifactError(f"{model}: {missing_kernel(error)}") from error
