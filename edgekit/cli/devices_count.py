"""Count the instructions of an inference on an emulated processor, where a time would mean nothing.

The count repeats even on a busy machine, usually exactly and to within two thousand instructions at worst; a larger
change comes from the file, the interpreter, Python or edgekit. A count is not a time. It is taken with one thread
and includes edgekit's own work around the interpreter. The exit code is 3 if a file takes more than
--max-instructions.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from edgekit.artifact import Artifact, told_apart
from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.cli.devices_emulate import add_userland
from edgekit.cli.values import number, path
from edgekit.device import load_device
from edgekit.errors import BUDGET_EXCEEDED, EdgekitError, UsageError
from edgekit.runtime.instructions import FileInstructions, Instructions

EXAMPLE = "edgekit devices count raspberry-pi-4b model.int8.tflite --max-instructions 5e6"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        help="a board's id from 'edgekit devices list', or the path of a profile (.toml)",
    )
    parser.add_argument("files", nargs="+", type=path, metavar="FILE", help=".tflite or .onnx file")
    parser.add_argument(
        "--max-instructions",
        type=number,
        metavar="N",
        help="largest number of instructions allowed per inference, such as 5e6 (default: no limit)",
    )
    add_userland(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.boards.instructions import Emulation, count_instructions
    from edgekit.boards.userland import userland

    limit = args.max_instructions
    if limit is not None and not 0 < limit < float("inf"):
        raise UsageError(f"--max-instructions: received {limit:g}, expected a number above 0.")
    files = [Path(file) for file in args.files]
    for file in files:
        artifact = Artifact.of(file)
        if artifact.format not in ("tflite", "onnx"):
            raise UsageError(
                f"FILE: received {file}, a {artifact.format} model, expected .tflite or .onnx files: a board runs those. "
                "Export it first: edgekit export"
            )
    where = Emulation(load_device(args.id), userland(args.bits, args.debian), args.debian_archive)
    found = count_instructions(files, where, console.tell)
    console.result(found.to_json(), list(_lines(found, limit)), args)
    if any(each.failed for each in found.files):
        return EdgekitError.exit_code
    over = any(_is_over(each, limit) for each in found.files)
    return BUDGET_EXCEEDED if over else 0


def _lines(found: Instructions, limit: float | None) -> Iterator[str]:
    names = told_apart([each.artifact.file for each in found.files])
    width = max(map(len, names))
    yield f"{'file':{width}} {'infer':>15} {'first infer':>15} {'load':>15}"
    for name, each in zip(names, found.files, strict=True):
        if each.failed:
            yield f"{name:{width}} failed: {each.failed}"
            continue
        cells = " ".join(f"{count:15,}" for count in (each.infer, each.first, each.load))
        note = f"  above the limit of {limit:,.0f}" if _is_over(each, limit) else ""
        yield f"{name:{width}} {cells}{note}"


def _is_over(each: FileInstructions, limit: float | None) -> bool:
    return limit is not None and each.infer is not None and each.infer > limit
