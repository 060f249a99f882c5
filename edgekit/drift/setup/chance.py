"""Chance: whether the reference knows its task at all, and as well as its training recorded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.answers import Answers
from edgekit.drift.figure import HIGHER, LOWER, Figure
from edgekit.drift.setup.chances import Z95, Z999, at_least
from edgekit.drift.setup.finding import CHANCE, FAIL, FEW, ONE_CLASS, TRAINED, WARNING, Finding
from edgekit.drift.setup.goodness import Goodness, goodness_of
from edgekit.formats.seen import TRAINING, Seen
from edgekit.metrics import distances
from edgekit.metrics.blocks import by_blocks
from edgekit.metrics.intervals import share_ci95
from edgekit.metrics.tally import tally
from edgekit.tasks import CLASSIFICATION, CTC, MULTI_LABEL, REGRESSION, SEGMENTATION, SEQUENCE

# How likely guessing may do as well for a reference to be clearly better, and for it to be in doubt.
_LUCK, _DOUBT = 0.01, 0.05
# Of the way from guessing to all right: a reference that is in doubt, and surely gets no further, guesses.
_NOTHING = 0.2
# Tasks whose outputs alone tell how right each sample is.
_SAMPLE_BY_SAMPLE = (CLASSIFICATION, SEGMENTATION, MULTI_LABEL, REGRESSION, SEQUENCE, CTC)
# Samples of other classes, all of which a reference that always answers one cannot have missed by luck.
_MISSED = 14
# A reference that is that much below what its training recorded is not what was trained: points.
_FAR_BELOW = 0.05


def accuracy_figure(asked: Answers) -> Figure | None:
    """What the reference scores, with the 95 % interval of a share that is right for each sample.

    Args:
        asked: what the reference answers.

    Returns:
        None where nothing tells right from wrong.
    """
    told = _told(asked)
    if told is None:
        return None
    name, output, labels, goodness = told
    scores = by_blocks(goodness.of, output, labels)
    word = goodness.word.replace(" ", "_")
    value = float(scores.mean())
    if goodness.classes is not None and labels.ndim == 1:
        ci = share_ci95(int(scores.sum()), len(scores))
        return Figure(word, "share", HIGHER, value, ci95=ci, count=len(scores), output=name)
    half = Z95 * float(scores.std()) / math.sqrt(len(scores))
    if goodness.share:
        ci = max(0.0, value - half), min(1.0, value + half)
        return Figure(word, "share", HIGHER, value, ci95=ci, count=len(scores), output=name)
    error = abs(value)
    ci = max(0.0, error - half), error + half
    return Figure(word, "output", LOWER, error, ci95=ci, count=len(scores), output=name)


def check_chance(asked: Answers) -> list[Finding]:
    """Whether the reference is better than guessing, and whether the labels can show it.

    Guessing gives a class as often as the reference does, whatever the sample; of numbers, the labels'
    median.
    """
    told = _told(asked)
    if told is None:
        return []
    name, output, labels, goodness = told
    if goodness.classes is not None and labels.ndim == 1:
        return _classes(output, labels, goodness.classes, name)
    if not goodness.share:
        return _numbers(output, labels, goodness, name)
    return []


def _told(asked: Answers) -> tuple[str, NDArray[Any], NDArray[Any], Goodness] | None:
    """The task's output, its name, its labels and how they are held against each other; None for none."""
    name, labels = asked.task_output, asked.labels
    if name is None or labels is None:
        return None
    if asked.task not in _SAMPLE_BY_SAMPLE:
        return None
    goodness = goodness_of(asked.task, asked.outputs[name], labels)
    return None if goodness is None else (name, asked.outputs[name], labels, goodness)


