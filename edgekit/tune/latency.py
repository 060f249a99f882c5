"""How long an int8 file takes, in numbers that can be compared between trials."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from edgekit.files import atomic
from edgekit.locks import locked
from edgekit.runtime import load
from edgekit.runtime.latency import Latency
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.turns import interleave

_SECONDS = 0.5


def latency_ms(path: Path, folder: Path) -> float:
    """The time of one inference of the int8 file at `path`, in the milliseconds of a study's first file.

    Other trials are running while this is measured, and machines change their clock. So the file takes
    turns with the study's reference, its first file: the ratio of both medians, times what the
    reference took when it was first measured, to two digits. One trial of a study measures at a time.

    Args:
        path: the file.
        folder: the study's, which holds the reference or gets this file as one.
    """
    reference, known = folder / "reference.int8.tflite", folder / "reference.p50_ms"
    with locked(folder / "latency.lock"), load(path) as runner:
        own = partial(runner.infer, random_inputs(runner))
        if not known.exists():
            p50 = Latency.of(interleave([own], int(_SECONDS * 1e9))[0]).p50_ms
            shutil.copyfile(path, reference)
            with atomic(known) as temporary:
                temporary.write_text(repr(p50), "utf-8")
            return _told(p50)
        with load(reference) as first:
            other = partial(first.infer, random_inputs(first))
            samples = interleave([own, other], int(_SECONDS * 1e9))
        p50, p50_reference = (Latency.of(each).p50_ms for each in samples)
        return _told(float(known.read_text("utf-8")) * p50 / p50_reference)


def _told(ms: float) -> float:
    # More digits are noise, and noise puts trials on a Pareto front.
    return float(f"{ms:.2g}")
