"""Download the wheels that a board needs into a folder, for use without a package index.

pip downloads wheels for the board's processor and Python; edgekit's own wheel is built from the running edgekit.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from edgekit.cli.arguments import add_out, add_overwrite
from edgekit.cli.console import Console
from edgekit.device import load_device
from edgekit.errors import UsageError

EXAMPLE = "edgekit devices wheels --for raspberry-pi-3b -o wheels"
_PYTHON = re.compile(r"3\.\d+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="device",
        required=True,
        metavar="ID",
        help="a board's id from 'edgekit devices list', or the path of a profile (.toml)",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(64, 32),
        default=64,
        help="bits of the board's system (default: 64)",
    )
    parser.add_argument(
        "--python-version",
        metavar="3.N",
        help="the board's Python (default: that of the first system in its profile)",
    )
    parser.add_argument(
        "--onnx", action="store_true", help="include onnxruntime, for .onnx files (default: no)"
    )
    add_out(parser, "DIR", "folder to create")
    add_overwrite(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.boards.wheels import collect, target_of
    from edgekit.outputs import refuse_existing

    profile = load_device(args.device)
    if args.python_version is not None and not _PYTHON.fullmatch(args.python_version):
        raise UsageError(
            f"--python-version: received {args.python_version!r}, expected a version such as 3.11."
        )
    target = target_of(profile, args.bits, args.python_version)
    refuse_existing([args.out], args.overwrite, folder=True)
    for wheel in collect(target, Path(args.out), args.onnx, console.tell):
        console.write(f"{wheel}\n")
    return 0
