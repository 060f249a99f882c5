"""Trials of SavedModels: one of others is checked, then loaded and run once, in children that may die of it.

TensorFlow follows what a graph says, and some graphs of allowed operators end its process with a signal. A
fork of this process tries that first, as long as TensorFlow has done nothing here but to be imported: it costs
no import then. Else it is a fork of a process that is prepared for all trials to come, and imports it once.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from edgekit.errors import ArtifactError, UntrustedCodeError, require
from edgekit.models.saved_model import refuse_reaching
from edgekit.models.source import from_saved_model
from edgekit.runtime.child import Ended, command, kill, start
from edgekit.runtime.limits import Limits
from edgekit.runtime.sandbox.ending import death
from edgekit.runtime.sandbox.inside import confine
from edgekit.runtime.sandbox.run import run_sandboxed, setting_of
from edgekit.supervision import die_with

_PURPOSE = "Loading a SavedModel"
# Of what a child writes to stderr; the end of it may say why it died.
_MOST_TEXT = 4096
_ADVICE = "If you trust its author, give --trust-code (trust_code=True), which loads it untried."


def refuse(path: Path) -> None:
    """Refuse a SavedModel that is not trusted, if `refuse_reaching` does, or if it ends its process.

    Raises:
        UntrustedCodeError: it reaches beyond the model; or what reads, loads or runs it crashes, takes too long
            or too much memory.
        ArtifactError: it is no SavedModel.
    """
    _check(path)
    ended, limits = _tried(path)
    if ended.code != 0:
        raise _died(path, ended, limits, "TensorFlow, which was to load and run it in a trial")


def check(path: str) -> list[str] | None:
    """`refuse_reaching` in the child: the kind and words of its refusal; None if it passes."""
    try:
        refuse_reaching(Path(path))
    except ArtifactError as error:
        kind = "untrusted" if isinstance(error, UntrustedCodeError) else "damaged"
        # The parent names it as its user did.
        return [kind, str(error).removeprefix(path)]
    return None


def run(path: str) -> None:
    """Load a SavedModel and run each of its signatures on zeros, in the child.

    What ends in an exception does so for the caller as well, which says what it means.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    with suppress(Exception):
        loaded = tf.saved_model.load(path)
        for name in loaded.signatures:
            with suppress(Exception):
                source = from_saved_model(Path(path), loaded, name)
                zeros = {x.name: tf.zeros(x.concrete_shape(), x.dtype) for x in source.inputs}
                tf.function(source.call, autograph=False)(zeros)


def _check(path: Path) -> None:
    limits = Limits.of(_size(path / "saved_model.pb"))
    done = run_sandboxed(
        "edgekit.models.saved_trial:check", [str(path.absolute())], reads=[path], limits=limits
    )
    if not done.answered:
        raise _died(path, done.ended, limits, "what reads it")
    answer = done.answer
    if answer is None:
        return
    if not (isinstance(answer, list) and len(answer) == 2 and all(map(_is_text, answer))):
        raise UntrustedCodeError(f"{path}: what reads it gave no answer that can be used.")
    kind = UntrustedCodeError if answer[0] == "untrusted" else ArtifactError
    raise kind(f"{path}{answer[1]:.{_MOST_TEXT}}")


def _tried(path: Path) -> tuple[Ended, Limits]:
    size = sum(_size(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)
    # TensorFlow starts two pools of threads, and some more.
    limits = Limits.of(size, threads=4 * (os.cpu_count() or 1) + 8)
    place = str(path.absolute())
    if sys.platform == "linux" and threading.active_count() == 1 and _unused():
        return _forked(place, limits), limits
    return _prepared.tried(place, limits), limits


class _Prepared:
    """A process that has imported TensorFlow, and forks trials; it ends with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def tried(self, path: str, limits: Limits) -> Ended:
        with self._lock:
            process = self._running()
            assert process.stdin is not None, "it was requested"
            assert process.stdout is not None, "it was requested"
            try:
                asked = json.dumps([path, limits.seconds, limits.memory_bytes])
                process.stdin.write(f"{asked}\n".encode())
                process.stdin.flush()
                code, said = json.loads(process.stdout.readline())
            except BaseException as error:
                # What it says later would be taken for another trial's end.
                self.end()
                if not isinstance(error, (OSError, ValueError, TypeError)):
                    raise
                # Trials are forks: none ends it.
                raise ArtifactError(
                    f"{path}: the process that tries SavedModels has ended. Try once more."
                ) from error
            return Ended(code, "", said)

    def _running(self) -> subprocess.Popen[bytes]:
        # A fork has no right to its parent's.
        if self._process is None or self._owner != os.getpid():
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            words = command("edgekit.models.saved_trial:serve", [])
            self._process = start(words, {}, (), stderr=subprocess.DEVNULL, **pipes)
            self._owner = os.getpid()
            atexit.register(self.end)
        return self._process

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            kill(process)
            process.communicate()


_prepared = _Prepared()


def serve() -> None:
    """Try a SavedModel for each line of stdin, in the prepared process; say how its fork ended."""
    replies = os.dup(1)
    # TensorFlow prints what is no answer.
    os.dup2(2, 1)
    require("tensorflow", "export", _PURPOSE)
    while line := sys.stdin.readline():
        path, seconds, memory_bytes = json.loads(line)
        ended = _forked(path, Limits(seconds, memory_bytes))
        os.write(replies, f"{json.dumps([ended.code, ended.err])}\n".encode())


def _unused() -> bool:
    """Whether TensorFlow has started no threads here yet, which no fork would have."""
    context = require("tensorflow.python.eager.context", "export", _PURPOSE)
    # Of another version; a fresh process works with all.
    if not hasattr(context, "_context"):
        return False
    return context._context is None or not context._context._initialized


def _forked(path: str, limits: Limits) -> Ended:
    """`run` in a fork of this process, held as `run_sandboxed` holds a fresh one."""
    setting = setting_of([path], (), limits.seconds, limits.memory_bytes)
    parent = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _child(path, setting, parent, writer)
    os.close(writer)
    ended = False
    try:
        said, in_time = _heard(reader, 2 * limits.seconds)
        ended = in_time
    finally:
        os.close(reader)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status) if in_time else None
    return Ended(code, "", said.decode("utf-8", "replace"))


def _child(path: str, setting: str, parent: int, writer: int) -> None:
    code = 1
    try:
        die_with(parent)
        # Ctrl-C is for the parent.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(writer, stream)
        os.close(writer)
        os.environ["TMPDIR"] = os.devnull
        confine(setting)
        run(path)
        code = 0
    except MemoryError:
        os.write(2, b"MemoryError")
    finally:
        os._exit(code)


def _heard(reader: int, seconds: float) -> tuple[bytes, bool]:
    """The end of what a child writes until it has ended; and whether that was in time."""
    until, said = monotonic() + seconds, b""
    waiting = select.poll()
    waiting.register(reader, select.POLLIN)
    while (left := until - monotonic()) > 0:
        if not waiting.poll(left * 1000):
            break
        more = os.read(reader, 1 << 16)
        if not more:
            return said, True
        said = (said + more)[-_MOST_TEXT:]
    return said, False


def _died(path: Path, ended: Ended, limits: Limits, whom: str) -> UntrustedCodeError:
    words = f"took {whom}, over {limits.seconds} s"
    if ended.code is not None:
        how, told = death(ended.code, ended.err, limits.memory_bytes, whom)
        words = words if how != "memory" and "SIGXCPU" in told else told
    return UntrustedCodeError(f"{path}: {words}. {_ADVICE}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
