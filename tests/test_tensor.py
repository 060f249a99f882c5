from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import TensorError
from edgekit.tensor import (
    QuantParams,
    TensorSpec,
    dequantize,
    held_by_half,
    name_in_files,
    names_by_model,
    quantize,
    within_half,
)

DTYPES = ("int8", "uint8", "int16", "uint16")
scales = st.floats(2**-13, 8, width=32)


@st.composite
def quantised(draw: st.DrawFn) -> tuple[QuantParams, np.dtype, np.ndarray]:
    """Parameters, a dtype, and float values within the range that they span."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    info = np.iinfo(dtype)
    scale = draw(scales)
    zero_point = draw(st.integers(int(info.min), int(info.max)))
    low, high = (info.min - zero_point) * scale, (info.max - zero_point) * scale
    share = draw(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(0, 1)))
    return QuantParams((scale,), (zero_point,)), dtype, low + share * (high - low)


@given(quantised())
def test_a_round_trip_stays_within_half_a_step(case: tuple) -> None:
    params, dtype, x = case
    q = quantize(x, params, dtype)
    back = dequantize(q, params)
    assert q.dtype == dtype
    assert back.dtype == np.float32
    assert back.shape == x.shape
    # float32 itself rounds the quotient of a large value by a part of a step.
    slack = np.abs(x).max() * np.finfo(np.float32).eps * 2
    assert np.abs(back - x).max() <= params.scale[0] * 0.5 * (1 + 1e-4) + slack


@given(st.sampled_from(DTYPES), st.data())
def test_what_was_dequantised_quantises_to_the_same_integers(dtype: str, data: st.DataObject):
    info = np.iinfo(dtype)
    whole = st.integers(int(info.min), int(info.max))
    params = QuantParams((data.draw(scales),), (data.draw(whole),))
    q = data.draw(hnp.arrays(dtype, 20, elements=whole))
    assert np.array_equal(quantize(dequantize(q, params), params, dtype), q)


@pytest.mark.parametrize("dtype", [*DTYPES, "int32"])
def test_values_beyond_the_range_are_clipped(dtype: str) -> None:
    info = np.iinfo(dtype)
    q = quantize(np.array([-1e30, -np.inf, 1e30, np.inf]), QuantParams((0.5,), (0,)), dtype)
    # float32 holds no 2**31 - 1; the nearest below it is the best an int32 can get.
    highest = info.max if dtype != "int32" else 2**31 - 128
    assert q.tolist() == [info.min, info.min, highest, highest]


def test_halves_go_to_the_even_neighbour() -> None:
    q = quantize(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), QuantParams((1.0,), (0,)), "int8")
    assert q.tolist() == [0, 2, 2, 0, -2]


def test_parameters_a_channel_apply_along_their_axis() -> None:
    params = QuantParams((0.5, 2.0, 0.25), (0, 1, -1), axis=1)
    x = np.ones((2, 3, 4), np.float32) * np.float32([1, 4, 1])[:, None]
    q = quantize(x, params, "int8")
    assert q[0, :, 0].tolist() == [2, 3, 3]
    assert np.array_equal(dequantize(q, params), x)
    alone = QuantParams((2.0,), (1,))
    assert np.array_equal(q[:, 1], quantize(x[:, 1], alone, "int8"))


@pytest.mark.parametrize(
    ("scale", "zero_point", "axis", "says"),
    [
        ((), (), None, "at least one"),
        ((1.0,), (0, 1), 0, "1 scales and 2 zero points"),
        ((0.0,), (0,), None, "positive finite"),
        ((-1.0,), (0,), None, "positive finite"),
        ((float("nan"),), (0,), None, "positive finite"),
        ((float("inf"),), (0,), None, "positive finite"),
        ((1.0, 2.0), (0, 0), None, "without an axis"),
    ],
)
def test_bad_parameters_are_refused(scale, zero_point, axis, says: str) -> None:
    with pytest.raises(TensorError, match=says):
        QuantParams(scale, zero_point, axis)


def test_a_spec_accepts_what_fits() -> None:
    spec = TensorSpec("x", "float32", (None, 8, 8, 1))
    assert spec.accepts((1, 8, 8, 1))
    assert spec.accepts((7, 8, 8, 1))
    assert not spec.accepts((0, 8, 8, 1))
    assert not spec.accepts((8, 8, 1))
    assert not spec.accepts((1, 8, 8, 3))
    assert spec.concrete_shape() == (1, 8, 8, 1)
    assert spec.concrete_shape(5) == (5, 8, 8, 1)
    assert TensorSpec("x", "float32", (None, None)).concrete_shape(3) == (3, 1)


def test_specs_become_json() -> None:
    spec = TensorSpec("x", "int8", (1, None), QuantParams((0.5,), (3,)))
    assert spec.to_json() == {
        "name": "x",
        "dtype": "int8",
        "shape": [1, None],
        "quantization": {"scale": [0.5], "zero_point": [3], "axis": None},
    }
    assert TensorSpec("x", "float32", (1,)).to_json()["quantization"] is None


@pytest.mark.parametrize(
    ("values", "held"),
    [
        ([1.0, -0.3, 65504.0], True),
        ([1.0, 70000.0], False),
        # Two bits are left of the first, and none are needed of it beside the second.
        ([1.3e-7, 1.0], True),
        ([1.3e-7, 2.7e-7], False),
        ([2.0**-20], True),
        ([0.0], True),
        ([], True),
        ([np.inf, np.nan, 2.0], True),
    ],
)
def test_what_half_precision_holds(values: list[float], held: bool) -> None:
    assert held_by_half(np.array(values, np.float32)) is held
    assert within_half(np.array(values, np.float32)) is (70000.0 not in values)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("größe", "größe"),
        ("gro\u0308ße", "größe"),
        ("日本", "日本"),
        ("my-input 1", "my_input_1"),
        ("image:0", "image"),
        ("class", "class_"),
        ("1st", "tensor_1st"),
        ("_x", "tensor_x"),
    ],
)
def test_names_in_files(name: str, wanted: str) -> None:
    assert name_in_files(name) == wanted


@given(st.text(min_size=1))
def test_names_in_files_are_names_of_arguments(name: str) -> None:
    found = name_in_files(name)
    assert found.isidentifier()
    assert name_in_files(found) == found


def test_names_by_model() -> None:
    assert names_by_model(["my-input", "b"], ["b", "my_input"]) == {"my-input": "my_input"}
    # Which of two is meant, nobody can tell.
    assert names_by_model(["my-input", "my input"], ["my_input"]) == {}
    # What is there by its own name is not taken from elsewhere.
    assert names_by_model(["my-input", "my_input"], ["my_input"]) == {}
