"""Instructions an inference: repeatable, of the emulated processor, and gated by the command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import needs

from edgekit.boards import instructions
from edgekit.boards.counted import MARKS, MEASURED, WARM
from edgekit.boards.instructions import Emulation, count_beside, count_instructions
from edgekit.boards.outcome import BoardRun, BoardRuns
from edgekit.boards.tables import lines_of
from edgekit.boards.userland import userland
from edgekit.cli import main
from edgekit.device import load_device
from edgekit.document import load
from edgekit.errors import BoardError, MissingDependencyError, UsageError
from edgekit.files import sha256_of
from edgekit.runtime.instructions import FileInstructions, Instructions

pytestmark = pytest.mark.processes
OLD = "x86-sse4"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU and a compiler are there, and no plugin was compiled."""
    needs.tool("qemu")
    needs.tool("gcc")
    needs.package("ai_edge_litert")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def on(board: str = OLD) -> Emulation:
    return Emulation(load_device(board), userland(64, None))


def counted(files: list[Path], board: str = OLD) -> tuple[FileInstructions, ...]:
    return count_instructions(files, on(board)).files


def infer_of(each: FileInstructions) -> int:
    assert each.infer is not None, each.failed
    return each.infer


@pytest.mark.usefixtures("tools")
def test_the_same_file_takes_the_same(models: Path) -> None:
    file = models / "classifier.int8.tflite"
    first, again = (counted([file])[0] for _ in range(2))
    assert (first.failed, again.failed) == (None, None)
    assert None not in (first.infer, first.first, first.load, again.infer)
    assert first.backend is not None
    assert first.backend.name == "litert"
    assert first.artifact.sha256 == sha256_of(file)
    # Usually to the instruction; what addresses do to Python's hash tables came to 526 once.
    assert abs(infer_of(first) - infer_of(again)) <= 2000
    # Numpy and Python around a kernel of a few thousand; then the interpreter's first call, and its start.
    assert 10_000 < infer_of(first) < (first.first or 0) < (first.load or 0)


@pytest.mark.slow
@pytest.mark.usefixtures("tools")
def test_a_larger_network_takes_more_by_its_kernels(tmp_path: Path) -> None:
    needs.package("onnxruntime")
    onnx = needs.package("onnx")
    import numpy as np
    from support.onnx_files import constant, onnx_file

    files = []
    for width in (64, 512):
        kernel = constant("kernel", np.ones((width, width), np.float32))
        nodes = [kernel, onnx.helper.make_node("MatMul", ["x", "kernel"], ["y"])]
        files.append(onnx_file(tmp_path / f"{width}.onnx", nodes, [], x=(1, [1, width])))
    small, large = counted(files)
    # Four products an instruction, and loads of what is multiplied: more than a quarter of 512 x 512, less than four.
    assert 0.25 < (infer_of(large) - infer_of(small)) / (512**2 - 64**2) < 4


@pytest.mark.usefixtures("tools")
def test_a_file_that_fails_is_a_line_and_others_go_on(models: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"garbage")
    bad, good = counted([damaged, models / "lookup.float32.tflite"])
    assert bad.failed is not None
    assert "cannot load it" in bad.failed
    assert (bad.backend, bad.infer, bad.first, bad.load) == (None,) * 4
    assert good.failed is None


@pytest.mark.usefixtures("tools")
def test_marks_are_those_of_the_program(models: Path, tmp_path: Path) -> None:
    """The plugin hears each mark, and nothing but marks."""
    plugin = instructions._plugin(tmp_path)
    processor = instructions._x86(load_device(OLD), tmp_path)
    file = models / "classifier.int8.tflite"
    instructions._counted(file, processor, plugin, tmp_path / "counts")
    marks = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(marks) == MARKS == 3 + WARM + MEASURED
    assert marks == sorted(marks)
    # Compiled once.
    assert instructions._plugin(tmp_path) == plugin


@pytest.mark.usefixtures("tools")
def test_what_is_missing_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    for missing, said in (("cc gcc clang", "apt-get install gcc"), ("qemu-x86_64", "qemu-user")):
        names = missing.split()
        monkeypatch.setattr(
            shutil, "which", lambda name, n=names: None if name in n else which(name)
        )
        with pytest.raises(MissingDependencyError, match=said):
            counted([models / "classifier.int8.tflite"])


@pytest.mark.usefixtures("tools")
def test_an_emulator_without_plugins_is_told(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "qemu-static"
    static.write_text("#!/bin/sh\necho 'unknown option plugin' >&2\nexit 1\n")
    static.chmod(0o755)
    monkeypatch.setattr(instructions, "_program", lambda _: str(static))
    with pytest.raises(BoardError, match=r"does not take a plugin: unknown option plugin"):
        counted([models / "classifier.int8.tflite"])


def test_a_board_that_cannot_be_emulated_is_refused_first(models: Path) -> None:
    with pytest.raises(UsageError, match="cannot be emulated"):
        counted([models / "classifier.int8.tflite"], "desktop")


@pytest.mark.usefixtures("tools")
def test_counts_beside_the_times_of_an_emulated_board(models: Path, tmp_path: Path) -> None:
    (tmp_path / OLD).mkdir()
    runs = [
        BoardRun(OLD, None, (), (str(tmp_path / OLD / "bench.json"),), None, 0),
        # One that was lost before it timed anything, and one that is no emulation.
        BoardRun("lost", None, (), (), "lost: nothing answers there.", 6),
        BoardRun("pi", None, (), ("pi/bench.json",), None, 0),
    ]
    file, said = models / "lookup.float32.tflite", []
    found = count_beside(runs, {OLD: on(), "lost": on()}, [file], tmp_path, said.append)
    path = tmp_path / OLD / "instructions.json"
    assert found[0].documents == (str(tmp_path / OLD / "bench.json"), str(path))
    assert found[1:] == runs[1:]
    assert said == [f"{OLD}: counting the instructions of {file.name}"]
    counts = load(path)
    assert isinstance(counts, Instructions)
    assert (counts.device, counts.processor, counts.bits) == (OLD, "Nehalem", 64)
    (each,) = counts.files
    run = BoardRun(OLD, None, (), (str(path),), None, 0)
    lines = lines_of(BoardRuns((file.name,), (run,)))
    assert lines[:2] == [
        f"instructions an inference  {OLD}",
        f"{file.name:25}  {infer_of(each):,}",
    ]


def test_what_cannot_be_counted_takes_nothing_away(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    run, said = BoardRun(OLD, None, (), ("bench.json",), None, 0), []
    file = models / "lookup.float32.tflite"
    assert count_beside([run], {OLD: on()}, [file], tmp_path, said.append) == [run]
    (line,) = said
    assert line.startswith(f"warning: {OLD}: instructions are not counted: no C compiler")


@pytest.mark.usefixtures("tools")
def test_the_command_writes_them_and_gates(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = models / "lookup.float32.tflite", tmp_path / "counts.json"
    words = ["devices", "count", OLD, str(file), "--max-instructions", "1000", "--json", str(out)]
    assert main(words) == 3
    counts = load(out)
    assert isinstance(counts, Instructions)
    shown = capfd.readouterr().err.splitlines()[-1]
    assert f"{infer_of(counts.files[0]):,}" in shown
    assert shown.endswith("above the limit of 1,000")
