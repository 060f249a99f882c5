from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import DocumentError
from edgekit.report import merge, terminal_lines, to_markdown
from edgekit.report.ledgers import ledger_table

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


def test_a_row_for_each_cell(every: Documents, write: Write) -> None:
    report = merge(write({"ledger": every["ledger"]}))
    (found,) = report.ledgers
    assert [row[1:] for row in ledger_table(found.document).rows] == [
        ("x86", "litert 2.3.0", "3", "0", "0 steps", "within budget"),
        ("raspberry-pi-5", "litert 2.3.0", "4", "1", "2 steps", "within budget"),
        ("armhf", "litert", "–", "–", "–", "did not run: ai-edge-litert has no wheel"),
    ]
    for text in ("\n".join(map(str, terminal_lines(report))), to_markdown(report)):
        assert "did not run: ai-edge-litert has no wheel" in text
        assert "raspberry-pi-5" in text


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
