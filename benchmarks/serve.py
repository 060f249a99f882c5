"""What serving costs: edgekit serve against a plain FastAPI handler around the same interpreter, in one run.

    python benchmarks/serve.py resnet8.int8.tflite

Prints throughput and p99 at 32 connections and the p50 of one request, as ratios and differences. Each server is a
process of its own; they take turns, so that what disturbs the machine disturbs both. Needs fastapi.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import threading
import time
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import edgekit

CONNECTIONS = 32


def edgekit_server(path: str, pipe: Connection) -> None:
    from edgekit.serve.application import Application, Limits
    from edgekit.serve.opening import opened_models
    from edgekit.serve.server import listening, made_server
    from edgekit.serve.watching import Watch

    with opened_models([path], edgekit.load) as models, listening("127.0.0.1", 0) as listener:
        (name,) = models
        pipe.send((listener.getsockname()[1], f"/v2/models/{name}/infer"))
        application = Application(models, Limits(), Watch(models, None))
        made_server(application, 30.0).run(sockets=[listener])


def fastapi_server(path: str, pipe: Connection) -> None:
    import uvicorn
    from fastapi import Body, FastAPI

    from edgekit.serve.server import listening

    application = FastAPI()
    runner = edgekit.load(path)
    (spec,) = runner.inputs

    @application.post("/infer")
    def infer(said: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        x = np.array(said["inputs"][0]["data"], spec.dtype).reshape(spec.concrete_shape())
        results = runner.infer_raw({spec.name: x})
        return {"outputs": [{"name": n, "data": y.ravel().tolist()} for n, y in results.items()]}

    listener = listening("127.0.0.1", 0)
    pipe.send((listener.getsockname()[1], "/infer"))
    config = uvicorn.Config(application, access_log=False, log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


def one(connection: socket.socket, request: bytes) -> None:
    """Send a request and read its answer."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, "the server closed the connection"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], data[:300]
    lines = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
    left = int(lines[b"content-length"]) - len(body)
    while left > 0:
        left -= len(connection.recv(65536))


def asked(port: int, request: bytes, connections: int, seconds: float) -> tuple[float, np.ndarray]:
    """Answers a second, and how long each took, in milliseconds."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def client() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (start := time.perf_counter()) < end:
                one(connection, request)
                took.append((time.perf_counter() - start) * 1000)

    threads = [threading.Thread(target=client) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / seconds, np.array(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="file with one input of whole numbers or floats")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each turn")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    if find_spec("fastapi") is None:
        parser.error(
            "fastapi is not installed, and is what edgekit is held against: pip install fastapi"
        )
    with edgekit.load(args.file) as runner:
        (spec,) = runner.inputs
        x = np.ones(spec.concrete_shape(), spec.dtype)
        alone = []
        for _ in range(300):
            start = time.perf_counter()
            runner.infer_raw({spec.name: x})
            alone.append((time.perf_counter() - start) * 1000)
    from edgekit.serve.datatypes import DATATYPES, to_bytes

    tensor = {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": list(x.shape)}
    as_json = json.dumps({"inputs": [{**tensor, "data": x.ravel().tolist()}]}).encode()
    data = to_bytes(x)
    header = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": len(data)}}]}
    ).encode()
    context = multiprocessing.get_context("spawn")
    servers = {}
    for name, target in (("edgekit", edgekit_server), ("fastapi", fastapi_server)):
        here, there = context.Pipe()
        process = context.Process(target=target, args=(args.file, there), daemon=True)
        process.start()
        port, path = here.recv()
        servers[name] = (process, port, path)

    def request(path: str, body: bytes, more: str = "") -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    length = f"Inference-Header-Content-Length: {len(header)}\r\n"
    found: dict[str, list[tuple[float, float]]] = {}
    single: dict[str, list[float]] = {}
    for _ in range(args.turns):
        for name, (_, port, path) in servers.items():
            kinds = {f"{name}, JSON": request(path, as_json)}
            if name == "edgekit":
                kinds[f"{name}, binary"] = request(path, header + data, length)
            for kind, each in kinds.items():
                rate, took = asked(port, each, CONNECTIONS, args.seconds)
                found.setdefault(kind, []).append((rate, float(np.quantile(took, 0.99))))
                single.setdefault(kind, []).append(
                    float(np.median(asked(port, each, 1, args.seconds / 3)[1]))
                )
    for process, *_ in servers.values():
        process.terminate()
        process.join()
    base = np.median(found["fastapi, JSON"], axis=0)
    for kind, values in found.items():
        rate, p99 = np.median(values, axis=0)
        print(
            f"{kind:<16} {rate:8.0f} a second ({rate / base[0]:.2f} of fastapi), "
            f"p99 {p99:7.2f} ms ({p99 / base[1]:.2f}), "
            f"one request {np.median(single[kind]) - np.median(alone):+.3f} ms to infer"
        )


if __name__ == "__main__":
    main()
