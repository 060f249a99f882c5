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

from edgekit.boards.deploy import Setup, run_on
from edgekit.boards.emulate import emulated
from edgekit.boards.job import Work
from edgekit.boards.userland import userland
from edgekit.device import load_device
from edgekit.document import load
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.errors import BoardError, UsageError
from edgekit.files import cache_folder
from edgekit.runtime import load as open_model
from edgekit.runtime.checkup import Checkup
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
    names = ["classifier.float32.tflite", "classifier.int8.tflite"]
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
    (output,) = by_name["classifier.float32.tflite"].outputs
    # Other kernels add in another order: scores of float32 differ by a few units in the last place.
    assert output.max_abs is not None
    assert output.max_abs < 1e-4
    until(lambda: processes() == before)
