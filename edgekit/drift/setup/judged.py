"""Judged: whether the reference, and the samples that it was asked, are sane. No model is needed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edgekit.detection import Decoder
from edgekit.drift.answers import Answers
from edgekit.drift.figure import HIGHER, LOWER, Figure
from edgekit.drift.frames import Frames
from edgekit.drift.golden import Golden
from edgekit.drift.setup.chance import accuracy_figure, check_chance, check_trained
from edgekit.drift.setup.finding import (
    CHANCE,
    FAIL,
    MISSING_LABELS,
    PART,
    ROUNDED,
    SLIP,
    STATISTICS,
    TRAINED,
    WARNING,
    Finding,
)
from edgekit.drift.setup.goodness import SHARES
from edgekit.drift.setup.looks import compared
from edgekit.drift.setup.overlap import check_overlap
from edgekit.drift.setup.parts import check_parts
from edgekit.drift.setup.probes import SPLIT, Probed
from edgekit.drift.setup.reference import Normalised
from edgekit.drift.setup.samples import check_samples
from edgekit.drift.setup.slips import SLIPS
from edgekit.drift.setup.unrelated import check_unrelated
from edgekit.drift.tasks.detection import decoded, precision_figure
from edgekit.formats.seen import TRAINING, InputProfile, Seen
from edgekit.samples import Samples
from edgekit.samples.profile import drawn_of, hashes_of
from edgekit.tasks import ANOMALY, DETECTION

# What the layers' statistics may differ by: they lag behind in short trainings.
_TIMES, _SHIFT = 8.0, 8.0
# A detector whose mean average precision is surely below this finds nothing, on so many samples at least.
_NOTHING, _LEAST = 0.1, 14


def check_reference(golden: Golden) -> tuple[Finding, ...]:
    """What speaks against the reference and its samples; empty if nothing does.

    Sentences name the numbers and say what to do. What needed the original model was found out when the
    golden was made, and is in it.
    """
    setup = golden.setup
    findings: list[Finding] = []
    if setup is not None and setup.probed is not None:
        findings += _slip(setup.probed, len(golden.samples.inputs), golden.task_output)
    findings += check_answers(golden, golden.decoder, golden.frames)
    if setup is None:
        return tuple(findings)
    findings += _rounded(golden) if setup.rounded else []
    findings += check_trained(golden, setup.seen)
    if setup.normalised is not None:
        findings += _statistics(setup.normalised)
    findings += check_looks(golden, (s for s in setup.seen if s.purpose == TRAINING), None)
    if setup.seen:
        judged = frozenset(hashes_of(golden.samples))
        findings += check_overlap(setup.seen, judged, len(golden.samples), None)
    return tuple(_one_cause(findings, of_labels=setup.probed is None or setup.probed.input is None))


def _rounded(golden: Golden) -> list[Finding]:
    return [
        Finding(
            ROUNDED,
            WARNING,
            f"The original, {golden.reference.path}, is a file with quantised weights: what quantisation lost before is not "
            "seen. Make the golden file of the model before it was quantised.",
        )
    ]


def check_answers(
    asked: Answers, decoder: Decoder | None = None, frames: Frames | None = None
) -> list[Finding]:
    """What answers, samples and labels say by themselves, without another look at the model.

    Args:
        asked: what a model answers.
        decoder, frames: of a detector, as a golden file has them.
    """
    findings = [finding for each in asked.each() for finding in check_chance(each)]
    findings += _found_nothing(_detected(asked, decoder, frames))
    findings += check_samples(asked)
    if not any(finding.kind in (CHANCE, MISSING_LABELS) for finding in findings):
        findings += check_unrelated(asked, decoder, frames) or check_parts(asked, decoder, frames)
    return findings


def score_of(golden: Golden) -> str:
    """What the reference scores, in words; empty where nothing tells right from wrong.

    ``"accuracy 95.2 % (95 % interval 92.7 to 97.1)"``
    """
    said = []
    for each in golden.each():
        words = _score_words(
            _detected(golden, golden.decoder, golden.frames) if each is golden else None
        )
        words = words or _score_words(accuracy_figure(each))
        said += [f"{each.task_output}: {words}" if golden.others else words] if words else []
    return ", ".join(said)


def _detected(asked: Answers, decoder: Decoder | None, frames: Frames | None) -> Figure | None:
    """The mean average precision of a detector's own boxes against labels."""
    labels, output = asked.labels, asked.task_output
    if asked.task != DETECTION or decoder is None or labels is None or output is None:
        return None
    (x,) = asked.samples.inputs.values()
    boxes = decoded(decoder, asked.outputs, (x.shape[1], x.shape[2]), frames)
    return precision_figure(boxes, labels, output)


