"""Alone: what one operator or one tensor in int8 costs the outputs, all others being in float.

A tensor alone is rounded in the float file, on the grid that the integer file has for it, and what follows is
computed in float (`edgekit.calibration.frontier`). An operator alone is a file of its own; of what it loses,
what the rounding of its inputs and outputs costs alone is taken off, so that sums over operators and tensors
count nothing twice. Errors of different places are close to independent and small beside the values, so that
their squares add up at the outputs: the noise model of Sripad and Snyder (1977), which mixed precision rests
on since HAWQ (Dong et al., 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.fitting import Judge
from edgekit.calibration.frontier import Frontier, Key, Path
from edgekit.calibration.lost import Left
from edgekit.calibration.mixed import Attempt, Plan
from edgekit.errors import ExportError
from edgekit.formats.graph import Graph, Operator

Values = dict[Key, NDArray[Any]]
_REASON = "another operator is measured alone"


@dataclass(frozen=True)
class Losses:
    """Mean squares of what is off at the outputs, as a share of how far those move.

    Attributes:
        graph: of the float file.
        operators: of each that can compute in int8, its kernel without the rounding of what it reads and
            gives; by the name of its first output.
        tensors: of each that such an operator reads or gives, rounded; by name.
        times: of operators that were timed on this machine, by the name of the first output: nanoseconds in
            float and in int8.
    """

    graph: Graph
    operators: Mapping[str, float]
    tensors: Mapping[str, float]
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plain:
    """The float file, in parts.

    Attributes:
        graph: what it is.
        path: its operators as steps.
        keys: of each tensor by name, what it is called on the path.
        given: of each batch, the values of the inputs.
        judged: the tensors on the path that answers are judged at.
    """

    graph: Graph
    path: Path
    keys: Mapping[str, Key]
    given: list[Values]
    judged: tuple[Key, ...]


def tensor_losses(
    plain: Plain, rounders: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]
) -> dict[str, float]:
    """The loss of each tensor alone.

    Args:
        plain: the float file.
        rounders: of each tensor by name, gives its values rounded.
    """
    path = Path(
        plain.path.steps, plain.path.ends | set(plain.judged), plain.path.sizes, plain.path.open
    )
    walk = Frontier(path, plain.given)
    made_at = {key: at for at, step in enumerate(path.steps, 1) for key in step.gives}
    due: dict[int, list[str]] = {}
    for name in rounders:
        if (key := plain.keys.get(name)) is not None:
            due.setdefault(made_at.get(key, 0), []).append(name)
    whole = Frontier(path, plain.given)
    whole.advance(len(path.steps))
    wanted = {key: whole.values(key) for key in plain.judged}
    found: dict[str, float] = {}
    for at in sorted(due):
        walk.advance(at)
        rest = _rest(path, at, plain.judged)
        for name in due[at]:
            key, rounder = plain.keys[name], rounders[name]
            errors = []
            answers = [rest(walk.at(i, {key: rounder})) for i in range(len(plain.given))]
            for end in plain.judged:
                ours = [answer[end] for answer in answers]
                errors.append(_share(wanted[end], ours))
            found[name] = float(np.mean(errors))
    return found


def operator_losses(
    graph: Graph,
    names: Collection[str],
    make: Callable[[Plan], Attempt],
    judge: Judge,
    tensors: Mapping[str, float],
) -> dict[str, float]:
    """The loss of each operator's kernel alone.

    Args:
        graph: of the float file.
        names: the operators, by their first outputs.
        make: makes the integer file with what a plan leaves in float.
        judge: says how well outputs follow.
        tensors: the losses of tensors alone, which are taken off.
    """
    found = {}
    for operator in graph.operators:
        if operator.tensor not in names:
            continue
        others = {
            o.tensor: Left(o, _REASON, wholly=True)
            for o in graph.operators
            if o.tensor != operator.tensor
        }
        try:
            errors = judge.errors(make(Plan(others)))
        except (ExportError, RuntimeError, ValueError):
            continue
        if errors is None:
            continue
        beside = sum(tensors.get(name, 0.0) for name in _around(operator))
        found[operator.tensor] = max(0.0, float(errors.mean()) - beside)
    return found


def _around(operator: Operator) -> set[str]:
    """The tensors that an operator reads or gives, constants left out."""
    found = (*operator.inputs, *operator.outputs)
    return {tensor.name for tensor in found if tensor and not tensor.constant}


def _rest(path: Path, at: int, ends: Collection[Key]) -> Callable[[Values], Values]:
    """From values of all that is read later to values of what is judged."""
    steps = path.steps[at:]
    made = {key for step in steps for key in step.gives}
    takes = list(dict.fromkeys(k for step in steps for k in step.reads if k not in made))
    gives = [key for key in ends if key in made]
    part = path.open(range(at, len(path.steps)), takes, gives) if gives else None

    def run(values: Values) -> Values:
        found = {key: values[key] for key in ends if key not in made}
        if part is not None:
            given = part([values[key] for key in takes])
            found.update(zip(gives, map(np.array, given), strict=True))
        return found

    return run


def _share(wanted: list[NDArray[Any]], ours: list[NDArray[Any]]) -> float:
    """As `edgekit.calibration.fitting.Judge.errors`, over all batches."""
    rows = [np.atleast_1d(np.asarray(each, np.float64)) for each in wanted]
    moves = float(np.concatenate([each.reshape(-1, each.shape[-1]) for each in rows]).var(0).mean())
    off = np.mean([np.mean((a - b) ** 2) for a, b in zip(ours, rows, strict=True)])
    return float(off) / max(moves, 1e-30)
