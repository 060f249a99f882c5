from __future__ import annotations

import gc
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.turns import LEAST_CALLS, Times, block, interleave, take_turns


def pretended(who: list[int], name: int, ns: int, calls: int) -> Times:
    who.append(name)
    return np.full(calls, ns, np.int64)


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 50)), min_size=1, max_size=5),
    st.integers(1, 10**7),
    st.integers(1, 100),
)
def test_each_gets_its_time_and_its_calls_and_no_block_more(
    contestants: list[tuple[int, int]], budget_ns: int, least: int
) -> None:
    who: list[int] = []
    blocks = [
        lambda i=i, ns=ns, calls=calls: pretended(who, i, ns, calls)
        for i, (ns, calls) in enumerate(contestants)
    ]
    taken = take_turns(blocks, budget_ns, least=least)
    for own in taken:
        assert sum(x.sum() for x in own) >= budget_ns
        assert sum(map(len, own)) >= least
        before = own[:-1]
        assert sum(x.sum() for x in before) < budget_ns or sum(map(len, before)) < least
    # Of two that are in a round, each has one block in it.
    rounds = [len(own) for own in taken]
    shared = min(rounds) * len(blocks)
    for i in range(0, shared, len(blocks)):
        assert sorted(who[i : i + len(blocks)]) == list(range(len(blocks)))


def test_orders_differ_between_rounds() -> None:
    who: list[int] = []
    blocks = [lambda i=i: pretended(who, i, 1, 1) for i in range(4)]
    take_turns(blocks, 20, least=1, order=random.Random(0))
    orders = {tuple(who[i : i + 4]) for i in range(0, len(who), 4)}
    assert len(orders) > 5


def test_one_call_of_a_block_is_not_timed() -> None:
    calls = []
    times = block(lambda: calls.append(0))
    assert len(calls) == len(times) + 1
    assert times.dtype == np.int64
    assert (times > 0).all()


def test_calls_of_this_process_take_turns_while_nothing_is_collected() -> None:
    seen: list[tuple[int, bool]] = []
    calls = [lambda i=i: seen.append((i, gc.isenabled())) for i in range(2)]
    samples = interleave(calls, 1_000_000)
    assert all(len(own) >= LEAST_CALLS for own in samples)
    assert {i for i, _ in seen} == {0, 1}
    assert not any(enabled for _, enabled in seen)
    assert gc.isenabled()
