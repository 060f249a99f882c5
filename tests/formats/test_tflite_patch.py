from __future__ import annotations

import numpy as np

from edgekit.formats.flatbuffer import Span
from edgekit.formats.tflite_patch import KernelIntegers


def test_two_integers_of_a_byte_are_read_as_the_interpreter_does() -> None:
    numbers = np.array([-7, 7, 0, -1, 3], np.int8)
    held = KernelIntegers(Span(1, 3, "<i1"), 5, 4)
    content = bytearray(5)
    held.write(content, numbers.astype(np.float64))
    # The first of two is the lower half; nothing beside them is written.
    assert content.hex() == "0079f00300"
    assert held.read(content).tolist() == numbers.tolist()
    assert held.largest == 7
