"""Merging: read documents, refuse those that do not belong together, fill a Report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit import document
from edgekit.artifact import FORMATS, SCHEMES
from edgekit.errors import DocumentError, UsageError
from edgekit.report.data import VERDICTS, Host, Measurement, Report, Row
from edgekit.report.hashes import Document, base_name, check_hashes
from edgekit.report.slower import slower_in_int8

_KINDS = ("bench", "drift", "manifest", "training", "tuning")


def merge(paths: Iterable[str | os.PathLike[str]]) -> Report:
    """Read documents of one model and put together what they say.

    Any number of benchmarks and drifts, and at most one manifest, training and tuning. A file named
    twice is read once.

    Raises:
        UsageError: there are no documents, or one does not exist.
        DocumentError: one is invalid or of another kind, or they do not belong together (see
            `edgekit.report.hashes.check_hashes`).
        MissingDependencyError: jsonschema is not installed.
    """
    documents = _read(paths)
    check_hashes(documents)
    by_kind = {kind: [doc for doc in documents if doc.kind == kind] for kind in _KINDS}
    benches, drifts = by_kind["bench"], by_kind["drift"]
    manifest = by_kind["manifest"][0].content if by_kind["manifest"] else None
    training = by_kind["training"][0].content if by_kind["training"] else None
    tuning = by_kind["tuning"][0].content if by_kind["tuning"] else None

    original = _original(documents)
    sha256 = original["sha256"] if original else None
    measurements = [run for doc in benches for run in _measurements(doc, sha256)]
    entries = {
        entry["sha256"]: entry
        for doc in (*benches, *drifts, *by_kind["manifest"])  # the manifest's say most
        for entry in doc.files
        if entry["sha256"] != sha256
    }
    rows = [_row(entry, drifts, measurements) for entry in entries.values()]
    rows = [
        replace(row, warnings=(*row.warnings, *slower_in_int8(row, rows, measurements)))
        for row in rows
    ]
    goldens = [doc.content["reference"]["golden_sha256"] for doc in drifts]
    budgets = [_set(doc.content["budget"]) for doc in drifts]
    return Report(
        rows=tuple(sorted(rows, key=_order)),
        reference=_reference(original, drifts, measurements) if original else None,
        samples=drifts[0].content["reference"]["samples"] if drifts else None,
        golden_sha256=next(filter(None, goldens), None),
        budget=budgets[0] if budgets and all(each == budgets[0] for each in budgets) else {},
        hosts=tuple(
            Host(doc.label, doc.content["host"], tuple(doc.content["noise"])) for doc in benches
        ),
        measurements=tuple(measurements),
        training=training,
        skipped=tuple(manifest["skipped"]) if manifest else (),
        versions=dict(manifest["versions"]) if manifest else {},
        notes=tuple(_notes(drifts, budgets, measurements)),
        documents=tuple(doc.label for doc in documents),
        tuning=tuning,
    )


def _read(paths: Iterable[str | os.PathLike[str]]) -> list[Document]:
    unique = {Path(path).resolve(): Path(path) for path in paths}
    if not unique:
        raise UsageError(
            "report: received no documents, expected at least one JSON file "
            "that bench, compare, export, train or tune wrote."
        )
    documents: list[Document] = []
    for path in unique.values():
        kind, content = document.read(path)
        if kind not in _KINDS:
            raise DocumentError(
                f"{path}: received a document of kind {kind!r}, expected one of {', '.join(_KINDS)}."
            )
        same = [doc for doc in documents if doc.kind == kind]
        if same and kind in ("manifest", "training", "tuning"):
            raise DocumentError(
                f"{same[0].path} and {path} are both {kind} documents; give one of them."
            )
        documents.append(Document(path, kind, content))
    return _labelled(documents)


def _labelled(documents: Sequence[Document]) -> list[Document]:
    """The documents under names that tell them apart: ``"bench.json"`` or ``"pi/bench.json"``."""
    names = [doc.path.name for doc in documents]
    return [
        replace(doc, label=doc.path.name)
        if names.count(doc.path.name) == 1
        else replace(doc, label=f"{doc.path.resolve().parent.name}/{doc.path.name}")
        for doc in documents
    ]


def _original(documents: Sequence[Document]) -> dict[str, Any] | None:
    """All that the documents say of the original model, those that say most last."""
    entries = [doc.original for doc in documents if doc.original]
    if not entries:
        return None
    entries += [e for doc in documents for e in doc.files if e["sha256"] == entries[0]["sha256"]]
    merged: dict[str, Any] = {}
    for entry in sorted(entries, key=len):
        merged.update(entry)
    return merged


def _measurements(doc: Document, original: str | None) -> list[Measurement]:
    runs = doc.content["runs"]
    keras_p50 = {
        run["threads"]: run["latency"]["p50_ms"]
        for run in reversed(runs)
        if run["artifact"]["sha256"] == original
    }
    rows = []
    for run in runs:
        latency = run["latency"]
        keras = keras_p50.get(run["threads"])
        rows.append(
            Measurement(
                document=doc.label,
                device=doc.content["host"]["device"],
                name=base_name(run["artifact"]["path"]),
                sha256=run["artifact"]["sha256"],
                backend=f"{run['backend']['name']} {run['backend']['version']}",
                threads=run["threads"],
                p50_ms=latency["p50_ms"],
                p90_ms=latency["p90_ms"],
                p99_ms=latency["p99_ms"],
                peak_rss_bytes=run["peak_rss_bytes"],
                speedup=keras / latency["p50_ms"] if keras and latency["p50_ms"] else None,
            )
        )
    return rows


def _measured(sha256: str, measurements: Sequence[Measurement]) -> Measurement | None:
    own = [run for run in measurements if run.sha256 == sha256]
    first = [run for run in own if run.document == own[0].document]
    return next((run for run in first if run.speedup is not None), own[0] if own else None)


def _row(
    entry: dict[str, Any], drifts: Sequence[Document], measurements: Sequence[Measurement]
) -> Row:
    compared = [
        (candidate, doc.content["budget"])
        for doc in drifts
        for candidate in doc.content["candidates"]
        if candidate["artifact"]["sha256"] == entry["sha256"]
    ]
    # Compared more than once, on several machines say: the gravest verdict counts.
    compared.sort(key=lambda pair: VERDICTS.index(pair[0]["verdict"]))
    drift, budget = compared[0] if compared else ({}, {})
    task = drift.get("task", {})
    bounds = task.get("drop_ci95")
    outputs = tuple(drift.get("outputs", ()))
    finite = all(output["max_abs"] is not None for output in outputs)
    ratios = [output["sqnr_db"] for output in outputs if output["sqnr_db"] is not None]
    return Row(
        name=base_name(entry["path"]),
        sha256=entry["sha256"],
        format=entry["format"],
        scheme=entry["scheme"],
        size_bytes=entry["size_bytes"],
        accuracy=task.get("candidate"),
        drop=task.get("drop"),
        drop_ci95=(bounds[0], bounds[1]) if bounds else None,
        agreement=task.get("agreement"),
        flips=task.get("flips"),
        rmse=task.get("rmse_candidate"),
        rmse_reference=task.get("rmse_reference"),
        sqnr_db=min(ratios, default=None) if finite else None,
        measurement=_measured(entry["sha256"], measurements),
        verdict=drift.get("verdict"),
        budget=_set(budget),
        reasons=tuple(drift.get("reasons", ())),
        per_class=tuple(task.get("per_class", ())),
        outputs=outputs,
        layers=tuple(drift.get("layers", ())),
        recipe=entry.get("recipe", {}),
        ops=entry.get("ops", {}),
        float_ops=tuple(entry.get("float_ops", ())),
        warnings=(*entry.get("warnings", ()), *drift.get("warnings", ())),
        compressed_size_bytes=entry.get("compressed_size_bytes"),
    )


def _reference(
    original: dict[str, Any], drifts: Sequence[Document], measurements: Sequence[Measurement]
) -> Row:
    return Row(
        name=base_name(original["path"]),
        sha256=original["sha256"],
        format=original.get("format", "keras"),
        scheme="float32",
        size_bytes=original.get("size_bytes"),
        accuracy=drifts[0].content["reference"]["accuracy"] if drifts else None,
        measurement=_measured(original["sha256"], measurements),
    )


def _set(budget: dict[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in budget.items() if value is not None}


def _order(row: Row) -> tuple[int, int, str]:
    formats = tuple(FORMATS)
    return (
        formats.index(row.format) if row.format in formats else len(formats),
        SCHEMES.index(row.scheme) if row.scheme in SCHEMES else len(SCHEMES),
        row.name,
    )


def _notes(
    drifts: Sequence[Document],
    budgets: Sequence[dict[str, float]],
    measurements: Sequence[Measurement],
) -> list[str]:
    notes = []
    if any(budget != budgets[0] for budget in budgets):
        notes.append("The drift documents hold different budgets; each verdict is by its own.")
    compared = [row["artifact"]["sha256"] for doc in drifts for row in doc.content["candidates"]]
    if len(set(compared)) < len(compared):
        notes.append(
            "Some files were compared more than once; the comparison with the gravest verdict "
            "is shown."
        )
    timed = [run.sha256 for run in measurements]
    if len(set(timed)) < len(timed):
        notes.append(
            "Some files were timed more than once; the table shows the first benchmark, "
            "and all runs are listed under the measurements."
        )
    return notes
