"""An emulated board: a Debian userland of its kind with its own SSH server on loopback, as long as a block runs."""

from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgekit.boards.cores import core_of, qemu_cpu, write_board
from edgekit.boards.namespace import NOT_SET_UP, Place, refusal
from edgekit.boards.userland import Userland, made
from edgekit.device import EMULATED, DeviceProfile
from edgekit.errors import BoardError, MissingDependencyError
from edgekit.scratch import scratch_folder

# QEMU starts the server within a second; on a busy machine it may take many.
_PATIENCE_S = 60.0
_END_S = 5.0
_USER = "pi"


@dataclass(frozen=True)
class Emulated:
    """A board that is up.

    Attributes:
        host: its name in `ssh_config`.
        port: of its SSH server, on loopback.
        ssh_config: a file for ``ssh -F``: where it is, its key, and its own host key.
        server: the process that ends it.
    """

    host: str
    port: int
    ssh_config: Path
    server: subprocess.Popen[bytes]

    @property
    def running(self) -> bool:
        return self.server.poll() is None


@contextmanager
def emulated(
    profile: DeviceProfile,
    userland: Userland,
    archive: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
    name: str | None = None,
) -> Iterator[Emulated]:
    """A board of that kind, up for as long as the block runs. Nothing of it is left then, but the cached userland.

    Args:
        archive: the address of a Debian archive; this machine's own if None.
        name: what it is called; its profile's id if None.

    Raises:
        UsageError: a board that cannot be emulated, or no archive is known.
        BoardError: the kernel forbids what it takes, or the server does not come up.
        MissingDependencyError: there is no OpenSSH here.
    """
    core_of(profile)
    for program in ("ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            raise MissingDependencyError(
                f"{program} is not installed. Install OpenSSH's client: sudo apt-get install openssh-client"
            )
    root, qemu = made(userland, archive, tell)
    with scratch_folder() as (folder, held):
        config, port, environment = _server(folder, profile, userland, name or profile.id)
        place = Place(
            root=str(root),
            qemu=str(qemu),
            bits=userland.bits,
            name=name or profile.id,
            board=str(folder / "board"),
            folders={
                inside: str(folder / inside) for inside in ("home/pi", "tmp", "var/tmp", "etc/ssh")
            },
            command=("/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"),
            environment=environment,
        )
        log = folder / "log"
        with log.open("wb") as file:
            server = subprocess.Popen(
                place.argv(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Ctrl-C on the terminal is for this process to hear, which ends the other in its turn.
                start_new_session=True,
                pass_fds=held,
            )
        board = Emulated(name or profile.id, port, config, server)
        try:
            _wait(board, log)
            yield board
        finally:
            _end(server)


def _server(
    folder: Path, profile: DeviceProfile, userland: Userland, name: str
) -> tuple[Path, int, dict[str, str]]:
    """Write what the server reads, and what ``ssh -F`` does; gives the latter, the port and the environment."""
    write_board(profile, userland.bits, folder / "board")
    home, etc, keys = folder / "home" / "pi", folder / "etc" / "ssh", folder / "keys"
    for made_folder in (home / ".ssh", etc, keys, folder / "tmp", folder / "var" / "tmp"):
        made_folder.mkdir(parents=True)
    for private in (home, home / ".ssh", keys):
        private.chmod(0o700)
    for key in (keys / "id", etc / "host_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edgekit", "-f", str(key)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    shutil.copy(keys / "id.pub", home / ".ssh" / "authorized_keys")
    port = _free_port()
    environment = {
        # A session starts with an empty environment, and QEMU's own choice of a core answers wrongly.
        "QEMU_CPU": qemu_cpu(profile, userland.bits),
        "QEMU_LD_PREFIX": "/.board",
        "LANG": "C.UTF-8",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        EMULATED: "1",
    }
    given = " ".join(f"{name}={value}" for name, value in environment.items())
    (etc / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/host_key\nUsePAM no\nStrictModes no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nMaxStartups 100\n"
        f"Subsystem sftp internal-sftp\nSetEnv {given}\n",
        "utf-8",
    )
    known = " ".join((etc / "host_key.pub").read_text("ascii").split()[:2])
    (keys / "known_hosts").write_text(f"{name} {known}\n", "ascii")
    config = folder / "ssh_config"
    quoted = {name: f'"{keys / name}"' for name in ("id", "known_hosts")}
    config.write_text(
        f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User {_USER}\n"
        f"  HostKeyAlias {name}\n  IdentityFile {quoted['id']}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {quoted['known_hosts']}\n  StrictHostKeyChecking yes\n",
        "utf-8",
    )
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return config, port, {**environment, "HOME": "/home/pi", "PATH": path}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait(board: Emulated, log: Path) -> None:
    """Until the server answers."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and board.running:
        with suppress(OSError), socket.create_connection(("127.0.0.1", board.port), 1) as there:
            there.settimeout(_PATIENCE_S)
            if there.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    said = log.read_text("utf-8", "replace")
    if board.server.poll() == NOT_SET_UP and (reason := refusal(said)):
        raise BoardError(f"{board.host} cannot be emulated: {reason}")
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    raise BoardError(f"{board.host}: its SSH server did not come up: {last[0]}.")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End all that runs on the board."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(_END_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def ssh_line(board: Emulated) -> str:
    """The command that opens a shell on the board."""
    return shlex.join(["ssh", "-F", str(board.ssh_config), board.host])
