"""Codec: real values to a file's own dtype and back, into buffers kept from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.tensor import TensorSpec, dequantize, float32_limits


class Codec:
    """Encodes and decodes the values of one tensor of a model file.

    Not thread-safe: an encoded array is the codec's own buffer, valid until the next call.

    Raises:
        TensorError: `encode` was given values that the tensor cannot hold.
    """

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec
        self._dtype = np.dtype(spec.dtype)
        self._real = np.empty(0, np.float32)
        self._raw = np.empty(0, self._dtype)
        self._table: NDArray[np.float32] | None = None
        quantization = spec.quantization
        if quantization is not None:
            self._scale, self._zero_point = quantization.along(len(spec.shape))
            self._low, self._high = float32_limits(self._dtype)
            if self._dtype.itemsize == 1 and quantization.axis is None:
                # Every answer an 8-bit tensor can give, by its bit pattern.
                patterns = np.arange(256, dtype=np.uint8).view(self._dtype)
                self._table = dequantize(patterns, quantization)

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Real values in the tensor's own dtype: what `edgekit.tensor.quantize` gives, bit for bit."""
        if self._spec.quantization is None:
            return self._cast(x)
        if x.dtype.kind not in "biuf":
            raise self._wrong_dtype(x, "real numbers")
        if self._real.shape != x.shape:
            self._real = np.empty(x.shape, np.float32)
            self._raw = np.empty(x.shape, self._dtype)
        real = self._real
        np.divide(x, self._scale, out=real, casting="unsafe", dtype=np.float32)
        np.rint(real, out=real)
        np.add(real, self._zero_point, out=real)
        np.clip(real, self._low, self._high, out=real)
        if np.isnan(real.min(initial=0)):
            raise TensorError(
                f"input {self._spec.name!r}: holds NaN, expected numbers: an integer cannot say NaN."
            )
        np.copyto(self._raw, real, casting="unsafe")
        return self._raw

    def decode(self, q: NDArray[Any]) -> NDArray[Any]:
        """The tensor's real values, in an array of their own: float32 for quantised and float tensors."""
        if self._table is not None:
            return self._table[q.view(np.uint8)]
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

    def _wrong_dtype(self, x: NDArray[Any], expected: str) -> TensorError:
        return TensorError(
            f"input {self._spec.name!r}: received dtype {x.dtype}, expected {expected}."
        )
