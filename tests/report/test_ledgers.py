from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import DocumentError
from edgekit.report import merge, terminal_lines, to_markdown
from edgekit.report.ledgers import ledger_summary, ledger_table

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


def test_a_row_for_each_cell(every: Documents, write: Write) -> None:
    report = merge(write({"ledger": every["ledger"]}))
    (found,) = report.ledgers
    assert [row[1:] for row in ledger_table(found.document).rows] == [
        ("x86", "litert 2.3.0", "3", "0", "0 steps", "within budget"),
        ("raspberry-pi-5", "litert 2.3.0", "4", "1", "2 steps", "within budget"),
        ("armhf", "litert", "–", "–", "–", "did not run [1]"),
    ]
    for text in ("\n".join(map(str, terminal_lines(report))), to_markdown(report)):
        assert "did not run" in text
        assert "ai-edge-litert has no wheel" in text
        assert "raspberry-pi-5" in text


def test_each_reason_is_told_once(every: Documents, write: Write) -> None:
    cells = every["ledger"]["cells"]
    cells += [{**cells[2], "machine": "a"}, {**cells[2], "machine": "b", "reasons": ["SIGILL"]}]
    cells[0]["reasons"] = ["Accuracy drop 1 pt is within 2 pt."]
    cells[1] |= {"verdict": "fail", "reasons": ["Accuracy drop 3 pt exceeds 2 pt."], "exit_code": 3}
    every["ledger"]["verdict"] = "fail"
    (found,) = merge(write({"ledger": every["ledger"]})).ledgers
    rows = ledger_table(found.document).rows
    assert [row[-1] for row in rows[2:]] == [
        "did not run [1]",
        "did not run [1]",
        "did not run [2]",
    ]
    lines = list(ledger_summary(found.document))
    assert lines[2:] == [
        "[1] ai-edge-litert has no wheel",
        "[2] SIGILL",
        "kws.int8.tflite on raspberry-pi-5, litert: Accuracy drop 3 pt exceeds 2 pt.",
    ]


def test_where_steps_are_not_known_the_unit_is_the_output_s(every: Documents, write: Write) -> None:
    every["ledger"]["cells"][1]["first_steps"] = None
    (found,) = merge(write({"ledger": every["ledger"]})).ledgers
    assert ledger_table(found.document).rows[1][5] == "0.0078"


@pytest.mark.parametrize("key", ["sha256", "golden_sha256"])
def test_a_ledger_of_another_model_does_not_belong_there(
    every: Documents, write: Write, key: str
) -> None:
    every["drift"]["reference"]["golden_sha256"] = "a" * 64
    every["ledger"]["reference"]["golden_sha256"] = "a" * 64
    every["ledger"]["reference"][key] = "f" * 64
    with pytest.raises(DocumentError, match="do not belong together"):
        merge(write({key: every[key] for key in ("drift", "ledger")}))
