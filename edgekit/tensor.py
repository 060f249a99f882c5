"""What a tensor is (TensorSpec) and how integers stand for float values (QuantParams)."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from edgekit.errors import TensorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The name that stands for the only input of a model, whatever that is called.
ANY_INPUT = "x"


def name_in_files(name: str) -> str:
    """What a model's files call an input or output that the model itself calls `name`.

    Letters and digits of every script stay, everything else becomes an underscore: TensorFlow makes
    arguments of functions of names, which start with a letter and are no word of Python's own.
    """
    letters = unicodedata.normalize("NFC", name.split(":")[0])
    name = "".join(each if f"a{each}".isidentifier() else "_" for each in letters)
    if keyword.iskeyword(name):
        return f"{name}_"
    begins = name[:1].isidentifier() and name[:1] != "_"
    return name if begins else f"tensor_{name.lstrip('_')}"


def names_by_model(given: Iterable[str], wanted: Collection[str]) -> Mapping[str, str]:
    """Those of `given` that are no names in `wanted`, but of which `name_in_files` makes one that is missing.

    Where two of them come to the same name, neither is taken.

    Returns:
        The name in `wanted` by the given one.
    """
    given = list(given)
    missing = [name for name in wanted if name not in given]
    found = {name: name_in_files(name) for name in given if name not in wanted and name}
    places = list(found.values())
    return {name: own for name, own in found.items() if own in missing and places.count(own) == 1}


# What documents hold of a tensor (see edgekit/document/record.py).
Axis = Annotated[int, ("minimum", 0)]
_Scale = Annotated[float, ("exclusiveMinimum", 0)]
_NotEmpty = ("minItems", 1)


@dataclass(frozen=True)
class QuantParams:
    """Affine quantisation: ``real = scale * (q - zero_point)``.

    The formula is that of the TensorFlow Lite 8-bit quantization specification and
    of Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", 2018, eq. 1.

    Attributes:
        scale: one positive value for the whole tensor, or one for each index along `axis`.
        zero_point: as many values as `scale`.
        axis: the axis that per-channel parameters run along; None for per-tensor.
    """

    scale: Annotated[tuple[_Scale, ...], _NotEmpty]
    zero_point: Annotated[tuple[int, ...], _NotEmpty]
    axis: int | None = None

    def __post_init__(self) -> None:
        for name, values in (("scale", self.scale), ("zero_point", self.zero_point)):
            if not isinstance(values, tuple):
                raise TensorError(
                    f"quantisation: {name}: received {values!r}, expected a tuple of numbers, such as (0.5,)."
                )
        if not self.scale or len(self.scale) != len(self.zero_point):
            raise TensorError(
                f"quantisation: received {len(self.scale)} scales and {len(self.zero_point)} "
                "zero points, expected as many of one as of the other, at least one."
            )
        if not all(np.isfinite(s) and s > 0 for s in self.scale):
            raise TensorError(
                f"quantisation: received scales {self.scale[:4]}, expected positive finite numbers."
            )
        if self.axis is None and len(self.scale) > 1:
            raise TensorError(
                f"quantisation: received {len(self.scale)} scales without an axis, expected one."
            )

    def along(self, ndim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scale and zero point as float32 arrays that broadcast over a tensor of `ndim` axes."""
        scale = np.asarray(self.scale, np.float32)
        zero_point = np.asarray(self.zero_point, np.float32)
        if self.axis is None:
            return scale[0], zero_point[0]
        shape = [1] * ndim
        shape[self.axis] = -1
        return scale.reshape(shape), zero_point.reshape(shape)

    def to_json(self) -> dict[str, Any]:
        return {"scale": list(self.scale), "zero_point": list(self.zero_point), "axis": self.axis}


def quantize(x: NDArray[Any], params: QuantParams, dtype: Any) -> NDArray[Any]:
    """``clip(round(x / scale) + zero_point)`` in float32, halves rounded to even.

    Args:
        x: float values, any shape.
        params: scale and zero point.
        dtype: the integer dtype to give.
    """
    scale, zero_point = params.along(np.ndim(x))
    q = np.round(np.asarray(x, np.float32) / scale) + zero_point
    return np.clip(q, *float32_limits(dtype)).astype(dtype)


def float32_limits(dtype: Any) -> tuple[np.float32, np.float32]:
    """The lowest and the highest float32 that an integer dtype can hold."""
    info = np.iinfo(dtype)
    low, high = np.float32(info.min), np.float32(info.max)
    # float32 rounds 2**31 - 1 up to 2**31, which an int32 cannot hold.
    return low, high if int(high) <= info.max else np.nextafter(high, np.float32(0))


def dequantize(q: NDArray[Any], params: QuantParams) -> NDArray[np.float32]:
    """``(q - zero_point) * scale`` in float32, in the shape of `q`."""
    scale, zero_point = params.along(np.ndim(q))
    return (np.asarray(q).astype(np.float32) - zero_point) * scale


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype, shape and quantisation of one input or output of a model file.

    Attributes:
        name: as in the file's signature; the key in the dictionaries `infer` takes and gives.
        dtype: numpy's name of what the file itself holds, such as ``"int8"`` or ``"float32"``.
        shape: first axis is the batch; None for a dynamic dimension.
        quantization: None where the stored values are the float values.
    """

    name: str
    dtype: str
    shape: tuple[Axis | None, ...]
    quantization: QuantParams | None = None

    def concrete_shape(self, batch: int = 1, size: int = 1) -> tuple[int, ...]:
        """`shape` with `batch` for a dynamic first axis and `size` for any other dynamic one."""
        return tuple(
            (batch if axis == 0 else size) if n is None else n for axis, n in enumerate(self.shape)
        )

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` fits, dynamic dimensions taking any size from 1."""
        return len(shape) == len(self.shape) and all(
            n == want if want is not None else n > 0
            for n, want in zip(shape, self.shape, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "quantization": self.quantization.to_json() if self.quantization else None,
        }


def within_half(values: NDArray[Any]) -> bool:
    """Whether all finite float values are finite in float16, which ends at 65,504."""
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    return bool(np.isfinite(halves[np.isfinite(values)]).all())


def held_by_half(values: NDArray[Any]) -> bool:
    """Whether float16 holds float values as exactly as it can: none is too large, all in all none too small.

    Below 6e-5 half precision loses bit by bit. Small values among large ones do not count.
    """
    if not within_half(values):
        return False
    exact = values[np.isfinite(values)].astype(np.float64)
    # Of numbers that it has all bits for, no error is more than 2^-11 of its number.
    error = np.square(exact - exact.astype(np.float16)).sum()
    return bool(error <= 2.0**-22 * np.square(exact).sum())
