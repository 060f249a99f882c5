"""Sweep: the plans that are best at some price of error, from all in int8 to as much in float as helps.

Each is the best at its own loss: no other plan loses as little for less. Between two neighbours the price is
asked for at which both cost the same; what is cheapest there is a plan between them, or there is none
(Lagrange multipliers: Everett, 1963; on a convex front, as in Eisner and Severance, 1976).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.solver.cut import cheapest
from edgekit.solver.problem import Problem

# Cuts, at most: fronts of large graphs have more corners than anyone looks at.
_MOST = 200
# Each file tried loses this much less than the one before, by prediction: 3 dB.
_STEP = 0.5
_CLOSE = 1e-9


@dataclass(frozen=True)
class Choice:
    """A plan on the front.

    Attributes:
        left: the operators that it leaves in float, by their first outputs.
        loss: predicted squared error at the outputs, as a share of how far they move.
        cost: what it costs more than all in int8.
    """

    left: frozenset[str]
    loss: float
    cost: float


def front(problem: Problem) -> list[Choice]:
    """All corners of the lower convex hull of (loss, cost), the cheapest first."""
    ends = [_choice(problem, cheapest(problem, 0.0)), _choice(problem, _least(problem))]
    if ends[0].loss <= ends[1].loss * (1 + _CLOSE):
        return ends[:1]
    found, waiting, cuts = list(ends), [(ends[0], ends[1])], 0
    while waiting and cuts < _MOST:
        low, high = waiting.pop(0)
        if not (high.cost > low.cost and low.loss > high.loss):
            continue
        price = (high.cost - low.cost) / (low.loss - high.loss)
        between, cuts = _choice(problem, cheapest(problem, price)), cuts + 1
        at = between.cost + price * between.loss
        if at < (low.cost + price * low.loss) * (1 - _CLOSE) - 1e-12 and between not in found:
            found.append(between)
            waiting += [(low, between), (between, high)]
    return sorted(found, key=lambda choice: (choice.cost, -choice.loss))


def spread(choices: Sequence[Choice], count: int) -> list[Choice]:
    """Some of a front: the cheapest, then each time the cheapest that loses half as much, or less.

    Args:
        choices: as `front` gives them.
        count: how many, at most.
    """
    found = [choices[0]] if choices else []
    while len(found) < count:
        want = found[-1].loss * _STEP if found else math.inf
        more = next((choice for choice in choices if choice.loss <= want), None)
        if more is None or more in found:
            break
        found.append(more)
    if len(found) < count and choices and choices[-1] not in found:
        found.append(choices[-1])
    return found


def _choice(problem: Problem, left: frozenset[str]) -> Choice:
    return Choice(left, problem.loss(left), problem.cost(left))


def _least(problem: Problem) -> frozenset[str]:
    """Everything in float."""
    return frozenset(part.name for part in problem.parts)
