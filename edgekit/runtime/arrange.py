"""Arrange: a caller's arrays by name in the order of a file's inputs, checked, with telling errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import TensorError, nearest, one_line
from edgekit.tensor import TensorSpec, names_by_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]


def require_mapping(inputs: Arrays, specs: Sequence[TensorSpec]) -> None:
    """Raise TensorError unless `inputs` is a dictionary."""
    if not isinstance(inputs, Mapping):
        raise TensorError(
            f"received {type(inputs).__name__}, expected a dictionary of arrays by input name: "
            f"{{{', '.join(repr(spec.name) for spec in specs)}: ...}}."
        )


def as_array(name: str, x: Any) -> NDArray[Any]:
    """An input as an array.

    Raises:
        TensorError: numpy makes none of it.
    """
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise TensorError(
            f"input {name!r}: received {type(x).__name__}, of which no array can be made, expected an "
            f"array: numpy.asarray(...) ({one_line(error, 120)})."
        ) from error


def arrange(inputs: Arrays, specs: Sequence[TensorSpec]) -> list[NDArray[Any]]:
    """The arrays in the order of `specs`, by their names in the file or in the model that it was made of.

    Raises:
        TensorError: no dictionary, a name that is missing or unknown, or a shape that does not fit.
    """
    require_mapping(inputs, specs)
    arrays = []
    for spec in specs:
        x = inputs.get(spec.name)
        if x is None:
            known = names_by_model(map(str, inputs), [spec.name for spec in specs])
            if not known:
                raise _unmatched(inputs, specs, spec.name)
            return arrange({known.get(name, name): x for name, x in inputs.items()}, specs)
        if type(x) is not np.ndarray:
            x = as_array(spec.name, x)
        if x.shape != spec.shape and not spec.accepts(x.shape):
            raise TensorError(
                f"input {spec.name!r}: received shape {list(x.shape)}, expected "
                f"{list(spec.shape)}.{_shape_hint(spec, x.shape)}"
            )
        arrays.append(x)
    if len(inputs) != len(arrays):
        raise _unmatched(inputs, specs, "")
    return arrays


def arrange_raw(inputs: Arrays, specs: Sequence[TensorSpec]) -> list[NDArray[Any]]:
    """As `arrange`, for arrays of the file's own dtypes.

    Raises:
        TensorError: as `arrange`, or another dtype.
    """
    arrays = arrange(inputs, specs)
    for spec, x in zip(specs, arrays, strict=True):
        if x.dtype != spec.dtype:
            raise TensorError(
                f"input {spec.name!r}: received dtype {x.dtype}, expected {spec.dtype}, the "
                "file's own. infer() takes float values."
            )
        if x.dtype.kind == "O":
            require_texts(spec, x)
    return arrays


def require_texts(spec: TensorSpec, x: NDArray[Any]) -> None:
    """Raise TensorError unless all objects in `x` are texts, or bytes that stand for texts."""
    for value in x.flat:
        try:
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, bytes):
                value.decode()
            else:
                raise TensorError(
                    f"input {spec.name!r}: received dtype object with a {type(value).__name__} in "
                    "it, expected texts."
                )
        except UnicodeError as error:
            raise TensorError(
                f"input {spec.name!r}: received {value!r}, expected texts that UTF-8 can hold."
            ) from error


def _unmatched(inputs: Arrays, specs: Sequence[TensorSpec], missing: str) -> TensorError:
    known = [spec.name for spec in specs]
    for name in inputs:
        if name not in known:
            return TensorError(
                f"input {name!r}: the file has no such input, expected "
                f"{', '.join(map(repr, known)) or 'none: it takes no inputs'}."
                f"{nearest(str(name), known)}"
            )
    return TensorError(
        f"input {missing!r}: missing. Received {', '.join(map(repr, inputs)) or 'none'}, expected "
        f"{', '.join(map(repr, known))}."
    )


def _shape_hint(spec: TensorSpec, shape: tuple[int, ...]) -> str:
    if spec.accepts((1, *shape)):
        return " The batch axis is missing: x[None]."
    if spec.accepts((*shape, 1)):
        return " The channel axis is missing: x[..., None]."
    if len(shape) == len(spec.shape) and spec.accepts((1, *shape[1:])):
        return " infer_batch() takes any number of samples."
    if len(shape) == 4 and spec.accepts((shape[0], *shape[2:], shape[1])):
        return " It looks like NCHW where the file has NHWC: x.transpose(0, 2, 3, 1)."
    if len(shape) == 4 and spec.accepts((shape[0], shape[3], *shape[1:3])):
        return " It looks like NHWC where the file has NCHW: x.transpose(0, 3, 1, 2)."
    return ""
