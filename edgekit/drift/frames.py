"""Frames: where the image that a model saw lies in the raw image, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection.boxes import Boxes
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.formats.metadata import Metadata, by_input
from edgekit.samples import Samples

Frames = NDArray[np.float64]
"""(samples, 6): pixels of the raw image along x and y for one of the model's, where the model's image begins along x
and y, and height and width of the raw image."""


def frames_of(samples: Samples, metadata: Metadata) -> Frames | None:
    """The frames of raw samples of one input of images; None of all others.

    Args:
        samples: raw ones, (samples, height, width, channels), whose sizes may differ.
        metadata: what the model says of their preparation.
    """
    if len(samples.inputs) != 1:
        return None
    ((name, x),) = samples.inputs.items()
    if x.ndim != 4:
        return None
    steps = by_input(metadata.preprocessing, [name]).get(name)
    sizes = [x.shape[1:]] * len(x) if None not in x.shape else [image.shape for image in x]
    known: dict[Any, Any] = {}
    for size in sizes:
        if size not in known:
            corners = np.array([[0.0, 0.0], [1.0, 1.0]])
            if steps is not None:
                corners = steps.points_back(corners, (1, *size))
            known[size] = [*(corners[1] - corners[0]), *corners[0], *map(float, size[:2])]
    return np.array([known[size] for size in sizes])


def in_raw_image(boxes: Boxes, frame: NDArray[np.float64]) -> Boxes:
    """Boxes in pixels of the model's input in those of the raw image, cut at its edges, as `Runner.detect` does."""
    corners = boxes.corners * np.tile(frame[:2], 2) + np.tile(frame[2:4], 2)
    return Boxes(corners, boxes.scores, boxes.classes).within(frame[4], frame[5])


def masks_as_seen(
    masks: Any, frames: Frames, seen: tuple[int, int], places: tuple[int, int]
) -> NDArray[Any]:
    """Masks of raw images as the output's places see them: the nearest pixel, 255 beyond the image.

    Args:
        masks: (samples, height, width), an array or a lazy one; of the raw images' sizes.
        frames: of the samples.
        seen: height and width of the model's input.
        places: of the output.

    Returns:
        Shape (samples, *places).
    """
    found = np.full((len(frames), *places), IGNORED, masks.dtype)
    for number, frame in enumerate(frames):
        mask = np.asarray(masks[number])
        rows, columns = (
            np.floor(((np.arange(count) + 0.5) * size / count) * scale + start).astype(int)
            for count, size, scale, start in zip(
                places, seen, frame[[1, 0]], frame[[3, 2]], strict=True
            )
        )
        inside = [
            (at >= 0) & (at < size) for at, size in zip((rows, columns), mask.shape, strict=True)
        ]
        part = mask[rows[inside[0]]][:, columns[inside[1]]]
        found[number][np.ix_(*inside)] = part
    return found
