"""The report as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.report import units
from edgekit.report.boards import answers_table, boards_table, instructions_table
from edgekit.report.charts import heat_table
from edgekit.report.checks import checked_with, checks_table
from edgekit.report.data import VERDICT_WORDS, Report
from edgekit.report.diagnoses import diagnosis_summary, healing_summary
from edgekit.report.diffs import diff_summary, diff_table
from edgekit.report.evaluations import scores_table
from edgekit.report.hashes import base_name
from edgekit.report.inspections import inspection_lines
from edgekit.report.layers import layers_summary, layers_table
from edgekit.report.ledgers import ledger_summary, ledger_table
from edgekit.report.machine import schemes_table
from edgekit.report.next_step import next_step
from edgekit.report.optimizing import treatments
from edgekit.report.searching import searches
from edgekit.report.summary import summary
from edgekit.report.table import Table, escape_markdown, rows_table
from edgekit.report.training import epoch_table, training_scores
from edgekit.report.tuning import counts, front_table
from edgekit.runtime.host import HostState

_MAX_CLASSES = 10


def to_markdown(report: Report) -> str:
    """The whole report. Every text from the documents is escaped."""
    title = report.reference.name if report.reference else "Model files"
    parts = [
        f"# {escape_markdown(title)}\n",
        f"**{VERDICT_WORDS[report.verdict]}.** {escape_markdown(summary(report))}\n",
    ]
    if step := next_step(report):
        parts.append(f"**Next:** {escape_markdown(step)}\n")
    if limits := report.budget.words:
        parts.append(f"Budget: {', '.join(limits)}.\n")
    parts += [f"{escape_markdown(note)}\n" for note in report.notes]
    parts.append(rows_table(report).to_markdown())
    for heading, lines in (
        ("Verdicts", _verdicts(report)),
        ("Which classes paid", _classes(report)),
        ("What the search tried", _searches(report)),
        ("What was done to the model", _treatments(report)),
        ("Warnings", _warnings(report)),
        ("Checked at export", _checks(report)),
        ("Left in float", _float_ops(report)),
        ("Skipped files", _skipped(report)),
        ("Evaluations", _evaluations(report)),
        ("Inspections", _inspections(report)),
        ("Diagnoses", _diagnoses(report)),
        ("Layer by layer", _layers(report)),
        ("Differences of files", _diffs(report)),
        ("Training", _training(report)),
        ("Tuning", _tuning(report)),
        ("Measured on", _hosts(report)),
        ("Boards", _boards(report)),
        ("Machines and interpreters", _ledgers(report)),
        ("Machines", _checkups(report)),
        ("Further documents", _further(report)),
        ("Hashes", _hashes(report)),
    ):
        if body := "".join(lines):
            parts.append(f"## {heading}\n\n{body}")
    return "\n".join(parts)


def _item(name: str, text: str) -> str:
    return f"- **{escape_markdown(name)}**: {escape_markdown(text)}\n"


def _verdicts(report: Report) -> Iterator[str]:
    for row in report.rows:
        yield _item(row.name, "; ".join((VERDICT_WORDS[row.verdict], *row.reasons)))


def _classes(report: Report) -> Iterator[str]:
    heat = heat_table(report)
    if heat is None:
        return
    shown = heat.rows[:_MAX_CLASSES]
    yield "Accuracy drop in percentage points, the worst first.\n\n"
    yield Table(
        ("class", "samples", *heat.labels),
        tuple((row.name, str(row.count), *(cell.text for cell in row.cells)) for row in shown),
    ).to_markdown()
    if left_out := len(heat.rows) - len(shown) + heat.left_out:
        yield f"\n{left_out} classes that lost less are not shown.\n"


def _searches(report: Report) -> Iterator[str]:
    for search in searches(report):
        yield f"### {escape_markdown(search.title)}\n\n{escape_markdown(search.text)}\n\n"
        yield f"{search.table.to_markdown()}\n"


def _treatments(report: Report) -> Iterator[str]:
    for treatment in treatments(report):
        yield f"### {escape_markdown(treatment.title)}\n\n"
        yield from (f"- {escape_markdown(line)}\n" for line in treatment.lines)
        if treatment.layers:
            yield f"\n{treatment.layers.to_markdown()}\n"


def _warnings(report: Report) -> Iterator[str]:
    for row in report.rows:
        for line in row.warnings:
            yield _item(row.name, line)


def _boards(report: Report) -> Iterator[str]:
    if table := answers_table(report):
        yield f"Verdicts, and answers that are not the original's.\n\n{table.to_markdown()}\n"
    if table := boards_table(report):
        yield f"The middle duration of one inference.\n\n{table.to_markdown()}\n"
    if table := instructions_table(report):
        yield f"Instructions executed for one inference.\n\n{table.to_markdown()}"


def _checks(report: Report) -> Iterator[str]:
    if table := checks_table(report):
        yield f"{escape_markdown(checked_with(report))}\n\n{table.to_markdown()}"


def _float_ops(report: Report) -> Iterator[str]:
    for name, ops in report.float_ops.items():
        for op in ops:
            yield _item(name, f"{op.op}, {op.tensor}, {op.reason}")


def _skipped(report: Report) -> Iterator[str]:
    for item in report.skipped:
        yield _item(f"{item.format or 'any'} {item.scheme or 'any'}", item.reason)


def _further(report: Report) -> Iterator[str]:
    for row in report.further:
        yield _item(row.label, row.document.in_words)


def _training(report: Report) -> Iterator[str]:
    training = report.training
    if training is None:
        return
    epochs = units.plural(len(training.history), "epoch")
    yield f"{escape_markdown('; '.join((epochs, *training_scores(training))))}.\n"
    table = epoch_table(training)
    if table is not None:
        yield f"\n{table.to_markdown()}"


def _tuning(report: Report) -> Iterator[str]:
    if report.tuning:
        yield f"{counts(report.tuning)}. The best of them:\n\n"
        yield front_table(report.tuning).to_markdown()


def _hosts(report: Report) -> Iterator[str]:
    for host in report.hosts:
        yield _item(host.document, _host(host.state, host.noise))


def _checkups(report: Report) -> Iterator[str]:
    for row in report.checkups:
        found = row.document
        yield _item(row.label, "; ".join((_host(found.host, found.noise), *found.advice)))
        if table := schemes_table(found):
            yield f"\n{table.to_markdown()}\n"


def _host(state: HostState, noise: tuple[str, ...]) -> str:
    facts = ", ".join((state.device, state.cpu, state.system))
    return f"{facts}; noise: {', '.join(noise)}" if noise else facts


def _evaluations(report: Report) -> Iterator[str]:
    if table := scores_table(report):
        yield table.to_markdown()


def _inspections(report: Report) -> Iterator[str]:
    for row in report.inspections:
        yield f"### {escape_markdown(base_name(row.document.artifact.file))}\n\n"
        yield from (_item(about, text) for about, text in inspection_lines(row.document))
        yield "\n"


def _diagnoses(report: Report) -> Iterator[str]:
    for row in report.diagnoses:
        yield f"### {escape_markdown(base_name(row.document.file.file))}\n\n"
        yield from (
            f"- {escape_markdown(line.strip())}\n" for line in diagnosis_summary(row.document)
        )
        if row.document.layers:
            yield f"\n{layers_table(row.document.layers).to_markdown()}\n"
    for healing in (row.document for row in report.healings):
        yield f"### {escape_markdown(base_name(healing.file.file))}, healed\n\n"
        yield from (f"- {escape_markdown(line)}\n" for line in healing_summary(healing))


def _layers(report: Report) -> Iterator[str]:
    for row in report.rows:
        if row.candidate and (errors := row.candidate.layers):
            yield f"### {escape_markdown(row.name)}\n\n"
            yield from (f"- {escape_markdown(line)}\n" for line in layers_summary(errors))
            yield f"\n{layers_table(errors).to_markdown()}\n"


def _diffs(report: Report) -> Iterator[str]:
    for found in (row.document for row in report.diffs):
        names = " and ".join(base_name(file.file) for file in (found.first, found.second))
        yield f"### {escape_markdown(names)}\n\n"
        yield from (f"- {escape_markdown(line)}\n" for line in diff_summary(found))
        if table := diff_table(found):
            yield f"\n{table.to_markdown()}\n"


def _ledgers(report: Report) -> Iterator[str]:
    for found in (row.document for row in report.ledgers):
        yield from (f"- {escape_markdown(line)}\n" for line in ledger_summary(found))
        yield f"\n{ledger_table(found).to_markdown()}\n"


def _hashes(report: Report) -> Iterator[str]:
    for row in (*((report.reference,) if report.reference else ()), *report.rows):
        yield _item(row.name, row.sha256)
