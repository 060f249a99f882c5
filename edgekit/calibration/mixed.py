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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.calibration.probes import Probe
from edgekit.calibration.spread import Spread, decibels, spreads
from edgekit.errors import ExportError
from edgekit.formats.graph import Graph, Operator, Tensor
from edgekit.samples import Samples

# What rounding may leave of a part or a channel, in dB; and of a whole tensor before it is called lost.
_LEAST, _LOST = 15.0, 20.0
# A channel that reaches over so many steps is not lost, however seldom it does.
_REACH = 12
# How much an operator's output may follow worse than its inputs, in dB.
_DROP = 10.0
# By how much outputs must follow better for a change to be kept, in dB.
_GAIN = 3.0
_ROUNDS = 4

# Operators by their names in TFLite and in ONNX. Channels stay channels:
_MOVING = {"CONCATENATION", "EXPAND_DIMS", "PACK", "PAD", "RESHAPE", "SLICE", "SPLIT", "SQUEEZE"}
_MOVING |= {"STRIDED_SLICE", "TRANSPOSE"}
_MOVING |= {"Concat", "Flatten", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze"}
_MOVING |= {"Transpose", "Unsqueeze"}
# Small values of theirs can count as much as large ones.
_STEEP = {"CUMSUM", "DIV", "EXP", "LOG", "POW", "RSQRT", "SQRT", "SQUARE"}
_STEEP |= {"CumSum", "Div", "Exp", "Log", "Pow", "Reciprocal", "Softplus", "Sqrt"}
_ELEMENTWISE = _STEEP | {"ABS", "ADD", "COS", "ELU", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC"}
_ELEMENTWISE |= {"MAXIMUM", "MINIMUM", "MUL", "NEG", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1"}
_ELEMENTWISE |= {"SELECT", "SELECT_V2", "SIN", "SQUARED_DIFFERENCE", "SUB", "TANH"}
_ELEMENTWISE |= {"Abs", "Add", "Clip", "Cos", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish"}
_ELEMENTWISE |= {"LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Relu", "Selu", "Sigmoid", "Sin"}
_ELEMENTWISE |= {"Sub", "Tanh", "Where"}
_JOINING = {"CONCATENATION", "PACK", "Concat"}
# What is lost of a channel before or behind them is lost of the same channel.
_CHANNELWISE = _MOVING | _ELEMENTWISE
_ANSWERS = {"LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "LogSoftmax", "Sigmoid", "Softmax"}
# Whose kernels have steps of their own.
_FIXED = {"LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "TANH"}


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
class Left:
    """An operator that stays in float.

    Attributes:
        operator: of the float file.
        reason: why.
        wholly: whether its weights are floats too where it is given integers.
    """

    operator: Operator
    reason: str
    wholly: bool = False


@dataclass(frozen=True)
class Plan:
    """What stays in float, by the name of each operator's first output."""

    left: Mapping[str, Left]

    def inner(self, graph: Graph) -> frozenset[str]:
        """The tensors that nothing rounds: of operators in float, read by such alone or by none."""
        readers = _readers(graph)
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

    in_runs = _reached(graph)

    def seen(attempt: Attempt) -> _View:
        given = samples, seed, attempt.names, axes, in_runs
        return _View(graph, *spreads(plain, attempt.probe, *given), attempt.steps)

    plan = Plan({})
    best = make(plan)
    view = seen(best)
    stacked = _stacked(view)
    if stacked:
        wider = Plan(stacked)
        try:
            attempt = make(wider)
            found = seen(attempt)
        except (ExportError, RuntimeError, ValueError):
            found = view
        if found.score_in_runs >= view.score_in_runs + _GAIN:
            best, plan, view = attempt, wider, found
    for find in (_coarse, *[_collapsed] * _ROUNDS):
        more = find(view)
        if more.keys() <= plan.left.keys():
            continue
        wider = Plan({**more, **plan.left})
        try:
            attempt = make(wider)
            found = seen(attempt)
        except (ExportError, RuntimeError, ValueError):
            break
        if found.score >= view.score + _GAIN:
            best, plan, view = attempt, wider, found
        elif find is _collapsed:
            break
    more = _front(view) if view.lowest < _LOST else {}
    if not more.keys() <= plan.left.keys():
        wider = Plan({**plan.left, **more})
        try:
            attempt = make(wider)
            found = seen(attempt)
        except (ExportError, RuntimeError, ValueError):
            return best, plan
        if found.score >= view.score + _GAIN:
            best, plan = attempt, wider
    return best, plan


def judged_at(graph: Graph) -> list[Tensor]:
    """The tensors that a graph's outputs are judged at: before a last softmax or sigmoid."""
    makers, found = _makers(graph), []
    for tensor in graph.outputs:
        maker = makers.get(tensor.key)
        while maker and maker.op in _MOVING - _JOINING and (given := _computed(maker)):
            maker = makers.get(given[0].key)
        answers = maker is not None and maker.op in _ANSWERS
        found.append(_computed(maker)[0] if maker and answers else tensor)
    return found


@dataclass(frozen=True)
class _View:
    """A float file's graph, and what was seen of an integer file's tensors."""

    graph: Graph
    spreads: Mapping[str, Spread]
    runs: Mapping[str, Spread]
    steps: Mapping[str, float]

    @property
    def makers(self) -> dict[str, Operator]:
        return _makers(self.graph)

    @property
    def ends(self) -> list[Tensor]:
        return judged_at(self.graph)

    @property
    def score(self) -> float:
        """How well outputs follow, in dB: halfway between the whole and its worst channel, added up."""
        found = [self.spreads[t.name] for t in self.ends if t.name in self.spreads]
        levels = [level for each in found for level in (each.sqnr, each.worst)]
        return float(np.clip(levels, -20, 40).sum() / 2)

    @property
    def score_in_runs(self) -> float:
        """`score`, and what the worst run of each output follows at."""
        worst = [self.runs[t.name].worst for t in self.ends if t.name in self.runs]
        return self.score + float(np.clip(worst, -20, 40).sum())

    @property
    def lowest(self) -> float:
        """How well the output follows that follows worst, in dB."""
        found = [self.spreads[t.name].sqnr for t in self.ends if t.name in self.spreads]
        return min(found, default=float(np.inf))

    def lost(self, tensor: Tensor, spreads: Mapping[str, Spread]) -> float | None:
        """How far a channel or run moves for which a tensor's steps are too wide; None if they suit all."""
        spread, step = spreads.get(tensor.name), self.steps.get(tensor.name)
        if spread is None or step is None:
            return None
        short = spread.moving & (spread.reach < _REACH * step)
        short &= decibels(spread.variance, step**2 / 12) < _LEAST
        return float(spread.variance[short].min() ** 0.5) if short.any() else None

    def quality(self, operator: Operator) -> float:
        """How well an operator's output follows the float file, in dB."""
        spread = self.spreads.get(operator.tensor)
        return spread.sqnr if spread and spread.moving.any() else float(np.inf)

    def left_of(self, tensor: Tensor, by: Tensor) -> float:
        """What the steps of `by` leave of a whole tensor, in dB."""
        spread, step = self.spreads.get(tensor.name), self.steps.get(by.name)
        if spread is None or step is None or not spread.moving.any():
            return float(np.inf)
        return float(decibels(spread.variance.mean(), step**2 / 12))

    def moves(self, tensor: Tensor) -> float:
        """By how much a tensor's values move about their channels' means."""
        return float(self.spreads[tensor.name].variance.mean() ** 0.5)


def _stacked(view: _View) -> dict[str, Left]:
    """What gives and reads tensors of which a run is lost to their steps."""
    return _around(
        view, [*_lost_at_ends(view, view.runs, "parts"), *_lost_at_starts(view, view.runs, "parts")]
    )


def _coarse(view: _View) -> dict[str, Left]:
    """What gives and reads tensors of which a part is lost to their steps."""
    found = _around(
        view,
        [
            *_lost_at_ends(view, view.spreads, "channels"),
            *_lost_at_starts(view, view.spreads, "channels"),
            *_lost_parts(view),
        ],
    )
    for operator in view.graph.operators:
        own = _own_steps(view, operator)
        if own:
            found.setdefault(operator.tensor, Left(operator, own))
    return found


def _around(view: _View, lost: Sequence[tuple[Tensor, str]]) -> dict[str, Left]:
    found: dict[str, Left] = {}
    makers, readers = view.makers, _readers(view.graph)
    for tensor, reason in lost:
        maker = makers.get(tensor.key)
        for operator in ([maker] if maker else []) + readers.get(tensor.key, []):
            found.setdefault(operator.tensor, Left(operator, reason))
    return found


def _before(graph: Graph) -> Callable[[Tensor], list[Tensor]]:
    """What a tensor's channels come from, one by one."""
    makers = _makers(graph)

    def before(tensor: Tensor) -> list[Tensor]:
        maker = makers.get(tensor.key)
        return _computed(maker) if maker and maker.op in _CHANNELWISE else []

    return before


def _behind(graph: Graph) -> Callable[[Tensor], list[Tensor]]:
    """What a tensor's channels go to, one by one."""
    readers = _readers(graph)

    def behind(tensor: Tensor) -> list[Tensor]:
        reading = [o for o in readers.get(tensor.key, []) if o.op in _CHANNELWISE]
        return [given for operator in reading for given in operator.outputs if given]

    return behind


def _reached(graph: Graph) -> frozenset[str]:
    """The tensors whose parts an output or an input may show, by name."""
    found: dict[str, str] = {}
    for tensors, beyond in ((judged_at(graph), _before(graph)), (graph.inputs, _behind(graph))):
        waiting, seen = list(tensors), set()
        while waiting:
            tensor = waiting.pop()
            if tensor.key not in seen:
                seen.add(tensor.key)
                found[tensor.key] = tensor.name
                waiting += beyond(tensor)
    return frozenset(found.values())


def _lost_at_ends(
    view: _View, spreads: Mapping[str, Spread], what: str
) -> list[tuple[Tensor, str]]:
    """Tensors from an output back to where the steps suit all, and why each is lost."""
    return _lost_from(view, view.ends, _before(view.graph), spreads, what)


def _lost_at_starts(
    view: _View, spreads: Mapping[str, Spread], what: str
) -> list[tuple[Tensor, str]]:
    """Tensors from an input on to where the steps suit all, and why each is lost."""
    return _lost_from(view, view.graph.inputs, _behind(view.graph), spreads, what)


def _lost_from(
    view: _View,
    tensors: Sequence[Tensor],
    beyond: Callable[[Tensor], list[Tensor]],
    spreads: Mapping[str, Spread],
    what: str,
) -> list[tuple[Tensor, str]]:
    found: dict[str, tuple[Tensor, str]] = {}
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        moves = view.lost(tensor, spreads)
        if moves is None or tensor.key in found:
            continue
        step = view.steps[tensor.name]
        reason = (
            f"{what} differ too much for one scale: steps of {step:.2g}, one moves by {moves:.2g}"
        )
        found[tensor.key] = tensor, reason
        waiting += beyond(tensor)
    return list(found.values())


def _lost_parts(view: _View) -> list[tuple[Tensor, str]]:
    """Tensors that parts of other scales are joined to, inside of the network, and what they are moved to."""
    found = []
    readers = _readers(view.graph)
    for operator in view.graph.operators:
        whole = operator.outputs[0] if operator.outputs else None
        if operator.op not in _JOINING or whole is None:
            continue
        for part in _computed(operator):
            if view.left_of(part, whole) < _LEAST < view.left_of(part, part):
                step, moves = view.steps[whole.name], view.moves(part)
                text = f"parts differ too much for one scale: steps of {step:.2g}, one moves by {moves:.2g}"
                waiting = [whole]
                while waiting:
                    tensor = waiting.pop()
                    found.append((tensor, text))
                    moving = [o for o in readers.get(tensor.key, []) if o.op in _MOVING - _JOINING]
                    waiting += [given for o in moving for given in o.outputs if given]
                break
    return found


def _own_steps(view: _View, operator: Operator) -> str | None:
    """Why an operator whose kernel has steps of its own gives too little with them; None if it does not."""
    given = operator.outputs[0] if operator.outputs else None
    if operator.op not in _FIXED or given is None or given in view.graph.outputs:
        return None
    if view.left_of(given, given) >= _LEAST:
        return None
    return f"its integer kernel has steps of {view.steps[given.name]:.2g}, its output moves by {view.moves(given):.2g}"


def _collapsed(view: _View) -> dict[str, Left]:
    """Chains at whose operators the error grows from next to nothing to as much as the signal."""
    makers, readers = view.makers, _readers(view.graph)
    culprits = [o for o in view.graph.operators if _loses(view, o)]
    # What one of them loses, its like loses as well, as soon as it is given something to lose.
    kinds = {o.op for o in culprits} & _STEEP
    waiting = culprits + [o for o in view.graph.operators if o.op in kinds]
    found: dict[str, Left] = {}
    while waiting:
        operator = waiting.pop()
        if operator.tensor in found or operator.op not in _ELEMENTWISE:
            continue
        found[operator.tensor] = Left(operator, "integers lose its values, or those it is made of")
        waiting += [makers[t.key] for t in _computed(operator) if t.key in makers]
        behind = [o for t in operator.outputs if t for o in readers.get(t.key, [])]
        waiting += [o for o in behind if view.quality(o) < _LOST]
    return found


def _front(view: _View) -> dict[str, Left]:
    """All that comes before operators that make small values count, where integers have lost those.

    Nothing where it holds all weights; or half of them, where the outputs follow well enough without it.
    """
    makers, readers = view.makers, _readers(view.graph)
    waiting = [o for o in view.graph.operators if o.op in _STEEP and view.quality(o) < _LOST]
    found: dict[str, Left] = {}
    while waiting:
        operator = waiting.pop()
        if operator.tensor not in found:
            reason = "what follows makes its small values count, which integers lose"
            found[operator.tensor] = Left(operator, reason, wholly=True)
            waiting += [makers[t.key] for t in operator.inputs if t and t.key in makers]
            # What scales by a root or adds to a logarithm, and what that is made of.
            behind = [o for t in operator.outputs if t for o in readers.get(t.key, [])]
            waiting += [o for o in behind if o.op in _ELEMENTWISE and view.quality(o) < _LOST]
    ours, all_of_them = _stored(o.operator for o in found.values()), _stored(view.graph.operators)
    most = all_of_them if view.lowest < _LEAST else all_of_them / 2
    return found if ours < most else {}


def _stored(operators: Iterable[Operator]) -> int:
    """How many bytes of constants they read."""
    sizes = {
        t.stored or t.key: t.stored_bytes for o in operators for t in o.inputs if t and t.constant
    }
    return sum(sizes.values())


def _loses(view: _View, operator: Operator) -> bool:
    """Whether an operator's output follows much worse than all of its inputs do."""
    given = [view.spreads[t.name].sqnr for t in _computed(operator) if t.name in view.spreads]
    made = view.quality(operator)
    return bool(given) and made < _LOST and min(given) - made > _DROP


def _computed(operator: Operator) -> list[Tensor]:
    """An operator's inputs that are float values and no constants."""
    return [t for t in operator.inputs if t and not t.constant and t.dtype in ("float32", "?")]


def _makers(graph: Graph) -> dict[str, Operator]:
    return {t.key: o for o in graph.operators for t in o.outputs if t}


def _readers(graph: Graph) -> dict[str, list[Operator]]:
    readers: dict[str, list[Operator]] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            if tensor:
                readers.setdefault(tensor.key, []).append(operator)
    return readers
