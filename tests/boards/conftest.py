"""A real SSH server on loopback that stands for a board: its own keys, and a home folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from support import needs

from edgekit.drift.golden import Golden
from edgekit.samples import Samples

_PATIENCE_S = 20.0


@dataclass
class Board:
    """A server and how it is reached.

    Attributes:
        host: as `config` has it.
        home: the home folder of its sessions.
        config: for ``ssh -F``.
        environment: of its sessions; heeded from the next start on.
    """

    host: str
    home: Path
    config: Path
    port: int
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> Path:
        """What edgekit leaves there."""
        return self.home / ".cache" / "edgekit" / "runs"

    def start(self) -> None:
        given = {"HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1", **self.environment}
        words = " ".join(f'"{name}={value}"' for name, value in given.items())
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nUsePAM no\n"
            f"StrictModes no\nPasswordAuthentication no\nPidFile none\nSetEnv {words}\n"
            f"AuthorizedKeysFile {self.folder}/id.pub\nPermitRootLogin yes\nMaxStartups 100\n"
        )
        log = (self.folder / "log").open("ab")
        self.server = subprocess.Popen(
            [needs.tool("sshd"), "-D", "-e", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end and self.server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as there:
                if there.recv(4) == b"SSH-":
                    return
            time.sleep(0.05)
        pytest.fail(f"sshd did not come up: {(self.folder / 'log').read_text()}")

    def cut(self) -> None:
        """End all connections, and the server: what they began goes on."""
        assert self.server is not None
        listening = self.server.pid
        for pid in children_of(listening):
            for inner in children_of(pid):
                # The session's own process: the connection, not what runs in it.
                if "sshd" in name_of(inner):
                    os.kill(inner, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
        self.server.kill()
        self.server.wait()

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.cut()

    def left(self) -> list[str]:
        """What a run left there, but for the environments and the lock."""
        kept = ("busy", "busy.json")
        return sorted(p.name for p in self.runs.glob("*") if p.name not in kept)


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def working_in(folder: Path) -> list[str]:
    """The command lines of processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in line and "sshd" not in line:
                found.append(line)
    return found


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """One that is up; what runs on it ends with the test."""
    sshd = Path("/run/sshd")
    made = os.geteuid() == 0 and not sshd.exists()
    needs.tool("sshd")
    if made:
        # What the package's start-up script makes.
        sshd.mkdir()
    folder = tmp_path / "sshd"
    folder.mkdir()
    for name in ("host", "id"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"board {key}\n")
    config = folder / "ssh_config"
    config.write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias board\n"
        f"  IdentityFile {folder}/id\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    board = Board("board", home, config, port, folder)
    board.start()
    try:
        yield board
    finally:
        board.stop()
        with suppress(OSError):
            if made:
                sshd.rmdir()


@pytest.fixture
def build(tmp_path: Path, models: Path) -> Path:
    """A folder of a TFLite file and the golden file of what it answers."""
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "one.tflite").write_bytes((models / "classifier.int8.tflite").read_bytes())
    rng = np.random.default_rng(0)
    from edgekit.runtime import load

    with load(folder / "one.tflite") as runner:
        (spec,) = runner.inputs
        shape = (8, *(spec.concrete_shape() or ())[1:])
        Golden.of(runner, Samples({spec.name: rng.random(shape).astype(np.float32)})).save(
            folder / "golden.npz"
        )
    return folder


@pytest.fixture
def python() -> str:
    """One that has edgekit already."""
    return sys.executable


Waiting = Callable[[Callable[[], object]], None]


def until(what: Callable[[], object], seconds: float = _PATIENCE_S) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            pytest.fail("it did not come true")
        time.sleep(0.05)
