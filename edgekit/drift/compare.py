"""Compare: ask candidates what the golden asked the original model, and say how far they drift."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from numbers import Real
from pathlib import Path
from threading import Event
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.artifact import told_apart
from edgekit.detection import Boxes, Decoder
from edgekit.drift import columns
from edgekit.drift.asking import answers_to, one_ahead
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate, OutputDrift
from edgekit.drift.drift import Drift, Failure
from edgekit.drift.evidence import evidence
from edgekit.drift.figure import Figure
from edgekit.drift.file_figures import file_figures
from edgekit.drift.golden import Golden, as_golden
from edgekit.drift.machine import Machine
from edgekit.drift.matching import outputs_for, samples_for
from edgekit.drift.reference import ComparedReference
from edgekit.drift.setup.asked import Asked
from edgekit.drift.setup.check import check_setup
from edgekit.drift.setup.verdict import with_setup
from edgekit.drift.task import measure_task, reference_accuracy
from edgekit.drift.tasks.detection import decoded, detection_figures
from edgekit.drift.tasks.figures import task_figures
from edgekit.errors import (
    DocumentError,
    EdgekitError,
    TensorError,
    UsageError,
    check_progress,
    check_type,
    nearest,
)
from edgekit.metrics import distances
from edgekit.metrics.fidelity import sums_to_one
from edgekit.runtime.bench import Bench
from edgekit.runtime.opening import RunnerLike, opened, several
from edgekit.runtime.runner import Runner
from edgekit.samples import save_npz
from edgekit.tasks import ANY_OUTPUT, CLASSIFICATION, DETECTION, MULTI_LABEL, UNLABELLED


def compare(
    golden: Golden | str | os.PathLike[str],
    models: RunnerLike | Iterable[RunnerLike],
    budget: DriftBudget | None = None,
    progress: Callable[[str], None] | None = None,
    names: Mapping[str, str] | None = None,
    bench: Bench | str | os.PathLike[str] | None = None,
    slices: Iterable[str] = (),
    allow_setup: bool = False,
    thresholds: Mapping[str, float] | float | None = None,
    answers: str | os.PathLike[str] | None = None,
) -> Drift:
    """Ask each model the golden's samples and measure how its answers differ.

    Inputs and outputs are matched by name; a single output is matched whatever it is called, and
    inputs of other names where their shapes leave one way.
    A candidate whose answers are not all finite fails, budget or none. One that cannot be judged is
    listed with its reason if others can. A reference or a file that proves nothing, such as one that
    answers no better than guessing, fails whatever the budget (`edgekit.drift.setup`).

    Args:
        golden: what the original model answers, or the path of such a file.
        models: one or more, each a path, a Keras model object, or a runner, which is not closed; what
            `edgekit.export` returns will do.
        budget: limits to judge by; without them verdicts are ``"none"``.
        progress: called with a line of text for each model.
        bench: latencies and memory of the same files, for limits on them; or the path of its JSON.
        names: the models' own name for an input or output of the original's.
        slices: columns of the golden; the task's figures are given for each of their values too, as they
            are for those that a limit names.
        allow_setup: let such a set-up be; it is warned of.
        thresholds: the score above which an answer is believed on the device, by output or one for all: how many
            decisions change there, and the F1 of a yes or no.
        answers: a folder, in which each model's answers are kept in a file of its name and ``.npz``: an array
            for each output, as the golden calls it.

    Raises:
        UsageError: an argument is none of these, there is no model, or a limit cannot be judged with
            this golden.
        DocumentError: no file was exported for this golden file, or `golden` cannot be read.
        TensorError: no model has the inputs and outputs of the reference.
        ArtifactError: no model can be loaded or run.
    """
    check_progress(progress)
    golden = as_golden(golden)
    budget = DriftBudget() if budget is None else budget
    check_type("budget", budget, DriftBudget, "an edgekit.DriftBudget")
    names = {} if names is None else names
    check_type(
        "names", names, Mapping, "the models' own names by the original's: {'image': 'input_1'}"
    )
    if isinstance(slices, str):
        raise UsageError(f"slices: received str, expected a list of columns: [{slices!r}].")
    check_type("slices", slices, Iterable, "a list of columns")
    bench = Bench.load(bench) if isinstance(bench, (str, os.PathLike)) else bench
    check_type("bench", bench, (Bench, NoneType), "edgekit.Bench or the path of its JSON")
    if answers is not None:
        check_type("answers", answers, (str, os.PathLike), "the path of a folder")
    budget.check(golden)
    limits = _thresholds(thresholds, golden)
    groups = columns.slices(golden.columns, (*slices, *budget.columns))
    given = several(models)
    if not given:
        raise UsageError("compare: received no model, expected at least one.")
    candidates, asked, failed, first = [], [], [], None
    shown = told_apart([_file(model) for model in given])

    def work(model: RunnerLike, stop: Event) -> _Answered:
        with opened(model) as runner:
            return _Answered.of(golden, runner, names, stop)

    with closing(one_ahead(work, given)) as answered:
        for number, found in enumerate(answered, start=1):
            if progress is not None:
                progress(f"comparing {number}/{len(given)}: {shown[number - 1]}")
            try:
                given_back = found()
                if answers is not None:
                    _keep(given_back, Path(answers))
                candidate, own = _candidate(golden, given_back, budget, bench, groups, limits)
                candidates.append(candidate)
                asked.append(own)
            except UsageError:
                raise
            except EdgekitError as error:
                first = first or error
                failed.append(Failure(_file(given[number - 1]), str(error)))
    if first and not candidates:
        raise first
    reference = ComparedReference(
        **vars(golden.reference),
        accuracy=reference_accuracy(golden),
        samples=len(golden.samples),
        golden_sha256=golden.sha256,
    )
    setup = check_setup(golden, asked, budget.all_limits)
    judged = tuple(with_setup(candidate, setup, allow=allow_setup) for candidate in candidates)
    return Drift(reference, budget, judged, tuple(failed), setup, limits, Machine.this())


def _keep(found: _Answered, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_npz(answers_file(folder, found.runner.artifact.name), found.answers)


def answers_file(folder: Path, name: str) -> Path:
    """Where the answers of a file of that name are kept."""
    return folder / f"{name}.npz"


def _thresholds(given: Mapping[str, float] | float | None, golden: Golden) -> dict[str, float]:
    """By output, checked; `ANY_OUTPUT` for every other."""
    if given is None:
        return {}
    found = dict(given) if isinstance(given, Mapping) else {ANY_OUTPUT: given}
    if not found:
        return {}
    for output, value in found.items():
        if output not in (ANY_OUTPUT, *golden.outputs):
            raise UsageError(
                f"threshold: received output {output!r}, expected one of "
                f"{', '.join(map(repr, golden.outputs))}.{nearest(output, golden.outputs)}"
            )
        check_type("threshold", value, Real, "a number")
        if not math.isfinite(value):
            raise UsageError(f"threshold: received {value!r}, expected a finite number.")
    decided = (CLASSIFICATION, MULTI_LABEL, UNLABELLED)
    deciding = {each.task_output for each in golden.each() if each.task in decided} - {None}
    if not deciding:
        raise UsageError(
            "threshold: received one, and no output of the golden makes decisions by a score: its task is "
            f"{golden.task}."
        )
    for output, value in found.items():
        if output not in (ANY_OUTPUT, *deciding):
            raise UsageError(
                f"threshold: received output {output!r}, which makes no decisions by a score, expected one of "
                f"{', '.join(sorted(repr(name) for name in deciding))}."
            )
        for name in deciding if output == ANY_OUTPUT else (output,):
            scores = golden.outputs[name or ""]
            shares = scores.size and scores.min() >= 0 and scores.max() <= 1
            if shares and not 0 <= value < 1:
                raise UsageError(
                    f"threshold: received {value:g}, and the scores of {name!r} are shares, expected at least 0 and "
                    "below 1: no decision could change there."
                )
    return {output: float(value) for output, value in found.items()}


def _file(model: RunnerLike) -> str:
    """What a model is called: its path, or the name of an object."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    artifact = getattr(model, "artifact", None)
    return str(artifact.file if artifact else getattr(model, "name", type(model).__name__))


