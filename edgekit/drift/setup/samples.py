"""Samples: repeated ones, and labels that stand for none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.drift.setup.finding import FAIL, MISSING_LABELS, ONE_CLASS, REPEATED, WARNING, Finding
from edgekit.drift.setup.goodness import goodness_of
from edgekit.drift.setup.reference import picked
from edgekit.drift.tasks.kinds import IGNORED
from edgekit.metrics.distances import binary_threshold
from edgekit.metrics.segmentation import places
from edgekit.metrics.tally import tally
from edgekit.samples.profile import hashes_of
from edgekit.tasks import CTC, EMBEDDING, REGRESSION, SEGMENTATION, SEQUENCE

# Samples that are looked at; the share of repeated ones that is odd, and so many at least.
_LOOKED, _REPEATED, _LEAST = 2048, 0.05, 5
# Values of a sample with which no two are equal by nature, and the share of distinct ones that proves little.
_RICH, _FEW = 64, 0.5
# Of places that masks leave out, those that the reference gives to one and the same class that no mask has.
_ONE_CLASS = 0.8
# A number that so many labels of a quantity share, whose error is so many times that of the others.
_SHARED, _WORSE = 0.02, 3.0


def check_samples(golden: Golden) -> Iterator[Finding]:
    """What is wrong with the judged samples by themselves."""
    yield from _repeated(golden)
    if golden.task == SEGMENTATION:
        yield from _left_out(golden)
    elif golden.task == REGRESSION:
        yield from _filled_up(golden)
    elif golden.task in (SEQUENCE, CTC):
        yield from _empty(golden)
    elif golden.task == EMBEDDING and golden.labels is not None:
        yield from _one_class(golden.labels)


def _repeated(golden: Golden) -> Iterator[Finding]:
    some = golden.samples.subset(_LOOKED)
    count = len(some)
    distinct = len(set(hashes_of(some)))
    if count - distinct < max(_LEAST, _REPEATED * count):
        return
    size = sum(int(np.prod(x.shape[1:])) for x in some.inputs.values())
    worthless = size >= _RICH and distinct <= _FEW * count
    yield Finding(
        REPEATED,
        FAIL if worthless else WARNING,
        f"Only {distinct} of {count} samples are distinct, the others are there more than once: intervals are narrower than "
        "they should be. Judge each sample once.",
    )


def _left_out(golden: Golden) -> Iterator[Finding]:
    labels, name = golden.labels, golden.task_output
    if labels is None or name is None:
        return
    output = golden.outputs[name]
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


def _filled_up(golden: Golden) -> Iterator[Finding]:
    labels, name = golden.labels, golden.task_output
    if labels is None or name is None:
        return
    at = picked(len(labels))
    output = np.asarray(golden.outputs[name][at])
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


def _empty(golden: Golden) -> Iterator[Finding]:
    """Rows of tokens that end before they begin."""
    if golden.labels is None:
        return
    empty, count = int((golden.labels < 0).all(1).sum()), len(golden.labels)
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
