"""What a library leaves behind in circles is collected while it works."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from edgekit.convert.garbage import little_garbage


class Copy:
    """Refers to itself, as a graph and its nodes do."""

    def __init__(self) -> None:
        self.graph: Any = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """As in a program that froze nothing, whatever was frozen for other tests."""
    kept = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if kept:
        gc.freeze()


@pytest.fixture
def many() -> list[list[int]]:
    """As many objects as a large library has: beside them, few new ones are not worth a collection."""
    kept = [[number] for number in range(400_000)]
    gc.collect()
    return kept


def left_after(copies: int) -> int:
    """How many lie about of copies that grow old, 20,000 at a time, before they die."""
    made, alive = [], deque[Copy](maxlen=20_000)
    for _ in range(copies):
        alive.append(Copy())
        made.append(weakref.ref(alive[-1]))
    return sum(each() is not None for each in made) - len(alive)


def test_it_is_collected_meanwhile_and_at_the_end(many: list[list[int]]) -> None:
    copies = 100_000
    frozen = gc.get_freeze_count()
    usual = left_after(copies)
    gc.collect()
    with little_garbage():
        assert left_after(copies) < usual / 2
        last = weakref.ref(Copy())
    assert last() is None
    assert gc.get_freeze_count() == frozen
    assert many[-1] == [399_999]


def test_what_the_program_froze_stays_so() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with little_garbage():
            assert gc.get_freeze_count() == frozen
        # Nothing of it was thawed; objects that it holds may die.
        assert gc.get_freeze_count() > frozen / 2
    finally:
        gc.unfreeze()


def test_an_error_leaves_nothing_frozen() -> None:
    with pytest.raises(ValueError, match="tf2onnx"), little_garbage():
        raise ValueError("tf2onnx")
    assert gc.get_freeze_count() == 0
