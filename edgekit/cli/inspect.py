"""Show what a .tflite or .onnx file contains, what it costs, and which interpreters run it.

The file need not be edgekit's. Shown are inputs and outputs, operators by dtype, MACs, memory, and versions.
"""

from __future__ import annotations

import argparse

from edgekit.cli.arguments import add_json
from edgekit.cli.console import Console
from edgekit.inspection.inspect import inspect
from edgekit.report.inspections import inspection_lines

EXAMPLE = "edgekit inspect build/model.int8.tflite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".tflite or .onnx file")
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    found = inspect(args.file)
    lines = [f"{about:<12} {text}" for about, text in inspection_lines(found)]
    console.result(found.to_json(), lines, args)
    return 0
