"""Texts: the forms that numpy has for them, brought into one."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import SamplesError
from edgekit.samples.lazy import LazyArray


def texts_of(name: str, x: Any) -> Any:
    """`x`, its texts as an array of numpy's own text dtype (``<U``) where it holds Python objects.

    What pandas, lists and TensorFlow give are arrays of objects: of `str`, or of UTF-8 as `bytes`. So are
    numpy's own texts of any length (``StringDType``).

    Args:
        name: of the array, for errors.
        x: an array of any dtype; those of other kinds are given back as they are.

    Raises:
        SamplesError: an object is no text, or no UTF-8.
    """
    if isinstance(x, LazyArray) or x.dtype.kind not in "OT":
        return x
    values = [_text(name, value) for value in x.flat]
    return np.array(values, str).reshape(x.shape)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        hint = " Give numbers a dtype: x.astype('float32')." if np.isscalar(value) else ""
        raise SamplesError(
            f"array {name!r}: received dtype object with a {type(value).__name__} in it, expected numbers "
            f"or texts alone.{hint}"
        )
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise SamplesError(
            f"array {name!r}: received {value[:40]!r}, expected texts in UTF-8."
        ) from error
