"""Boards that are emulated: the same SSH path as to a real one. They take minutes, and Debian packages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from boards.conftest import until
from support import needs

from edgekit.boards import wheels
from edgekit.boards.deploy import Setup, run_on
from edgekit.boards.emulate import emulated
from edgekit.boards.job import Work
from edgekit.boards.userland import userland
from edgekit.boards.wheels import cached, target_of
from edgekit.cli import main
from edgekit.device import load_device
from edgekit.document import load
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.errors import BoardError, UsageError
from edgekit.files import cache_folder
from edgekit.runtime import load as open_model
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.instructions import Instructions
from edgekit.samples import Samples

pytestmark = [pytest.mark.processes, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _the_users_own_cache() -> Iterator[None]:
    """What was fetched once is not fetched by every run of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        assert cache_folder("boards") is not None
        try:
            with emulated(load_device("raspberry-pi-4b"), userland(64, 12)):
                pass
        # What the machine or its network forbids is no fault of edgekit's; the message says what it is.
        except (BoardError, UsageError) as error:
            needs.not_here(f"boards cannot be emulated here: {error}")
        yield


def processes() -> list[str]:
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "qemu-a" in line and "/boards/" in line]


@pytest.mark.parametrize(
    ("device", "bits", "debian", "machine", "interpreter"),
    [
        ("raspberry-pi-3b", 32, 12, "armv7l", "tflite-runtime"),
        ("raspberry-pi-5", 64, 13, "aarch64", "ai-edge-litert"),
    ],
)
def test_answers_of_an_emulated_board(
    tmp_path: Path,
    models: Path,
    device: str,
    bits: int,
    debian: int,
    machine: str,
    interpreter: str,
) -> None:
    names = [f"classifier.{scheme}.tflite" for scheme in ("float32", "float16", "int8")]
    if bits == 64:
        names.append("classifier.int8.onnx")
    for name in names:
        shutil.copy(models / name, tmp_path)
    with open_model(tmp_path / names[0]) as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).random((32, 8, 8, 1)).astype(np.float32) * 16
        Golden.of(runner, Samples({spec.name: x})).save(tmp_path / "golden.npz")
    said: list[str] = []
    before = processes()
    with emulated(load_device(device), userland(bits, debian)) as board:
        work = Work(
            tuple(tmp_path / name for name in names), tmp_path / "golden.npz", DriftBudget(), None
        )
        (run,) = run_on(
            [board.host], work, tmp_path / "out", Setup(ssh_config=board.ssh_config), said.append
        )
    assert (run.failure, run.exit_code) == (None, 0), said
    assert run.kind is not None
    assert (run.kind.device, run.kind.machine, run.kind.emulated) == (device, machine, True)
    found = {Path(path).name: load(path) for path in run.documents}
    drift, host = found["drift.json"], found["host.json"]
    assert isinstance(drift, Drift)
    assert isinstance(host, Checkup)
    assert host.host.device == device
    assert interpreter in host.host.interpreters
    by_name = {c.artifact.file: c for c in drift.candidates}
    assert sorted(by_name) == sorted(names)
    # Other kernels add in another order: scores of float32 differ by a few units in the last place. Half precision
    # rounds each weight by at most 2^-11 of itself, and the scores, which add up to 1, move by no more.
    for scheme, limit in (("float32", 1e-4), ("float16", 2**-11)):
        (output,) = by_name[f"classifier.{scheme}.tflite"].outputs
        assert output.max_abs is not None
        assert output.max_abs < limit, scheme
    # The rounding is there: it is not the float32 file again.
    assert not by_name["classifier.float16.tflite"].outputs[0].identical
    # Others may emulate boards on this machine, which end meanwhile.
    until(lambda: set(processes()) <= set(before))


def test_a_board_without_an_index(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder of wheels to answers, times and instructions, by the command; nothing is fetched."""
    needs.tool("qemu")
    needs.tool("gcc")
    build, folder, out = tmp_path / "build", tmp_path / "wheels", tmp_path / "out"
    build.mkdir()
    folder.mkdir()
    for wheel in cached(target_of(load_device("raspberry-pi-3b"), 32), False, lambda _: None):
        shutil.copy(wheel, folder)
    shutil.copy(models / "classifier.int8.tflite", build)
    with open_model(models / "classifier.float32.tflite") as runner:
        (spec,) = runner.inputs
        x = np.random.default_rng(0).random((32, 8, 8, 1)).astype(np.float32) * 16
        Golden.of(runner, Samples({spec.name: x})).save(build / "golden.npz")

    def refuse(*_: object) -> None:
        pytest.fail("something was fetched")

    monkeypatch.setattr(wheels, "_download", refuse)
    words = ["devices", "run", "emulated:raspberry-pi-3b", "--bits", "32", "--build", build]
    more = ["--wheels", folder, "--compare", "--subset", "8", "--bench", "--seconds", "0.2"]
    assert main([*map(str, (*words, *more, "-o", out, "--json", tmp_path / "runs.json"))]) == 0
    found = {path.name: load(path) for path in (out / "raspberry-pi-3b").glob("*.json")}
    assert sorted(found) == ["bench.json", "drift.json", "host.json", "instructions.json"]
    drift, counts = found["drift.json"], found["instructions.json"]
    assert isinstance(drift, Drift)
    assert isinstance(counts, Instructions)
    assert drift.reference.samples == 8
    assert drift.candidates[0].backend.name == "tflite-runtime"
    assert (counts.processor, counts.bits) == ("cortex-a7", 32)
    (each,) = counts.files
    assert each.failed is None
    assert each.infer is not None
    # Python and numpy take tens of thousands, the kernels of this file some thousands.
    assert 10_000 < each.infer < 10_000_000
    page = (out / "report.html").read_text("utf-8")
    assert f"{each.infer:,}" in page
