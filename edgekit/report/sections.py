"""The sections of the page: what each shows, and whether there is anything to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.drift.golden import Golden
from edgekit.manifest import FloatOp
from edgekit.report import charts, tuning, units
from edgekit.report.boards import answers_table, boards_table, instructions_table
from edgekit.report.checks import checked_with, checks_table
from edgekit.report.data import Report, Row
from edgekit.report.diagnoses import diagnosis_summary, healing_summary
from edgekit.report.diffs import diff_summary, diff_table
from edgekit.report.evaluations import class_tables, scores_table
from edgekit.report.flips import change_tables, flips_table, shown_flips
from edgekit.report.hashes import base_name
from edgekit.report.histograms import histograms
from edgekit.report.inspections import inspection_lines
from edgekit.report.layers import layers_curve, layers_summary, layers_table
from edgekit.report.ledgers import ledger_summary, ledger_table
from edgekit.report.machine import machine_facts, schemes_table
from edgekit.report.optimizing import treatments
from edgekit.report.searching import searches
from edgekit.report.table import Table
from edgekit.report.tradeoff import letters, tradeoff
from edgekit.report.training import training_scores


@dataclass(frozen=True)
class Section:
    """One heading of the page.

    Attributes:
        name: what the page calls it, and its template: ``"files"``.
        hint: how to read it; may be empty.
        content: what the template calls ``shown``.
    """

    name: str
    title: str
    hint: str
    content: Any

    @property
    def template(self) -> str:
        """``"trend-2"`` is the second of those that ``trend.html`` draws."""
        return self.name.partition("-")[0]


@dataclass(frozen=True)
class Cell:
    """`small` stands below `text`."""

    column: str
    text: str
    small: str = ""


@dataclass(frozen=True)
class FileRow:
    name: str
    letter: str
    original: bool
    verdict: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class FileTable:
    """The table of files: the verdict comes second, and columns that nobody fills are left out."""

    columns: tuple[str, ...]
    rows: tuple[FileRow, ...]


@dataclass(frozen=True)
class Machine:
    """Where files were timed, or what a check-up found."""

    label: str
    noise: tuple[str, ...]
    advice: tuple[str, ...]
    facts: dict[str, str | None]
    schemes: Table | None


def sections(report: Report, golden: Golden | None = None) -> list[Section]:
    """Those that have something to show, what matters most first.

    Args:
        report: what was merged.
        golden: what the files were compared with, for pictures of its samples.
    """
    return [section for section in _all(report, golden) if section.content]


def _all(report: Report, golden: Golden | None) -> Iterator[Section]:
    yield Section(
        "setup",
        "Check of the set-up",
        "Checks that the original, its samples and its labels are sound, before anything is "
        "compared with them.",
        report.setup,
    )
    picture = tradeoff(report)
    yield Section("files", "Files", "", _files(report, picture is not None))
    yield Section(
        "tradeoff",
        "What each file costs",
        "Up and to the left is better. The letters are those of the table. A filled dot is a "
        "file that no other beats in everything shown; the ring is the original; a vertical line "
        "is the 95 % interval. Costs have logarithmic scales.",
        picture,
    )
    yield Section(
        "search",
        "What the search tried",
        "Every file that the search made to find the smallest or fastest one within the budget. "
        "Up and to the left is better; the filled dot is the chosen file.",
        searches(report),
    )
    yield Section("sizes", "Size and speed", "", None if picture else _bars(report))
    yield Section(
        "drops",
        "Accuracy drop",
        "In percentage points against the original: right of zero is worse. The line is the 95 % "
        "interval: the range that other samples of this kind could show.",
        charts.whisker_chart(report),
    )
    yield Section(
        "classes",
        "Which classes paid",
        "Accuracy drop of each class in percentage points, the worst first. Red classes lost, "
        "blue classes gained. In a class with few samples, a single answer makes a large "
        "difference.",
        charts.heat_table(report),
    )
    yield from _answers(report, golden)
    yield Section(
        "steps",
        "What was done to the model",
        "The steps before the export, in order, with the expected effect of each step and the "
        "result for every layer.",
        treatments(report),
    )
    yield Section(
        "details",
        "File by file",
        "The reason for each verdict, how far the outputs moved, and how the file was made.",
        report.rows,
    )
    yield Section("skipped", "Skipped files", "", _skipped(report))
    yield Section("checks", "Checked at export", checked_with(report), checks_table(report))
    yield from _about_the_model(report)
    yield Section(
        "measurements-answers",
        "Answers by machine",
        "The verdict on each machine, and the number of answers that differ from the original's.",
        answers_table(report),
    )
    yield Section(
        "measurements-boards",
        "Boards",
        "The median time of one inference on each machine.",
        boards_table(report),
    )
    yield Section(
        "measurements-instructions",
        "Instructions",
        "Instructions executed for one inference on an emulated processor: they show changes, "
        "but are not times.",
        instructions_table(report),
    )
    for number, found in enumerate(report.ledgers):
        yield Section(
            f"measurements-ledger{number or ''}",
            "Machines and interpreters",
            " ".join(ledger_summary(found.document)),
            ledger_table(found.document),
        )
    yield Section("measurements", "Measurements", "", _measurements(report))
    yield Section("machines", "Machines", "", list(_machines(report)))
    yield Section("further", "Further documents", "", _further(report))
    yield Section("provenance", "Versions and hashes", "", _provenance(report))


def _answers(report: Report, golden: Golden | None) -> Iterator[Section]:
    flips = shown_flips(report, golden)
    pictured = all(flip.picture for flip in flips)
    hint = (
        "Samples that a file assigns to another class than the original does, sorted by the "
        "original's confidence. The margin is the lead of a class over the next one."
    )
    yield Section(
        "flips",
        "Flipped answers",
        hint if pictured else f"{hint} With --golden the samples are shown.",
        flips and {"flips": flips, "table": None if pictured else flips_table(flips)},
    )
    yield Section(
        "changes",
        "What changed into what",
        "Classes that the original gave, and those that the file gives to the same samples.",
        change_tables(report),
    )
    yield Section(
        "histograms",
        "Outputs and confidence",
        "How often each value occurs: the area is the original, the line the file.",
        histograms(report),
    )


def _about_the_model(report: Report) -> Iterator[Section]:
    scores = scores_table(report)
    yield Section(
        "evaluations",
        "Evaluations",
        "On labelled samples, which may differ from those that the files were compared on.",
        scores and {"scores": scores, "classes": class_tables(report)},
    )
    yield Section(
        "inspections",
        "Inspections",
        "Each file's contents and costs, computed from the file, and the interpreters that run it.",
        [
            (base_name(row.document.artifact.file), list(inspection_lines(row.document)))
            for row in report.inspections
        ],
    )
    yield Section(
        "layers-diagnoses",
        "Diagnoses",
        "What is wrong with each file, why, and how to repair it. A cause is named if it alone, "
        "put into the float file, makes a good part of the loss.",
        [
            {
                "name": base_name(found.file.file),
                "lines": list(diagnosis_summary(found)),
                "curve": layers_curve(found.layers) if found.layers else None,
                "table": layers_table(found.layers) if found.layers else None,
            }
            for found in (row.document for row in report.diagnoses)
        ],
    )
    yield Section(
        "layers-healings",
        "Healed files",
        "The repairs tried for each file, on calibration samples, and both files compared on "
        "samples that were not used to choose.",
        [
            {
                "name": base_name(found.file.file),
                "lines": list(healing_summary(found)),
                "curve": None,
                "table": None,
            }
            for found in (row.document for row in report.healings)
        ],
    )
    yield Section(
        "layers",
        "Layer by layer",
        "Each operator compared with the float file's: the accumulated error (sum), and the "
        "operator's own error (own): from its weights, and from rounding its output (grid).",
        [
            {
                "name": row.name,
                "lines": list(layers_summary(row.candidate.layers)),
                "curve": layers_curve(row.candidate.layers),
                "table": layers_table(row.candidate.layers),
            }
            for row in report.rows
            if row.candidate and row.candidate.layers
        ],
    )
    yield Section(
        "layers-diffs",
        "Differences of files",
        "How the files of each pair differ, and how their answers differ.",
        [
            {
                "name": " and ".join(base_name(file.file) for file in (found.first, found.second)),
                "lines": list(diff_summary(found)),
                "curve": None,
                "table": diff_table(found),
            }
            for found in (row.document for row in report.diffs)
        ],
    )
    if training := report.training:
        facts = [
            f"{units.plural(len(training.history), 'epoch')} in {units.duration(training.seconds * 1000)}",
            f"{training.model.parameters:,} parameters",
            *training_scores(training),
        ]
        yield Section(
            "training",
            "Training",
            f"{', '.join(facts)}.",
            {"curves": charts.training_curves(training), "recipe": training.recipe},
        )
    if study := report.tuning:
        which = (
            "those that no other beats in every objective: the dark dots"
            if len(study.objectives) > 1
            else "the best: the dark dot"
        )
        yield Section(
            "tuning",
            "Tuning",
            f"{tuning.counts(study)}. The table holds {which}.",
            {"table": tuning.front_table(study), "charts": tuning.scatters(study)},
        )


def outputs_table(row: Row) -> Table:
    """How far each output of a file is from the original's."""
    return Table(
        ("output", "largest error", "RMSE", "cosine", "SQNR"),
        tuple(
            (
                output.name,
                *map(units.significant, (output.max_abs, output.rmse, output.cosine)),
                units.decibels(output.sqnr_db),
            )
            for output in row.outputs
        ),
    )