class _Answered(NamedTuple):
    """What a file answered.

    Attributes:
        runner: of the file, which may be closed by now.
        names: the file's own name for each of the reference's outputs.
        answers: by the reference's names, in the shapes of the reference's.
    """

    runner: Runner
    names: Mapping[str, str]
    answers: Mapping[str, Any]

    @classmethod
    def of(
        cls, golden: Golden, runner: Runner, renamed: Mapping[str, str], stop: Event
    ) -> _Answered:
        """Ask the file all samples.

        Raises:
            DocumentError, TensorError, ArtifactError: as `compare`.
        """
        _check_golden(golden, runner)
        names = outputs_for(golden, runner, renamed)
        samples = samples_for(golden, runner, renamed)
        raw = answers_to(runner, samples.inputs, stop)
        answers = {name: raw[names[name]] for name in golden.outputs}
        for name, answer in answers.items():
            expected = golden.outputs[name].shape
            if answer.shape != expected:
                raise TensorError(
                    f"{runner.artifact.name}: output {names[name]!r}: received shape "
                    f"{list(answer.shape)}, expected {list(expected)}, that of the reference."
                )
        return cls(runner, names, answers)


def _candidate(
    golden: Golden,
    found: _Answered,
    budget: DriftBudget,
    bench: Bench | None,
    slices: Mapping[str, NDArray[np.bool_]],
    thresholds: Mapping[str, float],
) -> tuple[Candidate, Asked]:
    runner, names, answers = found
    broken = []
    for name, answer in answers.items():
        if problem := distances.non_finite(answer):
            broken.append((name, f"Output {names[name]!r}: {problem}."))
    # What is not finite has no distance: such an output, and a task that reads it, stay unmeasured.
    unmeasured = {name for name, _ in broken}
    task_answer = (
        None if golden.task_output in unmeasured else answers.get(golden.task_output or "")
    )
    finite = {name: answer for name, answer in answers.items() if name not in unmeasured}
    of_task = [
        figure
        for each in golden.each()
        for figure in task_figures(
            each,
            finite.get(each.task_output or ""),
            slices,
            thresholds.get(each.task_output or "", thresholds.get(ANY_OUTPUT)),
        )
    ]
    candidate = Candidate(
        artifact=runner.artifact.recorded(),
        backend=runner.backend,
        outputs=tuple(
            OutputDrift(name)
            if name in unmeasured
            else OutputDrift.of(name, golden.outputs[name], answer)
            for name, answer in answers.items()
        ),
        task=measure_task(golden, task_answer, of_task),
        evidence=evidence(golden, finite),
    )
    figures = [f for output in candidate.outputs for f in output.figures(len(golden.samples))]
    figures += [
        *of_task,
        *_boxes(golden, found, finite),
        *file_figures(runner.artifact, budget, bench),
    ]
    candidate = replace(candidate, figures=tuple(figures))
    asked = Asked.of(golden, candidate.artifact.file, runner, finite)
    died, noted = _dead(candidate, golden, budget)
    candidate = replace(candidate, warnings=(*candidate.warnings, *noted))
    if broken or died:
        said = (*(text for _, text in broken), *died)
        return replace(candidate, verdict="fail", reasons=said), asked
    verdict, reasons = budget.judge(candidate)
    return replace(candidate, verdict=verdict, reasons=tuple(reasons)), asked


