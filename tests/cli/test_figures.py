from __future__ import annotations

from edgekit.cli.figures import figure_lines
from edgekit.drift.figure import Figure


def test_a_line_a_figure_of_all_samples() -> None:
    figures = [
        Figure.of("miou", 0.78123456, reference=0.79, ci95=(0.774, 0.789)),
        Figure.of("iou", 0.5, group="class=1"),
        Figure.of("mae", None),
        Figure.of("miou_drop", 0.00876544, ci95=(0.001, 0.02)),
        Figure.of("size_bytes", 10.0),
    ]
    assert figure_lines(figures, {"size_bytes"}) == [
        "mean IoU 78.12 %, 77.40 to 78.90 %; the original's 79.00 %",
        "drop of the mean IoU 0.88 pt, 0.10 to 2.00 pt",
    ]
