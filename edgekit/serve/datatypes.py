"""Datatypes: what the protocol calls numpy's dtypes, and elements as bytes and as JSON.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import math
import struct
from array import array as packed
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import TensorError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = {
    "BOOL": "bool",
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BYTES": "object",
}
MAX_AXES = 16
DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}


def from_bytes(data: memoryview, datatype: str, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """Elements in little-endian order, row by row; of BYTES each behind its length in four bytes.

    Raises:
        TensorError: there are more or fewer bytes than `shape` takes.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        return _texts(data, count, where).reshape(shape)
    dtype = np.dtype(DTYPES[datatype]).newbyteorder("<")
    if len(data) != count * dtype.itemsize:
        raise TensorError(
            f"{where}: received {len(data)} bytes, expected {count * dtype.itemsize} for {datatype} of "
            f"shape {list(shape)}."
        )
    if datatype == "BOOL" and count and int(np.frombuffer(data, np.uint8).max()) > 1:
        raise TensorError(f"{where}: received a byte above 1 for BOOL, expected 0 or 1.")
    return np.frombuffer(data, dtype).astype(DTYPES[datatype], copy=False).reshape(shape)


def _texts(data: memoryview, count: int, where: str) -> NDArray[Any]:
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise TensorError(f"{where}: the length of element {len(found)} is cut off.")
        (size,) = struct.unpack_from("<I", data, at)
        if size > len(data) - at - 4:
            raise TensorError(
                f"{where}: element {len(found)} is said to have {size} bytes, and {len(data) - at - 4} are there."
            )
        found.append(bytes(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return _as_texts(found, count, where)


def _as_texts(found: Sequence[Any], count: int, where: str) -> NDArray[Any]:
    if len(found) != count:
        raise TensorError(f"{where}: received {len(found)} elements, expected {count}.")
    texts = np.empty(count, object)
    for index, each in enumerate(found):
        try:
            texts[index] = each.decode() if isinstance(each, bytes) else each
        except UnicodeDecodeError:
            raise TensorError(f"{where}: element {index} is no UTF-8.") from None
    return texts


def to_bytes(array: NDArray[Any]) -> bytes:
    """The reverse of `from_bytes`."""
    if array.dtype.kind == "O":
        parts = [x if isinstance(x, bytes) else str(x).encode() for x in array.ravel()]
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def from_json(data: Any, datatype: str, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """Elements of a JSON list, flat or nested.

    Raises:
        TensorError: an element of another kind, one that the datatype cannot hold, or another number of
            them than `shape` takes.
    """
    if not isinstance(data, list):
        raise TensorError(f"{where}: data: received {_kind(data)}, expected a list.")
    flat, kinds = _flat(data)
    count = math.prod(shape)
    if len(flat) != count:
        raise TensorError(
            f"{where}: received {len(flat)} elements, expected {count} for shape {list(shape)}."
        )
    dtype = np.dtype(DTYPES[datatype])
    allowed: tuple[type, ...] = {"b": (bool,), "O": (str,), "f": (int, float)}.get(
        dtype.kind, (int,)
    )
    if not kinds <= set(allowed):
        wrong = next(x for x in flat if type(x) not in allowed)
        raise TensorError(f"{where}: received {_kind(wrong)} among the data, expected {datatype}.")
    if dtype.kind == "O":
        return _as_texts(flat, count, where).reshape(shape)
    if dtype.kind in "iu" and flat:
        return _whole(flat, dtype, datatype, where).reshape(shape)
    try:
        with np.errstate(over="ignore"):
            made = np.array(flat, dtype)
    except OverflowError:
        made = np.array([np.inf])
    # JSON has no infinity: it comes of a number that is too large.
    if dtype.kind == "f" and not np.isfinite(made).all():
        raise TensorError(f"{where}: received a number that {datatype} cannot hold.")
    return made.reshape(shape)


def _whole(flat: list[int], dtype: np.dtype[Any], datatype: str, where: str) -> NDArray[Any]:
    """Whole numbers as an array, if the dtype holds each of them."""
    try:
        # It checks each, and keeps Python's lock: numpy gives that away, and gets it back late on a busy server.
        return np.frombuffer(packed(dtype.char, flat), dtype)
    except OverflowError:
        info = np.iinfo(dtype)
        raise TensorError(
            f"{where}: received numbers from {str(min(flat))[:40]} to {str(max(flat))[:40]}, expected "
            f"{info.min} to {info.max} for {datatype}."
        ) from None


def _flat(data: list[Any]) -> tuple[list[Any], set[type]]:
    """The elements of lists in lists, to the depth that a tensor can have, and of which types they are; below
    it lists stay."""
    kinds = set(map(type, data))
    for _ in range(MAX_AXES):
        if list not in kinds:
            break
        data = [x for each in data for x in (each if type(each) is list else [each])]
        kinds = set(map(type, data))
    return data, kinds


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")


def to_json(array: NDArray[Any], where: str) -> list[Any]:
    """The reverse of `from_json`, flat.

    Raises:
        TensorError: numbers that JSON does not have.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TensorError(
            f"{where}: holds infinite values or NaN, which JSON cannot say. Ask for binary_data."
        )
    if array.dtype.kind == "O":
        return [
            x.decode(errors="replace") if isinstance(x, bytes) else str(x) for x in array.ravel()
        ]
    values: list[Any] = array.ravel().tolist()
    return values
