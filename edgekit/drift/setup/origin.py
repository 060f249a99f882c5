"""Origin: whether a file is the reference's at all, or another model's, or has a score inverted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.golden import Golden
from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.chances import at_least
from edgekit.drift.setup.finding import ANOTHER_MODEL, FAIL, INVERTED, WARNING, Finding
from edgekit.drift.setup.probes import LEAST
from edgekit.metrics import distances
from edgekit.metrics.fidelity import by_channel
from edgekit.metrics.intervals import share_ci95
from edgekit.metrics.tally import tally

# Below this signal to noise ratio a file needs an explanation.
_NOISY_DB = 15.0
# Of two files with one model's weights, where nothing else says that they have.
_ALIKE_DB = 30.0
# How likely chance may make as many equal classes, and of the way from chance to equal answers: a file that
# cannot be shown to get further has others.
_LUCK, _NOTHING = 0.01, 0.1
# A correlation below that is one of opposites, where it is so many standard errors below zero.
_OPPOSITE, _CERTAIN = -0.5, 4.0
# Values that are all one, beside their size.
_STILL = 1e-6


def check_origin(
    golden: Golden, asked: Asked, reference: Mapping[str, NDArray[Any]], *, broken: bool
) -> Iterator[Finding]:
    """Whether it is the reference's file; one whose calibration is `broken` may answer anything."""
    source, original = asked.metadata.source_sha256, golden.reference
    others = source not in (None, original.sha256)
    name = golden.task_output if golden.task_output in reference else next(iter(reference), None)
    if name is None:
        return
    unrelated, words = _unrelated(reference[name], asked.answers[name])
    noise = min(centred_db(ref, asked.answers[n]) for n, ref in reference.items())
    made = (
        f"It was made of a model with sha256 {str(source)[:12]}…, and the golden file holds the answers of "
        f"{original.path} with {original.sha256[:12]}…"
    )
    if unrelated and not (broken and source == original.sha256):
        if others:
            why = f"{made}. Give the file that belongs to the golden file."
        elif source is None:
            why = (
                "It is most likely another model's, or takes its inputs in another order or scale. Give the file "
                "that belongs to the golden file."
            )
        else:
            why = "Its conversion broke it, or it takes its inputs in another order or scale."
        text = f"The file's answers have nothing to do with the original's: {words}. {why}"
        yield Finding(ANOTHER_MODEL, FAIL, text, (), asked.file)
    elif others and noise < _ALIKE_DB:
        text = (
            f"The file is another model's. {made}, and their answers differ ({noise:.1f} dB signal to noise, expected "
            f"{_ALIKE_DB:g} dB at least of one model that was only saved anew). Give the file that belongs to the "
            "golden file; to compare two models on purpose, --allow-setup."
        )
        yield Finding(ANOTHER_MODEL, FAIL, text, (), asked.file)
    elif others:
        text = f"{made}. Both answer alike; to be sure, make the golden file of the model that was exported."
        yield Finding(ANOTHER_MODEL, WARNING, text, (), asked.file)
    elif source is None and noise < _NOISY_DB and not broken:
        text = (
            f"The file follows the original badly ({noise:.1f} dB signal to noise), and does not say which model it was made of: "
            "it may be that of another training, or quantised badly. edgekit diagnose tells them apart."
        )
        yield Finding(ANOTHER_MODEL, WARNING, text, (), asked.file)


