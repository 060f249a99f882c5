"""Application: addresses and what each answers, as ASGI. Needs the `serve` extra."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from edgekit import __version__
from edgekit.errors import EdgekitError, TensorError, UsageError, nearest
from edgekit.serve.model import Job, Overloaded, ServedModel
from edgekit.serve.openapi import document
from edgekit.serve.page import page
from edgekit.serve.protocol import HEADER_LENGTH, described, parse, rendered
from edgekit.serve.watching import CONTENT_TYPE, Seen, Watch

# https://asgi.readthedocs.io/en/latest/specs/www.html
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON, OCTETS = "application/json", "application/octet-stream"
EXTENSIONS = ["binary_tensor_data", "classification", "model_repository"]

_CLOSE = {"Connection": "close"}
# What says nothing of the models, and needs no token.
_FREE = ("/", "/v2/health/live", "/v2/health/ready")

# Bodies of all requests together may take so many times the largest one.
_BODIES = 8


@dataclass(frozen=True)
class Limits:
    """What one server takes.

    Attributes:
        body: bytes of one request.
        timeout: seconds for a request to arrive, and again for it to be answered.
    """

    body: int = 16 << 20
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.body < 1 or not 0 < self.timeout < 86_400:
            raise UsageError(
                f"limits: received {self.body} bytes and {self.timeout} s, expected at least 1 byte and "
                "more than 0 s, below a day."
            )


class Refused(Exception):
    """What a request ends with that is not answered."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})


@dataclass
class Answer:
    """Status 200 with a body."""

    body: bytes
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Request:
    scope: Scope
    receive: Receive
    model: str = ""
    received: int = 0
    job: Job | None = None

    def header(self, name: str) -> str | None:
        wanted = name.encode()
        for key, value in self.scope["headers"]:
            if key == wanted:
                text: str = value.decode("latin-1")
                return text
        return None


