"""Options that several commands share."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.runtime import load
from edgekit.runtime.runner import Runner


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``, and ``--overwrite``, which it heeds."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON to FILE")
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def add_trust_code(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-code",
        action="store_true",
        help="let code inside a Keras file (Lambda layers) run",
    )


def add_verify(parser: argparse.ArgumentParser) -> None:
    """``--no-verify``, as `verify` in the arguments."""
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="load .tflite and .onnx files without trying them in a child process first",
    )


def add_runner(parser: argparse.ArgumentParser) -> None:
    """Options that choose how files are run."""
    parser.add_argument("--threads", type=int, metavar="N", help="threads an inference may use (1)")
    parser.add_argument(
        "--backend", metavar="NAME", help="litert, tflite-runtime, tensorflow, onnxruntime or keras"
    )
    add_trust_code(parser)
    add_verify(parser)


def load_all(args: argparse.Namespace, threads: int | None, stack: ExitStack) -> list[Runner]:
    """A runner for each of ``args.artifacts``, as `add_runner`'s options say; `stack` closes them."""
    return [
        stack.enter_context(
            load(
                path,
                backend=args.backend,
                threads=threads,
                trust_code=args.trust_code,
                verify=args.verify,
            )
        )
        for path in args.artifacts
    ]
