"""Count the instructions of an inference on an emulated processor, where a time would mean nothing.

The same file gives the same count on a busy machine too, usually to the instruction, to two thousand at most: a larger
change is one of the file, the interpreter, Python or edgekit. It is no time. One thread; what edgekit does around the
interpreter is counted with it.
Exit code 3 if a file takes more than --max-instructions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgekit.cli.console import Console
from edgekit.cli.devices_emulate import add_userland
from edgekit.cli.values import number, path
from edgekit.device import load_device
from edgekit.errors import UsageError

EXAMPLE = "edgekit devices count raspberry-pi-4b model.int8.tflite --max-instructions 5e6"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", metavar="ID", help="id of the board, as 'edgekit devices list' prints it"
    )
    parser.add_argument("files", nargs="+", type=path, metavar="FILE", help=".tflite or .onnx file")
    parser.add_argument(
        "--max-instructions",
        type=number,
        metavar="N",
        help="the most that an inference may take, such as 5e6 (default: no limit)",
    )
    add_userland(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.artifact import Artifact
    from edgekit.boards.instructions import count_instructions
    from edgekit.boards.userland import userland

    limit = args.max_instructions
    if limit is not None and not 0 < limit < float("inf"):
        raise UsageError(f"--max-instructions: received {limit:g}, expected a number above 0.")
    files = [Path(file) for file in args.files]
    for file in files:
        found = Artifact.of(file)
        if found.format not in ("tflite", "onnx"):
            raise UsageError(
                f"FILE: received {file}, a {found.format} model, expected .tflite or .onnx files: a board runs those. "
                "Export it first: edgekit export"
            )
    profile, which = load_device(args.id), userland(args.bits, args.debian)
    width = max(len(file.name) for file in files)
    header = f"{'file':{width}} {'infer':>15} {'first infer':>15} {'load':>15}\n"
    code = 0
    for each in count_instructions(files, profile, which, args.debian_archive, console.tell):
        console.write(header)
        header = ""
        if each.failed:
            code = 1
            console.write(f"{each.file.name:{width}} failed: {each.failed}\n")
            continue
        counts = (each.infer, each.first, each.load)
        cells = " ".join(f"{count:15,}" for count in counts)
        over = limit is not None and each.infer > limit
        note = f"  above the limit of {limit:,.0f}" if over else ""
        code = code or (3 if over else 0)
        console.write(f"{each.file.name:{width}} {cells}{note}\n")
    return code
