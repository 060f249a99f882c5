"""Evidence: what a person looks at beside the numbers: flipped answers, what changed into what, histograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.document.record import Count, NotNegative, Positive, Record
from edgekit.drift.golden import Golden
from edgekit.metrics import distances
from edgekit.metrics.blocks import by_blocks, together
from edgekit.metrics.tally import tally
from edgekit.tasks import CLASSIFICATION, UNLABELLED

# A person looks at a few; a document should not grow with the samples.
_FLIPS, _CHANGES, _BINS = 24, 100, 20
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Flip(Record):
    """A sample to which the file gives another class than the reference.

    Attributes:
        sample: its index in the golden file.
        label: its class; None without labels.
        reference, candidate: the class that each gives.
        reference_margin, candidate_margin: how far the class is ahead of the next, or of the threshold of
            a single score, in the output's unit.
    """

    sample: Count
    label: Count | None
    reference: Count
    candidate: Count
    reference_margin: NotNegative
    candidate_margin: NotNegative


@dataclass(frozen=True)
class Change(Record):
    """Samples that left one class for another.

    Attributes:
        reference, candidate: the class that each gives.
        lost: how many of them the reference alone has right; None without labels.
        gained: how many the file alone has right; None without labels.
    """

    reference: Count
    candidate: Count
    count: Positive
    lost: Count | None
    gained: Count | None


@dataclass(frozen=True)
class Histogram(Record):
    """How often values fall into equal parts of a range, of the reference and of the file.

    Attributes:
        low, high: the range, in the values' unit; equal where all values are.
        reference, candidate: counts, of as many parts each.
    """

    low: float
    high: float
    reference: Annotated[tuple[Count, ...], ("minItems", 1)]
    candidate: Annotated[tuple[Count, ...], ("minItems", 1)]

    @classmethod
    def of(
        cls,
        reference: NDArray[Any],
        candidate: NDArray[Any],
        ends: tuple[float, float] | None = None,
    ) -> Histogram:
        """Count finite values of any shape.

        Args:
            reference, candidate: not empty.
            ends: the range, which holds every value; None for that of the values.
        """
        if ends is None:
            blocks = [
                (x.min(), x.max()) for each in (reference, candidate) for (x,) in together(each)
            ]
            ends = float(min(low for low, _ in blocks)), float(max(high for _, high in blocks))
        low, high = ends
        edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low, low])
        counts = (
            np.sum(
                [np.histogram(x.astype(np.float64), bins=edges)[0] for (x,) in together(each)], 0
            )
            for each in (reference, candidate)
        )
        return cls(low, high, *(tuple(map(int, each)) for each in counts))


@dataclass(frozen=True)
class Evidence(Record):
    """What a person looks at.

    Attributes:
        flips: up to 24, those of which the reference was surest first.
        changes: up to 100, the most frequent first.
        confidence: of the score of the class that each gives, where scores are shares.
        outputs: by the reference's name of the output, of all its values.
    """

    flips: Annotated[tuple[Flip, ...], ("maxItems", _FLIPS)]
    changes: Annotated[tuple[Change, ...], ("maxItems", _CHANGES)]
    confidence: Histogram | None
    outputs: dict[str, Histogram]


def evidence(golden: Golden, answers: Mapping[str, NDArray[Any]]) -> Evidence:
    """Gather it.

    Args:
        golden: the reference.
        answers: the file's finite outputs by the reference's names, in the shapes of the reference's.
    """
    outputs = {
        name: Histogram.of(golden.outputs[name], answer)
        for name, answer in answers.items()
        if 0 not in answer.shape
    }
    name = golden.task_output
    if name is None or name not in answers or golden.task not in (CLASSIFICATION, UNLABELLED):
        return Evidence((), (), None, outputs)
    reference, candidate = golden.outputs[name], answers[name]
    threshold = distances.binary_threshold(reference)
    ref = distances.predicted_classes(reference, threshold)
    cand = distances.predicted_classes(candidate, threshold)
    labels = golden.labels if golden.labels is not None and golden.labels.ndim == 1 else None
    margins = [distances.margins(each, threshold) for each in (reference, candidate)]
    flipped = distances.flips(ref, cand)
    surest = flipped[np.argsort(-margins[0][flipped], kind="stable")][:_FLIPS]
    return Evidence(
        tuple(
            Flip(
                int(at),
                None if labels is None else int(labels[at]),
                int(ref[at]),
                int(cand[at]),
                float(margins[0][at]),
                float(margins[1][at]),
            )
            for at in surest
        ),
        _changes(ref[flipped], cand[flipped], None if labels is None else labels[flipped]),
        _confidence(reference, candidate),
        outputs,
    )


def _changes(
    ref: distances.Classes, cand: distances.Classes, labels: NDArray[Any] | None
) -> tuple[Change, ...]:
    if not len(ref):
        return ()
    pairs, place, counts = np.unique(
        np.stack([ref, cand], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    # numpy 2.0 alone gives the places in the shape of the pairs.
    place = place.reshape(-1)
    lost = gained = None
    if labels is not None:
        lost, gained = (tally(place, len(pairs), classes == labels) for classes in (ref, cand))
    return tuple(
        Change(
            int(pairs[at, 0]),
            int(pairs[at, 1]),
            int(counts[at]),
            None if lost is None else int(lost[at]),
            None if gained is None else int(gained[at]),
        )
        for at in np.argsort(-counts, kind="stable")[:_CHANGES]
    )


def _confidence(reference: NDArray[Any], candidate: NDArray[Any]) -> Histogram | None:
    """Of each sample's largest score; of a single one's distance from being a coin's, from 0.5 to 1."""
    scores = []
    for each in (reference, candidate):
        # Softmax in float32 reaches beyond 1 by a rounding.
        if any(x.min() < 0 or x.max() > 1 + _ROUNDING for (x,) in together(each)):
            return None
        scores.append(by_blocks(_sureness, each))
    return Histogram.of(scores[0], scores[1], ends=(0.0, 1.0))


def _sureness(shares: NDArray[Any]) -> NDArray[Any]:
    flat = shares.reshape(len(shares), -1).clip(0, 1)
    if flat.shape[1] == 1:
        flat = np.maximum(flat, 1 - flat)
    return np.asarray(flat.max(axis=1))