def _classes(output: NDArray[Any], labels: NDArray[Any], classes: int, name: str) -> list[Finding]:
    count = len(labels)
    found = distances.predicted_classes(output, distances.binary_threshold(output))
    right = int(np.count_nonzero(found == labels))
    labelled = tally(labels, classes)
    only = int(labelled.argmax()) if np.count_nonzero(labelled) == 1 else None
    findings = []
    if only is not None and count > 1:
        findings.append(
            Finding(
                ONE_CLASS,
                WARNING,
                f"All {count} labels are class {only} of {classes}: nothing can be said of the other classes, "
                "nor whether the reference tells them apart. Give samples of all classes.",
            )
        )
        chance = 1 / classes
    else:
        answered = tally(found, classes)
        chance = float(labelled @ answered) / count**2
    if count < classes:
        findings.append(
            Finding(
                FEW,
                WARNING,
                f"There are fewer samples ({count}) than classes ({classes}), so that most classes are judged by "
                "one sample or none. Give more samples.",
            )
        )
    low, high = share_ci95(right, count)
    figures = (
        Figure.of("accuracy", right / count, ci95=(low, high), count=count, output=name),
        Figure("chance", "share", HIGHER, chance, count=count, output=name),
    )
    seen = f"{100 * right / count:.1f} % of {count} samples"
    luck = at_least(right, count, chance)
    if luck < _LUCK:
        return findings
    constant = only is None and len(np.unique(found)) == 1
    if constant:
        guesses = count - right >= _MISSED
    else:
        guesses = luck > _DOUBT and (high - chance) / (1 - chance) < _NOTHING
    if guesses:
        why = (
            f"it answers class {int(found[0])} to every one, and as many have that label"
            if constant
            else f"guessing gives {100 * chance:.1f} %"
        )
        findings.append(
            Finding(
                CHANCE,
                FAIL,
                f"The reference is no better than guessing: it is right on {seen}, and {why}. Nothing can be "
                "proved with it. Check that samples and labels belong together, that the labels number "
                "the classes as the model does, and that the samples are prepared as in training.",
                figures,
            )
        )
    elif count >= classes:
        findings.append(
            Finding(
                FEW,
                WARNING,
                f"The samples are too few to show that the reference is better than guessing: it is right on "
                f"{seen}, guessing gives {100 * chance:.1f} %. Give more samples.",
                figures,
            )
        )
    return findings


def _numbers(
    output: NDArray[Any], labels: NDArray[Any], goodness: Goodness, name: str
) -> list[Finding]:
    wanted = labels.reshape(output.shape).astype(np.float64)
    guess = np.median(wanted, axis=0)
    # Both negative: what guessing loses beside the model.
    ahead = by_blocks(goodness.of, output, labels) + np.abs(wanted - guess).reshape(
        len(wanted), -1
    ).mean(1)
    if len(ahead) < 2:
        return []
    upper = float(ahead.mean()) + Z999 * float(ahead.std(ddof=1)) / math.sqrt(len(ahead))
    if upper >= 0:
        return []
    error = -float(by_blocks(goodness.of, output, labels).mean())
    guessing = float(np.abs(wanted - guess).mean())
    return [
        Finding(
            CHANCE,
            FAIL,
            f"The reference is worse than guessing: its mean absolute error on {len(wanted)} samples is {error:.4g}, "
            f"and answering the labels' median to all of them makes {guessing:.4g}. Check that samples and labels "
            "belong together, are in the model's unit, and that the samples are prepared as in training.",
            (
                Figure(
                    "mean_absolute_error", "output", LOWER, error, count=len(wanted), output=name
                ),
                Figure("chance", "output", LOWER, guessing, count=len(wanted), output=name),
            ),
        )
    ]


def check_trained(asked: Answers, seen: tuple[Seen, ...]) -> list[Finding]:
    """Whether the reference scores what its training recorded, as far as luck leaves it open."""
    recorded = next((each for each in seen if each.purpose == TRAINING and each.accuracy), None)
    told = _told(asked)
    if recorded is None or recorded.accuracy is None or told is None:
        return []
    name, output, labels, goodness = told
    if goodness.classes is None or labels.ndim != 1:
        return []
    count, before = len(labels), recorded.accuracy
    now = float(by_blocks(goodness.of, output, labels).mean())
    other = recorded.accuracy_count or count
    pooled = (now * count + before * other) / (count + other)
    # Two independent shares under one probability, and one count for a tie.
    half = Z999 * math.sqrt(
        max(pooled * (1 - pooled), 1 / (count + other)) * (1 / count + 1 / other)
    )
    if before - now <= half:
        return []
    far = before - now > _FAR_BELOW
    return [
        Finding(
            TRAINED,
            FAIL if far else WARNING,
            f"The reference is right on {100 * now:.1f} % of {count} samples, and its training recorded "
            f"{100 * before:.1f} % (of {other}), which is more than luck explains. "
            + (
                "Check that the samples are prepared and labelled as in training; if they are known to be harder, "
                "--allow-setup says so."
                if far
                else "The samples may be harder, or prepared in another way than in training."
            ),
            (
                Figure.of(
                    "accuracy",
                    now,
                    reference=before,
                    ci95=share_ci95(round(now * count), count),
                    count=count,
                    output=name,
                ),
            ),
        )
    ]
