"""Turns: time several things on one machine in short blocks, so that what changes there meets all alike."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
# Durations of one block in nanoseconds, one call after the other.
Block = Callable[[], Times]

# Enough for a steady 99th percentile of fast models, few enough for slow ones to end.
LEAST_CALLS = 30
# A turn: short beside what changes a machine's clock.
_BLOCK_NS = 20_000_000


def block(call: Callable[[], Any]) -> Times:
    """Time calls for a turn, the garbage collector at rest."""
    # The caches are the neighbour's after a turn: one call to take them back is not counted.
    call()
    taken: list[int] = []
    end = perf_counter_ns() + _BLOCK_NS
    stop = 0
    while stop < end:
        start = perf_counter_ns()
        call()
        stop = perf_counter_ns()
        taken.append(stop - start)
    return np.array(taken, np.int64)


def take_turns(
    blocks: Sequence[Block],
    budget_ns: int,
    *,
    least: int = LEAST_CALLS,
    order: random.Random | None = None,
) -> list[list[Times]]:
    """Rounds of one block each, in an order shuffled anew each round.

    Whoever has been timed for `budget_ns` and `least` calls takes part in no further round.

    Args:
        blocks: what runs a block of each.
        budget_ns: nanoseconds that each is timed, at least.
        least: calls of each.
        order: what shuffles; the same orders each time if None.

    Returns:
        For each its blocks, one a round.
    """
    order = order or random.Random(0)
    taken: list[list[Times]] = [[] for _ in blocks]
    left = [(budget_ns, least)] * len(blocks)
    while turns := [i for i, (ns, calls) in enumerate(left) if ns > 0 or calls > 0]:
        order.shuffle(turns)
        for i in turns:
            times = blocks[i]()
            taken[i].append(times)
            left[i] = (left[i][0] - int(times.sum()), left[i][1] - len(times))
    return taken


def interleave(calls: Sequence[Callable[[], Any]], budget_ns: int) -> list[list[int]]:
    """Durations in nanoseconds of calls in this process, which take turns."""
    with collecting_later():
        taken = take_turns([lambda call=call: block(call) for call in calls], budget_ns)  # type: ignore[misc]
    return [np.concatenate(each).tolist() for each in taken]


@contextmanager
def collecting_later() -> Iterator[None]:
    """The garbage collector rests."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
