"""Codec: real values to a file's own dtype and back, into buffers kept from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.tensor import TensorSpec, dequantize, quantize

# 1.5 * 2**23: float32's neighbours of it are whole numbers, 2**22 of them on either side.
_SHIFT = np.asarray(12582912, np.float32)


class Codec:
    """Encodes and decodes the values of one tensor of a model file.

    Not thread-safe: an encoded array is the codec's own buffer, valid until the next call.

    Raises:
        TensorError: `encode` was given values that the tensor cannot hold.
    """

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec
        self._dtype = np.dtype(spec.dtype)
        self._shape: tuple[int, ...] | None = None
        self._table: NDArray[np.float32] | None = None
        quantization = spec.quantization
        if quantization is None:
            return
        self._scale, zero_point = (np.asarray(v) for v in quantization.along(len(spec.shape)))
        self._zero_point = zero_point.astype(self._dtype)
        if self._dtype.itemsize <= 2:
            # The limits of round(x / scale), moved to where _SHIFT will have moved the values.
            info = np.iinfo(self._dtype)
            self._low = _SHIFT + (np.float32(info.min) - zero_point)
            self._high = _SHIFT + (np.float32(info.max) - zero_point)
            # Inside these no value of any channel is clipped.
            self._least, self._most = float(self._low.max()), float(self._high.min())
        if self._dtype.itemsize == 1 and quantization.axis is None:
            # Every answer an 8-bit tensor can give, by its bit pattern: a negative index counts
            # from the end, where the patterns of negative numbers are.
            patterns = np.arange(256, dtype=np.uint8).view(self._dtype)
            self._table = dequantize(patterns, quantization)

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Real values in the tensor's own dtype: what `edgekit.tensor.quantize` gives, bit for bit."""
        quantization = self._spec.quantization
        if quantization is None:
            return self._cast(x)
        if x.dtype.kind not in "biuf":
            raise self._wrong_dtype(x, "real numbers")
        if self._dtype.itemsize > 2 or not x.size:
            if np.isnan(x).any():
                raise self._nan()
            return quantize(x, quantization, self._dtype)
        if x.shape != self._shape:
            self._shape = x.shape
            self._real = np.empty(x.shape, np.float32)
            self._flat = self._real.reshape(-1)
            self._bits = self._real.view(np.int32)
            self._raw = np.empty(x.shape, self._dtype)
        real, raw = self._real, self._raw
        if x.dtype == np.float32:
            np.divide(x, self._scale, real)
        else:
            np.divide(x, self._scale, out=real, casting="unsafe", dtype=np.float32)
        # Beside _SHIFT float32 has no fractions: the sum is rounded, halves to even, and the low
        # bits of its pattern are the rounded value itself. Adding a zero point to them wraps
        # around as it should. Cheaper than rint, add, clip and a cast from float.
        np.add(real, _SHIFT, real)
        flat = self._flat
        # argmin and argmax stop at a NaN and cost a fifth of min and max on small arrays.
        low, high = flat[flat.argmin()], flat[flat.argmax()]
        if not (low >= self._least and high <= self._most):
            if np.isnan(low):
                raise self._nan()
            np.clip(real, self._low, self._high, out=real)
        np.copyto(raw, self._bits, casting="unsafe")
        np.add(raw, self._zero_point, raw)
        return raw

    def decode(self, q: NDArray[Any]) -> NDArray[Any]:
        """The tensor's real values, in an array of their own: float32 for quantised and float tensors."""
        if self._table is not None:
            return self._table.take(q)
        if self._spec.quantization is not None:
            return dequantize(q, self._spec.quantization)
        if self._dtype.kind == "f":
            return q.astype(np.float32, copy=False)
        return q

    def _cast(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.dtype == self._dtype:
            return x
        kind = self._dtype.kind
        if kind == "f" and x.dtype.kind in "biuf":
            return x.astype(self._dtype)
        if kind in "iu" and x.dtype.kind in "biu":
            info = np.iinfo(self._dtype)
            if x.size and (int(x.min()) < info.min or int(x.max()) > info.max):
                raise TensorError(
                    f"input {self._spec.name!r}: received values from {x.min()} to {x.max()}, "
                    f"expected what {self._dtype} can hold."
                )
            return x.astype(self._dtype)
        raise self._wrong_dtype(x, f"{self._dtype} or what it can hold exactly")

    def _nan(self) -> TensorError:
        return TensorError(
            f"input {self._spec.name!r}: holds NaN, expected numbers: an integer cannot say NaN."
        )

    def _wrong_dtype(self, x: NDArray[Any], expected: str) -> TensorError:
        return TensorError(
            f"input {self._spec.name!r}: received dtype {x.dtype}, expected {expected}."
        )
