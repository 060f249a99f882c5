"""A report on a terminal: within 80 columns, in colours only where they may be."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.drift.drift import Drift
from edgekit.report import merge, of_drift, terminal_lines

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


def on_a_terminal(words: list[str], **environment: str) -> str:
    """What a command prints to a terminal."""
    leader, follower = pty.openpty()
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "edgekit", *words],
        stdout=follower,
        stderr=follower,
        env={**known, "TERM": "xterm", **environment},
    )
    os.close(follower)
    text = b""
    # Linux ends a terminal whose other side is closed with an error.
    try:
        while data := os.read(leader, 65536):
            text += data
    except OSError:
        pass
    os.close(leader)
    assert process.wait() == 0
    return text.decode().replace("\r\n", "\n")


def test_the_table_says_what_the_page_says(documents: Documents, write: Write) -> None:
    lines = terminal_lines(merge(write(documents)))
    assert lines[:5] == [
        "file                verdict            size  accuracy     drop      p50",
        "kws.keras           original       318.4 KB   95.28 %        –  1.11 ms",
        "kws.float32.tflite  within budget   98.3 KB   95.28 %  0.00 pt   148 us",
        "kws.int8.tflite     within budget   31.2 KB   95.00 %  0.28 pt  42.1 us",
        "kws.int8.onnx       failed          36.9 KB   94.01 %  1.27 pt        –",
    ]
    assert "  kws.int8.onnx: It is above." in lines
    assert lines[-2].startswith("next: Take kws.int8.tflite and leave kws.int8.onnx behind")


def test_columns_that_say_nothing_are_left_out(documents: Documents) -> None:
    lines = terminal_lines(of_drift(Drift.from_json(documents["drift"])))
    assert lines[0].split() == ["file", "verdict", "size", "accuracy", "drop", "interval"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    stem=st.text(st.characters(categories=("L", "N", "Cc")), min_size=1, max_size=90),
    reason=st.text(st.characters(categories=("L", "Zs", "Cc")), max_size=300),
)
def test_no_line_is_longer_than_80_columns(documents: Documents, stem: str, reason: str) -> None:
    drift = documents["drift"]
    name = stem.replace("/", "_").replace("\\", "_")
    drift["candidates"][0]["artifact"]["path"] = f"{name}.int8.tflite"
    drift["candidates"][0]["reasons"] = [reason]
    for line in terminal_lines(of_drift(Drift.from_json(drift))):
        # A name or a word that is longer than the line stays whole in a sentence, to be copied.
        assert len(line) <= 80 or re.search(r"\S{50}", line)
        assert line.isprintable()


def test_the_table_itself_is_never_wider(documents: Documents) -> None:
    drift = documents["drift"]
    drift["candidates"][0]["artifact"]["path"] = f"{'long-' * 30}name.int8.tflite"
    lines = terminal_lines(of_drift(Drift.from_json(drift)))[:5]
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("kws.keras")
    assert any("…" in line and "int8.tflite" in line for line in lines)


def test_colours_are_for_terminals_alone(documents: Documents, write: Write) -> None:
    words = ["report", *map(str, write(documents))]
    shown = on_a_terminal(words)
    assert "\x1b[32mwithin budget\x1b[0m" in shown
    assert "\x1b[31mfailed\x1b[0m" in shown
    plain = on_a_terminal(words, NO_COLOR="1")
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[\d+m", "", shown) == plain
    assert "\x1b" not in on_a_terminal(words, TERM="dumb")
    piped = subprocess.run(
        [sys.executable, "-m", "edgekit", *words], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in piped.stdout + piped.stderr


@pytest.mark.parametrize("key", ["reasons", "warnings"])
def test_names_steer_no_terminal_between_colours(
    documents: Documents, write: Write, key: str
) -> None:
    documents["drift"]["candidates"][0]["verdict"] = "fail"
    documents["drift"]["candidates"][0][key] = ["\x1b]0;owned\x07 \u202e x"]
    documents["drift"]["candidates"][0]["artifact"]["path"] = "\x1b[5mkws.int8.tflite"
    documents = {"drift": documents["drift"]}
    shown = on_a_terminal(["report", *map(str, write(documents))])
    # What is left are edgekit's own styles.
    assert not re.sub(r"\x1b\[(0|1|2|31|32|33)m", "", shown).count("\x1b")
    assert "\\x1b]0;owned\\x07" in shown
