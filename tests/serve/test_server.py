"""Server: real sockets, clients of others, slow and rude ones, and an end that loses nothing."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.errors import UsageError

# They start processes.
pytestmark = pytest.mark.processes

FLOAT = "/v2/models/dynamic.float32"


@pytest.fixture(scope="module")
def server(serving: Any) -> Iterator[Any]:
    """A server in a thread of this process."""
    from edgekit.serve.server import listening, made_server

    with serving() as asked, listening("127.0.0.1", 0) as listener:
        server = made_server(asked.application, timeout=2.0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        server.listens_at = listener.getsockname()[:2]  # type: ignore[attr-defined]
        yield server
        server.should_exit = True
        thread.join()


@pytest.fixture
def address(server: Any) -> tuple[str, int]:
    """Where it listens."""
    found: tuple[str, int] = server.listens_at
    return found


def sent(address: tuple[str, int], data: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(data)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_tritonclient_json_and_binary_int8_and_float(
    address: tuple[str, int], models: Path
) -> None:
    triton: Any = needs.package("tritonclient.http")
    client = triton.InferenceServerClient("{}:{}".format(*address))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("classifier.int8", "1")
    assert client.get_server_metadata()["name"] == "edgekit"
    rng = np.random.default_rng(0)
    for name, shape, dtype in (
        ("classifier.int8", (1, 8, 8, 1), np.int8),
        ("classifier.float32", (1, 8, 8, 1), np.float32),
        ("dynamic.float32", (5, 6), np.float32),
    ):
        said = client.get_model_metadata(name)
        (input,), (output,) = said["inputs"], said["outputs"]
        x = rng.integers(0, 100, shape).astype(dtype)
        with edgekit.load(models / f"{name}.tflite") as runner:
            expected = runner.infer_raw({input["name"]: x})[output["name"]]
        for binary_in in (True, False):
            for binary_out in (True, False):
                tensor = triton.InferInput(input["name"], list(shape), input["datatype"])
                tensor.set_data_from_numpy(x, binary_data=binary_in)
                wanted = triton.InferRequestedOutput(output["name"], binary_data=binary_out)
                found = client.infer(name, [tensor], outputs=[wanted], request_id="9")
                assert found.get_response()["id"] == "9"
                answer = found.as_numpy(output["name"])
                assert answer.dtype == dtype
                np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(needs.package("tritonclient.utils").InferenceServerException, match="none"):
        client.get_model_metadata("none")
    client.close()


CHUNKED = (
    b"POST " + FLOAT.encode() + b"/infer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", b"408"),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nX: ", b"408"),
        (b"nonsense\r\n\r\n", b"400"),
        (
            b"POST "
            + FLOAT.encode()
            + b"/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n",
            b"413",
        ),
        (
            b"POST " + FLOAT.encode() + b"/infer HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
            b"400",
        ),
        (b"GET /v2 HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 200_000, b"431"),
        (CHUNKED + b"1\r\n{\r\n0\r\nX: " + b"a" * 200_000, b"431"),
        # Chunks of one byte take six on the way; such a body is no head.
        (CHUNKED + b"1\r\n{\r\n" * 20_000 + b"0\r\n\r\n", b"400"),
    ],
)
def test_rude_clients(address: tuple[str, int], data: bytes, status: bytes) -> None:
    try:
        head, _, body = sent(address, data).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert json.loads(body)["error"]
    except ConnectionResetError:
        # What was sent beyond what the server read is answered so by the system.
        assert len(data) > 65536
    assert b"200 OK" in sent(address, b"GET /v2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")


def test_cut_connections_and_many_at_once(server: Any, address: tuple[str, int]) -> None:
    body = json.dumps(
        {"inputs": [{"name": "signal", "datatype": "FP32", "shape": [1, 6], "data": [0] * 6}]}
    ).encode()
    head = f"POST {FLOAT}/infer HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    whole = head.encode() + body
    for cut in range(1, len(whole), 7):
        with socket.create_connection(address) as connection:
            connection.sendall(whole[:cut])
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: sent(address, whole), range(100)))
    assert {answer.split(b" ")[1] for answer in answers} <= {b"200", b"503"}
    assert sum(b"200 OK" in answer for answer in answers) > 50
    # The server closes its own ends when it sees that the others are.
    for _ in range(600):
        if not server.server_state.connections:
            break
        time.sleep(0.05)
    assert not server.server_state.connections


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many as the system lets it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_500_connections(server: Any, address: tuple[str, int], many_files: None) -> None:
    """All open at once, all asked at once: each gets an answer, and nothing of them is left."""
    del many_files
    body = json.dumps(
        {"inputs": [{"name": "signal", "datatype": "FP32", "shape": [1, 6], "data": [0] * 6}]}
    ).encode()
    head = f"POST {FLOAT}/infer HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(500)
        ]
        for client in clients:
            client.sendall(head.encode() + body)
        statuses = [client.recv(65536).split(b" ")[1] for client in clients]
    assert set(statuses) <= {b"200", b"503"}
    assert statuses.count(b"200") >= 250
    for _ in range(600):
        if not server.server_state.connections:
            break
        time.sleep(0.05)
    assert not server.server_state.connections


def test_addresses_that_cannot_be_listened_at(serving: Any) -> None:  # noqa: ARG001
    from edgekit.serve.server import listening

    with listening("127.0.0.1", 0) as taken:
        # Else asyncio leaves Nagle's algorithm on, and an answer of two parts takes 40 ms.
        assert taken.proto == socket.IPPROTO_TCP
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=r"Choose another --port"):
            listening("127.0.0.1", port)
    with pytest.raises(UsageError, match="port"):
        listening("127.0.0.1", 70_000)
    with pytest.raises(UsageError, match="address of this machine"):
        listening("no.such.host.invalid", 0)


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_well(serving: Any, models: Path, number: signal.Signals) -> None:  # noqa: ARG001
    words = ["serve", str(models / "dynamic.float32.tflite"), "--port", "0", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "edgekit", *words], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("serving dynamic.float32 at http://127.0.0.1:"), line
        address = ("127.0.0.1", int(line.rsplit(":", 1)[1]))
        assert b"200 OK" in sent(
            address, b"GET /v2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        assert json.loads(process.stderr.readline())["path"] == "/v2"
        process.send_signal(number)
        assert process.stderr.read() == "stopped\n"
        assert process.wait(60) == 0
