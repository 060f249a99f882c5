"""Mixed files: which operators of an integer file stay in float, because integers lose what they give.

Three kinds of loss, each with a cure of its own:

- One scale for parts that differ: in a tensor of boxes in pixels beside scores, or of a price beside a
  probability, a step is wider than what the smaller part moves by. The tensor stays in float: what gives
  it, and what reads it. So each part keeps the scale of its own that it came with.
  The same at inputs, until each channel was brought to a scale like the others'.
- A kernel's own scale: softmax gives steps of 1/256 whatever its range. Over hundreds of places nothing
  is left. The operator stays in float, and its range is calibrated.
- Values that only the next operator cares about: log(1 + e^x) needs the small ones of e^x, and a step is
  as wide as the large ones ask for. The chain stays in float from where integers still follow; or, where
  the inputs' own steps are too wide for it, as before the logarithm of a spectrogram, the whole front does.

Parts may lie beside each other on the axis of channels, or on another, where they are stacked.

The first two show in the float file's spreads and the integer file's steps. The third shows where the
integer file's error grows from one tensor to the next. Every change is kept only if outputs follow the
float file better than before, on calibration samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.calibration.lost import (
    LOST,
    Left,
    View,
    coarse,
    collapsed,
    front,
    reached,
    readers_of,
    stacked,
    steep,
)
from edgekit.calibration.probes import Probe
from edgekit.calibration.spread import spreads
from edgekit.errors import ExportError
from edgekit.formats.graph import Graph
from edgekit.samples import Samples

# By how much outputs must follow better for a change to be kept, in dB.
_GAIN = 3.0
_ROUNDS = 4

# Finds what had better stay in float.
Find = Callable[[View], Mapping[str, Left]]


@dataclass(frozen=True)
class Attempt:
    """An integer file, and how to look into it.

    Attributes:
        made: the file, as whoever made it wants it back.
        probe: the same.
        steps: the width of a step of each tensor that is rounded, by its name in the float file.
        names: what its tensors are called in the float file, where not alike.
    """

    made: Any
    probe: Probe
    steps: Mapping[str, float]
    names: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What stays in float, by the name of each operator's first output."""

    left: Mapping[str, Left]

    def inner(self, graph: Graph) -> frozenset[str]:
        """The tensors that nothing rounds: of operators in float, read by such alone or by none."""
        readers = readers_of(graph)
        return frozenset(
            tensor.name
            for operator in graph.operators
            if operator.tensor in self.left
            for tensor in operator.outputs
            if tensor and all(reader.tensor in self.left for reader in readers.get(tensor.key, []))
        ) | {
            tensor.name
            for tensor in graph.inputs
            if all(reader.tensor in self.left for reader in readers.get(tensor.key, []))
        }


def left_of(graph: Graph, reasons: Mapping[str, str]) -> dict[str, Left]:
    """The operators of a float file that stay in float, by the names of their first outputs, and why."""
    return {
        o.tensor: Left(o, reasons[o.tensor], wholly=True)
        for o in graph.operators
        if o.tensor in reasons
    }


# Makes the integer file with what a plan leaves in float.
Make = Callable[[Plan], Attempt]


def settle(
    graph: Graph,
    plain: Probe,
    make: Make,
    samples: Samples,
    seed: int,
    axes: Sequence[int] = (-1,),
) -> tuple[Attempt, Plan]:
    """The integer file with as much in float as its outputs need, and what that is.

    Args:
        graph: of the float file.
        plain: the float file.
        make: makes and opens the integer file.
        samples: to measure on, under the files' input names.
        seed: of the choice of samples, where there are many.
        axes: that channels may lie on.

    Raises:
        ExportError, RuntimeError, ValueError: the file with nothing more in float cannot be made or run.
    """
    in_runs = reached(graph)

    def seen(attempt: Attempt) -> View:
        given = samples, seed, attempt.names, axes, in_runs
        return View(graph, *spreads(plain, attempt.probe, *given), attempt.steps)

    def tried(wider: Plan) -> tuple[Attempt, View] | None:
        try:
            attempt = make(wider)
            return attempt, seen(attempt)
        except (ExportError, RuntimeError, ValueError):
            return None

    plan = Plan({})
    best = make(plan)
    view = seen(best)
    refused: set[frozenset[str]] = set()
    for find in (stacked, coarse, *[collapsed] * _ROUNDS, steep, front):
        if find in (steep, front) and view.lowest >= LOST:
            continue
        more = find(view)
        if more.keys() <= plan.left.keys():
            continue
        # A front keeps its reasons, and its layers wholly in float.
        wider = Plan({**plan.left, **more} if find is front else {**more, **plan.left})
        if frozenset(wider.left) in refused:
            continue
        made = tried(wider)
        # What is joined on one axis and moved to another shows in the runs of the other alone.
        by_runs = find is stacked or (find is coarse and view.loses_runs)
        if made is not None and _follows(made[1], by_runs) >= _follows(view, by_runs) + _GAIN:
            (best, view), plan = made, wider
        else:
            refused.add(frozenset(wider.left))
    return best, plan


def _follows(view: View, by_runs: bool) -> float:
    """How well outputs follow, in dB: as what was looked for would show."""
    return view.score_in_runs if by_runs else view.score
