"""The same files on several machines and interpreters, beside each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from boards.conftest import Board, working_in
from hypothesis import given, settings
from hypothesis import strategies as st
from support import needs

from edgekit.boards.job import Work
from edgekit.boards.ledger import step_of
from edgekit.boards.outcome import Step
from edgekit.boards.runtimes import RUNTIMES, CellWork
from edgekit.boards.wheels import NoWheelError, Target, requirements
from edgekit.cli import main
from edgekit.document import load
from edgekit.drift.budget import DriftBudget
from edgekit.drift.golden import Golden
from edgekit.drift.ledger import Ledger
from edgekit.runtime import load as open_model
from edgekit.samples import Samples


@given(
    step=st.floats(1e-4, 10),
    places=st.lists(st.integers(0, 200), min_size=1, max_size=40),
    zero=st.integers(-128, 127),
)
@settings(deadline=None)
def test_steps_of_answers_of_8_bits(step: float, places: list[int], zero: int) -> None:
    """Two neighbours are among them, as they are in thousands of answers."""
    q = np.array([*places, 7, 8])
    found = step_of([((q - zero) * np.float32(step)).astype(np.float32), np.float32([0]) * step])
    # Zero may lie below all of them: then they are more than 256 steps apart, and no 8 bits hold them.
    if found is None:
        assert max(*q, zero) - min(*q, zero) >= 256
    else:
        assert found == pytest.approx(step, rel=1e-3)


def test_answers_of_floats_have_no_steps() -> None:
    rng = np.random.default_rng(0)
    assert step_of([rng.random((40, 10)).astype(np.float32)]) is None
    assert step_of([np.zeros((4, 3), np.float32)]) is None
    assert step_of([np.array([0.0, 1.0, 2.5])]) is None
    assert step_of([np.array([0.0, np.nan, 1.0])]) is None
    assert step_of([]) is None


@pytest.mark.parametrize(
    ("target", "interpreter", "expected"),
    [
        (Target("aarch64", "3.11", 36), "ai-edge-litert", "ai-edge-litert==2.3.0"),
        (Target("aarch64", "3.11", 36), "tflite-runtime", "tflite-runtime==2.14.0"),
        (Target("aarch64", "3.13", 41), "tflite-runtime", None),
        (Target("armv7l", "3.11", 36), "ai-edge-litert", None),
        (Target("armv7l", "3.11", 36), "tflite-runtime", "tflite-runtime==2.14.0"),
    ],
)
def test_what_an_interpreter_needs(target: Target, interpreter: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(NoWheelError, match=f"{interpreter} has no wheel for {target}"):
            requirements(target, False, interpreter)
    else:
        assert expected in requirements(target, False, interpreter)


def test_each_interpreter_is_asked_for_its_own_files(build: Path) -> None:
    shutil.copy(build / "one.tflite", build / "two.onnx")
    files = (build / "one.tflite", build / "two.onnx")
    work = Work(files, build / "golden.npz", DriftBudget(0.02), None)
    names = {name: CellWork.of(work, runtime) for name, runtime in RUNTIMES.items()}
    assert {name: [p.name for p in own.files] for name, own in names.items() if own} == {
        "litert": ["one.tflite"],
        "tflite-runtime": ["one.tflite"],
        "reference": ["one.tflite"],
        "onnxruntime": ["two.onnx"],
    }
    reference = names["reference"]
    assert reference is not None
    (step,) = reference.steps("python")
    assert " ".join(step["argv"][3:]) == (
        "compare -q --golden golden.npz --budget budget.toml --delegate reference --no-verify --answers out "
        "one.tflite --json out/drift-one.tflite.json"
    )
    assert CellWork.of(Work(files[:1], None, DriftBudget(), None), RUNTIMES["onnxruntime"]) is None


def run(words: list[str], folder: Path) -> tuple[int, Ledger]:
    code = main(["compare", *words, "--json", str(folder / "ledger.json"), "--overwrite"])
    found = load(folder / "ledger.json")
    assert isinstance(found, Ledger)
    return code, found


@pytest.fixture
def files(tmp_path: Path, models: Path) -> list[str]:
    """Files of one classifier, and the golden file of what its float file answers."""
    names = ["classifier.int8.tflite", "classifier.float32.tflite"]
    for name in names:
        shutil.copy(models / name, tmp_path)
    with open_model(tmp_path / names[1]) as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).random((64, 8, 8, 1)).astype(np.float32) * 16
        Golden.of(runner, Samples({spec.name: x})).save(tmp_path / "golden.npz")
    return [*(str(tmp_path / name) for name in names), "--golden", str(tmp_path / "golden.npz")]


@pytest.mark.processes
def test_interpreters_side_by_side(
    tmp_path: Path, models: Path, files: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, found = run([*files, "--on", "x86", "--runtimes", "litert,reference"], tmp_path)
    assert code == 0
    by_cell = {(c.file, c.runtime): c for c in found.cells}
    assert list(by_cell) == [
        (name, runtime)
        for name in ("classifier.int8.tflite", "classifier.float32.tflite")
        for runtime in ("litert", "reference")
    ]
    assert [c.verdict for c in found.cells] == ["none"] * 4
    # As the interpreter gives them when it is asked here.
    golden = Golden.load(tmp_path / "golden.npz")
    x = golden.samples.inputs
    answers = []
    for delegate in (None, "reference"):
        with open_model(models / "classifier.int8.tflite", delegate=delegate) as runner:
            (answer,) = runner.infer_batch(x).values()
            answers.append(np.asarray(answer))
    (original,) = golden.outputs.values()
    cell = by_cell["classifier.int8.tflite", "reference"]
    assert cell.flips == (answers[1].argmax(-1) != np.asarray(original).argmax(-1)).sum()
    assert cell.first_flips == (answers[1].argmax(-1) != answers[0].argmax(-1)).sum()
    assert cell.first_max_abs == np.abs(answers[1] - answers[0]).max()
    assert by_cell["classifier.int8.tflite", "litert"].first_max_abs == 0
    text = capfd.readouterr().err
    assert "4 of 4 combinations of file, machine and interpreter ran, on 64 samples." in text


@pytest.mark.processes
def test_a_machine_that_is_away_is_a_row(
    tmp_path: Path, board: Board, build: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    board.stop()
    words = [str(build / "one.tflite"), "--golden", str(build / "golden.npz")]
    more = ["--on", "x86,board", "--runtimes", "litert", "--ssh-config", str(board.config)]
    code, found = run([*words, *more], tmp_path)
    here, away = found.cells
    assert (code, here.exit_code, here.flips) == (6, 0, 0)
    assert (away.verdict, away.exit_code) == (None, 6)
    assert "nothing answers there" in away.reasons[0]
    text = capfd.readouterr().err
    assert "did not run [1]" in text
    assert "[1] nothing answers there" in text
    assert working_in(board.runs) == []


@pytest.mark.processes
def test_the_worst_cell_decides(tmp_path: Path, files: list[str]) -> None:
    words = [*files, "--on", "x86", "--runtimes", "litert", "--limit", "max_abs<=0.0000001"]
    code, found = run(words, tmp_path)
    assert code == 3
    assert found.verdict == "fail"
    assert [c.exit_code for c in found.cells if c.verdict == "fail"] == [3] * (
        sum(c.verdict == "fail" for c in found.cells)
    )


def test_how_a_cell_says_why_it_did_not_run() -> None:
    from edgekit.boards.ledger import _of_step

    assert _of_step(Step("a", -4, 1.0)) == "SIGILL ended the interpreter"
    assert _of_step(Step("a", 1, 1.0, "edgekit: a: is damaged.")) == "a: is damaged."
    assert _of_step(Step("a", 1, 1.0)) == "exit code 1"


def test_an_interpreter_without_a_wheel_does_not_count(tmp_path: Path) -> None:
    from edgekit.boards.ledger import _Asked
    from edgekit.boards.outcome import BoardRun
    from edgekit.cli.compare_on import _exit_code
    from edgekit.drift.ledger import Cell

    run = BoardRun("armhf", None, (), (), "armhf: litert has no wheel", 6, no_wheel=True)
    asked = _Asked(run, None, tmp_path, "a.tflite")
    assert asked.why_not() == ("litert has no wheel", 0)
    lost = _Asked(BoardRun("pi", None, (), (), "pi: lost", 6), None, tmp_path, "a.tflite")
    assert lost.why_not() == ("lost", 6)
    assert asked.candidate is None
    none = Cell.that_did_not_run("a.tflite", "armhf", "litert", None, "no wheel", 0)
    died = Cell.that_did_not_run("a.tflite", "pi", "litert", None, "SIGILL", 1)
    ran = replace(none, verdict="inconclusive", exit_code=5)

    def code(*cells: Cell, allow: bool = False) -> int:
        return _exit_code(SimpleNamespace(cells=cells), allow)  # type: ignore[arg-type]

    # But one that nothing ran proves nothing.
    assert (code(none), code(none, ran), code(none, ran, allow=True)) == (1, 5, 0)
    assert (code(died, ran), code(none, replace(ran, exit_code=3), ran)) == (1, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--on", "x86,x86"], "--on: received x86 2 times"),
        (["--on", ""], "--on: received ''"),
        (["--on", "desktop"], "expected x86 (this machine)"),
        (["--on", "-oProxyCommand=x"], "--on: received '-oProxyCommand=x'"),
        (["--on", "x86", "--runtimes", "litter"], "Did you mean 'litert'"),
        (["--on", "x86", "--runtimes", "litert,litert"], "received litert twice"),
        (["--on", "x86", "--runtimes", "onnxruntime"], "none of those that were named runs"),
        (["--on", "x86", "--backend", "litert"], "--backend: is for one machine"),
        (["--on", "x86", "--layers"], "--layers: is for one machine"),
        (["--runtimes", "litert"], "--runtimes: needs --on"),
        (["--ssh-config", "x"], "--ssh-config: needs --on"),
    ],
)
def test_wrong_usage(
    build: Path, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    line = [str(build / "one.tflite"), "--golden", str(build / "golden.npz")]
    fixed = [f"--on={words[1]}", *words[2:]] if words[0] == "--on" else words
    assert main(["compare", *line, *fixed]) == 2
    assert says in capfd.readouterr().err


def test_answers_are_kept(tmp_path: Path, build: Path) -> None:
    words = ["compare", str(build / "one.tflite"), "--golden", str(build / "golden.npz")]
    assert (
        main([*words, "--answers", str(tmp_path / "kept"), "--json", str(tmp_path / "d.json")]) == 0
    )
    golden = Golden.load(build / "golden.npz")
    with np.load(tmp_path / "kept" / "one.tflite.npz") as kept:
        assert set(kept.files) == set(golden.outputs)
        for name, expected in golden.outputs.items():
            np.testing.assert_array_equal(kept[name], expected)


@pytest.mark.slow
@pytest.mark.processes
def test_onnx_sums_on_an_older_processor(tmp_path: Path, models: Path) -> None:
    """edgekit's own int8 files have no weights that saturate: they answer alike with and without VNNI."""
    needs.tool("qemu")
    shutil.copy(models / "classifier.int8.onnx", tmp_path)
    with open_model(tmp_path / "classifier.int8.onnx") as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).random((16, 8, 8, 1)).astype(np.float32) * 16
        Golden.of(runner, Samples({spec.name: x})).save(tmp_path / "golden.npz")
    words = [str(tmp_path / "classifier.int8.onnx"), "--golden", str(tmp_path / "golden.npz")]
    code, found = run([*words, "--on", "x86,x86-avx2", "--runtimes", "onnxruntime"], tmp_path)
    assert code == 0
    assert [(c.machine, c.first_flips) for c in found.cells] == [("x86", 0), ("x86-avx2", 0)]
    assert found.cells[1].system is not None
    assert found.cells[1].system.endswith("emulated")
    assert json.loads((tmp_path / "ledger.json").read_text())["verdict"] == "none"
