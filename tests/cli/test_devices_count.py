"""`edgekit devices count`: a table of counts, and a limit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact import Artifact
from edgekit.boards import instructions
from edgekit.document import load
from edgekit.runtime.instructions import FileInstructions, Instructions
from edgekit.runtime.runner import Backend

OLD = "x86-sse4"


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`found(FileInstructions(...))`: what is counted."""

    def give(*rows: FileInstructions) -> None:
        counts = Instructions(OLD, "Nehalem", 64, "3.11", rows)
        monkeypatch.setattr(instructions, "count_instructions", lambda *_: counts)

    return give


def counted(file: Path) -> FileInstructions:
    artifact = Artifact.of(file).recorded()
    return FileInstructions(
        artifact, None, Backend("litert", "2.3.0"), 3_000_000, 2_000_000, 1_200_000
    )


@pytest.mark.parametrize(
    ("limit", "code", "note"),
    [((), 0, ""), (("1.2e6",), 0, ""), (("1e6",), 3, "above the limit of 1,000,000")],
)
def test_the_command_gates(
    command: Any,
    models: Path,
    tmp_path: Path,
    found: Callable[..., None],
    limit: tuple[str, ...],
    code: int,
    note: str,
) -> None:
    file = models / "classifier.int8.tflite"
    found(counted(file))
    words = [word for each in limit for word in ("--max-instructions", each)]
    out = tmp_path / "counts.json"
    done = command("devices", "count", OLD, file, *words, "--json", out)
    assert done.code == code
    header, row = done.err.splitlines()
    assert header.split() == ["file", "infer", "first", "infer", "load"]
    assert row.split()[:4] == [file.name, "1,200,000", "2,000,000", "3,000,000"]
    assert row.endswith(note)
    document = load(out)
    assert isinstance(document, Instructions)
    assert document.files == (counted(file),)
    # A pipe gets the same document, and a result that is there stays.
    assert json.loads(command("devices", "count", OLD, file).out) == document.to_json()
    assert command("devices", "count", OLD, file, "--json", out).code == 2


def test_the_command_fails_where_a_file_does(
    command: Any, models: Path, found: Callable[..., None]
) -> None:
    file = models / "classifier.int8.tflite"
    found(FileInstructions(Artifact.of(file).recorded(), "died by SIGILL"), counted(file))
    done = command("devices", "count", OLD, file, file, "--max-instructions", 5)
    assert done.code == 1
    bad, good = json.loads(done.out)["files"]
    assert (bad["failed"], bad["infer"]) == ("died by SIGILL", None)
    assert (good["failed"], good["infer"]) == (None, 1_200_000)


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