def float_table(ops: Sequence[FloatOp]) -> Table:
    """Operators that a quantised file computes in float, and why."""
    return Table(("op", "tensor", "reason"), tuple((op.op, op.tensor, op.reason) for op in ops))


def everything(report: Report) -> tuple[Row, ...]:
    """The original, where it is known, and every file."""
    return (*((report.reference,) if report.reference else ()), *report.rows)


_COLUMNS: tuple[tuple[str, Callable[[Row], str], Callable[[Row], str]], ...] = (
    ("size", lambda row: units.size(row.size_bytes), lambda row: _packed(row)),
    ("accuracy", lambda row: units.percent(row.accuracy), lambda _: ""),
    ("drop", lambda row: units.points(row.drop), lambda row: units.interval(row.drop_ci95)),
    ("agreement", lambda row: units.percent(row.agreement), lambda _: ""),
    ("SQNR", lambda row: units.decibels(row.sqnr_db), lambda _: ""),
    ("p50", lambda row: units.duration(row.p50_ms), lambda _: ""),
    ("speed-up", lambda row: units.speedup(row.speedup), lambda _: ""),
)


def _packed(row: Row) -> str:
    packed = row.compressed_size_bytes
    return "" if packed is None else f"{units.size(packed)} packed"


def _files(report: Report, lettered: bool) -> FileTable | None:
    rows = everything(report)
    if not rows:
        return None
    shown = [
        (name, text, small)
        for name, text, small in _COLUMNS
        if any(text(row) != units.UNKNOWN for row in rows)
    ]
    named = letters(report) if lettered else {}
    return FileTable(
        ("file", "verdict", *(name for name, _, _ in shown)),
        tuple(
            FileRow(
                row.name,
                named.get(row.sha256, ""),
                row is report.reference,
                row.verdict,
                tuple(Cell(name, text(row), small(row)) for name, text, small in shown),
            )
            for row in rows
        ),
    )


