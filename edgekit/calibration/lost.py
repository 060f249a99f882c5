"""Lost: where an integer file loses what its float file tells, and the operators that had better stay in float.

Parts of other scales in one tensor and kernels with steps of their own show in the float file's spreads and the
integer file's steps; chains and fronts whose small values count show where the integer file's error grows from
one tensor to the next. `edgekit.calibration.mixed` says why each is lost, and tries what is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.calibration.spread import Spread, decibels
from edgekit.formats.graph import Graph, Operator, Tensor

# What rounding may leave of a part or a channel, in dB; and of a whole tensor before it is called lost.
_LEAST, LOST = 15.0, 20.0
# A channel that reaches over so many steps is not lost, however seldom it does.
_REACH = 12
# How much an operator's output may follow worse than its inputs, in dB.
_DROP = 10.0

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
# Of what they are given a few values decide; and those that belong to a chain, but begin none.
_PICKING = {"REDUCE_MAX", "REDUCE_MIN", "ReduceMax", "ReduceMin"}
_ADDING = {"AVERAGE_POOL_2D", "MEAN", "SUM", "AveragePool", "GlobalAveragePool", "ReduceL2"}
_ADDING |= {"ReduceMean", "ReduceSum", "ReduceSumSquare"}
_CHAINED = _ELEMENTWISE | _PICKING | _ADDING
_JOINING = {"CONCATENATION", "PACK", "Concat"}
# What is lost of a channel before or behind them is lost of the same channel.
_CHANNELWISE = _MOVING | _ELEMENTWISE
_ANSWERS = {"LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "LogSoftmax", "Sigmoid", "Softmax"}
# Whose kernels have steps of their own.
_FIXED = {"LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "TANH"}


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


def judged_at(graph: Graph) -> list[Tensor]:
    """The tensors that a graph's outputs are judged at: before a last softmax or sigmoid."""
    makers, found = makers_of(graph), []
    for tensor in graph.outputs:
        maker = makers.get(tensor.key)
        while maker and maker.op in _MOVING - _JOINING and (given := _computed(maker)):
            maker = makers.get(given[0].key)
        answers = maker is not None and maker.op in _ANSWERS
        found.append(_computed(maker)[0] if maker and answers else tensor)
    return found


@dataclass(frozen=True)
class View:
    """A float file's graph, and what was seen of an integer file's tensors."""

    graph: Graph
    spreads: Mapping[str, Spread]
    runs: Mapping[str, Spread]
    steps: Mapping[str, float]

    @property
    def makers(self) -> dict[str, Operator]:
        return makers_of(self.graph)

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
    def loses_runs(self) -> bool:
        """Whether a run of an output follows so badly that it is lost."""
        return any(self.runs[t.name].worst < _LEAST for t in self.ends if t.name in self.runs)

    @property
    def lowest(self) -> float:
        """How well the output follows that follows worst, in dB; where a single channel of it is lost,
        as badly as that."""
        found = [self.spreads[t.name] for t in self.ends if t.name in self.spreads]
        levels = [min(each.sqnr, each.worst + LOST - _LEAST) for each in found]
        return min(levels, default=float(np.inf))

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


def stacked(view: View) -> dict[str, Left]:
    """What gives and reads tensors of which a run is lost to their steps."""
    return _around(
        view, [*_lost_at_ends(view, view.runs, "parts"), *_lost_at_starts(view, view.runs, "parts")]
    )


def coarse(view: View) -> dict[str, Left]:
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


def _around(view: View, lost: Sequence[tuple[Tensor, str]]) -> dict[str, Left]:
    found: dict[str, Left] = {}
    makers, readers = view.makers, readers_of(view.graph)
    for tensor, reason in lost:
        maker = makers.get(tensor.key)
        for operator in ([maker] if maker else []) + readers.get(tensor.key, []):
            found.setdefault(operator.tensor, Left(operator, reason))
    return found


def _before(graph: Graph) -> Callable[[Tensor], list[Tensor]]:
    """What a tensor's channels come from, one by one."""
    makers = makers_of(graph)

    def before(tensor: Tensor) -> list[Tensor]:
        maker = makers.get(tensor.key)
        return _computed(maker) if maker and maker.op in _CHANNELWISE else []

    return before


def _behind(graph: Graph) -> Callable[[Tensor], list[Tensor]]:
    """What a tensor's channels go to, one by one."""
    readers = readers_of(graph)

    def behind(tensor: Tensor) -> list[Tensor]:
        reading = [o for o in readers.get(tensor.key, []) if o.op in _CHANNELWISE]
        return [given for operator in reading for given in operator.outputs if given]

    return behind


def reached(graph: Graph) -> frozenset[str]:
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


def _lost_at_ends(view: View, spreads: Mapping[str, Spread], what: str) -> list[tuple[Tensor, str]]:
    """Tensors from an output back to where the steps suit all, and why each is lost."""
    return _lost_from(view, view.ends, _before(view.graph), spreads, what)


def _lost_at_starts(
    view: View, spreads: Mapping[str, Spread], what: str
) -> list[tuple[Tensor, str]]:
    """Tensors from an input on to where the steps suit all, and why each is lost."""
    return _lost_from(view, view.graph.inputs, _behind(view.graph), spreads, what)


