"""One connection to a board, by OpenSSH with the user's own configuration, agent and known hosts."""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import BoardError, MissingDependencyError, one_line

# What ssh itself ends with when the connection fails (ssh(1)).
_OF_SSH = 255
# A board that says nothing for so long is lost: three questions, one every five seconds.
_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=15"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
)
# What ssh says, and what to do.
_REASONS = (
    (
        "Host key verification failed",
        "its host key is not the one in your known hosts. If the board was set up anew, take the old one out: "
        "ssh-keygen -R {host}; if it is new, connect to it once by hand: ssh {host}",
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one in your known hosts. If the board was set up anew, take the old one out: "
        "ssh-keygen -R {host}",
    ),
    (
        "Permission denied",
        "it lets this user in with none of your keys. Copy one there: ssh-copy-id {host}",
    ),
    ("Could not resolve hostname", "no such host. Name it as 'ssh' knows it"),
    ("Connection refused", "nothing answers there. Is the board up, and its SSH server on?"),
    ("No route to host", "it cannot be reached. Is the board up, and on this network?"),
    ("timed out", "it does not answer. Is the board up, and on this network?"),
)


class LostError(BoardError):
    """The connection was cut; the board may go on working."""


@dataclass(frozen=True)
class Done:
    """How a command on the board ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Connection:
    """Commands and files over one connection, which is made with the first and goes with `connected`'s block.

    Attributes:
        host: as ``ssh`` knows it.
        options: of every ``ssh``.
    """

    host: str
    options: tuple[str, ...]
    environment: Mapping[str, str] | None = field(default=None, repr=False)

    def argv(self, command: str) -> list[str]:
        return ["ssh", *self.options, "--", self.host, command]

    def run(self, words: Sequence[str], stdin: bytes = b"") -> Done:
        """Run a program there, whose words are taken as they are but for a leading ``~/``.

        Raises:
            LostError: the connection cannot be made, or was cut.
        """
        done = subprocess.run(
            self.argv(quoted(words)), input=stdin, capture_output=True, env=self.environment
        )
        text = Done(
            done.returncode, *(x.decode("utf-8", "replace") for x in (done.stdout, done.stderr))
        )
        if text.code == _OF_SSH:
            raise self.lost(text.err)
        return text

    def stream(self, words: Sequence[str], hear: Callable[[str], None]) -> int:
        """Run a program there and hear each line that it says, as it comes.

        Raises:
            LostError: the connection cannot be made, or was cut.
        """
        process = subprocess.Popen(
            self.argv(quoted(words)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                hear(line.decode("utf-8", "replace").rstrip("\r\n"))
            _, err = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode == _OF_SSH:
            raise self.lost(err.decode("utf-8", "replace"))
        return process.returncode

    def put(self, files: Mapping[str, Path | bytes], folder: str) -> None:
        """Copy files into a new folder there.

        Args:
            files: what each holds or where it lies, by its path below the folder.

        Raises:
            LostError: the connection was cut.
            BoardError: they cannot be written there.
        """
        where = quoted([folder])
        argv = self.argv(f"mkdir -p {where} && tar -x -C {where}")
        with tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=err,
                env=self.environment,
            )
            assert process.stdin is not None
            try:
                # What the other end says of a broken pipe is worth more than that it broke.
                with suppress(BrokenPipeError), process.stdin as stdin:
                    _write_tar(stdin, files)
                code = process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            err.seek(0)
            said = err.read().decode("utf-8", "replace")
        if code == _OF_SSH:
            raise self.lost(said)
        if code:
            raise BoardError(f"{self.host}: {_of_files(said)}")

    def get(self, folder: str, into: Path) -> list[Path]:
        """Copy the plain files of a folder there into one here; none where there is no such folder.

        Raises:
            LostError: the connection was cut.
        """
        where = quoted([folder])
        done = subprocess.run(
            self.argv(f"test -d {where} && tar -c -C {where} ."),
            capture_output=True,
            env=self.environment,
        )
        if done.returncode == _OF_SSH:
            raise self.lost(done.stderr.decode("utf-8", "replace"))
        found = []
        if done.stdout:
            into.mkdir(parents=True, exist_ok=True)
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    # What a board sends is not to be trusted with paths.
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is not None and name and "/" not in name and name not in (".", ".."):
                        (into / name).write_bytes(content.read())
                        found.append(into / name)
        return found

    def lost(self, said: str) -> LostError:
        """What ssh said, in words that say what to do."""
        for word, reason in _REASONS:
            if word in said:
                return LostError(f"{self.host}: {reason.format(host=shlex.quote(self.host))}.")
        last = said.strip().splitlines()[-1:] or ["the connection was cut"]
        return LostError(f"{self.host}: the connection was lost ({one_line(ValueError(last[0]))}).")


@contextmanager
def connected(host: str, ssh_config: Path | None = None) -> Iterator[Connection]:
    """A connection for as long as the block runs.

    Args:
        ssh_config: in place of the user's own.

    Raises:
        MissingDependencyError: there is no OpenSSH here.
    """
    if shutil.which("ssh") is None:
        raise MissingDependencyError(
            "ssh is not installed. Install OpenSSH's client: sudo apt-get install openssh-client"
        )
    # The path of a socket may have 107 bytes, and TMPDIR may be long.
    with tempfile.TemporaryDirectory(prefix="ek-", dir=_short()) as folder:
        shared = f"ControlMaster=auto|ControlPath={folder}/c|ControlPersist=30"
        options = [word for option in shared.split("|") for word in ("-o", option)]
        config = ("-F", str(ssh_config)) if ssh_config is not None else ()
        connection = Connection(host, (*config, *_OPTIONS, *options))
        try:
            yield connection
        finally:
            subprocess.run(
                ["ssh", *connection.options, "-O", "exit", "--", host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )


def _short() -> str | None:
    return "/tmp" if len(tempfile.gettempdir()) > 60 and Path("/tmp").is_dir() else None


def quoted(words: Sequence[str]) -> str:
    """Words for a shell; ``~/`` at the beginning of one is the home folder there."""
    return " ".join(
        f"~/{shlex.quote(word[2:])}" if word.startswith("~/") else shlex.quote(word)
        for word in words
    )


def _write_tar(stream: object, files: Mapping[str, Path | bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w|") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    archive.addfile(info, file)


def _of_files(said: str) -> str:
    if "No space left" in said or "quota" in said:
        return "its disk is full. Make room there."
    last = said.strip().splitlines()[-1:] or ["tar said nothing"]
    return f"files cannot be written there: {last[0]}."
