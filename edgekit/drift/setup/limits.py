"""Limits: whether a budget says anything, or is met by a file that guesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgekit.drift.figure import OF_THE_FILE
from edgekit.drift.golden import Golden
from edgekit.drift.limit import Limit
from edgekit.drift.setup.finding import LIMITS, WARNING, Finding
from edgekit.metrics import distances
from edgekit.tasks import CLASSIFICATION


def check_limits_tell(golden: Golden, limits: Sequence[Limit]) -> Iterator[Finding]:
    """What a budget lets pass that it should not.

    Args:
        golden: the reference's answers.
        limits: all that are set.
    """
    if limits and all(limit.figure in OF_THE_FILE for limit in limits):
        yield Finding(
            LIMITS,
            WARNING,
            f"Nothing limits the answers, only {', '.join(dict.fromkeys(x.figure for x in limits))}: a file that answers "
            "wrongly passes too. Limit what its task measures as well, such as the accuracy drop.",
        )
    for each in golden.each():
        name, labels = each.task_output, each.labels
        if each.task != CLASSIFICATION or name is None or labels is None or labels.ndim != 1:
            continue
        output = each.outputs[name]
        threshold = distances.binary_threshold(output)
        right = float((distances.predicted_classes(output, threshold) == labels).mean())
        # Guessing by the labels' own frequencies.
        shares = np.unique(labels, return_counts=True)[1] / len(labels)
        chance = float(np.square(shares).sum())
        if len(shares) < 2 or right <= chance:
            continue
        for limit in limits:
            if limit.group or limit.output not in (None, name):
                continue
            if _least(limit, right) <= chance:
                yield Finding(
                    LIMITS,
                    WARNING,
                    f"A file that guesses meets the limit of {limit.words}: guessing is right on {100 * chance:.1f} % of these "
                    f"samples, the original on {100 * right:.1f} %. Set a limit that only a file that knows its task meets.",
                )


def _least(limit: Limit, right: float) -> float:
    """The accuracy that a limit leaves a file at least; 1 of limits on something else."""
    if limit.figure == "accuracy" and limit.at_least is not None:
        return limit.at_least
    if limit.figure == "accuracy_drop" and limit.at_most is not None:
        return right - limit.at_most
    return 1.0
