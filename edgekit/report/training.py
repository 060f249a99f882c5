"""What a training came to, in words and as a table of its epochs."""

from __future__ import annotations

from typing import Any

from edgekit.document.training import Training
from edgekit.report import units
from edgekit.report.charts import measures
from edgekit.report.table import Table

_MAX_ROWS = 10


def training_scores(training: Training) -> list[str]:
    """Scores of the saved model and which epoch it is of, such as ``"95.41 % on the validation samples"``."""
    words = []
    for part, accuracy, scores in (
        ("validation", training.validation_accuracy, training.validation),
        ("test", training.test_accuracy, training.test or {}),
    ):
        if accuracy is not None:
            words.append(f"{units.percent(accuracy)} on the {part} samples")
        else:
            words += [
                f"{name.replace('_', ' ')} {units.significant(value)} on the {part} samples"
                for name, value in scores.items()
            ]
    if best := training.best_epoch:
        early = ", ended early" if training.stopped else ""
        words.append(f"the weights of epoch {best}, the best by {training.monitor}{early}")
    return words


def epoch_table(training: Training) -> Table | None:
    """The learning curve as rows: at most ten epochs, evenly spaced, and the best one; None without any."""
    history = training.history
    names = measures(history)
    if not history or not names:
        return None
    last = len(history) - 1
    shown = {round(n * last / (_MAX_ROWS - 1)) for n in range(_MAX_ROWS)}
    shown |= {training.best_epoch - 1} if training.best_epoch else set()
    keys = [
        key
        for name in names
        for key in (name, f"val_{name}")
        if any(epoch.get(key) is not None for epoch in history)
    ]

    def cell(epoch: dict[str, Any], key: str) -> str:
        form = units.percent if key.removeprefix("val_") == "accuracy" else units.significant
        return form(epoch.get(key))

    rows = [history[index] for index in sorted(shown) if 0 <= index <= last]
    return Table(
        ("epoch", *(key.replace("_", " ") for key in keys)),
        tuple((str(row["epoch"]), *(cell(row, key) for key in keys)) for row in rows),
    )