def _boxes(golden: Golden, found: _Answered, answers: Mapping[str, NDArray[Any]]) -> list[Figure]:
    """The boxes of a detector, by the decoder of its file, else the golden's; nothing of every other file.

    Args:
        answers: the finite ones, by the reference's names.
    """
    own, theirs = found.runner.metadata.decoder, golden.decoder
    inputs = list(golden.samples.inputs.values())
    if not (own or theirs) or len(inputs) != 1 or len(answers) < len(golden.outputs):
        return []
    if inputs[0].ndim != 4:
        return []

    def read(outputs: Mapping[str, Any], decoder: Decoder | None) -> list[Boxes]:
        if decoder is not None:
            return decoded(decoder, outputs, golden.seen, golden.frames)
        assert own is not None, "one of both has one"
        named = {found.names[name]: x for name, x in outputs.items()}
        return decoded(own, named, golden.seen, golden.frames)

    labelled = golden.task == DETECTION
    return detection_figures(
        read(golden.outputs, theirs),
        read(answers, None if own else theirs),
        golden.labels if labelled else None,
        golden.task_output if labelled else None,
    )


def _dead(candidate: Candidate, golden: Golden, budget: DriftBudget) -> tuple[list[str], list[str]]:
    """What makes a file fail whatever the budget, and what to warn of.

    A channel that died lost what it had to tell, however good the whole output looks. Of a softmax a rare
    class may do so; and whoever limits their number has decided.
    """
    died: list[str] = []
    noted: list[str] = []
    limited = any(limit.figure == "dead_channels" for limit in budget.limits)
    for output in candidate.outputs:
        if output.channels is None or not output.channels.dead_count:
            continue
        text = (
            f"Output {output.name!r}: {output.channels.in_words} of {output.channels.count} moved in the "
            "reference and gave one value in the file: dead."
        )
        mild = limited or sums_to_one(golden.outputs[output.name])
        (noted if mild else died).append(text)
    return died, noted


def _check_golden(golden: Golden, runner: Runner) -> None:
    """Refuse another golden than the file names as its own: the proof that was meant is another."""
    known = runner.metadata
    if golden.sha256 and known.golden_sha256 not in (None, golden.sha256):
        raise DocumentError(
            f"{runner.artifact.name}: was exported for the golden file with sha256 "
            f"{known.golden_sha256}, received one with {golden.sha256}. Give that golden file, or "
            "export for this one (--golden) or for none."
        )
