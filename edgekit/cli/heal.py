"""Repair a quantised .tflite file that edgekit did not make, with the float file of the same model.

The command re-estimates ranges, rounds weights again, corrects biases, and converts the float file again. It keeps
each repair that helps on calibration samples held out from it. The result is judged on --samples and written only
if it follows the float file better; otherwise nothing is written and the exit code is 3.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from edgekit.cli.arguments import add_json, add_out, add_runner, add_samples, load_runner
from edgekit.cli.console import Console
from edgekit.errors import BUDGET_EXCEEDED
from edgekit.outputs import refuse_existing
from edgekit.report.diagnoses import healing_lines
from edgekit.samples import load_samples

EXAMPLE = """\
edgekit heal model.float32.tflite model.int8.tflite \\
    --calibration calibration.npz --samples test.npz -o build/better.tflite"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plain", metavar="FLOAT", help="float .tflite file")
    parser.add_argument("file", metavar="INT8", help="quantised .tflite file of the same model")
    parser.add_argument(
        "--calibration",
        required=True,
        metavar="SAMPLES",
        help="raw samples to find ranges and choose repairs with: a file, a folder, or a recipe",
    )
    add_samples(
        parser,
        "other raw samples to judge the result on, with labels if accuracy is to be reported",
    )
    add_out(parser, "FILE.tflite", "repaired file to write")
    add_runner(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    from edgekit.diagnose.heal.heal import heal

    refuse_existing([args.out], args.overwrite)
    calibration, samples = load_samples(args.calibration), load_samples(args.samples)
    with ExitStack() as stack:
        plain, file = (
            stack.enter_context(load_runner(args, path)) for path in (args.plain, args.file)
        )
        found = heal(plain, file, calibration, samples, args.out, console.tell, args.verify)
    console.result(found.to_json(), healing_lines(found), args)
    return BUDGET_EXCEEDED if found.healed is None else 0
