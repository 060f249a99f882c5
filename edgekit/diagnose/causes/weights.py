"""Weights: kernels and biases that are not those of the float file, or that eight bits do not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgekit.diagnose.effects import Effects
from edgekit.diagnose.matching import Pair
from edgekit.diagnose.names import layer_name
from edgekit.diagnose.network import Array, channel_axis, kernel_rows
from edgekit.document.diagnosis import FAULT, Cause

_BITS = {"int4": 7, "int8": 127, "uint8": 127, "int16": 32767}
# Rows of two kernels whose cosine is below this are not the same weights, however they were rounded.
_SAME = 0.9
# Of the layers with weights, so many have others: that is another model.
_MOST = 0.6
_INT32 = 2**31 - 1


def kernel_cosine(effects: Effects, pair: Pair) -> float | None:
    """The mean cosine of a layer's kernel rows in both files; None where they have no common shape."""
    theirs = kernel_rows(pair.plain, effects.both.plain.network.format)
    ours = effects.both.constants(pair).get(1)
    if theirs is None or pair.plain.weights is None:
        return None
    if ours is None:
        return None if pair.scaled else 1.0
    a = ours.reshape(pair.plain.weights.values.shape)
    axis = channel_axis(pair.plain, effects.both.plain.network.format)
    rows = [
        np.moveaxis(x.astype(np.float64), axis, 0).reshape(x.shape[axis], -1)
        for x in (a, pair.plain.weights.values)
    ]
    sizes = np.linalg.norm(rows[0], axis=1) * np.linalg.norm(rows[1], axis=1)
    moving = np.linalg.norm(rows[1], axis=1) > 0
    cosines = np.divide(
        (rows[0] * rows[1]).sum(1), sizes, out=np.zeros_like(sizes), where=sizes > 0
    )
    return float(cosines[moving].mean()) if moving.any() else 1.0


def another_model(effects: Effects) -> Cause | None:
    """Whether the file's weights are another model's altogether."""
    pairs = [pair for pair in effects.both.matched.pairs if pair.plain.weights is not None]
    missing = [n for n in effects.both.matched.missing if n.weights is not None]
    cosines = [c for pair in pairs if (c := kernel_cosine(effects, pair)) is not None]
    others = sum(cosine < _SAME for cosine in cosines) + len(missing)
    count = len(cosines) + len(missing)
    if count < 2 or others < 2 or others < _MOST * count:
        return None
    return Cause(
        "another_model",
        FAULT,
        "",
        "",
        f"The file is another model's: {others} of {count} layers with weights have others than the float file, or are "
        "not there.",
        "Convert the model that the golden file was made of, or give the float file that belongs to this one.",
        1.0,
        {"layers": float(others), "of": float(count)},
    )


def causes_of_weights(effects: Effects) -> Iterator[Cause]:
    """Each layer whose weights or bias are to blame."""
    for pair in effects.both.matched.pairs:
        if pair.plain.weights is None:
            continue
        changed = effects.both.constants(pair)
        overflow = _overflow(effects, pair)
        if overflow is not None:
            yield overflow
            continue
        if not changed:
            continue
        effect = effects.of_constants(pair.plain.at, changed)
        ideal = effects.of_constants(pair.plain.at, rounded_weights(effects, pair))
        if effects.blames(effect, ideal) and effects.is_repaired(pair.plain.at):
            yield _cause(effects, pair, changed, effect)


def rounded_weights(effects: Effects, pair: Pair, per_tensor: bool = False) -> dict[int, Array]:
    """The float file's kernel as nearest rounding, a scale an output, leaves it."""
    kernel = pair.plain.weights
    assert kernel is not None
    stored = pair.file.weights
    largest = _BITS.get(stored.dtype if stored else "", 127)
    axis = channel_axis(pair.plain, effects.both.plain.network.format)
    w = kernel.values.astype(np.float64)
    axes = tuple(i for i in range(w.ndim) if i != axis) if not per_tensor else None
    scale = np.abs(w).max(axis=axes, keepdims=True) / largest
    scale = np.where(scale == 0, 1.0, scale)
    return {1: (np.rint(w / scale) * scale).astype(np.float32)}


