"""What works on the board: started there by SSH, goes on without it, and ends by itself when nobody asks any more.

It is sent as one file and needs Python 3.9 alone. In its folder ``job.json`` says what is to be done, ``log`` is
what was said, ``state.json`` how far it is. Each action but ``install`` prints one JSON object on its last line.

    agent.py start FOLDER      begin, and give the command line back
    agent.py follow FOLDER N   print the log from byte N on until the work is over
    agent.py stop FOLDER       end what runs, and remove the folder
    agent.py install FOLDER    put the folder's wheels where the Python that runs this finds them
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]

# How long nobody may have asked before it ends by itself, in seconds: a host that was lost for good.
GRACE_S = 180.0
_TICK_S = 0.5
_END_S = 3.0
_READY = ".edgekit-ready"


def start(folder: Path) -> Json:
    """Begin the work in a process of its own. Says who is at it where another run is."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    lock = _lock(folder.parent / "busy")
    if lock is None:
        return {"busy": _text(folder.parent / "busy.json") or "unknown"}
    (folder / "asked").touch()
    _write(folder / "state.json", {"boot": boot(), "done": [], "running": None})
    if worker := os.fork():
        # The lock is the fork's now.
        (folder / "pid").write_text(str(worker), "ascii")
        return {"started": True}
    os.setsid()
    with (folder / "log").open("ab", buffering=0) as log:
        null = os.open(os.devnull, os.O_RDONLY)
        for wanted, had in ((0, null), (1, log.fileno()), (2, log.fileno())):
            os.dup2(had, wanted)
    _write(folder.parent / "busy.json", {"since": time.time(), "folder": folder.name})
    try:
        _Work(folder, job).run()
    finally:
        # Ended by whoever stops it, or at its end.
        os._exit(0)


