"""Heal: a better file in the place of a quantised one that others made, if there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgekit
from edgekit.artifact import Artifact
from edgekit.diagnose.decibels import decibels
from edgekit.diagnose.effects import output_noise
from edgekit.diagnose.heal.remedies import REMEDIES, Patient, failure
from edgekit.diagnose.network import Array
from edgekit.diagnose.opening import check_float, open_network
from edgekit.document.healing import Healing, Measured, Remedy
from edgekit.errors import EdgekitError, UsageError
from edgekit.files import atomic
from edgekit.metrics import distances
from edgekit.runtime.benchmark import benchmark
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared
from edgekit.samples.profile import hashes_of
from edgekit.scratch import scratch_folder

# What the held-out and the judged samples have to gain, as a factor of noise: half a decibel.
_GAIN = 10**-0.05
# The share of calibration samples that chooses, and the most of them that do.
_HELD, _MOST = 0.25, 200
_SECONDS = 0.5


@dataclass(frozen=True)
class Healed:
    """What came of it.

    Attributes:
        healing: the document.
        content: the better file; None where there is none.
    """

    healing: Healing
    content: bytes | None


def heal(
    plain: Runner,
    file: Runner,
    calibration: Samples,
    samples: Samples,
    out: str | os.PathLike[str],
    progress: Callable[[str], None] | None = None,
    verify: bool = True,
) -> Healing:
    """Mend a quantised TFLite file, and write it if it follows the float file better.

    Remedies are tried one after the other; each is kept if it helps on a quarter of the calibration samples
    that it did not see. What is best then is judged on `samples`.

    Args:
        plain: the float file.
        file: the quantised file of the same model.
        calibration: raw samples to find ranges, to fit, and to choose with.
        samples: other raw samples, to judge by; with labels the accuracy is told.
        out: where the better file goes.
        progress: called with a line of text for each remedy.
        verify: try files in a child process first.

    Raises:
        UsageError: one is no TFLite file, the float file is none, or there are fewer than 8 calibration samples.
        ArtifactError: a file cannot be run.
        TensorError: the samples do not fit.
    """
    for runner in (plain, file):
        if runner.artifact.format != "tflite":
            raise UsageError(
                f"{runner.artifact.file}: received a file in {runner.artifact.format}, expected a .tflite file. "
                "Export the model again for other formats: edgekit export."
            )
    check_float(open_network(os.fspath(plain.artifact)))
    if len(calibration) < 8:
        raise UsageError(
            f"heal: received {len(calibration)} calibration samples, expected at least 8, of which a quarter chooses."
        )
    order = np.random.default_rng(0).permutation(len(calibration))
    held = min(_MOST, max(2, int(len(calibration) * _HELD)))
    fit, chosen = calibration[np.sort(order[held:])], calibration[np.sort(order[:held])]
    patient = Patient(
        Path(plain.artifact).read_bytes(),
        prepared(fit, plain.metadata, plain.inputs).read(),
        prepared(fit, file.metadata, file.inputs).read(),
        file.inputs[0].dtype if file.inputs[0].dtype in ("int8", "uint8") else "float32",
    )
    wanted = _answers(plain, chosen)
    best = start = Path(file.artifact).read_bytes()
    level = _lost(wanted, _answers(file, chosen))
    remedies = []
    with scratch_folder() as (folder, _):
        for number, (name, change) in enumerate(REMEDIES):
            if progress is not None:
                progress(f"trying: {name}")
            try:
                content = change(best, patient)
                path = folder / f"{number}.tflite"
                path.write_bytes(content)
                with edgekit.load(path, verify=verify) as runner:
                    after = _lost(wanted, _renamed(_answers(runner, chosen), wanted))
            except (EdgekitError, RuntimeError, ValueError) as error:
                remedies.append(Remedy(name, False, decibels(level), None, failure(error)))
                continue
            kept = after < level * _GAIN
            remedies.append(Remedy(name, kept, decibels(level), decibels(after)))
            if kept:
                best, level = content, after
        path = folder / "best.tflite"
        path.write_bytes(best)
        with edgekit.load(path, verify=verify) as runner:
            before, after_all, better = _judged(plain, file, runner, samples, changed=best != start)
    healed = None
    if better:
        with atomic(out) as temporary:
            temporary.write_bytes(best)
        healed = Artifact.of(out).recorded()
    return Healing(
        reference=plain.artifact.file,
        file=file.artifact.recorded(),
        healed=healed,
        calibration=len(calibration),
        samples=len(samples),
        remedies=tuple(remedies),
        before=before,
        after=after_all if better else None,
        warnings=tuple(_shared(calibration, samples)),
    )


def _shared(calibration: Samples, samples: Samples) -> Iterator[str]:
    """A warning where samples that chose the remedies judge them too."""
    served = set(hashes_of(calibration))
    both = sum(mark in served for mark in hashes_of(samples))
    # One may be a blank picture, or silence.
    if both > 1:
        yield (
            f"{both} of the {len(samples)} samples that judged the file are calibration samples too, by which remedies were "
            "found and chosen: on others it may be worse. Give --samples that served for nothing else."
        )


def _judged(
    plain: Runner, file: Runner, other: Runner, samples: Samples, *, changed: bool
) -> tuple[Measured, Measured, bool]:
    """Both files on samples that chose nothing, and whether the other one is better."""
    wanted = _answers(plain, samples)
    given = [_answers(file, samples), _renamed(_answers(other, samples), wanted)]
    lost = [_lost(wanted, answers) for answers in given]
    times = [run.latency.p50_ms for run in benchmark([file, other], seconds=_SECONDS).runs]
    rows = [
        _measured(wanted, answers, level, runner, time, samples)
        for answers, level, runner, time in zip(given, lost, (file, other), times, strict=True)
    ]
    kept = [1.0 if row.agreement is None else row.agreement for row in rows]
    return rows[0], rows[1], changed and lost[1] < lost[0] * _GAIN and kept[1] >= kept[0]


def _measured(
    wanted: Mapping[str, Array],
    answers: Mapping[str, Array],
    lost: float,
    runner: Runner,
    time: float | None,
    samples: Samples,
) -> Measured:
    agreement = accuracy = drop = None
    name, x = next(iter(wanted.items()))
    if len(wanted) == 1 and x.ndim == 2 and x.shape[1] > 1 and np.isfinite(answers[name]).all():
        theirs, ours = (distances.predicted_classes(each) for each in (x, answers[name]))
        agreement = distances.agreement(theirs, ours)
        labels = samples.class_labels
        if labels is not None and len(labels) == len(ours):
            accuracy = distances.accuracy(ours, labels)
            drop = distances.accuracy(theirs, labels) - accuracy
    size = Path(runner.artifact).stat().st_size
    return Measured(decibels(lost), agreement, accuracy, drop, size, time)


def _answers(runner: Runner, samples: Samples) -> dict[str, Array]:
    ready = prepared(samples, runner.metadata, runner.inputs)
    return dict(runner.infer_batch(ready.inputs))


def _renamed(answers: Mapping[str, Array], wanted: Mapping[str, Any]) -> dict[str, Array]:
    """Answers under the float file's names: by name, else by their order."""
    if set(answers) == set(wanted):
        return dict(answers)
    return dict(zip(wanted, answers.values(), strict=False))


def _lost(wanted: Mapping[str, Array], answers: Mapping[str, Array]) -> float:
    return max(_pairs(wanted, answers), default=float("inf"))


def _pairs(wanted: Mapping[str, Array], answers: Mapping[str, Array]) -> Iterator[float]:
    named = _renamed(answers, wanted)
    for name, x in wanted.items():
        yield output_noise([x], [named[name]], "tflite")
