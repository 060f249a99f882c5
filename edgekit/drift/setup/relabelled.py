"""Relabelled: labels, and readings of a detector's answers, as they would be without a usual slip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import DecodedBoxes, Decoder, Yolo
from edgekit.drift.frames import Frames
from edgekit.drift.setup.label_slips import label_slips
from edgekit.drift.setup.slips import SLIPS, Slip
from edgekit.tasks import ANOMALY, MULTI_LABEL, REGRESSION

Array = NDArray[Any]
# Of a column that a factor and an offset explain, that much of the variance; and what is left of the error.
_EXPLAINED, _LEFT = 0.5, 1 / 3


def other_labels(
    task: str, labels: Array, class_names: tuple[str, ...] = ()
) -> Iterator[tuple[Slip, Array]]:
    """Labels of the same samples without each slip that they may have.

    Args:
        task: of `edgekit.tasks.TASKS`.
        labels: as the task has them; boxes are `other_boxes`'.
        class_names: of the model's classes.
    """
    if task in (MULTI_LABEL, ANOMALY):
        yield SLIPS["labels_opposite"], 1 - labels
    if task == MULTI_LABEL and labels.shape[1] > 2:
        for slip, place in label_slips(labels.shape[1], class_names):
            moved = np.empty_like(labels)
            moved[:, place] = labels
            yield slip, moved
    if task == REGRESSION:
        rows = labels.reshape(len(labels), -1)
        if rows.shape[1] > 1:
            reverse = np.ascontiguousarray(rows[:, ::-1])
            yield SLIPS["labels_columns_reversed"], reverse.reshape(labels.shape)


def in_unit_of(labels: Array, answers: Array) -> Iterator[tuple[Slip, Array]]:
    """Answers in the unit of the labels, by a factor and an offset a column, if those explain them."""
    rows, found = (x.reshape(len(x), -1).astype(np.float64) for x in (labels, answers))
    centred = rows - rows.mean(0)
    factor = (centred * (found - found.mean(0))).sum(0)
    size, spread = (np.square(x - x.mean(0)).sum(0) for x in (rows, found))
    # The square of the correlation is the share that is explained.
    if not ((size > 0) & (spread > 0) & (factor**2 > _EXPLAINED * size * spread)).all():
        return
    converted = rows.mean(0) + (found - found.mean(0)) * size / factor
    before, after = (float(np.abs(rows - x).mean()) for x in (found, converted))
    if after < _LEFT * before:
        yield SLIPS["labels_in_another_unit"], converted.reshape(answers.shape)


def other_boxes(labels: Array, frames: Frames) -> Iterator[tuple[Slip, Array]]:
    """Labelled boxes without each slip, still in pixels of the raw images.

    Args:
        labels: (samples, boxes, 5 or 6).
        frames: where the model's images lie in the raw ones.
    """
    box = labels[..., :4].astype(np.float64)
    first, second = box[..., :2], box[..., 2:]
    known = {
        "boxes_from_yxyx": box[..., [1, 0, 3, 2]],
        "boxes_from_xywh": np.concatenate([first, first + second], -1),
        "boxes_from_cxcywh": np.concatenate([first - second / 2, first + second / 2], -1),
        "boxes_from_unit": box * np.tile(frames[:, None, [5, 4]], 2),
        "boxes_from_input": box * np.tile(frames[:, None, :2], 2)
        + np.tile(frames[:, None, 2:4], 2),
    }
    for name, corners in known.items():
        yield SLIPS[name], np.concatenate([corners, labels[..., 4:]], -1)
    kinds = labels[..., 4]
    real = kinds >= 0
    if not real.any():
        return
    for slip, place in label_slips(int(kinds.max()) + 1):
        moved = place[np.where(real, kinds, 0).astype(np.intp)]
        if slip.name == "labels_plus_one":
            # The model may have a class more than the labels show.
            moved = kinds + 1
        moved = np.where(real, moved, kinds)
        yield slip, np.concatenate([labels[..., :4], moved[..., None], labels[..., 5:]], -1)


def boxes_in_input(labels: Array, frames: Frames) -> Array:
    """Labelled boxes of raw images in pixels of what the model saw of them."""
    scale, start = (np.tile(frames[:, None, at : at + 2], 2) for at in (0, 2))
    corners = (labels[..., :4].astype(np.float64) - start) / scale
    return np.concatenate([corners, labels[..., 4:]], -1)


def other_decoders(decoder: Decoder) -> Iterator[tuple[Slip, Decoder]]:
    """The decoder without each slip that it may have."""
    if isinstance(decoder, DecodedBoxes):
        for layout in ("xyxy", "yxyx", "xywh", "cxcywh"):
            if layout != decoder.layout:
                yield SLIPS[f"decoder_{layout}"], replace(decoder, layout=layout)
        name = "decoder_pixels" if decoder.normalized else "decoder_normalized"
        yield SLIPS[name], replace(decoder, normalized=not decoder.normalized)
    elif isinstance(decoder, Yolo) and decoder.coding in ("pixels", "normalized"):
        pixels = decoder.coding == "normalized"
        name = "decoder_pixels" if pixels else "decoder_normalized"
        yield SLIPS[name], replace(decoder, coding="pixels" if pixels else "normalized")
