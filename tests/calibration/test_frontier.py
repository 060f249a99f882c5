"""A frontier runs each operator once, and keeps what later ones read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.calibration.frontier import Frontier, Path, Step

# a = x + 1; b = 2 a; c = a + b; d = c + x.
STEPS = [
    Step(("x",), ("a",)),
    Step(("a",), ("b",)),
    Step(("a", "b"), ("c",)),
    Step(("c", "x"), ("d",)),
]


def path(ran: list[int]) -> Path:
    def open_part(numbers: range, takes: Sequence[Any], gives: Sequence[Any]) -> Any:
        def run(values: Sequence[Any]) -> list[Any]:
            known = dict(zip(takes, values, strict=True))
            for number in numbers:
                ran.append(number)
                read = [known[key] for key in STEPS[number].reads]
                made = (read[0] + 1, 2 * read[0], sum(read), sum(read))[number]
                known[STEPS[number].gives[0]] = made
            return [known[key] for key in gives]

        return run

    return Path(STEPS, frozenset({"d"}), {"x": 4, "a": 8, "b": 8, "c": 16, "d": 4}, open_part)


def test_step_by_step_as_in_one_go() -> None:
    ran: list[int] = []
    given = [{"x": np.array([float(i)])} for i in range(3)]
    frontier = Frontier(path(ran), given)
    frontier.advance(0)
    for at, key in ((1, "a"), (2, "b"), (3, "c"), (4, "d")):
        frontier.advance(at)
        frontier.advance(at)
        assert len(frontier.values(key)) == 3
    np.testing.assert_array_equal(np.ravel(frontier.values("d")), [3, 7, 11])
    assert sorted(ran) == sorted([*range(4)] * 3)
    whole = Frontier(path([]), given)
    whole.advance(4)
    np.testing.assert_array_equal(whole.values("d"), frontier.values("d"))
    assert list(whole._values[0]) == ["d"]


def test_the_most_that_is_kept() -> None:
    # a, b and c lie side by side once.
    assert path([]).peak == 32