def _unrelated(ref: NDArray[Any], answer: NDArray[Any]) -> tuple[bool, str]:
    """Whether answers are no nearer to the reference's than chance makes them, and that in words."""
    count = len(ref)
    if count < LEAST:
        return False, ""
    if (classes := distances.class_count(ref)) is not None and ref.ndim == 2 and ref.shape[1] > 1:
        theirs = tally(distances.predicted_classes(ref), classes)
        own = tally(distances.predicted_classes(answer), classes)
        equal = int(
            np.count_nonzero(
                distances.predicted_classes(ref) == distances.predicted_classes(answer)
            )
        )
        chance = float(theirs @ own) / count**2
        if chance >= 1 or at_least(equal, count, chance) < _LUCK:
            return False, ""
        _, high = share_ci95(equal, count)
        return (high - chance) / (1 - chance) < _NOTHING, (
            f"both give the same class to {100 * equal / count:.1f} % of {count} samples, and chance makes "
            f"{100 * chance:.1f} %"
        )
    along = _correlation(ref.reshape(count, -1), answer.reshape(count, -1))
    if along is None:
        return False, ""
    sure = along + _CERTAIN / math.sqrt(count)
    return abs(along) < 2 * _NOTHING and sure < 0.5, f"their correlation is {along:.2f}"


def _correlation(ref: NDArray[Any], answer: NDArray[Any]) -> float | None:
    """Of all values, centred column by column; None where the reference is constant."""
    a, b = _centred(ref), _centred(answer)
    size = float(np.linalg.norm(a))
    if size <= _STILL * float(np.abs(ref).max(initial=0)) * math.sqrt(ref.size):
        return None
    other = float(np.linalg.norm(b))
    return float(np.vdot(a, b)) / (size * other) if other else 0.0


def _correlations(ref: NDArray[Any], answer: NDArray[Any]) -> NDArray[np.float64]:
    """Of each column; 0 where one is constant."""
    a, b = _centred(ref), _centred(answer)
    sizes = np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)
    still = sizes[0] <= _STILL * np.abs(ref).max(0, initial=0) * math.sqrt(len(ref))
    product = sizes[0] * sizes[1]
    along: NDArray[np.float64] = np.divide(
        (a * b).sum(0), product, out=np.zeros_like(product), where=~still & (product > 0)
    )
    return along


def _centred(x: NDArray[Any]) -> NDArray[np.float64]:
    values = x.astype(np.float64)
    centred: NDArray[np.float64] = values - values.mean(0)
    return centred


def centred_db(ref: NDArray[Any], answer: NDArray[Any]) -> float:
    """Signal to noise of what a reference has to tell: its spread over the samples."""
    a = ref.reshape(len(ref), -1).astype(np.float64)
    noise = float(np.square(a - answer.reshape(len(ref), -1)).sum())
    signal = float(np.square(a - a.mean(0)).sum())
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def check_opposites(asked: Asked, reference: Mapping[str, NDArray[Any]]) -> Iterator[Finding]:
    """A finding for each output with channels that fall where the reference's rise."""
    count = len(asked.at)
    if count < LEAST:
        return
    for name, ref in reference.items():
        answer, theirs = asked.answers[name], by_channel(ref)
        along = _correlations(theirs, by_channel(answer))
        # As certain as there are samples: places of one sample follow one another. Of many channels, more so.
        depth = np.arctanh(np.clip(along, -1 + 1e-12, 1 - 1e-12)) * math.sqrt(count - 3)
        certain = -math.sqrt(_CERTAIN**2 + 2 * math.log(theirs.shape[1]))
        # A score that is near zero but for one sample has what noise did to that one: both halves have to tell.
        halves = [
            _correlations(by_channel(ref[at::2]), by_channel(answer[at::2])) < _OPPOSITE
            for at in (0, 1)
        ]
        found = np.flatnonzero((along < _OPPOSITE) & (depth < certain) & halves[0] & halves[1])
        if not len(found):
            continue
        where = (
            f"Output {name!r}"
            if len(found) == theirs.shape[1]
            else f"Output {name!r}, {'channel' if len(found) == 1 else 'channels'} "
            f"{', '.join(map(str, found[:5]))} of {theirs.shape[1]}"
        )
        yield Finding(
            INVERTED,
            FAIL,
            f"{where}: the file's values fall where the original's rise (correlation {along[found].min():.2f}). A sign is "
            "wrong, or a score stands for its opposite. Convert the model again, or give the file that belongs "
            "to the golden file.",
            (),
            asked.file,
        )
