"""File: whether a file belongs to the reference, and was made with samples like the judged ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.figure import HIGHER, Figure
from edgekit.drift.golden import Golden
from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.chances import at_least
from edgekit.drift.setup.finding import (
    AGREEMENT,
    CALIBRATION,
    FAIL,
    GAIN,
    PREPARATION,
    STATISTICS,
    WARNING,
    Finding,
)
from edgekit.drift.setup.goodness import goodness_of
from edgekit.drift.setup.judged import check_looks
from edgekit.drift.setup.origin import centred_db, check_opposites, check_origin
from edgekit.formats import seen as kinds
from edgekit.metrics import distances
from edgekit.metrics.blocks import together
from edgekit.metrics.intervals import share_ci95
from edgekit.tensor import float32_limits

# Below this signal to noise ratio a file is asked where its noise comes from.
_NOISY_DB = 15.0
# How likely luck may make a file gain, and what counts as a gain, in points.
_LUCK, _GAIN = 0.001, 0.01
# Changed answers that are many, and the part of them that an accuracy's drop may be to be called small.
_MANY, _SMALL = 0.10, 0.2
# A quantised input that clips this share of the judged values, or of whose range they use no more.
_CLIPPED, _USED = 0.01, 1 / 8


def check_file(golden: Golden, asked: Asked) -> tuple[Finding, ...]:
    """What speaks against comparing this file with this golden; empty if nothing does."""
    reference = {name: np.asarray(golden.outputs[name][asked.at]) for name in asked.answers}
    calibrated = tuple(_calibration(golden, asked, reference))
    broken = any(finding.severity == FAIL for finding in calibrated)
    return (
        *check_origin(golden, asked, reference, broken=broken),
        *check_opposites(asked, reference),
        *calibrated,
        *_preparation(golden, asked),
        *_changes(golden, asked),
    )


def _calibration(
    golden: Golden, asked: Asked, reference: Mapping[str, NDArray[Any]]
) -> Iterator[Finding]:
    seen = [each for each in asked.metadata.seen if each.purpose == kinds.CALIBRATION]
    looks = check_looks(golden, seen, asked.file)
    if not looks:
        looks = list(_clipped(golden, asked))
    noise = min((centred_db(ref, asked.answers[n]) for n, ref in reference.items()), default=0.0)
    for look in looks:
        if noise >= _NOISY_DB:
            yield look
            continue
        yield Finding(
            CALIBRATION,
            FAIL,
            f"The file follows the original badly ({noise:.1f} dB signal to noise), and was calibrated on samples of "
            f"another kind. {look.sentence} Calibrate on samples like those that the file will get, and export again.",
            (Figure("centred_sqnr_db", "dB", HIGHER, noise if math.isfinite(noise) else None),),
            asked.file,
        )


def _clipped(golden: Golden, asked: Asked) -> Iterator[Finding]:
    """What the quantised input of a file says of its calibration, where nothing else does."""
    quantised = [spec for spec in asked.inputs if spec.quantization is not None]
    if len(asked.inputs) != 1 or not quantised or len(golden.samples.inputs) != 1:
        return
    (spec,), params = quantised, quantised[0].quantization
    assert params is not None
    if len(params.scale) != 1:
        return
    low, high = (
        (float(end) - params.zero_point[0]) * params.scale[0] for end in float32_limits(spec.dtype)
    )
    (x,) = golden.samples[asked.at].inputs.values()
    if x.dtype.kind not in "biuf":
        return
    step, beyond, least, most = params.scale[0], list[float](), list[float](), list[float]()
    for (block,) in together(x):
        beyond += [float(np.count_nonzero((block < low - step) | (block > high + step)))]
        least.append(float(block.min()))
        most.append(float(block.max()))
    outside = sum(beyond) / math.prod(x.shape)
    used = (max(most) - min(least)) / (high - low)
    if outside <= _CLIPPED and used >= _USED:
        return
    words = (
        f"{100 * outside:.1f} % of their values are beyond it"
        if outside > _CLIPPED
        else f"they use {100 * used:.1f} % of it"
    )
    yield Finding(
        STATISTICS,
        WARNING,
        f"The judged samples do not fit the range of the file's input, {low:.4g} to {high:.4g}: {words}. Prepare the "
        "samples as those of the calibration.",
        (),
        asked.file,
    )


def _preparation(golden: Golden, asked: Asked) -> Iterator[Finding]:
    if golden.setup is None or not asked.metadata.preprocessing:
        return
    own = {name: steps.to_json() for name, steps in asked.metadata.preprocessing.items()}
    theirs = golden.setup.preprocessing
    if own == theirs or (len(own) == len(theirs) == 1 and [*own.values()] == [*theirs.values()]):
        return
    done = "another way" if theirs else "no way: they were taken as they are"
    yield Finding(
        PREPARATION,
        WARNING,
        "The file says how raw data is prepared for it, and the golden file's samples were prepared in "
        f"{done}. On a device the file then gets other inputs than were judged. Export the file with the model's "
        "own preparation, or make the golden file of a model that has the file's.",
        (),
        asked.file,
    )


def _changes(golden: Golden, asked: Asked) -> Iterator[Finding]:
    name, labels = golden.task_output, golden.labels
    if name is None or labels is None or name not in asked.answers:
        return
    output, count = golden.outputs[name], len(asked.at)
    goodness = goodness_of(golden.task, output, labels)
    if goodness is None or goodness.classes is None or labels.ndim != 1:
        return
    threshold = distances.binary_threshold(output)
    ref = distances.predicted_classes(np.asarray(output[asked.at]), threshold)
    own = distances.predicted_classes(asked.answers[name], threshold)
    before, after = ref == labels[asked.at], own == labels[asked.at]
    wins, losses = (int(np.count_nonzero(x)) for x in (after & ~before, before & ~after))
    gain, changed = (wins - losses) / count, int(np.count_nonzero(ref != own))
    if gain >= _GAIN and at_least(wins, wins + losses) < _LUCK:
        yield Finding(
            GAIN,
            WARNING,
            f"The file is right on {100 * gain:.1f} points more of {count} samples than the original, which is more than "
            "luck explains, and a conversion does not make a model better. Check that the samples are prepared "
            "as the original takes them.",
            (Figure("accuracy_drop", "difference", "lower", -gain, count=count, output=name),),
            asked.file,
        )
    low, _ = share_ci95(changed, count)
    if changed / count >= _MANY and low > _MANY / 2 and abs(gain) <= _SMALL * changed / count:
        yield Finding(
            AGREEMENT,
            WARNING,
            f"The file answers {100 * changed / count:.1f} % of {count} samples with another class, although the accuracy "
            f"{'rises' if gain > 0 else 'falls'} by {100 * abs(gain):.1f} points only: gains and losses cancel out, and "
            "may not elsewhere. Limit the agreement as well (--min-agreement).",
            (Figure("agreement", "share", HIGHER, 1 - changed / count, count=count, output=name),),
            asked.file,
        )
