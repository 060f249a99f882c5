"""Server: the application on a socket, until a signal ends it. Needs the `serve` extra."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgekit.errors import UsageError
from edgekit.serve.application import Application

# Connections that wait for the server to take them.
_BACKLOG = 1024
# The most bytes of a request's head; and of what is around a body, for each byte of it, when it comes in chunks.
_MAX_HEAD = 64 << 10
_FRAMING = 8
# Seconds that one thread may keep Python's lock while others wait. By default an interpreter that is done waits
# for 5 ms until the thread that reads requests lets it go on.
_TURN_S = 0.0005


class _Protocol(HttpToolsProtocol):  # type: ignore[misc, unused-ignore]
    """HTTP/1.1 that does not wait for ever for the head of a request, nor keep one of any length."""

    def __init__(self, *given: Any, head_timeout: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        # Bytes of the message that comes: of its body, and of all else.
        self._body = self._around = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        self._around += len(data)
        super().data_received(data)
        if self._around > _MAX_HEAD + _FRAMING * self._body and not self.transport.is_closing():
            self._refuse(431, f"the head of the request is larger than {_MAX_HEAD:,} bytes.")
        self._watch_head()

    def on_body(self, body: bytes) -> None:
        self._around -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body = self._around = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(400, "the request is no HTTP/1.1.")

    def _refuse(self, status: int, text: str) -> None:
        body = json.dumps({"error": text}).encode()
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write((line + head).encode() + body)
        self.transport.close()

    def _watch_head(self) -> None:
        """Have a timer run exactly while no request is under way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout, self._late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle
        if cycle is None:
            self._refuse(408, "the head of the request did not arrive in time.")
        else:
            self.transport.close()


class _Server(uvicorn.Server):
    """Ends well on SIGTERM and SIGINT: what is under way is answered, and nothing is raised."""

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        try:
            super().run(sockets)
        finally:
            sys.setswitchinterval(before)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread may; another ends the server by `should_exit`.
            with suppress(ValueError):
                before[number] = signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, for `serve`.

    Args:
        port: 0 for any that is free.

    Raises:
        UsageError: there is no such address here, or the port is taken.
    """
    if not 0 <= port < 65_536:
        raise UsageError(f"port: received {port}, expected 0 to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sends at once (TCP_NODELAY) on those alone that name the protocol: others wait 40 ms for
        # the client's word on the head before the body follows.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise UsageError(
            f"{host}: {error.strerror or error}. Expected an address of this machine."
        ) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise UsageError(
            f"{host}:{port}: {error.strerror or error}. Choose another --port, or 0 for any."
        ) from error
    return made


def made_server(application: Application, timeout: float) -> uvicorn.Server:
    """A server for `application`; ``run(sockets=[...])`` serves until a signal, or until `should_exit` is true.

    Args:
        timeout: seconds for the head of a request, and for requests under way when the server is to end.
    """
    protocol: Callable[..., Any] = partial(_Protocol, head_timeout=timeout)
    config = uvicorn.Config(
        application,
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=max(1, int(timeout)),
        timeout_graceful_shutdown=max(1, int(timeout)),
    )
    return _Server(config)
