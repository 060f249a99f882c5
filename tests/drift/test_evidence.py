"""Flips, changes and histograms against a plain count."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.drift.evidence import Evidence, Histogram, evidence
from edgekit.drift.golden import Golden
from edgekit.drift.reference import Reference
from edgekit.runtime.runner import Backend
from edgekit.samples import Samples

REFERENCE = Reference("m.keras", "0" * 64, "keras", 1, Backend("keras", "3"))


def golden(scores: np.ndarray, labels: np.ndarray | None) -> Golden:
    samples = Samples({"x": np.zeros((len(scores), 2), np.float32)}, labels)
    task = "unlabelled" if labels is None else "classification"
    return Golden(samples, {"scores": scores}, task, "scores", REFERENCE)


SCORES = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        *(hnp.arrays(np.float32, (n, 4), elements=st.floats(0, 1, width=32)) for _ in range(2)),
        hnp.arrays(np.int64, (n,), elements=st.integers(0, 3)),
        st.booleans(),
    )
)


@given(SCORES)
def test_each_number_is_a_plain_count(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray, bool],
) -> None:
    before, after, labels, labelled = drawn
    found = evidence(golden(before, labels if labelled else None), {"scores": after})
    pairs = [(int(np.argmax(a)), int(np.argmax(b))) for a, b in zip(before, after, strict=True)]
    moved = [at for at, (a, b) in enumerate(pairs) if a != b]

    assert {(c.reference, c.candidate): c.count for c in found.changes} == Counter(
        pairs[at] for at in moved
    )
    counts = [change.count for change in found.changes]
    assert counts == sorted(counts, reverse=True)
    if labelled:
        assert sum(c.lost or 0 for c in found.changes) == sum(
            labels[at] == pairs[at][0] for at in moved
        )
        assert sum(c.gained or 0 for c in found.changes) == sum(
            labels[at] == pairs[at][1] for at in moved
        )

    assert len(found.flips) == min(24, len(moved))
    for flip in found.flips:
        assert (flip.reference, flip.candidate) == pairs[flip.sample]
        assert flip.label == (labels[flip.sample] if labelled else None)
        first, second = sorted(before[flip.sample].astype(float))[::-1][:2]
        assert flip.reference_margin == first - second
    surest = [flip.reference_margin for flip in found.flips]
    assert surest == sorted(surest, reverse=True)

    assert found.confidence is not None
    assert sum(found.confidence.reference) == sum(found.confidence.candidate) == len(before)
    top = before.max(axis=1)
    assert found.confidence.reference[-1] == np.count_nonzero(top >= np.linspace(0, 1, 21)[-2])
    assert Evidence.from_json(json.loads(json.dumps(found.to_json()))) == found


@given(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)),
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_a_histogram_holds_every_value(reference: np.ndarray, candidate: np.ndarray) -> None:
    found = Histogram.of(reference, candidate)
    assert sum(found.reference) == len(reference)
    assert sum(found.candidate) == len(candidate)
    assert found.low == min(reference.min(), candidate.min())
    assert found.high == max(reference.max(), candidate.max())


def test_a_single_score_is_sure_of_what_is_far_from_its_threshold() -> None:
    before = np.array([[0.1], [0.9], [0.55]], np.float32)
    after = np.array([[0.2], [0.4], [0.45]], np.float32)
    found = evidence(golden(before, np.array([0, 1, 1])), {"scores": after})
    assert [(f.sample, f.reference, f.candidate) for f in found.flips] == [(1, 1, 0), (2, 1, 0)]
    assert found.flips[0].reference_margin == np.float32(0.9) - 0.5
    (change,) = found.changes
    assert (change.count, change.lost, change.gained) == (2, 2, 0)


def test_logits_have_no_confidence() -> None:
    before = np.array([[-3.0, 2.0], [1.0, 0.0]], np.float32)
    found = evidence(golden(before, None), {"scores": before})
    assert found.confidence is None
    assert found.flips == found.changes == ()
