"""Merging: read documents, refuse those that do not belong together, fill a Report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit import document
from edgekit.artifact import FORMATS, SCHEMES, Artifact, told_apart
from edgekit.document.diagnosis import Diagnosis
from edgekit.document.diff import Diff
from edgekit.document.healing import Healing
from edgekit.document.training import TrainedModel, Training
from edgekit.document.tuning import Tuning
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.drift.ledger import Ledger
from edgekit.errors import DocumentError, UsageError
from edgekit.inspection.inspection import Inspection
from edgekit.manifest import ExportedFile, Manifest
from edgekit.report.data import VERDICTS, Comparison, D, Host, Labelled, Measurement, Report, Row
from edgekit.report.findings import findings
from edgekit.report.hashes import Original, Read, base_name, check_hashes, of_kind
from edgekit.report.result import ReportResult
from edgekit.report.slower import slower_in_int8
from edgekit.runtime.bench import Bench
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.instructions import Instructions
from edgekit.scoring.evaluation import Evaluation

# Of these a report has one at most.
_SINGLE = ("manifest", "training", "tuning")


def merge(paths: Iterable[str | os.PathLike[str]]) -> Report:
    """Read documents of one model and put together what they say.

    Any number of each kind, and at most one manifest, training and tuning. A file named twice is read
    once.

    Raises:
        UsageError: there are no documents, or one does not exist.
        DocumentError: one is invalid, or they do not belong together (see
            `edgekit.report.hashes.check_hashes`).
    """
    documents = _read(paths)
    check_hashes(documents)
    return _merged(documents)


def of_drift(drift: Drift) -> Report:
    """The report of one comparison that is no file yet."""
    return _merged([Read(Path("drift.json"), drift, "drift.json")])


def _merged(documents: Sequence[Read]) -> Report:
    benches, drifts = of_kind(documents, Bench), [drift for _, drift in of_kind(documents, Drift)]
    manifest = _only(documents, Manifest)
    original = _original(documents)
    sha256 = original.sha256 if original else None
    exported = {file.artifact.sha256: file for file in manifest.files} if manifest else {}
    files = {file.sha256: file for read in documents for file in read.files}
    # Names of files may not say their scheme; the manifest does.
    files |= {sha256: file.artifact for sha256, file in exported.items()}
    names = dict(zip(files, told_apart([file.file for file in files.values()]), strict=True))
    measurements = [
        replace(run, name=names[run.sha256])
        for read, bench in benches
        for run in _measurements(read, bench, sha256)
    ]
    rows = [
        _row(names[file.sha256], file, drifts, exported.get(file.sha256), measurements)
        for file in files.values()
        if file.sha256 != sha256
    ]
    rows = [
        replace(row, warnings=(*row.warnings, *slower_in_int8(row, rows, measurements)))
        for row in rows
    ]
    comparisons = tuple(_comparisons(documents))
    return Report(
        rows=tuple(sorted(rows, key=_order)),
        reference=_reference(original, documents, drifts, measurements) if original else None,
        samples=drifts[0].reference.samples if drifts else None,
        golden_sha256=next(filter(None, (drift.reference.golden_sha256 for drift in drifts)), None),
        budget=_common_budget(drifts),
        hosts=tuple(Host(read.label, bench.host, bench.noise) for read, bench in benches),
        measurements=tuple(measurements),
        training=_only(documents, Training),
        skipped=manifest.skipped if manifest else (),
        versions=manifest.versions if manifest else {},
        notes=tuple(_notes(drifts, measurements, comparisons)),
        documents=tuple(read.label for read in documents),
        tuning=_only(documents, Tuning),
        evaluations=_labelled(documents, Evaluation),
        inspections=_labelled(documents, Inspection),
        checkups=_labelled(documents, Checkup),
        diffs=_labelled(documents, Diff),
        diagnoses=_labelled(documents, Diagnosis),
        healings=_labelled(documents, Healing),
        further=tuple(
            Labelled(read.label, read.document) for read in documents if read.document.in_words
        ),
        setup=findings(drifts),
        ledgers=_labelled(documents, Ledger),
        instructions=_labelled(documents, Instructions),
        comparisons=comparisons,
    )


def _read(paths: Iterable[str | os.PathLike[str]]) -> list[Read]:
    unique = {Path(path).resolve(): Path(path) for path in paths}
    if not unique:
        raise UsageError(
            "report: received no documents, expected at least one JSON file that another command "
            "wrote: bench, compare, diagnose, diff, doctor, evaluate, export, heal, inspect, train or tune."
        )
    documents: list[Read] = []
    for path in unique.values():
        read = Read(path, document.load(path))
        if isinstance(read.document, ReportResult):
            # It says what the others say: a folder of documents may hold what `report --json` wrote.
            continue
        same = [other for other in documents if other.kind == read.kind in _SINGLE]
        if any(other.document == read.document for other in same):
            # The same content in another file, such as what `export --json` wrote.
            continue
        if same:
            raise DocumentError(
                f"{same[0].path} and {path} are both {read.kind} documents; give one of them."
            )
        documents.append(read)
    if not documents:
        raise UsageError(
            f"report: {' and '.join(map(str, unique.values()))}: received what 'edgekit report --json' "
            "wrote, expected the documents that it was made of, or a folder of builds with --history."
        )
    names = [read.path.name for read in documents]
    return [
        replace(read, label=_label(read.path, names.count(read.path.name) > 1))
        for read in documents
    ]


def _label(path: Path, ambiguous: bool) -> str:
    """What tells a document from the others: ``"bench.json"`` or ``"pi/bench.json"``."""
    return f"{path.resolve().parent.name}/{path.name}" if ambiguous else path.name


def _only(documents: Sequence[Read], cls: type[D]) -> D | None:
    found = [read.document for read in documents if isinstance(read.document, cls)]
    return found[0] if found else None


def _labelled(documents: Sequence[Read], cls: type[D]) -> tuple[Labelled[D], ...]:
    return tuple(
        Labelled(read.label, read.document) for read in documents if isinstance(read.document, cls)
    )


def _original(documents: Sequence[Read]) -> Original | None:
    """What says most of the original model: a training knows no size."""
    found = [read.original for read in documents if read.original]
    known = [original for original in found if not isinstance(original, TrainedModel)]
    return next(iter((*known, *found)), None)


def _measurements(read: Read, bench: Bench, original: str | None) -> list[Measurement]:
    keras_p50 = {
        run.threads: run.latency.p50_ms
        for run in reversed(bench.runs)
        if run.artifact.sha256 == original
    }
    rows = []
    for run in bench.runs:
        latency, keras = run.latency, keras_p50.get(run.threads)
        rows.append(
            Measurement(
                document=read.label,
                device=f"{bench.host.device}{' (emulated)' if bench.host.emulated else ''}",
                name=base_name(run.artifact.file),
                sha256=run.artifact.sha256,
                backend=f"{run.backend.name} {run.backend.version}",
                threads=run.threads,
                p50_ms=latency.p50_ms,
                p90_ms=latency.p90_ms,
                p99_ms=latency.p99_ms,
                peak_rss_bytes=run.peak_rss_bytes,
                speedup=keras / latency.p50_ms if keras and latency.p50_ms else None,
                relative=run.relative,
            )
        )
    return rows


def _measured(sha256: str, measurements: Sequence[Measurement]) -> Measurement | None:
    own = [run for run in measurements if run.sha256 == sha256]
    if len({run.device for run in measurements}) > 1:
        # No one machine's times stand for the others': `edgekit.report.boards` has them all.
        return None
    first = [run for run in own if run.document == own[0].document]
    return next((run for run in first if run.speedup is not None), own[0] if own else None)


def _row(
    name: str,
    file: Artifact,
    drifts: Sequence[Drift],
    exported: ExportedFile | None,
    measurements: Sequence[Measurement],
) -> Row:
    compared = [
        (candidate, drift.budget)
        for drift in drifts
        for candidate in drift.candidates
        if candidate.artifact.sha256 == file.sha256
    ]
    # Compared more than once, on several machines say: the gravest verdict counts.
    compared.sort(key=lambda pair: VERDICTS.index(pair[0].verdict))
    candidate, budget = compared[0] if compared else (None, DriftBudget())
    return Row(
        name=name,
        sha256=file.sha256,
        format=file.format,
        scheme=file.scheme,
        size_bytes=file.size_bytes,
        accuracy=candidate.accuracy if candidate else None,
        measurement=_measured(file.sha256, measurements),
        candidate=candidate,
        budget=budget,
        exported=exported,
        warnings=(
            *(exported.warnings if exported else ()),
            *(candidate.warnings if candidate else ()),
        ),
    )


def _reference(
    original: Original,
    documents: Sequence[Read],
    drifts: Sequence[Drift],
    measurements: Sequence[Measurement],
) -> Row:
    same = (file for read in documents for file in read.files if file.sha256 == original.sha256)
    known = next(same, None) if isinstance(original, TrainedModel) else original
    return Row(
        name=base_name(original.path),
        sha256=original.sha256,
        format=known.format if known else "keras",
        scheme="float32",
        size_bytes=known.size_bytes if known else None,
        accuracy=drifts[0].reference.accuracy if drifts else None,
        measurement=_measured(original.sha256, measurements),
    )


def _common_budget(drifts: Sequence[Drift]) -> DriftBudget:
    budgets = {drift.budget for drift in drifts}
    return budgets.pop() if len(budgets) == 1 else DriftBudget()


def _order(row: Row) -> tuple[int, int, str]:
    formats = tuple(FORMATS)
    return (
        formats.index(row.format) if row.format in formats else len(formats),
        SCHEMES.index(row.scheme) if row.scheme in SCHEMES else len(SCHEMES),
        row.name,
    )


def _comparisons(documents: Sequence[Read]) -> Iterator[Comparison]:
    for read, drift in of_kind(documents, Drift):
        machine = read.label if drift.host is None else str(drift.host)
        place = (str(read.path.resolve().parent), machine)
        for row in drift.candidates:
            sqnr = row.sqnr_db
            yield Comparison(place, machine, row.artifact.sha256, row.verdict, row.task.flips, sqnr)


def _notes(
    drifts: Sequence[Drift],
    measurements: Sequence[Measurement],
    comparisons: Sequence[Comparison],
) -> list[str]:
    notes = []
    if len({drift.budget for drift in drifts}) > 1:
        notes.append(
            "The drift documents have different budgets; each verdict uses its own document's budget."
        )
    compared = [row.sha256 for row in comparisons]
    if (
        len({row.place for row in comparisons}) > 1
        and len({row.machine for row in comparisons}) > 1
    ):
        notes.append(
            "The comparisons are from several machines; the table shows each file's most severe "
            "verdict, and all verdicts are shown side by side."
        )
    elif len(set(compared)) < len(compared):
        notes.append(
            "Some files were compared more than once; the comparison with the most severe verdict is "
            "shown."
        )
    timed = [run.sha256 for run in measurements]
    if len({run.device for run in measurements}) > 1:
        notes.append(
            "The benchmarks are from several machines; their times are shown side by side."
        )
    elif len(set(timed)) < len(timed):
        notes.append(
            "Some files were timed more than once; the table shows the first benchmark, "
            "and all runs are listed under the measurements."
        )
    return notes
