"""Probes: does one of the usual slips, taken back, make the reference clearly better?

The slip is chosen on one half of up to 400 samples and tested on the other, so that the best of many
is no better by choice alone. Of fewer than 100 samples all do both, at a level that is divided by the number of
slips (Bonferroni). Both tests are exact (McNemar's, and for errors the sign test).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.document.record import Positive, Record, Text
from edgekit.drift.setup.chances import Z95, at_least
from edgekit.drift.setup.goodness import Goodness, of_others
from edgekit.drift.setup.input_slips import input_slips
from edgekit.drift.setup.label_slips import label_slips
from edgekit.drift.setup.slips import SLIPS, Slip
from edgekit.errors import EdgekitError

Arrays = dict[str, NDArray[Any]]

# Samples at most, and at least: with fewer no slip can be told from luck. Fewer than the third are not divided.
MOST, LEAST, SPLIT = 400, 14, 100
# How likely luck alone may make a slip better, on the half that chose it and on the other.
_CHOICE, _TEST = 0.01, 0.001
# The first samples of the half that chooses, and how likely luck may make a slip that much worse there: such a one
# is tried no further.
_FIRST, _WORSE = 64, 0.001
# By how much a slip has to be better than one that was tried before.
_BETTER = 1.01
# The part of an error that counts as clearly better.
_PART = 0.1
# Inputs of a model that slips are tried on, one at a time.
_INPUTS = 3


@dataclass(frozen=True)
class Probed(Record):
    """What came of trying the usual slips on the reference.

    Attributes:
        tried: how many.
        count: samples that tested.
        figure: what was measured: a share that is right, or an error.
        as_given: on the samples as they are; of `count`.
        slip: the name of the one that makes the reference clearly better; None if none does.
        input: of the model, that the slip is one of; of two that are swapped both, with a comma; None of labels.
        taken_back: `figure` with the slip taken back; None without one.
    """

    tried: int
    count: Positive
    figure: Text
    as_given: float
    slip: Annotated[str, ("enum", tuple(SLIPS))] | None = None
    input: str | None = None
    taken_back: float | None = None


@dataclass(frozen=True)
class Case:
    """Samples, and a model to ask.

    Attributes:
        inputs: by name, (samples, ...), at most `MOST` samples.
        labels: of the samples.
        answers: the model's to `inputs`, of the task's output.
        ask: from inputs to such answers.
        goodness: how well answers fit labels.
        class_names: of the model's classes.
        others: samples of an input that were prepared in another way: the slip, the input's name, and
            as many samples.
        relabelled: labels in another way, as many, each with its slip.
        reread: answers that were read in another way, as many.
    """

    inputs: Arrays
    labels: NDArray[Any]
    answers: NDArray[Any]
    ask: Callable[[Arrays], NDArray[Any]]
    goodness: Goodness
    class_names: tuple[str, ...] = ()
    others: tuple[tuple[Slip, str, NDArray[Any]], ...] = ()
    relabelled: tuple[tuple[Slip, NDArray[Any]], ...] = ()
    reread: tuple[tuple[Slip, NDArray[Any]], ...] = ()


# What a slip is called, which input it is of, and the answers and labels of some samples without it.
_Pair = tuple[NDArray[Any], NDArray[Any]]
_Trial = tuple[Slip, str | None, Callable[[NDArray[np.intp]], _Pair]]


def probe(case: Case, seed: int = 0) -> Probed | None:
    """Try the usual slips; None where there are too few samples to tell anything.

    The model is asked about half of the samples once for each slip of the inputs, of one that makes much worse
    about the first of them alone, and about the other half at most once; of few samples about all. It is not asked at all where too few
    answers are wrong for any slip to be better.
    """
    count = len(case.labels)
    if count < LEAST:
        return None
    order = np.random.default_rng(seed).permutation(count)
    choosing, testing = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
    few = count < SPLIT
    if few:
        choosing = testing = np.arange(count)
    best: _Trial | None = None
    most, tried = 0.0, 0
    gains: dict[str, NDArray[np.float64]] = {}
    given = _given(case, choosing)
    first = choosing[:_FIRST]
    for trial in _trials(case) if _can_win(case, given) else ():
        tried += 1
        if len(first) < len(choosing):
            gain = _attempt(case, trial, first)
            if gain is None or _better(-gain, _WORSE):
                continue
        gain = _attempt(case, trial, choosing)
        if gain is None:
            continue
        gains[trial[0].name] = gain
        if gain.mean() <= most * _BETTER or not _better(gain, _CHOICE):
            continue
        included = gains.get(trial[0].includes)
        if included is not None and not _better(gain - included, _TEST):
            continue
        best, most = trial, float(gain.mean())
    share = case.goodness.share
    figure, before = case.goodness.word, float(_given(case, testing).mean())
    nothing = Probed(tried, len(testing), figure, before if share else -before)
    if best is None:
        return nothing
    gain = _attempt(case, best, testing)
    luck = _TEST / tried if few else _TEST
    enough = case.goodness.points if share else _PART * abs(before)
    if gain is None or gain.mean() < enough or not _better(gain, luck):
        return nothing
    after = before + float(gain.mean())
    if case.goodness.labelled and not _tells(case.goodness, *best[2](testing)):
        # Answers that are all much the same are nearer than wrong ones: no slip was taken back.
        return nothing
    return Probed(
        tried,
        len(testing),
        figure,
        before if share else -before,
        best[0].name,
        best[1],
        after if share else -after,
    )


def _tells(goodness: Goodness, answers: NDArray[Any], labels: NDArray[Any]) -> bool:
    """Whether answers fit their own labels better than those of other samples."""
    ahead = goodness.of(answers, labels) - of_others(goodness, answers, labels)
    return float(ahead.mean()) > Z95 * float(ahead.std()) / math.sqrt(len(ahead))


def _can_win(case: Case, given: NDArray[np.float64]) -> bool:
    """Whether enough answers are wrong for luck to be out of the question if all became right."""
    improvable = int(np.count_nonzero(given < 1)) if case.goodness.share else len(given)
    return at_least(improvable, improvable) < _CHOICE


def _better(gain: NDArray[np.float64], luck: float) -> bool:
    wins, losses = int(np.count_nonzero(gain > 0)), int(np.count_nonzero(gain < 0))
    return at_least(wins, wins + losses) < luck


def _given(case: Case, picked: NDArray[np.intp]) -> NDArray[np.float64]:
    """How well each of these is answered as it is; some tasks judge a sample among those that are looked at."""
    return case.goodness.of(case.answers[picked], case.labels[picked])


def _attempt(case: Case, trial: _Trial, picked: NDArray[np.intp]) -> NDArray[np.float64] | None:
    """What each sample gains; None where the model cannot take the samples so."""
    try:
        gain = case.goodness.of(*trial[2](picked)) - _given(case, picked)
    except EdgekitError:
        return None
    return gain if np.isfinite(gain).all() else None


def _trials(case: Case) -> Iterator[_Trial]:
    """Those that need no model first, but for other units: they can explain what a scale of the inputs does better."""
    goodness = case.goodness
    if goodness.share:
        yield from _reread(case)
    for slip, labels in _other_labels(case):

        def relabelled(picked: NDArray[np.intp], labels: NDArray[Any] = labels) -> _Pair:
            return case.answers[picked], labels[picked]

        yield slip, None, relabelled
    for name, x in list(case.inputs.items())[: _INPUTS if goodness.inputs else 0]:
        for slip, change in input_slips(x):

            def asked(
                picked: NDArray[np.intp],
                name: str = name,
                change: Callable[[NDArray[Any]], NDArray[Any]] = change,
            ) -> _Pair:
                inputs = {each: values[picked] for each, values in case.inputs.items()}
                inputs[name] = np.ascontiguousarray(change(inputs[name]))
                return case.ask(inputs), case.labels[picked]

            yield slip, name, asked
    for name, other in _alike(case.inputs) if goodness.inputs else ():

        def swapped(picked: NDArray[np.intp], name: str = name, other: str = other) -> _Pair:
            inputs = {each: x[picked] for each, x in case.inputs.items()}
            return case.ask({**inputs, name: inputs[other], other: inputs[name]}), case.labels[
                picked
            ]

        yield SLIPS["inputs_swapped"], f"{name}, {other}", swapped
    for slip, name, values in case.others if goodness.inputs else ():

        def prepared(
            picked: NDArray[np.intp], name: str = name, values: NDArray[Any] = values
        ) -> _Pair:
            inputs = {each: x[picked] for each, x in case.inputs.items()}
            return case.ask({**inputs, name: values[picked]}), case.labels[picked]

        yield slip, name, prepared
    if not goodness.share:
        yield from _reread(case)


def _alike(inputs: Arrays) -> Iterator[tuple[str, str]]:
    """Pairs of inputs that can be taken for one another."""
    for first, second in combinations(list(inputs)[:_INPUTS], 2):
        x, y = inputs[first], inputs[second]
        if x.shape == y.shape and x.dtype == y.dtype:
            yield first, second


def _reread(case: Case) -> Iterator[_Trial]:
    for slip, answers in case.reread:

        def reread(picked: NDArray[np.intp], answers: NDArray[Any] = answers) -> _Pair:
            return answers[picked], case.labels[picked]

        yield slip, None, reread


def _other_labels(case: Case) -> Iterator[tuple[Slip, NDArray[Any]]]:
    yield from case.relabelled
    classes = case.goodness.classes
    if classes is None:
        return
    # Masks may mark what is to be passed over by a number beyond the classes, and rows of tokens their end.
    known = (case.labels >= 0) & (case.labels < classes)
    numbers = np.where(known, case.labels, 0).astype(np.intp)
    for slip, place in label_slips(classes, case.class_names):
        yield slip, np.where(known, place[numbers], case.labels)
