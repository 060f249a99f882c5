"""Shapes: the interpreters of a TFLite file with dynamic dimensions, one for each shape in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]

# An interpreter that changes its shape plans its memory anew (130 us for a ResNet-8 that runs 255),
# one that keeps it holds the file's weights once more.
_KEPT = 4


# Sizes to try for dynamic dimensions other than the batch: one word, or an image that no stage reduces to nothing.
DYNAMIC_SIZES = (1, 32, 224)


def allocated(make: Callable[[], Any]) -> Any:
    """An interpreter that `make` makes, allocated: dynamic dimensions have the first of `DYNAMIC_SIZES` it takes.

    Raises:
        RuntimeError, ValueError: the file takes none of them, or has no dynamic dimensions and is refused.
    """
    for size in DYNAMIC_SIZES:
        # One that refused, half-way, is not used again: tflite-runtime 2.14 would crash the process.
        interpreter = make()
        open_inputs = [
            row for row in interpreter.get_input_details() if -1 in row["shape_signature"][1:]
        ]
        try:
            for row in open_inputs if size > 1 else ():
                shape = [int(n) if n > 0 else size for n in row["shape_signature"][1:]]
                interpreter.resize_tensor_input(row["index"], [row["shape"][0], *shape])
            interpreter.allocate_tensors()
            return interpreter
        except (RuntimeError, ValueError):
            if not open_inputs or size == DYNAMIC_SIZES[-1]:
                raise
    raise AssertionError("the last size raises")


class Shapes:
    """Gives the interpreter for the shapes of an inference's inputs.

    The last few shapes keep an interpreter each, where the file has no state that calls share.
    """

    def __init__(
        self,
        source: Path | bytes,
        make: Callable[[], Any],
        indices: Sequence[int],
        interpreter: Any,
        shapes: tuple[Shape, ...],
    ) -> None:
        """Start with `interpreter`, which has `shapes` now; `make` makes more of the file, which `source` is."""
        self._source = source
        self._make = make
        self._indices = indices
        self._by_shapes: OrderedDict[tuple[Shape, ...], Any] = OrderedDict({shapes: interpreter})

    def interpreter(self, shapes: Sequence[Shape]) -> Any:
        """The interpreter with `shapes`, allocated.

        Raises:
            RuntimeError, ValueError: the file does not take them.
        """
        wanted = tuple(shapes)
        found = self._by_shapes.get(wanted)
        if found is None:
            full = len(self._by_shapes) >= (1 if self._stateful else _KEPT)
            # The one that has not been used for longest. If it refuses, half-way, it is not used
            # again: tflite-runtime 2.14 would crash the process.
            found = self._by_shapes.popitem(last=False)[1] if full else self._make()
            for index, shape in zip(self._indices, wanted, strict=True):
                found.resize_tensor_input(index, shape)
            found.allocate_tensors()
            self._by_shapes[wanted] = found
        self._by_shapes.move_to_end(wanted)
        return found

    @cached_property
    def _stateful(self) -> bool:
        from edgekit.formats.tflite_state import state_of

        return any(state_of(self._source))
