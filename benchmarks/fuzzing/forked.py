"""A trial in a fork of a process that has imported the interpreters."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
from typing import Any


def forked(words: list[str], limits: Any) -> Any:
    """`edgekit.runtime.sandbox.run.run_sandboxed` without the start of an interpreter.

    Without Landlock: the server that forks has read whatever it wanted already.
    """
    from edgekit.runtime.child import Ended
    from edgekit.runtime.limits import limit_process
    from edgekit.runtime.sandbox.run import Sandboxed
    from edgekit.runtime.sandbox.seccomp import refuse_all_else
    from edgekit.runtime.sandbox.state import Sandbox
    from edgekit.runtime.trial import try_out

    # Files it may not write; pipes have room for what is said.
    streams = [os.pipe() for _ in range(2)]
    for _, writer in streams:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setsid()
            for descriptor, (_, writer) in enumerate(streams, start=1):
                os.dup2(writer, descriptor)
            limit_process(limits.seconds, limits.memory_bytes)
            held = {"seccomp": refuse_all_else(), "landlock": None}
            os.write(1, json.dumps([held, try_out(*words)]).encode())
            code = 0
        finally:
            os._exit(code)
    waiting = os.pidfd_open(pid)
    in_time = bool(select.select([waiting], [], [], 2 * limits.seconds)[0])
    os.close(waiting)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    texts = []
    for reader, writer in streams:
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            texts.append(stream.read().decode("utf-8", "replace"))
    ended = Ended(code if in_time else None, *texts)
    if ended.code != 0:
        return Sandboxed(ended, False, None, None)
    # The interpreter may have written to stdout before.
    held, answer = json.loads(texts[0][texts[0].index('[{"seccomp"') :])
    return Sandboxed(ended, True, answer, Sandbox(held["seccomp"], None))