def _found_nothing(figure: Figure | None) -> list[Finding]:
    """A detector that finds next to none of the labelled boxes."""
    if figure is None or figure.value is None or figure.ci95 is None:
        return []
    if figure.ci95[1] >= _NOTHING or (figure.count or 0) < _LEAST:
        return []
    return [
        Finding(
            CHANCE,
            FAIL,
            f"The reference finds next to none of the labelled boxes: its mAP at 0.5 is {100 * figure.value:.1f} % of "
            f"{figure.count} samples. Nothing can be proved with it. Check that boxes are left, top, right and bottom "
            "in pixels of the raw images, that labels number the classes as the model does, and that the "
            "decoder is the model's.",
            (figure,),
        )
    ]


def _score_words(figure: Figure | None) -> str:
    if figure is None or figure.value is None or figure.ci95 is None:
        return ""
    low, high = figure.ci95
    word = figure.name.replace("_", " ")
    if figure.unit != "share":
        return f"{word} {figure.value:.4g} (95 % interval {low:.4g} to {high:.4g})"
    ends = f"{100 * low:.1f} to {100 * high:.1f}"
    return f"{word} {100 * figure.value:.1f} % (95 % interval {ends})"


def check_looks(golden: Golden, seen: Iterable[Seen], file: str | None) -> list[Finding]:
    """A warning for each input whose judged samples are of another kind than `seen`."""
    findings = []
    for each in seen:
        for name, x in drawn_of(usual(golden)).inputs.items():
            profile = _profile(each, name, len(golden.samples.inputs))
            look = profile and compared(profile, np.asarray(x), f"those of the {each.purpose}")
            if not look:
                continue
            words = f"The judged samples do not look like those of the {each.purpose}"
            if look.slip is None:
                text = f"{words}: {look.difference}. Prepare both in the same way."
            else:
                text = (
                    f"{words}, but do with {look.slip.what}: {look.difference}. {look.slip.advice}"
                )
            findings.append(Finding(STATISTICS, WARNING, _of_input(golden, name, text), (), file))
    return findings


def usual(golden: Golden) -> Samples:
    """The samples that should look like those of a training or a calibration: anomalies are meant not to."""
    if golden.task != ANOMALY or golden.labels is None:
        return golden.samples
    return golden.samples[np.flatnonzero(golden.labels.reshape(-1) != 1)]


def _profile(seen: Seen, name: str, inputs: int) -> InputProfile | None:
    """Of an input by name; an only input is known whatever it is called."""
    if name in seen.inputs:
        return seen.inputs[name]
    return next(iter(seen.inputs.values())) if inputs == len(seen.inputs) == 1 else None


def _of_input(golden: Golden, name: str, text: str) -> str:
    return f"Input {name!r}: {text}" if len(golden.samples.inputs) > 1 else text


def _slip(probed: Probed, inputs: int, output: str | None) -> list[Finding]:
    if probed.slip is None or probed.taken_back is None:
        return []
    slip = SLIPS[probed.slip]
    share = probed.figure in SHARES
    before, after = (_shown(x, share) for x in (probed.as_given, probed.taken_back))
    tested = (
        f"on {probed.count} samples that did not choose this of {probed.tried} usual slips"
        if probed.count >= SPLIT // 2
        else f"on {probed.count} samples, which is more than the luck of {probed.tried} usual slips explains"
    )
    which = f" (input {probed.input!r})" if probed.input is not None and inputs > 1 else ""
    return [
        Finding(
            SLIP,
            FAIL,
            f"The reference answers much better with {slip.what}{which}: {probed.figure} {after} in place of {before}, "
            f"{tested}. {slip.advice}",
            tuple(
                Figure(
                    name,
                    "share" if share else "output",
                    HIGHER if share else LOWER,
                    value,
                    count=probed.count,
                    output=output,
                )
                for name, value in (
                    (probed.figure.replace(" ", "_"), probed.as_given),
                    (f"{probed.figure.replace(' ', '_')}_without_slip", probed.taken_back),
                )
            ),
        )
    ]


def _shown(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.4g}"


def _statistics(known: Normalised) -> list[Finding]:
    if 1 / _TIMES <= known.times <= _TIMES and known.shift <= _SHIFT:
        return []
    if known.times > _TIMES:
        many = f"is {known.times:.0f} times larger than"
    elif known.times < 1 / _TIMES:
        many = f"is {1 / max(known.times, 1e-9):.0f} times smaller than"
    else:
        many = f"has a mean {known.shift:.0f} standard deviations away from"
    return [
        Finding(
            STATISTICS,
            WARNING,
            f"What the judged samples make of the input of layer {known.layer!r} {many} what the layer was trained "
            "on. Prepare the samples as in training, such as pixels divided by 255 or not.",
        )
    ]


def _one_cause(findings: list[Finding], *, of_labels: bool) -> list[Finding]:
    """A slip that is named explains the rest: guessing, scores below the training's and, if not of labels, odd statistics."""
    if all(finding.kind != SLIP for finding in findings):
        return findings
    explained = (CHANCE, PART, TRAINED) if of_labels else (CHANCE, PART, TRAINED, STATISTICS)
    return [each for each in findings if each.kind not in explained]
