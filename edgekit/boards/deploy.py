"""One board: what it is, what goes there, the work, and what comes back. Several at once."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from edgekit.boards.agent import GRACE_S
from edgekit.boards.here import Here
from edgekit.boards.job import RUNS, Environment, Work, job
from edgekit.boards.outcome import BoardRun, Kind, Step, gravest
from edgekit.boards.own_wheel import own_wheel
from edgekit.boards.ssh import Connection, LostError, connected
from edgekit.boards.wheels import NoWheelError, Target, cached, given, has_onnx
from edgekit.device import detect_device
from edgekit.errors import (
    BUDGET_EXCEEDED,
    INCONCLUSIVE,
    BoardError,
    EdgekitError,
)

Tell = Callable[[str], None]

# How long a board that was lost is looked for; less than it waits there.
_PATIENCE_S = GRACE_S - 60
_AGAIN_S = 2.0
# What an environment takes on the board, beside its wheels' own bytes: unpacked they take three times as many.
_UNPACKED = 4
# What no step is to end with: 0, a budget's verdicts, and doctor's where an interpreter is missing.
_VERDICTS = (0, BUDGET_EXCEEDED, INCONCLUSIVE)


@dataclass(frozen=True)
class Setup:
    """How boards are reached and set up.

    Attributes:
        ssh_config: in place of the user's own.
        here: this machine itself, in place of one that SSH reaches.
        wheels: a folder of wheels; fetched by pip if None.
        python: a Python on the board that has edgekit already; then nothing is installed there.
        system: whether the board's own packages are seen in the environment.
        patience_s: how long a board that was lost is looked for, in seconds.
        grace_s: how long it goes on there when nobody asks.
    """

    ssh_config: Path | None = None
    here: Here | None = None
    wheels: Path | None = None
    python: str | None = None
    system: bool = False
    patience_s: float = _PATIENCE_S
    grace_s: float = GRACE_S

    def connected(self, host: str) -> AbstractContextManager[Connection]:
        """A connection to a host for as long as the block runs."""
        if self.here is not None:
            return self.here.connected(host)
        return connected(host, self.ssh_config)


class _Stopped(BaseException):
    """The user wants it to end."""


def run_on(
    hosts: Sequence[str],
    work: Work,
    out: Path,
    setup: Setup,
    tell: Tell,
    own: Mapping[str, Setup] | None = None,
) -> list[BoardRun]:
    """Do the work on every board at once, and fetch what comes of it into ``out/HOST``.

    A failure of one does not end the others. When this is interrupted, all boards are told to stop, and
    nothing is left on them. What an earlier run left in a board's folder goes.

    Args:
        own: of hosts that are set up in another way than the others.
    """
    stop = threading.Event()
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            tell(line)

    def one(host: str) -> BoardRun:
        how = (own or {}).get(host, setup)
        return _Board(host, work, out / board_folder(host), how, say, stop).run()

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        runs = [pool.submit(one, host) for host in hosts]
        try:
            return [run.result() for run in runs]
        except BaseException:
            stop.set()
            raise


def board_folder(host: str) -> str:
    """A folder's name for a host: ``pi@10.0.0.2`` as it is, slashes and colons not."""
    return (
        "".join(char if char.isalnum() or char in "@._-" else "-" for char in host).lstrip(".")
        or "-"
    )


