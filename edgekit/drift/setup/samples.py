"""Samples: repeated ones, and labels that stand for none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.setup.finding import (
    FAIL,
    FEW,
    MISSING_LABELS,
    ONE_CLASS,
    REPEATED,
    STATISTICS,
    WARNING,
    Finding,
)
from edgekit.drift.setup.goodness import goodness_of
from edgekit.drift.setup.reference import picked
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics import distances
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.segmentation import places
from edgekit.metrics.tally import tally
from edgekit.samples import Samples
from edgekit.samples.profile import drawn_of, hashes_of
from edgekit.tasks import CLASSIFICATION, CTC, EMBEDDING, REGRESSION, SEGMENTATION, SEQUENCE

# Samples that are looked at; the share of repeated ones that is odd, and so many at least.
_LOOKED, _REPEATED, _LEAST = 2048, 0.05, 5
# Values of a sample with which no two are equal by nature, and the share of distinct ones that proves little.
_RICH, _FEW = 64, 0.5
# Samples in another scale are at least so many times larger, and their own sizes differ by so much less (as logarithms).
_SCALED, _NARROW = 20.0, 1.5
# What prepared values reach at most, and raw bytes or sound of 16 bits at least.
_PREPARED, _RAW = 10.0, 100.0
# Of places that masks leave out, those that the reference gives to one and the same class that no mask has.
_ONE_CLASS = 0.8
# A number that so many labels of a quantity share, whose error is so many times that of the others.
_SHARED, _WORSE = 0.02, 3.0


def check_samples(asked: Answers) -> Iterator[Finding]:
    """What is wrong with the judged samples by themselves."""
    yield from _repeated(asked)
    yield from _of_two_kinds(asked)
    if asked.task == CLASSIFICATION:
        yield from _cut_off(asked)
    elif asked.task == SEGMENTATION:
        yield from _left_out(asked)
    elif asked.task == REGRESSION:
        yield from _filled_up(asked)
    elif asked.task in (SEQUENCE, CTC):
        yield from _empty(asked)
    elif asked.task == EMBEDDING and asked.labels is not None:
        yield from _one_class(asked.labels)


def _repeated(asked: Answers) -> Iterator[Finding]:
    some = asked.samples.subset(_LOOKED)
    count = len(some)
    distinct = len(set(hashes_of(some)))
    if count - distinct < max(_LEAST, _REPEATED * count):
        return
    size = sum(int(np.prod(x.shape[1:])) for x in some.inputs.values())
    worthless = size >= _RICH and distinct <= _FEW * count
    blank = size >= _RICH and sum(_is_blank(row) for row in _rows(some))
    why = (
        f" {blank} of them hold one value throughout, as if they could not be read."
        if blank
        else ""
    )
    yield Finding(
        REPEATED,
        FAIL if worthless else WARNING,
        f"Only {distinct} of {count} samples are distinct, the others are there more than once: intervals are narrower than "
        f"they should be.{why} Judge each sample once.",
    )


def _rows(samples: Samples) -> Iterator[list[NDArray[Any]]]:
    """The inputs of each sample that are numbers."""
    for batch in samples.batches(256):
        inputs = [np.asarray(x) for x in batch.inputs.values()]
        yield from ([x[at] for x in inputs if x.dtype.kind in "biuf"] for at in range(len(batch)))


def _is_blank(row: list[NDArray[Any]]) -> bool:
    return bool(row) and all((x == x.flat[0]).all() for x in row)


def _of_two_kinds(asked: Answers) -> Iterator[Finding]:
    """Samples that were joined of others in another scale: nothing lies between the sizes of both."""
    for name, x in drawn_of(asked.samples).inputs.items():
        values = np.asarray(x)
        if values.dtype.kind not in "iuf" or values[0].size < _LEAST:
            continue
        most = np.sort(np.abs(values.reshape(len(values), -1).astype(np.float64)).max(1))
        most = most[most > 0]
        at = max(_LEAST, math.ceil(_REPEATED * len(most)))
        if len(most) < 2 * at + 1:
            continue
        steps = np.diff(np.log(most))
        place = at - 1 + int(steps[at - 1 : len(most) - at].argmax())
        # Each kind is far narrower than what lies between both.
        apart, widths = steps[place], (steps[:place].sum(), steps[place + 1 :].sum())
        if apart < math.log(_SCALED) or apart < _NARROW * max(widths):
            continue
        if most[place] > _PREPARED or most[-1] < _RAW:
            # Quiet sounds and dark pictures are in one scale with the others.
            continue
        which = f"Input {name!r}: " if len(asked.samples.inputs) > 1 else ""
        yield Finding(
            STATISTICS,
            WARNING,
            f"{which}The samples are of two kinds: {len(most) - place - 1} of {len(most)} reach from {most[place + 1]:.4g} to "
            f"{most[-1]:.4g}, the others {most[place]:.4g} at most, and none lies between. Prepare all samples in the same "
            "way, such as pixels divided by 255 or not.",
        )


def _cut_off(asked: Answers) -> Iterator[Finding]:
    """The first ones of samples that are sorted by class."""
    labels, name = asked.labels, asked.task_output
    if labels is None or name is None or labels.ndim != 1:
        return
    classes = distances.class_count(asked.outputs[name]) or 0
    last = int(labels[-1])
    whole = len(np.unique(labels)) == last + 1
    if (
        len(labels) <= classes
        or not 0 < last < classes - 1
        or not whole
        or (np.diff(labels) < 0).any()
    ):
        return
    yield Finding(
        FEW,
        WARNING,
        f"The {len(labels)} samples are sorted by class and end with class {last} of {classes}: nothing can be said of the "
        "classes after it. If only the first samples were read, draw them from all.",
    )


def _left_out(asked: Answers) -> Iterator[Finding]:
    labels, name = asked.labels, asked.task_output
    if labels is None or name is None:
        return
    output = asked.outputs[name]
    at = picked(len(labels))
    answers = places(np.asarray(output[at]), binary_threshold(output))
    masks = labels[at].reshape(answers.shape)
    out = masks == IGNORED
    if not out.any():
        return
    if out.all():
        text = (
            f"All places of all masks are {IGNORED}, which stands for no class: nothing is judged."
        )
        yield Finding(MISSING_LABELS, FAIL, f"{text} Number the classes from 0.")
        return
    seen = answers[out].astype(np.intp)
    found = tally(seen, int(seen.max()) + 1)
    most = int(found.argmax())
    share = float(found[most] / found.sum())
    if share < _ONE_CLASS or (labels == most).any():
        return
    yield Finding(
        MISSING_LABELS,
        FAIL,
        f"No mask has a place of class {most}, and the original answers it in {100 * share:.1f} % of the places that are "
        f"{IGNORED}, which are left out. If {IGNORED} stands for class {most}, write {most} in its place.",
    )


def _filled_up(asked: Answers) -> Iterator[Finding]:
    labels, name = asked.labels, asked.task_output
    if labels is None or name is None:
        return
    at = picked(len(labels))
    output = np.asarray(asked.outputs[name][at])
    rows = labels[at].reshape(len(at), -1)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < max(_LEAST, _SHARED * len(rows)) or len(values) < len(rows) / 2:
        return
    value = float(values[most, 0])
    if not (values[most] == value).all():
        return
    goodness = goodness_of(REGRESSION, output, labels[at])
    if goodness is None:
        return
    error, same = -goodness.of(output, labels[at]), (rows == value).all(1)
    if float(error[same].mean()) < _WORSE * float(error[~same].mean()):
        return
    yield Finding(
        MISSING_LABELS,
        WARNING,
        f"{int(counts[most])} of {len(rows)} labels are {value:g}, and the original is off by {error[same].mean():.3g} there, "
        f"elsewhere by {error[~same].mean():.3g}: as if {value:g} stood for an unknown label. Leave such samples out.",
    )


def _empty(asked: Answers) -> Iterator[Finding]:
    """Rows of tokens that end before they begin."""
    if asked.labels is None:
        return
    empty, count = int((asked.labels < 0).all(1).sum()), len(asked.labels)
    if empty < max(_LEAST, _REPEATED * count):
        return
    yield Finding(
        MISSING_LABELS,
        WARNING,
        f"{empty} of {count} samples have no token at all, -1 from the first on. If their labels are unknown, leave them out.",
    )


def _one_class(labels: NDArray[Any]) -> Iterator[Finding]:
    if len(labels) > 1 and (labels == labels[0]).all():
        yield Finding(
            ONE_CLASS,
            WARNING,
            f"All {len(labels)} labels are class {int(labels[0])}: every neighbour has the same class, and nothing can be said "
            "of them. Give samples of all classes.",
        )