class Application:
    """The server's ASGI application.

    Args:
        models: by name.
        token: what ``Authorization: Bearer`` must bring for all but health; None for nothing.
        watch: is told of each request.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        limits: Limits,
        watch: Watch,
        token: str | None = None,
    ) -> None:
        self.models: dict[str, ServedModel] = dict(models)
        self._limits = limits
        self._watch = watch
        self._token = None if token is None else token.encode()
        self._held = 0
        self._page = page()
        self._openapi = json.dumps(document(list(models), token is not None)).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        started = perf_counter()
        request = _Request(scope, receive)
        status, error = 200, ""
        headers: Mapping[str, str] = {}
        try:
            answer = await self._answer(request)
            headers = answer.headers
        except Refused as refused:
            status, error, headers = refused.status, str(refused), refused.headers
        except _Gone:
            # nginx' number for a client that did not wait; nobody reads it but the log.
            status, error = 499, "the client closed the connection"
        except Exception as unexpected:
            status, error = 500, f"unexpected {type(unexpected).__name__}: {str(unexpected)[:200]}"
        try:
            if status == 499:
                return
            if status != 200:
                answer = Answer(json.dumps({"error": error}).encode())
            await _send(send, scope, status, answer, headers)
        finally:
            client = scope.get("client")
            self._watch(
                Seen(
                    scope["method"],
                    scope["path"],
                    request.model,
                    status,
                    perf_counter() - started,
                    request.received,
                    client[0] if client else "",
                    error,
                    request.job,
                )
            )

    async def _answer(self, request: _Request) -> Answer:
        path: str = request.scope["path"]
        raw = _raw_path(request.scope)
        parts = [unquote(part) if "%" in part else part for part in raw.split("/")[1:]]
        if path not in _FREE:
            self._authorise(request)
        match parts:
            case ["v2", "models", model, "infer"] | ["v2", "models", model, "versions", _, "infer"]:
                served = self._model(request, model, parts)
                _require_method(request, "POST")
                return await self._infer(request, served)
            case ["v2", "health", "live" | "ready"]:
                _require_method(request, "GET")
                return Answer(json.dumps({parts[2]: True}).encode())
            case ["v2"] | ["v2", ""]:
                _require_method(request, "GET")
                server = {"name": "edgekit", "version": __version__, "extensions": EXTENSIONS}
                return Answer(json.dumps(server).encode())
            case ["v2", "models", model] | ["v2", "models", model, "versions", _]:
                served = self._model(request, model, parts)
                _require_method(request, "GET")
                runner = served.runner
                platform = f"{runner.artifact.format}_{runner.backend.name}"
                said = described(served.name, platform, runner.inputs, runner.outputs)
                return Answer(json.dumps({**said, "parameters": served.takes}).encode())
            case ["v2", "repository", "index"]:
                _require_method(request, "POST")
                index = [{"name": name, "version": "1", "state": "READY"} for name in self.models]
                return Answer(json.dumps(index).encode())
            case ["v2", "models", model, "ready"] | ["v2", "models", model, "versions", _, "ready"]:
                served = self._model(request, model, parts)
                _require_method(request, "GET")
                return Answer(json.dumps({"name": served.name, "ready": True}).encode())
            case [""]:
                _require_method(request, "GET")
                return Answer(self._page[0], "text/html; charset=utf-8", self._page[1])
            case ["metrics"]:
                _require_method(request, "GET")
                return Answer(self._watch.exposition(), CONTENT_TYPE)
            case ["openapi.json"]:
                _require_method(request, "GET")
                return Answer(self._openapi)
        raise Refused(404, f"{path[:200]}: nothing is here. What there is says /openapi.json.")

    def _authorise(self, request: _Request) -> None:
        if self._token is None:
            return
        scheme, _, given = (request.header("authorization") or "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not right:
            raise Refused(
                401,
                "authorization: expected 'Bearer' and the token of the server.",
                {"WWW-Authenticate": "Bearer", "Connection": "close"},
            )

    def _model(self, request: _Request, name: str, parts: list[str]) -> ServedModel:
        served = self.models.get(name)
        if served is None:
            raise Refused(
                404,
                f"model {name[:200]!r}: is not served, expected one of {', '.join(self.models)}."
                f"{nearest(name[:200], self.models)}",
            )
        request.model = name
        if len(parts) > 4 and parts[3] == "versions" and parts[4] != "1":
            raise Refused(404, f"model {name!r}: has version 1 alone.")
        return served

    async def _infer(self, request: _Request, served: ServedModel) -> Answer:
        if served.full:
            raise _overloaded(served)
        if request.header("content-encoding") not in (None, "identity"):
            raise Refused(
                400, "content-encoding: bodies are taken as they are. Send it uncompressed."
            )
        length = self._announced(request)
        room = self._limits.body if length is None else length
        if self._held + room > _BODIES * self._limits.body:
            raise _overloaded(served)
        self._held += room
        try:
            body = await self._body(request)
            try:
                call = parse(
                    body,
                    request.header(HEADER_LENGTH),
                    served.runner.inputs,
                    served.runner.outputs,
                )
                job = request.job = served.submit(call)
            except TensorError as error:
                raise Refused(400, str(error)) from None
            except Overloaded:
                raise _overloaded(served) from None
            results = await self._result(job)
            try:
                body, length = rendered(
                    served.name, call, results, served.runner.metadata.class_names
                )
                if length is None:
                    return Answer(body)
                return Answer(body, OCTETS, {"Inference-Header-Content-Length": str(length)})
            except TensorError as error:
                raise Refused(400, str(error)) from None
        finally:
            self._held -= room

    def _announced(self, request: _Request) -> int | None:
        length = request.header("content-length")
        if length is None:
            return None
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "content-length: expected a number of bytes.", _CLOSE)
        if len(length) > 15 or int(length) > self._limits.body:
            raise self._too_large()
        return int(length)

    def _too_large(self) -> Refused:
        return Refused(
            413,
            f"body: is larger than the {self._limits.body:,} bytes that this server takes.",
            _CLOSE,
        )

    async def _body(self, request: _Request) -> bytes:
        """The whole body. Raises `Refused` when it is too large, or comes too slowly."""
        parts: list[bytes] = []
        try:
            with _Within(self._limits.timeout):
                while True:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    request.received += len(part)
                    if request.received > self._limits.body:
                        raise self._too_large()
                    parts.append(part)
                    if not message.get("more_body", False):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except _Late:
            raise Refused(
                408, f"body: did not arrive within {self._limits.timeout:g} s.", _CLOSE
            ) from None

    async def _result(self, job: Job) -> dict[str, Any]:
        try:
            with _Within(self._limits.timeout):
                return await asyncio.wrap_future(job.done)
        except _Late:
            raise Refused(
                503,
                f"no answer within {self._limits.timeout:g} s. Try again later.",
                {"Retry-After": "1"},
            ) from None
        except (TensorError, UsageError) as error:
            raise Refused(400, str(error)) from None
        except EdgekitError as error:
            raise Refused(500, str(error)) from None


class _Late(Exception):
    """What was waited for did not come in time."""


class _Within:
    """Raise `_Late` where the block takes longer. `asyncio.wait_for` would make a task for each thing that is
    waited for, and Python 3.10 has no `asyncio.timeout`."""

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None, "a request is a task"
        self._task, self._late = task, False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        self._late = True
        self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._timer.cancel()
        if self._late and kind is asyncio.CancelledError:
            if sys.version_info >= (3, 11):
                self._task.uncancel()
            raise _Late from None


class _Gone(Exception):
    """The client closed the connection before its request was whole."""


def _overloaded(served: ServedModel) -> Refused:
    return Refused(
        503,
        f"model {served.name!r}: too many requests wait. Try again later.",
        {"Retry-After": "1", "Connection": "close"},
    )


def _require_method(request: _Request, method: str) -> None:
    received = request.scope["method"]
    if received != method and not (method == "GET" and received == "HEAD"):
        raise Refused(
            405, f"method: received {received[:16]}, expected {method}.", {"Allow": method}
        )


def _raw_path(scope: Scope) -> str:
    """The path with percent signs, so that a slash in a name is none between names."""
    raw = scope.get("raw_path") or scope["path"].encode()
    text: str = raw.decode("latin-1")
    return text.partition("?")[0]


async def _send(
    send: Send, scope: Scope, status: int, answer: Answer, headers: Mapping[str, str]
) -> None:
    sent = [
        (b"content-type", answer.media.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus(status).value, "headers": sent})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