def _bars(report: Report) -> dict[str, charts.BarChart | None] | None:
    rows = everything(report)
    found = {
        "sizes": charts.bar_chart(
            [(row, row.size_bytes) for row in rows], units.size, report.reference
        ),
        "latencies": charts.bar_chart(
            [(row, row.p50_ms) for row in rows], units.duration, report.reference
        ),
    }
    return found if any(found.values()) else None


def _skipped(report: Report) -> Table | None:
    rows = tuple(
        (item.format or "any", item.scheme or "any", item.reason) for item in report.skipped
    )
    return Table(("format", "scheme", "reason"), rows) if rows else None


def _further(report: Report) -> Table | None:
    rows = [(row.label, row.document.in_words) for row in report.further]
    return Table(("document", "what it says"), tuple(rows)) if rows else None


def _measurements(report: Report) -> Table | None:
    rows = tuple(
        (
            run.name,
            run.device,
            run.backend,
            str(run.threads),
            *map(units.duration, (run.p50_ms, run.p90_ms, run.p99_ms)),
            units.memory(run.peak_rss_bytes),
            units.speedup(run.speedup),
            units.relative(run.relative),
        )
        for run in report.measurements
    )
    columns = (
        *("file", "device", "backend", "threads", "p50", "p90", "p99", "memory", "speed-up"),
        "time by the first file's",
    )
    return without_empty(Table(columns, rows)) if rows else None


def without_empty(table: Table) -> Table:
    """`table` without the columns in which no row says anything."""
    kept = [
        at
        for at in range(len(table.columns))
        if at == 0 or any(row[at] != units.UNKNOWN for row in table.rows)
    ]

    def of(line: Iterable[str]) -> tuple[str, ...]:
        cells = tuple(line)
        return tuple(cells[at] for at in kept)

    return Table(of(table.columns), tuple(map(of, table.rows)))


def _machines(report: Report) -> Iterator[Machine]:
    for host in report.hosts:
        yield Machine(
            f"Measured on – {host.document}", host.noise, (), machine_facts(host.state), None
        )
    for row in report.checkups:
        found = row.document
        yield Machine(
            f"Checked – {row.label}",
            found.noise,
            found.advice,
            machine_facts(found.host),
            schemes_table(found),
        )


def _provenance(report: Report) -> dict[str, Any]:
    hashes = [(row.name, row.sha256) for row in everything(report)]
    if report.golden_sha256:
        hashes.append(("golden file", report.golden_sha256))
    found = {"versions": report.versions, "hashes": hashes}
    return found if any(found.values()) else {}
