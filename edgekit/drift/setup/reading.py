"""Reading: what a model's outputs say in a task, as one array that is held against the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.detection.boxes import Boxes
from edgekit.drift.answers import Answers
from edgekit.metrics.scores import reconstruction_errors
from edgekit.tasks import ANOMALY, DETECTION

Array = NDArray[Any]
Reading = Callable[[Mapping[str, Array], Mapping[str, Array]], Array]
"""From inputs and outputs by name to one row a sample."""


def reading_of(asked: Answers, decoder: Decoder | None) -> Reading | None:
    """How the task's answers are read; None where nothing can be.

    Of a detector the boxes in pixels of its input, as `packed` gives them; of an autoencoder the errors of the
    reconstruction, (samples,); of every other task the output itself.

    Args:
        asked: what the model answered.
        decoder: of a detector.
    """
    name, inputs = asked.task_output, asked.samples.inputs
    if name is None:
        return None
    if asked.task == DETECTION:
        if decoder is None or len(inputs) != 1 or next(iter(inputs.values())).ndim != 4:
            return None

        def boxes(given: Mapping[str, Array], outputs: Mapping[str, Array]) -> Array:
            (x,) = given.values()
            return packed(decoder.decode(outputs, x.shape[1], x.shape[2]))

        return boxes
    if asked.task == ANOMALY:

        def errors(given: Mapping[str, Array], outputs: Mapping[str, Array]) -> Array:
            (x,) = given.values()
            return reconstruction_errors(outputs[name], x)

        return errors
    return lambda _, outputs: outputs[name]


def packed(found: Sequence[Boxes]) -> NDArray[np.float64]:
    """Boxes of images as rows of left, top, right, bottom and class, (images, boxes, 5); class -1 fills up."""
    most = max(map(len, found), default=0)
    rows = np.full((len(found), max(1, most), 5), -1.0)
    for row, boxes in zip(rows, found, strict=True):
        row[: len(boxes), :4] = boxes.corners
        row[: len(boxes), 4] = boxes.classes
    return rows
