"""Run edgekit in a fresh process: what it costs, breaks or leaves behind stays there and goes with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import edgekit
from edgekit.artifact import IDENTITY_VARIABLE
from edgekit.scratch import scratch_folder

# Nothing is imported before the current folder is off the path, where Python 3.10, which has no -P,
# puts it first; then this process's search path is taken.
_PATH = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "import json; sys.path[:] = json.loads(sys.argv.pop(1)); "
)
_CALL = (
    "import importlib; module, name = sys.argv[1].split(':'); "
    "print(json.dumps(getattr(importlib.import_module(module), name)(*sys.argv[2:])))"
)
_MODULE = "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
# Of each stream. Answers are far smaller.
_MOST_OUTPUT = 64 << 20
_SAFE_PATH = ("-P",) if sys.version_info >= (3, 11) else ()


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code; minus the signal that ended it; None if it had to be stopped.
        out: what it wrote to stdout. The last line is what the function returned, as JSON.
        err: what it wrote to stderr.
    """

    code: int | None
    out: str
    err: str


def command(function: str, words: Sequence[str]) -> list[str]:
    """The command line that calls `function`, as ``"module:name"``, with `words`."""
    return _python(_CALL, [function, *words])


def edgekit_command(words: Sequence[str]) -> list[str]:
    """The command line that does what ``edgekit`` does with `words`."""
    return module_command("edgekit", words)


def module_command(module: str, words: Sequence[str]) -> list[str]:
    """The command line that does what ``python -m module`` does with `words`."""
    return _python(_MODULE, [module, *words])


def _python(code: str, words: Sequence[str]) -> list[str]:
    """Every process of this Python that edgekit starts is started by these words.

    Whoever wrote to the current folder must not have a say in what is imported: modules are found
    where this process finds them, that folder left out.
    """
    return [sys.executable, *_SAFE_PATH, "-c", _PATH + code, json.dumps(search_path()), *words]


def search_path() -> list[str]:
    """Where modules are found, the current folder left out; last, if edgekit itself lies in it."""
    kept = [place for place in sys.path if place and not _is_current(place)]
    own = str(Path(edgekit.__file__).parents[1])
    return [*kept, own] if _is_current(own) else kept


def _is_current(place: str) -> bool:
    try:
        return os.path.samefile(place, os.curdir)  # noqa: PTH121
    # One of them does not exist.
    except OSError:
        return False


@contextmanager
def started(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    **streams: Any,
) -> Iterator[subprocess.Popen[Any]]:
    """A process with a temporary folder of its own (its ``TMPDIR``), both gone when the block ends.

    On a system that has no place for temporary files it gets none.

    It runs in a session and process group of its own: Ctrl-C is for this process, and at the end of
    the block the whole group is killed if the process has not ended by itself.

    Args:
        words: the command line.
        environment: variables to set beside this process's own.
        pass_fds: descriptors that it inherits.
        streams: what `subprocess.Popen` takes for its streams; its stdin is empty if none is given.
    """
    with _temporary() as (variable, held):
        variables = {**(environment or {}), **variable}
        with start(words, variables, (*held, *pass_fds), **streams) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill(process)


def start(
    words: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int], **streams: Any
) -> subprocess.Popen[Any]:
    """A process as `started` has it, without a folder; whoever starts it ends it."""
    return subprocess.Popen(
        words,
        env={**_inherited(), **_modules(), **environment},
        pass_fds=pass_fds,
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, **streams},
    )


def _inherited() -> dict[str, str]:
    """This process's variables but the key to sealed bundles: a child may run what need not be trusted."""
    return {name: value for name, value in os.environ.items() if name != IDENTITY_VARIABLE}


def _modules() -> dict[str, str]:
    """Variables by which Python finds modules when it starts, in the process and those that it starts."""
    variables = {"PYTHONSAFEPATH": "1"}
    given = os.environ.get("PYTHONPATH")
    if given:
        places = (place for place in given.split(os.pathsep) if place and not _is_current(place))
        variables["PYTHONPATH"] = os.pathsep.join(places)
    return variables


@contextmanager
def _temporary() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The variable that names a temporary folder, and what keeps the folder in use."""
    import tempfile

    try:
        parent = tempfile.gettempdir()
    except FileNotFoundError:
        yield {}, ()
        return
    with scratch_folder(parent) as (folder, held):
        yield {"TMPDIR": os.fspath(folder)}, held


def kill(process: subprocess.Popen[Any]) -> None:
    """End a process that `started` gave, and all that it has started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_in_child(
    function: str,
    words: Sequence[str],
    *,
    seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Ended:
    """Call `function`, as ``"module:name"``, with `words` in a process of its own.

    Args:
        function: what it returns must be fit for JSON.
        words: its arguments.
        seconds: the process and all that it started are killed when it has not ended by then; and when
            it writes without an end.
        environment: variables to set beside this process's own.
        pass_fds: descriptors that it inherits.
    """
    code: int | None = None
    texts = [b"", b""]
    with started(
        command(function, words),
        environment=environment,
        pass_fds=pass_fds,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:

        def listen(place: int, stream: IO[bytes]) -> None:
            texts[place] = stream.read(_MOST_OUTPUT)
            # What goes on beyond that would fill this process's memory.
            if len(texts[place]) == _MOST_OUTPUT:
                kill(process)

        streams = (stream for stream in (process.stdout, process.stderr) if stream is not None)
        listeners = [
            threading.Thread(target=listen, args=row, daemon=True) for row in enumerate(streams)
        ]
        for listener in listeners:
            listener.start()
        until = None if seconds is None else time.monotonic() + seconds
        for listener in listeners:
            listener.join(_left(until))
        if not any(listener.is_alive() for listener in listeners):
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_left(until))
        if code is None:
            kill(process)
            for listener in listeners:
                listener.join()
    return Ended(code, *(text.decode("utf-8", "replace") for text in texts))


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())
