"""`edgekit devices count`: a table of counts, and a limit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.boards import instructions
from edgekit.boards.instructions import Instructions

OLD = "x86-sse4"


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`found(Instructions(...))`: what is counted."""

    def give(*rows: Instructions) -> None:
        monkeypatch.setattr(instructions, "count_instructions", lambda *_: iter(rows))

    return give


@pytest.mark.parametrize(
    ("limit", "code", "note"),
    [((), 0, ""), (("1.2e6",), 0, ""), (("1e6",), 3, "above the limit of 1,000,000")],
)
def test_the_command_gates(
    command: Any,
    models: Path,
    found: Callable[..., None],
    limit: tuple[str, ...],
    code: int,
    note: str,
) -> None:
    file = models / "classifier.int8.tflite"
    found(Instructions(file, load=3_000_000, first=2_000_000, infer=1_200_000))
    words = [word for each in limit for word in ("--max-instructions", each)]
    done = command("devices", "count", OLD, file, *words)
    assert done.code == code
    header, row = done.out.splitlines()
    assert header.split() == ["file", "infer", "first", "infer", "load"]
    assert row.split()[:4] == [file.name, "1,200,000", "2,000,000", "3,000,000"]
    assert row.endswith(note)


def test_the_command_fails_where_a_file_does(
    command: Any, models: Path, found: Callable[..., None]
) -> None:
    file = models / "classifier.int8.tflite"
    found(Instructions(file, "died by SIGILL"), Instructions(file, infer=9))
    done = command("devices", "count", OLD, file, file, "--max-instructions", 5)
    assert done.code == 1
    assert "failed: died by SIGILL" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("README.md",), "received the ending '.md'"),
        (("model.keras",), "expected .tflite or .onnx files"),
        (("classifier.int8.tflite", "--max-instructions", "0"), "expected a number above 0"),
    ],
)
def test_wrong_input_is_one_message(
    command: Any, models: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    shutil.copy(models / "classifier.int8.tflite", folder)
    for name in ("README.md", "model.keras"):
        (folder / name).write_bytes(b"PK")
    done = command("devices", "count", OLD, folder / words[0], *words[1:])
    assert done.code == 2
    assert said in done.err
