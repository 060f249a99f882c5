"""Unrelated: whether the reference's answers fit their own labels better than those of other samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.detection import Decoder
from edgekit.drift.answers import Answers
from edgekit.drift.figure import HIGHER, LOWER, Figure
from edgekit.drift.frames import Frames
from edgekit.drift.setup.chances import Z95, Z999
from edgekit.drift.setup.finding import CHANCE, FAIL, Finding
from edgekit.drift.setup.goodness import Goodness, goodness_of, of_others
from edgekit.drift.setup.probes import LEAST, MOST
from edgekit.drift.setup.reading import reading_of
from edgekit.drift.setup.reference import picked
from edgekit.drift.setup.relabelled import boxes_in_input
from edgekit.metrics.ranking import auc_of
from edgekit.tasks import ANOMALY, CLASSIFICATION, DETECTION, MULTI_LABEL

# Of the way from guessing to all right: a reference that surely gets no further guesses. One that surely gets
# somewhere, but no further than the second, guesses too.
_NOTHING, _LITTLE = 0.2, 0.1
_ADVICE = (
    "Nothing can be proved with it. Check that samples and labels belong together, and that the samples are prepared as in "
    "training."
)


def check_unrelated(
    asked: Answers, decoder: Decoder | None = None, frames: Frames | None = None
) -> list[Finding]:
    """A finding where labels of other samples fit the answers as well, whatever the task.

    A classification is not looked at: `edgekit.drift.setup.chance` knows what guessing makes of that.
    """
    at = picked(len(asked.samples), MOST)
    read = (
        None
        if asked.task == CLASSIFICATION or len(at) < LEAST
        else read_at(asked, at, decoder, frames)
    )
    if read is None:
        return []
    if asked.task in (MULTI_LABEL, ANOMALY):
        return _by_rank(*read, asked.task_output)
    goodness = goodness_of(asked.task, *read)
    return [] if goodness is None else _against_others(goodness, *read, asked)


def read_at(
    asked: Answers, at: NDArray[np.intp], decoder: Decoder | None, frames: Frames | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """What the reference answers to some of the samples, and their labels, as `goodness_of` takes both; None for neither."""
    labels, reading = asked.labels, reading_of(asked, decoder)
    if labels is None or reading is None:
        return None
    inputs = {
        name: np.asarray(x[at] if asked.task in (ANOMALY, DETECTION) else x[:1])
        for name, x in asked.samples.inputs.items()
    }
    outputs = {name: np.asarray(x[at]) for name, x in asked.outputs.items()}
    answers, labels = reading(inputs, outputs), labels[at]
    if asked.task == DETECTION:
        if frames is None:
            return None
        labels = boxes_in_input(labels, frames[at])
    return answers, labels


def _against_others(
    goodness: Goodness, answers: NDArray[Any], labels: NDArray[Any], asked: Answers
) -> list[Finding]:
    count = len(labels)
    own = goodness.of(answers, labels)
    theirs = of_others(goodness, answers, labels)
    gain = own - theirs
    error = float(gain.std(ddof=1)) / math.sqrt(count)
    mean, chance = float(gain.mean()), float(theirs.mean())
    way = (1.0 if goodness.share else 0.0) - chance
    far = mean - Z95 * error > 0
    if way <= 0 or mean + Z999 * error > (_LITTLE if far else _NOTHING) * way:
        return []
    word, unit = goodness.word, "share" if goodness.share else "output"
    better, sign = (HIGHER, 1) if goodness.share else (LOWER, -1)
    shown = [
        f"{100 * x:.1f} %" if goodness.share else f"{x:.4g}"
        for x in (float(own.mean()) * sign, chance * sign)
    ]
    name = word.replace(" ", "_")
    return [
        Finding(
            CHANCE,
            FAIL,
            f"The reference is no better than guessing: its {word} on {count} samples is {shown[0]}, and {shown[1]} with "
            f"labels of other samples. {_ADVICE}",
            tuple(
                Figure(each, unit, better, sign * float(x), count=count, output=asked.task_output)
                for each, x in ((name, own.mean()), ("chance", chance))
            ),
        )
    ]


def _by_rank(answers: NDArray[Any], labels: NDArray[Any], output: str | None) -> list[Finding]:
    """Of several labels: scores may be sound where none reaches the threshold, so ranks tell. Of anomalies their errors'."""
    area = auc_of(answers, labels.reshape(answers.shape) > 0)
    if area is None or area.ci95[1] > 0.5 + _NOTHING / 2 or area.ci95[0] > 0.5:
        return []
    opposite = area.ci95[1] < 0.5
    why = "labels say no for yes, or classes go by another order" if opposite else "0.5 is guessing"
    return [
        Finding(
            CHANCE,
            FAIL,
            f"The reference is no better than guessing: the area under its ROC curves is {area.value:.3f} on {len(labels)} "
            f"samples, and {why}. {_ADVICE}",
            (Figure.of("auc", area.value, ci95=area.ci95, count=len(labels), output=output),),
        )
    ]
