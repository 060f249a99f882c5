"""The codec is `edgekit.tensor`'s formulas with buffers: the same, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import TensorError
from edgekit.runtime.codec import Codec
from edgekit.tensor import QuantParams, TensorSpec, dequantize, quantize

STORED = ("int8", "uint8", "int16", "uint16", "int32")
GIVEN = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def specs(draw: st.DrawFn, shape: tuple[int, ...]) -> TensorSpec:
    dtype = draw(st.sampled_from(STORED))
    info = np.iinfo(dtype)
    axis = draw(st.sampled_from([None, *(i for i, n in enumerate(shape) if n)]))
    count = 1 if axis is None else shape[axis]
    scales = draw(st.lists(st.floats(2**-20, 2**10), min_size=count, max_size=count))
    whole = st.integers(max(info.min, -40000), min(info.max, 40000))
    zero_points = draw(st.lists(whole, min_size=count, max_size=count))
    return TensorSpec("x", dtype, shape, QuantParams(tuple(scales), tuple(zero_points), axis))


@st.composite
def values(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(GIVEN)))
    elements = {"allow_nan": False} if dtype.kind == "f" else {}
    x = draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype, **elements)))
    return x[..., ::-1] if shape and draw(st.booleans()) else x


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.filterwarnings("ignore::edgekit.errors.RangeWarning")
@given(st.data(), shapes)
def test_encode_is_quantize(data: st.DataObject, shape: tuple[int, ...]) -> None:
    spec = data.draw(specs(shape))
    codec = Codec(spec)
    # The second time the buffers are there already, or have another shape's.
    for _ in range(2):
        x = data.draw(values(shape))
        q = codec.encode(x)
        assert spec.quantization is not None
        expected = quantize(x, spec.quantization, spec.dtype)
        assert type(q) is np.ndarray
        assert q.dtype == expected.dtype
        assert q.shape == expected.shape
        assert np.array_equal(q, expected)


@given(st.data(), shapes)
def test_decode_is_dequantize(data: st.DataObject, shape: tuple[int, ...]) -> None:
    spec = data.draw(specs(shape))
    q = data.draw(hnp.arrays(spec.dtype, shape))
    q = q[..., ::-1] if shape and data.draw(st.booleans()) else q
    assert spec.quantization is not None
    expected = dequantize(q, spec.quantization)
    real = Codec(spec).decode(q)
    assert type(real) is np.ndarray
    assert real.dtype == np.float32
    assert np.array_equal(real, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_every_8_bit_pattern_decodes(dtype: str) -> None:
    params = QuantParams((0.1,), (-3 if dtype == "int8" else 131,))
    q = np.arange(256, dtype=np.uint8).view(dtype)
    codec = Codec(TensorSpec("x", dtype, (256,), params))
    real = codec.decode(q)
    assert np.array_equal(real, dequantize(q, params))
    real[:] = 0
    assert np.array_equal(codec.decode(q), dequantize(q, params))


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("where", [0, 4, 8])
def test_nan_is_refused_wherever_it_stands(dtype: str, where: int) -> None:
    codec = Codec(TensorSpec("x", dtype, (9,), QuantParams((0.1,), (0,))))
    x = np.zeros(9)
    x[where] = np.nan
    with pytest.raises(TensorError, match="input 'x': holds NaN"):
        codec.encode(x)
    assert not codec.encode(np.zeros(9)).any()


@pytest.mark.parametrize("dtype", ["U1", "S1", object, "complex64"])
@pytest.mark.parametrize("stored", ["int8", "float32", "int32", "bool"])
def test_what_is_no_number_is_refused(dtype: object, stored: str) -> None:
    params = QuantParams((0.1,), (0,)) if stored == "int8" else None
    codec = Codec(TensorSpec("x", stored, (3,), params))
    with pytest.raises(TensorError, match=r"input 'x': received dtype .*, expected"):
        codec.encode(np.zeros(3, dtype))


def test_float_tensors_keep_their_values() -> None:
    x = np.array([1.5, -2.25], np.float32)
    assert Codec(TensorSpec("x", "float32", (2,))).encode(x) is x
    narrow = Codec(TensorSpec("x", "float16", (2,)))
    assert narrow.encode(x).dtype == np.float16
    wide = narrow.decode(x.astype(np.float16))
    assert wide.dtype == np.float32
    assert wide.tolist() == x.tolist()


def test_integers_must_fit() -> None:
    codec = Codec(TensorSpec("ids", "int32", (2,)))
    assert codec.encode(np.array([1, 2])).dtype == np.int32
    with pytest.raises(TensorError, match="from -1 to 4294967296, expected what int32 can hold"):
        codec.encode(np.array([-1, 2**32]))
    with pytest.raises(TensorError, match="received dtype float64, expected int32"):
        codec.encode(np.array([1.0, 2.0]))
