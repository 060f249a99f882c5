"""Slips: each takes back what a user did, and nothing else comes close."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgekit.drift.setup.slips import SLIPS, input_slips, label_slips

Array = NDArray[Any]


def taken_back(x: Array, name: str) -> Array:
    (change,) = (change for slip, change in input_slips(x) if slip.name == name)
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
    ],
)
def test_what_a_user_did_is_taken_back(name: str, done: Any) -> None:
    x = images(6, 6, 3)
    np.testing.assert_allclose(taken_back(done(x), name), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "absent"),
    [
        ((6, 6, 1), {"channels_reversed", "from_nchw", "to_nchw"}),
        ((6, 8, 3), {"transposed"}),
        ((7,), {"channels_reversed", "transposed", "from_nchw", "to_nchw"}),
        ((50, 2), {"channels_reversed", "transposed"}),
    ],
)
def test_only_what_a_shape_leaves_open_is_tried(shape: tuple[int, ...], absent: set[str]) -> None:
    found = {slip.name for slip, _ in input_slips(images(*shape))}
    inputs = {name for name in SLIPS if not name.startswith(("labels", "resized"))}
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
