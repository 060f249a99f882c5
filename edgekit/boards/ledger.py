"""The ledger: every file on every machine and interpreter, and what the answers come to side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.boards.deploy import Setup, board_folder, run_on
from edgekit.boards.job import Work
from edgekit.boards.machines import setup_for
from edgekit.boards.outcome import BoardRun, Step
from edgekit.boards.runtimes import CellWork, Runtime, fetched
from edgekit.drift.candidate import Candidate
from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.drift.ledger import Cell, Ledger
from edgekit.drift.reference import ComparedReference
from edgekit.drift.task import measure_task, reference_accuracy
from edgekit.errors import BUDGET_EXCEEDED, INCONCLUSIVE, EdgekitError
from edgekit.metrics import distances

Tell = Callable[[str], None]
Answers = dict[str, NDArray[Any]]

_CODES = {"fail": BUDGET_EXCEEDED, "inconclusive": INCONCLUSIVE}
# An integer output of 8 bits has as many values; as floats they differ by a rounding.
_LEVELS, _EVEN = 256, 0.01


def ledger(
    work: Work,
    golden: Golden,
    setups: Mapping[str, Setup],
    failed: Mapping[str, EdgekitError],
    names: Sequence[str],
    runtimes: Sequence[Runtime],
    out: Path,
    tell: Tell,
    words: tuple[str, ...] = (),
) -> Ledger:
    """Ask every file on each machine with each interpreter that runs files of its kind.

    Args:
        work: the files, the golden file and the budget.
        golden: what that file holds.
        setups: how each machine is reached, by name.
        failed: why one cannot be reached, by name.
        names: of all machines, in the order of the table.
        out: a folder for what is fetched.
        words: for every ``edgekit compare``.
    """
    asked: dict[tuple[str, str, str], _Asked] = {}
    for runtime in runtimes:
        own = CellWork.of(work, runtime, words)
        if own is None:
            continue
        tell(f"interpreter: {runtime.name}")
        folder = out / runtime.name
        how = {name: setup_for(setup, runtime) for name, setup in setups.items()}
        runs = run_on(list(how), own, folder, Setup(), tell, how) if how else []
        by_name = {run.host: run for run in runs}
        for name in names:
            for path in own.files:
                place = folder / board_folder(name)
                asked[path.name, name, runtime.name] = _Asked(
                    by_name.get(name), failed.get(name), place, path.name
                )
    cells = []
    for path in work.files:
        mine = {key: one for key, one in asked.items() if key[0] == path.name}
        ordered = sorted(mine, key=lambda key: names.index(key[1]))
        cells += _cells(golden, [(key, mine[key]) for key in ordered])
    reference = ComparedReference(
        **vars(golden.reference),
        accuracy=reference_accuracy(golden),
        samples=len(golden.samples),
        golden_sha256=golden.sha256,
    )
    files = tuple(Artifact.of(path).recorded() for path in work.files)
    return Ledger(reference, work.budget, files, tuple(cells))


class _Asked:
    """What came back of one file from one machine and interpreter."""

    def __init__(
        self, run: BoardRun | None, error: EdgekitError | None, folder: Path, name: str
    ) -> None:
        self.run, self.error = run, error
        self.candidate: Candidate | None = None
        self.answers: Answers = {}
        self._name = name
        drift, answers = fetched(folder, name)
        if drift.exists() and answers.exists():
            found = document.load(drift)
            if isinstance(found, Drift):
                (self.candidate,) = found.candidates
                with np.load(answers, allow_pickle=False) as archive:
                    self.answers = {key: archive[key] for key in archive.files}

    @property
    def system(self) -> str | None:
        kind = self.run.kind if self.run else None
        if kind is None:
            return None
        emulated = ", emulated" if kind.emulated else ""
        return f"{kind.machine}, Python {kind.python}, {kind.libc}{emulated}"

    def why_not(self) -> tuple[str, int]:
        """Why the file did not run, and the exit code of that."""
        if self.error is not None:
            return str(self.error), self.error.exit_code
        assert self.run is not None, "it failed, or it was run"
        steps = [step for step in self.run.steps if step.name == self._name]
        if steps:
            return _of_step(steps[-1]), EdgekitError.exit_code
        failure = self.run.failure or "nothing came back"
        said = failure.removeprefix(f"{self.run.host}: ")
        return said, 0 if self.run.no_wheel else (self.run.exit_code or EdgekitError.exit_code)


def _of_step(step: Step) -> str:
    said = (step.said or "").removeprefix("edgekit: ").strip()
    if step.code >= 0:
        return said or step.ended
    return f"{step.ended} ended the interpreter"


def _cells(golden: Golden, asked: Sequence[tuple[tuple[str, str, str], _Asked]]) -> list[Cell]:
    """The cells of one file."""
    ran = [one for _, one in asked if one.candidate is not None]
    steps = {
        output: step_of([one.answers[output] for one in ran if output in one.answers])
        for output in golden.outputs
    }
    cells = []
    for (file, machine, runtime), one in asked:
        cells.append(
            _cell(golden, ran[0].answers if ran else {}, steps, one, file, machine, runtime)
        )
    return cells


def _cell(
    golden: Golden,
    first: Answers,
    steps: Mapping[str, float | None],
    asked: _Asked,
    file: str,
    machine: str,
    runtime: str,
) -> Cell:
    candidate = asked.candidate
    if candidate is None:
        reason, code = asked.why_not()
        # The row names the machine; several may have the same reason.
        reason = reason.removeprefix(f"{machine}: ").removeprefix(f"{machine} ")
        return Cell.that_did_not_run(file, machine, runtime, asked.system, reason, code)
    flips, largest, most = _beside(golden, first, asked.answers, steps)
    far = [output.max_abs for output in candidate.outputs]
    return Cell(
        file,
        machine,
        runtime,
        asked.system,
        candidate.backend,
        candidate.verdict,
        candidate.reasons,
        candidate.task.flips,
        None if None in far else max(x for x in far if x is not None),
        flips,
        largest,
        most,
        _CODES.get(candidate.verdict, 0),
    )


def _beside(
    golden: Golden, first: Answers, answers: Answers, steps: Mapping[str, float | None]
) -> tuple[int | None, float | None, float | None]:
    """Flips, the largest distance, and that in steps, from the first cell's answers; None where there are none."""
    every = [*first.values(), *answers.values()]
    if any(distances.non_finite(x) for x in every):
        return None, None, None
    task = golden.task_output
    flips = None
    if task is not None:
        # The first one's answers in place of the original's: what is counted is the same.
        flips = measure_task(replace(golden, outputs=first), answers[task], ()).flips
    far = {
        name: float(np.abs(x.astype(np.float64) - first[name].astype(np.float64)).max())
        for name, x in answers.items()
    }
    in_steps = [
        round(distance / step) if (step := steps[name]) else None for name, distance in far.items()
    ]
    most = None if None in in_steps else max(x for x in in_steps if x is not None)
    return flips, max(far.values()), most


def step_of(answers: Sequence[NDArray[Any]]) -> float | None:
    """The distance of neighbouring values of an output of 8-bit integers, as floats.

    The least distance between two values that occur, where no more than 256 do and all others lie whole steps
    apart; None where they do not.
    """
    if not answers:
        return None
    values = np.unique(np.concatenate([np.unique(x) for x in answers]).astype(np.float64))
    if not 1 < len(values) <= _LEVELS or not np.isfinite(values).all():
        return None
    # Interpreters multiply in other orders: the same integer may come as two neighbouring floats.
    span = values[-1] - values[0]
    gaps = np.diff(values)
    places = np.rint((values - values[0]) / gaps[gaps > span * 1e-6].min())
    step = float(span / places[-1])
    away = np.abs(values - values[0] - places * step).max()
    return step if away <= _EVEN * step and places[-1] < _LEVELS else None
