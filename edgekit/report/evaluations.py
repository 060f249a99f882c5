"""Evaluations in a report: the scores of each file, and of its classes."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.report import units
from edgekit.report.data import Labelled, Report
from edgekit.report.hashes import base_name
from edgekit.report.table import Table
from edgekit.scoring.evaluation import Evaluation

_MAX_CLASSES = 40
_SCORES: dict[str, tuple[Callable[[Evaluation], float | None], Callable[[float | None], str]]] = {
    "accuracy": (lambda found: found.accuracy, units.percent),
    "top-5 accuracy": (lambda found: found.top5_accuracy, units.percent),
    "AUC": (lambda found: found.auc, units.significant),
    "F1, mean of classes": (lambda found: found.f1_macro, units.significant),
    "MAE": (lambda found: found.mae, units.significant),
    "RMSE": (lambda found: found.rmse, units.significant),
}


def scores_table(report: Report) -> Table | None:
    """A row for each evaluation, a column for each score that one of them has; None without any."""
    rows = report.evaluations
    if not rows:
        return None
    known = {
        name: (score, form)
        for name, (score, form) in _SCORES.items()
        if any(score(row.document) is not None for row in rows)
    }
    return Table(
        ("file", "task", "samples", *known, "document"),
        tuple(
            (
                base_name(row.document.artifact.file),
                row.document.task,
                f"{row.document.count:,}",
                *(form(score(row.document)) for score, form in known.values()),
                row.label,
            )
            for row in rows
        ),
    )


def class_tables(report: Report) -> list[tuple[str, Table]]:
    """For each evaluation with classes its file's name and its classes, that of the lowest F1 first."""
    return [
        (_title(row, report), _class_table(row.document))
        for row in report.evaluations
        if row.document.per_class
    ]


def _title(row: Labelled[Evaluation], report: Report) -> str:
    name = base_name(row.document.artifact.file)
    return name if len(report.evaluations) == 1 else f"{name} ({row.label})"


def _class_table(evaluation: Evaluation) -> Table:
    classes = sorted(evaluation.per_class, key=lambda row: row.f1 or 0.0)
    return Table(
        ("class", "samples", "precision", "recall", "F1"),
        tuple(
            (row.name, str(row.count), *map(units.significant, (row.precision, row.recall, row.f1)))
            for row in classes[:_MAX_CLASSES]
        ),
    )
