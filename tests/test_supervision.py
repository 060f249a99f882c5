"""What ends the process that works is said by the one that waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import children, needs

from edgekit.interruption import MESSAGE
from edgekit.supervision import _processor_seconds

pytestmark = pytest.mark.processes

CODE = """
import hashlib, os, signal, sys, time
from edgekit.interruption import hear, interruptible
from edgekit.supervision import supervised
def work():
    hear()
    print(os.getpid(), flush=True)
    {work}
    return 7
sys.exit(supervised(work))
"""


@contextmanager
def started(work: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with children.python("-c", CODE.format(work=work), **pipes) as process:
        yield process


def ended(work: str) -> tuple[int, str]:
    with started(work) as process:
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_an_exit_code_passes() -> None:
    assert ended("pass") == (7, "")
    assert ended("sys.exit(3)") == (3, "")


@pytest.mark.parametrize(
    ("name", "message"),
    [("SIGKILL", "memory"), ("SIGABRT", "memory"), ("SIGSEGV", "crash of native code")],
)
def test_a_signal_ends_in_a_message(name: str, message: str) -> None:
    code, err = ended(f"os.kill(os.getpid(), signal.{name})")
    assert code == 1
    assert err.startswith(f"edgekit: {name} ended the work, ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_go_on(number: signal.Signals) -> None:
    work = "with interruptible():\n        try: time.sleep(60)\n        except KeyboardInterrupt: return 130"
    with started(work) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_native_code_that_hears_nothing_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    """What was hidden meanwhile goes as well."""
    work = (
        "from edgekit.scratch import scratch_folder\n"
        f"    with interruptible(), scratch_folder({str(tmp_path)!r}):\n"
        "        print('there', flush=True)\n"
        "        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"
    )
    with started(work) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert process.stdout.readline() == "there\n"
        # It is in the middle of it once it has worked a while.
        began = _processor_seconds(worker)
        while _processor_seconds(worker) < began + 0.2:
            time.sleep(0.01)
        assert [path.name[:9] for path in tmp_path.iterdir()] == [".edgekit-"]
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == f"{MESSAGE}\n"
    assert not list(tmp_path.iterdir())


def test_what_heard_is_given_its_time() -> None:
    """Whatever it does then, as long as it takes: more processor time than native code is given."""
    work = (
        "with interruptible():\n"
        "        try: time.sleep(60)\n"
        "        except KeyboardInterrupt:\n"
        "            until = time.process_time() + 3\n"
        "            while time.process_time() < until: pass\n"
        "            return 130"
    )
    with started(work) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")


def test_an_ignored_signal_ends_nothing() -> None:
    """As in the background of a shell: native code goes on."""
    work = "hashlib.pbkdf2_hmac('sha256', b'', b'', 3_000_000)"
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{CODE.format(work=work)}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with children.python("-c", code, **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (7, "")


def test_what_works_dies_with_what_waits() -> None:
    with started("time.sleep(60)") as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{worker}/stat").exists() and time.monotonic() < deadline:
            state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":
                break
            time.sleep(0.01)
        else:
            assert not Path(f"/proc/{worker}").exists()


def test_a_command_that_lacks_memory_says_so(tmp_path: Path) -> None:
    np = needs.package("numpy")
    x = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    np.savez(tmp_path / "t.npz", x=x, y=np.arange(64) % 2)
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20));"
        "from edgekit.__main__ import main; sys.exit(main())"
    )
    words = ["train", "--data", "t.npz", "--epochs", "1", "-o", "m.keras"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *words],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("edgekit: ")
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert not list(tmp_path.glob("m.keras*"))


@pytest.mark.parametrize("pause", [0.0, 0.3])
@pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2, 0.5])
def test_two_interruptions_of_the_group_are_one(delay: float, pause: float) -> None:
    """As a terminal sends them: to the process that waits, and to the one that works."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # What comes before the program waits for it, as it does for the work once the program has begun.
    code = (
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT});"
        "from edgekit.__main__ import main; print(flush=True); sys.exit(main())"
    )
    with children.python("-c", code, "doctor", start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        time.sleep(delay)
        for _ in range(2):
            # It may be over, and so may its group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            time.sleep(pause)
        out, err = process.communicate(timeout=120)
    if process.returncode == 130:
        # What was said before stands before it.
        assert err.splitlines()[-1] == "edgekit: interrupted; nothing half-written is left."
        assert "Traceback" not in err
    else:
        # It was over before, and all was said.
        assert process.returncode == 0
        assert "Traceback" not in err
        assert json.loads(out)["schema"] == "edgekit.host/1"
