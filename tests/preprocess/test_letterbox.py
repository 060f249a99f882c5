"""Letterbox: where pixels go, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.preprocess import CenterCrop, Letterbox, Preprocessing, Rescale, Resize

SIZES = st.integers(1, 40)


def test_a_wide_image_is_filled_up_above_and_below() -> None:
    image = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
    boxed = Letterbox(5, 4, fill=9).apply(image)
    assert boxed.shape == (1, 5, 4, 1)
    np.testing.assert_array_equal(boxed[:, 1:3], image)
    assert (boxed[:, [0, 3, 4]] == 9).all()


@given(SIZES, SIZES, SIZES, SIZES)
def test_the_image_inside_is_the_resized_one(h: int, w: int, height: int, width: int) -> None:
    image = np.random.default_rng(h * w).uniform(0, 1, (2, h, w, 3)).astype(np.float32)
    boxed = Letterbox(height, width, fill=-1).apply(image)
    rows = np.flatnonzero((boxed != -1).any(axis=(0, 2, 3)))
    columns = np.flatnonzero((boxed != -1).any(axis=(0, 1, 3)))
    assert len(rows) == height or len(columns) == width
    inside = boxed[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(inside, Resize(len(rows), len(columns)).apply(image))
    assert height - 1 - rows[-1] - rows[0] in (0, 1)
    assert width - 1 - columns[-1] - columns[0] in (0, 1)
    # Its corners come back as those of the image.
    corners = np.asarray([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]], float)
    back = Preprocessing((Letterbox(height, width),)).points_back(corners, image.shape)
    np.testing.assert_allclose(back, [[0, 0], [w, h]], atol=1e-9)


def test_points_go_back_through_every_step() -> None:
    # 20 x 30 pixels, of which the middle 10 x 20 become 40 x 40, in a box of 40 x 60.
    steps = Preprocessing((CenterCrop(10, 20), Resize(40, 40), Letterbox(40, 60), Rescale(2.0)))
    points = np.asarray([[10.0, 0.0], [50.0, 40.0], [30.0, 20.0]])
    back = steps.points_back(points, (1, 20, 30, 3))
    np.testing.assert_allclose(back, [[5, 5], [25, 15], [15, 10]])
