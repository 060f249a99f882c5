"""Child: the process that runs a file for an isolated runner, as its caller sees it: it is asked, and it ends."""

from __future__ import annotations

import json
import os
import subprocess
import weakref
from contextlib import suppress
from math import ceil
from time import monotonic
from typing import NoReturn

from edgekit.artifact import Artifact
from edgekit.errors import InferenceLostError
from edgekit.runtime.backends import module_of
from edgekit.runtime.child import command, kill, start
from edgekit.runtime.isolated.frames import AS_BEFORE, framed, length_of, message_in
from edgekit.runtime.options import Options
from edgekit.runtime.sandbox.ending import death
from edgekit.runtime.sandbox.run import ENVIRONMENT, setting_of

# What it says of a file, or of its results, takes no more.
_MOST_BYTES = 32 << 20
# Of what it writes to stderr, the end is kept: it may say why it died.
_KEPT = 4096
_READ = 1 << 16


class UnheardError(Exception):
    """The child had ended before it took the question."""


class Child:
    """A sandboxed process with a file opened in it. It is over once it has ended.

    The caller waits for it with ``poll`` alone, in Python: a signal is heard at once.
    """

    def __init__(
        self, artifact: Artifact, backend: str, options: Options, memory: int, memory_bytes: int
    ) -> None:
        """Start it; its first message says what became of opening the file.

        Args:
            artifact, backend, options: what is run, and how.
            memory: the descriptor of the memory to share.
            memory_bytes: of its own that it may take.
        """
        import select

        self._name = artifact.name
        self._memory_bytes = memory_bytes
        self._heard = False
        reads = [artifact.path, *filter(None, artifact.external.values())]
        setting = setting_of(reads, [module_of(backend)], None, memory_bytes)
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        life, self._life = os.pipe()
        # Held as well: a question can be written, and found again, when the child is dead.
        self._unheard = requests
        os.set_blocking(self._requests, False)
        told = {
            "path": os.path.abspath(artifact.file),  # noqa: PTH100
            "backend": backend,
            "options": options.to_json(),
            "requests": requests,
            "replies": replies,
            "memory": memory,
            "life": life,
        }
        words = command("edgekit.runtime.isolated.inside:serve", [setting, json.dumps(told)])
        # A folder for temporary files would stay behind a caller that is killed; it could not write to one.
        environment = {**ENVIRONMENT, "TMPDIR": os.devnull}
        try:
            self._process = start(
                words,
                environment,
                (requests, replies, memory, life),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except BaseException:
            _close(self._requests, self._replies, self._life, requests)
            raise
        finally:
            _close(replies, life)
        assert self._process.stderr is not None, "it was requested"
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        self._said = b""
        self._poll = select.poll()
        self._poll.register(self._replies, select.POLLIN)
        self._poll.register(self._errors, select.POLLIN)
        own = (self._requests, self._replies, self._life, requests)
        # Also when this process ends, and nobody has closed the runner.
        self.end: weakref.finalize[..., Child] = weakref.finalize(
            self, _end, self._process, own, os.getpid()
        )

    @property
    def over(self) -> bool:
        return not self.end.alive

    def ask(self, message: bytes, seconds: float) -> bytes:
        """Its answer to a message.

        Raises:
            InferenceLostError: it ended, or had to be ended because it gave no answer in time.
            UnheardError: it had ended before.
        """
        try:
            until = monotonic() + seconds
            self._send(framed(message), until, seconds)
            return self._receive(until, seconds)
        except BaseException:
            # What it answers later would be taken for the answer to the next question.
            self.end()
            raise

    def hear(self, seconds: float) -> bytes:
        """Its first message, of its own accord.

        Raises:
            InferenceLostError: as `ask`.
        """
        try:
            message = self._receive(monotonic() + seconds, seconds)
        except BaseException:
            self.end()
            raise
        self._heard = True
        return message

    def lost(self, how: str, words: str) -> InferenceLostError:
        """The error that says how an inference ended; the child is over with it."""
        self.end()
        advice = "It was not loaded."
        if self._heard:
            advice = "The next call starts it anew; state that the file kept is lost."
            if how == "deadline":
                advice += " If it may take longer: deadline_s."
        return InferenceLostError(f"{self._name}: isolated: {words}. {advice}", how)

    def _send(self, data: bytes, until: float, seconds: float) -> None:
        import select

        while True:
            try:
                sent = os.write(self._requests, data)
                if sent == len(data):
                    return
                data = data[sent:]
            except BlockingIOError:
                pass
            # More than a pipe holds: the child takes it piece by piece.
            waiting = select.poll()
            waiting.register(self._requests, select.POLLOUT)
            waiting.register(self._replies, 0)
            events = dict(waiting.poll(self._left_ms(until, seconds)))
            if self._replies in events:
                self._died()

    def _receive(self, until: float, seconds: float) -> bytes:
        left_ms = ceil(seconds * 1000)
        data = bytearray()
        while True:
            for descriptor, _ in self._poll.poll(left_ms):
                if descriptor == self._errors:
                    self._listen()
                    continue
                more = os.read(descriptor, _READ)
                if not more:
                    self._died()
                data += more
            if data == AS_BEFORE:
                return b""
            length = length_of(data)
            if length is not None and len(data) >= length:
                return message_in(data[:length])
            if length is not None and length > _MOST_BYTES:
                raise self.lost("crash", f"gave an answer of {length // 1_000_000} MB")
            left_ms = self._left_ms(until, seconds)

    def _left_ms(self, until: float, seconds: float) -> int:
        left = until - monotonic()
        if left <= 0:
            raise self.lost("deadline", f"did not finish in {seconds:g} s")
        return ceil(left * 1000)

    def _listen(self) -> None:
        """Take what it has written to stderr, which must not fill up."""
        more = b""
        # It may have closed it, and that may have been heard before.
        with suppress(BlockingIOError, KeyError):
            more = os.read(self._errors, _READ)
            if not more:
                self._poll.unregister(self._errors)
        self._said = (self._said + more)[-_KEPT:]

    def _died(self) -> NoReturn:
        """Raise what says how it died: nobody holds the other end of its pipe any more."""
        import select

        unheard = select.poll()
        unheard.register(self._unheard, select.POLLIN)
        if unheard.poll(0):
            raise UnheardError
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            raise self.lost("crash", "closed the pipe that it answers through") from None
        self._listen()
        raise self.lost(*death(code, self._said.decode("utf-8", "replace"), self._memory_bytes))


def _end(process: subprocess.Popen[bytes], descriptors: tuple[int, ...], owner: int) -> None:
    """Kill the process, if this one has started it and was not forked from the one that did."""
    _close(*descriptors)
    if os.getpid() != owner:
        return
    if process.poll() is None:
        kill(process)
        process.wait()
    assert process.stderr is not None, "it was requested"
    process.stderr.close()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
