"""Run: every file of a search made, judged, and the best written beside a manifest that names them all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from edgekit.artifact import FORMATS
from edgekit.calibration.alone import Losses
from edgekit.convert.finish import Result
from edgekit.convert.job import Job
from edgekit.convert.making import Search
from edgekit.convert.order import Order
from edgekit.convert.produce import Progress, Speaker, made
from edgekit.convert.search.candidates import Planned, lefts, mixed_files, whole_files
from edgekit.convert.search.goal import Goal, divided
from edgekit.convert.search.judged import Tried, goldens, renamed, tried
from edgekit.convert.search.walk import in_order, taken
from edgekit.convert.variant import Wanted
from edgekit.drift.golden import Golden
from edgekit.errors import BudgetError, ExportError, UndecidedError
from edgekit.files import compressed_size
from edgekit.manifest import SearchRecord
from edgekit.samples import Samples
from edgekit.solver.costs import shipped

# Samples that operators are measured on one by one: means of squares need no more.
_MEASURED_ON = 64
_TABLE = "shipped table: {}"
_MEASURED = "operators timed one by one on this machine"


def search(
    job: Job,
    goal: Goal,
    samples: Samples,
    folder: Path,
    *,
    verbose: bool = False,
    progress: Progress | None = None,
) -> dict[Wanted, Result]:
    """Make the best file of each format in `folder`.

    Args:
        job: what is made of what; its order names the files that may come of it.
        goal: what is searched for.
        samples: raw and labelled; some are searched with, the others judge.
        folder: an empty one.
        verbose: let through what the libraries below write to stdout and stderr.
        progress: called with a line of text for each step.

    Returns:
        For each format the file, under its own name, and its entry in the manifest.

    Raises:
        BudgetError: no file of a format meets the budget; `UndecidedError` where the samples are too few.
        EdgekitError: as `edgekit.export`.
    """
    say = Speaker(progress)
    searched, judging = divided(samples, job.order.recipe.seed)
    say.line(f"search with {len(searched)} samples, judge by {len(judging)} others")
    asked = goldens(job.order, [searched, judging])
    goal.budget.check(asked[1])
    work = _Work(job.order, goal, folder, say)
    few = Search(searched.subset(_MEASURED_ON, job.order.recipe.seed), work.then)
    start = perf_counter()
    with closing(made(job, work.first, folder, verbose, say.line, few)) as files:
        for file, result in files:
            work.results[file] = result
            size = result.file and f"{result.file.artifact.size_bytes / 1000:.1f} KB"
            say.line(
                f"{file.name}: {size} after {perf_counter() - start:.1f} s"
                if size
                else f"{file.name}: not made, {result.reason}"
            )
    return {
        file: result
        for format in dict.fromkeys(file.format for file in job.order.files)
        for file, result in [work.best(format, *asked)]
    }


class _Work:
    """Files made so far, and what follows from them."""

    def __init__(self, order: Order, goal: Goal, folder: Path, say: Speaker) -> None:
        self.results: dict[Wanted, Result] = {}
        self._order, self._goal, self._folder, self._say = order, goal, folder, say
        self._planned: dict[str, Planned] = {}
        self._costs: dict[str, str] = {}
        self._stem = order.files[0].name.removesuffix(
            f".{order.files[0].scheme}{FORMATS[order.files[0].format]}"
        )

    @property
    def first(self) -> list[Wanted]:
        """The files that are made in any case."""
        formats = dict.fromkeys(file.format for file in self._order.files)
        minimise = self._goal.minimise
        return [file for format in formats for file in whole_files(self._stem, format, minimise)]

    def then(self, format: str, losses: Losses | str) -> Sequence[Wanted]:
        """The mixed files to make of a format."""
        table = _TABLE.format(shipped(format).source)
        self._costs[format] = table
        if isinstance(losses, str):
            self._say.line(f"{format}: no mixed files, {losses}")
            return []
        self._costs[format] = _MEASURED if losses.times else table
        found = mixed_files(self._stem, format, self._goal.minimise, losses, self._packing(format))
        self._planned.update({each.file.name: each for each in found})
        for each in found:
            self._say.line(
                f"{each.file.name}: {len(each.file.left)} operators in float, about {each.sqnr_db:.1f} dB"
            )
        return lefts(found)

    def best(self, format: str, searched: Golden, judging: Golden) -> tuple[Wanted, Result]:
        """The file of a format that is given, under its own name.

        Raises:
            BudgetError: none meets the budget.
        """
        goal = self._goal
        results = [r for file, r in self.results.items() if file.format == format and r.file]
        if not results:
            reasons = [r.reason or "" for file, r in self.results.items() if file.format == format]
            raise ExportError(f"{format}: no file could be made. {'; '.join(reasons)}")
        notes = {name: (each.file.left, each.sqnr_db) for name, each in self._planned.items()}
        found, failed = tried(self._folder, results, goal, searched, judging, notes, self._say.line)
        for line in failed:
            self._say.line(line)
        by_name = {each.name: each for each in found}
        # Which files are small enough is known before any sample judges: the others take no part.
        small = [each for each in found if each.fits(goal.budget)]
        order = in_order([each.step(goal.minimise) for each in small or found])
        step = taken(order, {each.name: each.candidate.verdict for each in found})
        for each in sorted(found, key=lambda each: -each.searched_db):
            self._say.line(_line(each, step is not None and each.name == step.name))
        warnings = dict.fromkeys(w for each in found for w in each.candidate.warnings)
        for warning in warnings:
            self._say.line(f"warning: {warning}")
        if step is None:
            raise _refusal(format, goal, found, [by_name[each.name] for each in order])
        return self._written(by_name[step.name], found, len(searched.samples), len(judging.samples))

    def _written(
        self, best: Tried, found: Sequence[Tried], searched: int, judged: int
    ) -> tuple[Wanted, Result]:
        goal, entry = self._goal, best.result.file
        assert entry is not None, "what was not made is not chosen"
        artifact = entry.artifact
        record = SearchRecord(
            minimise=goal.minimise,
            budget=goal.budget.words,
            searched=searched,
            judged=judged,
            costs=self._costs[artifact.format],
            unmade={
                each.name: result.reason
                for each, result in self.results.items()
                if each.format == artifact.format and result.reason
            },
            tried=[
                each.record(each is best)
                for each in sorted(found, key=lambda each: -each.searched_db)
            ],
        )
        file = next(
            each
            for each in self._order.files
            if (each.format, each.scheme) == (artifact.format, artifact.scheme)
        )
        if artifact.name != file.name:
            (self._folder / artifact.name).rename(self._folder / file.name)
        result = renamed(best.result, self._folder / file.name)
        assert result.file is not None, "it was just renamed"
        recipe = {**result.file.recipe, "search": record}
        packed = best.compressed_size_bytes
        warnings = dict.fromkeys((*result.file.warnings, *best.candidate.warnings))
        written = replace(
            result.file,
            recipe=recipe,
            compressed_size_bytes=packed,
            warnings=tuple(warnings),
        )
        return file, replace(result, file=written)

    def _packing(self, format: str) -> tuple[float, float]:
        """What a byte of a float and of an int8 file comes to in a packed one."""
        rates = {"float32": 1.0, "int8": 1.0}
        if self._goal.minimise == "packed":
            for file, result in self.results.items():
                if file.format == format and file.scheme in rates and result.file:
                    content = (self._folder / file.name).read_bytes()
                    rates[file.scheme] = compressed_size(content) / len(content)
        return rates["float32"], rates["int8"]


def _line(each: Tried, chosen: bool) -> str:
    candidate, artifact = each.candidate, each.candidate.artifact
    figures = [f"{artifact.size_bytes / 1000:.1f} KB", f"{each.searched_db:.1f} dB"]
    if candidate.drop is not None:
        figures.append(f"accuracy drop {100 * candidate.drop:.2f} pt")
    if candidate.agreement is not None:
        figures.append(f"agreement {100 * candidate.agreement:.2f} %")
    if each.p50_ms is not None:
        figures.append(f"p50 {each.p50_ms:.3f} ms")
    return f"{each.name}: {', '.join(figures)}: {candidate.verdict}{', chosen' if chosen else ''}"


def _refusal(
    format: str, goal: Goal, found: Sequence[Tried], order: Sequence[Tried]
) -> BudgetError:
    """No file passes: which came closest, and whether more samples could settle it."""
    best = order[0]
    kind = UndecidedError if best.candidate.verdict == "inconclusive" else BudgetError
    reasons = " ".join(best.candidate.reasons)
    passing = [each for each in found if each.candidate.verdict == "pass"]
    more = (
        f" {', '.join(each.name for each in passing)} would pass alone, but follow the original less closely: "
        "chance is not ruled out."
        if passing
        else ""
    )
    advice = " Give more samples." if kind is UndecidedError else ""
    return kind(
        f"{format}: none of {len(found)} files meets the budget ({', '.join(goal.budget.words)}). The most "
        f"exact is {best.name}, {best.candidate.artifact.size_bytes} bytes: {reasons}{more}{advice}"
    )
