"""Samples as something to look at."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.needs import package

from edgekit.report.pictures import picture
from edgekit.report.png import to_png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]))


def pixels_of(data: bytes) -> np.ndarray:
    image = package("PIL.Image").open(io.BytesIO(data))
    found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape)))
def test_a_png_is_read_as_it_was_written(pixels: np.ndarray) -> None:
    assert np.array_equal(pixels_of(to_png(pixels)), pixels)


@pytest.mark.parametrize(
    ("shape", "dtype", "about"),
    [
        ((28, 28, 1), np.float32, "image of 28 x 28"),
        ((28, 28), np.uint8, "image of 28 x 28"),
        ((32, 40, 3), np.float32, "image of 32 x 40"),
        ((3, 32, 40), np.float32, "image of 32 x 40"),
        ((49, 10, 1), np.float32, "image of 49 x 10"),
        ((8000,), np.float32, "waveform, 8,000 steps"),
        ((8000, 1), np.float32, "waveform, 8,000 steps"),
        ((100, 6), np.float32, "series of 6, 100 steps"),
        ((9,), np.float32, "values of shape [9]"),
        ((64,), np.int32, "values of shape [64]"),
        ((2, 3, 4, 5), np.float32, "values of shape [2, 3, 4, 5]"),
        ((), np.float32, "values of shape []"),
    ],
)
def test_what_a_sample_is_follows_from_its_shape(
    shape: tuple[int, ...], dtype: type, about: str
) -> None:
    x = np.random.default_rng(0).uniform(0, 200, (2, *shape)).astype(dtype)
    found = picture({"x": x}, 1)
    assert found.about == about
    assert sum(map(bool, (found.image, found.lines, found.text))) == 1


def test_an_image_shows_its_values() -> None:
    x = np.array([[[0.0, 0.5], [1.0, 0.25]]]).repeat(4, axis=1).repeat(4, axis=2)
    found = picture({"x": x}, 0)
    data = base64.b64decode(found.image.removeprefix("data:image/png;base64,"))
    assert pixels_of(data)[::4, ::4, 0].tolist() == [[0, 128], [255, 64]]


def test_a_peak_of_one_step_is_seen_in_a_long_waveform() -> None:
    x = np.zeros((1, 16_000), np.float32)
    x[0, 7_777] = 1
    (line,) = picture({"x": x}, 0).lines
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(points) <= 240
    assert min(y for _, y in points) == 0
    peak = next(x for x, y in points if y == 0)
    assert peak == pytest.approx(100 * 7_777 / 16_000, abs=1)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.int64, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=20),
    )
)
def test_any_sample_is_something(x: np.ndarray) -> None:
    found = picture({"x": x}, 0)
    assert found.image or found.lines or found.text


def test_the_first_input_with_a_picture_is_taken() -> None:
    inputs = {"age": np.zeros((1, 1), np.float32), "image": np.zeros((1, 8, 8, 1), np.float32)}
    assert picture(inputs, 0).about == "image of 8 x 8"
