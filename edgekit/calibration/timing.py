"""Timing: how long operators take, each alone, in a float file and in an integer file of it, in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.frontier import Frontier, Key, Path
from edgekit.runtime.turns import interleave

# For each operator in each file; a turn takes longer.
_BUDGET_NS = 5_000_000
# From steps of a path, what they take and give, and values of what they take, to a call that runs them.
Bind = Callable[[range, Sequence[Key], Sequence[Key], Sequence[NDArray[Any]]], Callable[[], object]]


class Timed:
    """A file whose steps are run one by one.

    Args:
        path: its operators as steps.
        bind: makes a call of some of them.
        given: values of its inputs.
    """

    def __init__(self, path: Path, bind: Bind, given: dict[Key, NDArray[Any]]) -> None:
        self._path, self._bind = path, bind
        self._walk = Frontier(path, [given])

    def call(self, steps: range) -> Callable[[], object]:
        """A call that runs these steps; they come after those that were requested before."""
        self._walk.advance(steps.start)
        own = self._path.steps[steps.start : steps.stop]
        made = {key for step in own for key in step.gives}
        takes = list(dict.fromkeys(k for step in own for k in step.reads if k not in made))
        later = self._path.read_from(steps.stop)
        gives = [key for step in own for key in step.gives if key in later]
        return self._bind(steps, takes, gives, [self._walk.values(key)[0] for key in takes])


def kernel_times(
    plain: Timed, ours: Timed, steps: Mapping[str, tuple[range, range]]
) -> dict[str, tuple[float, float]]:
    """Nanoseconds of each operator in float and in integers, the median of some calls.

    Args:
        plain: the float file.
        ours: the integer file.
        steps: of each operator, by name, its steps in both, in the order in which they run.
    """
    found = {}
    for name, (theirs, own) in steps.items():
        if not (theirs and own):
            continue
        taken = interleave([plain.call(theirs), ours.call(own)], _BUDGET_NS)
        found[name] = float(np.median(taken[0])), float(np.median(taken[1]))
    return found
