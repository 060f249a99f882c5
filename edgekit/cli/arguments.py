"""Options that several commands share."""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.errors import UsageError
from edgekit.runtime import load
from edgekit.runtime.backends import BACKENDS
from edgekit.runtime.runner import Runner

SAMPLES_HELP = "raw data: a file, a folder, or a recipe, whose test samples are taken"


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
    parser.add_argument("--backend", metavar="NAME", help=f"one of {', '.join(BACKENDS)}")
    parser.add_argument(
        "--delegate",
        metavar="NAME",
        help="none, a TFLite delegate's shared library, or an onnxruntime execution provider",
    )
    parser.add_argument(
        "--delegate-option", action="append", default=[], metavar="KEY=VALUE", help="for it"
    )
    parser.add_argument(
        "--device", metavar="ID", help="take threads and delegate from this board's profile"
    )
    parser.add_argument(
        "--weight-cache", action="store_true", help="keep packed weights for the next start"
    )
    add_trust_code(parser)
    add_verify(parser)


def load_runner(args: argparse.Namespace, path: str) -> Runner:
    """A runner for `path`, as `add_runner`'s options say."""
    options = {}
    for pair in args.delegate_option:
        key, separator, value = pair.partition("=")
        if not key or not separator:
            raise UsageError(f"--delegate-option: received {pair!r}, expected KEY=VALUE.")
        options[key] = value
    return load(
        path,
        backend=args.backend,
        threads=args.threads,
        delegate=args.delegate,
        delegate_options=options,
        device=args.device,
        weight_cache=args.weight_cache,
        trust_code=args.trust_code,
        verify=args.verify,
    )


def load_all(args: argparse.Namespace, stack: ExitStack) -> list[Runner]:
    """A runner for each of ``args.artifacts``; `stack` closes them."""
    return [stack.enter_context(load_runner(args, path)) for path in args.artifacts]
