"""Profiles say what samples look like; hashes, which they are."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import DocumentError
from edgekit.formats.seen import CALIBRATION, Seen
from edgekit.samples import Samples
from edgekit.samples.profile import (
    feature_names,
    features_of,
    hashes_of,
    marks_of,
    profile_of,
    seen_of,
)

SHAPES = [(7,), (40,), (9, 5), (20, 3), (12, 10, 3), (5, 6, 7), (4, 4, 3, 2), ()]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_feature_has_a_name(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).random((6, *shape))
    assert features_of(x).shape == (6, len(feature_names(shape)))


@given(
    hnp.arrays(
        st.sampled_from(["float32", "uint8", "int16"]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=12),
        elements=st.integers(0, 100),
    )
)
def test_mean_and_deviation_are_those_of_all_values(x: Any) -> None:
    profile = profile_of(x)
    assert profile is not None
    assert profile.mean == pytest.approx(float(x.mean(dtype=float)), rel=1e-4, abs=1e-4)
    assert profile.std == pytest.approx(float(x.std(dtype=float)), rel=1e-4, abs=1e-2)
    assert (profile.minimum, profile.maximum) == (x.min(), x.max())
    assert len(profile.features) == len(profile.spread) == len(feature_names(x.shape[1:]))


def test_features_of_an_image() -> None:
    x = np.zeros((1, 16, 16, 3))
    x[0, :2, :, 0] = 1
    found = dict(zip(feature_names((16, 16, 3)), features_of(x)[0], strict=True))
    assert found["channel 0"] == 2 / 16
    assert found["channel 1"] == 0
    assert found["axis 1, part 0"] == pytest.approx(1 / 3)
    assert found["axis 1, part 1"] == 0
    assert found["axis 2, part 0"] == pytest.approx(1 / 24)
    # One step of 1 a column of red, 16 of 15 * 16 * 3 vertical differences; none along a row.
    assert found["roughness"] == pytest.approx(16 / (15 * 16 * 3) / 2 / x.std())


def test_texts_have_no_profile() -> None:
    assert profile_of(np.array([["a"]])) is None
    seen = seen_of(Samples({"text": np.array(["a", "b"])}), CALIBRATION)
    assert seen.inputs == {}
    assert len(marks_of(seen)) == 2


def test_pixels_are_the_same_sample_as_bytes_and_as_floats() -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 5, 5, 3)).astype(np.uint8)
    first = list(hashes_of(Samples({"x": x})))
    assert first == list(hashes_of(Samples({"image": x.astype(np.float64)})))
    assert len(set(first)) == 20
    assert list(hashes_of(Samples({"x": x[::-1]}))) == first[::-1]
    assert list(hashes_of(Samples({"x": -np.zeros((1, 2))}))) == list(
        hashes_of(Samples({"x": np.zeros((1, 2))}))
    )


def test_seen_samples_are_few_numbers_and_come_back() -> None:
    x = np.random.default_rng(0).random((900, 28, 28, 3)).astype(np.float32)
    seen = seen_of(Samples({"x": x}), CALIBRATION)
    text = json.dumps(seen.to_json())
    assert len(text) < 1500
    assert Seen.from_json(json.loads(text)) == seen
    assert seen.count == 900
    assert len(marks_of(seen)) == 64
    assert set(marks_of(seen)) <= set(hashes_of(Samples({"x": x})))
    assert seen == seen_of(Samples({"x": x}), CALIBRATION)


@pytest.mark.parametrize("marks", ["abc", "a" * 8 * 65, "!" * 8])
def test_marks_that_are_none_are_refused(marks: str) -> None:
    content = {"purpose": CALIBRATION, "count": 1, "inputs": {}, "marks": marks}
    with pytest.raises(DocumentError, match="marks"):
        Seen.from_json({**content, "accuracy": None, "accuracy_count": None})
