"""Candidates: the files that are made and judged, and the plans that mixed ones follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.artifact import FORMATS
from edgekit.calibration.alone import Losses
from edgekit.convert.variant import Wanted
from edgekit.formats.graph import Graph
from edgekit.solver.costs import Both, Bytes, Costs, Times, shipped
from edgekit.solver.graphs import stated
from edgekit.solver.sweep import front, spread

# Whole files beside the mixed ones, in the order of what is expected of them: the most exact first.
SCHEMES = ("float32", "float16", "dynamic", "int8")
# Mixed files made, at most.
_MIXED = 5
# How much of what is not minimised counts: of two plans that weigh the same, the faster one is taken.
_LITTLE = 0.1


def whole_files(stem: str, format: str, minimise: str) -> tuple[Wanted, ...]:
    """Files of one scheme each: those that any export makes, and int8 without the fit.

    Args:
        stem: what names begin with.
        format: ``"tflite"`` or ``"onnx"``.
        minimise: of `edgekit.recipe.MINIMISED`.
    """
    # No kernel computes in float16: such a file is smaller, and slower to load.
    schemes = [s for s in SCHEMES if s != "float16" or minimise != "latency"]
    found = [Wanted(format, scheme, f"{stem}.{scheme}{FORMATS[format]}") for scheme in schemes]
    fast = Wanted(format, "int8", f"{stem}.int8-fast{FORMATS[format]}", quality="fast")
    return (*found, fast)


@dataclass(frozen=True)
class Planned:
    """A mixed file.

    Attributes:
        file: to be made.
        sqnr_db: how well its outputs are predicted to follow the float file's, in dB.
    """

    file: Wanted
    sqnr_db: float


def mixed_files(
    stem: str, format: str, minimise: str, losses: Losses, packed: tuple[float, float]
) -> list[Planned]:
    """Files with some operators in float, from the price of error at which that pays.

    Args:
        stem: what names begin with.
        format: ``"tflite"`` or ``"onnx"``.
        minimise: of `edgekit.recipe.MINIMISED`.
        losses: what operators and tensors lose in int8.
        packed: of float and of int8 files, what a byte comes to in a packed file.
    """
    costs = _costs(format, minimise, losses, packed)
    found = stated(losses.graph, losses.operators, losses.tensors, costs)
    # All in int8 is made anyway, and all in float.
    choices = [
        choice
        for choice in spread(front(found.problem), _MIXED + 2)
        if choice.left & {part.name for part in found.problem.parts if part.able}
        and choice.loss > 0
    ]
    planned = []
    for number, choice in enumerate(choices[:_MIXED], 1):
        left = tuple(sorted(found.operators(choice.left) & losses.operators.keys()))
        name = f"{stem}.mixed{number}{FORMATS[format]}"
        planned.append(Planned(Wanted(format, "int8", name, left), _decibels(choice.loss)))
    return planned


def _costs(format: str, minimise: str, losses: Losses, packed: tuple[float, float]) -> Costs:
    size = Bytes(format, *(packed if minimise == "packed" else (1.0, 1.0)))
    time = Times(shipped(format), losses.times)
    first, second = (time, size) if minimise == "latency" else (size, time)
    return Both(first, second, (_whole(losses.graph, first), _whole(losses.graph, second)), _LITTLE)


def _whole(graph: Graph, costs: Costs) -> float:
    """What all operators cost in float."""
    return max(sum(costs.kernels(operator)[0] for operator in graph.operators), 1e-9)


def _decibels(loss: float) -> float:
    return float(-10 * np.log10(max(loss, 1e-20)))


def lefts(files: Sequence[Planned]) -> list[Wanted]:
    """The files to make, each plan once."""
    return list({each.file.left: each.file for each in files}.values())
