"""Oddities: calibration samples that cannot be like those to come, told without labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.samples import Samples

# Fewer are said to be few elsewhere.
_ENOUGH = 8


def oddities(samples: Samples) -> tuple[str, ...]:
    """What cannot be right, in words: inputs that are constant, or one sample many times.

    Args:
        samples: as the model takes them; each is read once.
    """
    if len(samples) < _ENOUGH:
        return ()
    return tuple(line for name, x in samples.inputs.items() if (line := _odd(name, x)))


def _odd(name: str, x: Any) -> str | None:
    first = np.asarray(x[:1])
    if first.dtype.kind not in "fiub" or not first.size:
        return None
    same = True
    lowest, highest = first.min(), first.max()
    for start in range(0, len(x), 64):
        block = np.asarray(x[start : start + 64])
        same = same and bool((block == first).all())
        lowest, highest = min(lowest, block.min()), max(highest, block.max())
    what = None
    if lowest == highest:
        what = "all zeros" if lowest == 0 else f"all {lowest:g}, one value"
    elif same:
        what = f"one sample {len(x)} times"
    return what and (
        f"the calibration samples of input {name!r} are {what}: no range found from them holds for "
        "others. Give samples like those that the model will get."
    )