def _cause(effects: Effects, pair: Pair, changed: Mapping[int, Array], effect: float) -> Cause:
    layer = layer_name(pair.file.name, effects.both.layers)
    at = pair.plain.at
    alone = {slot: effects.of_constants(at, {slot: x}) for slot, x in changed.items()}
    numbers = {"effect_share": effects.share(effect)}
    if alone.get(2, 0.0) > 2 * alone.get(1, 0.0):
        bias = pair.plain.bias
        assert bias is not None
        off = np.abs(changed[2].astype(np.float64) - bias.values)
        numbers["max_abs"] = float(off.max())
        kind = "bias_changed"
        text = (
            f"The bias of the layer is another: {int((off > off.max() / 10).sum())} of {off.size} values differ, by up to "
            f"{off.max():.4g}."
        )
        cure = "Convert the layer anew, or take the bias from the float file: edgekit heal."
        return Cause(kind, FAULT, layer, pair.file.name, text, cure, effects.share(effect), numbers)
    kernel = pair.plain.weights
    assert kernel is not None
    axis = channel_axis(pair.plain, effects.both.plain.network.format)
    ours, theirs = (
        np.moveaxis(x.astype(np.float64), axis, 0).reshape(x.shape[axis], -1)
        for x in (changed.get(1, kernel.values), kernel.values)
    )
    sizes = np.abs(theirs).max(1)
    dead = (np.abs(ours).max(1) == 0) & (sizes > 0)
    stored = pair.file.weights
    single = stored is not None and len(set(stored.scales)) == 1 and len(sizes) > 1
    numbers |= {"dead": float(dead.sum()), "channels": float(len(sizes))}
    if single and effects.of_constants(at, rounded_weights(effects, pair, True)) > effect / 4:
        numbers |= {"largest": float(sizes.max()), "median": float(np.median(sizes))}
        text = (
            f"One scale serves all {len(sizes)} output channels of the kernel, whose largest weights go from "
            f"{sizes.min():.3g} to {sizes.max():.3g}: small channels are left with few steps"
            + (f", and {int(dead.sum())} with none." if dead.any() else ".")
        )
        return Cause(
            "weights_per_tensor",
            FAULT,
            layer,
            pair.file.name,
            text,
            "Quantise the kernel with a scale a channel (per channel), as converters do by default.",
            effects.share(effect),
            numbers,
        )
    rest = {1: np.array(changed.get(1, kernel.values))}
    moved = np.moveaxis(rest[1], axis, 0)
    moved[dead] = np.moveaxis(kernel.values, axis, 0)[dead]
    if dead.any() and effects.of_constants(at, rest) < effect / 2:
        names = ", ".join(map(str, np.flatnonzero(dead)[:5]))
        return Cause(
            "dead_channels",
            FAULT,
            layer,
            pair.file.name,
            f"Dead channels: the kernel of {int(dead.sum())} of {len(dead)} output channels ({names}) is all zeros in the "
            "file and not in the float file.",
            "Convert the layer anew from the float model: edgekit heal.",
            effects.share(effect),
            numbers,
        )
    cosine = kernel_cosine(effects, pair)
    numbers["cosine"] = 1.0 if cosine is None else cosine
    off = np.abs(ours - theirs).max(1)
    touched = int((off > 2 * np.maximum(sizes, 1e-12) / 127).sum())
    return Cause(
        "weights_changed",
        FAULT,
        layer,
        pair.file.name,
        f"The weights of the layer are others than the float file's, beyond rounding: {touched} of {len(sizes)} output "
        f"channels differ by more than two steps, the largest difference is {off.max():.4g}.",
        "Convert the layer anew from the float model, or round its weights again: edgekit heal.",
        effects.share(effect),
        numbers,
    )


def _overflow(effects: Effects, pair: Pair) -> Cause | None:
    """A bias that int32 does not hold in its steps: cut, or turned over."""
    bias, plain = pair.file.bias, pair.plain.bias
    if bias is None or plain is None or bias.dtype != "int32" or not bias.scales.size:
        return None
    wanted = plain.values.astype(np.float64).ravel()
    stored = bias.values.astype(np.float64).ravel()
    if wanted.shape != stored.shape:
        return None
    beyond = (np.abs(wanted) > bias.scales * _INT32 * 0.999) & (
        np.abs(wanted - stored) > np.abs(wanted) * 1e-3
    )
    if not beyond.any():
        return None
    effect = effects.of_constants(pair.plain.at, {2: bias.values.reshape(plain.values.shape)})
    if not effects.blames(effect, 0.0):
        return None
    at = int(np.argmax(np.where(beyond, np.abs(wanted), 0)))
    held = float(stored[at])
    return Cause(
        "bias_overflow",
        FAULT,
        layer_name(pair.file.name, effects.both.layers),
        pair.file.name,
        f"Bias overflow: {int(beyond.sum())} of {beyond.size} biases do not fit into int32 in steps of {bias.scales.min():.3g}. "
        f"Channel {at} needs {wanted[at]:.4g} and holds {held:.4g}.",
        "Raise the scale of the weights of such channels until the bias fits (edgekit's export and heal do that).",
        effects.share(effect),
        {"channels": float(beyond.sum()), "needed": float(wanted[at]), "held": held},
    )