class _Work:
    """The steps, one after the other, each a process in a group of its own.

    A step has a ``name`` and an ``argv``. Without a ``needed`` one nothing follows. Of an environment that is
    ``ready`` it is passed over; the ``first`` step of one begins it anew, the ``last`` makes it ready. Where its
    ``document`` was not written, the ``argv`` of ``each`` file are tried.
    """

    def __init__(self, folder: Path, job: Json) -> None:
        self._folder, self._job = folder, job
        self._state: Json = {"boot": boot(), "done": [], "running": None, "over": None}
        self._child: Any = None
        signal.signal(signal.SIGTERM, self._stopped)

    def run(self) -> None:
        over = "done"
        try:
            for step in self._job["steps"]:
                ended = self._step(step["name"], step)
                if ended and step.get("needed"):
                    over = "failed"
                    break
                document = step.get("document")
                if document and not (self._folder / document).exists():
                    # One of the files ends the interpreter. Which, and what of the others?
                    for name, argv in step["each"].items():
                        self._step(f"{step['name']} {name}", {**step, "argv": argv})
        except _NobodyAsks:
            over = "left alone"
        except OSError as error:
            self._state["error"] = f"{error.strerror}: {error.filename or ''}"
            over = "failed"
        self._say(over=over, running=None)

    def _step(self, name: str, step: Json) -> int:
        ready = step.get("ready")
        if ready:
            place = Path(ready).expanduser()
            if (place / _READY).exists():
                return 0
            if step.get("first"):
                shutil.rmtree(place, ignore_errors=True)
        self._say(running=name)
        _mark(begins=name)
        begin = time.monotonic()
        environment = {**os.environ, **step.get("environment", {})}
        try:
            self._child = subprocess.Popen(
                [
                    str(Path(word).expanduser()) if word[:2] == "~/" else word
                    for word in step["argv"]
                ],
                cwd=str(self._folder),
                env=environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
            code = self._watched()
        except OSError as error:
            print(f"{step['argv'][0]}: {error.strerror}", flush=True)
            code = 127
        if ready and not code and step.get("last"):
            (Path(ready).expanduser() / _READY).touch()
        done = {"name": name, "code": code, "seconds": round(time.monotonic() - begin, 3)}
        self._state["done"].append(done)
        self._say(running=None)
        _mark(ended=name, code=code)
        return code

    def _watched(self) -> int:
        try:
            while self._child.poll() is None:
                if time.time() - (self._folder / "asked").stat().st_mtime > self._job["grace_s"]:
                    raise _NobodyAsks
                time.sleep(_TICK_S)
            return int(self._child.returncode)
        finally:
            end_group(self._child.pid)
            self._child.wait()

    def _say(self, **what: Any) -> None:
        self._state.update(what)
        _write(self._folder / "state.json", self._state)

    def _stopped(self, number: int, frame: object) -> None:
        del number, frame
        raise _NobodyAsks


def _mark(**what: Any) -> None:
    """A line for the host that reads the log, and for no person."""
    print(f"\1{json.dumps(what)}", flush=True)


def _die_with_parent() -> None:
    import ctypes

    # <linux/prctl.h>: PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


class _NobodyAsks(Exception):
    """The host went away, or wants it to end."""


def follow(folder: Path, offset: int) -> Json:
    """Print the log from `offset` on, until the work is over or the connection is."""
    out = sys.stdout.buffer
    while True:
        (folder / "asked").touch()
        state = json.loads((folder / "state.json").read_text("utf-8"))
        alive = _alive(folder)
        with (folder / "log").open("rb") as log:
            log.seek(offset)
            new = log.read()
        # Whole lines, so that the last one is the state.
        whole = (
            new[: new.rfind(b"\n") + 1] if alive else new + b"\n" * (new[-1:] not in (b"", b"\n"))
        )
        out.write(whole)
        out.flush()
        offset += min(len(whole), len(new))
        if not alive:
            now = boot()
            state = json.loads((folder / "state.json").read_text("utf-8"))
            return {**state, "offset": offset, "rebooted": state.get("boot") != now}
        if not whole:
            # Says that it is there; a connection that was cut ends this process here.
            out.write(b"\0\n")
            out.flush()
        time.sleep(_TICK_S)


def stop(folder: Path) -> Json:
    """End what runs, and remove what was copied."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "pid").read_text("ascii"))
        if _alive(folder):
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 2 * _END_S
            while _alive(folder) and time.monotonic() < end:
                time.sleep(0.05)
            if _alive(folder):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    return {"stopped": True}


def install(folder: Path) -> None:
    """Unpack the wheels of a folder, chosen beforehand, into this Python's environment.

    pip does the same in ten times as long on a small board, and is no part of every Debian's Python. What is for
    other places than that of packages (programs, headers) is left out: nothing here is called by its name.
    """
    import sysconfig
    import zipfile

    place = Path(sysconfig.get_paths()["platlib"]).resolve()
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                inside = _installed(entry.filename)
                if inside is None or entry.is_dir():
                    continue
                target = (place / inside).resolve()
                if place not in target.parents:
                    raise OSError(None, "the wheel holds a path outside of its place", str(wheel))
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)


def installed(folder: Path) -> int:
    """`install` as a step: an exit code, and why it failed in the log."""
    try:
        install(folder)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"{error.strerror or error}{where}", flush=True)
        return 1
    return 0


def _installed(name: str) -> Any:
    """Where a wheel's file goes below the place of packages, as the format has it; None where elsewhere."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
        return name
    kind, _, rest = rest.partition("/")
    return rest if kind in ("purelib", "platlib") and rest else None


def probe(folder: Path) -> Json:
    """What this board is, and what edgekit's runs left on it."""
    import platform
    import struct

    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    disk = os.statvfs(folder)
    lock = _lock(folder / "busy")
    libc = platform.libc_ver()
    found: Json = {
        "machine": platform.machine(),
        "bits": 8 * struct.calcsize("P"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "python_path": sys.executable,
        "libc": " ".join(libc)
        if libc[0]
        else "musl"
        if list(Path("/lib").glob("ld-musl-*"))
        else "unknown",
        "boot": boot(),
        "free_bytes": disk.f_bavail * disk.f_frsize,
        "model": _text(Path(os.environ.get("QEMU_LD_PREFIX", ""), "/proc/device-tree/model")),
        "emulated": bool(os.environ.get("EDGEKIT_EMULATED")),
        "environments": sorted(p.parent.name for p in folder.glob(f"*/{_READY}")),
        "busy": None,
        "folder": str(folder),
    }
    if lock is None:
        found["busy"] = _text(folder / "busy.json") or "unknown"
    else:
        os.close(lock)
    return found


def _remove_abandoned(folder: Path) -> None:
    """Jobs whose host went away, and that nothing works on."""
    for job in folder.glob("job-*"):
        with contextlib.suppress(OSError):
            if not _alive(job) and time.time() - job.stat().st_mtime > 3600:
                shutil.rmtree(job, ignore_errors=True)


def boot() -> str:
    """Which start of the system this is."""
    return _text(Path("/proc/sys/kernel/random/boot_id")) or ""


def end_group(pid: int) -> None:
    """End a process and all that it began."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, number)
        except OSError:
            return
        if number == signal.SIGTERM:
            end = time.monotonic() + _END_S
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)
                try:
                    os.killpg(pid, 0)
                except OSError:
                    return
                time.sleep(0.05)


def _alive(folder: Path) -> bool:
    """Whether the work in that folder goes on. Its number may be another's after a reboot."""
    try:
        pid = int((folder / "pid").read_text("ascii"))
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        status = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except (OSError, ValueError):
        return False
    return folder.name.encode() in line and status.rpartition(")")[2].split()[0] != "Z"


def _lock(path: Path) -> Any:
    # The file is imported on other systems too, and runs on none.
    import fcntl

    descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    # Whoever works here has it, whatever it starts has not.
    os.set_inheritable(descriptor, False)
    return descriptor


def _text(path: Path) -> Any:
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return None


def _write(path: Path, content: Json) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content), "utf-8")
    temporary.replace(path)


def main(action: str, folder: str, *more: str) -> int:
    place = Path(folder).expanduser()
    try:
        if action == "probe":
            result = probe(place)
        elif action == "start":
            result = start(place)
        elif action == "install":
            # A step of the work: its exit code says whether the next ones can be done.
            return installed(place)
        elif action == "follow":
            result = follow(place, int(more[0]))
        else:
            result = stop(place)
    except BrokenPipeError:
        return 1
    except OSError as error:
        result = {
            "error": error.strerror or str(error),
            "errno": error.errno,
            "path": error.filename,
        }
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
