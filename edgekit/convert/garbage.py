"""Garbage: what a library that copies whole graphs leaves behind is collected while it works."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def little_garbage() -> Iterator[None]:
    """Collect often what dies meanwhile, and once more at the end.

    tf2onnx copies the graph, weights and all, for each of its optimisers, and nodes and graphs refer to each
    other. Python waits with its full collections until a quarter of all objects is new, which beside those
    of TensorFlow takes too long: 0.5 GB of copies lie about in the export of a MobileNetV2. TensorFlow's converter
    asks for a full collection of its own, which takes a quarter of a second there. What was there before is
    taken out of both, unless the program itself has frozen something.
    """
    own = gc.get_freeze_count() == 0
    if own:
        gc.freeze()
        # Sets the count of old objects, which are none now.
        gc.collect()
    try:
        yield
    finally:
        gc.collect()
        if own:
            gc.unfreeze()
