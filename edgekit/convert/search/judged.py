"""Judged: what each file that was made costs, and how it answers on samples it was not searched with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.artifact import OBJECT, Artifact
from edgekit.convert.finish import Result
from edgekit.convert.order import Order
from edgekit.convert.search.goal import Goal
from edgekit.convert.search.walk import Step
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate
from edgekit.drift.compare import compare
from edgekit.drift.figure import OF_THE_FILE
from edgekit.drift.golden import Golden
from edgekit.drift.verdict import judge
from edgekit.errors import ArtifactError, UsageError
from edgekit.files import compressed_size
from edgekit.formats.metadata import Metadata
from edgekit.manifest import TriedFile
from edgekit.runtime import load as load_runner
from edgekit.runtime.benchmark import benchmark
from edgekit.runtime.runner import Runner
from edgekit.samples import Samples
from edgekit.samples.prepare import prepared

# How long each file is timed, in turns with the others.
_SECONDS = 1.0


@dataclass(frozen=True)
class Tried:
    """A file that was made.

    Attributes:
        result: what became of it, its entry in the manifest included.
        compressed_size_bytes: packed by xz.
        p50_ms: None where it was not timed.
        searched_db: how well it follows on the samples of the search; infinite where it answers the same.
        candidate: its comparison on the samples that judge.
        left: operators that the search left in float.
        predicted_db: of a mixed file.
    """

    result: Result
    compressed_size_bytes: int
    p50_ms: float | None
    searched_db: float
    candidate: Candidate
    left: tuple[str, ...] = ()
    predicted_db: float | None = None

    @property
    def name(self) -> str:
        assert self.result.file is not None, "what was not made is not tried"
        return self.result.file.artifact.name

    def cost(self, minimise: str) -> float:
        """What is minimised, of `edgekit.recipe.MINIMISED`."""
        assert self.result.file is not None, "what was not made is not tried"
        if minimise == "latency":
            return self.p50_ms or 0.0
        packed = minimise == "packed"
        return self.compressed_size_bytes if packed else self.result.file.artifact.size_bytes

    def fits(self, budget: DriftBudget) -> bool:
        """Whether the file keeps every limit on itself, such as its size: no sample has a part in that."""
        limits = [limit for limit in budget.all_limits if limit.figure in OF_THE_FILE]
        return all(
            judge(limit, figure).verdict == "pass"
            for limit in limits
            for figure in self.candidate.figures
            if figure.name == limit.figure
        )

    def step(self, minimise: str) -> Step:
        return Step(self.name, self.searched_db, self.cost(minimise))

    def record(self, chosen: bool) -> TriedFile:
        """As the manifest has it."""
        assert self.result.file is not None, "what was not made is not tried"
        artifact, task = self.result.file.artifact, self.candidate.task
        return TriedFile(
            name=artifact.name,
            scheme=artifact.scheme or "",
            left_in_float=list(self.left),
            size_bytes=artifact.size_bytes,
            compressed_size_bytes=self.compressed_size_bytes,
            p50_ms=self.p50_ms,
            predicted_db=self.predicted_db,
            searched_db=_finite(self.searched_db),
            verdict=self.candidate.verdict,
            reasons=list(self.candidate.reasons),
            accuracy=self.candidate.accuracy,
            drop=self.candidate.drop,
            drop_ci95=list(task.drop_ci95) if task.drop_ci95 else None,
            agreement=self.candidate.agreement,
            sqnr_db=_finite(self.candidate.sqnr_db),
            chosen=chosen,
        )


def goldens(order: Order, parts: Sequence[Samples]) -> list[Golden]:
    """What the original model answers to each part of the raw samples.

    Raises:
        EdgekitError: as `edgekit.drift.golden.Golden.of`.
    """
    with _original(order) as runner:
        asked = runner
        if order.recipe.signature is not None:
            asked = runner.with_signature(order.recipe.signature)
        own = Metadata(preprocessing=order.recipe.preprocessing)
        if own.preprocessing and asked.metadata.preprocessing:
            raise UsageError(
                "preprocessing: received steps beside a model that has some of its own, expected one of "
                "them: the files that are searched for are judged beside the model. Export without a budget, "
                "and compare with a golden file."
            )
        known = own.for_inputs([spec.name for spec in asked.inputs])
        return [Golden.of(asked, prepared(part, known)) for part in parts]


def _original(order: Order) -> Runner:
    options: dict[str, Any] = {"trust_code": order.trust_code, "imports": order.recipe.imports}
    if order.source is not None and order.origin.format == OBJECT:
        return load_runner(order.source.artifact.model)  # type: ignore[attr-defined]
    return load_runner(order.origin.path, **options)


def tried(
    folder: Path,
    results: Sequence[Result],
    goal: Goal,
    searched: Golden,
    judging: Golden,
    notes: Mapping[str, tuple[tuple[str, ...], float]],
    progress: Any = None,
) -> tuple[list[Tried], list[str]]:
    """Compare, pack and time every file that was made.

    Args:
        folder: where the files are.
        results: of the files that were made.
        goal: what they are judged by.
        searched: the original's answers to the samples of the search.
        judging: those to the others.
        notes: of mixed files by name, what is left in float and the predicted SQNR in dB.
        progress: called with a line of text for each step.

    Returns:
        The files, and for each that could not be judged its name and why.
    """
    files = {str(folder / each.file.artifact.name): each for each in results if each.file}
    if not files:
        raise ArtifactError("no file was made that could be judged.")
    drift = compare(judging, list(files), goal.budget, progress)
    before = {c.artifact.file: c for c in compare(searched, list(files)).candidates}
    p50: dict[str, float] = {}
    if goal.minimise == "latency":
        timed = benchmark([c.artifact.file for c in drift.candidates], seconds=_SECONDS)
        p50 = {run.artifact.file: run.latency.p50_ms for run in timed.runs}
    found = []
    for candidate in drift.candidates:
        path = candidate.artifact.file
        earlier = before.get(path)
        left, predicted = notes.get(Path(path).name, ((), None))
        found.append(
            Tried(
                files[path],
                compressed_size(Path(path).read_bytes()),
                p50.get(path),
                _exactness(earlier),
                candidate,
                left,
                predicted,
            )
        )
    return found, [f"{Path(row.path).name}: {row.reason}" for row in drift.failed]


def _exactness(candidate: Candidate | None) -> float:
    """The SQNR of the worst output; minus infinity where there is none."""
    level = candidate.sqnr_db if candidate else None
    return float("-inf") if level is None else level


def _finite(value: float | None) -> float | None:
    return value if value is not None and abs(value) < 1e9 else None


def renamed(result: Result, path: Path) -> Result:
    """A file's result under the name that it is written with."""
    assert result.file is not None, "what was not made is not renamed"
    artifact = result.file.artifact
    artifact = Artifact(str(path), artifact.format, artifact.scheme).recorded(path.name)
    return replace(result, file=replace(result.file, artifact=artifact))
