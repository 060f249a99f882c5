"""Slips: each takes back what a user did, and nothing else comes close."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.label_slips import label_slips
from edgekit.drift.setup.slips import SLIPS

Array = NDArray[Any]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def taken_back(x: Array, name: str) -> Array:
    change = next(change for slip, change in input_slips(x) if slip.name == name)
    return change(x)


def images(*shape: int) -> Array:
    return np.random.default_rng(0).random((5, *shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("divided_by_255", lambda x: x * 255),
        ("multiplied_by_255", lambda x: x / 255),
        ("unit_to_signed", lambda x: (x + 1) / 2),
        ("signed_to_unit", lambda x: 2 * x - 1),
        ("bytes_to_signed", lambda x: (x + 1) * 127.5),
        ("signed_to_bytes", lambda x: x / 127.5 - 1),
        ("channels_reversed", lambda x: x[..., ::-1]),
        ("transposed", lambda x: np.transpose(x, (0, 2, 1, 3))),
        # What a user has who calls reshape in place of transpose.
        ("from_nchw", lambda x: np.transpose(x, (0, 3, 1, 2)).copy().reshape(x.shape)),
        ("to_nchw", lambda x: np.transpose(x.reshape(5, 3, 6, 6), (0, 2, 3, 1))),
        ("imagenet_standardised", lambda x: x * STD + MEAN),
        ("imagenet_standardised_from_bytes", lambda x: 255 * (x * STD + MEAN)),
        ("imagenet_standardised_from_signed", lambda x: 2 * (x * STD + MEAN) - 1),
        ("imagenet_undone", lambda x: (x - MEAN) / STD),
        ("imagenet_undone_to_signed", lambda x: ((x + 1) / 2 - MEAN) / STD),
        ("imagenet_undone_to_bytes", lambda x: (x / 255 - MEAN) / STD),
        ("means_of_bgr", lambda x: x[..., ::-1] + np.array([123.68, 116.779, 103.939])),
        ("negative", lambda x: x.max() + x.min() - x),
        ("upside_down", lambda x: x[:, ::-1]),
        ("mirrored", lambda x: x[:, :, ::-1]),
        ("half_turn", lambda x: np.rot90(x, 2, (1, 2))),
        ("turned_left", lambda x: np.rot90(x, -1, (1, 2))),
        ("turned_right", lambda x: np.rot90(x, 1, (1, 2))),
    ],
)
def test_what_a_user_did_is_taken_back(name: str, done: Any) -> None:
    x = images(6, 6, 3)
    np.testing.assert_allclose(taken_back(done(x), name), x, rtol=1e-4, atol=1e-5)


def test_samples_of_any_mean_are_brought_to_none() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 7)) * np.arange(1, 8) + 30
    x[:, 3] = 5
    found = taken_back(x, "standardised")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), np.arange(7) != 3, atol=1e-5)


def test_a_sound_at_another_rate_and_in_whole_numbers() -> None:
    steps = np.arange(400)
    x = np.stack([np.sin(steps / rate) for rate in (20, 33, 51)]).astype(np.float32)
    np.testing.assert_allclose(taken_back(x * 32768, "divided_by_32768"), x, atol=1e-6)
    np.testing.assert_allclose(taken_back(x / 32768, "multiplied_by_32768"), x, atol=1e-6)
    twice = np.stack([np.sin(steps / 2 / rate) for rate in (20, 33, 51)])
    np.testing.assert_allclose(taken_back(twice, "half_the_rate")[:, :200], x[:, :200], atol=1e-6)
    half = np.stack([np.sin(steps * 2 / rate) for rate in (20, 33, 51)])
    np.testing.assert_allclose(taken_back(half, "twice_the_rate")[:, :398], x[:, :398], atol=0.01)
    series = x[..., None].repeat(2, 2)
    np.testing.assert_array_equal(taken_back(series[:, ::-1], "backwards"), series)


def test_cropped_and_shrunk_images_get_their_size() -> None:
    down, right = np.mgrid[0:32, 0:32] / 32
    x = np.exp(-(((down - 0.4) / 0.15) ** 2) - ((right - 0.55) / 0.1) ** 2)[None, ..., None]
    larger = taken_back(x, "cropped")
    assert np.abs(taken_back(larger, "shrunk") - x).max() < 0.07
    assert (larger > 0.5).sum() == pytest.approx((x > 0.5).sum() * (8 / 7) ** 2, rel=0.15)


def test_smoothing_takes_noise_as_a_mean_of_four_pixels_does_and_stays_in_place() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (20, 32, 32, 1))
    assert taken_back(noise, "smoothed").std() == pytest.approx(0.5, abs=0.02)
    point = np.zeros((1, 9, 9, 1))
    point[0, 4, 4] = 1
    found = taken_back(point, "smoothed")[0, ..., 0]
    np.testing.assert_allclose(found, found[::-1, ::-1])
    assert found.argmax() == 4 * 9 + 4
    assert found.sum() == pytest.approx(1)


def test_a_border_is_cut_off_and_the_rest_stretched() -> None:
    x = images(12, 12, 3)
    inner = x[:, ::2]
    padded = np.full_like(x, 0.4)
    padded[:, 3:9] = inner
    found = taken_back(padded, "unbordered")
    assert found.shape == x.shape
    np.testing.assert_allclose(found[:, [0, -1]], inner[:, [0, -1]], rtol=1e-5)
    assert "unbordered" not in {slip.name for slip, _ in input_slips(x)}
    # On one side alone there is none, nor in images of one colour.
    padded[:, 9:] = x[:, 9:]
    assert "unbordered" not in {slip.name for slip, _ in input_slips(padded)}
    assert "unbordered" not in {slip.name for slip, _ in input_slips(0 * x)}


CHANNELS = {"channels_reversed", "from_nchw", "to_nchw"}
IMAGENET = {"imagenet_standardised", "imagenet_standardised_from_bytes", "imagenet_undone"}
IMAGENET |= {"imagenet_standardised_from_signed", "imagenet_undone_to_signed"}
IMAGENET |= {"imagenet_undone_to_bytes", "means_of_bgr"}
SERIES = {"half_the_rate", "twice_the_rate", "backwards"}
SOUND = {"divided_by_32768", "multiplied_by_32768"}
TURNED = {"transposed", "turned_left", "turned_right"}
IMAGES = {
    *IMAGENET,
    *TURNED,
    "upside_down",
    "mirrored",
    "half_turn",
    "cropped",
    "shrunk",
    "smoothed",
}
IMAGES |= {"negative", "channels_reversed"}


@pytest.mark.parametrize(
    ("shape", "absent"),
    [
        ((6, 6, 1), {*CHANNELS, *IMAGENET, *SERIES, *SOUND}),
        ((6, 8, 3), {*TURNED, *SERIES, *SOUND}),
        ((7,), {*IMAGES, *CHANNELS, *SERIES, *SOUND}),
        ((50, 2), {*IMAGES, *SOUND}),
        ((500, 1), {*IMAGES, *CHANNELS}),
    ],
)
def test_only_what_a_shape_leaves_open_is_tried(shape: tuple[int, ...], absent: set[str]) -> None:
    found = {slip.name for slip, _ in input_slips(images(*shape))}
    inputs = {
        name
        for name in SLIPS
        if not name.startswith(("labels", "resized", "boxes", "decoder", "inputs"))
        # Only where there is a border.
        and name != "unbordered"
    }
    assert found == inputs - absent


def test_transparency_stays_where_it_is() -> None:
    x = images(4, 4, 4)
    np.testing.assert_array_equal(taken_back(x, "channels_reversed"), x[..., [2, 1, 0, 3]])


def test_texts_have_no_slips() -> None:
    assert not list(input_slips(np.array([["a"], ["b"]])))


@given(st.integers(2, 130))
def test_labels_get_distinct_orders_that_are_orders(classes: int) -> None:
    found = label_slips(classes)
    rows = [tuple(place) for _, place in found]
    assert len({*rows, tuple(range(classes))}) == len(rows) + 1
    for row in rows:
        assert sorted(row) == list(range(classes))
    names = {slip.name for slip, _ in found}
    assert ("labels_to_text_order" in names) == (classes >= 10)


def test_folders_in_text_order() -> None:
    names = sorted(str(number) for number in range(12))
    (place,) = [p for s, p in label_slips(12) if s.name == "labels_to_text_order"][:1]
    # Where Keras puts the folder of each class.
    assert [names[number] for number in place] == [str(n) for n in range(12)]
    (back,) = [p for s, p in label_slips(12) if s.name == "labels_from_text_order"][:1]
    np.testing.assert_array_equal(place[back], np.arange(12))


def test_two_classes_have_one_wrong_order() -> None:
    ((slip, place),) = label_slips(2)
    assert slip.name == "labels_reversed"
    assert list(place) == [1, 0]


def test_names_in_alphabetical_order() -> None:
    found = {slip.name: place for slip, place in label_slips(4, ("d", "a", "c", "b"))}
    assert list(found["labels_to_name_order"]) == [3, 0, 2, 1]
    assert list(found["labels_from_name_order"]) == [1, 3, 2, 0]
