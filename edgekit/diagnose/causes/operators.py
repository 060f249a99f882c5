"""Operators: what an operator makes of right values with right weights, and what stayed in float."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.diagnose.decibels import noise
from edgekit.diagnose.effects import Effects
from edgekit.diagnose.layers import rounding_noise
from edgekit.diagnose.matching import Pair
from edgekit.diagnose.names import layer_name
from edgekit.diagnose.network import WEIGHTED, Array, Network, Node
from edgekit.document.diagnosis import FAULT, NOTE, Cause

# What an integer operator may lose over what its inputs, weights and output grid lose already.
_TIMES, _LEAST = 8.0, 3e-3
_INTEGERS = ("int8", "uint8", "int16")
_NO_WORK = frozenset(
    {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "Squeeze", "Unsqueeze", "Identity", "CAST"}
)


def not_finite(effects: Effects) -> Cause | None:
    """The first operator that gives what is no number."""
    for pair in effects.both.matched.pairs:
        value = pair.file.gives[0]
        reference = effects.both.reference(value)
        if reference is None or not effects.both.file.has([value]):
            continue
        bad = [~np.isfinite(x) for x in effects.both.file.values(value)]
        if any(x.any() for x in bad) and all(np.isfinite(x).all() for x in reference):
            share = float(np.mean([x.mean() for x in bad]))
            return Cause(
                "not_finite",
                FAULT,
                layer_name(pair.file.name, effects.both.layers),
                pair.file.name,
                f"{100 * share:.1f} % of what {pair.file.op} gives are no finite numbers, while the float file's are.",
                "Look at its weights and biases (edgekit diff), and convert the layer anew: edgekit heal.",
                1.0,
                {"share": share},
            )
    return None


def causes_of_operators(effects: Effects) -> Iterator[Cause]:
    """Operators that lose more than their weights and their grid do, with the float file's values before them."""
    for pair in effects.both.matched.pairs:
        alone = effects.both.alone(pair)
        reference = effects.both.reference(pair.file.gives[0])
        if alone is None or reference is None:
            continue
        made = [each[0] for each in alone]
        expected = _expected(effects, pair)
        if expected is None:
            continue
        own, off = noise(reference, made), noise(expected, made)
        grid = next(iter(effects.both.file.network.grids.get(pair.file.gives[0], ())), None)
        least = rounding_noise(reference, grid) or 0.0
        if own is None or off is None or off < _LEAST or off < _TIMES * least:
            continue
        theirs = effects.both.matched.values[pair.file.gives[0]]
        if pair.file.gives[0] in effects.both.gains:
            continue
        effect = effects.of_values(theirs, made)
        plain = effects.of_values(theirs, expected)
        if not effects.blames(effect, plain):
            continue
        yield Cause(
            "operator",
            FAULT,
            layer_name(pair.file.name, effects.both.layers),
            pair.file.name,
            f"{pair.file.op} itself answers otherwise: with the float file's values before it, and its own weights and "
            f"range, it is {-10 * np.log10(off):.1f} dB from what these make.",
            "Compare the operator's options in both files (edgekit diff), try another interpreter or the reference "
            "kernels, and leave it in float if they agree.",
            effects.share(effect),
            {"noise": off},
        )


def _expected(effects: Effects, pair: Pair) -> list[Array] | None:
    """What the float file's operator makes with the file's weights, on rounded values, rounded itself."""
    both = effects.both
    if not pair.plain.alone or pair.joined:
        return None
    grids = both.file.network.grids
    found = []
    changed = both.constants(pair)
    try:
        for batch in both.plain.batches:
            given = []
            for ours, theirs in zip(pair.file.takes, pair.plain.takes, strict=True):
                x = batch[theirs]
                each = grids.get(ours, ())
                given.append(both.through(ours, x, each) if x.dtype == np.float32 else x)
            made = both.plain.network.alone(pair.plain, given, changed)[0]
            value = pair.file.gives[0]
            first = list(grids.get(value, ()))[:1]
            found.append(both.through(value, made, first) if made.dtype == np.float32 else made)
    except (RuntimeError, ValueError, KeyError):
        return None
    return found


def float_operators(network: Network) -> Iterator[Cause]:
    """Operators in float between such of integers: answers are kept, time is lost."""
    integer = [node for node in network.nodes if node.dtype in _INTEGERS]
    floats = [node for node in network.nodes if node.dtype == "float32" and node.op not in _NO_WORK]
    if len(integer) < len(floats) or not integer:
        return
    before = _reached(network, integer, forward=True)
    behind = _reached(network, integer, forward=False)
    # Those that have integer kernels come first.
    for node in sorted(floats, key=lambda node: node.op not in WEIGHTED):
        if node.at not in before or node.at not in behind:
            continue
        yield Cause(
            "float_operator",
            NOTE,
            layer_name(node.name),
            node.name,
            f"{node.op} was left in float between operators of integers: its values are turned into floats and back "
            f"for it ({len(integer)} operators compute with integers).",
            "Quantise it too, or take an operator in the model that has an integer kernel; a small loss in time, none in "
            "answers.",
            None,
            {"integer_operators": float(len(integer))},
        )


def _reached(network: Network, start: list[Node], *, forward: bool) -> set[int]:
    """Operators that lie behind those of `start`, or before them."""
    seen = {name for node in start for name in (node.gives if forward else node.takes)}
    found = set()
    for node in network.nodes if forward else reversed(network.nodes):
        near, far = (node.takes, node.gives) if forward else (node.gives, node.takes)
        if any(name in seen for name in near):
            found.add(node.at)
            seen.update(far)
    return found
