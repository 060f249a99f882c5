"""Apart: a float conversion that may end its process is done by another one."""

from __future__ import annotations

from dataclasses import replace

from edgekit.convert.tflite.convert import float_tflite
from edgekit.convert.trace.freeze import Frozen
from edgekit.convert.worker import Worker
from edgekit.errors import ChildError, ExportError


def float_tflite_apart(frozen: Frozen, *, allow_flex: bool, verbose: bool) -> bytes:
    """`float_tflite`, in a process of its own where the model has loops, branches or states.

    TensorFlow's converter checks some of what it finds in them by assertions, which end the process it
    runs in. Importing TensorFlow once more takes seconds, which no other model has to wait for.

    Raises:
        ExportError: as `float_tflite`; or the process died.
    """
    if not frozen.nested:
        return float_tflite(frozen, allow_flex=allow_flex)
    with Worker(("tensorflow",), verbose) as worker:
        # The folder and the layers are all that it reads.
        worker.submit(_convert, replace(frozen, graph=None), allow_flex)
        try:
            content: bytes = worker.receive()
        except ChildError as error:
            raise ExportError(
                f"TFLite cannot express it: TensorFlow's converter died of it: {str(error).partition('. ')[0]}"
            ) from error
    return content


def _convert(frozen: Frozen, allow_flex: bool) -> bytes:
    return float_tflite(frozen, allow_flex=allow_flex)
