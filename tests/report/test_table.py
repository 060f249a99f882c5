"""The table of files and the numbers in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.report import merge, units
from edgekit.report.table import COLUMNS, Table, rows_table

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.0421, "42.1 us"),
        (0.00421, "4.21 us"),
        (0.1483, "148 us"),
        (0.99996, "1.00 ms"),
        (1.1148, "1.11 ms"),
        (11.148, "11.1 ms"),
        (999.96, "1.00 s"),
        (12_345, "12.3 s"),
        (None, "–"),
    ],
)
def test_duration(ms: float | None, text: str) -> None:
    assert units.duration(ms) == text


def test_units() -> None:
    assert units.size(31_200) == "31.2 KB"
    assert units.percent(0.9528) == "95.28 %"
    assert units.points(0.0028) == "0.28 pt"
    assert units.points(-0.000001) == "0.00 pt"
    assert units.points(-0.004) == "-0.40 pt"
    assert units.speedup(26.498) == "26.5x"
    assert units.decibels(math.inf) == "identical"
    assert units.decibels(-math.inf) == "–"
    assert units.decibels(None) == "–"


def test_markdown(documents: Documents, write: Write) -> None:
    lines = rows_table(merge(write(documents))).to_markdown().splitlines()
    assert lines[0] == f"| {' | '.join(COLUMNS)} |"
    assert lines[1] == "| :-- | --: | --: | --: | --: | --: | --: | --: |"
    assert lines[4] == (
        "| kws.int8.tflite | Within budget | 31.2 KB | 95.00 % | 0.28 pt | 99.12 % | 42.1 us | 26.5x |"
    )


def test_a_name_can_neither_steer_the_terminal_nor_break_the_table() -> None:
    table = Table(("file",), (("a\x1b[31m|<b>\n`c`_d_",),))
    assert "\x1b" not in table.to_text()
    assert len(table.to_text().splitlines()) == 3
    row = table.to_markdown().splitlines()[2]
    assert row == "| a\\\\x1b\\[31m\\|&lt;b&gt; \\`c\\`\\_d\\_ |"