def _lost_from(
    view: View,
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


def _lost_parts(view: View) -> list[tuple[Tensor, str]]:
    """Tensors that parts of other scales are joined to, inside of the network, and what they are moved to."""
    found = []
    readers = readers_of(view.graph)
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


def _own_steps(view: View, operator: Operator) -> str | None:
    """Why an operator whose kernel has steps of its own gives too little with them; None if it does not."""
    given = operator.outputs[0] if operator.outputs else None
    if operator.op not in _FIXED or given is None or given in view.graph.outputs:
        return None
    if view.left_of(given, given) >= _LEAST:
        return None
    return f"its integer kernel has steps of {view.steps[given.name]:.2g}, its output moves by {view.moves(given):.2g}"


def collapsed(view: View) -> dict[str, Left]:
    """Chains at whose operators the error grows from next to nothing to as much as the signal."""
    makers, readers = view.makers, readers_of(view.graph)
    culprits = [o for o in view.graph.operators if o.op not in _ADDING and _loses(view, o)]
    # What one of them loses, its like loses as well, as soon as it is given something to lose.
    kinds = {o.op for o in culprits} & _STEEP
    waiting = culprits + [o for o in view.graph.operators if o.op in kinds]
    found: dict[str, Left] = {}
    while waiting:
        operator = waiting.pop()
        if operator.tensor in found or operator.op not in _CHAINED:
            continue
        found[operator.tensor] = Left(operator, "integers lose its values, or those it is made of")
        waiting += [makers[t.key] for t in _computed(operator) if t.key in makers]
        behind = [o for t in operator.outputs if t for o in readers.get(t.key, [])]
        waiting += [o for o in behind if view.quality(o) < LOST]
    return found


def steep(view: View) -> dict[str, Left]:
    """Operators that make small values count and what they are made of, elementwise, where an output is lost.

    What integers lose of such values is no noise that sums and means cancel: they are all too small, or
    all too large. It is little of the operator's own output, and much of a mean of it.
    """
    makers, readers = view.makers, readers_of(view.graph)
    waiting = [o for o in view.graph.operators if o.op in _STEEP]
    found: dict[str, Left] = {}
    while waiting:
        operator = waiting.pop()
        if operator.tensor not in found:
            reason = "its small values count, and integers lose them all to one side"
            found[operator.tensor] = Left(operator, reason)
            given = [makers[t.key] for t in _computed(operator) if t.key in makers]
            behind = [o for t in operator.outputs if t for o in readers.get(t.key, [])]
            waiting += [o for o in (*given, *behind) if o.op in _ELEMENTWISE or o.op in _ADDING]
    return found


def front(view: View) -> dict[str, Left]:
    """All that comes before operators that make small values count, where integers have lost those.

    Nothing where it holds all weights; or half of them, where the outputs follow well enough without it.
    """
    makers, readers = view.makers, readers_of(view.graph)
    # Where an output is lost, it may be in a mean of them that it shows.
    least = LOST if view.lowest >= _LEAST else float(np.inf)
    waiting = [o for o in view.graph.operators if o.op in _STEEP and view.quality(o) < least]
    found: dict[str, Left] = {}
    while waiting:
        operator = waiting.pop()
        if operator.tensor not in found:
            reason = "what follows makes its small values count, which integers lose"
            found[operator.tensor] = Left(operator, reason, wholly=True)
            waiting += [makers[t.key] for t in operator.inputs if t and t.key in makers]
            # What scales by a root or adds to a logarithm, and what that is made of.
            behind = [o for t in operator.outputs if t for o in readers.get(t.key, [])]
            waiting += [o for o in behind if o.op in _ELEMENTWISE and view.quality(o) < LOST]
    ours, all_of_them = _stored(o.operator for o in found.values()), _stored(view.graph.operators)
    most = all_of_them if view.lowest < _LEAST else all_of_them / 2
    return found if ours < most else {}


def _stored(operators: Iterable[Operator]) -> int:
    """How many bytes of constants they read."""
    sizes = {
        t.stored or t.key: t.stored_bytes for o in operators for t in o.inputs if t and t.constant
    }
    return sum(sizes.values())


def _loses(view: View, operator: Operator) -> bool:
    """Whether an operator's output follows much worse than all of its inputs do."""
    given = [view.spreads[t.name].sqnr for t in _computed(operator) if t.name in view.spreads]
    made = view.quality(operator)
    return bool(given) and made < LOST and min(given) - made > _DROP


def _computed(operator: Operator) -> list[Tensor]:
    """An operator's inputs that are float values and no constants."""
    return [t for t in operator.inputs if t and not t.constant and t.dtype in ("float32", "?")]


def makers_of(graph: Graph) -> dict[str, Operator]:
    return {t.key: o for o in graph.operators for t in o.outputs if t}


def readers_of(graph: Graph) -> dict[str, list[Operator]]:
    readers: dict[str, list[Operator]] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            if tensor:
                readers.setdefault(tensor.key, []).append(operator)
    return readers
