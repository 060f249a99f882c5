"""What the loops of this folder share: when to stop, where raw data comes from, and what systemd is told."""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic


class Stop:
    """SIGTERM and SIGINT: what is in work is finished, a wait for the next data is broken off.

    A signal writes to a pipe that every wait looks at, so that none can come just before a wait and be lost.
    """

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    @property
    def wanted(self) -> bool:
        return self._read in select.select([self._read], [], [], 0)[0]

    def comes_before(self, source: int, watchdog: Watchdog) -> bool:
        """Wait until there is something to read, or to stop for. A source that is silent is no hung program."""
        while True:
            found = select.select([self._read, source], [], [], watchdog.seconds)[0]
            watchdog.alive()
            if found:
                return self._read in found


class Watchdog:
    """systemd's: a unit of ``Type=notify`` is started when the model is loaded, and begun anew when it hangs.

    Without systemd (no ``NOTIFY_SOCKET``) it does nothing. The protocol is that of sd_notify(3).
    """

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        # Half of the time after which a unit is begun anew, as sd_watchdog_enabled(3) recommends.
        limit = os.environ.get("WATCHDOG_USEC", "")
        self.seconds = int(limit) / 2e6 if limit.isdigit() and int(limit) else None
        self._told = monotonic()

    def ready(self) -> None:
        self._tell(b"READY=1")

    def alive(self) -> None:
        if self.seconds is not None and monotonic() - self._told >= self.seconds / 2:
            self._tell(b"WATCHDOG=1")
            self._told = monotonic()

    def _tell(self, word: bytes) -> None:
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.sendto(word, self._address)


class Source:
    """Bytes of a recording, of standard input (``-``), or of whichever program writes to a FIFO."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = sys.stdin.fileno() if path == "-" else self._open()
        self._fifo = path != "-" and stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)

    def _open(self) -> int:
        # A FIFO that nobody writes to yet would keep the program here, deaf.
        return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)

    def blocks(self, size: int, stop: Stop, watchdog: Watchdog) -> Iterator[bytes]:
        """Whole blocks of so many bytes until the source ends or a stop is wanted; a torn one is dropped."""
        block = bytearray()
        while not stop.wanted and not stop.comes_before(self._descriptor, watchdog):
            try:
                read = os.read(self._descriptor, size - len(block))
            except BlockingIOError:
                continue
            block += read
            if not read:
                if not self._fifo:
                    return
                # The program at the other end is gone, and what it was writing is nothing whole.
                program = Path(sys.argv[0]).stem
                print(
                    f"{program}: the source is gone; waiting for the next",
                    file=sys.stderr,
                    flush=True,
                )
                block.clear()
                # Opened anew first: the next program is not to find a FIFO that nobody reads.
                gone, self._descriptor = self._descriptor, self._open()
                os.close(gone)
            elif len(block) == size:
                yield bytes(block)
                block.clear()
