"""The minimum cut against all sets of operators, on small random graphs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.solver.cut import cheapest
from edgekit.solver.problem import Part, Problem, Wire
from edgekit.solver.sweep import front, spread

_SIZES = st.integers(0, 40).map(float)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to six operators, each reading some of what lies before it: branches, joins, inputs and dead ends."""
    wires, parts = ["in0", "in1"], []
    for number in range(draw(st.integers(1, 6))):
        reads = draw(st.lists(st.sampled_from(wires), min_size=1, max_size=3))
        gives = [f"t{number}"] + ([f"u{number}"] if draw(st.booleans()) else [])
        saved = float(draw(st.integers(-10, 40)))
        able = draw(st.integers(0, 5)) > 0
        parts.append(Part(f"t{number}", tuple(reads), tuple(gives), draw(_SIZES), saved, able))
        wires += gives
    return Problem(
        tuple(parts), {name: Wire(name, draw(_SIZES), draw(_SIZES), draw(_SIZES)) for name in wires}
    )


def every_set(problem: Problem) -> list[frozenset[str]]:
    """All plans that the problem allows."""
    fixed = {part.name for part in problem.parts if not part.able}
    free = [part.name for part in problem.parts if part.able]
    return [
        frozenset(fixed | set(chosen))
        for count in range(len(free) + 1)
        for chosen in itertools.combinations(free, count)
    ]


def by_hand(problem: Problem, left: frozenset[str]) -> tuple[float, float]:
    """(cost, loss), written down once more in another way than `Problem` does it."""
    cost = loss = 0.0
    for part in problem.parts:
        cost += part.saved if part.name in left else 0.0
        loss += 0.0 if part.name in left else part.loss
    for wire in problem.wires.values():
        makers = [part.name in left for part in problem.parts if wire.name in part.gives]
        readers = [part.name in left for part in problem.parts if wire.name in part.reads]
        if not all(makers + readers):
            loss += wire.loss
        if not makers:
            cost += wire.quantize if len(set(readers)) == 2 else 0.0
        elif makers[0] and False in readers:
            cost += wire.quantize
        elif not makers[0] and True in readers:
            cost += wire.dequantize
    return cost, loss


@given(problems(), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 100.0]))
@settings(deadline=None)
def test_the_cut_is_the_best_of_all_sets(problem: Problem, price: float) -> None:
    sums = [
        cost + price * loss
        for cost, loss in (by_hand(problem, each) for each in every_set(problem))
    ]
    cost, loss = by_hand(problem, cheapest(problem, price))
    assert cost + price * loss == pytest.approx(min(sums), rel=1e-6, abs=1e-5)


@given(problems())
def test_a_problem_counts_as_by_hand(problem: Problem) -> None:
    for left in every_set(problem):
        assert (problem.cost(left), problem.loss(left)) == pytest.approx(by_hand(problem, left))


@given(problems())
@settings(deadline=None)
def test_the_front_is_the_convex_hull_of_all_sets(problem: Problem) -> None:
    found = front(problem)
    points = [by_hand(problem, left) for left in every_set(problem)]
    for price in (0.01, 0.3, 1.0, 2.5, 40.0):
        best = min(cost + price * loss for cost, loss in points)
        assert min(c.cost + price * c.loss for c in found) == pytest.approx(
            best, rel=1e-6, abs=1e-4
        )
    assert [c.cost for c in found] == sorted(c.cost for c in found)
    assert [c.loss for c in found] == sorted((c.loss for c in found), reverse=True)


@given(problems(), st.integers(1, 6))
@settings(deadline=None)
def test_some_of_the_front_lose_less_and_less(problem: Problem, count: int) -> None:
    found = spread(front(problem), count)
    assert 1 <= len(found) <= count
    losses = [choice.loss for choice in found]
    assert losses == sorted(losses, reverse=True)
    assert len({choice.left for choice in found}) == len(found)


def test_a_sensitive_operator_in_the_middle_pays_for_two_borders() -> None:
    parts = tuple(
        Part(f"t{i}", (f"t{i - 1}" if i else "in",), (f"t{i}",), loss, saved=10.0)
        for i, loss in enumerate((1.0, 100.0, 1.0))
    )
    wires = {name: Wire(name, 0.0, 3.0, 4.0) for name in ("in", "t0", "t1", "t2")}
    problem = Problem(parts, wires)
    # In float it costs 10 and a border before and behind: 17 against a loss of 100 x price.
    assert cheapest(problem, 0.16) == frozenset()
    assert cheapest(problem, 0.18) == {"t1"}


def test_all_prices_at_zero_leave_everything_in_integers() -> None:
    assert cheapest(Problem((Part("a", ("in",), ("a",), 5.0, 0.0),), {}), 0.0) == frozenset()
