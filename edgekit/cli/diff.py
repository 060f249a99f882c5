"""Show how two model files differ: operators, shapes, scales, weights layer by layer, and answers.

Each may be a .tflite or an .onnx file. With --samples both are run and their answers compared. Nothing is judged:
the exit code is 0 whether they differ or not.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.cli.arguments import add_json, add_runner, add_samples, load_runner
from edgekit.cli.console import Console
from edgekit.report.diffs import diff_lines
from edgekit.samples import load_samples

EXAMPLE = """\
edgekit diff build/model.float32.tflite build/model.int8.tflite \\
    --samples samples.npz"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="A", help=".tflite or .onnx file")
    parser.add_argument("second", metavar="B", help="the file to compare it with")
    add_samples(parser, "raw samples that both files are run on", otherwise="none")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.diagnose.diff import diff

    samples = None if args.samples is None else load_samples(args.samples)
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(load_runner(args, path)) for path in (args.first, args.second)
        )
        found = diff(first, second, samples)
    console.result(found.to_json(), diff_lines(found), args)
    return 0