class _Board:
    """One board's run, from the first word to the last."""

    def __init__(
        self, host: str, work: Work, out: Path, setup: Setup, tell: Tell, stop: threading.Event
    ) -> None:
        self._host, self._work, self._out, self._setup = host, work, out, setup
        self._say, self._stop = tell, stop
        self._kind: Kind | None = None
        self._documents: list[str] = []
        self._last: dict[str, str] = {}
        self._running = ""
        self._no_wheel = False

    def run(self) -> BoardRun:
        steps: tuple[Step, ...] = ()
        failure, code = None, 0
        try:
            if self._out.is_dir():
                # Of an earlier run: two are not to be mixed.
                shutil.rmtree(self._out)
            with self._setup.connected(self._host) as connection:
                steps, failure = self._worked(connection)
            codes = [step.code for step in steps]
            code = gravest([code if code >= 0 else EdgekitError.exit_code for code in codes])
            if failure is not None:
                code = gravest([BoardError.exit_code])
        except EdgekitError as error:
            failure, code = str(error), error.exit_code
            if isinstance(error, NoWheelError):
                self._no_wheel = True
        except OSError as error:
            failure, code = f"{self._host}: {error.strerror or error}", EdgekitError.exit_code
        if failure is not None:
            failure = (
                failure if failure.startswith(f"{self._host}: ") else f"{self._host}: {failure}"
            )
            self._say(failure)
        else:
            failure = self._of_steps(steps)
            if failure:
                self._say(failure)
        documents = tuple(sorted(self._documents))
        return BoardRun(self._host, self._kind, steps, documents, failure, code, self._no_wheel)

    def _of_steps(self, steps: Sequence[Step]) -> str | None:
        """What failed on the board, in words: each step that gave no verdict, and its last line."""
        failed = [
            f"{step.name}: {step.ended}{self._why(step.name)}"
            for step in steps
            if step.code not in _VERDICTS
        ]
        return f"{self._host}: {'; '.join(failed)}" if failed else None

    def _why(self, step: str) -> str:
        said = self._last.get(step, "").removeprefix("edgekit: ").rstrip(".")
        return f" ({said})" if said else ""

    def _worked(self, connection: Connection) -> tuple[tuple[Step, ...], str | None]:
        found = self._probed(connection)
        folder = f"{RUNS}/job-{os.urandom(4).hex()}"
        try:
            self._sent(connection, folder, found)
            self._started(connection, folder)
            return self._followed(connection, folder)
        finally:
            # What goes on there ends, and what was copied goes; where it cannot be reached, by itself.
            with suppress(LostError):
                self._call(connection, ["python3", f"{folder}/agent.py", "stop", folder])
                connection.run(["rm", "-rf", folder])

    def _probed(self, connection: Connection) -> dict[str, Any]:
        self._say(f"{self._host}: connecting")
        words = [self._setup.python or "python3", "-", "probe", RUNS]
        done = connection.run(words, stdin=_agent())
        if done.code == 127 or "not found" in done.err:
            raise BoardError("has no python3. Install it there: sudo apt-get install python3")
        found = _json(done.out)
        if found is None:
            last = done.err.strip().splitlines()[-1:] or ["it said nothing"]
            raise BoardError(f"its python3 cannot tell what it is: {last[0]}")
        if found.get("error"):
            raise BoardError(_of_system(found))
        machine = _machine(found)
        self._kind = Kind(
            device=detect_device(found["model"] or "").id,
            machine=machine,
            bits=found["bits"],
            python=found["python"],
            libc=found["libc"],
            emulated=bool(found["emulated"]),
        )
        kind = self._kind
        self._say(
            f"{self._host}: {found['model'] or kind.device}, {kind.machine}, {kind.bits} bit, Python "
            f"{kind.python}, {kind.libc}{', emulated' if kind.emulated else ''}"
        )
        if found["busy"] is not None:
            raise BoardError(_busy(found["busy"]))
        if self._setup.python is None and kind.libc == "musl":
            raise BoardError(
                "its C library is musl, for which no TFLite interpreter has a wheel. Use a system with glibc, "
                "such as Raspberry Pi OS."
            )
        return found

    def _sent(self, connection: Connection, folder: str, found: dict[str, Any]) -> None:
        steps, files = [], self._work.copied()
        python = self._setup.python
        if python is None:
            environment = self._environment(found)
            python = f"{RUNS}/{environment.folder}/bin/python"
            if environment.folder not in found["environments"]:
                files |= {f"wheels/{name}": what for name, what in environment.wheels.items()}
            else:
                self._say(f"{self._host}: the environment of the last run is used again")
            steps += environment.steps()
        steps += self._work.steps(python)
        needed = sum(
            _size(content) * (_UNPACKED if name.startswith("wheels/") else 1)
            for name, content in files.items()
        )
        if found["free_bytes"] < needed:
            raise BoardError(
                f"its disk is full: {found['free_bytes'] / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are "
                "needed. Make room there."
            )
        self._say(f"{self._host}: copying {len(files)} files")
        content = json.dumps(job(steps, self._setup.grace_s)).encode()
        files |= {"agent.py": _agent(), "job.json": content, "out/.keep": b""}
        self._check()
        connection.put(files, folder)

    def _environment(self, found: dict[str, Any]) -> Environment:
        assert self._kind is not None, "it was probed"
        version = ".".join(found["python"].split(".")[:2])
        target = Target(self._kind.machine, version, _glibc(found["libc"]))
        name, content = own_wheel()
        wheels: dict[str, bytes | Path] = {name: content}
        if self._work.onnx() and not self._work.onnx(has_onnx(target)):
            self._say(
                f"{self._host}: onnxruntime has no wheel for {target}: the bundle's .onnx files are left out"
            )
        if self._setup.wheels is not None:
            others = given(self._setup.wheels, target)
        else:
            others = cached(
                target,
                self._work.onnx(has_onnx(target)),
                lambda line: self._say(f"{self._host}: {line}"),
                self._work.interpreter,
            )
        wheels |= {path.name: path for path in others}
        # On 32 bits there is no wheel of numpy: Debian's is used.
        return Environment(wheels, self._setup.system or target.bits == 32, "python3")

    def _started(self, connection: Connection, folder: str) -> None:
        found = self._call(connection, ["python3", f"{folder}/agent.py", "start", folder])
        if found.get("busy") is not None:
            raise BoardError(_busy(found["busy"]))
        if found.get("error"):
            raise BoardError(_of_system(found))

    def _followed(self, connection: Connection, folder: str) -> tuple[tuple[Step, ...], str | None]:
        """Hear the board until its work is over; gives the steps, and what kept it from its end."""
        offset, lost = 0, 0.0
        state: dict[str, Any] = {}

        def hear(line: str) -> None:
            nonlocal offset, lost, state
            self._check()
            if line == "\0":
                lost = 0.0
            elif (found := _json(line)) is not None and "offset" in found:
                state = found
            else:
                offset += len(line.encode()) + 1
                self._heard(connection, folder, line)

        while True:
            self._check()
            try:
                connection.stream(
                    ["python3", f"{folder}/agent.py", "follow", folder, str(offset)], hear
                )
                if state:
                    break
                # Its process there was ended, and nothing says that the connection was cut.
                raise LostError(f"{self._host}: the connection was lost.")
            except LostError as error:
                self._check()
                now = time.monotonic()
                if not lost:
                    lost = now
                    self._say(f"{error} Trying again for {self._setup.patience_s:.0f} s")
                elif now - lost > self._setup.patience_s:
                    raise BoardError(
                        f"{error} What was fetched before is in {self._out}; the board stops by itself."
                    ) from error
                self._stop.wait(min(_AGAIN_S, self._setup.patience_s))
        self._fetch(connection, folder)
        steps = tuple(
            Step(**step, said=None if step["code"] in _VERDICTS else self._last.get(step["name"]))
            for step in state["done"]
        )
        return steps, self._cut_short(state)

    def _cut_short(self, state: dict[str, Any]) -> str | None:
        running = state.get("running")
        during = f" during {running!r}" if running else ""
        if state.get("rebooted"):
            return f"the board started anew{during}; what it had done until then was fetched. Run it again."
        if state.get("error"):
            return _of_system({"error": state["error"], "errno": None, "path": None})
        if state.get("over") is None:
            return (
                f"something there ended the work{during}, most likely because the memory was not enough; "
                "what it had done until then was fetched."
            )
        if state["over"] == "left alone":
            return f"the work was stopped{during}."
        if state["over"] == "failed":
            last = state["done"][-1]["name"]
            if _is_full(said := self._last.get(last, "")):
                return _of_system({"error": said})
            return f"{last}: {Step(**state['done'][-1]).ended}{self._why(last)}"
        return None

    def _heard(self, connection: Connection, folder: str, line: str) -> None:
        if line.startswith("\1"):
            found = json.loads(line[1:])
            if "begins" in found:
                self._running = found["begins"]
                self._say(f"{self._host}: {self._running}")
            else:
                # What is here already survives whatever comes.
                self._fetch(connection, folder)
        elif line.strip():
            self._last[self._running] = line.strip()
            self._say(f"{self._host}: {line}")

    def _fetch(self, connection: Connection, folder: str) -> None:
        for path in connection.get(f"{folder}/out", self._out):
            if path.suffix == ".json" and str(path) not in self._documents:
                self._documents.append(str(path))

    def _call(self, connection: Connection, words: Sequence[str]) -> dict[str, Any]:
        done = connection.run(words)
        return _json(done.out) or {}

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def _agent() -> bytes:
    return resources.files("edgekit.boards").joinpath("agent.py").read_bytes()


def _json(text: str) -> dict[str, Any] | None:
    """The JSON object on the last line."""
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _machine(found: dict[str, Any]) -> str:
    """Of the userland: a 64-bit kernel can carry a 32-bit one."""
    machine: str = found["machine"]
    if found["bits"] == 32:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return machine


def _glibc(libc: str) -> int:
    _, _, minor = libc.rpartition(".")
    return int(minor) if libc.startswith("glibc") and minor.isdigit() else 17


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _busy(who: str) -> str:
    try:
        since = time.strftime("%H:%M:%S", time.localtime(json.loads(who)["since"]))
        return f"another run has been at work there since {since}. Wait for its end."
    except (ValueError, TypeError, KeyError):
        return "another run is at work there. Wait for its end."


def _is_full(said: str) -> bool:
    return "No space" in said or "quota" in said


def _of_system(found: dict[str, Any]) -> str:
    if _is_full(str(found["error"])):
        return "its disk is full. Make room there."
    where = f" ({found['path']})" if found.get("path") else ""
    return f"its system refuses the work: {found['error']}{where}"
