"""Frames: boxes and masks of raw images, whatever was done to these."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.detection.boxes import Boxes
from edgekit.drift.frames import frames_of, in_raw_image, masks_as_seen
from edgekit.formats.metadata import Metadata
from edgekit.preprocess import CenterCrop, Letterbox, Preprocessing, Rescale, Resize
from edgekit.samples import Samples


def prepared_as(*steps: Any) -> Metadata:
    return Metadata(preprocessing={"image": Preprocessing(steps)})


def test_boxes_go_back_to_the_raw_image_and_end_at_its_edges() -> None:
    samples = Samples({"image": np.zeros((2, 40, 80, 3), np.uint8)})
    frames = frames_of(samples, prepared_as(Letterbox(40, 40), Rescale(1 / 255)))
    assert frames is not None
    # Half as large, with ten rows above and below.
    np.testing.assert_allclose(frames, [[2, 2, 0, -20, 40, 80]] * 2)
    boxes = Boxes(np.array([[5.0, 12, 10, 20], [30, 0, 45, 25]]), np.ones(2), np.arange(2))
    found = in_raw_image(boxes, frames[0])
    np.testing.assert_allclose(found.corners, [[10, 4, 20, 20], [60, 0, 80, 30]])


def test_images_without_steps_are_seen_as_they_are() -> None:
    frames = frames_of(Samples({"x": np.zeros((1, 5, 6, 1))}), Metadata())
    np.testing.assert_allclose(frames, [[1, 1, 0, 0, 5, 6]])
    assert frames_of(Samples({"x": np.zeros((1, 5))}), Metadata()) is None


@pytest.mark.parametrize(
    "steps", [(Resize(8, 12, "nearest"),), (CenterCrop(8, 6), Resize(4, 3, "nearest"))]
)
def test_masks_are_seen_as_images_are(steps: tuple[Any, ...]) -> None:
    masks = np.random.default_rng(0).integers(0, 5, (3, 16, 24)).astype(np.uint8)
    metadata = prepared_as(*steps)
    frames = frames_of(Samples({"image": masks[..., None]}), metadata)
    assert frames is not None
    seen = metadata.preprocessing["image"].apply(masks[..., None])[..., 0]
    found = masks_as_seen(masks, frames, seen.shape[1:], seen.shape[1:])
    np.testing.assert_array_equal(found, seen)


def test_places_beyond_the_image_are_left_out() -> None:
    masks = np.ones((1, 4, 8), np.uint8)
    frames = frames_of(Samples({"image": masks[..., None]}), prepared_as(Letterbox(8, 8)))
    assert frames is not None
    found = masks_as_seen(masks, frames, (8, 8), (4, 4))
    np.testing.assert_array_equal(found[0, :, 0], [255, 1, 1, 255])
