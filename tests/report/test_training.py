"""Learning curves: what is drawn, and the table that stands for them in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekit.document.training import SplitSizes, TrainedModel, Training
from edgekit.report import write_report
from edgekit.report.charts import measures, training_curves
from edgekit.report.training import epoch_table, training_scores


def regression(epochs: int, best_epoch: int = 8) -> Training:
    return Training(
        model=TrainedModel("m.keras", "0" * 64, 12),
        recipe={},
        splits=SplitSizes(80, 20, None),
        history=tuple(
            {
                "epoch": epoch,
                "loss": 1 / epoch,
                "accuracy": None,
                "val_loss": 2 / epoch,
                "val_accuracy": None,
                "mean_absolute_error": 3 / epoch,
                "val_mean_absolute_error": 4 / epoch,
                "learning_rate": 0.1,
                "seconds": 1.0,
            }
            for epoch in range(1, epochs + 1)
        ),
        loss="mean_absolute_error",
        monitor="val_loss",
        best_epoch=best_epoch,
        stopped=True,
        validation={"loss": 0.1, "mean_absolute_error": 0.2},
        test=None,
        seconds=float(epochs),
    )


def test_each_measure_has_a_curve_and_the_best_epoch_its_place() -> None:
    curves = training_curves(regression(15))
    assert [curve.title for curve in curves] == ["Mean absolute error", "Loss", "Learning rate"]
    assert [len(curve.lines) for curve in curves] == [2, 2, 1]
    assert {curve.best for curve in curves} == {50.0}
    assert curves[1].lines[0].points.startswith("0.00,")
    assert training_curves(regression(1)) == []


def test_a_training_may_have_no_best_epoch() -> None:
    training = regression(3, best_epoch=0)
    assert training_curves(training)[0].best is None
    assert training_scores(training) == [
        "loss 0.1 on the validation samples",
        "mean absolute error 0.2 on the validation samples",
    ]


def test_what_is_no_number_is_no_measure() -> None:
    history = regression(3).history
    history[1]["note"] = "warm"
    history[1]["val_note"] = 3.0
    history[2]["flag"] = True
    assert measures(history) == ["mean_absolute_error", "loss", "learning_rate"]
    assert measures(()) == []


@pytest.mark.parametrize(("epochs", "rows"), [(1, 1), (9, 9), (200, 11)])
def test_the_table_shows_some_epochs_and_the_best(epochs: int, rows: int) -> None:
    table = epoch_table(regression(epochs))
    assert table is not None
    numbers = [int(row[0]) for row in table.rows]
    assert len(numbers) == rows
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (1, epochs)
    assert epochs < 8 or 8 in numbers
    assert table.columns == (
        "epoch",
        "mean absolute error",
        "val mean absolute error",
        "loss",
        "val loss",
        "learning rate",
    )
    assert epoch_table(regression(0)) is None


def test_both_renderings_show_it(documents: Any, write: Any, tmp_path: Path) -> None:
    for ending in (".md", ".html"):
        write_report(write(documents), tmp_path / f"report{ending}")
    markdown = (tmp_path / "report.md").read_text("utf-8")
    assert "12 epochs; 95.41 % on the validation samples" in markdown
    assert "| epoch | accuracy | val accuracy | loss | val loss | learning rate |" in markdown
    assert 'class="best"' in (tmp_path / "report.html").read_text("utf-8")
