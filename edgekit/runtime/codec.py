"""Codec: float values to a file's own dtype and back, into buffers kept from call to call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import RangeWarning, TensorError
from edgekit.runtime.arrange import require_texts
from edgekit.tensor import TensorSpec, dequantize, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

# 1.5 * 2**23: float32's neighbours of it are whole numbers, 2**22 of them on either side.
_SHIFT = np.asarray(12582912, np.float32)
_FLOAT32 = np.dtype(np.float32)
# A module's name is found faster than a module's attribute.
_divide, _add = np.divide, np.add

# From so many values on, writing where the interpreter reads is quicker than giving it a copy.
_LARGE = 1 << 15

# More than this share of an input clipped is no outlier: it is data in another range.
_SUSPICIOUS = 0.05


class Codec:
    """Encodes and decodes the values of one tensor of a model file.

    Not thread-safe: an encoded array is the codec's own buffer, valid until the next call.

    Attributes:
        encode: float values to the tensor's own dtype: what `edgekit.tensor.quantize` gives, bit for
            bit; None where they were written to the interpreter's memory. Warns once, with
            RangeWarning, when much of an input is clipped. Raises TensorError for values that the
            tensor cannot hold.
        decode: the tensor's float values, in an array of their own: float32 for quantised and
            float tensors.
    """

    encode: Callable[[NDArray[Any]], NDArray[Any] | None]
    decode: Callable[[NDArray[Any]], NDArray[Any]]

    def __init__(self, spec: TensorSpec, memory: Callable[[], NDArray[Any]] | None = None) -> None:
        """Prepare for `spec`; `memory` gives the interpreter's own memory of it, where there is any."""
        self._choose(spec, memory)
        if not spec.shape:
            # numpy and TFLite give a number where an array has no axes.
            decode = self.decode
            self.decode = lambda q: np.asarray(decode(np.asarray(q)))

    def _choose(self, spec: TensorSpec, memory: Callable[[], NDArray[Any]] | None) -> None:
        self._spec = spec
        self._dtype = np.dtype(spec.dtype)
        if spec.quantization is None:
            self.encode = self._cast
            self.decode = {"f": self._widen, "O": self._text}.get(self._dtype.kind, self._as_it_is)
            return
        self._quantization = spec.quantization
        self._warned = False
        self.encode = self._quantize_wide if self._dtype.itemsize > 2 else self._quantize
        self.decode = self._dequantize
        if self._dtype.itemsize <= 2:
            self._prepare(spec)
            large = math.prod(n or 0 for n in spec.shape) >= _LARGE
            self._memory = memory if large else None
        if self._dtype.itemsize == 1 and spec.quantization.axis is None:
            # Every answer an 8-bit tensor can give, by its bit pattern: a negative index counts
            # from the end, where the patterns of negative numbers are.
            patterns = np.arange(256, dtype=np.uint8).view(self._dtype)
            self.decode = dequantize(patterns, spec.quantization).take

    def _prepare(self, spec: TensorSpec) -> None:
        self._shape: tuple[int, ...] | None = None
        self._scale, zero_point = (np.asarray(v) for v in self._quantization.along(len(spec.shape)))
        # An even zero point can be part of the shift: halves are rounded to even all the same.
        even = not (zero_point % 2).any()
        self._shift = np.asarray(_SHIFT + zero_point * even)
        self._rest = None if even else zero_point.astype(self._dtype)
        # The limits of round(x / scale), moved to where the shift will have moved the values.
        info = np.iinfo(self._dtype)
        self._low = np.asarray(self._shift + (np.float32(info.min) - zero_point))
        self._high = np.asarray(self._shift + (np.float32(info.max) - zero_point))
        # Where the range begins at zero, as that of pixels does, quotients need one look alone: the
        # unsigned patterns of negative ones lie beyond those of all positive ones.
        self._from_zero = bool((zero_point == info.min).all())
        self._end = int(np.float32(info.max - info.min + 0.5).view(np.uint32))
        # Inside these no value of any channel is clipped. As patterns: integers compare faster than
        # floats, positive floats are ordered like theirs, and NaN and negative ones lie outside.
        self._least = int(self._low.view(np.int32).max())
        self._most = int(self._high.view(np.int32).min())

    def _quantize(self, x: NDArray[Any]) -> NDArray[Any] | None:
        if x.shape != self._shape or x.dtype is not _FLOAT32:
            x = self._admit(x)
        real, memory = self._real, self._memory
        _divide(x, self._scale, real)
        quick = self._unsigned
        inside = quick is not None and quick.item(quick.argmax()) < self._end
        # Beside _SHIFT float32 has no fractions: the sum is rounded, halves to even, and the low
        # bits of its pattern are the rounded value itself. Cheaper than rint, add, clip and a cast
        # from float.
        _add(real, self._shift, real)
        if not inside:
            self._keep_inside(real)
        raw = self._raw if memory is None else memory()
        try:
            # Casts without a question, like np.copyto(casting="unsafe"), in half the time.
            raw[...] = self._bits
            if self._rest is not None:
                # Wraps around, as the low bits should.
                np.add(raw, self._rest, raw)
            return raw if memory is None else None
        finally:
            # The interpreter does not run while anybody, a traceback say, holds its memory.
            del raw

    def _keep_inside(self, real: NDArray[Any]) -> None:
        """Clip the shifted values, if any of them needs it."""
        patterns = self._patterns
        # argmin and argmax cost a third of min and max on small arrays.
        if (
            patterns.item(patterns.argmin()) >= self._least
            and patterns.item(patterns.argmax()) <= self._most
        ):
            return
        if np.isnan(real).any():
            raise self._nan()
        if not self._warned:
            outside = np.count_nonzero((real < self._low) | (real > self._high)) / real.size
            if outside > _SUSPICIOUS:
                self._warned = True
                self._warn(outside)
        np.clip(real, self._low, self._high, out=real)

    def _warn(self, share: float) -> None:
        import warnings

        scale, zero_point = self._quantization.along(len(self._spec.shape))
        info = np.iinfo(self._dtype)
        low, high = ((info.min - zero_point) * scale).min(), ((info.max - zero_point) * scale).max()
        warnings.warn(
            f"input {self._spec.name!r}: {share:.0%} of the values are clipped: the file takes "
            f"{low:.4g} to {high:.4g}. Is the data scaled as it was for the training? (Said once.)",
            RangeWarning,
            # _warn, _keep_inside, _quantize, infer, the caller.
            stacklevel=5,
        )

    def _admit(self, x: NDArray[Any]) -> NDArray[Any]:
        """`x` as float32, and buffers of its shape."""
        if x.dtype.kind not in "biuf":
            raise self._wrong_dtype(x, "float values")
        if x.shape != self._shape:
            self._shape = x.shape
            self._real = np.empty(x.shape, np.float32)
            self._bits = self._real.view(np.int32)
            # Where there are no values, one that is in range.
            empty = self._shift.view(np.int32).reshape(-1)[:1]
            self._patterns = self._bits.reshape(-1) if x.size else empty
            self._unsigned = self._patterns.view(np.uint32) if self._from_zero else None
            if self._memory is None:
                self._raw = np.empty(x.shape, self._dtype)
        return x.astype(np.float32, copy=False)

    def _quantize_wide(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.dtype.kind not in "biuf":
            raise self._wrong_dtype(x, "float values")
        if np.isnan(x).any():
            raise self._nan()
        return np.asarray(quantize(x, self._quantization, self._dtype))

    def _dequantize(self, q: NDArray[Any]) -> NDArray[Any]:
        return dequantize(q, self._quantization)

    def _widen(self, q: NDArray[Any]) -> NDArray[Any]:
        return q if q.dtype is _FLOAT32 else q.astype(np.float32)

    def _as_it_is(self, q: NDArray[Any]) -> NDArray[Any]:
        return q

    def _text(self, q: NDArray[Any]) -> NDArray[Any]:
        # TFLite gives bytes, ONNX text.
        texts = [v.decode("utf-8", "surrogateescape") if type(v) is bytes else v for v in q.flat]
        return np.array(texts, object).reshape(q.shape)

    def _cast(self, x: NDArray[Any]) -> NDArray[Any]:
        kind = self._dtype.kind
        if kind == "O" and x.dtype.kind in "OUS":
            texts: NDArray[Any] = x.astype(object, copy=False)
            require_texts(self._spec, texts)
            return texts
        if x.dtype == self._dtype:
            return x
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
