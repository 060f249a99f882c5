"""What the report shows of a search for the smallest or fastest file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.report import merge
from edgekit.report.html import to_html
from edgekit.report.markdown import to_markdown
from edgekit.report.searching import searches

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


def tried(name: str, size: int, agreement: float | None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "scheme": "int8",
        "left_in_float": [],
        "size_bytes": size,
        "compressed_size_bytes": size // 2,
        "p50_ms": None,
        "verdict": "pass",
        "agreement": agreement,
        "drop": 0.0,
        "sqnr_db": 30.0,
        "chosen": False,
        **more,
    }


RECORD = {
    "minimise": "size",
    "budget": ["accuracy drop at most 0.50 pt"],
    "searched": 250,
    "judged": 750,
    "costs": "shipped table: by hand",
    "unmade": {"net.dynamic.tflite": "no such<b> weights"},
    "tried": [
        tried("net.float32.tflite", 800_000, 1.0),
        tried("net.mixed1.tflite", 300_000, 0.99, left_in_float=["a", "b"], chosen=True),
        tried("net.int8.tflite", 200_000, 0.95, verdict="fail", sqnr_db=None),
    ],
}


def with_record(documents: Documents, record: dict[str, Any]) -> Documents:
    file = documents["manifest"]["files"][0]
    file["recipe"] = {**file["recipe"], "search": record}
    return documents


def test_every_file_that_was_tried_is_a_row_and_a_dot(documents: Documents, write: Write) -> None:
    report = merge(write(with_record(documents, RECORD)))
    (search,) = searches(report)
    assert "accuracy drop at most 0.50 pt" in search.text
    assert "250 samples, judged on 750 others" in search.text
    assert search.table.rows[1][:4] == (
        "B  net.mixed1.tflite, chosen",
        "Within budget",
        "2",
        "300.0 KB",
    )
    assert search.table.rows[2][1] == "Failed"
    assert search.picture is not None
    (panel,) = search.picture.panels
    assert [dot.letter for dot in panel.dots] == ["A", "B", "C"]
    assert [dot.best for dot in panel.dots] == [False, True, False]
    # The smaller the further left, the more agreement the higher.
    assert panel.dots[0].x > panel.dots[1].x > panel.dots[2].x
    assert panel.dots[0].y < panel.dots[1].y < panel.dots[2].y


def test_latencies_are_a_second_panel(documents: Documents, write: Write) -> None:
    rows = [{**row, "p50_ms": 1.0 + at} for at, row in enumerate(RECORD["tried"])]
    (search,) = searches(merge(write(with_record(documents, {**RECORD, "tried": rows}))))
    assert search.picture is not None
    assert [panel.title for panel in search.picture.panels] == ["size", "latency (p50)"]


def test_without_classes_there_is_a_table_and_no_picture(
    documents: Documents, write: Write
) -> None:
    rows = [{**row, "agreement": None} for row in RECORD["tried"]]
    (search,) = searches(merge(write(with_record(documents, {**RECORD, "tried": rows}))))
    assert search.picture is None
    assert len(search.table.rows) == 3


@pytest.mark.parametrize("written", [to_html, to_markdown])
def test_page_and_markdown_show_it_escaped(
    written: Callable[..., str], documents: Documents, write: Write
) -> None:
    text = written(merge(write(with_record(documents, RECORD))))
    assert "What the search tried" in text
    assert "net.mixed1.tflite" in text
    assert "no such&lt;b&gt; weights" in text


def test_without_a_search_there_is_no_section(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    assert searches(report) == ()
    assert "What the search tried" not in to_html(report)
