"""This machine as a board: its own Python, as it is and under QEMU."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from support import needs

from edgekit.boards.deploy import Setup, run_on
from edgekit.boards.here import CPUS, here, is_x86
from edgekit.boards.job import Work
from edgekit.cli import main
from edgekit.device import list_devices, load_device
from edgekit.document import load
from edgekit.drift.budget import DriftBudget
from edgekit.drift.drift import Drift
from edgekit.errors import BoardError, MissingDependencyError

# What the processor has, as its own instruction says (CPUID leaf 7, EBX bit 5: AVX2), and the Pythons that run.
_ASK = """
import json, subprocess, sys
from numpy._core._multiarray_umath import __cpu_features__ as has
child = "import sys; print(sys.executable)"
names = [sys.executable, subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip()]
print(json.dumps({"names": names, "avx2": bool(has["AVX2"]), "avx512": bool(has["AVX512F"])}))
"""


def test_the_x86_profiles_are_the_ones_that_qemu_runs() -> None:
    assert [p.id for p in list_devices() if is_x86(p)] == ["x86-avx2", "x86-sse4"]
    assert {p.soc.core for p in list_devices() if is_x86(p)} == set(CPUS)


@pytest.mark.processes
def test_this_machine_as_it_is(build: Path) -> None:
    with here() as place, place.connected("x86") as connection:
        done = connection.run(["python3", "-c", "import os; print(os.environ['HOME'])"])
        home = Path(done.out.strip())
        assert home.is_dir()
        assert home != Path.home()
        assert connection.run(["ls", "~/"]).out == ""
        work = Work((build / "one.tflite",), build / "golden.npz", DriftBudget(), None)
        (run,) = run_on(["x86"], work, build / "out", Setup(here=place, python=place.python), print)
    assert (run.failure, run.exit_code) == (None, 0)
    assert run.kind is not None
    assert not run.kind.emulated
    (drift,) = (d for path in run.documents if isinstance(d := load(path), Drift))
    assert all(output.identical for output in drift.candidates[0].outputs)
    assert not home.exists()


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("device", "avx2"), [("x86-avx2", True), ("x86-sse4", False)])
def test_every_python_there_is_emulated(
    device: str, avx2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs.tool("qemu")
    # Kernels that somebody chose for the processor that is here would end an older one.
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    with here(load_device(device)) as place, place.connected(device) as connection:
        found = json.loads(connection.run([place.python, "-c", _ASK]).out)
        assert found == {"names": [place.python] * 2, "avx2": avx2, "avx512": False}
        # An environment's Python, as a board has it: emulated too, and without this one's packages.
        words = ["python3", "-m", "venv", "--without-pip", "~/env"]
        assert connection.run(words).code == 0
        ask = "import os, sys; print(sys.executable, os.path.exists('/proc/device-tree/model'))"
        done = connection.run(["~/env/bin/python", "-c", ask])
        assert done.out.split() == [f"{place.environment['HOME']}/env/bin/python", "True"]
        assert connection.run(["~/env/bin/python", "-c", "import numpy"]).code == 1


def test_no_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(MissingDependencyError, match="apt-get install qemu-user"),
        here(load_device("x86-sse4")),
    ):
        pass


def test_other_processors_emulate_no_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with (
        pytest.raises(BoardError, match="x86-avx2 is emulated on x86_64, this machine is aarch64"),
        here(load_device("x86-avx2")),
    ):
        pass


def test_no_ssh_server_and_no_32_bits(build: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "emulate", "x86-avx2"]) == 2
    assert "devices run emulated:x86-avx2" in capfd.readouterr().err
    words = ["devices", "run", "emulated:x86-avx2", "--bits", "32", "--build", str(build)]
    assert main(words) == 2
    assert "--bits: received 32 with x86-avx2" in capfd.readouterr().err
