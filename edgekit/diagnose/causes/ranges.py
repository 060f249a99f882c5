"""Ranges: tensors whose integers end too early or too late, or serve channels of very different sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgekit.diagnose.effects import (
    Effects,
    channel_ranges,
    channels_noise,
    fitting_grid,
    rounded_by_channel,
)
from edgekit.diagnose.layers import clipped, rounding_noise, used
from edgekit.diagnose.names import layer_name
from edgekit.diagnose.network import Array, Grid, Node
from edgekit.document.diagnosis import FAULT, Cause

# By how much the noise of a grid has to exceed that of a fitting one to be asked what it does.
_SUSPECT = 4.0
# How far values reach beyond a range, as a share of it, and how many of them do, that was estimated from the wrong
# samples and not from few.
_BEYOND, _CLIPPED = 0.6, 0.12
# A channel is far from the others if it is so many times the median.
_FAR = 8.0
# Samples that are so many times as large as the input's range were scaled once too often, or not at all.
_SLIPS, _NEAR = (255.0, 127.5, 1 / 127.5, 1 / 255), 1.15
# What one grid for all channels has to cost, of the outputs' variance and of what was lost, and how little a
# grid a channel would.
_COSTLY, _MOST, _CURED = 3e-3, 0.3, 0.125
# A softmax gives steps of 1/256 by its specification: only what hides answers is a fault.
_HIDDEN = 0.03
_PROBABILITIES = ("SOFTMAX", "LOGISTIC")
_SHARES = " It shares its scale with the parts of a concatenation."
_CONCAT = "CONCATENATION"
_CALIBRATE = "Calibrate anew on samples like those that the file will get, or estimate the range again: edgekit heal."


def causes_of_ranges(effects: Effects) -> Iterator[Cause]:
    """Each value whose grid is to blame; of parts that share one with their concatenation, that alone."""
    found = list(_all_causes(effects))
    joined = any(
        c.kind in ("different_scales", "outlier_channel") and _SHARES not in c.sentence
        for c in found
    )
    for cause in found:
        if not (joined and _SHARES in cause.sentence):
            yield cause


def _all_causes(effects: Effects) -> Iterator[Cause]:
    both = effects.both
    makers = {value: node for node in both.file.network.nodes for value in node.gives}
    for value, grids in both.file.network.grids.items():
        reference = both.reference(value)
        if reference is None or value not in both.matched.values:
            continue
        maker = makers.get(value)
        cause = _range(effects, value, grids, reference, maker)
        cause = cause or _channels(effects, value, grids, reference, maker)
        if cause is not None:
            yield cause


def _range(
    effects: Effects,
    value: str,
    grids: Sequence[Grid],
    reference: Sequence[Array],
    maker: Node | None,
) -> Cause | None:
    for grid in grids:
        fitting = fitting_grid(reference, grid)
        own, ideal = rounding_noise(reference, grid), rounding_noise(reference, fitting)
        if own is None or ideal is None or own < _SUSPECT * ideal:
            continue
        effect, least = effects.of_grids(value, [grid]), effects.of_grids(value, [fitting])
        if not effects.blames(effect, least) or _few_samples(reference, grid, fitting):
            continue
        op = maker.op if maker else ""
        if op in _PROBABILITIES and effect < _HIDDEN:
            continue
        return _cause(effects, value, grid, fitting, reference, maker, effect)
    return None


def _cause(
    effects: Effects,
    value: str,
    grid: Grid,
    fitting: Grid,
    reference: Sequence[Array],
    maker: Node | None,
    effect: float,
) -> Cause:
    outside, share = clipped(reference, grid), used(reference, grid)
    low, high = grid.ends
    lowest, highest = fitting.ends
    narrow = _cuts(reference, grid)
    op = maker.op if maker else ""
    where = "input" if maker is None else f"what {op} gives"
    numbers = {
        "low": low,
        "high": high,
        "seen_low": lowest,
        "seen_high": highest,
        "clipped": outside,
        "used": share,
    }
    if narrow:
        kind = {"ADD": "saturating_add", "SUB": "saturating_add", _CONCAT: "saturating_concat"}.get(
            op, "range_too_narrow"
        )
        text = (
            f"The range of {where} is too narrow: its integers end at {low:.4g} and {high:.4g}, the values go from "
            f"{lowest:.4g} to {highest:.4g}, and {100 * outside:.1f} % of them are clipped."
        )
        cure = _CALIBRATE
    else:
        shared = _shared(effects, value, grid)
        kind = "softmax_resolution" if op in _PROBABILITIES and not shared else "range_too_wide"
        text = (
            f"The range of {where} is too wide: its integers reach from {low:.4g} to {high:.4g}, the values go from "
            f"{lowest:.4g} to {highest:.4g} and use {100 * share:.2g} % of them."
        )
        cure = _CALIBRATE
        if kind == "softmax_resolution":
            cure = "Leave the softmax or sigmoid and what it gives in float, or compare what goes into it."
        elif shared:
            kind = "different_scales"
            text += _SHARES
            cure = "Give the parts of the concatenation outputs of their own, scale them alike, or leave it in float."
    if maker is None:
        times = max(highest, -lowest) / max(high, -low, 1e-30)
        text += f" The samples are {times:.3g} times as large as the range."
        cure = "Calibrate on samples that are prepared as those that the file gets. " + _CALIBRATE
        if any(1 / _NEAR < times / usual < _NEAR for usual in _SLIPS):
            kind = "input_scaled"
    return Cause(
        kind,
        FAULT,
        _layer(effects, maker),
        maker.name if maker else value,
        text,
        cure,
        effects.share(effect),
        numbers,
    )


def _few_samples(reference: Sequence[Array], grid: Grid, fitting: Grid) -> bool:
    """Whether a range is only as much too narrow as a calibration with few samples leaves it."""
    low, high = grid.ends
    lowest, highest = fitting.ends
    beyond = (max(highest - high, 0.0) + max(low - lowest, 0.0)) / (high - low)
    return 0 < beyond < _BEYOND and clipped(reference, grid) < _CLIPPED and _cuts(reference, grid)


def _cuts(reference: Sequence[Array], grid: Grid) -> bool:
    """Whether cutting, and not rounding, makes the error."""
    low, high = grid.ends
    whole = np.concatenate([np.asarray(x, np.float64).ravel() for x in reference])
    cut = np.mean((whole - np.clip(whole, low, high)) ** 2)
    return bool(cut > grid.scale**2 / 12)


def _channels(
    effects: Effects,
    value: str,
    grids: Sequence[Grid],
    reference: Sequence[Array],
    maker: Node | None,
) -> Cause | None:
    """One grid for channels of very different sizes."""
    format = effects.both.file.network.format
    if reference[0].ndim < 2 or (maker is not None and maker.op in _PROBABILITIES):
        return None
    sizes = channel_ranges(reference, format)
    moving = sizes[sizes > 0]
    middle = float(np.median(moving)) if moving.size else 0.0
    if moving.size < 2 or (moving.max() < _FAR * middle and middle < _FAR * moving.min()):
        return None
    # One that fits: what it clips is another cause.
    grid = fitting_grid(reference, grids[0])
    finer = rounded_by_channel(reference, grid, format)
    if channels_noise(reference, [grid.rounded(x) for x in reference], format) < 8 * channels_noise(
        reference, finer, format
    ):
        return None
    effect = effects.of_grids(value, [grid])
    if effect < _COSTLY or effect < _MOST * effects.total:
        return None
    theirs = effects.both.matched.values[value]
    gain = effects.both.gains.get(value)
    if gain is not None or effects.of_values(theirs, finer) > _CURED * effect:
        return None
    far = np.flatnonzero(sizes >= _FAR * middle)
    few = 0 < len(far) <= max(2, len(sizes) // 10)
    op = maker.op if maker else ""
    where = "the input" if maker is None else f"what {op} gives"
    small = int(np.count_nonzero(sizes < grid.scale / 2))
    numbers = {
        "largest": float(sizes.max()),
        "median": middle,
        "smallest": float(sizes.min()),
        "step": grid.scale,
        "channel": float(sizes.argmax()),
        "channels_below_a_step": float(small),
    }
    if few:
        names = ", ".join(str(int(i)) for i in far[:3])
        text = (
            f"Outlier channel in {where}: channel {names} reaches {sizes.max():.4g}, the median channel "
            f"{middle:.4g}, so that one step of all is {grid.scale:.3g}."
        )
        cure = "Equalise the channels of neighbouring layers (edgekit heal tries it), or leave this operator in float."
    else:
        text = (
            f"Channels of very different size share one scale in {where}: they reach from {sizes.min():.3g} to "
            f"{sizes.max():.4g}, one step is {grid.scale:.3g}, and {small} of {len(sizes)} never reach half of it."
        )
        cure = "Give the parts outputs of their own, scale them alike in the model, or leave this tensor in float."
    return Cause(
        "outlier_channel" if few else "different_scales",
        FAULT,
        _layer(effects, maker),
        maker.name if maker else value,
        text,
        cure,
        effects.share(effect),
        numbers,
    )


def _shared(effects: Effects, value: str, grid: Grid) -> bool:
    """Whether a concatenation reads the value, or gives it, on the same scale."""
    network = effects.both.file.network
    for node in network.nodes:
        if node.op != _CONCAT or value not in (*node.takes, *node.gives):
            continue
        grids = [network.grids.get(other, ()) for other in (*node.takes, *node.gives)]
        if all(any(g.scale == grid.scale for g in each) for each in grids):
            return True
    return False


def _layer(effects: Effects, maker: Node | None) -> str:
    return "" if maker is None else layer_name(maker.name, effects.both.layers)
