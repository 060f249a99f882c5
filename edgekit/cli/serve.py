"""Serve model files over HTTP, in the Open Inference Protocol, until SIGTERM or Ctrl-C.

A model's name is its file name without the extension. From a bundle, every file that an interpreter here can run is
served. Files with a dynamic batch dimension run waiting requests as one batch. Each request is logged as a line of
JSON on stderr. The address / is a web page to try models, /metrics is for Prometheus, and /openapi.json describes
the server. There is no TLS: use a proxy.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from edgekit.cli.arguments import add_identity, add_key
from edgekit.cli.console import Console
from edgekit.cli.values import duration, size, whole_number
from edgekit.errors import UsageError, require
from edgekit.runtime import load
from edgekit.runtime.host import usable_cores

EXAMPLE = "edgekit serve build/model.int8.tflite --port 8000"

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE|BUNDLE",
        help=".tflite or .onnx file, or a bundle from 'edgekit build'",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 for all interfaces (default: 127.0.0.1, which only this "
        "machine can reach)",
    )
    parser.add_argument(
        "--port",
        type=whole_number,
        default=8000,
        metavar="N",
        help="port to listen on; 0 for any free port (default: 8000)",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the token that clients must send as 'Authorization: Bearer' (default: none, "
        "no token needed)",
    )
    add_key(parser)
    add_identity(parser)
    parser.add_argument(
        "--isolated",
        action="store_true",
        help="run files in sandboxed processes, which are replaced when they crash (default: run in "
        "this process, after a trial in a sandboxed one)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="interpreters per model (default: one per processor)",
    )
    parser.add_argument(
        "--threads",
        type=whole_number,
        default=1,
        metavar="N",
        help="threads per inference (default: 1)",
    )
    parser.add_argument(
        "--queue",
        type=whole_number,
        default=256,
        metavar="N",
        help="requests per model that may wait; further ones get status 503 (default: 256)",
    )
    parser.add_argument(
        "--max-body",
        type=size,
        default=16 << 20,
        metavar="SIZE",
        help="largest request body, such as 4MB; larger ones get status 413 (default: 16 MiB)",
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        default=30.0,
        metavar="TIME",
        help="time limit for a request to arrive, and to be answered, such as 10s (default: 30s)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    for module in ("uvicorn", "httptools", "orjson", "prometheus_client"):
        require(module, "serve", "serving")
    from edgekit.serve.application import Application, Limits
    from edgekit.serve.opening import opened_models
    from edgekit.serve.server import listening, made_server
    from edgekit.serve.watching import Watch

    token = None if args.token_file is None else _token(args.token_file)
    limits = Limits(args.max_body, args.timeout)
    open_file = partial(
        load, threads=args.threads, verify=not args.isolated, isolated=args.isolated
    )
    with (
        listening(args.host, args.port) as socket,
        opened_models(
            args.files,
            open_file,
            key=args.public_key,
            allow_unsigned=args.allow_unsigned,
            workers=usable_cores() if args.workers is None else args.workers,
            queue=args.queue,
            identity=args.identity,
            tell=console.tell,
        ) as models,
    ):
        if args.host not in _LOOPBACK and token is None:
            console.tell(
                f"edgekit: whoever reaches {args.host} is served: there is no --token-file."
            )
        application = Application(models, limits, Watch(models, console.tell), token)
        host, port = socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        console.tell(f"serving {', '.join(models)} at http://{shown}:{port}")
        made_server(application, args.timeout).run(sockets=[socket])
    console.tell("stopped")
    return 0


def _token(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: cannot be read: {error}.") from error
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"--token-file {path}: expected one word of ASCII characters.")
    return text
